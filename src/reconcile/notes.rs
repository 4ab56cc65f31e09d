//! The notes of a resource that has nothing in AWS to keep them on.
//!
//! They are the tags of an empty secret that is scheduled for deletion at once: it costs nothing, nobody can read it,
//! and it vanishes in a week.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Aws,
    rounds::{FIRST_PAUSE, MAX_ROUNDS},
};
use crate::{
    clock::wait,
    model::{APPLIED_TAG, Applied, Digest, Owner, SecretId, Tags},
    plan::NOTE_KEPT_FOR_DAYS,
    ports::{AwsError, ErrorKind, NewSecret, SecretVersions, Secrets, Services},
};

/// The Deletes of a resource server that were carried out, newest first.
const DELETED_REQUESTS: &str = "cognito-m2m:deleted-requests";
/// Eight of them fit into a tag's 256 characters, and CloudFormation sends no more in the minutes in which Lambda
/// may deliver an event again.
const MAX_REQUESTS: usize = 8;

/// When the Delete was sent, in microseconds since the Unix epoch.
const DELETED_AT: &str = "cognito-m2m:deleted-at";

pub(super) fn note_name(owner: &Owner) -> SecretId {
    SecretId(format!("cognito-m2m/deleted/{}", owner.fingerprint()))
}

/// Leaves a note for a Create that may still run: when this Delete was sent.
///
/// CloudFormation sends such a Delete with an id that it invented, because no Create has answered. The
/// Delete first writes the note and then deletes what it sees. The Create looks for the note after its
/// last write. So one of the two sees everything that was created.
pub async fn note_delete<S: Services>(aws: &Aws<'_, S>, owner: &Owner, sent_at: Duration) {
    let tags = [(DELETED_AT, sent_at.as_micros().to_string())];
    let write = write(aws, owner, &tags);
    // A missing note must not fail the Delete: perhaps nobody can create a secret in this account.
    if let Err(error) = aws.progress.during("noting the Delete", write).await {
        tracing::warn!(%error, "no note was left for a Create that may still run");
    }
}

/// Notes that a Delete of a resource server was carried out.
///
/// Cognito keeps neither date nor tag for a server. So only this note tells a second delivery of the Delete, which may
/// come after the server was declared again, from a new Delete.
pub async fn note_deleted<S: Services>(aws: &Aws<'_, S>, owner: &Owner, request: &Digest) {
    let write = async {
        let mut requests = deleted_requests(aws, owner).await?;
        requests.retain(|known| known != request);
        requests.insert(0, request.clone());
        requests.truncate(MAX_REQUESTS);
        let requests = requests.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
        // The next server of this resource begins without a note.
        write(aws, owner, &[(DELETED_REQUESTS, requests), (APPLIED_TAG, String::new())]).await
    };
    if let Err(error) = aws.progress.during("noting the Delete", write).await {
        tracing::warn!(%error, "a second delivery of this Delete will not be recognized");
    }
}

/// Tells whether a Delete of a resource server was carried out before. If that cannot be found out, the Delete goes on
/// as if it were new.
pub async fn was_deleted_before<S: Services>(aws: &Aws<'_, S>, owner: &Owner, request: &Digest) -> bool {
    let read = async {
        let was_deleted = deleted_requests(aws, owner).await?.contains(request);
        if was_deleted {
            // The run that wrote the note may have been cut off before it scheduled the note for deletion.
            schedule_deletion(aws, &note_name(owner)).await?;
        }
        Ok::<_, AwsError>(was_deleted)
    };
    aws.progress.during("looking for an earlier Delete", read).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "could not look for the note of an earlier Delete");
        false
    })
}

async fn deleted_requests<S: Services>(aws: &Aws<'_, S>, owner: &Owner) -> Result<Vec<Digest>, AwsError> {
    let note = aws.services.secrets.describe_secret(&note_name(owner)).await?;
    let requests = note.and_then(|note| note.tags.get(DELETED_REQUESTS).cloned()).unwrap_or_default();
    Ok(requests.split(':').filter_map(Digest::parse).collect())
}

