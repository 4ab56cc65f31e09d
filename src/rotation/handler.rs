//! Use case 2: one step of Secrets Manager's rotation.

use serde::Deserialize;

use super::steps::{Rotate, RotateError};
use crate::{
    clock::{Deadline, millis, now},
    model::{Owner, SecretName},
    ports::{AWSCURRENT, AWSPENDING, AwsError, ClientSecrets, SecretVersions, TokenEndpoint, Version},
    retry::Retrying,
};

/// What Secrets Manager sends.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_turn-on-for-other.html>
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationEvent {
    pub step: String,
    /// The secret's ARN.
    pub secret_id: String,
    /// The id of the version that is being made.
    pub client_request_token: String,
}

/// Why a step failed. Unlike the provider, the function fails with it: Secrets Manager learns of a
/// failure by the function's error alone, and calls the step again.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error("the rotation event cannot be read: {0}")]
    Event(String),
    #[error("Step must be createSecret, setSecret, testSecret or finishSecret, but is {0:?}")]
    UnknownStep(String),
    #[error("secret {0} does not exist or is scheduled for deletion; nothing was changed")]
    NoSecret(SecretName),
    #[error("secret {0} does not carry cognito-m2m's ownership tags; nothing was changed")]
    NotOurs(SecretName),
    #[error("version {version} of secret {secret} is not staged AWSPENDING; nothing was changed")]
    NotStaged { secret: SecretName, version: String },
    #[error("{step} of secret {secret}: {source}")]
    Step { step: String, secret: SecretName, source: RotateError },
    #[error("secret {secret}: {source}")]
    Aws { secret: SecretName, source: AwsError },
    #[error("{step} of secret {secret} took too long; Secrets Manager will call it again")]
    OutOfTime { step: String, secret: SecretName },
}

/// Handles one event.
///
/// # Guarantees
/// - Every step may be repeated, and may follow a crash at any point.
/// - A version that is not staged, or a secret without our ownership tags, changes nothing.
///
/// # Errors
/// Whatever failed, so that Secrets Manager sees it and calls again.
pub async fn handle<C: ClientSecrets, S: SecretVersions, T: TokenEndpoint>(
    event: &serde_json::Value,
    deadline: Deadline,
    clients: &C,
    secrets: &S,
    tokens: &T,
) -> Result<(), RotationError> {
    let event = RotationEvent::deserialize(event).map_err(|error| RotationError::Event(error.to_string()))?;
    let RotationEvent { step, secret_id, client_request_token } = event;
    let secret = SecretName(secret_id);
    tracing::info!(step, secret = %secret, version = client_request_token, "event received");
    let started = now();

    let (clients, secrets) = (Retrying::new(clients, deadline), Retrying::new(secrets, deadline));
    let work = run(&step, &secret, &client_request_token, &clients, &secrets, tokens, deadline);
    let result = match tokio::time::timeout_at(deadline.for_answer(), work).await {
        Ok(result) => result,
        Err(_) => Err(RotationError::OutOfTime { step: step.clone(), secret: secret.clone() }),
    };
    let duration_ms = millis(started.elapsed());
    match &result {
        Ok(()) => tracing::info!(step, secret = %secret, duration_ms, "done"),
        Err(error) => tracing::error!(step, secret = %secret, duration_ms, %error, "failed"),
    }
    result
}

async fn run<C: ClientSecrets, S: SecretVersions, T: TokenEndpoint>(
    step: &str,
    secret: &SecretName,
    token: &str,
    clients: &C,
    secrets: &S,
    tokens: &T,
    deadline: Deadline,
) -> Result<(), RotationError> {
    if !["createSecret", "setSecret", "testSecret", "finishSecret"].contains(&step) {
        return Err(RotationError::UnknownStep(step.to_owned()));
    }
    let described = secrets.describe_secret(secret).await;
    let described = described.map_err(|source| RotationError::Aws { secret: secret.clone(), source })?;
    let described =
        described.filter(|found| !found.scheduled).ok_or_else(|| RotationError::NoSecret(secret.clone()))?;
    if Owner::of(&described.tags).is_none() {
        return Err(RotationError::NotOurs(secret.clone()));
    }
    let staged = |label: &str| described.versions.get(token).is_some_and(|labels| labels.contains(label));
    if !staged(AWSPENDING) {
        // A step that is repeated after the end has nothing left to do.
        // The last step may be called again after its version has lost every label.
        let known = described.versions.contains_key(token) || step == "finishSecret";
        let finished = staged(AWSCURRENT) || (known && has_become_current(secrets, secret, token).await?);
        let not_staged = || RotationError::NotStaged { secret: secret.clone(), version: token.to_owned() };
        return if finished { Ok(()) } else { Err(not_staged()) };
    }
    let rotate = Rotate { clients, secrets, tokens, deadline, secret, token, metadata: None };
    let result = match step {
        "createSecret" => rotate.create_secret().await,
        "setSecret" => rotate.set_secret().await,
        "testSecret" => rotate.test_secret().await,
        _ => rotate.finish_secret().await,
    };
    result.map_err(|source| RotationError::Step { step: step.to_owned(), secret: secret.clone(), source })
}

/// Whether the version's value is AWSCURRENT's, in a version with newer metadata: a deployment has written
/// the secret since.
async fn has_become_current<S: SecretVersions>(
    secrets: &S,
    secret: &SecretName,
    token: &str,
) -> Result<bool, RotationError> {
    let value = async |version| {
        let found = secrets.get_secret_value(secret, version).await;
        let found = found.map_err(|source| RotationError::Aws { secret: secret.clone(), source })?;
        Ok::<_, RotationError>(found.and_then(|found| found.document).map(|document| document.client_secret))
    };
    let Some(made) = value(Version::Id(token)).await? else { return Ok(false) };
    Ok(value(Version::Stage(AWSCURRENT)).await? == Some(made))
}
