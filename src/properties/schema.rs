//! The JSON Schema of the properties, for editors and for checks before a deployment.
//!
//! [`parse`](super::parse()) decides. The schema is built from the same table, refuses nothing that `parse` accepts,
//! and lists the rules that it cannot state.
//!
//! Keywords that begin with `x-` are for the rule of cfn-lint in `lint/`. Validators ignore them. They hold the
//! parser's messages, with `{found}` in the place of what was found, and the rules that a schema cannot state but a
//! program can check in a template:
//!
//! | keyword | contents |
//! |---|---|
//! | `x-message` | the message for a value that breaks the rule; for a list, about the number of entries |
//! | `x-type` | the message for a value of another type, if it is not the usual one |
//! | `x-unknown` | the message for a property that the object does not have |
//! | `x-required` | the message if the property is required and absent |
//! | `x-path` | the property that the message is about, if it is not the one that `then` requires |
//! | `x-unique` | the message for an entry that the list has before; `property` is what must differ |
//! | `x-names` | rules for names that follow from several properties |
//! | `x-scopes` | the greatest number of declared scopes if a client lists none, and the message |

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::{
    messages::{
        CUSTOM_DOMAIN_MESSAGE, IN_ITS_SERVER, IN_THE_LIST, IN_THE_POOL, LITE_LOGIN_MESSAGE, duplicate_message,
        left_out_message, too_many_scopes_message,
    },
    names::names,
    reader::{required_message, unknown_message},
    rules::{Choice, Flag, LISTED_TWICE, NumberRule, ObjectList, OneObject, TextList, TextRule, count_message, plain},
    table::{
        Absent, BY_API, CLIENT_NAME, CLIENTS, CLOUDFORMATIONS_OWN, COGNITO_M2M, COGNITO_M2M_RESOURCE_SERVER,
        CUSTOM_DOMAIN, DEFAULT_CLIENT_SUFFIX, DOMAIN_PREFIX, ENVIRONMENT_NAME, Entry, LITE_LOGIN_VERSION,
        MANAGED_LOGIN_VERSION, MAX_DOMAIN, MAX_POOL_NAME, MAX_SCOPES_PER_CLIENT, MAX_SHARED_WITH, NO_ROTATION, Object,
        PART_SERVER_NAME, REPLICA_REGION, RESERVED_DOMAIN_WORDS, RESOURCE_SERVER, SCOPE_NAME, SECRET_NAME,
        SECRET_NAME_PREFIX, SERVER_IDENTIFIER, SERVER_NAME, TOKEN_ENDPOINT_DOMAIN, TOKEN_SERVICE,
        USER_POOL_NAME_PREFIX, USER_POOL_TIER, properties_of,
    },
    tags::{
        AWS_TAG_PREFIX, KEY_AND_VALUE, KEY_DECLARED_TWICE, TAG_KEY, TAG_VALUE, TAGS_TYPE, TagsRule, aws_key_message,
        tag_key_message, tag_value_message,
    },
};
use crate::model::{ResourceType, Tier, TokenEndpointDomain, ownership::OUR_TAG_PREFIX};

/// Returns the JSON Schema (draft-07) of the properties of a resource type.
#[must_use]
pub fn schema(resource_type: ResourceType) -> Value {
    let mut schema = object(properties_of(resource_type));
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!(resource_type.as_str());
    schema["description"] = json!(format!(
        "{} These are the properties as the provider gets them, with Ref, Fn::Sub and the like resolved; numbers and \
         booleans may be strings. The provider also checks rules that a schema cannot state: {}.",
        purpose(resource_type),
        plain(&rules_outside_schema(resource_type).join("; "))
    ));
    for name in CLOUDFORMATIONS_OWN {
        schema["properties"][name] = json!({ "description": cloudformations_own(name) });
    }
    schema
}

const fn purpose(resource_type: ResourceType) -> &'static str {
    match resource_type {
        ResourceType::CognitoM2M => {
            "A machine-to-machine (OAuth 2 client credentials) stack in Amazon Cognito: a user pool, its domain, its \
             resource servers and scopes, its app clients, and a Secrets Manager secret for each client. All properties \
             are optional, and each can be changed in place."
        }
        ResourceType::CognitoM2MClient => {
            "An app client for machines in an Amazon Cognito user pool that another stack or another tool owns, and its \
             Secrets Manager secret."
        }
        ResourceType::CognitoM2MResourceServer => {
            "A resource server with its scopes in an Amazon Cognito user pool that another stack or another tool owns."
        }
    }
}