/// The note about the Updates of a resource server.
#[derive(Default)]
pub(super) struct Note {
    pub(super) applied: Option<Applied>,
    /// Whether it is not scheduled for deletion yet.
    pub(super) is_unfinished: bool,
}

/// Reads the note about the Updates of a resource server. Without the permission to read it, the Update goes on as if
/// there were none: the note only helps to recognize a rollback.
pub(super) async fn note_of_updates<S: Services>(aws: &Aws<'_, S>, owner: &Owner) -> Result<Note, AwsError> {
    let note = match aws.services.secrets.describe_secret(&note_name(owner)).await {
        Err(error) if error.kind == ErrorKind::Denied => {
            tracing::warn!(%error, "a rollback of this Update will not be recognized");
            None
        }
        read => read?,
    };
    Ok(note
        .map_or_else(Note::default, |note| Note { applied: Applied::of(&note.tags), is_unfinished: !note.scheduled }))
}

/// Notes an Update of a resource server before it is carried out, so that its rollback is recognized.
pub(super) async fn note_update<S: Services>(aws: &Aws<'_, S>, owner: &Owner, note: &Applied) {
    let tags = [(APPLIED_TAG, note.to_string())];
    let write = write(aws, owner, &tags);
    if let Err(error) = aws.progress.during("noting the Update", write).await {
        tracing::warn!(%error, "a rollback of this Update will not be recognized");
    }
}

/// Adds tags to the owner's note.
async fn write<S: Services>(aws: &Aws<'_, S>, owner: &Owner, added: &[(&str, String)]) -> Result<(), AwsError> {
    let name = note_name(owner);
    let mut tags = owner.tags();
    tags.extend(added.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    // The note may appear or vanish between two calls: by a lost answer, by another delivery, or at the end of its
    // week.
    for _ in 1..MAX_ROUNDS {
        match write_note(aws, &name, &tags).await {
            Err(error) if error.kind == ErrorKind::Changed => wait(FIRST_PAUSE).await,
            result => return result,
        }
    }
    write_note(aws, &name, &tags).await
}

async fn write_note<S: Services>(aws: &Aws<'_, S>, name: &SecretId, tags: &Tags) -> Result<(), AwsError> {
    let secrets = &aws.services.secrets;
    match secrets.describe_secret(name).await? {
        None => {
            let token = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_str().as_bytes()).to_string();
            let description = "Notes of cognito-m2m about a resource. Nothing needs them after a week";
            let new = NewSecret { name, tags, kms_key_id: None, description, document: None, token: &token };
            secrets.create_secret(&new).await?;
        }
        Some(found) => {
            if found.scheduled {
                secrets.restore_secret(name).await?;
            }
            secrets.tag_resource(name, tags).await?;
        }
    }
    schedule_deletion(aws, name).await
}

/// Schedules the note for deletion. It tries several times whatever the error is: a live note costs money.
async fn schedule_deletion<S: Services>(aws: &Aws<'_, S>, name: &SecretId) -> Result<(), AwsError> {
    const MAX_TRIES: usize = 3;
    for _ in 1..MAX_TRIES {
        if aws.services.secrets.delete_secret(name, NOTE_KEPT_FOR_DAYS).await.is_ok() {
            return Ok(());
        }
        wait(FIRST_PAUSE).await;
    }
    aws.services.secrets.delete_secret(name, NOTE_KEPT_FOR_DAYS).await
}

/// Tells whether a Delete was sent after a Create. If that cannot be found out, the Create goes on as if
/// there were none.
pub async fn deleted_while_creating<S: Services>(aws: &Aws<'_, S>, owner: &Owner, created_at: Duration) -> bool {
    let name = note_name(owner);
    let note = match aws.progress.during("looking for a Delete", aws.services.secrets.describe_secret(&name)).await {
        Ok(note) => note,
        Err(error) => {
            tracing::warn!(%error, "could not look for the note of a Delete");
            return false;
        }
    };
    let deleted_at = note.and_then(|note| note.tags.get(DELETED_AT)?.parse::<u128>().ok());
    deleted_at.is_some_and(|deleted_at| deleted_at >= created_at.as_micros())
}
