//! The rotations of an Update: the one that it makes itself, and those that it meets.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Error, apply::Applying, phases::StepError, rounds::PERMISSION_IS_KNOWN_WITHIN};
use crate::{
    model::{ClientId, ClientName, Rotation, SecretId, desired::SecretMetadata},
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, AwsError, ErrorKind, FORMER, SecretChange, SecretDocument, SecretVersion,
        SecretVersions, Secrets, Services, UNFINISHED, Version,
    },
    rotation::{
        steps::{Rotate, RotateError},
        versions::{Pending, PendingKind, labeled, move_label, pending, read_listed, same_credentials},
    },
};

/// A version with a label that starts like this is the one that a request to rotate goes on with.
const CLAIM_PREFIX: &str = "cognito-m2m-rotates-";

/// One request to rotate one secret now.
struct Request<'r> {
    name: &'r SecretId,
    metadata: SecretMetadata,
    /// The id of the version that it makes. It is the same in every run that carries out the same request.
    id: String,
}

impl Request<'_> {
    fn claim(&self) -> String {
        format!("{CLAIM_PREFIX}{}", self.id)
    }
}

/// Returns the id of a request. The record in `description` counts its changes, so no two requests for one
/// client have the same id, and each run of one request does.
fn request_id(client: &ClientId, description: &str) -> String {
    version_id(client.as_str(), description)
}

fn version_id(one: &str, other: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{one}\n{other}").as_bytes()).to_string()
}

type Labels = BTreeMap<String, BTreeSet<String>>;