/// Returns the rules that the provider checks and the schema of a resource type cannot state, in Markdown.
#[must_use]
pub fn rules_outside_schema(resource_type: ResourceType) -> Vec<String> {
    let number = "a number consists of digits, such as `60`; `60.0` and `6e1` are refused".to_owned();
    let rotation = format!("`RotationDays` is {NO_ROTATION} if the provider does not know its rotation function");
    match resource_type {
        ResourceType::CognitoM2M => rules_of_the_pool(number, rotation),
        ResourceType::CognitoM2MClient => vec![
            "no two entries of a list of `Tags` have the same key".to_owned(),
            "each of `AllowedOAuthScopes` exists in the pool".to_owned(),
            number,
            rotation,
            PARTITION.to_owned(),
            OWN_KEY.to_owned(),
            REPLICA_REGIONS.to_owned(),
        ],
        ResourceType::CognitoM2MResourceServer => {
            vec!["no two scopes have the same `ScopeName`".to_owned(), MARKED_NAME.to_owned()]
        }
    }
}

const MARKED_NAME: &str = "the `Name` of a resource server does not end with ` @` and 16 lower-case hexadecimal digits";

const PARTITION: &str = "each of `SecretReaders` is in the stack's partition";
const OWN_KEY: &str = "`SecretKmsKeyId` names a key of your own if one of `SecretReaders` is in another account";
const REPLICA_REGIONS: &str = "each `Region` of `SecretReplicas` is listed once, and none is the stack's own";

fn rules_of_the_pool(number: String, rotation: String) -> Vec<String> {
    vec![
        format!("`UserPoolNamePrefix`, a hyphen and `EnvironmentName` together have at most {MAX_POOL_NAME} characters"),
        format!("`DomainPrefix`, a hyphen and `EnvironmentName` together have at most {MAX_DOMAIN} characters"),
        format!("`SecretNamePrefix`, a slash and each `ClientName` together have at most {} characters", SECRET_NAME.max),
        format!(
            "`Clients` is required if the pool's name and `{DEFAULT_CLIENT_SUFFIX}` together have more than {} characters",
            CLIENT_NAME.rule.max
        ),
        "no two resource servers have the same `Identifier`, no two scopes of a server the same `ScopeName`, no two \
         clients the same `ClientName`, and no two entries of a list of `Tags` the same key"
            .to_owned(),
        "each of `AllowedOAuthScopes` is declared in `ResourceServers`".to_owned(),
        format!(
            "each client has `AllowedOAuthScopes` if `ResourceServers` declares more than {MAX_SCOPES_PER_CLIENT} scopes"
        ),
        number,
        "a number that is given as text keeps the rule of the text: `7` is an `EnvironmentName`, `-7` and `1.5` are not"
            .to_owned(),
        rotation,
        PARTITION.to_owned(),
        OWN_KEY.to_owned(),
        REPLICA_REGIONS.to_owned(),
        MARKED_NAME.to_owned(),
        format!(
            "`SharedWithStacks`, with a space between two entries, has at most {MAX_SHARED_WITH} characters, and leaves room \
             for one tag less in `Tags`"
        ),
        "`CertificateArn` names a certificate of the stack's partition, in `us-east-1` or, in AWS GovCloud, in \
         `us-gov-west-1`"
            .to_owned(),
    ]
}

