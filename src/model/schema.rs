//! The rules of the properties as a JSON Schema, for editors and for checks before a deployment.
//!
//! [`Desired`](super::Desired) stays the judge. The schema is made of the same constants, refuses
//! nothing that it accepts, and says itself which rules are beyond a schema.

use std::{fmt, ops::RangeInclusive};

use serde_json::{Map, Value, json};

use super::{
    ResourceServer, Tier,
    desired::{
        AWS_TAG_PREFIX, CLIENT_NAME, CLIENT_PROPERTIES, DEFAULT_CLIENT_SUFFIX, DEFAULT_DOMAIN_PREFIX,
        DEFAULT_ENVIRONMENT_NAME, DEFAULT_MANAGED_LOGIN_VERSION, DEFAULT_POOL_NAME_PREFIX, DEFAULT_PROJECT_TAG,
        DEFAULT_RECOVERY_WINDOW_IN_DAYS, DEFAULT_TIER, DEFAULT_VALIDITY_IN_MINUTES, DEFAULT_VERIFY_TOKEN, DOMAIN,
        ENVIRONMENT_NAME, KMS_KEY_ID, LITE_LOGIN_VERSION, MANAGED_LOGIN_VERSION, MAX_CLIENTS, MAX_SCOPES_PER_CLIENT,
        MAX_SCOPES_PER_SERVER, MAX_SERVERS, MAX_TAGS, NO_ROTATION, OUR_TAGS, POOL_NAME, PROPERTIES, PROTECTED,
        RECOVERY_WINDOW_IN_DAYS, RESERVED_DOMAIN_WORDS, ROTATE_SECRETS, ROTATION_DAYS, SCOPE_DESCRIPTION, SCOPE_NAME,
        SCOPE_PROPERTIES, SECRET_NAME, SERVER_IDENTIFIER, SERVER_NAME, SERVER_PROPERTIES, TAG_KEY, TAG_VALUE, TIERS,
        UNPROTECTED, VALIDITY_IN_MINUTES, declared_scopes, default_resource_servers,
    },
    ownership::{OUR_TAG_KEYS, OUR_TAG_PREFIX},
    properties::{FLAGS, NOT_OURS, NumberRule, TextRule},
};

/// What a domain may begin with. It goes on with a hyphen and the environment's name.
const START_OF_DOMAIN: &str = "[a-z0-9][a-z0-9-]*";

/// The JSON Schema (draft-07) of the properties of `Custom::CognitoM2M`.
#[must_use]
pub fn schema() -> Value {
    let mut schema = object(&PROPERTIES, property);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Custom::CognitoM2M");
    schema["description"] = json!(format!(
        "A machine-to-machine (OAuth 2 client credentials) stack in Amazon Cognito: a user pool, its domain, its \
         resource servers and scopes, its app clients, and a Secrets Manager secret for each client. All properties \
         are optional, and each can be changed in place. These are the properties as the provider gets them, with \
         Ref, Fn::Sub and the like resolved; numbers and booleans may be strings. The provider also checks what a \
         schema cannot say: {}.",
        rules_outside_schema().join("; ")
    ));
    for name in NOT_OURS {
        schema["properties"][name] = json!({ "description": cloudformations_own(name) });
    }
    schema["allOf"] = json!([
        {
            "$comment": format!("{} needs a tier other than {}.", DEFAULT_MANAGED_LOGIN_VERSION, Tier::Lite),
            "if": { "required": ["UserPoolTier"], "properties": { "UserPoolTier": { "const": Tier::Lite.as_str() } } },
            "then": {
                "required": ["ManagedLoginVersion"],
                "properties": { "ManagedLoginVersion": number(&LITE_LOGIN_VERSION) },
            },
        },
        unless_it_fits(
            "UserPoolNamePrefix",
            &SECRET_NAME,
            "SecretNamePrefix",
            "By default secrets are named after the pool, whose name may hold what theirs may not.",
        ),
        unless_it_fits(
            "UserPoolNamePrefix",
            &CLIENT_NAME,
            "Clients",
            "The default client is named after the pool, whose name may hold what its may not.",
        ),
    ]);
    schema
}

