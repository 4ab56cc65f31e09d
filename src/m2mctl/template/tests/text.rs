use serde_json::json;

use super::{parse, syntax_error};

#[test]
fn short_forms_become_long_ones_wherever_they_stand() {
    let text = "
a: !Select [0, !Split [',', !Ref X]]
b: [!If [C, {k: !Sub '${X}'}, !FindInMap [M, !Ref X, z]]]
c: !GetAtt Res.Outputs.Arn
d: !GetAtt [Res, Arn]
e: !Join
  - ''
  - - x
    - !ImportValue y
f: !And [!Condition A, !Not [!Equals [a, b]]]
g: !Base64
  Fn::Sub: x
h: !Transform {Name: AWS::Include}
i: !GetAZs ''
Rule: !Contains [[a], !ValueOf [P, V]]
";
    let expected = json!({
        "a": {"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "X"}]}]},
        "b": [{"Fn::If": ["C", {"k": {"Fn::Sub": "${X}"}}, {"Fn::FindInMap": ["M", {"Ref": "X"}, "z"]}]}],
        "c": {"Fn::GetAtt": ["Res", "Outputs.Arn"]},
        "d": {"Fn::GetAtt": ["Res", "Arn"]},
        "e": {"Fn::Join": ["", ["x", {"Fn::ImportValue": "y"}]]},
        "f": {"Fn::And": [{"Condition": "A"}, {"Fn::Not": [{"Fn::Equals": ["a", "b"]}]}]},
        "g": {"Fn::Base64": {"Fn::Sub": "x"}},
        "h": {"Fn::Transform": {"Name": "AWS::Include"}},
        "i": {"Fn::GetAZs": ""},
        "Rule": {"Fn::Contains": [["a"], {"Fn::ValueOf": ["P", "V"]}]},
    });
    assert_eq!(parse(text), Ok(expected));
}

#[test]
fn scalars_without_quotes_are_read_as_yaml_1_1() {
    let text = "
Übersicht: [ja, yes, Yes, NO, on, OFF, true, False]
letters: [y, Y, n, N]
octal: [010, 007, 0]
numbers: [60, -5, 1.5, 1.10, 0x1F, 123456789012345678901234567890]
kept: [2012-10-17, 0888, 1_000, 1:30, 1.2.3, 10.0.0.0/8, .inf]
multi: yes
  no
empty: [~, null, ]
";
    let value = parse(text).unwrap();
    assert_eq!(value["Übersicht"], json!(["ja", true, true, false, true, false, true, false]));
    assert_eq!(value["letters"], json!(["y", "Y", "n", "N"]));
    assert_eq!(value["octal"], json!([8, 7, 0]));
    assert_eq!(value["numbers"], json!([60, -5, 1.5, 1.1, 31, "123456789012345678901234567890"]));
    assert_eq!(value["kept"], json!(["2012-10-17", "0888", "1_000", "1:30", "1.2.3", "10.0.0.0/8", "inf"]));
    assert_eq!(value["multi"], "yes no");
    assert_eq!(value["empty"], json!([null, null]));
}

#[test]
fn quotes_and_tags_keep_a_scalar_text() {
    let text = r#"
é: ["yes", 'yes', "010", '010', "1.10", "60", "true", "~", ""]
tags: [!!str yes, !!str 010, !Sub yes, !Sub 'no']
block: |-
  yes
"on": 'off'
anchored: [&a "010", *a, &b 010, *b]
"#;
    let value = parse(text).unwrap();
    assert_eq!(value["é"], json!(["yes", "yes", "010", "010", "1.10", "60", "true", "~", ""]));
    assert_eq!(value["tags"], json!(["yes", "010", {"Fn::Sub": "yes"}, {"Fn::Sub": "no"}]));
    assert_eq!(value["block"], "yes");
    assert_eq!(value["on"], "off");
    assert_eq!(value["anchored"], json!(["010", "010", 8, 8]));
}

#[test]
fn json_is_read_as_json() {
    let text = "{\n\t\"a\":\"yes\",\"b\":[\"010\",1.0,null,true],\"c\":\"\\ud83d\\ude00\\/\",\"d\":{\"Ref\":\"X\"}}";
    assert_eq!(parse(text), Ok(json!({"a": "yes", "b": ["010", 1.0, null, true], "c": "😀/", "d": {"Ref": "X"}})));
    assert_eq!(parse("\u{feff}{\"a\": \"\\ud83d\\ude00\"}"), Ok(json!({"a": "😀"})), "behind a byte order mark");
    assert_eq!(parse("\u{feff}a: yes\n"), Ok(json!({"a": true})));
    assert_eq!(parse("{a: !Ref X, b: on}"), Ok(json!({"a": {"Ref": "X"}, "b": true})));
}

#[test]
fn keys_become_text() {
    let value = parse("{111122223333: a, 010: b, yes: c, 1.5: d, e: f}").unwrap();
    assert_eq!(value, json!({"111122223333": "a", "8": "b", "true": "c", "1.5": "d", "e": "f"}));
}

#[test]
fn what_cloudformation_does_not_read_is_refused() {
    for (text, reason) in [
        ("a: !Reff X", "CloudFormation has no tag !Reff"),
        ("a: {b: 1, c: 2, b: 3}", "the key \"b\" appears twice in this map"),
        ("{\"a\": 1, \"a\": 2}", "the key \"a\" appears twice in this map"),
        ("a: &a {b: 1}\nc:\n  <<: *a", "CloudFormation does not support merge keys (<<)"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("? [a]\n: b", "a key must be text"),
        ("~: a", "a key must be text"),
        ("", "its top level is not a map"),
        ("# a comment", "its top level is not a map"),
        ("just text", "its top level is not a map"),
        ("[a, b]", "its top level is not a map"),
        ("a: *b", "unknown anchor"),
        ("a: [", "did not find expected"),
        ("{\"a\": ", "did not find expected"),
        ("a: \"\\q\"", "unknown escape character"),
    ] {
        let error = syntax_error(text);
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn an_error_of_the_text_names_its_place() {
    insta::assert_snapshot!(
        parse("Resources:\n  Auth:\n    Type: !Reff X\n").unwrap_err(),
        @"CloudFormation cannot read this template: Resources.Auth.Type: CloudFormation has no tag !Reff at line 3 column 11"
    );
}

#[test]
fn deep_nesting_and_multiplied_aliases_are_errors() {
    assert!(syntax_error(&format!("a: {}", "[".repeat(1_000_000))).contains("recursion limit"));
    assert!(syntax_error(&"{\"a\":".repeat(1_000_000)).contains("recursion limit"));
    assert!(syntax_error(&format!("a: {}", "!Not [".repeat(900))).contains("recursion limit"));
    assert!(syntax_error(&"{\"a\":".repeat(900)).contains("recursion limit"));
    assert!(syntax_error(&"- ".repeat(10_000)).contains("recursion limit"));
    assert!(parse(&format!("a: [{}]", "[x], {y: z}, ".repeat(10_000))).is_ok());
    assert!(syntax_error("a: &a [*a]").contains("recursion limit"));
    let laugh = |n| format!("a{n}: &a{n} [*a{m}, *a{m}]", m = n - 1);
    let laughs = (1..30).map(laugh).collect::<Vec<_>>().join("\n");
    let error = syntax_error(&format!("a0: &a0 ha\n{laughs}"));
    assert!(error.contains("limit") || error.contains("too large"), "{error}");
    let wide = format!("a: &a [{}]\nb: [{}]", "1,".repeat(3_000), "*a,".repeat(3_000));
    assert!(syntax_error(&wide).contains("too large"));
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), "*a,".repeat(10_000));
    assert!(syntax_error(&long).contains("too large"));
}
