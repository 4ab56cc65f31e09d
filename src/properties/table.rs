//! The table of properties. It is the only place that says what a property is called, what it may be, what it is if it
//! is absent, and what it is for.

use serde_json::{Value, json};

use super::{
    rules::{Choice, Flag, Form, NumberRule, ObjectList, OneObject, Rule, TextList, TextRule},
    tags::{TAG_VALUE, TagsRule},
};
use crate::model::{
    ClientId, PoolId, ResourceType, Tier, TokenEndpointDomain,
    desired::{MAX_SCOPES_PER_SERVER, MAX_SERVERS},
    mark::MARK_SUFFIX_LEN,
    ownership::{MANAGED_BY, OUR_TAG_KEYS},
};

/// A property with its rule.
pub(super) struct Property<R> {
    pub(super) name: &'static str,
    pub(super) rule: R,
    pub(super) absent: Absent,
    /// Whole sentences in Markdown: what the property is for, and what a change of it does.
    pub(super) description: &'static str,
}

/// What it means that a property is absent.
pub(super) enum Absent {
    /// The property is required.
    Refused,
    /// The property has this value.
    Default(fn() -> Value),
    /// The default depends on other things. These words describe it, in Markdown; `parse` supplies it.
    Described(&'static str),
}

/// A property of any kind.
pub(super) enum Entry {
    Text(&'static Property<TextRule>),
    Number(&'static Property<NumberRule>),
    Choice(&'static Property<Choice>),
    Flag(&'static Property<Flag>),
    Tags(&'static Property<TagsRule>),
    TextList(&'static Property<TextList>),
    ObjectList(&'static Property<ObjectList>),
    Object(&'static Property<OneObject>),
}

/// Binds what the properties of all kinds have, whatever their rule is.
macro_rules! any_kind {
    ($property:pat) => {
        Entry::Text($property)
            | Entry::Number($property)
            | Entry::Choice($property)
            | Entry::Flag($property)
            | Entry::Tags($property)
            | Entry::TextList($property)
            | Entry::ObjectList($property)
            | Entry::Object($property)
    };
}

impl Entry {
    pub(super) const fn name(&self) -> &'static str {
        let any_kind!(Property { name, .. }) = self;
        name
    }

    pub(super) const fn absent(&self) -> &'static Absent {
        let any_kind!(Property { absent, .. }) = self;
        absent
    }

    pub(super) const fn description(&self) -> &'static str {
        let any_kind!(Property { description, .. }) = self;
        description
    }

    /// Returns what follows "must be", in Markdown.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Text(property) => property.rule.words(),
            Self::Number(property) => property.rule.words(),
            Self::Choice(property) => property.rule.words(),
            Self::Flag(property) => property.rule.words(),
            Self::Tags(property) => property.rule.words(),
            Self::TextList(property) => property.rule.words(),
            Self::ObjectList(property) => property.rule.words(),
            Self::Object(property) => property.rule.words(),
        }
    }

    /// Returns the default in Markdown, or `None` if the property is required.
    pub(super) fn default_words(&self) -> Option<String> {
        match self.absent() {
            Absent::Refused => None,
            Absent::Described(words) => Some((*words).to_owned()),
            Absent::Default(default) => Some(match default() {
                Value::String(text) if text.is_empty() => "empty".to_owned(),
                Value::String(text) => format!("`{text}`"),
                Value::Object(map) if map.is_empty() => "none".to_owned(),
                Value::Array(list) if list.is_empty() => "none".to_owned(),
                value => format!("`{value}`"),
            }),
        }
    }
}

/// A map of properties.
pub(super) struct Object {
    /// The resource type, or the property that is or lists such objects.
    pub(super) name: &'static str,
    pub(super) entries: &'static [Entry],
}

/// CloudFormation adds these to the properties of every custom resource.
pub(super) const CLOUDFORMATIONS_OWN: [&str; 2] = ["ServiceToken", "ServiceTimeout"];

pub(super) const COGNITO_M2M: Object = Object {
    name: ResourceType::CognitoM2M.as_str(),
    entries: &[
        Entry::Text(&ENVIRONMENT_NAME),
        Entry::Text(&USER_POOL_NAME_PREFIX),
        Entry::Choice(&TOKEN_SERVICE),
        Entry::Text(&DOMAIN_PREFIX),
        Entry::Text(&PROJECT_TAG),
        Entry::Tags(&TAGS),
        Entry::ObjectList(&RESOURCE_SERVERS),
        Entry::ObjectList(&CLIENTS),
        Entry::Choice(&USER_POOL_TIER),
        Entry::Number(&MANAGED_LOGIN_VERSION),
        Entry::Choice(&DELETION_PROTECTION),
        Entry::Text(&SECRET_NAME_PREFIX),
        Entry::Text(&SECRET_KMS_KEY_ID),
        Entry::Number(&SECRET_RECOVERY_WINDOW_IN_DAYS),
        Entry::ObjectList(&SECRET_REPLICAS),
        Entry::Number(&ROTATION_DAYS),
        Entry::Text(&ROTATE_SECRETS),
        Entry::Flag(&VERIFY_TOKEN),
        Entry::TextList(&SHARED_WITH_STACKS),
        Entry::Object(&CUSTOM_DOMAIN),
        Entry::Choice(&TOKEN_ENDPOINT_DOMAIN),
    ],
};

/// A client in somebody else's pool.
pub(super) const COGNITO_M2M_CLIENT: Object = Object {
    name: ResourceType::CognitoM2MClient.as_str(),
    entries: &[
        Entry::Text(&USER_POOL_ID),
        Entry::Text(&PART_CLIENT_NAME),
        Entry::TextList(&PART_ALLOWED_OAUTH_SCOPES),
        Entry::Number(&ACCESS_TOKEN_VALIDITY_MINUTES),
        Entry::Text(&PART_SECRET_NAME),
        Entry::Text(&SECRET_KMS_KEY_ID),
        Entry::Number(&SECRET_RECOVERY_WINDOW_IN_DAYS),
        Entry::TextList(&SECRET_READERS),
        Entry::ObjectList(&SECRET_REPLICAS),
        Entry::Number(&ROTATION_DAYS),
        Entry::Text(&ROTATE_SECRET),
        Entry::Flag(&VERIFY_TOKEN),
        Entry::Tags(&PART_TAGS),
        Entry::Text(&ADOPT_CLIENT_ID),
        Entry::Choice(&PART_TOKEN_ENDPOINT_DOMAIN),
    ],
};

/// A resource server in somebody else's pool.
pub(super) const COGNITO_M2M_RESOURCE_SERVER: Object = Object {
    name: ResourceType::CognitoM2MResourceServer.as_str(),
    entries: &[
        Entry::Text(&USER_POOL_ID),
        Entry::Text(&PART_IDENTIFIER),
        Entry::Text(&PART_SERVER_NAME),
        Entry::ObjectList(&SCOPES),
    ],
};

/// Returns the properties of a resource type.
pub(super) const fn properties_of(resource_type: ResourceType) -> &'static Object {
    match resource_type {
        ResourceType::CognitoM2M => &COGNITO_M2M,
        ResourceType::CognitoM2MClient => &COGNITO_M2M_CLIENT,
        ResourceType::CognitoM2MResourceServer => &COGNITO_M2M_RESOURCE_SERVER,
    }
}

pub(super) const RESOURCE_SERVER: Object = Object {
    name: "ResourceServers",
    entries: &[Entry::Text(&SERVER_IDENTIFIER), Entry::Text(&SERVER_NAME), Entry::ObjectList(&SCOPES)],
};

pub(super) const SCOPE: Object =
    Object { name: "Scopes", entries: &[Entry::Text(&SCOPE_NAME), Entry::Text(&SCOPE_DESCRIPTION)] };

pub(super) const CLIENT: Object = Object {
    name: "Clients",
    entries: &[
        Entry::Text(&CLIENT_NAME),
        Entry::TextList(&ALLOWED_OAUTH_SCOPES),
        Entry::Number(&ACCESS_TOKEN_VALIDITY_MINUTES),
        Entry::TextList(&SECRET_READERS),
    ],
};

pub(super) const CUSTOM_DOMAIN_OBJECT: Object = Object {
    name: "CustomDomain",
    entries: &[Entry::Text(&DOMAIN_NAME), Entry::Text(&CERTIFICATE_ARN), Entry::Choice(&SECURITY_POLICY)],
};

pub(super) const REPLICA: Object =
    Object { name: "SecretReplicas", entries: &[Entry::Text(&REPLICA_REGION), Entry::Text(&REPLICA_KMS_KEY_ID)] };

// The resource

const MAX_ENVIRONMENT_NAME: usize = 32;

pub(super) const ENVIRONMENT_NAME: Property<TextRule> = Property {
    name: "EnvironmentName",
    rule: TextRule {
        min: 1,
        max: MAX_ENVIRONMENT_NAME,
        form: Form::Pattern {
            words: "lower-case letters, digits and hyphens, with no hyphen at either end",
            printed: "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?",
            regex: None,
        },
        matches: |text| is_domain_text(text) && !text.starts_with('-') && !text.ends_with('-'),
    },
    absent: Absent::Default(|| json!("dev")),
    description: "The environment, such as `dev` or `prod`. The names of the pool and the domain end with it, and it \
                  is the value of the tag `Environment`. A change renames the pool and moves the domain. By default \
                  it also replaces the secrets and the default client, because they are named after the pool.",
};

/// The shortest end of a name that begins with a prefix: a hyphen or slash, and one character.
const MIN_REST: usize = 2;

/// The longest pool name.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPool.html>
pub(super) const MAX_POOL_NAME: usize = 128;

pub(super) const USER_POOL_NAME_PREFIX: Property<TextRule> = Property {
    name: "UserPoolNamePrefix",
    rule: TextRule { min: 1, max: MAX_POOL_NAME - MIN_REST, form: NAME_FORM, matches: is_name },
    absent: Absent::Default(|| json!("machine-to-machine")),
    description: "The pool's name is `<UserPoolNamePrefix>-<EnvironmentName>`. A change renames the pool. By default \
                  it also replaces the secrets and the default client, because they are named after the pool.",
};

pub(super) const BY_DOMAIN: &str = "DOMAIN";
pub(super) const BY_API: &str = "API";

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetClientToken.html>
pub(super) const TOKEN_SERVICE: Property<Choice> = Property {
    name: "TokenService",
    rule: Choice(&[BY_DOMAIN, BY_API]),
    absent: Absent::Default(|| json!(BY_DOMAIN)),
    description: "Where the clients get their tokens: at the token endpoint of the pool's domain, or by Cognito's \
                  operation `GetClientToken`. With `API` the pool has no domain, so it can be reached over PrivateLink. \
                  A change keeps the ids and secrets, but the consumers must ask for tokens in another way.",
};

/// The longest domain. Its pattern is `^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPoolDomain.html>
pub(super) const MAX_DOMAIN: usize = 63;
/// A domain is refused if one of the words between its hyphens is one of these.
pub(super) const RESERVED_DOMAIN_WORDS: [&str; 3] = ["aws", "amazon", "cognito"];

pub(super) const DOMAIN_PREFIX: Property<TextRule> = Property {
    name: "DomainPrefix",
    rule: TextRule {
        min: 1,
        max: MAX_DOMAIN - MIN_REST,
        form: Form::Pattern {
            words: "lower-case letters, digits and hyphens, with no hyphen in front",
            printed: "[a-z0-9][a-z0-9-]*",
            regex: None,
        },
        matches: |text| is_domain_text(text) && !text.starts_with('-'),
    },
    absent: Absent::Default(|| json!("m2m-rubicon")),
    description: "The domain is `<DomainPrefix>-<EnvironmentName>`. It is unique in its region across all AWS \
                  accounts. None of the words between its hyphens is `aws`, `amazon` or `cognito`. A change deletes \
                  the old domain before it creates the new one: no client gets a token until DNS knows the new name. \
                  Leave it out if `TokenService` is `API`.",
};

pub(super) const PROJECT_TAG: Property<TextRule> = Property {
    name: "ProjectTag",
    rule: TAG_VALUE,
    absent: Absent::Default(|| json!("m2m-auth")),
    description: "The value of the tag `Project` on the pool and its secrets.",
};

pub(super) const TAGS: Property<TagsRule> = Property {
    name: "Tags",
    rule: TagsRule { reserved: &OUR_TAG_KEYS },
    absent: Absent::Default(|| json!({})),
    description: "More tags for the pool and its secrets: a map, or a list of `Key=Value`. A template parameter of \
                  the type `CommaDelimitedList` can fill the list; if its value is empty, there are no tags.",
};

pub(super) const RESOURCE_SERVERS: Property<ObjectList> = Property {
    name: "ResourceServers",
    rule: ObjectList { min: 1, max: MAX_SERVERS, each: &RESOURCE_SERVER },
    absent: Absent::Default(
        || json!([{ "Identifier": "m2m-client", "Scopes": [{ "ScopeName": "read" }, { "ScopeName": "write" }] }]),
    ),
    description: "The APIs that tokens are for, with their scopes. An update adds new scopes before it changes the \
                  clients, and removes old scopes afterwards. So no client loses a scope that it keeps.",
};

/// The provider's own limit. Cognito's quotas pace the calls for each client, and the function has 15 minutes.
const MAX_CLIENTS: usize = 100;

pub(super) const CLIENTS: Property<ObjectList> = Property {
    name: "Clients",
    rule: ObjectList { min: 1, max: MAX_CLIENTS, each: &CLIENT },
    absent: Absent::Described("one client, `<pool's name>-client`"),
    description: "The app clients. Each has a name of its own, and a secret in Secrets Manager. An update that removes \
                  a client deletes its secret, and then the client.",
};
/// The end of the default client's name. The pool's name comes before it.
pub(super) const DEFAULT_CLIENT_SUFFIX: &str = "-client";

pub(super) const USER_POOL_TIER: Property<Choice> = Property {
    name: "UserPoolTier",
    rule: Choice(&[Tier::Lite.as_str(), Tier::Essentials.as_str(), Tier::Plus.as_str()]),
    absent: Absent::Default(|| json!(Tier::Essentials.as_str())),
    description: "The feature plan of the pool. `LITE` needs `ManagedLoginVersion` 1, unless `TokenService` is `API`.",
};

pub(super) const MANAGED_LOGIN_VERSION: Property<NumberRule> = Property {
    name: "ManagedLoginVersion",
    rule: NumberRule { ranges: &[1..=2] },
    absent: Absent::Default(|| json!(2)),
    description: "The branding of the domain's sign-in pages, which machine clients never see: 1 is the classic \
                  hosted UI, 2 is managed login. 2 needs a `UserPoolTier` other than `LITE`. It has no effect if \
                  `TokenService` is `API`.",
};
/// The tier `LITE` has no managed login.
pub(super) const LITE_LOGIN_VERSION: NumberRule = NumberRule { ranges: &[1..=1] };

pub(super) const PROTECTED: &str = "ACTIVE";

pub(super) const DELETION_PROTECTION: Property<Choice> = Property {
    name: "DeletionProtection",
    rule: Choice(&[PROTECTED, "INACTIVE"]),
    absent: Absent::Default(|| json!("INACTIVE")),
    description: "`ACTIVE` makes the deletion of the pool fail, and with it the deletion of the stack. To delete the \
                  stack, deploy `INACTIVE` first.",
};

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
pub(super) const SECRET_NAME: TextRule = TextRule {
    min: 1,
    max: 512,
    form: Form::Pattern {
        words: "letters, digits and `/_+=.@-`, ASCII only",
        printed: "[A-Za-z0-9/_+=.@-]+",
        regex: None,
    },
    matches: |text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)),
};

pub(super) const SECRET_NAME_PREFIX: Property<TextRule> = Property {
    name: "SecretNamePrefix",
    rule: TextRule { max: SECRET_NAME.max - MIN_REST, ..SECRET_NAME },
    absent: Absent::Described("the pool's name"),
    description: "A secret's name is `<SecretNamePrefix>/<ClientName>`. A change creates new secrets with the same \
                  credentials and new ARNs, and deletes the old ones.",
};

pub(super) const SECRET_KMS_KEY_ID: Property<TextRule> = Property {
    name: "SecretKmsKeyId",
    rule: TextRule {
        min: 1,
        max: 2048,
        form: Form::Prose {
            words: "a key id, a key ARN, `alias/<name>` or an alias ARN",
            regex: concat!(
                "(?:[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+|",
                "arn:[A-Za-z0-9-]+:kms:[A-Za-z0-9-]+:[A-Za-z0-9]+:(?:key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+))"
            ),
        },
        matches: is_kms_key,
    },
    absent: Absent::Described("the AWS managed key"),
    description: "The KMS key that encrypts the secrets. The functions' roles must be allowed to use it: list it in \
                  the template parameter `SecretKmsKeyArns`.",
};

/// The default recovery window. A Delete without a valid window uses it too.
pub(super) const DEFAULT_RECOVERY_WINDOW_IN_DAYS: u8 = 7;

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
pub(super) const SECRET_RECOVERY_WINDOW_IN_DAYS: Property<NumberRule> = Property {
    name: "SecretRecoveryWindowInDays",
    rule: NumberRule { ranges: &[0..=0, 7..=30] },
    absent: Absent::Default(|| json!(DEFAULT_RECOVERY_WINDOW_IN_DAYS)),
    description: "For how many days you can restore a deleted secret. 0 deletes it at once. A change applies to later \
                  deletions.",
};

/// The provider's own limit. AWS has fewer regions in a partition.
const MAX_REPLICAS: usize = 50;

pub(super) const SECRET_REPLICAS: Property<ObjectList> = Property {
    name: "SecretReplicas",
    rule: ObjectList { min: 0, max: MAX_REPLICAS, each: &REPLICA },
    absent: Absent::Default(|| json!([])),
    description: "The other regions that have a copy of each secret. Secrets Manager keeps the copies up to date, also \
                  after a rotation. An update removes the replicas in regions that are not listed. AWS bills each \
                  replica as a secret.",
};

pub(super) const NO_ROTATION: u32 = 0;

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotationRulesType.html>
pub(super) const ROTATION_DAYS: Property<NumberRule> = Property {
    name: "RotationDays",
    rule: NumberRule { ranges: &[NO_ROTATION..=1000] },
    absent: Absent::Default(|| json!(NO_ROTATION)),
    description: "Secrets Manager gives each client a new secret after so many days. 0 turns this off. The former \
                  secret works until the next rotation. A change does not rotate anything by itself.",
};

pub(super) const ROTATE_SECRETS: Property<TextRule> = Property {
    name: "RotateSecrets",
    rule: TextRule { min: 0, max: 128, form: Form::Any, matches: |_| true },
    absent: Absent::Default(|| json!("")),
    description: "Any text, such as a date. An update with a value that is neither the present one nor the one before \
                  it gives each client a new secret, once. The former secret works until the next rotation.",
};

pub(super) const VERIFY_TOKEN: Property<Flag> = Property {
    name: "VerifyToken",
    rule: Flag,
    absent: Absent::Default(|| json!(true)),
    description: "Whether the provider gets a token for each client that a deployment adds or changes, and checks it. \
                  A refusal fails the deployment. These tokens are billed.",
};

// The custom domain

pub(super) const CUSTOM_DOMAIN: Property<OneObject> = Property {
    name: "CustomDomain",
    rule: OneObject(&CUSTOM_DOMAIN_OBJECT),
    absent: Absent::Described("none"),
    description: "A domain under a name of your own, beside the prefix domain, which stays. The attribute \
                  `CustomDomainTarget` is the name that its DNS record must point to.",
};

pub(super) const DOMAIN_NAME: Property<TextRule> = Property {
    name: "DomainName",
    rule: TextRule {
        min: 5,
        max: MAX_DOMAIN,
        form: Form::Prose {
            words: "a lower-case host name with at least three parts and at most 63 characters, such as \
                    `auth.example.com`",
            regex: "(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\\.){2,}[a-z](?:[a-z0-9-]*[a-z0-9])?",
        },
        matches: is_host_name,
    },
    absent: Absent::Refused,
    description: "The host name. Its parent, such as `example.com`, must have an A record in DNS. A change deletes the \
                  old domain before it creates the new one.",
};

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CustomDomainConfigType.html>
pub(super) const CERTIFICATE_ARN: Property<TextRule> = Property {
    name: "CertificateArn",
    rule: TextRule {
        min: 20,
        max: 2048,
        form: Form::Prose {
            words: "the ARN of a certificate in AWS Certificate Manager",
            regex: "arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+",
        },
        matches: is_certificate,
    },
    absent: Absent::Refused,
    description: "The certificate for the host name, in `us-east-1` (in AWS GovCloud: `us-gov-west-1`), whatever the \
                  stack's region is. A change is made in place.",
};

/// The one that AWS recommends. It is always sent, because an update resets what it leaves out.
const DEFAULT_SECURITY_POLICY: &str = "TLS_V1_2_2021";

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CustomDomainConfigType.html>
pub(super) const SECURITY_POLICY: Property<Choice> = Property {
    name: "SecurityPolicy",
    rule: Choice(&["TLS_V1", DEFAULT_SECURITY_POLICY, "TLS_V1_3_2025"]),
    absent: Absent::Default(|| json!(DEFAULT_SECURITY_POLICY)),
    description: "The oldest TLS version and the ciphers that the domain accepts. A change is made in place.",
};

pub(super) const TOKEN_ENDPOINT_DOMAIN: Property<Choice> = Property {
    name: "TokenEndpointDomain",
    rule: TOKEN_ENDPOINT_DOMAINS,
    absent: Absent::Default(|| json!(TokenEndpointDomain::Prefix.as_str())),
    description: "Which domain clients use: it is in `TokenEndpoint`, `Domain` and the secrets. `CUSTOM` needs a \
                  `CustomDomain`. An update from `PREFIX` to `CUSTOM` first requests a token at the custom domain, \
                  and changes nothing if it gets none.",
};

pub(super) const PART_TOKEN_ENDPOINT_DOMAIN: Property<Choice> = Property {
    name: "TokenEndpointDomain",
    rule: TOKEN_ENDPOINT_DOMAINS,
    absent: Absent::Default(|| json!(TokenEndpointDomain::Prefix.as_str())),
    description: "Which of the pool's domains the client uses: it is in `TokenEndpoint` and the secret. If the pool has \
                  one domain only, the client uses that one. An update from `PREFIX` to `CUSTOM` first requests a \
                  token at the custom domain, and changes nothing if it gets none.",
};

const TOKEN_ENDPOINT_DOMAINS: Choice =
    Choice(&[TokenEndpointDomain::Prefix.as_str(), TokenEndpointDomain::Custom.as_str()]);

// Each resource server

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateResourceServer.html>
pub(super) const SERVER_IDENTIFIER: Property<TextRule> = Property {
    name: "Identifier",
    rule: TextRule {
        min: 1,
        max: 256,
        form: Form::Pattern {
            words: "printable ASCII characters except the space, `\"` and `\\`",
            printed: r"[\x21\x23-\x5B\x5D-\x7E]+",
            regex: None,
        },
        matches: |text| text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\'),
    },
    absent: Absent::Refused,
    description: "What the server's scopes begin with, such as `orders` or `https://api.example.com`. It is unique in \
                  the pool. A change creates a new server and deletes the old one.",
};

pub(super) const SERVER_NAME: Property<TextRule> = Property {
    name: "Name",
    rule: TextRule { min: 1, max: 256, form: NAME_FORM, matches: is_name },
    absent: Absent::Described("the identifier"),
    description: "A name for people. It is required if the identifier is not a valid name, as a URL is not.",
};

pub(super) const SCOPES: Property<ObjectList> = Property {
    name: "Scopes",
    rule: ObjectList { min: 1, max: MAX_SCOPES_PER_SERVER, each: &SCOPE },
    absent: Absent::Refused,
    description: "The server's scopes, each with a name of its own.",
};

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ResourceServerScopeType.html>
pub(super) const SCOPE_NAME: Property<TextRule> = Property {
    name: "ScopeName",
    rule: TextRule {
        min: 1,
        max: 256,
        form: Form::Pattern {
            words: "printable ASCII characters except the space, `\"`, `\\` and `/`",
            printed: r"[\x21\x23-\x2E\x30-\x5B\x5D-\x7E]+",
            regex: None,
        },
        matches: |text| text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/')),
    },
    absent: Absent::Refused,
    description: "The scope's name, such as `read`. A token contains it as `<Identifier>/<ScopeName>`.",
};

pub(super) const SCOPE_DESCRIPTION: Property<TextRule> = Property {
    name: "ScopeDescription",
    rule: TextRule { min: 1, max: 256, form: Form::Any, matches: |_| true },
    absent: Absent::Described("the scope's name"),
    description: "What the scope allows, for people.",
};

// Each client

pub(super) const CLIENT_NAME: Property<TextRule> = Property {
    name: "ClientName",
    rule: TextRule {
        min: 1,
        max: 128,
        form: Form::Pattern {
            words: "letters, digits and `_+=.@-`, ASCII only",
            printed: "[A-Za-z0-9_+=.@-]{1,128}",
            regex: None,
        },
        matches: |text| text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=.@-".contains(c)),
    },
    absent: Absent::Refused,
    description: "What identifies the client, and the end of its secret's name. A change creates a new client with a \
                  new id and a new secret, and deletes the old one.",
};

/// Cognito's limit.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPoolClient.html>
pub(super) const MAX_SCOPES_PER_CLIENT: usize = 50;

pub(super) const ALLOWED_OAUTH_SCOPES: Property<TextList> = Property {
    name: "AllowedOAuthScopes",
    rule: scopes_of_client("a scope declared in `ResourceServers`, written `<Identifier>/<ScopeName>`"),
    absent: Absent::Described("all declared scopes"),
    description: "The scopes that the client may ask for. A change keeps the client's id and secret.",
};

pub(super) const ACCESS_TOKEN_VALIDITY_MINUTES: Property<NumberRule> = Property {
    name: "AccessTokenValidityMinutes",
    rule: NumberRule { ranges: &[5..=1440] },
    absent: Absent::Default(|| json!(60)),
    description: "For how many minutes the client's access tokens are valid. A change applies to later tokens.",
};

/// The provider's own limit. A policy has room for them.
const MAX_READERS: usize = 20;

/// The longest ARN of a role or a user: a path has at most 512 characters, and a name 64.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const MAX_PRINCIPAL: usize = 640;

pub(super) const SECRET_READERS: Property<TextList> = Property {
    name: "SecretReaders",
    rule: TextList {
        max: MAX_READERS,
        item: TextRule {
            min: 1,
            max: MAX_PRINCIPAL,
            form: Form::Prose {
                words: "the ARN of an IAM role, a user or an account's root, without wildcards",
                regex: concat!(
                    "arn:aws[a-z-]*:iam::[0-9]{12}:",
                    r"(?:root|(?:role|user)/[\x21-\x29\x2B-\x3E\x40-\x7E]*[A-Za-z0-9_+=,.@-])"
                ),
            },
            matches: is_principal,
        },
        may_be_empty: true,
    },
    absent: Absent::Default(|| json!([])),
    description: "Who may read the client's secret by its resource policy, in this account or another one. A principal \
                  of another account needs `SecretKmsKeyId`, and its own account must allow it to read the secret. \
                  Other statements in the policy stay.",
};

// Each replica

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicaRegionType.html>
pub(super) const REPLICA_REGION: Property<TextRule> = Property {
    name: "Region",
    rule: TextRule {
        min: 1,
        max: 128,
        form: Form::Prose { words: "a region, such as `eu-west-1`", regex: "(?:[a-z]+-)+[0-9]+" },
        matches: is_region,
    },
    absent: Absent::Refused,
    description: "The region of the replica: another one than the stack's, in the same partition.",
};

pub(super) const REPLICA_KMS_KEY_ID: Property<TextRule> = Property {
    name: "KmsKeyId",
    rule: TextRule { ..SECRET_KMS_KEY_ID.rule },
    absent: Absent::Described("the AWS managed key"),
    description: "The KMS key of that region which encrypts the replica. List it in the template parameter \
                  `SecretKmsKeyArns`. A change removes the replica and makes it again.",
};

const fn scopes_of_client(words: &'static str) -> TextList {
    TextList {
        max: MAX_SCOPES_PER_CLIENT,
        item: TextRule {
            min: SERVER_IDENTIFIER.rule.min + 1 + SCOPE_NAME.rule.min,
            max: SERVER_IDENTIFIER.rule.max + 1 + SCOPE_NAME.rule.max,
            form: Form::Prose { words, regex: r"[\x21\x23-\x5B\x5D-\x7E]+/[\x21\x23-\x2E\x30-\x5B\x5D-\x7E]+" },
            matches: |text| {
                // An identifier may contain a slash.
                text.rsplit_once('/')
                    .is_some_and(|(server, scope)| SERVER_IDENTIFIER.rule.holds(server) && SCOPE_NAME.rule.holds(scope))
            },
        },
        may_be_empty: false,
    }
}

// One pool, many stacks

/// The most characters of a tag's value.
pub const MAX_SHARED_WITH: usize = 256;
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>
const MAX_STACK_NAME: usize = 128;

pub(super) const SHARED_WITH_STACKS: Property<TextList> = Property {
    name: "SharedWithStacks",
    rule: TextList {
        // Each entry has a character and a space.
        max: MAX_SHARED_WITH / 2,
        item: TextRule {
            min: 1,
            max: MAX_STACK_NAME,
            form: Form::Pattern {
                words: "letters, digits and hyphens, with a letter in front",
                printed: "[A-Za-z][A-Za-z0-9-]*",
                regex: None,
            },
            matches: |text| {
                text.starts_with(|c: char| c.is_ascii_alphabetic())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            },
        },
        may_be_empty: true,
    },
    absent: Absent::Default(|| json!([])),
    description: "Prefixes of the names of stacks that may add clients and resource servers to the pool. The entries \
                  together, with a space between two, have at most 256 characters. What those stacks have added stays \
                  if you remove an entry.",
};

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_DescribeUserPool.html>
pub(super) const USER_POOL_ID: Property<TextRule> = Property {
    name: "UserPoolId",
    rule: TextRule {
        min: 1,
        max: 55,
        form: Form::Prose {
            words: "a user pool id, such as `us-east-1_AbCdEfGhI`",
            regex: "[a-z0-9]*-[a-z0-9-]*_[A-Za-z0-9]+",
        },
        matches: |text| PoolId::parse(text).is_some(),
    },
    absent: Absent::Refused,
    description: "The pool to add to. Its owner must share it with the stack. It cannot change: in another pool, this is \
                  another resource and needs another logical id.",
};

pub(super) const PART_CLIENT_NAME: Property<TextRule> = Property {
    name: "ClientName",
    rule: TextRule {
        max: CLIENT_NAME.rule.max - MARK_SUFFIX_LEN,
        form: Form::Pattern {
            words: "letters, digits and `_+=.@-`, ASCII only",
            printed: "[A-Za-z0-9_+=.@-]{1,110}",
            regex: None,
        },
        ..CLIENT_NAME.rule
    },
    absent: Absent::Refused,
    description: "The client's name. In Cognito, a mark follows it that says which resource owns the client. A change \
                  renames the client and keeps its id and its secret.",
};

pub(super) const PART_ALLOWED_OAUTH_SCOPES: Property<TextList> = Property {
    name: "AllowedOAuthScopes",
    rule: scopes_of_client("a scope that exists in the pool, written `<Identifier>/<ScopeName>`"),
    absent: Absent::Refused,
    description: "The scopes that the client may ask for. A change keeps the client's id and secret.",
};

pub(super) const PART_SECRET_NAME: Property<TextRule> = Property {
    name: "SecretName",
    rule: SECRET_NAME,
    absent: Absent::Described("`<stack name>/<ClientName>`"),
    description: "The name of the client's secret. A change creates a new secret with the same credentials and a new \
                  ARN, and deletes the old one.",
};

pub(super) const ROTATE_SECRET: Property<TextRule> = Property {
    name: "RotateSecret",
    rule: ROTATE_SECRETS.rule,
    absent: Absent::Default(|| json!("")),
    description: "Any text, such as a date. An update with a value that is neither the present one nor the one before \
                  it gives the client a new secret, once. The former secret works until the next rotation.",
};

pub(super) const PART_TAGS: Property<TagsRule> = Property {
    name: "Tags",
    rule: TagsRule { reserved: &[MANAGED_BY.0] },
    absent: Absent::Default(|| json!({})),
    description: "More tags for the secret: a map, or a list of `Key=Value`. A template parameter of the type \
                  `CommaDelimitedList` can fill the list; if its value is empty, there are no tags.",
};

/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html>
pub(super) const ADOPT_CLIENT_ID: Property<TextRule> = Property {
    name: "AdoptClientId",
    rule: TextRule {
        min: 1,
        max: 128,
        form: Form::Pattern {
            words: "letters, digits, `_` and `+`",
            printed: r"[\w+]+",
            regex: Some("[A-Za-z0-9_+]+"),
        },
        matches: |text| ClientId::parse(text).is_some(),
    },
    absent: Absent::Described("none: a client is created"),
    description: "The id of an existing client to take over with its id and its secret, when the resource is created. It \
                  is never deleted: if you delete the resource, the client gets its former name back. To remove the \
                  property later changes nothing.",
};

pub(super) const PART_IDENTIFIER: Property<TextRule> = Property {
    name: "Identifier",
    rule: SERVER_IDENTIFIER.rule,
    absent: Absent::Refused,
    description: "What the server's scopes begin with, such as `orders` or `https://api.example.com`. It is unique in \
                  the pool. It cannot change: another identifier is another resource and needs another logical id.",
};

pub(super) const PART_SERVER_NAME: Property<TextRule> = Property {
    name: "Name",
    rule: TextRule { max: 230, ..SERVER_NAME.rule },
    absent: Absent::Described("the identifier"),
    description: "A name for people. It is required if the identifier is not a valid name, as a URL is not. In Cognito, a \
                  mark follows it that says which resource owns the server.",
};

// Forms that several properties have

/// A name, as the API's pages print its pattern and the service reads it: ASCII.
const NAME_FORM: Form = Form::Pattern {
    words: "letters, digits, white space and `_+=,.@-`, ASCII only",
    printed: r"[\w\s+=,.@-]+",
    regex: Some(r"[A-Za-z0-9_\x09-\x0D +=,.@-]+"),
};

fn is_name(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_ascii_alphanumeric() || c == '_' || c.is_ascii_whitespace() || c == '\x0b' || "+=,.@-".contains(c)
    })
}