/// Returns the schema of an object, whose properties may include CloudFormation's own at any depth.
fn object(table: &Object) -> Value {
    let properties = table.entries.iter().map(|entry| (entry.name().to_owned(), property(entry)));
    let own = CLOUDFORMATIONS_OWN.map(|name| (name.to_owned(), Value::Bool(true)));
    let mut schema = json!({
        "type": "object",
        "properties": properties.chain(own).collect::<Map<_, _>>(),
        "additionalProperties": false,
        "x-unknown": unknown_message(table),
    });
    let is_required = |entry: &&Entry| matches!(entry.absent(), Absent::Refused);
    let required: Vec<_> = table.entries.iter().filter(is_required).map(Entry::name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    let across = rules_across(table);
    if !across.is_empty() {
        schema["allOf"] = json!(across);
    }
    let names = names(table);
    if !names.is_empty() {
        schema["x-names"] = json!(names);
    }
    if table.name == COGNITO_M2M.name {
        schema["x-scopes"] = json!({ "max": MAX_SCOPES_PER_CLIENT, "message": too_many_scopes_message() });
    }
    schema
}

fn property(entry: &Entry) -> Value {
    let mut schema = match entry {
        Entry::Text(property) => text(&property.rule),
        Entry::Number(property) => number(&property.rule),
        Entry::Choice(property) => choice(&property.rule),
        Entry::Flag(_) => flag(),
        Entry::Tags(property) => tags(&property.rule),
        Entry::TextList(property) => text_list(&property.rule),
        Entry::ObjectList(property) => object_list(&property.rule),
        Entry::Object(property) => one_object(&property.rule),
    };
    match entry.absent() {
        Absent::Default(default) => schema["default"] = default(),
        Absent::Refused => schema["x-required"] = json!(required_message(&entry.words())),
        Absent::Described(_) => {}
    }
    // Not every editor shows a rule and a default by itself.
    let default = entry.default_words().map(|words| format!(" Default: {words}.")).unwrap_or_default();
    let description = format!("{} Must be {}.{default}", entry.description(), entry.words());
    schema["description"] = json!(plain(&description));
    schema
}

/// Returns the rules that involve several properties of an object, as far as a schema can state them.
fn rules_across(table: &Object) -> Vec<Value> {
    if table.name == COGNITO_M2M.name {
        vec![
            lite_without_managed_login(),
            domain_without_reserved_words(),
            custom_domain_for_its_clients(),
            required_unless_it_fits(
                USER_POOL_NAME_PREFIX.name,
                &SECRET_NAME,
                SECRET_NAME_PREFIX.name,
                "By default, secrets are named after the pool, but their names allow fewer characters.",
            ),
            required_unless_it_fits(
                USER_POOL_NAME_PREFIX.name,
                &CLIENT_NAME.rule,
                CLIENTS.name,
                "The default client is named after the pool, but its name allows fewer characters.",
            ),
        ]
    } else if table.name == RESOURCE_SERVER.name {
        vec![name_if_the_identifier_is_none(&SERVER_NAME.rule)]
    } else if table.name == COGNITO_M2M_RESOURCE_SERVER.name {
        vec![name_if_the_identifier_is_none(&PART_SERVER_NAME.rule)]
    } else {
        Vec::new()
    }
}

fn name_if_the_identifier_is_none(rule: &TextRule) -> Value {
    required_unless_it_fits(
        SERVER_IDENTIFIER.name,
        rule,
        SERVER_NAME.name,
        "By default, the name is the identifier, but a name allows fewer characters.",
    )
}

fn lite_without_managed_login() -> Value {
    let (tier, version, service) = (USER_POOL_TIER.name, MANAGED_LOGIN_VERSION.name, TOKEN_SERVICE.name);
    json!({
        "$comment": format!("The default {version} needs another tier than {}, if there is a domain.", Tier::Lite),
        "if": {
            "required": [tier],
            "properties": { tier: { "const": Tier::Lite.as_str() }, service: { "not": { "const": BY_API } } },
        },
        "then": { "required": [version], "properties": { version: number(&LITE_LOGIN_VERSION) } },
        "x-message": LITE_LOGIN_MESSAGE,
    })
}

fn custom_domain_for_its_clients() -> Value {
    let (choice, custom) = (TOKEN_ENDPOINT_DOMAIN.name, TokenEndpointDomain::Custom.as_str());
    json!({
        "$comment": "Clients can use only a domain that exists.",
        "if": { "required": [choice], "properties": { choice: { "const": custom } } },
        "then": { "required": [CUSTOM_DOMAIN.name] },
        "x-path": choice,
        "x-message": CUSTOM_DOMAIN_MESSAGE,
    })
}

/// A hyphen joins the two parts of the domain, so a word of the domain is a word of one of them.
fn domain_without_reserved_words() -> Value {
    let service = TOKEN_SERVICE.name;
    let without = json!({ "not": { "type": "string", "pattern": has_word(&RESERVED_DOMAIN_WORDS.join("|")) } });
    json!({
        "$comment": format!("The pool has no domain if {service} is {BY_API}. Cognito reserves some words in a domain."),
        "if": { "required": [service], "properties": { service: { "const": BY_API } } },
        "then": { "properties": { DOMAIN_PREFIX.name: false, CUSTOM_DOMAIN.name: false } },
        "else": { "properties": { ENVIRONMENT_NAME.name: without, DOMAIN_PREFIX.name: without } },
        "x-message": left_out_message(),
    })
}

/// Returns a regular expression that finds one of the words between hyphens.
pub(super) fn has_word(words: &str) -> String {
    format!("(?:^|-)(?:{words})(?:-|$)")
}

/// Requires `then` if `property` is given and does not match the rule's regular expression.
fn required_unless_it_fits(property: &str, rule: &TextRule, then: &str, why: &str) -> Value {
    json!({
        "$comment": why,
        "if": {
            "required": [property],
            "properties": { property: { "type": "string", "not": { "pattern": rule.regex().map(anchored) } } },
        },
        "then": { "required": [then] },
    })
}

fn cloudformations_own(name: &str) -> &'static str {
    match name {
        "ServiceToken" => {
            "The ARN of the provider function, such as !ImportValue cognito-m2m-ServiceToken. CloudFormation needs it \
             to find the provider."
        }
        _ => "How many seconds CloudFormation waits for the provider's answer.",
    }
}

