use serde_json::json;

use super::{
    super::{Error, Pseudo},
    WHEN_UNKNOWN, assert_it, assert_problem, given, it_with, template,
};

#[test]
fn sub_puts_values_into_text() {
    assert_it("!Sub plain", "plain");
    assert_it("!Sub '${Name}-${Count}-${AWS::Region}'", "shop-60-eu-west-1");
    assert_it("!Sub 'a $${Name} $Name {Name} ${!Name} ${!} ${open'", "a $shop $Name {Name} ${Name} ${} ${open");
    assert_it("!Sub ['${Own}/${Name}', {Own: !Join ['', [x, !Ref Count]], Name: mine}]", "x60/mine");
    assert_it("!Sub ['${a.b}', {a.b: dotted}]", "dotted");
    assert_it("!Sub ['x', {Unused: !GetAtt Queue.Arn}]", "x");
    // A value is put in as it is.
    assert_eq!(it_with("!Sub '${Name}'", &[("Name", "${Count}")]), Ok(json!("${Count}")));
}

#[test]
fn sub_refuses_what_is_no_text() {
    assert_problem("!Sub '${Queue.Arn}'", &format!("It: ${{Queue.Arn}} in Fn::Sub {WHEN_UNKNOWN}"));
    assert_problem("!Sub '${Queue}'", &format!("It: Ref to the resource Queue {WHEN_UNKNOWN}"));
    assert_problem("!Sub '${Names}'", "It: ${Names} in Fn::Sub is not text");
    assert_problem("!Sub ['${a}', {a: {b: c}}]", "It: ${a} in Fn::Sub is not text");
    for name in ["A:-x y", "", " Name"] {
        let rule = "may contain only letters, digits, underscores, periods and colons";
        let problem = format!("It: a name in Fn::Sub {rule}, but is {name:?}; write ${{!…}} to keep it");
        assert_problem(&format!("!Sub '${{{name}}}'"), &problem);
    }
    assert_problem(
        "!Sub '${One} ${One} ${Two}'",
        "It: One is neither a parameter nor a resource of the template\n  \
             It: Two is neither a parameter nor a resource of the template",
    );
}

#[test]
fn join_and_split_are_each_other_s_opposites() {
    assert_it("!Join [':', [a, 1, true, !Ref Name]]", "a:1:true:shop");
    assert_it("!Join ['', !Ref Names]", "abc");
    assert_it("!Join [',', []]", "");
    assert_it("!Split ['|', 'a||c|']", json!(["a", "", "c", ""]));
    assert_it("!Split [', ', !Join [', ', !Ref Names]]", json!(["a", "b", "c"]));
    assert_problem("!Join [',', [[a], b]]", "It: Fn::Join needs a list of texts, but an entry is a list or a map");
    assert_problem("!Join [',', !Ref Name]", "It: Fn::Join needs a list");
    assert_problem("!Split [',', !Ref Names]", "It: the source of Fn::Split must be text");
}

#[test]
fn select_counts_from_zero() {
    assert_it("!Select [0, [a, b]]", "a");
    assert_it("!Select ['1', !Ref Names]", "b");
    assert_it("!Select [!Select [0, ['1']], [a, {b: c}]]", json!({"b": "c"}));
    assert_it("!Select [2, !Split ['-', a-b-c]]", "c");
    for index in ["2", "-1", "one", "1.0"] {
        let problem = format!("It: Fn::Select has no entry {index:?} in a list of 2; the first entry is 0");
        assert_problem(&format!("!Select [{index}, [a, b]]"), &problem);
    }
    assert_problem("!Select [0, a]", "It: Fn::Select needs a list");
    assert_problem("!Select [[0], [a]]", "It: the index of Fn::Select must be text");
}

#[test]
fn find_in_map_finds_text_and_lists() {
    assert_it("!FindInMap [Tiers, !Ref Name, Tier]", "PLUS");
    assert_it("!FindInMap [Tiers, !Ref AWS::AccountId, Tier]", "LITE");
    assert_it("!FindInMap [Tiers, shop, Days]", "30");
    assert_it("!FindInMap [Tiers, shop, Scopes]", json!(["read", "write"]));
    assert_it("!FindInMap [Tiers, nowhere, Tier, {DefaultValue: !Ref Count}]", "60");
    assert_it("!FindInMap [Tiers, shop, Tier, {DefaultValue: !Ref Queue}]", "PLUS");
    for keys in ["Tiers.nowhere.Tier", "Tiers.shop.Nothing", "None.shop.Tier", "Tiers.shop.Odd"] {
        let property = format!("!FindInMap [{}]", keys.replace('.', ", "));
        assert_problem(&property, &format!("It: Fn::FindInMap finds no text or list of texts at {keys}"));
    }
    assert_problem(
        "!FindInMap [Tiers, !Ref Queue, [x]]",
        &format!("It: Ref to the resource Queue {WHEN_UNKNOWN}\n  It: a key of Fn::FindInMap must be text"),
    );
}

