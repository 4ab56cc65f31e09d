//! `m2mctl adopt`: a template that takes over the machine clients of a live user pool.
//!
//! | module | subject |
//! |---|---|
//! | `names` | the names that a client gets in the template |
//! | `print` | the template in YAML, and everything as JSON |

mod names;
mod print;

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use self::names::Names;
use super::{
    args::{AdoptArgs, Format, is_stack_name},
    context::Context,
    error::Error,
    live_pool::{LivePool, MAX_CONCURRENT, Owners},
    output::Outcome,
};
use crate::{
    model::{
        ClientId, Mark, Owner, PoolId, ProviderConfig, ResourceServer, ResourceType, Tags, adoption::NotAdoptable,
        observed::ObservedClient, ownership::SHARED_WITH_TAG,
    },
    ports::{Account, AwsError, ClientDescription, Services},
    properties::{self, MAX_SHARED_WITH},
    reconcile::{Progress, adoption_rule},
    redact,
};

/// What the stack's name begins with if nobody says anything else.
const DEFAULT_PREFIX: &str = "cognito-m2m-clients";

/// What takes over the machine clients of a pool.
pub struct Takeover {
    pub pool: PoolId,
    pub pool_name: String,
    pub pool_arn: String,
    pub consent: Consent,
    pub clients: Vec<Adoptee>,
    pub left_out: Vec<LeftOut>,
    /// Why the stacks that own clients are not known.
    pub unknown_owners: Option<AwsError>,
}

/// The pool's tag that lets the stack add to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Consent {
    /// What the name of the stack must begin with.
    pub prefix: String,
    /// The value that the tag needs.
    pub value: String,
    /// Whether it has this value.
    pub is_set: bool,
}

/// A client that the template takes over.
#[derive(Debug, PartialEq, Eq)]
pub struct Adoptee {
    pub id: ClientId,
    /// As Cognito holds it.
    pub name: String,
    pub logical_id: String,
    /// The properties of its Custom::CognitoM2MClient, without the ServiceToken.
    pub properties: Value,
    /// Its scopes that no resource server has. The template leaves them out.
    pub gone_scopes: Vec<String>,
}

/// A client that the template leaves out.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub id: ClientId,
    /// As Cognito holds it.
    pub name: String,
    pub why: String,
    /// What to do; empty if there is nothing to do.
    pub advice: String,
}

pub(super) async fn run<S: Services, A: Account>(
    arguments: &AdoptArgs,
    format: Format,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    let takeover = compute(context, &arguments.user_pool_id, arguments.stack_prefix.as_deref()).await?;
    Ok(match format {
        Format::Text => Outcome { text: print::yaml(&takeover, &context.region), exit_code: 0 },
        Format::Json => Outcome::json(&print::json(&takeover, &context.region), 0),
    })
}

/// Reads a pool and decides about each of its clients. Changes nothing.
///
/// # Errors
/// The pool does not exist, it cannot be read, or its tag has no room for the prefix.
pub async fn compute<S: Services, A: Account>(
    context: &Context<S, A>,
    pool: &PoolId,
    prefix: Option<&str>,
) -> Result<Takeover, Error> {
    let progress = Progress::default();
    let aws = context.aws(&progress);
    let LivePool { pool, resource_servers, clients, owners } = LivePool::read(&aws, pool, context).await?;
    let checked: Vec<_> = stream::iter(clients.into_iter().map(async |client: ClientDescription| {
        let rule = adoption_rule(&aws, &pool, &client).await?;
        Ok::<_, AwsError>((client.observed, rule))
    }))
    .buffered(MAX_CONCURRENT)
    .try_collect()
    .await?;

    let consent = Consent::of(&pool.state.tags, prefix)?;
    let mut drafts = Drafts {
        pool: &pool.id,
        stack_name: &consent.prefix,
        known_scopes: resource_servers.iter().flat_map(ResourceServer::full_scopes).collect(),
        config: ProviderConfig { endpoints: context.endpoints.clone(), rotation_function: None },
        names: Names::with_parameters(&[print::PROVIDER_PARAMETER]),
    };
    let (mut adoptees, mut left_out) = (Vec::new(), Vec::new());
    for (client, rule) in checked {
        match rule.map_err(|rule| broken_rule(&rule, &owners)).and_then(|()| drafts.draft(&client)) {
            Ok(adoptee) => adoptees.push(adoptee),
            Err((why, advice)) => {
                left_out.push(LeftOut { id: client.id.clone(), name: client.full_name().0, why, advice });
            }
        }
    }
    Ok(Takeover {
        pool: pool.id,
        pool_name: pool.state.name,
        pool_arn: pool.arn,
        consent,
        clients: adoptees,
        left_out,
        unknown_owners: owners.unknown,
    })
}

/// Why a client is left out, and what to do.
type Why = (String, String);

fn broken_rule(rule: &NotAdoptable, owners: &Owners) -> Why {
    if let NotAdoptable::Marked(mark) = rule
        && let Some((owner, adopted)) = owners.find(mark)
    {
        let how = if adopted { "has adopted it already" } else { "owns it" };
        return (format!("resource {} of stack {} {how}", owner.logical_id, owner.stack_name()), String::new());
    }
    (redact::sanitize(&rule.to_string()), what_to_do(rule).to_owned())
}