/// Accepts numbers and booleans too if their text keeps the rule.
fn text(rule: &TextRule) -> Value {
    let types = [("string", true), ("number", rule.holds("7")), ("boolean", rule.holds("true") && rule.holds("false"))];
    let types: Vec<_> = types.into_iter().filter(|(_, accepted)| *accepted).map(|(name, _)| name).collect();
    let mut schema = json!({ "type": types });
    restrict(&mut schema, rule);
    schema["x-message"] = json!(rule.message());
    schema
}

pub(super) fn restrict(schema: &mut Value, rule: &TextRule) {
    if rule.min > 0 {
        schema["minLength"] = json!(rule.min);
    }
    schema["maxLength"] = json!(rule.max);
    if let Some(regex) = rule.regex() {
        schema["pattern"] = json!(anchored(regex));
    }
}

pub(super) fn anchored(regex: &str) -> String {
    format!("^{regex}$")
}

fn choice(choice: &Choice) -> Value {
    json!({ "enum": choice.0, "x-message": choice.message() })
}

fn flag() -> Value {
    let [yes, no] = Flag::WORDS;
    json!({ "enum": [true, false, yes, no], "x-message": Choice(&Flag::WORDS).message() })
}

fn text_list(list: &TextList) -> Value {
    let TextList { max, item, may_be_empty } = list;
    let schema = json!({
        "type": "array",
        "minItems": list.min(),
        "maxItems": max,
        "uniqueItems": true,
        "items": text(item),
        "x-message": count_message(list.min(), *max),
        "x-unique": { "message": LISTED_TWICE },
    });
    if *may_be_empty { json!({ "anyOf": [schema, unset_parameter()] }) } else { schema }
}

fn one_object(OneObject(table): &OneObject) -> Value {
    object(table)
}

/// A list that a template parameter of the type `CommaDelimitedList` with an empty value fills.
fn unset_parameter() -> Value {
    json!({ "$comment": "An empty parameter of the type CommaDelimitedList.", "const": [""] })
}

fn object_list(ObjectList { min, max, each }: &ObjectList) -> Value {
    json!({
        "type": "array",
        "minItems": min,
        "maxItems": max,
        "items": object(each),
        "x-message": count_message(*min, *max),
        "x-unique": unique(each),
    })
}

/// Returns the property in which the objects of a list differ.
fn unique(each: &Object) -> Value {
    let (property, place) = match each.name {
        "ResourceServers" => (SERVER_IDENTIFIER.name, IN_THE_POOL),
        "Clients" => (CLIENT_NAME.name, IN_THE_POOL),
        "Scopes" => (SCOPE_NAME.name, IN_ITS_SERVER),
        _ => (REPLICA_REGION.name, IN_THE_LIST),
    };
    json!({ "property": property, "message": duplicate_message(place) })
}

