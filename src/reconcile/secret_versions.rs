//! The versions of a client's secret: how AWSCURRENT is written without losing what another writer or
//! a rotation wrote.

use std::collections::HashMap;

use futures::future;
use uuid::Uuid;

use super::{Error, apply::Applying, observe::CurrentVersion, phases::StepError};
use crate::{
    model::{
        Desired, PoolId, SecretId,
        desired::SecretMetadata,
        observed::{Observed, ObservedSecret},
    },
    ports::{
        ADOPTED, AWSCURRENT, AWSPREVIOUS, AwsError, ErrorKind, FORMER, NEXT, OLD_KEY, SecretDocument, SecretVersion,
        SecretVersions, Services, UNFINISHED, UserPools, Version,
    },
    rotation::{
        steps::{is_older, replace_current},
        versions::{labeled, move_label, not_shown, read_written, same_credentials},
    },
};

/// Returns the id of the version that follows `current`.
///
/// Secrets Manager refuses a second value for the same id. Two deliveries of one event may both create
/// a client, but only one of them can write the version. The other is refused, observes again, and finds
/// the first one's client in the secret. Without a domain they may even have created two pools, so the id does not
/// depend on the pool.
pub(super) fn version_token(name: &SecretId, current: Option<&str>, metadata: &SecretMetadata) -> String {
    let SecretMetadata { token_service, token_endpoint, scope, client_name, issuer: _, jwks_uri: _, user_pool_id: _ } =
        metadata;
    let parts = [
        name.as_str(),
        current.unwrap_or_default(),
        token_service.as_str(),
        token_endpoint,
        scope,
        client_name.as_str(),
    ];
    Uuid::new_v5(&Uuid::NAMESPACE_URL, parts.join("\n").as_bytes()).to_string()
}