/// The rules that the provider checks and the schema cannot say.
#[must_use]
pub fn rules_outside_schema() -> [String; 10] {
    [
        format!("UserPoolNamePrefix, a hyphen and EnvironmentName have at most {} characters together", POOL_NAME.max),
        format!("DomainPrefix, a hyphen and EnvironmentName have at most {} characters together", DOMAIN.max),
        format!("SecretNamePrefix, a slash and each ClientName have at most {} characters together", SECRET_NAME.max),
        format!(
            "Clients is required where the pool's name and {DEFAULT_CLIENT_SUFFIX} have more than {} characters \
             together",
            CLIENT_NAME.max
        ),
        "no two servers have the same Identifier, no two scopes of a server the same ScopeName, and no two clients \
         the same ClientName"
            .to_owned(),
        "each of AllowedOAuthScopes is declared in ResourceServers".to_owned(),
        format!("each client has AllowedOAuthScopes where more than {MAX_SCOPES_PER_CLIENT} scopes are declared"),
        "a number is written with digits alone, such as 60, not 60.0 or 6e1".to_owned(),
        "a number that stands for text keeps to the rule of the text: 7 is an EnvironmentName, -7 and 1.5 are not"
            .to_owned(),
        format!("RotationDays is {NO_ROTATION} where the provider does not know its rotation function"),
    ]
}