fn tags(rule: &TagsRule) -> Value {
    let reserved_prefixes = format!("{OUR_TAG_PREFIX}|{}", in_any_case(AWS_TAG_PREFIX));
    let mut form = json!({ "x-message": tag_key_message() });
    restrict(&mut form, &TAG_KEY);
    let of_aws = json!({ "pattern": format!("^{}", in_any_case(AWS_TAG_PREFIX)) });
    let ours = json!([{ "enum": rule.reserved }, { "pattern": format!("^{OUR_TAG_PREFIX}") }]);
    let mut value = text(&TAG_VALUE);
    value["x-message"] = json!(tag_value_message());
    json!({
        "type": ["object", "array"],
        "maxProperties": rule.max(),
        "propertyNames": { "allOf": [
            { "not": of_aws, "x-message": aws_key_message() },
            { "not": { "anyOf": ours }, "x-message": rule.own_key_message() },
            form,
        ] },
        "additionalProperties": value,
        "maxItems": rule.max(),
        "anyOf": [
            unset_parameter(),
            { "items": key_and_value(&reserved_prefixes, rule) },
        ],
        "x-type": TAGS_TYPE,
        "x-message": rule.count_message(),
        "x-unique": { "message": KEY_DECLARED_TWICE },
    })
}

/// A tag as `Key=Value`. The first equals sign ends the key.
fn key_and_value(reserved_prefixes: &str, rule: &TagsRule) -> Value {
    // Repeated classes of Unicode would make patterns that validators refuse to compile, so lengths are patterns of
    // their own. `restrict` does not help: a schema can only count the characters of the whole text.
    let too_long_key = format!("^[^=]{{{}}}", TAG_KEY.max + 1);
    let too_long_value = format!("^[^=]*=[^\\n]{{{}}}", TAG_VALUE.max + 1);
    let reserved = format!("^(?:{reserved_prefixes}|(?:{})=)", rule.reserved.join("|"));
    json!({
        "type": "string",
        // The equals sign is one of the characters that both may have.
        "allOf": [{ "pattern": TAG_VALUE.regex().map(anchored) }, { "pattern": "^[^=]+=" }],
        "not": { "anyOf": [
            { "pattern": too_long_key },
            { "pattern": too_long_value },
            { "pattern": reserved },
        ] },
        "x-message": KEY_AND_VALUE,
    })
}

/// Returns a regular expression that ignores the case of letters. JSON Schema has no flag for that.
fn in_any_case(text: &str) -> String {
    let either = |c: char| if c.is_ascii_alphabetic() { format!("[{}{c}]", c.to_ascii_uppercase()) } else { c.into() };
    text.chars().map(either).collect()
}

/// Accepts a whole number and its digits.
fn number(rule: &NumberRule) -> Value {
    let digits = digits(rule.ranges);
    if let [range] = rule.ranges {
        return json!({
            "type": ["integer", "string"],
            "minimum": range.start(),
            "maximum": range.end(),
            "pattern": digits,
            "x-message": rule.message(),
        });
    }
    // Editors can offer the values of an enum. Ranges with a gap between them are short.
    let all: Vec<u32> = rule.ranges.iter().cloned().flatten().collect();
    json!({
        "anyOf": [{ "enum": all }, { "type": "string", "pattern": digits }],
        "x-message": rule.message(),
    })
}

/// Returns a regular expression for the numbers of the ranges. It accepts leading zeros, as the parser does.
fn digits(ranges: &[RangeInclusive<u32>]) -> String {
    let alternatives: Vec<_> = ranges.iter().flat_map(|range| decimals(*range.start(), *range.end())).collect();
    anchored(&format!("0*(?:{})", alternatives.join("|")))
}

