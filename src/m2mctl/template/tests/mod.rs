//! Tests of the template reader: whole templates here, and one file for each part.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Error, Pseudo, Template, lines, parse, resolver::MAX_DEPTH};

mod any_input;
mod conditions;
mod intrinsics;
mod parameters;
mod text;

const OWN: &str = include_str!("../../../../template.yaml");
const CONSUMER: &str = include_str!("../../../../examples/consumer.yaml");

fn given(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn template(text: &str) -> Template {
    Template::new(parse(text).unwrap())
}

fn syntax_error(text: &str) -> String {
    match parse(text) {
        Err(Error::Syntax(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

/// What the one property `It` comes to in a template whose other sections have something of everything.
fn it(property: &str) -> Result<Value, Error> {
    it_with(property, &[])
}

fn it_with(property: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
    let text = format!(
        "
Parameters:
  Name: {{Type: String, Default: shop}}
  Count: {{Type: Number, Default: 60}}
  Flag: {{Type: String, Default: yes}}
  Needed: {{Type: String}}
  Names: {{Type: CommaDelimitedList, Default: 'a, b ,c'}}
  Zones: {{Type: 'List<AWS::EC2::AvailabilityZone::Name>', Default: 'x,y'}}
  Stored: {{Type: 'AWS::SSM::Parameter::Value<String>', Default: /name}}
  Linked: {{Type: String, Default: '{{{{resolve:ssm:/name}}}}'}}
Mappings:
  Tiers:
    shop: {{Tier: PLUS, Days: 30, Scopes: [read, write], Odd: {{a: b}}}}
    111122223333: {{Tier: LITE}}
Conditions:
  Shop: !Equals [!Ref Name, shop]
  NotShop: !Not [!Condition Shop]
  Sixty: !Equals [!Ref Count, 60]
  Both: !And [!Condition Shop, Condition: Sixty]
  One: !Or [!Condition NotShop, !Condition Sixty]
  Neither: !Or [!Condition NotShop, !Not [!Condition Sixty]]
  Round: !Not [!Condition Trip]
  Trip: !Not [!Condition Round]
  Late: !Equals [!GetAtt Queue.Arn, x]
  Alone: !And [!Condition Shop]
  Text: Shop
Resources:
  Queue: {{Type: AWS::SQS::Queue}}
  Auth:
    Type: Custom::CognitoM2M
    Properties:
      It: {property}
"
    );
    let pseudo = Pseudo {
        region: Some("eu-west-1".to_owned()),
        account_id: Some("111122223333".to_owned()),
        partition: Some("aws".to_owned()),
        stack_name: Some("orders".to_owned()),
        stack_id: Some("arn:stack".to_owned()),
        url_suffix: Some("amazonaws.com".to_owned()),
        exports: None,
    };
    let mut properties = template(&text).properties("Auth", &given(parameters), &pseudo)?;
    Ok(properties["It"].take())
}

fn problems(property: &str) -> String {
    match it(property) {
        Err(Error::Unresolved(problems)) => lines(&problems),
        other => panic!("{property}: {other:?}"),
    }
}

#[track_caller]
fn assert_it(property: &str, expected: impl Into<Value>) {
    assert_eq!(it(property), Ok(expected.into()), "{property}");
}

#[track_caller]
fn assert_problem(property: &str, expected: &str) {
    assert_eq!(problems(property), expected, "{property}");
}

const WHEN_UNKNOWN: &str =
    "cannot be known before the deploy; write the value out, or pass the properties with --properties";

#[test]
fn this_project_s_template_comes_to_its_defaults() {
    let template = template(OWN);
    assert_eq!(template.resources_of_type("Custom::CognitoM2M"), ["M2M"]);
    let properties = template.properties("M2M", &BTreeMap::new(), &Pseudo::default());
    let expected = json!({
        "EnvironmentName": "dev",
        "UserPoolNamePrefix": "machine-to-machine",
        "DomainPrefix": "m2m-rubicon",
        "ProjectTag": "m2m-auth",
        "Clients": [{"ClientName": "machine-to-machine-dev-client", "AccessTokenValidityMinutes": "60"}],
        "UserPoolTier": "ESSENTIALS",
        "ManagedLoginVersion": "2",
        "DeletionProtection": "INACTIVE",
        "SecretRecoveryWindowInDays": "7",
        "RotationDays": "0",
        "RotateSecrets": "",
        "Tags": [""],
        "TokenService": "DOMAIN",
        "VerifyToken": "true",
    });
    assert_eq!(properties, Ok(expected));
}

#[test]
fn overrides_take_the_place_of_the_defaults() {
    let overrides = given(&[
        ("EnvironmentName", "prod"),
        ("AccessTokenValidityMinutes", "5"),
        ("SecretKmsKeyArns", "arn:aws:kms:eu-west-1:1:key/a,arn:aws:kms:eu-west-1:1:key/b"),
    ]);
    let properties = template(OWN).properties("M2M", &overrides, &Pseudo::default()).unwrap();
    assert_eq!(properties["EnvironmentName"], "prod");
    assert_eq!(
        properties["Clients"],
        json!([{"ClientName": "machine-to-machine-prod-client", "AccessTokenValidityMinutes": "5"}])
    );
    assert_eq!(properties["SecretKmsKeyId"], "arn:aws:kms:eu-west-1:1:key/a");
}

#[test]
fn an_override_may_be_empty() {
    let overrides = given(&[("SecretKmsKeyArns", ""), ("RotateSecrets", "")]);
    let properties = template(OWN).properties("M2M", &overrides, &Pseudo::default()).unwrap();
    assert_eq!(properties.get("SecretKmsKeyId"), None);
    assert_eq!(properties["RotateSecrets"], "");
}

#[test]
fn a_resource_whose_condition_is_false_is_not_created() {
    let error = template(OWN).properties("M2M", &given(&[("DeployM2MStack", "false")]), &Pseudo::default());
    let error = error.unwrap_err();
    assert_eq!(error, Error::NotCreated { logical_id: "M2M".to_owned(), condition: "WithM2MStack".to_owned() });
    assert_eq!(error.to_string(), "M2M is not created with these parameters: its condition WithM2MStack is false");
}

#[test]
fn the_consumer_s_export_is_not_needed_for_its_properties() {
    let template = template(CONSUMER);
    assert_eq!(template.resources_of_type("Custom::CognitoM2M"), ["Auth"]);
    assert_eq!(template.parameters().collect::<Vec<_>>(), ["DomainPrefix", "EnvironmentName", "ProviderStackName"]);
    let properties = template.properties("Auth", &given(&[("EnvironmentName", "prod")]), &Pseudo::default()).unwrap();
    assert_eq!(properties["EnvironmentName"], "prod");
    assert_eq!(properties["Tags"], json!({"Team": "orders"}));
    assert_eq!(
        properties["Clients"][2],
        json!({
            "ClientName": "reporting",
            "AllowedOAuthScopes": ["orders/read", "invoices/read"],
            "AccessTokenValidityMinutes": "5",
        })
    );
    assert_eq!(properties.get("ServiceToken"), None);
    assert_eq!(properties.get("ServiceTimeout"), None);
}

#[test]
fn a_resource_is_found_by_its_type_alone() {
    let template = template(
        "
Resources:
  Zoo: {Type: Custom::CognitoM2M}
  Other: {Type: AWS::CloudFormation::CustomResource}
  Odd: text
  Fn::ForEach::Loop: [Id, [a], {'Auth${Id}': {Type: Custom::CognitoM2M}}]
  Ape: {Type: Custom::CognitoM2M}
",
    );
    assert_eq!(template.resources_of_type("Custom::CognitoM2M"), ["Ape", "Zoo"]);
    let error = template.properties("Authx", &BTreeMap::new(), &Pseudo::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the template has no resource Authx (resources that a macro or Fn::ForEach adds are not visible here)"
    );
}

#[test]
fn a_resource_without_properties_has_none() {
    let nothing = |text: &str| template(text).properties("Auth", &BTreeMap::new(), &Pseudo::default());
    assert_eq!(nothing("Resources: {Auth: {Type: T}}"), Ok(json!({})));
    assert_eq!(nothing("Resources: {Auth: {Properties: !Ref AWS::NoValue}}"), Ok(json!({})));
    let Err(Error::Unresolved(problems)) = nothing("Resources: {Auth: {Properties: }}") else { panic!() };
    assert_eq!(lines(&problems), "Properties: a template cannot hold null");
}

#[test]
fn values_nested_too_deep_are_a_problem() {
    let deep = format!("{}x{}", "[".repeat(110), "]".repeat(110));
    let path = format!("It{}", "[0]".repeat(MAX_DEPTH - 1));
    assert_problem(&deep, &format!("{path}: is nested more than 100 levels deep"));
    assert!(it(&format!("{}x{}", "[".repeat(90), "]".repeat(90))).is_ok());
}

#[test]
fn every_scalar_becomes_text() {
    assert_it("[1, 1.5, true, no, text, {a: 7}]", json!(["1", "1.5", "true", "false", "text", {"a": "7"}]));
    assert_problem("[a, ~]", "It[1]: a template cannot hold null");
}

#[test]
fn all_problems_are_reported_together_with_their_paths() {
    let template = template(
        "
Parameters: {Used: {Type: String, Default: x}}
Resources:
  Auth:
    Type: Custom::CognitoM2M
    Properties:
      ServiceToken: !GetAtt Provider.Arn
      EnvironmentName: !Ref Used
      Clients:
        - ClientName: !GetAtt Queue.Name
          AllowedOAuthScopes: [orders/read, !Sub '${Used}/${Missing}']
        - ClientName: !ImportValue name
      Tags: {Owner: !Select [3, [a]]}
",
    );
    let error = template.properties("Auth", &given(&[("Usedd", "y"), ("Used", "z")]), &Pseudo::default());
    insta::assert_snapshot!(error.unwrap_err(), @r#"
        the properties cannot be resolved from the template:
          Parameters.Usedd: the template does not declare this parameter; declared: Used
          Clients[0].AllowedOAuthScopes[1]: Missing is neither a parameter nor a resource of the template
          Clients[0].ClientName: Fn::GetAtt Queue.Name cannot be known before the deploy; write the value out, or pass the properties with --properties
          Clients[1].ClientName: Fn::ImportValue cannot be known before the deploy; write the value out, or pass the properties with --properties
          Tags.Owner: Fn::Select has no entry "3" in a list of 1; the first entry is 0
        "#);
}

#[test]
fn macros_of_one_s_own_are_a_problem_and_aws_s_are_not() {
    let with = |head: &str, resource: &str| {
        let text = format!("{head}\nResources: {{A: {{Type: T{resource}}}}}");
        template(&text).properties("A", &BTreeMap::new(), &Pseudo::default()).map_err(|error| error.to_string())
    };
    for head in [
        "Transform: AWS::Serverless-2016-10-31",
        "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]",
        "Transform: {Name: AWS::Include, Parameters: {Location: s3://a/b}}",
        "Globals: {Function: {Timeout: 3}}",
    ] {
        assert_eq!(with(head, ""), Ok(json!({})), "{head}");
    }
    for head in
        ["Transform: Mine", "Transform: [AWS::Serverless-2016-10-31, {Name: Mine}]", "Fn::Transform: {Name: Mine}"]
    {
        let error = with(head, "").unwrap_err();
        assert!(error.contains("Transform: the macro Mine may change the properties; write"), "{error}");
    }
    let error = with("", ", Fn::Transform: {Name: AWS::Include}").unwrap_err();
    assert!(error.contains("Properties: the resource's Fn::Transform may change them; write"), "{error}");
    let error = with("", ", Properties: {ServiceToken: x, Fn::Transform: {Name: AWS::Include}}").unwrap_err();
    assert!(error.contains(&format!("Properties: Fn::Transform {WHEN_UNKNOWN}")), "{error}");
    let error = with("", ", Properties: {Fn::ForEach::X: [I, [a], {b: c}], d: e}").unwrap_err();
    assert!(error.contains("Properties: Fn::ForEach::X beside other entries is not supported"), "{error}");
}
