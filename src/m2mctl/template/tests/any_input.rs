//! No input makes the reader panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Error, Pseudo, Template, parse};

/// Pieces of templates in any order, most of which are wrong in an interesting way.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "é",
        ": ",
        ":",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "!Ref ",
        "!Sub ",
        "!!str ",
        "!",
        "&a ",
        "*a",
        "<<",
        "'",
        "\"",
        "\\",
        "|\n",
        ">\n",
        "~",
        "010",
        "yes",
        "1e999",
        "${a}",
        "${",
        "#",
        "---\n",
        "...\n",
        "? ",
        "%",
        "@",
        "\u{feff}",
        "\u{0}",
        "Resources",
        "Properties",
        "Fn::If",
        "AWS::NoValue",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

/// Values that have functions at every place, with arguments of every kind.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1..3).prop_map(Value::from),
        prop::sample::select(vec!["", "P", "C", "M", "AWS::NoValue", "AWS::Region", "${P}${!x}${M.a}${", ","])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        let names = vec![
            "Ref",
            "Condition",
            "Fn::If",
            "Fn::Sub",
            "Fn::Join",
            "Fn::Select",
            "Fn::Split",
            "Fn::FindInMap",
            "Fn::GetAtt",
            "Fn::Equals",
            "Fn::And",
            "Fn::Or",
            "Fn::Not",
            "DefaultValue",
            "P",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(names), inner, 0..3)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![any::<String>(), pieces()]) {
        let _ = parse(&text);
    }

    #[test]
    fn no_template_makes_it_panic(properties in values(), condition in values(), parameter in values()) {
        let template = Template::new(json!({
            "Parameters": {"P": {"Type": "String", "Default": parameter}},
            "Mappings": {"M": {"P": {"C": condition}}},
            "Conditions": {"C": condition, "P": {"Fn::Equals": [properties, properties]}},
            "Transform": condition,
            "Resources": {"A": {"Properties": properties}, "B": {"Condition": "C", "Properties": condition}, "C": condition},
        }));
        for logical_id in ["A", "B", "C"] {
            match template.properties(logical_id, &BTreeMap::new(), &Pseudo::default()) {
                Err(Error::Unresolved(problems)) => prop_assert!(!problems.is_empty()),
                Err(_) => {}
                Ok(properties) => prop_assert!(properties.to_string().find("\"Fn::").is_none()),
            }
        }
    }
}