fn is_domain_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A name of at least three labels: Cognito refuses one whose parent is a top-level domain.
fn is_host_name(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && is_domain_text(label) && !label.starts_with('-') && !label.ends_with('-');
    labels.len() >= 3
        && labels.iter().all(is_label)
        // An address is no name.
        && labels.last().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Tells whether text has the form `arn:partition:acm:region:account:certificate/id`.
fn is_certificate(text: &str) -> bool {
    let all = |part: &str, allowed: fn(u8) -> bool| !part.is_empty() && part.bytes().all(allowed);
    let [arn, partition, service, region, account, resource] = *text.split(':').collect::<Vec<_>>() else {
        return false;
    };
    arn == "arn"
        && service == "acm"
        && all(partition, |byte| byte.is_ascii_lowercase() || byte == b'-')
        && all(region, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && account.len() == 12
        && all(account, |byte| byte.is_ascii_digit())
        && resource
            .strip_prefix("certificate/")
            .is_some_and(|id| all(id, |byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

fn is_kms_key(text: &str) -> bool {
    let plain = |part: &str, extra: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    let local = match text.strip_prefix("arn:") {
        // arn:partition:kms:region:account:key/id or :alias/name
        Some(arn) => match *arn.splitn(5, ':').collect::<Vec<_>>() {
            [partition, "kms", region, account, resource]
                if plain(partition, "-") && plain(region, "-") && plain(account, "") && resource.contains('/') =>
            {
                resource
            }
            _ => return false,
        },
        None => text,
    };
    match local.split_once('/') {
        Some(("alias", name)) => plain(name, "/_-"),
        Some(("key", id)) => text.starts_with("arn:") && plain(id, "-"),
        Some(_) => false,
        None => plain(local, "-"),
    }
}

/// `arn:partition:iam::account:root`, `…:role/path/name` or `…:user/path/name`.
fn is_principal(text: &str) -> bool {
    let ["arn", partition, "iam", "", account, resource] = *text.splitn(6, ':').collect::<Vec<_>>() else {
        return false;
    };
    let is_partition = partition
        .strip_prefix("aws")
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_named = match resource.split_once('/') {
        Some(("role" | "user", name)) => {
            name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'?')
                && name.ends_with(|c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
        }
        Some(_) => false,
        None => resource == "root",
    };
    is_partition && is_account && is_named
}

fn is_region(text: &str) -> bool {
    let mut words: Vec<_> = text.split('-').collect();
    let last = words.pop().unwrap_or_default();
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    is_number && !words.is_empty() && words.iter().all(is_word)
}