/// Returns the id of the prepared version that follows `current`.
///
/// It covers all of the document. Its client secret is that of `current`, so no two runs have different values for one
/// id. The label decides between them. Another version of this program may write the same document in other words, so
/// the id covers that, too: AWS refuses another value for an id that is there.
fn prepared_token(name: &SecretId, current: &str, document: &SecretDocument) -> String {
    let SecretDocument { client_id, client_secret: _, metadata, former: _ } = document;
    let SecretMetadata { token_service, token_endpoint, scope, issuer, jwks_uri, user_pool_id, client_name } = metadata;
    let parts = [
        NEXT,
        env!("CARGO_PKG_VERSION"),
        name.as_str(),
        current,
        client_id.as_str(),
        token_service.as_str(),
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
pub(super) fn renamed_secrets(desired: &Desired, observed: &Observed) -> HashMap<SecretId, SecretId> {
    let renamed = |(name, secret): (&SecretId, &ObservedSecret)| {
        let client_name = &secret.document.as_ref()?.metadata.client_name;
        let client =
            desired.clients.iter().find(|client| client.is_named(client_name) && client.secret_name != *name)?;
        Some((name.clone(), client.secret_name.clone()))
    };
    observed.secrets.iter().filter_map(renamed).collect()
}

impl<S: Services> Applying<'_, S> {
    /// Writes AWSCURRENT anew, unless another writer has done so since it was observed.
    pub(super) async fn write_document(
        &self,
        name: &SecretId,
        document: &SecretDocument,
        restored: bool,
    ) -> Result<(), StepError> {
        let secrets = &self.aws.services.secrets;
        let read = |stage| self.read(name, Version::Stage(stage));
        let (current, previous) = future::try_join(read(AWSCURRENT), read(AWSPREVIOUS)).await?;
        let written = current.as_ref().and_then(|version| version.document.as_ref());
        let by_another = if restored {
            // Its document could not be read while it was scheduled for deletion. Another delivery of
            // this event may have restored it first, and written its own client.
            match written.filter(|written| written.client_id != document.client_id) {
                Some(written) => self.is_own_pool(&written.metadata.user_pool_id, document).await?,
                None => false,
            }
        } else {
            // What a rotation or another delivery wrote is newer than what this run knows.
            current.as_ref().map(|version| &version.id) != self.versions.get(name).map(|current| &current.version.id)
        };
        if by_another {
            return Err(already_written(name));
        }
        let token = version_token(name, current.as_ref().map(|version| version.id.as_str()), &document.metadata);
        let Some(current) = current else {
            return Ok(secrets.put_secret_value(name, document, &token, AWSCURRENT).await?);
        };
        self.keep_former(name, &current, previous, document).await?;
        // Without a schedule, nobody else moves the label.
        if !self.scheduled.contains(name) {
            return Ok(secrets.put_secret_value(name, document, &token, AWSCURRENT).await?);
        }
        // A new version would end a rotation whose secret Cognito may already have. So finish the
        // rotation first; then there is another secret to write, and this run must observe again.
        if self.settle_pending(name, &document.metadata).await? {
            return Err(already_written(name));
        }
        Ok(replace_current(secrets, name, document, &token, &current.id).await?)
    }

    /// Writes the version that is to become AWSCURRENT, with a label that no consumer reads.
    pub(super) async fn prepare(&self, name: &SecretId, document: &SecretDocument) -> Result<(), StepError> {
        let current = self.observed_version(name)?;
        let token = prepared_token(name, &current.version.id, document);
        let write = self.aws.services.secrets.put_secret_value(name, document, &token, NEXT);
        let keep = async {
            // If AWSCURRENT has moved since it was observed, the release fails.
            if current.is_first {
                return Ok(());
            }
            let previous = self.read(name, Version::Stage(AWSPREVIOUS)).await?;
            self.keep_former(name, &current.version, previous, document).await
        };
        let (written, kept) = future::join(write, keep).await;
        Ok(written.and(kept)?)
    }

    /// Makes the prepared version AWSCURRENT, unless another writer has moved AWSCURRENT since it was observed.
    ///
    /// No read comes before, because Secrets Manager moves the label only from the version that was observed. If a
    /// rotation, another delivery or a person has moved it, the call is refused, and this run observes again. So it
    /// undoes nothing. A read would say less: between it and the write is always a moment.
    pub(super) async fn release(&self, name: &SecretId, document: &SecretDocument) -> Result<(), StepError> {
        let current = &self.observed_version(name)?.version.id;
        let prepared = prepared_token(name, current, document);
        let secrets = &self.aws.services.secrets;
        Ok(secrets.update_secret_version_stage(name, AWSCURRENT, Some(current), Some(&prepared)).await?)
    }

    fn observed_version(&self, name: &SecretId) -> Result<&CurrentVersion, StepError> {
        self.versions.get(name).ok_or(StepError::Other(Error::Internal("a step prepares a secret without a version")))
    }

    /// Tells whether a pool is the one of the document. Without a domain, another delivery may have created another
    /// pool; then the first one to write the secret decides which pool stays.
    async fn is_own_pool(&self, pool: &PoolId, document: &SecretDocument) -> Result<bool, AwsError> {
        if *pool == document.metadata.user_pool_id {
            return Ok(true);
        }
        let has_no_domain = self.desired.own_pool().is_some_and(|own| own.domain.is_none());
        if !has_no_domain {
            return Ok(false);
        }
        let found = self.aws.services.pools.describe_user_pool(pool).await?;
        Ok(found.is_some_and(|found| self.desired.owner.owns(&found.state.tags)))
    }

    /// Labels the version with the former credentials, if AWSPREVIOUS is about to move away from it. Secrets
    /// Manager moves AWSPREVIOUS along with each new version, but Cognito still accepts the former
    /// credentials, and the next rotation must find them.
    async fn keep_former(
        &self,
        name: &SecretId,
        current: &SecretVersion,
        previous: Option<SecretVersion>,
        document: &SecretDocument,
    ) -> Result<(), AwsError> {
        let Some(previous) = previous else { return Ok(()) };
        // If somebody has moved AWSCURRENT back by hand, AWSPREVIOUS holds the newer credentials.
        if !previous.document.as_ref().is_some_and(|previous| is_former(previous, document))
            || !is_older(&previous, current)
        {
            return Ok(());
        }
        move_label(&self.aws.services.secrets, name, FORMER, Some(&previous.id)).await
    }

    /// Returns the old name of a secret that has a new one.
    pub(super) fn old_name(&self, name: &SecretId) -> Option<&SecretId> {
        self.renamed_secrets.iter().find(|(_, new)| *new == name).map(|(old, _)| old)
    }

    /// Ends a rotation of the secret with the old name before its credentials are copied to the new one.
    pub(super) async fn settle_old_secret(&self, name: &SecretId, metadata: &SecretMetadata) -> Result<(), StepError> {
        match self.old_name(name) {
            Some(old) if self.settle_pending(old, metadata).await? => Err(already_written(old)),
            _ => Ok(()),
        }
    }

    /// Notes that versions are about to be under an old key, so that a run that is cut off is not the last
    /// one to know.
    pub(super) async fn begin_key_change(&self, name: &SecretId) -> Result<(), AwsError> {
        let secrets = &self.aws.services.secrets;
        let versions = secrets.describe_secret(name).await?.map(|described| described.versions).unwrap_or_default();
        if labeled(&versions, OLD_KEY).is_some() {
            return Ok(());
        }
        let Some(current) = labeled(&versions, AWSCURRENT) else { return Ok(()) };
        secrets.update_secret_version_stage(name, OLD_KEY, None, Some(current)).await
    }

    /// Writes the versions anew that a later rotation needs and that UpdateSecret does not encrypt again.
    pub(super) async fn end_key_change(&self, name: &SecretId, current: &SecretDocument) -> Result<(), AwsError> {
        let secrets = &self.aws.services.secrets;
        for label in [FORMER, UNFINISHED, ADOPTED] {
            let Some(version) = self.read(name, Version::Stage(label)).await? else { continue };
            if let Some(document) =
                version.document.filter(|document| document.former.is_some() || is_former(document, current))
            {
                let token = copy_token(name, label, &version.id);
                secrets.put_secret_value(name, &document, &token, label).await?;
            }
        }
        move_label(secrets, name, OLD_KEY, None).await
    }

    /// Copies the former credentials from the secret with the old name to the one with the new name,
    /// before the old one is deleted. The next rotation must know them, because Cognito still accepts them.
    pub(super) async fn carry_over_previous(&self, name: &SecretId, renamed: &SecretId) -> Result<(), StepError> {
        let secrets = &self.aws.services.secrets;
        // This run may have written it just now.
        let current = Version::Stage(AWSCURRENT);
        let current = read_written(secrets, renamed, current, self.aws.services.deadline).await?;
        let current = current.ok_or_else(|| not_shown(renamed, AWSCURRENT))?;
        let Some(current) = current.document else { return Ok(()) };
        let Some(old) = self.read(name, Version::Stage(AWSCURRENT)).await? else { return Ok(()) };
        // Once the secret with the new name was rotated, Cognito no longer has the others.
        if old.document.as_ref().is_none_or(|old| !same_credentials(old, &current)) {
            return Ok(());
        }
        let copy = async |version: &SecretVersion, document: &SecretDocument, label| {
            secrets.put_secret_value(renamed, document, &copy_token(renamed, label, &version.id), label).await
        };
        for stage in [AWSPREVIOUS, FORMER] {
            let Some(version) = self.read(name, Version::Stage(stage)).await? else { continue };
            if stage == AWSPREVIOUS && !is_older(&version, &old) {
                continue;
            }
            if let Some(former) = version.document.as_ref().filter(|document| is_former(document, &current)) {
                copy(&version, former, FORMER).await?;
                break;
            }
        }
        if let Some(version) = self.read(name, Version::Stage(UNFINISHED)).await?
            && let Some(document) = version.document.as_ref().filter(|document| is_former(document, &current))
        {
            copy(&version, document, UNFINISHED).await?;
        }
        if let Some(version) = self.read(name, Version::Stage(ADOPTED)).await?
            && let Some(document) = version.document.as_ref()
        {
            copy(&version, document, ADOPTED).await?;
        }
        Ok(())
    }
}

/// Returns the id of a copy of a version.
pub(super) fn copy_token(name: &SecretId, label: &str, id: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{name}\n{label}\n{id}").as_bytes()).to_string()
}

/// Tells whether a document holds other credentials of the same client.
fn is_former(document: &SecretDocument, current: &SecretDocument) -> bool {
    document.client_id == current.client_id && document.client_secret != current.client_secret
}

fn already_written(name: &SecretId) -> StepError {
    StepError::Aws(AwsError {
        operation: "PutSecretValue",
        subject: format!("secret {name}"),
        kind: ErrorKind::Changed,
        code: "AlreadyWritten".to_owned(),
        message: "another delivery of this event has written it".to_owned(),
    })
}