fn property(name: &str) -> Value {
    match name {
        "EnvironmentName" => {
            Schema::of(without_reserved_words(text(&ENVIRONMENT_NAME))).default(DEFAULT_ENVIRONMENT_NAME).describe(
                "The environment, such as dev or prod: the end of the pool's name and of the domain, and the value of \
                 the tag Environment. A change renames the pool, moves the domain, and by default replaces the secrets \
                 and the default client, which are named after the pool.",
            )
        }
        "UserPoolNamePrefix" => Schema::of(start_of(&POOL_NAME, POOL_NAME.regex(), 1 + ENVIRONMENT_NAME.min))
            .default(DEFAULT_POOL_NAME_PREFIX)
            .describe(
                "The pool's name is this, a hyphen and EnvironmentName. A change renames the pool, and by default \
                 replaces the secrets and the default client, which are named after the pool.",
            ),
        "DomainPrefix" => Schema::of(without_reserved_words(start_of(
            &DOMAIN,
            Some(START_OF_DOMAIN),
            1 + ENVIRONMENT_NAME.min,
        )))
        .default(DEFAULT_DOMAIN_PREFIX)
        .describe(format!(
            "The prefix of the domain is this, a hyphen and EnvironmentName, without the words {}. It is unique in a \
             region over all AWS accounts. A change takes the old domain away before the new one comes: until DNS \
             knows it, nobody gets a token.",
            listed(&RESERVED_DOMAIN_WORDS)
        )),
        "ProjectTag" => Schema::of(text(&TAG_VALUE))
            .default(DEFAULT_PROJECT_TAG)
            .describe("The value of the tag Project on the pool and on its secrets."),
        "Tags" => Schema::of(tags()).default(json!({})).describe(format!(
            "At most {} more tags for the pool and its secrets. Not {}, which the provider sets itself, nor keys that \
             begin with {AWS_TAG_PREFIX} or {OUR_TAG_PREFIX}.",
            MAX_TAGS - OUR_TAGS,
            listed(&OUR_TAG_KEYS)
        )),
        "ResourceServers" => {
            let default = default_resource_servers();
            let scopes: Vec<_> = declared_scopes(&default).collect();
            let scopes = listed(&scopes.iter().map(String::as_str).collect::<Vec<_>>());
            Schema::of(list(MAX_SERVERS, &server())).default(default.iter().map(written).collect::<Value>()).describe(
                format!(
                    "The APIs that tokens are for, with their scopes: 1 to {MAX_SERVERS} servers; by default the \
                     scopes are {scopes}. On a change new scopes come before the clients change and old ones go after \
                     it: no client loses a scope that it has before and after."
                ),
            )
        }
        "Clients" => Schema::of(list(MAX_CLIENTS, &client())).describe(format!(
            "The app clients, each with a secret in Secrets Manager: 1 to {MAX_CLIENTS}. Without it there is one, \
             named after the pool with {DEFAULT_CLIENT_SUFFIX} at the end. The secret of a client that is taken away \
             is deleted, and then the client.",
        )),
        "UserPoolTier" => Schema::of(json!({ "enum": TIERS.map(Tier::as_str) }))
            .default(DEFAULT_TIER.as_str())
            .describe(format!("The feature plan of the pool. {} needs ManagedLoginVersion 1.", Tier::Lite)),
        "ManagedLoginVersion" => {
            Schema::of(number(&MANAGED_LOGIN_VERSION)).default(DEFAULT_MANAGED_LOGIN_VERSION).describe(format!(
                "The branding of the domain's sign-in pages, which nobody signs in on: 1 (classic) or 2 (managed \
                 login, which needs a UserPoolTier other than {}).",
                Tier::Lite
            ))
        }
        "DeletionProtection" => {
            Schema::of(json!({ "enum": [PROTECTED, UNPROTECTED] })).default(UNPROTECTED).describe(format!(
                "{PROTECTED} makes the deletion of the pool, and so of the stack, fail. To delete it, deploy \
                 {UNPROTECTED} first."
            ))
        }
        "SecretNamePrefix" => Schema::of(start_of(&SECRET_NAME, SECRET_NAME.regex(), 1 + CLIENT_NAME.min)).describe(
            "A secret's name is this, a slash and the ClientName; by default this is the pool's name. A change makes \
             new secrets with the same credentials and new ARNs, and deletes the old ones.",
        ),
        "SecretKmsKeyId" => Schema::of(text(&KMS_KEY_ID)).describe(
            "The KMS key that encrypts the secrets: a key id, a key ARN, alias/ and a name, or an alias ARN; by \
             default the AWS managed key. The functions' roles must be allowed to use it.",
        ),
        "SecretRecoveryWindowInDays" => {
            Schema::of(number(&RECOVERY_WINDOW_IN_DAYS)).default(DEFAULT_RECOVERY_WINDOW_IN_DAYS).describe(format!(
                "For how many days a deleted secret can be restored: {}. A change counts for later deletions.",
                RECOVERY_WINDOW_IN_DAYS.says
            ))
        }
        "RotationDays" => Schema::of(number(&ROTATION_DAYS)).default(NO_ROTATION).describe(format!(
            "Secrets Manager gives each client a new secret every so many days: {}. The former secret works until the \
             next rotation. A change of this property rotates nothing by itself.",
            ROTATION_DAYS.says
        )),
        "RotateSecrets" => Schema::of(text(&ROTATE_SECRETS)).default("").describe(
            "Any text, such as a date. A deployment with a value other than the present one and the one before it \
             gives each client a new secret, once; the former secret works until the next rotation.",
        ),
        "VerifyToken" => Schema::of(flag()).default(DEFAULT_VERIFY_TOKEN).describe(
            "Whether the provider gets a token for each client that a deployment adds or changes, and checks it; a \
             refusal fails the deployment. These tokens are billed.",
        ),
        _ => Value::Bool(true),
    }
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

fn server() -> Value {
    let mut server = object(&SERVER_PROPERTIES, |name| match name {
        "Identifier" => Schema::of(text(&SERVER_IDENTIFIER)).describe(
            "What the server's scopes begin with, such as orders or https://api.example.com; unique in the pool. A \
             change makes a new server and takes the old one away.",
        ),
        "Name" => Schema::of(text(&SERVER_NAME)).describe(
            "A name for people; by default the Identifier. Required where the Identifier holds what a name may not, \
             as a URL does.",
        ),
        "Scopes" => Schema::of(list(MAX_SCOPES_PER_SERVER, &scope()))
            .describe(format!("The server's scopes: 1 to {MAX_SCOPES_PER_SERVER}, with different names.")),
        _ => Value::Bool(true),
    });
    server["required"] = json!(["Identifier", "Scopes"]);
    server["allOf"] = json!([unless_it_fits(
        "Identifier",
        &SERVER_NAME,
        "Name",
        "By default the name is the identifier, which may hold what a name may not.",
    )]);
    server
}

fn scope() -> Value {
    let mut scope = object(&SCOPE_PROPERTIES, |name| match name {
        "ScopeName" => Schema::of(text(&SCOPE_NAME)).describe(
            "The scope's name in its server, such as read. In a token it stands after the Identifier and a slash.",
        ),
        "ScopeDescription" => {
            Schema::of(text(&SCOPE_DESCRIPTION)).describe("What the scope allows, for people; by default its name.")
        }
        _ => Value::Bool(true),
    });
    scope["required"] = json!(["ScopeName"]);
    scope
}

fn client() -> Value {
    let mut client = object(&CLIENT_PROPERTIES, |name| match name {
        "ClientName" => Schema::of(text(&CLIENT_NAME)).describe(
            "What the client is known by, and the end of its secret's name. A change makes a new client with a new id \
             and a new secret, and takes the old one away.",
        ),
        "AllowedOAuthScopes" => Schema::of(allowed_scopes()).describe(format!(
            "The scopes that the client may ask for, each as Identifier/ScopeName: 1 to {MAX_SCOPES_PER_CLIENT}; by \
             default all that are declared. A change leaves the client's id and secret as they are.",
        )),
        "AccessTokenValidityMinutes" => {
            Schema::of(number(&VALIDITY_IN_MINUTES)).default(DEFAULT_VALIDITY_IN_MINUTES).describe(format!(
                "How long the client's access tokens are valid, in minutes: {}. A change counts for later tokens.",
                VALIDITY_IN_MINUTES.says
            ))
        }
        _ => Value::Bool(true),
    });
    client["required"] = json!(["ClientName"]);
    client
}

/// A schema with what an editor shows of it.
struct Schema(Value);

impl Schema {
    fn of(schema: Value) -> Self {
        Self(schema)
    }

    fn default(mut self, value: impl Into<Value>) -> Self {
        self.0["default"] = value.into();
        self
    }

    /// Names a scalar default, which not every editor shows by itself.
    fn describe(mut self, description: impl fmt::Display) -> Value {
        let default = match self.0.get("default") {
            Some(Value::String(text)) if text.is_empty() => " Default: empty.".to_owned(),
            Some(Value::String(text)) => format!(" Default: {text}."),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => format!(" Default: {value}."),
            _ => String::new(),
        };
        self.0["description"] = json!(format!("{description}{default}"));
        self.0
    }
}

/// A map of the known properties, and of CloudFormation's own, which may stand at any depth.
fn object(known: &[&str], property: impl Fn(&str) -> Value) -> Value {
    let ours = known.iter().map(|name| ((*name).to_owned(), property(name)));
    let not_ours = NOT_OURS.map(|name| (name.to_owned(), Value::Bool(true)));
    json!({
        "type": "object",
        "properties": ours.chain(not_ours).collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

fn list(most: usize, items: &Value) -> Value {
    json!({ "type": "array", "minItems": 1, "maxItems": most, "items": items })
}

/// Text of the rule. A number or a boolean is taken as the text that it is written as.
fn text(rule: &TextRule) -> Value {
    let mut schema = json!({ "type": ["string", "number", "boolean"] });
    hold_to(&mut schema, rule.min, rule.max, rule.regex());
    schema
}

/// Text that at least `rest` characters follow in what the rule is for.
fn start_of(rule: &TextRule, regex: Option<&str>, rest: usize) -> Value {
    let mut schema = json!({ "type": ["string", "number", "boolean"] });
    hold_to(&mut schema, 1, rule.max - rest, regex);
    schema
}

fn hold_to(schema: &mut Value, min: usize, max: usize, regex: Option<&str>) {
    if min > 0 {
        schema["minLength"] = json!(min);
    }
    schema["maxLength"] = json!(max);
    if let Some(regex) = regex {
        schema["pattern"] = json!(anchored(regex));
    }
}

fn anchored(regex: &str) -> String {
    format!("^{regex}$")
}

/// The domain ends in the environment's name, so neither of its parts may hold one of the words.
/// The words have no hyphen, so none can lie across both.
fn without_reserved_words(mut schema: Value) -> Value {
    schema["not"] = json!({ "type": "string", "pattern": RESERVED_DOMAIN_WORDS.join("|") });
    schema
}

fn tags() -> Value {
    let mut keys = json!({
        "not": {
            "anyOf": [
                { "enum": OUR_TAG_KEYS },
                { "pattern": format!("^(?:{OUR_TAG_PREFIX}|{})", in_any_case(AWS_TAG_PREFIX)) },
            ],
        },
    });
    hold_to(&mut keys, TAG_KEY.min, TAG_KEY.max, TAG_KEY.regex());
    json!({
        "type": "object",
        "maxProperties": MAX_TAGS - OUR_TAGS,
        "propertyNames": keys,
        "additionalProperties": text(&TAG_VALUE),
    })
}

/// JSON Schema has no flag for it.
fn in_any_case(text: &str) -> String {
    let either = |c: char| if c.is_ascii_alphabetic() { format!("[{}{c}]", c.to_ascii_uppercase()) } else { c.into() };
    text.chars().map(either).collect()
}

/// No number and no boolean holds the slash of a scope.
fn allowed_scopes() -> Value {
    let mut scope = json!({ "type": "string" });
    let regex = SERVER_IDENTIFIER.regex().zip(SCOPE_NAME.regex()).map(|(server, scope)| format!("{server}/{scope}"));
    let (min, max) = (SERVER_IDENTIFIER.min + 1 + SCOPE_NAME.min, SERVER_IDENTIFIER.max + 1 + SCOPE_NAME.max);
    hold_to(&mut scope, min, max, regex.as_deref());
    let mut scopes = list(MAX_SCOPES_PER_CLIENT, &scope);
    scopes["uniqueItems"] = json!(true);
    scopes
}

fn flag() -> Value {
    json!({ "enum": [true, false, FLAGS[0], FLAGS[1]] })
}

/// A whole number of the rule, or its digits.
fn number(rule: &NumberRule) -> Value {
    let digits = digits(rule.ranges);
    if let [range] = rule.ranges {
        return json!({
            "type": ["integer", "string"],
            "minimum": range.start(),
            "maximum": range.end(),
            "pattern": digits,
        });
    }
    // An enum is what editors can offer; ranges with a gap between them are short.
    let all: Vec<u32> = rule.ranges.iter().cloned().flatten().collect();
    json!({ "anyOf": [{ "enum": all }, { "type": "string", "pattern": digits }] })
}

/// A regular expression for the numbers of the ranges. It admits leading zeros, as the reader does.
fn digits(ranges: &[RangeInclusive<u32>]) -> String {
    let alternatives: Vec<_> = ranges.iter().flat_map(|range| decimals(*range.start(), *range.end())).collect();
    anchored(&format!("0*(?:{})", alternatives.join("|")))
}

/// Regular expressions for the numbers from `low` to `high`: the tens that are there in part at
/// either end, and the whole tens between them.
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

/// `then` is required where `property` is given and the rule's regular expression is not for it.
fn unless_it_fits(property: &str, rule: &TextRule, then: &str, why: &str) -> Value {
    json!({
        "$comment": why,
        "if": {
            "required": [property],
            "properties": { property: { "type": "string", "not": { "pattern": rule.regex().map(anchored) } } },
        },
        "then": { "required": [then] },
    })
}

/// A server as a template declares it, without what goes without saying.
fn written(server: &ResourceServer) -> Value {
    let ResourceServer { identifier, name, scopes } = server;
    let scopes: Value = scopes
        .iter()
        .map(|scope| {
            let mut written = json!({ "ScopeName": scope.name });
            if scope.description != scope.name {
                written["ScopeDescription"] = json!(scope.description);
            }
            written
        })
        .collect();
    let mut written = json!({ "Identifier": identifier, "Scopes": scopes });
    if name != identifier {
        written["Name"] = json!(name);
    }
    written
}

fn listed(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jsonschema::Validator;

    use super::*;

    fn validator(schema: &Value) -> Validator {
        jsonschema::draft7::new(schema).unwrap()
    }

    const RULES: [(&str, TextRule); 13] = [
        ("ENVIRONMENT_NAME", ENVIRONMENT_NAME),
        ("POOL_NAME", POOL_NAME),
        ("DOMAIN", DOMAIN),
        ("TAG_KEY", TAG_KEY),
        ("TAG_VALUE", TAG_VALUE),
        ("SERVER_IDENTIFIER", SERVER_IDENTIFIER),
        ("SERVER_NAME", SERVER_NAME),
        ("SCOPE_NAME", SCOPE_NAME),
        ("SCOPE_DESCRIPTION", SCOPE_DESCRIPTION),
        ("CLIENT_NAME", CLIENT_NAME),
        ("SECRET_NAME", SECRET_NAME),
        ("KMS_KEY_ID", KMS_KEY_ID),
        ("ROTATE_SECRETS", ROTATE_SECRETS),
    ];

    /// Texts in which each character and each place of a rule has its turn.
    fn texts(rule: &TextRule) -> Vec<String> {
        let mut all = vec![String::new()];
        // Scripts that later editions of Unicode add nothing to, and its white space.
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
        for (name, rule) in RULES {
            let validator = validator(&text(&rule));
            for text in texts(&rule) {
                assert_eq!(validator.is_valid(&json!(text)), rule.holds(&text), "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn the_regular_expression_of_a_key_says_what_its_rule_says() {
        let validator = validator(&text(&KMS_KEY_ID));
        let (mut held, mut broken) = (0, 0);
        let pieces =
            ["", ":", "/", "-", "_", "é", "x", "arn", "arn:", "kms", ":kms:", "key", "key/", "alias", "alias/"];
        for whole in [
            vec!["x", "-", "1"],
            vec!["alias", "/", "a", "/", "b"],
            vec!["arn", ":", "aws-cn", ":", "kms", ":", "eu", ":", "1", ":", "key", "/", "x"],
            vec!["arn", ":", "aws", ":", "kms", ":", "eu-1", ":", "1", ":", "alias", "/", "x", "/", "_"],
        ] {
            // Every text that two pieces in other places make of a good one.
            for (one, other) in (0..whole.len()).flat_map(|one| (0..whole.len()).map(move |other| (one, other))) {
                for (first, second) in pieces.iter().flat_map(|first| pieces.iter().map(move |second| (first, second)))
                {
                    let mut changed = whole.clone();
                    changed[one] = first;
                    changed[other] = second;
                    let text = changed.concat();
                    let holds = KMS_KEY_ID.holds(&text);
                    assert_eq!(validator.is_valid(&json!(text)), holds, "{text:?}");
                    if holds { held += 1 } else { broken += 1 }
                }
            }
        }
        assert!(held > 1000 && broken > 1000, "{held} and {broken}");
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
        let schema = schema();
        let server = &schema["properties"]["ResourceServers"]["items"];
        for (object, known) in [
            (&schema, &PROPERTIES[..]),
            (server, &SERVER_PROPERTIES),
            (&server["properties"]["Scopes"]["items"], &SCOPE_PROPERTIES),
            (&schema["properties"]["Clients"]["items"], &CLIENT_PROPERTIES),
        ] {
            let names: BTreeSet<&str> = object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, known.iter().copied().chain(NOT_OURS).collect());
            for name in known {
                let description = object["properties"][name]["description"].as_str().unwrap_or_default();
                assert!(description.len() > 20 && description.ends_with('.'), "{name}: {description:?}");
            }
        }
        for name in NOT_OURS {
            assert!(schema["properties"][name]["description"].is_string(), "{name}");
        }
        for rule in rules_outside_schema() {
            assert!(schema["description"].as_str().unwrap().contains(&rule), "{rule}");
        }
    }
}
