//! Reads the versions of a secret, although Secrets Manager shows a new version late.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::Duration,
};

use crate::{
    clock::{Deadline, now, poll_until},
    model::SecretId,
    ports::{AWSCURRENT, AWSPENDING, AwsError, ErrorKind, SecretDocument, SecretVersion, SecretVersions, Version},
};

/// How long a read may miss a version that was just written. Secrets Manager is eventually consistent and
/// names no bound; users report seconds.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html>
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads a version. If DescribeSecret lists the version and the read misses it, repeats the read for a while.
/// A version that was selected by its id may have no value; then the result is `None`.
///
/// # Errors
/// A call failed, or a version has the label and does not show its value. It must not be taken for a missing
/// one, because what takes its place would overwrite it.
pub async fn read_listed(
    secrets: &impl SecretVersions,
    name: &SecretId,
    version: Version<'_>,
    deadline: Deadline,
) -> Result<Option<SecretVersion>, AwsError> {
    if let Some(found) = secrets.get_secret_value(name, version).await? {
        return Ok(Some(found));
    }
    let versions = secrets.describe_secret(name).await?.map(|described| described.versions).unwrap_or_default();
    let is_listed = match version {
        Version::Stage(label) => versions.values().any(|labels| labels.contains(label)),
        Version::Id(id) => versions.contains_key(id),
    };
    if !is_listed {
        return Ok(None);
    }
    match (read_written(secrets, name, version, deadline).await?, version) {
        (None, Version::Stage(label)) => Err(not_shown(name, label)),
        (found, _) => Ok(found),
    }
}

/// Returns the error of a version that must exist and does not show its value.
#[must_use]
pub fn not_shown(name: &SecretId, label: &str) -> AwsError {
    AwsError {
        operation: "GetSecretValue",
        subject: format!("secret {name}"),
        kind: ErrorKind::Changed,
        code: "VersionMissing".to_owned(),
        message: format!("Secrets Manager does not show the value of {label} yet"),
    }
}

/// Reads a version that was written before. Repeats a read that misses it for a while.
///
/// # Errors
/// A call failed.
pub async fn read_written(
    secrets: &impl SecretVersions,
    name: &SecretId,
    version: Version<'_>,
    deadline: Deadline,
) -> Result<Option<SecretVersion>, AwsError> {
    let end = (now() + VISIBLE_WITHIN).min(deadline.for_work());
    let read = poll_until(end, READ_AGAIN_AFTER, async || match secrets.get_secret_value(name, version).await {
        Ok(Some(found)) => ControlFlow::Break(Ok(found)),
        Ok(None) => ControlFlow::Continue(None),
        Err(error) => ControlFlow::Break(Err(Some(error))),
    })
    .await;
    match read {
        Ok(found) => Ok(Some(found)),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

/// The version that is labeled AWSPENDING and not AWSCURRENT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub id: String,
    pub kind: PendingKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingKind {
    /// Secrets Manager made it to begin a rotation. It has no value yet.
    Empty,
    /// It has AWSCURRENT's credentials: Secrets Manager tests a schedule with it, or its rotation has ended.
    Copy,
    /// It has another value: a rotation is under way.
    UnderWay,
}

/// Finds what is labeled AWSPENDING. Compares the values, because the label alone does not say whether a
/// rotation is under way.
///
/// # Errors
/// A call failed.
pub async fn pending(
    secrets: &impl SecretVersions,
    name: &SecretId,
    deadline: Deadline,
) -> Result<Option<Pending>, AwsError> {
    let Some(described) = secrets.describe_secret(name).await? else { return Ok(None) };
    let is_pending =
        described.versions.into_iter().find(|(_, labels)| labels.contains(AWSPENDING) && !labels.contains(AWSCURRENT));
    let Some((id, _)) = is_pending else { return Ok(None) };
    let kind = match read_listed(secrets, name, Version::Id(&id), deadline).await? {
        None => PendingKind::Empty,
        Some(SecretVersion { document, .. }) => {
            let current = read_listed(secrets, name, Version::Stage(AWSCURRENT), deadline).await?;
            let current = current.and_then(|current| current.document);
            let is_copy = document.zip(current).is_some_and(|(one, other)| same_credentials(&one, &other));
            if is_copy { PendingKind::Copy } else { PendingKind::UnderWay }
        }
    };
    Ok(Some(Pending { id, kind }))
}

/// Tells whether two documents hold the same credentials, whatever else they say.
#[must_use]
pub fn same_credentials(one: &SecretDocument, other: &SecretDocument) -> bool {
    one.client_id == other.client_id && one.client_secret == other.client_secret
}

/// Returns the id of the version that has a label.
#[must_use]
pub fn labeled<'v>(versions: &'v BTreeMap<String, BTreeSet<String>>, label: &str) -> Option<&'v str> {
    let found = versions.iter().find(|(_, labels)| labels.contains(label));
    found.map(|(id, _)| id.as_str())
}

/// Puts a label on a version, or takes it off if `to` is `None`. Does nothing if it is so already.
///
/// # Errors
/// A call failed, or the label was moved meanwhile.
pub async fn move_label(
    secrets: &impl SecretVersions,
    name: &SecretId,
    label: &str,
    to: Option<&str>,
) -> Result<(), AwsError> {
    let versions = secrets.describe_secret(name).await?.map(|described| described.versions).unwrap_or_default();
    let from = labeled(&versions, label);
    if from == to { Ok(()) } else { secrets.update_secret_version_stage(name, label, from, to).await }
}
