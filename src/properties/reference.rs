//! Holds the tables of `docs/reference.md` to the table of properties.

use crate::model::ResourceType;

use super::{
    schema::rules_outside_schema,
    table::{
        CLIENT, COGNITO_M2M, COGNITO_M2M_CLIENT, COGNITO_M2M_RESOURCE_SERVER, CUSTOM_DOMAIN_OBJECT, Entry, Object,
        REPLICA, RESOURCE_SERVER, SCOPE,
    },
};

const REFERENCE: &str = include_str!("../../docs/reference.md");

/// Returns the row of a property.
fn row(entry: &Entry) -> String {
    let kind = match entry {
        Entry::Text(_) | Entry::Choice(_) => "string",
        Entry::Number(_) => "integer",
        Entry::Flag(_) => "boolean",
        Entry::Tags(_) => "map or list of strings",
        Entry::TextList(_) => "list of strings",
        Entry::ObjectList(_) => "list",
        Entry::Object(_) => "map",
    };
    let default = entry.default_words().unwrap_or_else(|| "required".to_owned());
    let words = entry.words();
    let (first, rest) = words.split_at(1);
    let rule = format!("{}{rest}", first.to_uppercase());
    format!("| `{}` | {kind} | {default} | {rule}. {} |", entry.name(), entry.description())
}

fn table(object: &Object) -> String {
    let rows: Vec<_> = object.entries.iter().map(row).collect();
    format!("| Property | Type | Default | Rule and meaning |\n|---|---|---|---|\n{}", rows.join("\n"))
}

/// Returns the text of a section without its subsections.
fn section(heading: &str) -> &'static str {
    let mark = format!("\n{heading}\n");
    let (_, text) = REFERENCE.split_once(&mark).unwrap_or_else(|| panic!("docs/reference.md has no {heading}"));
    text.split("\n#").next().unwrap_or_default()
}

/// Returns the lines of a section that begin with the mark.
fn lines(heading: &str, mark: char) -> String {
    section(heading).lines().filter(|line| line.starts_with(mark)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_lists_every_property_with_its_rule_and_default() {
    for (heading, object) in [
        ("## Properties", &COGNITO_M2M),
        ("### Each of ResourceServers", &RESOURCE_SERVER),
        ("### Each of Scopes", &SCOPE),
        ("### Each of Clients", &CLIENT),
        ("### CustomDomain", &CUSTOM_DOMAIN_OBJECT),
        ("### Each of SecretReplicas", &REPLICA),
        ("## Custom::CognitoM2MClient", &COGNITO_M2M_CLIENT),
        ("## Custom::CognitoM2MResourceServer", &COGNITO_M2M_RESOURCE_SERVER),
    ] {
        let (expected, found) = (table(object), lines(heading, '|'));
        assert!(found == expected, "docs/reference.md needs this table under {heading}:\n\n{expected}\n");
    }
}

#[test]
fn the_reference_lists_the_rules_that_involve_several_properties() {
    let expected: Vec<_> =
        rules_outside_schema(ResourceType::CognitoM2M).iter().map(|rule| format!("- {rule}")).collect();
    let expected = expected.join("\n");
    let found = lines("### Rules that a schema cannot state", '-');
    assert!(found == expected, "docs/reference.md needs this list:\n\n{expected}\n");
}
