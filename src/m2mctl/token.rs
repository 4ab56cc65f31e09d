//! `m2mctl token`: a token, as a consumer gets it.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    args::{Format, TokenArgs},
    context::{Context, Stack},
    error::Error,
    output::Outcome,
};
use crate::{
    model::{ResourceType, SecretId},
    ports::{
        AWSCURRENT, Account, ExpectedToken, SecretDocument, SecretVersion, SecretVersions as _, Services, Tokens,
        Version,
    },
    reconcile::{Progress, secrets_of},
};

pub(super) async fn run<S: Services<Tokens: Tokens>, A: Account>(
    arguments: &TokenArgs,
    format: Format,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    let SecretDocument { client_id, client_secret, mut metadata, former: _ } =
        match (&arguments.secret, &arguments.stack) {
            (Some(secret), _) => read_document(context, &SecretId(secret.clone())).await?,
            (None, Some(stack)) => of_stack(context, stack, arguments.client.as_deref()).await?,
            (None, None) => return Err(Error::Choice("name a stack or a secret".to_owned())),
        };
    let client = metadata.client_name.to_string();
    let failed = |source| Error::Token { client: client.clone(), source };
    if !arguments.scopes.is_empty() {
        metadata.scope = arguments.scopes.join(" ");
    }
    let expected = ExpectedToken { client_id, metadata };
    let tokens = context.services.tokens();
    let granted = tokens.request(&expected, &client_secret, &arguments.scopes).await.map_err(failed)?;
    if arguments.decode {
        let claims = tokens.claims(&expected, &granted.token).await.map_err(failed)?;
        return Ok(Outcome::json(&claims, 0));
    }
    Ok(match format {
        Format::Text => Outcome { text: format!("{}\n", granted.token.expose()), exit_code: 0 },
        Format::Json => Outcome::json(
            &json!({
                "access_token": granted.token.expose(),
                "token_type": granted.token_type,
                "expires_in": granted.expires_in,
            }),
            0,
        ),
    })
}

async fn read_document<S: Services, A: Account>(
    context: &Context<S, A>,
    name: &SecretId,
) -> Result<SecretDocument, Error> {
    let progress = Progress::default();
    let aws = context.aws(&progress);
    match aws.services.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await? {
        Some(SecretVersion { document: Some(document), .. }) => Ok(document),
        Some(_) => Err(Error::Choice(format!("Secret {name} does not hold a client's credentials"))),
        None => Err(Error::Choice(format!(
            "Secret {name} does not exist in {}, or has no value. Name another with --secret, or the region with --region",
            context.region
        ))),
    }
}

/// Finds the credentials of one of the stack's clients: by the stack's outputs, as a consumer would, or
/// else by the tags of the secrets.
async fn of_stack<S: Services, A: Account>(
    context: &Context<S, A>,
    name: &str,
    client: Option<&str>,
) -> Result<SecretDocument, Error> {
    let missing = || {
        let region = &context.region;
        Error::Choice(format!("Stack {name} does not exist in {region}. Correct its name, or the region with --region"))
    };
    // A consumer needs no permission to list anything if an output names the secret.
    let outputs = context.account.describe_stacks(name).await?.ok_or_else(missing)?.outputs;
    // Two outputs may have the same ARN.
    let by_output: BTreeSet<&String> = match client {
        None => outputs.get("ClientSecretArn").into_iter().collect(),
        Some(client) => outputs.values().filter(|value| client_of_arn(value) == Some(client)).collect(),
    };
    if let (1, Some(arn)) = (by_output.len(), by_output.first()) {
        return read_document(context, &SecretId((*arn).clone())).await;
    }
    let stack = Stack::find(&context.account, name).await?.ok_or_else(missing)?;
    let progress = Progress::default();
    let aws = context.aws(&progress);
    let mut names = Vec::new();
    for (logical_id, _) in stack.ours() {
        names.extend(secrets_of(&aws, &stack.owner(logical_id)).await?);
    }
    if let Some(client) = client
        && !names.iter().any(|secret| client_of(secret.as_str()) == client)
        && let Some(document) = with_secret_name_of_its_own(context, &stack, client).await?
    {
        return Ok(document);
    }
    read_document(context, choose(name, &names, client)?).await
}

/// Finds a client in somebody else's pool whose secret has another name than the client. The secret says whose it is.
async fn with_secret_name_of_its_own<S: Services, A: Account>(
    context: &Context<S, A>,
    stack: &Stack,
    client: &str,
) -> Result<Option<SecretDocument>, Error> {
    let progress = Progress::default();
    let aws = context.aws(&progress);
    for (logical_id, _) in stack.ours().filter(|(_, found)| *found == ResourceType::CognitoM2MClient) {
        for name in secrets_of(&aws, &stack.owner(logical_id)).await? {
            let document = read_document(context, &name).await?;
            if document.metadata.client_name.as_str() == client {
                return Ok(Some(document));
            }
        }
    }
    Ok(None)
}

/// Chooses the only secret, or the only secret of the named client.
fn choose<'a>(stack: &str, names: &'a [SecretId], client: Option<&str>) -> Result<&'a SecretId, Error> {
    let of_client = |secret: &&SecretId| client.is_none_or(|client| client_of(secret.as_str()) == client);
    match names.iter().filter(of_client).collect::<Vec<_>>().as_slice() {
        [only] => Ok(only),
        [] if names.is_empty() => Err(Error::Choice(format!(
            "Stack {stack} has no client's secret: neither an output with its ARN nor a secret with the stack's tags \
             (Secrets Manager lists a new secret after some minutes). Name one with --secret"
        ))),
        matches if matches.is_empty() || client.is_none() => {
            let clients: Vec<_> = names.iter().map(|secret| client_of(secret.as_str())).collect();
            Err(Error::Choice(format!("Stack {stack} has the clients {}; name one with --client", clients.join(", "))))
        }
        several => {
            let secrets: Vec<_> = several.iter().map(|secret| secret.as_str()).collect();
            Err(Error::Choice(format!(
                "Stack {stack} has several clients of this name, with the secrets {}; name one with --secret",
                secrets.join(", ")
            )))
        }
    }
}

/// Returns the client of a secret: the last part of the secret's name.
fn client_of(secret: &str) -> &str {
    secret.rsplit('/').next().unwrap_or_default()
}

/// Returns the client of a secret's ARN: `arn:…:secret:<prefix>/<client>-<six characters>`.
fn client_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(7, ':');
    let name = parts.by_ref().nth(6).filter(|_| arn.contains(":secretsmanager:"))?;
    let (name, suffix) = name.rsplit_once('-')?;
    let (_, client) = name.rsplit_once('/')?;
    (suffix.len() == 6).then_some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_secret_tells_its_client() {
        let arn = |name: &str| format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}");
        assert_eq!(client_of_arn(&arn("orders-dev/web-shop-AbCdEf")), Some("web-shop"));
        assert_eq!(client_of_arn(&arn("a/b/reporting-AbCdEf")), Some("reporting"));
        assert_eq!(client_of_arn(&arn("alone-AbCdEf")), None);
        assert_eq!(client_of_arn("https://orders-dev/web-shop-AbCdEf"), None);
        assert_eq!(client_of_arn("arn:aws:iam::123456789012:role/web-shop-AbCdEf"), None);
    }
}
