//! The messages about several properties, for the parser and for the JSON Schema. [`FOUND`] is in the place of what was
//! found.

use super::{
    rules::{FOUND, TextRule},
    table::{BY_API, MAX_SCOPES_PER_CLIENT, TOKEN_SERVICE},
};

pub(super) const POOL_NAME: &str = "pool's name";
pub(super) const DOMAIN: &str = "domain";
pub(super) const A_SECRETS_NAME: &str = "secret's name";

/// The message if the name of `what` is too long. The name and its length follow.
pub(super) fn length_message(what: &str, max: usize) -> String {
    format!("the {what} must have at most {max} characters, but {FOUND}")
}

pub(super) fn reserved_word_message(word: &str) -> String {
    format!("the domain must not contain the word {word}, which Cognito reserves, but is {FOUND}")
}

pub(super) const LITE_LOGIN_MESSAGE: &str = "must be 1 if UserPoolTier is LITE, but is {found}";

pub(super) const CUSTOM_DOMAIN_MESSAGE: &str = "must be PREFIX if there is no CustomDomain, but is {found}";

/// The message for a domain that cannot be, because tokens come from the API.
pub(super) fn left_out_message() -> String {
    format!("must be left out if {} is {BY_API}, because the pool has no domain", TOKEN_SERVICE.name)
}

pub(super) const MARKED_NAME_MESSAGE: &str =
    "must not end with ` @` and 16 hexadecimal digits, because they would say that another resource owns the server";

pub(super) fn too_many_scopes_message() -> String {
    format!("must be given, because a client may have at most {MAX_SCOPES_PER_CLIENT} scopes, but {FOUND} are declared")
}

pub(super) const IN_THE_POOL: &str = "in the pool";
pub(super) const IN_ITS_SERVER: &str = "in its server";
pub(super) const IN_THE_LIST: &str = "in the list";

/// The message for a name that something before it has.
pub(super) fn duplicate_message(place: &str) -> String {
    format!("must be unique {place}, but {FOUND} is declared twice")
}

/// Where a default comes from, and what it is used as.
pub(super) const IDENTIFIER_AS_NAME: [&str; 2] = ["the Identifier", "a name"];
pub(super) const POOL_NAME_AS_SECRET_NAME: [&str; 2] = ["the pool's name", "a secret's name"];
pub(super) const DEFAULT_CLIENT_NAME: [&str; 2] = ["one client with the name", "a client's name"];

/// The message if a default that follows from another property breaks a rule.
pub(super) fn default_message([origin, use_as]: [&str; 2], rule: &TextRule) -> String {
    let demand = rule.demand();
    format!("must be given, because the default, {origin} {FOUND}, is not valid as {use_as}: {demand}")
}
