//! The versions of a client's secret: how AWSCURRENT is written without losing what another writer or
//! a rotation wrote.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::{Error, apply::Applying, phases::StepError};
use crate::{
    model::{
        Desired, SecretName,
        desired::SecretMetadata,
        observed::{Observed, ObservedSecret},
    },
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, AwsError, ErrorKind, FORMER, SecretChange, SecretDocument, SecretVersion,
        SecretVersions, Secrets, Services, Version,
    },
    rotation::steps::{Rotate, RotateError, is_older, replace_current},
};

/// Returns the id of the version that follows `current`.
///
/// Secrets Manager refuses a second value for the same id. Two deliveries of one event may both create
/// a client, but only one of them can write the version. The other is refused, observes again, and finds
/// the first one's client in the secret.
pub(super) fn version_token(name: &SecretName, current: Option<&str>, metadata: &SecretMetadata) -> String {
    let SecretMetadata { token_endpoint, scope, issuer, jwks_uri, user_pool_id, client_name } = metadata;
    let parts = [
        name.as_str(),
        current.unwrap_or_default(),
        token_endpoint,
        scope,
        issuer,
        jwks_uri,
        user_pool_id.as_str(),
        client_name.as_str(),
    ];
    Uuid::new_v5(&Uuid::NAMESPACE_URL, parts.join("\n").as_bytes()).to_string()
}

/// Finds the secrets of declared clients under names that are no longer desired. Maps them to the new
/// names.
pub(super) fn renamed_secrets(desired: &Desired, observed: &Observed) -> HashMap<SecretName, SecretName> {
    let renamed = |(name, secret): (&SecretName, &ObservedSecret)| {
        let client_name = &secret.document.as_ref()?.metadata.client_name;
        let client =
            desired.clients.iter().find(|client| client.name == *client_name && client.secret_name != *name)?;
        Some((name.clone(), client.secret_name.clone()))
    };
    observed.secrets.iter().filter_map(renamed).collect()
}

impl<S: Services> Applying<'_, S> {
    /// Writes AWSCURRENT anew, unless another writer has done so since it was observed.
    pub(super) async fn write_document(
        &self,
        name: &SecretName,
        document: &SecretDocument,
        restored: bool,
    ) -> Result<(), StepError> {
        let secrets = &self.aws.services.secrets;
        let current = secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await?;
        let written = current.as_ref().and_then(|version| version.document.as_ref());
        let by_another = if restored {
            // Its document could not be read while it was scheduled for deletion. Another delivery of
            // this event may have restored it first, and written its own client.
            written.is_some_and(|written| {
                written.metadata.user_pool_id == document.metadata.user_pool_id
                    && written.client_id != document.client_id
            })
        } else {
            // What a rotation or another delivery wrote is newer than what this run knows.
            current.as_ref().map(|version| &version.id) != self.versions.get(name)
        };
        if by_another {
            return Err(already_written(name));
        }
        let token = version_token(name, current.as_ref().map(|version| version.id.as_str()), &document.metadata);
        let Some(current) = current else {
            return Ok(secrets.put_secret_value(name, document, &token, AWSCURRENT).await?);
        };
        keep_former(secrets, name, &current, document).await?;
        // Without a schedule, nobody else moves the label.
        if !self.scheduled.contains(name) {
            return Ok(secrets.put_secret_value(name, document, &token, AWSCURRENT).await?);
        }
        // A new version would end a rotation whose secret Cognito may already have. So finish the
        // rotation first; then there is another secret to write, and this run must observe again.
        if self.end_rotation_under_way(name, &document.metadata).await? {
            return Err(already_written(name));
        }
        Ok(replace_current(secrets, name, document, &token, &current.id).await?)
    }

    /// Finishes a rotation that Secrets Manager has under way. Tells whether there was one.
    async fn end_rotation_under_way(&self, name: &SecretName, metadata: &SecretMetadata) -> Result<bool, StepError> {
        let Some(token) = rotation_under_way(&self.aws.services.secrets, name).await? else { return Ok(false) };
        // The end of a rotation asks the token endpoint, whose domain this Update may have changed.
        self.wait_for_domain().await?;
        let pending = self.aws.services.secrets.get_secret_value(name, Version::Id(&token)).await?;
        if pending.is_none_or(|pending| pending.document.is_none()) {
            return Ok(false);
        }
        match self.rotate(name, &token, Some(metadata)).all().await {
            Ok(()) => Ok(true),
            Err(RotateError::Aws(error)) => Err(error.into()),
            // A rotation that cannot be finished must not block every deployment.
            Err(error) => {
                tracing::warn!(secret = %name, %error, "a rotation under way could not be finished and is given up");
                Ok(false)
            }
        }
    }

    /// Runs the four steps of a rotation at once. If Secrets Manager has a rotation under way, finishes
    /// that one instead: a client has room for two secrets, not for three.
    pub(super) async fn rotate_secret(&self, name: &SecretName, description: &str) -> Result<(), StepError> {
        let (secrets, request_id) = (&self.aws.services.secrets, self.aws.request_id);
        let own = || Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{name}\n{request_id}").as_bytes()).to_string();
        let token = rotation_under_way(secrets, name).await?.unwrap_or_else(own);
        self.rotate(name, &token, None).all().await.map_err(|error| match error {
            RotateError::Aws(error) => StepError::Aws(error),
            source => StepError::Other(Error::Rotation { secret: name.clone(), source: Box::new(source) }),
        })?;
        let change = SecretChange { description: Some(description.to_owned()), kms_key_id: None };
        Ok(secrets.update_secret(name, &change).await?)
    }

    fn rotate<'r>(
        &'r self,
        secret: &'r SecretName,
        token: &'r str,
        metadata: Option<&'r SecretMetadata>,
    ) -> Rotate<'r, S> {
        Rotate { services: &self.aws.services, secret, token, metadata }
    }

    /// Copies the former credentials from the secret with the old name to the one with the new name,
    /// before the old one is deleted. The next rotation must know them, because Cognito still accepts them.
    pub(super) async fn carry_over_previous(&self, name: &SecretName, renamed: &SecretName) -> Result<(), StepError> {
        let secrets = &self.aws.services.secrets;
        let current = secrets.get_secret_value(renamed, Version::Stage(AWSCURRENT)).await?;
        let Some(current) = current.and_then(|version| version.document) else { return Ok(()) };
        let Some(old) = secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await? else { return Ok(()) };
        for stage in [AWSPREVIOUS, FORMER] {
            let Some(version) = secrets.get_secret_value(name, Version::Stage(stage)).await? else { continue };
            if stage == AWSPREVIOUS && !is_older(&version, &old) {
                continue;
            }
            if let Some(former) = version.document.filter(|document| is_former(document, &current)) {
                let parts = format!("{renamed}\n{FORMER}\n{}", version.id);
                let token = Uuid::new_v5(&Uuid::NAMESPACE_URL, parts.as_bytes()).to_string();
                return Ok(secrets.put_secret_value(renamed, &former, &token, FORMER).await?);
            }
        }
        Ok(())
    }
}