impl<S: Services> Applying<'_, S> {
    /// Rotates the client's secret now, then records it. If a rotation is under way, finishes that one
    /// instead: a client has room for two secrets, not for three.
    ///
    /// # Guarantees
    /// One request rotates once. A run that is cut off leaves a version that a later run finds.
    pub(super) async fn rotate_secret(
        &self,
        name: &SecretId,
        client: &ClientName,
        description: &str,
    ) -> Result<(), StepError> {
        let secrets = &self.aws.services.secrets;
        let metadata = self.desired.secret_metadata(self.declared(client)?, &self.pool()?, &self.tokens);
        let client_id = self.state().clients.get(client).cloned();
        let client_id = client_id.ok_or(StepError::Other(Error::Internal("a rotation names an unknown client")))?;
        // The secret may have been created under this name by a run that was cut off.
        if let Some(old) = self.old_name(name) {
            self.carry_over_previous(old, name).await?;
        }
        let request = Request { name, metadata, id: request_id(&client_id, description) };
        if !self.finish_other(&request).await? {
            self.make_own(&request).await?;
        }
        let change = SecretChange { description: Some(description.to_owned()), kms_key_id: None };
        secrets.update_secret(name, &change).await?;
        move_label(secrets, name, &request.claim(), None).await?;
        let current = self.read(name, Version::Stage(AWSCURRENT)).await?;
        if let Some(document) = current.and_then(|version| version.document) {
            self.state().credentials.insert(document.client_id, document.client_secret);
        }
        Ok(())
    }

    /// Finishes the rotation that somebody else has under way, on behalf of the request. Tells whether there
    /// was one that could be finished.
    async fn finish_other(&self, request: &Request<'_>) -> Result<bool, StepError> {
        let (secrets, name, claim) = (&self.aws.services.secrets, request.name, request.claim());
        let labels = self.labels(name).await?;
        let id = match labeled(&labels, &claim) {
            Some(claimed) if self.has_been_current(name, claimed, &labels).await? => {
                self.clear_labels(name, claimed, &labels).await?;
                return Ok(true);
            }
            Some(claimed) => claimed.to_owned(),
            None => match pending(secrets, name, self.aws.services.deadline).await? {
                Some(Pending { kind: PendingKind::Copy, .. }) => {
                    move_label(secrets, name, AWSPENDING, None).await?;
                    return Ok(false);
                }
                Some(Pending { id, .. }) if id != request.id => id,
                _ => return Ok(false),
            },
        };
        let rotate = self.rotation(name, &id, &request.metadata);
        let result = async {
            rotate.create_secret().await?;
            // From now on this version answers the request, also if this run is cut off.
            move_label(secrets, name, &claim, Some(&id)).await?;
            rotate.all().await
        };
        let Err(error) = result.await else { return Ok(true) };
        let labels = self.labels(name).await?;
        if self.has_been_current(name, &id, &labels).await? {
            return Err(rotation_failed(name, error));
        }
        // AWSPENDING moves when the own version is written. Until then it says that a rotation has begun.
        self.give_up(name, error)?;
        move_label(secrets, name, &claim, None).await?;
        Ok(false)
    }

    /// Makes the request's own version current, unless an earlier run has done so.
    async fn make_own(&self, request: &Request<'_>) -> Result<(), StepError> {
        let Request { name, metadata, id } = request;
        let labels = self.labels(name).await?;
        let mut id = id.clone();
        let done = loop {
            let exists = self.read(name, Version::Id(&id)).await?.is_some();
            if exists && self.has_been_current(name, &id, &labels).await? {
                break true;
            }
            // Nobody knows what has become of a version without a label. Its value must not come back.
            if !exists || labels.contains_key(&id) {
                break false;
            }
            id = version_id(&id, "next");
        };
        if done {
            return Ok(self.clear_labels(name, &id, &labels).await?);
        }
        self.rotation(name, &id, metadata).all().await.map_err(|error| rotation_failed(name, error))
    }

    /// Takes off the labels that a run left which was cut off after it had moved AWSCURRENT.
    async fn clear_labels(&self, name: &SecretId, id: &str, labels: &Labels) -> Result<(), AwsError> {
        for label in [UNFINISHED, AWSPENDING] {
            if labeled(labels, label) == Some(id) {
                move_label(&self.aws.services.secrets, name, label, None).await?;
            }
        }
        Ok(())
    }

    /// Ends a rotation that is under way, or takes the label AWSPENDING off what is none. Secrets Manager
    /// refuses a new schedule as long as another version has the label. Tells whether AWSCURRENT has moved.
    pub(super) async fn settle_pending(&self, name: &SecretId, metadata: &SecretMetadata) -> Result<bool, StepError> {
        let secrets = &self.aws.services.secrets;
        let Some(Pending { id, kind }) = pending(secrets, name, self.aws.services.deadline).await? else {
            return Ok(false);
        };
        // Nobody can finish the rotation of a client that is gone.
        if kind == PendingKind::UnderWay && self.current_of_our_client(name).await?.is_some() {
            // The end of a rotation asks the token endpoint, whose domain this Update may have changed.
            self.wait_for_domain().await?;
            match self.rotation(name, &id, metadata).all().await {
                Ok(()) => return Ok(true),
                // It must not block every deployment.
                Err(error) => self.give_up(name, error)?,
            }
        }
        move_label(secrets, name, AWSPENDING, None).await?;
        Ok(false)
    }

    /// Logs that a rotation cannot be finished. Returns the error if another try may help: a permission may be new.
    fn give_up(&self, name: &SecretId, error: RotateError) -> Result<(), AwsError> {
        let may_pass = |error: &AwsError| match error.kind {
            ErrorKind::Refused | ErrorKind::Quota => false,
            ErrorKind::Denied => self.aws.progress.rotation_was_denied() < PERMISSION_IS_KNOWN_WITHIN,
            _ => true,
        };
        match error {
            RotateError::Aws(error) if may_pass(&error) => Err(error),
            error => {
                tracing::warn!(secret = %name, %error, "a rotation under way could not be finished and is given up");
                Ok(())
            }
        }
    }

    /// Returns AWSCURRENT if it has the credentials of one of the resource's clients. A secret that was restored may
    /// have those of a client that is gone.
    pub(super) async fn current_of_our_client(&self, name: &SecretId) -> Result<Option<SecretDocument>, AwsError> {
        let current = self.read(name, Version::Stage(AWSCURRENT)).await?.and_then(|version| version.document);
        Ok(current.filter(|current| self.state().clients.values().any(|client| *client == current.client_id)))
    }

    /// Turns rotation on, or changes its schedule.
    pub(super) async fn schedule_rotation(&self, name: &SecretId, rotation: &Rotation) -> Result<(), StepError> {
        self.settle_pending(name, &self.metadata_of(name)?).await?;
        Ok(self.aws.services.secrets.rotate_secret(name, rotation).await?)
    }

    /// Turns rotation off. CancelRotateSecret leaves AWSPENDING where it is.
    ///
    /// A rotation under way is ended first: once the schedule is gone, a later run would not come back for it. Another
    /// one may begin before the schedule is gone.
    pub(super) async fn cancel_rotation(&self, name: &SecretId) -> Result<(), StepError> {
        let metadata = self.metadata_of(name)?;
        self.settle_pending(name, &metadata).await?;
        self.aws.services.secrets.cancel_rotate_secret(name).await?;
        self.settle_pending(name, &metadata).await?;
        Ok(())
    }

    pub(super) fn metadata_of(&self, name: &SecretId) -> Result<SecretMetadata, StepError> {
        let client = self.desired.clients.iter().find(|client| client.secret_name == *name);
        let client = client.ok_or(StepError::Other(Error::Internal("a step names a secret of no declared client")))?;
        Ok(self.desired.secret_metadata(client, &self.pool()?, &self.tokens))
    }

    /// Tells whether AWSCURRENT has moved to a version, even if it has moved on since.
    async fn has_been_current(&self, name: &SecretId, id: &str, labels: &Labels) -> Result<bool, AwsError> {
        if labels.get(id).is_some_and(|labels| labels.contains(AWSPREVIOUS) || labels.contains(FORMER)) {
            return Ok(true);
        }
        let made = self.read(name, Version::Id(id)).await?.and_then(|version| version.document);
        let current = self.read(name, Version::Stage(AWSCURRENT)).await?.and_then(|version| version.document);
        Ok(made.zip(current).is_some_and(|(made, current)| same_credentials(&made, &current)))
    }

    async fn labels(&self, name: &SecretId) -> Result<Labels, AwsError> {
        let described = self.aws.services.secrets.describe_secret(name).await?;
        Ok(described.map(|described| described.versions).unwrap_or_default())
    }

    pub(super) async fn read(&self, name: &SecretId, version: Version<'_>) -> Result<Option<SecretVersion>, AwsError> {
        read_listed(&self.aws.services.secrets, name, version, self.aws.services.deadline).await
    }

    fn rotation<'r>(&'r self, secret: &'r SecretId, token: &'r str, metadata: &SecretMetadata) -> Rotate<'r, S> {
        let endpoints = &self.desired.endpoints;
        let token_endpoint = endpoints.token_endpoint(&self.tokens.to_verify_at());
        let to_verify = SecretMetadata { token_endpoint, ..metadata.clone() };
        Rotate { services: &self.aws.services, endpoints, secret, token, metadata: Some(to_verify) }
    }
}

fn rotation_failed(name: &SecretId, error: RotateError) -> StepError {
    match error {
        RotateError::Aws(error) => StepError::Aws(error),
        source => StepError::Other(Error::Rotation { secret: name.clone(), source: Box::new(source) }),
    }
}