/// Returns what somebody can do who wants the client in the template.
fn what_to_do(rule: &NotAdoptable) -> &'static str {
    match rule {
        NotAdoptable::Declared(_) => "",
        NotAdoptable::NoSecret => "Declare a client without AdoptClientId. It gets an id and a secret of its own",
        NotAdoptable::TwoSecrets => {
            "Find out which one is in use, delete the other one with DeleteUserPoolClientSecret, and run this again"
        }
        NotAdoptable::OAuthFlows(_)
        | NotAdoptable::SignInFlows(_)
        | NotAdoptable::IdentityProviders(_)
        | NotAdoptable::CallbackUrls(_) => {
            "If nobody signs in with the client, remove these settings from it, and run this again"
        }
        NotAdoptable::Marked(_) | NotAdoptable::Missing | NotAdoptable::NotACreate => rule.advice(),
    }
}

/// Makes the resources of the template.
struct Drafts<'a> {
    pool: &'a PoolId,
    stack_name: &'a str,
    /// The scopes that a resource server has.
    known_scopes: BTreeSet<String>,
    config: ProviderConfig,
    names: Names,
}

impl Drafts<'_> {
    /// Returns a client's resource. The parser that the provider uses has the last word about it.
    fn draft(&mut self, client: &ObservedClient) -> Result<Adoptee, Why> {
        let name = client.name.as_str();
        let (scopes, gone_scopes): (Vec<_>, Vec<_>) =
            client.scopes.iter().cloned().partition(|scope| self.known_scopes.contains(scope));
        if scopes.is_empty() {
            let why = if gone_scopes.is_empty() {
                "it has no scope, and AllowedOAuthScopes needs 1 to 50".to_owned()
            } else {
                format!("none of its scopes exists any more: {}", gone_scopes.join(", "))
            };
            return Err((why, "Give it a scope of a resource server, and run this again".to_owned()));
        }
        let client_name = self.names.client_name(name);
        let logical_id = self.names.logical_id(&client_name);
        let properties = json!({
            "UserPoolId": self.pool.as_str(),
            "AdoptClientId": client.id.as_str(),
            "ClientName": client_name,
            "AllowedOAuthScopes": scopes,
            "AccessTokenValidityMinutes": client.access_token_validity_minutes,
        });
        let stack_id = format!("arn:aws:cloudformation:::stack/{}/new", self.stack_name);
        let owner = Owner { stack_id, logical_id: logical_id.clone() };
        let parsed = properties::parse(ResourceType::CognitoM2MClient, &properties, owner, &self.config);
        if let Err(violations) = parsed {
            let broken: Vec<_> = violations.0.iter().map(ToString::to_string).collect();
            return Err((broken.join("; "), "Change the client in Cognito, and run this again".to_owned()));
        }
        Ok(Adoptee { id: client.id.clone(), name: name.to_owned(), logical_id, properties, gone_scopes })
    }
}

impl Consent {
    /// Returns the tag that a stack with this prefix needs, beside the prefixes that the pool is shared with already.
    fn of(tags: &Tags, wanted: Option<&str>) -> Result<Self, Error> {
        let present = tags.get(SHARED_WITH_TAG).map(String::as_str).unwrap_or_default();
        let prefixes = || present.split_whitespace();
        let usable = || prefixes().find(|prefix| is_stack_name(prefix));
        let prefix = wanted.or_else(usable).unwrap_or(DEFAULT_PREFIX).to_owned();
        let is_set = prefixes().any(|present| prefix.starts_with(present));
        let value =
            if is_set { present.to_owned() } else { prefixes().chain([prefix.as_str()]).collect::<Vec<_>>().join(" ") };
        if value.chars().count() > MAX_SHARED_WITH {
            return Err(Error::Choice(format!(
                "The pool's tag {SHARED_WITH_TAG} has no room for {prefix}: its value has at most {MAX_SHARED_WITH} \
                 characters. Use a prefix that it has already: {present}"
            )));
        }
        Ok(Self { prefix, value, is_set })
    }
}

impl Takeover {
    /// Tells whether a mark in the pool has an owner that is not known.
    fn has_unknown_owners(&self) -> bool {
        self.unknown_owners.is_some() && self.left_out.iter().any(|client| Mark::split(&client.name).1.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(present: Option<&str>, wanted: Option<&str>) -> Consent {
        let tags = present.map(|value| (SHARED_WITH_TAG.to_owned(), value.to_owned())).into_iter().collect();
        Consent::of(&tags, wanted).unwrap()
    }

    #[test]
    fn the_tag_keeps_the_prefixes_that_it_has() {
        for (present, wanted, prefix, value, is_set) in [
            (None, None, DEFAULT_PREFIX, DEFAULT_PREFIX, false),
            (None, Some("orders"), "orders", "orders", false),
            (Some("billing"), Some("orders"), "orders", "billing orders", false),
            (Some("billing orders"), Some("orders-prod"), "orders-prod", "billing orders", true),
            (Some("1-bad billing"), None, "billing", "1-bad billing", true),
            (Some("billing-prod"), Some("billing"), "billing", "billing-prod billing", false),
        ] {
            let expected = Consent { prefix: prefix.to_owned(), value: value.to_owned(), is_set };
            assert_eq!(consent(present, wanted), expected, "{present:?} {wanted:?}");
        }
    }

    #[test]
    fn a_tag_without_room_says_so() {
        let tags = Tags::from([(SHARED_WITH_TAG.to_owned(), "x".repeat(250))]);
        let error = Consent::of(&tags, Some("orders")).unwrap_err();
        assert!(error.report().contains("has no room for orders"), "{}", error.report());
    }
}
