//! The gate of the rotation function: one event of Secrets Manager in, one step run.

use serde::Deserialize;

use super::steps::{Rotate, RotateError};
use crate::{
    clock::{Deadline, millis, now},
    model::{Endpoints, Owner, SecretId},
    ports::{AWSCURRENT, AWSPENDING, AwsError, SecretVersions, Services, Version, report},
    retry::RetryingServices,
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

/// One of Secrets Manager's four steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Set,
    Test,
    Finish,
}

impl Step {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "createSecret" => Some(Self::Create),
            "setSecret" => Some(Self::Set),
            "testSecret" => Some(Self::Test),
            "finishSecret" => Some(Self::Finish),
            _ => None,
        }
    }
}

/// Why a step failed. The function returns the error, because only a function error tells Secrets
/// Manager that a step failed. Secrets Manager then calls the step again. (The provider does the
/// opposite.)
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error("the rotation event cannot be read")]
    Event(#[source] serde_json::Error),
    #[error("Step must be createSecret, setSecret, testSecret or finishSecret, but is {0:?}")]
    UnknownStep(String),
    #[error("secret {0} does not exist or is scheduled for deletion; nothing was changed")]
    NoSecret(SecretId),
    #[error("secret {0} does not have cognito-m2m's ownership tags; nothing was changed")]
    NotOurs(SecretId),
    #[error("version {version} of secret {secret} is not staged AWSPENDING; nothing was changed")]
    NotStaged { secret: SecretId, version: String },
    #[error("{step} of secret {secret} failed")]
    Step { step: String, secret: SecretId, source: RotateError },
    #[error("reading secret {secret} failed")]
    Aws { secret: SecretId, source: AwsError },
    #[error("{step} of secret {secret} took too long; Secrets Manager will call it again")]
    OutOfTime { step: String, secret: SecretId },
}

impl RotationError {
    /// Prints the error and its sources.
    #[must_use]
    pub fn report(&self) -> String {
        report(self, |_| "")
    }
}

/// Handles one event.
///
/// # Guarantees
/// - Every step may be repeated, and may follow a crash at any point.
/// - An event for a version that is not staged, or for a secret without our tags, changes nothing.
///
/// # Errors
/// Whatever failed, so that Secrets Manager sees it and calls the step again.
pub async fn handle<S: Services>(
    event: &serde_json::Value,
    deadline: Deadline,
    services: &S,
    endpoints: &Endpoints,
) -> Result<(), RotationError> {
    let RotationEvent { step, secret_id, client_request_token } =
        RotationEvent::deserialize(event).map_err(RotationError::Event)?;
    let secret = SecretId(secret_id);
    tracing::info!(step, secret = %secret, version = client_request_token, "event received");
    let started = now();

    let services = RetryingServices::new(services, deadline);
    let rotate =
        Rotate { services: &services, endpoints, secret: &secret, token: &client_request_token, metadata: None };
    let result = match tokio::time::timeout_at(deadline.for_answer(), run(&step, &rotate)).await {
        Ok(result) => result,
        Err(_) => Err(RotationError::OutOfTime { step: step.clone(), secret: secret.clone() }),
    };
    let duration_ms = millis(started.elapsed());
    match &result {
        Ok(()) => tracing::info!(step, secret = %secret, duration_ms, "done"),
        Err(error) => tracing::error!(step, secret = %secret, duration_ms, error = error.report(), "failed"),
    }
    result
}

async fn run<S: Services>(step_name: &str, rotate: &Rotate<'_, S>) -> Result<(), RotationError> {
    let Rotate { services, secret, token, .. } = rotate;
    let (secret, token) = (*secret, *token);
    let step = Step::parse(step_name).ok_or_else(|| RotationError::UnknownStep(step_name.to_owned()))?;
    let described = services.secrets.describe_secret(secret).await;
    let described = described.map_err(|source| RotationError::Aws { secret: secret.clone(), source })?;
    let described =
        described.filter(|found| !found.scheduled).ok_or_else(|| RotationError::NoSecret(secret.clone()))?;
    if Owner::of(&described.tags).is_none() {
        return Err(RotationError::NotOurs(secret.clone()));
    }
    let staged = |label: &str| described.versions.get(token).is_some_and(|labels| labels.contains(label));
    if !staged(AWSPENDING) {
        // A repeated step has nothing left to do after the end. Secrets Manager may repeat finishSecret even
        // after the version has lost every label. And it may call testSecret for a copy of AWSCURRENT that a
        // deployment has taken the label off.
        let known = described.versions.contains_key(token) || matches!(step, Step::Test | Step::Finish);
        let finished = staged(AWSCURRENT) || (known && has_become_current(&services.secrets, secret, token).await?);
        let not_staged = || RotationError::NotStaged { secret: secret.clone(), version: token.to_owned() };
        return if finished { Ok(()) } else { Err(not_staged()) };
    }
    let result = match step {
        Step::Create => rotate.create_secret().await,
        Step::Set => rotate.set_secret().await,
        Step::Test => rotate.test_secret().await,
        Step::Finish => rotate.finish_secret().await,
    };
    result.map_err(|source| RotationError::Step { step: step_name.to_owned(), secret: secret.clone(), source })
}

/// Tells whether the version's client secret is AWSCURRENT's. A deployment has written the secret since, or
/// the version was a copy to test a schedule with.
async fn has_become_current(
    secrets: &impl SecretVersions,
    secret: &SecretId,
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