/// Returns regular expressions for the numbers from `low` to `high`: the incomplete tens at either end, and the
/// complete tens between them.
fn decimals(low: u32, high: u32) -> Vec<String> {
    let (mut first, mut last) = (low / 10, high / 10);
    if first == last {
        let tens = if first == 0 { String::new() } else { first.to_string() };
        return vec![match (low % 10, high % 10) {
            (low, high) if low == high => format!("{tens}{low}"),
            (low, high) => format!("{tens}[{low}-{high}]"),
        }];
    }
    let mut all = Vec::new();
    // Numbers of one digit have no tens to write before it.
    if first == 0 || !low.is_multiple_of(10) {
        all.extend(decimals(low, first * 10 + 9));
        first += 1;
    }
    let mut end = Vec::new();
    if high % 10 != 9 {
        end = decimals(last * 10, high);
        last -= 1;
    }
    if first <= last {
        all.extend(decimals(first, last).iter().map(|tens| format!("{tens}[0-9]")));
    }
    all.extend(end);
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jsonschema::Validator;

    use super::{
        super::table::{
            ALLOWED_OAUTH_SCOPES, CERTIFICATE_ARN, CLIENT, CUSTOM_DOMAIN_OBJECT, DOMAIN_NAME, REPLICA, SCOPE,
            SECRET_KMS_KEY_ID,
        },
        *,
    };

    fn validator(schema: &Value) -> Validator {
        jsonschema::draft7::new(schema).unwrap()
    }

    /// Every object of the table.
    const OBJECTS: [&Object; 6] = [&COGNITO_M2M, &RESOURCE_SERVER, &SCOPE, &CLIENT, &CUSTOM_DOMAIN_OBJECT, &REPLICA];

    /// Every rule for text, with a name.
    fn text_rules() -> Vec<(&'static str, &'static TextRule)> {
        let mut rules =
            vec![("a tag's key", &TAG_KEY), ("a tag's value", &TAG_VALUE), ("a secret's name", &SECRET_NAME)];
        for entry in OBJECTS.iter().flat_map(|object| object.entries) {
            match entry {
                Entry::Text(property) => rules.push((property.name, &property.rule)),
                Entry::TextList(property) => rules.push((property.name, &property.rule.item)),
                _ => {}
            }
        }
        assert!(rules.len() >= 13);
        rules
    }

    /// Returns texts that try each character, in each place, and the lengths at the limits.
    fn texts(rule: &TextRule) -> Vec<String> {
        let mut all = vec![String::new()];
        // Scripts to which later editions of Unicode add nothing, and white space.
        let chars = ('\0'..='\u{4ff}').chain('\u{1670}'..='\u{1690}').chain('\u{1ff0}'..='\u{2070}');
        for c in chars.chain(['\u{3000}', '\u{feff}', '\u{fffd}', '語', '०', '😀', '\u{10ffff}']) {
            all.extend([c.to_string(), format!("{c}a"), format!("a{c}"), format!("a{c}a")]);
        }
        let few = ['a', 'Z', '0', '-', '/', '.', ' ', '\n'];
        for a in few {
            for b in few {
                all.extend(few.map(|c| format!("{a}{b}{c}")));
            }
        }
        for length in [rule.min, rule.max] {
            for length in length.saturating_sub(1)..=length + 1 {
                all.extend(["a", "語", "😀"].map(|c| c.repeat(length)));
                all.push(format!("a{}a", "-".repeat(length.saturating_sub(2))));
            }
        }
        all
    }

    #[test]
    fn the_regular_expression_of_a_rule_says_what_the_rule_says() {
        for (name, rule) in text_rules() {
            let validator = validator(&text(rule));
            for text in texts(rule) {
                assert_eq!(validator.is_valid(&json!(text)), rule.holds(&text), "{name}: {text:?}");
            }
        }
    }

    /// Compares a rule with its regular expression for every text that differs from a good one in two pieces.
    fn assert_says_the_same(good: &[(&TextRule, &[&'static str])], pieces: &[&'static str]) {
        let (mut held, mut broken) = (0, 0);
        for (rule, whole) in good {
            let validator = validator(&text(rule));
            for (one, other) in (0..whole.len()).flat_map(|one| (0..whole.len()).map(move |other| (one, other))) {
                for (first, second) in pieces.iter().flat_map(|first| pieces.iter().map(move |second| (first, second)))
                {
                    let mut changed = whole.to_vec();
                    changed[one] = first;
                    changed[other] = second;
                    let text = changed.concat();
                    let holds = rule.holds(&text);
                    assert_eq!(validator.is_valid(&json!(text)), holds, "{text:?}");
                    if holds { held += 1 } else { broken += 1 }
                }
            }
        }
        assert!(held > 1000 && broken > 1000, "{held} and {broken}");
    }

    #[test]
    fn the_regular_expression_of_a_key_says_what_its_rule_says() {
        let rule = &SECRET_KMS_KEY_ID.rule;
        assert_says_the_same(
            &[
                (rule, &["x", "-", "1"]),
                (rule, &["alias", "/", "a", "/", "b"]),
                (rule, &["arn", ":", "aws-cn", ":", "kms", ":", "eu", ":", "1", ":", "key", "/", "x"]),
                (rule, &["arn", ":", "aws", ":", "kms", ":", "eu-1", ":", "1", ":", "alias", "/", "x", "/", "_"]),
            ],
            &["", ":", "/", "-", "_", "é", "x", "arn", "arn:", "kms", ":kms:", "key", "key/", "alias", "alias/"],
        );
    }

    #[test]
    fn the_regular_expressions_of_a_host_name_and_a_certificate_say_what_their_rules_say() {
        let certificate =
            ["arn", ":", "aws", ":", "acm", ":", "us-east-1", ":", "111122223333", ":", "certificate/", "a-1"];
        assert_says_the_same(
            &[
                (&DOMAIN_NAME.rule, &["a", ".", "b-c", ".", "d1", ".", "e"]),
                (&DOMAIN_NAME.rule, &["7", ".", "example", ".", "com"]),
                (&CERTIFICATE_ARN.rule, &certificate),
            ],
            &["", ".", "-", "a", "7", "A", "é", ":", "acm", "arn", "us-east-1", "111122223333", "certificate/", "\n"],
        );
    }

    #[test]
    fn the_digits_of_a_range_are_those_of_its_numbers() {
        let check = |low: u32, high: u32, most: u32| {
            let validator = validator(&json!({ "pattern": digits(&[low..=high]) }));
            for number in 0..=most {
                for text in [number.to_string(), format!("0{number}"), format!("000{number}")] {
                    let found = validator.is_valid(&json!(text));
                    assert_eq!(found, (low..=high).contains(&number), "{text} in {low} to {high}");
                }
            }
            for other in ["", "-1", "+1", " 1", "1 ", "1\n", "1.0", "1e0", "١"] {
                assert!(!validator.is_valid(&json!(other)), "{other:?} in {low} to {high}");
            }
        };
        for low in 0..=25 {
            (low..=25).chain(98..=112).for_each(|high| check(low, high, 115));
        }
        for (low, high) in
            [(0, 999), (0, 1000), (5, 1440), (7, 1001), (99, 1001), (100, 2000), (101, 1099), (999, 2109)]
        {
            check(low, high, 2200);
        }
    }

    #[test]
    fn every_property_is_known_and_described() {
        for table in OBJECTS {
            let schema = object(table);
            let names: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, table.entries.iter().map(Entry::name).chain(CLOUDFORMATIONS_OWN).collect());
            for entry in table.entries {
                let description = schema["properties"][entry.name()]["description"].as_str().unwrap_or_default();
                assert!(description.contains(&plain(&entry.words())), "{description:?}");
                assert!(description.len() > 20 && description.ends_with('.'), "{description:?}");
                assert!(entry.description().len() > 20 && entry.description().ends_with('.'), "{description:?}");
            }
        }
        let schema = schema(ResourceType::CognitoM2M);
        for name in CLOUDFORMATIONS_OWN {
            assert!(schema["properties"][name]["description"].is_string(), "{name}");
        }
        for rule in rules_outside_schema(ResourceType::CognitoM2M) {
            assert!(schema["description"].as_str().unwrap().contains(&plain(&rule)), "{rule}");
        }
        for word in RESERVED_DOMAIN_WORDS {
            assert!(DOMAIN_PREFIX.description.contains(&format!("`{word}`")), "{word}");
        }
    }

    #[test]
    fn the_rule_of_a_scope_joins_those_of_its_parts() {
        let parts = [&SERVER_IDENTIFIER.rule, &SCOPE_NAME.rule].map(|rule| rule.regex().unwrap());
        assert_eq!(ALLOWED_OAUTH_SCOPES.rule.item.regex().unwrap(), parts.join("/"));
    }
}
