//! The readers and the replicas of a client's secret.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use super::{Error, apply::Applying, error::UnknownReader, phases::StepError};
use crate::{
    clock::{now, poll_until},
    model::{
        PolicyChange, Principal, Region, Replicas, ResourcePolicy, SecretId,
        sharing::{READERS_TAG, ReplicaStatus},
    },
    ports::{AwsError, ErrorKind, SecretVersions, Secrets, Services},
};

/// IAM makes a new role known within seconds. Terraform tries again for two minutes.
const PRINCIPAL_IS_KNOWN_WITHIN: Duration = Duration::from_secs(30);
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// A replica takes seconds. Secrets Manager finishes a slower one by itself.
const REPLICATED_WITHIN: Duration = Duration::from_mins(1);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// The steps after the replicas need time, too: replicas get this part of the time that is left.
const PART_OF_THE_TIME: u32 = 2;
/// DescribeSecret may still show that the attempt before this one failed.
const FAILURE_IS_BELIEVED_AFTER: Duration = Duration::from_secs(5);

/// How many readers an error names. CloudFormation takes 4,096 bytes.
const MAX_NAMED_READERS: usize = 5;

impl<S: Services> Applying<'_, S> {
    /// Makes our statement in the secret's resource policy name these readers and nobody else.
    ///
    /// Reads the policy again, because the whole policy is written: a statement that somebody has added since the plan
    /// was made must stay.
    pub(super) async fn set_readers(&self, name: &SecretId, readers: &BTreeSet<Principal>) -> Result<(), StepError> {
        let secrets = &self.aws.services.secrets;
        let present = secrets.get_resource_policy(name).await?;
        match ResourcePolicy::with_readers(present.as_ref(), readers) {
            PolicyChange::Keep => {}
            PolicyChange::Put(policy) => {
                if let Err(error) = self.put_policy(name, &policy).await {
                    self.unknown_reader(name, readers, present.as_ref(), error).await?;
                }
            }
            PolicyChange::Delete => secrets.delete_resource_policy(name).await?,
        }
        if readers.is_empty() {
            secrets.untag_resource(name, &[READERS_TAG.to_owned()]).await?;
        }
        Ok(())
    }

    /// Writes the policy, and tries again for a while if it names a principal that may be as new as the stack.
    async fn put_policy(&self, name: &SecretId, policy: &ResourcePolicy) -> Result<(), AwsError> {
        let services = &self.aws.services;
        let end = (now() + PRINCIPAL_IS_KNOWN_WITHIN).min(services.deadline.for_work());
        poll_until(end, TRY_AGAIN_AFTER, async || match services.secrets.put_resource_policy(name, policy).await {
            Err(error) if error.kind == ErrorKind::UnknownPrincipal => ControlFlow::Continue(error),
            result => ControlFlow::Break(result),
        })
        .await
    }

    /// Says which readers may be unknown. A rollback goes on with the readers that the policy names already: the
    /// others may have been deleted since they were declared.
    async fn unknown_reader(
        &self,
        name: &SecretId,
        readers: &BTreeSet<Principal>,
        present: Option<&ResourcePolicy>,
        error: AwsError,
    ) -> Result<(), StepError> {
        if error.kind != ErrorKind::UnknownPrincipal {
            return Err(error.into());
        }
        let known = ResourcePolicy::known(present, readers);
        if !self.tolerates_refusal {
            let unknown: Vec<_> = readers.difference(&known).map(ToString::to_string).collect();
            let readers = if unknown.is_empty() { named(readers) } else { named(&unknown) };
            let unknown = UnknownReader { secret: name.clone(), readers, source: error };
            return Err(StepError::Other(Error::UnknownReader(Box::new(unknown))));
        }
        tracing::warn!(secret = %name, %error, "a reader is not known; a rollback goes on without it");
        match ResourcePolicy::with_readers(present, &known) {
            PolicyChange::Keep => Ok(()),
            PolicyChange::Put(policy) => match self.aws.services.secrets.put_resource_policy(name, &policy).await {
                Err(error) if error.kind == ErrorKind::UnknownPrincipal => {
                    tracing::warn!(secret = %name, %error, "another statement names an unknown principal; the policy stays");
                    Ok(())
                }
                result => Ok(result?),
            },
            PolicyChange::Delete => Ok(self.aws.services.secrets.delete_resource_policy(name).await?),
        }
    }

    /// Begins to make replicas.
    pub(super) async fn replicate(
        &self,
        name: &SecretId,
        replicas: &Replicas,
        renewed: &BTreeSet<Region>,
    ) -> Result<(), AwsError> {
        let secrets = &self.aws.services.secrets;
        if !renewed.is_empty() {
            secrets.remove_regions_from_replication(name, renewed).await?;
        }
        secrets.replicate_secret_to_regions(name, replicas).await
    }

    /// Waits until the replicas are in sync, or until one of them has failed. Leaves slow ones to finish.
    pub(super) async fn await_replicas(&self, name: &SecretId, regions: &BTreeSet<Region>) -> Result<(), StepError> {
        let services = &self.aws.services;
        let started = now();
        let end = *self
            .replicate_until
            .get_or_init(|| started + REPLICATED_WITHIN.min(services.deadline.left() / PART_OF_THE_TIME));
        let is_believed = || started.elapsed() >= FAILURE_IS_BELIEVED_AFTER || now() + LOOK_AGAIN_AFTER >= end;
        let outcome = poll_until(end, LOOK_AGAIN_AFTER, async || {
            let replicas = match services.secrets.describe_secret(name).await {
                Ok(described) => described.map(|described| described.replicas).unwrap_or_default(),
                Err(error) => return ControlFlow::Break(Err(Waiting::Error(error))),
            };
            let mut waiting = Vec::new();
            for region in regions {
                match replicas.get(region).map(|replica| &replica.status) {
                    Some(ReplicaStatus::InSync) => {}
                    Some(ReplicaStatus::Failed(reason)) if is_believed() => {
                        let failed = Waiting::Failed(region.clone(), reason.clone());
                        return ControlFlow::Break(Err(failed));
                    }
                    Some(ReplicaStatus::Failed(_) | ReplicaStatus::InProgress) | None => waiting.push(region.clone()),
                }
            }
            if waiting.is_empty() { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(Waiting::Slow(waiting)) }
        })
        .await;
        match outcome {
            Ok(()) => Ok(()),
            Err(Waiting::Error(error)) => Err(error.into()),
            Err(Waiting::Slow(regions)) => {
                tracing::warn!(secret = %name, regions = named(&regions), "replicas are left to finish by themselves");
                Ok(())
            }
            Err(Waiting::Failed(region, reason)) if self.tolerates_refusal => {
                tracing::warn!(secret = %name, %region, reason, "a replica has failed; a rollback goes on all the same");
                Ok(())
            }
            Err(Waiting::Failed(region, reason)) => {
                Err(StepError::Other(Error::ReplicaFailed { secret: name.clone(), region, reason }))
            }
        }
    }
}

/// Why the replicas of a secret are not in sync.
enum Waiting {
    Slow(Vec<Region>),
    Failed(Region, String),
    Error(AwsError),
}

/// Returns the first few of many names.
fn named<N: ToString>(names: impl IntoIterator<Item = N>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    match names.len().checked_sub(MAX_NAMED_READERS) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MAX_NAMED_READERS].join(", ")),
    }
}