#[test]
fn if_takes_one_side_and_does_not_look_at_the_other() {
    assert_it("!If [Shop, yes it is, !GetAtt Queue.Arn]", "yes it is");
    assert_it("!If [NotShop, !GetAtt Queue.Arn, [!If [Sixty, {a: 1}, b]]]", json!([{"a": "1"}]));
    assert_problem("!If [Nowhere, a, b]", "It: the template has no condition \"Nowhere\"");
}

#[test]
fn functions_of_the_deploy_are_problems() {
    assert_problem("!GetAtt Queue.Name", &format!("It: Fn::GetAtt Queue.Name {WHEN_UNKNOWN}"));
    assert_problem("{'Fn::GetAtt': [Queue, Name]}", &format!("It: Fn::GetAtt Queue.Name {WHEN_UNKNOWN}"));
    assert_problem("!ImportValue x", &format!("It: Fn::ImportValue {WHEN_UNKNOWN}"));
    assert_problem("!GetAZs ''", &format!("It: Fn::GetAZs {WHEN_UNKNOWN}"));
    assert_problem("!Transform {Name: AWS::Include}", &format!("It: Fn::Transform {WHEN_UNKNOWN}"));
    for function in ["Base64", "Cidr", "Length", "ToJsonString", "Equals", "ValueOf"] {
        let way_out = "write the value out, or pass the properties with --properties";
        assert_problem(&format!("!{function} [a]"), &format!("It: Fn::{function} is not supported; {way_out}"));
    }
}

#[test]
fn an_import_is_what_another_stack_exports() {
    let template = template(
        "Parameters: {Platform: {Type: String, Default: acme}}\n\
         Resources:\n  \
           Local: {Properties: {ServiceToken: !ImportValue token, Name: x}}\n  \
           Web: {Properties: {Pool: !ImportValue {'Fn::Sub': '${Platform}-Pool'}, List: [!Sub ['${X}/y', {X: !ImportValue b}]]}}\n",
    );
    let exports = [("acme-Pool", "eu-west-1_AbC"), ("b", "{a}")].map(|(name, value)| (name.into(), value.into()));
    let known = Pseudo { exports: Some(exports.into()), ..Pseudo::default() };
    let properties = |pseudo: &Pseudo| template.properties("Web", &given(&[]), pseudo);
    assert_eq!(properties(&known), Ok(json!({ "Pool": "eu-west-1_AbC", "List": ["{a}/y"] })));
    let none = Pseudo { exports: Some([].into()), ..Pseudo::default() };
    let Err(Error::Unresolved(problems)) = properties(&none) else { panic!("there are no exports") };
    assert_eq!(problems[0].to_string(), "List[0]: no stack in this account and region exports b");
    assert_eq!(problems[1].to_string(), "Pool: no stack in this account and region exports acme-Pool");
    assert!(template.imports("Web") && !template.imports("Local") && !template.imports("Nowhere"));
}

#[test]
fn dynamic_references_are_problems_wherever_they_come_from() {
    let problem = format!("It: a dynamic reference ({{{{resolve:…}}}}) {WHEN_UNKNOWN}");
    assert_problem("'{{resolve:ssm:/a}}'", &problem);
    assert_problem("!Sub '{{resolve:ssm:/${Name}}}'", &problem);
    assert_problem("!Ref Linked", &problem);
    assert_problem("!Join [':', ['{{resolve', 'ssm', '/a}}']]", &problem);
}

#[test]
fn functions_with_the_wrong_arguments_are_problems() {
    for function in ["Ref", "Sub", "Join", "Select", "Split", "FindInMap", "If"] {
        let name = if function == "Ref" { "Ref".to_owned() } else { format!("Fn::{function}") };
        let problem = format!("It: {name} has the wrong arguments");
        for arguments in ["{}", "[]", "", "[{}, x, y, z]"] {
            assert_problem(&format!("!{function} {arguments}"), &problem);
        }
    }
    assert_problem("!Split ['', abc]", "It: Fn::Split has the wrong arguments");
}
