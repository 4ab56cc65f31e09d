use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Error, OWN, Pseudo, WHEN_UNKNOWN, assert_it, assert_problem, given, it_with, lines, template};

#[test]
fn ref_gives_a_parameter_s_value_as_text_or_as_a_list() {
    assert_it("!Ref Name", "shop");
    assert_it("!Ref Count", "60");
    assert_it("!Ref Flag", "true");
    assert_it("!Ref Names", json!(["a", "b", "c"]));
    assert_it("!Ref Zones", json!(["x", "y"]));
    assert_eq!(it_with("!Ref Names", &[("Names", "")]), Ok(json!([""])));
    assert_eq!(it_with("!Ref Name", &[("Name", "a, b")]), Ok(json!("a, b")));
    assert_eq!(it_with("!Ref Needed", &[("Needed", "010")]), Ok(json!("010")));
}

#[test]
fn ref_gives_what_is_known_of_the_stack() {
    let all = "[!Ref AWS::Region, !Ref AWS::AccountId, !Ref AWS::Partition, !Ref AWS::URLSuffix, \
                   !Ref AWS::StackName, !Ref AWS::StackId]";
    let expected = ["eu-west-1", "111122223333", "aws", "amazonaws.com", "orders", "arn:stack"];
    assert_it(all, expected.to_vec());
    assert_problem("!Ref AWS::NotificationARNs", &format!("It: AWS::NotificationARNs {WHEN_UNKNOWN}"));
    let unknown = template("Resources: {A: {Properties: {It: !Ref AWS::Region}}}");
    let error = unknown.properties("A", &BTreeMap::new(), &Pseudo::default()).unwrap_err();
    assert!(error.to_string().ends_with(&format!("It: AWS::Region {WHEN_UNKNOWN}")), "{error}");
}

#[test]
fn ref_to_anything_else_is_a_problem() {
    assert_problem("!Ref Queue", &format!("It: Ref to the resource Queue {WHEN_UNKNOWN}"));
    assert_problem("!Ref Nobody", "It: Nobody is neither a parameter nor a resource of the template");
    assert_problem(
        "!Ref Needed",
        "It: the parameter Needed has no value and no default; give one with --parameter-overrides Needed=…",
    );
    let stored = format!("It: the parameter Stored, a value in Parameter Store, {WHEN_UNKNOWN}");
    assert_problem("!Ref Stored", &stored);
    let Err(Error::Unresolved(problems)) = it_with("!Ref Stored", &[("Stored", "/other")]) else { panic!() };
    assert_eq!(lines(&problems), stored);
}

#[test]
fn no_value_takes_a_property_or_an_entry_away() {
    assert_it("{a: !Ref AWS::NoValue, b: [x, !Ref AWS::NoValue, y]}", json!({"b": ["x", "y"]}));
    assert_it("!If [NotShop, x, !Ref AWS::NoValue]", Value::Null);
    assert_it("!Join [',', [a, !If [NotShop, b, !Ref AWS::NoValue], c]]", "a,c");
    assert_problem("!Sub '${AWS::NoValue}'", "It: ${AWS::NoValue} in Fn::Sub is not text");
    assert_problem("!Split [',', !Ref AWS::NoValue]", "It: the source of Fn::Split must be text");
}

#[test]
fn ref_with_other_entries_beside_it_is_a_map_of_the_user_s() {
    assert_it("{Ref: Name, Team: orders}", json!({"Ref": "Name", "Team": "orders"}));
    assert_it("{Condition: Shop}", json!({"Condition": "Shop"}));
    assert_problem(
        "{'Fn::Sub': x, Team: orders}",
        "It: Fn::Sub beside other entries is not supported; write the value out, or pass the properties with \
             --properties",
    );
}

#[test]
fn a_parameter_that_is_not_declared_is_reported_instead_of_its_consequences() {
    let error = template(OWN).properties(
        "M2M",
        &given(&[("DeployM2M", "true"), ("DeployM2MStack", "false")]),
        &Pseudo::default(),
    );
    let Err(Error::Unresolved(problems)) = error else { panic!("{error:?}") };
    assert_eq!(problems[0].path, "Parameters.DeployM2M");
    let none = template("Resources: {A: {}}").properties("A", &given(&[("X", "")]), &Pseudo::default());
    assert!(
        none.unwrap_err()
            .to_string()
            .ends_with("Parameters.X: the template does not declare this parameter; declared: none")
    );
}