/// Labels the version with the former credentials, if AWSPREVIOUS is about to move away from it. Secrets
/// Manager moves AWSPREVIOUS along with each new version, but Cognito still accepts the former
/// credentials, and the next rotation must find them.
async fn keep_former(
    secrets: &impl Secrets,
    name: &SecretName,
    current: &SecretVersion,
    document: &SecretDocument,
) -> Result<(), AwsError> {
    let Some(previous) = secrets.get_secret_value(name, Version::Stage(AWSPREVIOUS)).await? else { return Ok(()) };
    // If somebody has moved AWSCURRENT back by hand, AWSPREVIOUS holds the newer credentials.
    if !previous.document.as_ref().is_some_and(|previous| is_former(previous, document))
        || !is_older(&previous, current)
    {
        return Ok(());
    }
    let described = secrets.describe_secret(name).await?;
    let holder = described.and_then(|described| {
        described.versions.into_iter().find(|(_, labels)| labels.contains(FORMER)).map(|(id, _)| id)
    });
    if holder.as_ref() != Some(&previous.id) {
        secrets.update_secret_version_stage(name, FORMER, holder.as_deref(), Some(&previous.id)).await?;
    }
    Ok(())
}

/// Tells whether a document holds other credentials of the same client.
fn is_former(document: &SecretDocument, current: &SecretDocument) -> bool {
    document.client_id == current.client_id && document.client_secret != current.client_secret
}

/// Returns the id of the version that a rotation has under way.
async fn rotation_under_way(secrets: &impl SecretVersions, name: &SecretName) -> Result<Option<String>, AwsError> {
    let described = secrets.describe_secret(name).await?;
    let pending = |labels: &BTreeSet<String>| labels.contains(AWSPENDING) && !labels.contains(AWSCURRENT);
    let versions = described.map(|described| described.versions).unwrap_or_default();
    Ok(versions.into_iter().find(|(_, labels)| pending(labels)).map(|(id, _)| id))
}

fn already_written(name: &SecretName) -> StepError {
    StepError::Aws(AwsError {
        operation: "PutSecretValue",
        subject: format!("secret {name}"),
        kind: ErrorKind::Changed,
        code: "AlreadyWritten".to_owned(),
        message: "another delivery of this event has written it".to_owned(),
    })
}
