//! The steps of the clients' secrets.

use std::collections::BTreeSet;

use super::{
    Changes, Deletion, DocumentUpdate, SecretUpdate, Step,
    diff::{stale_tags, tag_changes},
};
use crate::model::{
    Client, Desired, Ownership, PolicyChange, ResourcePolicy, RotationRecord, SecretId, Tags,
    desired::SecretMetadata,
    ids::{AWS_MANAGED_KEY, same_key},
    observed::{Observed, ObservedDocument, ObservedPolicy, ObservedSecret},
    sharing::READERS_TAG,
};

/// The steps of the clients' secrets.
#[derive(Default)]
pub(super) struct SecretSteps {
    /// Writes the versions that `secrets` releases.
    pub(super) prepare: Vec<Step>,
    /// Rotates secrets that get a new name, under the old one.
    pub(super) rotate_renamed: Vec<Step>,
    /// Creates and updates.
    pub(super) secrets: Vec<Step>,
    /// Rotates secrets that keep their name.
    pub(super) rotate: Vec<Step>,
    pub(super) schedule: Vec<Step>,
}

pub(super) fn plan_secrets(desired: &Desired, observed: &Observed) -> SecretSteps {
    let mut steps = SecretSteps::default();
    for client in &desired.clients {
        let (record, rotated) = plan_rotation_record(desired, observed, client);
        let description = record.describe(&client.name);
        let keeps_name = rotated.is_some_and(|name| *name == client.secret_name);
        let secret = plan_secret(desired, observed, client, (!keeps_name).then(|| description.clone()));
        if let Some(Step::UpdateSecret { name, client, update, .. }) = &secret
            && update.document == DocumentUpdate::Release
        {
            steps.prepare.push(Step::PrepareSecret { name: name.clone(), client: client.clone() });
        }
        steps.secrets.extend(secret);
        if let Some(name) = rotated {
            let step = Step::RotateSecret { name: name.clone(), client: client.name.clone(), description };
            if keeps_name { &mut steps.rotate } else { &mut steps.rotate_renamed }.push(step);
        }
        steps.schedule.extend(plan_schedule(desired, observed, client));
    }
    steps
}

/// Returns what the client's secret must record about `RotateSecrets`, and the secret to rotate now. A
/// client that is new needs no rotation.
///
/// The record follows the client. If the secret's name changes, the secret with the old name has the record, and it is
/// the one that is rotated: it also has the versions that a rotation needs. A secret that is restored continues its
/// record, because its versions are there again.
fn plan_rotation_record<'o>(
    desired: &Desired,
    observed: &'o Observed,
    client: &Client,
) -> (RotationRecord, Option<&'o SecretId>) {
    let value = desired.rotate_secrets.as_str();
    let restored = || {
        let (name, secret) = observed.secrets.get_key_value(&client.secret_name)?;
        (secret.ownership == Ownership::Ours && secret.scheduled).then_some((name, secret))
    };
    let recorded = secret_in_use(observed, client).or_else(restored);
    match recorded.map(|(name, secret)| (name, RotationRecord::parse(&secret.description))) {
        Some((name, Some(record))) => {
            let rotates = record.asks_to_rotate(value) && observed.client(client).is_some();
            (record.then(value), rotates.then_some(name))
        }
        _ => (RotationRecord::new(value), None),
    }
}

/// Returns the live secret with the client's credentials: the one with the desired name, or else the one
/// whose document names the client.
pub(super) fn secret_in_use<'o>(observed: &'o Observed, client: &Client) -> Option<(&'o SecretId, &'o ObservedSecret)> {
    let is_live =
        |secret: &ObservedSecret| secret.ownership == Ownership::Ours && !secret.scheduled && secret.document.is_some();
    if let Some(found) = observed.secrets.get_key_value(&client.secret_name).filter(|(_, secret)| is_live(secret)) {
        return Some(found);
    }
    let id = &observed.client(client)?.id;
    observed.secrets.iter().filter(|(_, secret)| is_live(secret)).find(|(_, secret)| {
        secret
            .document
            .as_ref()
            .is_some_and(|found| found.client_id == *id && client.is_named(&found.metadata.client_name))
    })
}

fn plan_schedule(desired: &Desired, observed: &Observed, client: &Client) -> Option<Step> {
    let name = client.secret_name.clone();
    let current = observed.secrets.get(&name).and_then(|secret| secret.rotation.as_ref());
    match &desired.rotation {
        rotation if rotation.as_ref() == current => None,
        Some(rotation) => Some(Step::ScheduleRotation { name, rotation: rotation.clone() }),
        None => Some(Step::CancelRotation { name }),
    }
}

/// Plans the secret's own step. `description` is `None` if a rotation will write it.
fn plan_secret(desired: &Desired, observed: &Observed, client: &Client, description: Option<String>) -> Option<Step> {
    let name = client.secret_name.clone();
    let tags = &desired.tags_of_secret(client);
    let kms_key_id = desired.secret_kms_key_id.clone();
    let Some(current) = observed.secrets.get(&name) else {
        let description = description.unwrap_or_default();
        return Some(Step::CreateSecret {
            name,
            client: client.name.clone(),
            kms_key_id,
            tags: tags.clone(),
            description,
        });
    };

    let mut changes = Changes::new();
    let mut update = SecretUpdate { restore: current.scheduled, ..SecretUpdate::default() };
    if update.restore {
        changes.push("restore".to_owned());
    }
    let present = &comparable_tags(desired, client, current);
    if let Some(change) = tag_changes(tags, present) {
        changes.push(change);
        update.tag = tags
            .iter()
            .filter(|(key, value)| present.get(*key) != Some(value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        update.untag = stale_tags(tags, present).cloned().collect();
    }
    let changes_key = current.key_change_unfinished || !same_key(kms_key_id.as_deref(), current.kms_key_id.as_deref());
    if changes_key {
        changes.push("key".to_owned());
        update.kms_key_id = Some(kms_key_id.unwrap_or_else(|| AWS_MANAGED_KEY.to_owned()));
    }
    if let Some(description) = description.filter(|description| *description != current.description) {
        changes.push("description".to_owned());
        update.description = Some(description);
    }
    let document_changes = document_changes(desired, observed, client, current.document.as_ref());
    // UpdateSecret can succeed without encrypting anything again; a new version fails if the key cannot be used.
    if changes_key || !document_changes.is_empty() {
        let is_prepared = can_be_prepared(desired, observed, client, current, &update);
        update.document = if is_prepared { DocumentUpdate::Release } else { DocumentUpdate::Write };
    }
    changes.extend(document_changes);
    (!changes.is_empty()).then(|| Step::UpdateSecret { name, client: client.name.clone(), update, changes })
}

/// Tells whether the next version of a secret can be written before the other steps of its client.
///
/// The credentials must be those of AWSCURRENT, which no step of the plan changes then. The key must be the one that
/// stays. The token endpoint must stay: the rotation function takes the age of a version that names a new domain for
/// the age of the domain. And there must be no schedule: a new version may end a rotation that is under way. With a
/// schedule, the run looks for such a rotation right before the write.
fn can_be_prepared(
    desired: &Desired,
    observed: &Observed,
    client: &Client,
    secret: &ObservedSecret,
    update: &SecretUpdate,
) -> bool {
    let endpoint = desired.endpoints.token_endpoint(&desired.token_source(observed.pool.as_ref()));
    let keeps_client_and_endpoint = |document: &ObservedDocument| {
        observed.client(client).is_some_and(|client| client.id == document.client_id)
            && document.metadata.token_endpoint == endpoint
    };
    secret.document.as_ref().is_some_and(keeps_client_and_endpoint)
        && !update.restore
        && update.kms_key_id.is_none()
        && secret.rotation.is_none()
}

/// Returns the secret's tags without the mark of its readers, if the mark must stay until our statement is gone. A
/// secret with as many tags as AWS allows has no room for it, and needs none.
fn comparable_tags(desired: &Desired, client: &Client, secret: &ObservedSecret) -> Tags {
    let has_statement = match &secret.policy {
        ObservedPolicy::NotRead => false,
        ObservedPolicy::Unknown => true,
        ObservedPolicy::Read(policy) => {
            ResourcePolicy::with_readers(policy.as_ref(), &BTreeSet::new()) != PolicyChange::Keep
        }
    };
    let mut tags = secret.tags.clone();
    if client.secret_readers.is_empty() && has_statement && desired.has_room_for_mark() {
        tags.remove(READERS_TAG);
    }
    tags
}

/// Returns the names of the document's keys whose values change. Without a document or a pool, the whole
/// value changes.
fn document_changes(
    desired: &Desired,
    observed: &Observed,
    client: &Client,
    document: Option<&ObservedDocument>,
) -> Changes {
    let (Some(ObservedDocument { client_id, metadata }), Some(pool)) = (document, &observed.pool) else {
        return vec!["value".to_owned()];
    };
    let present = observed.client(client).map(|client| &client.id);
    let SecretMetadata { token_service, token_endpoint, scope, issuer, jwks_uri, user_pool_id, client_name } =
        desired.secret_metadata(client, &pool.id, &desired.token_source(Some(pool)));
    let former = metadata.token_service;
    let service = (token_service != former).then(|| {
        format!("token_service {former} -> {token_service} (running consumers must change how they ask for tokens)")
    });
    let keys = [
        ("client_id", present == Some(client_id)),
        ("token_endpoint", token_endpoint == metadata.token_endpoint),
        ("scope", scope == metadata.scope),
        ("issuer", issuer == metadata.issuer),
        ("jwks_uri", jwks_uri == metadata.jwks_uri),
        ("user_pool_id", user_pool_id == metadata.user_pool_id),
        ("client_name", client_name == metadata.client_name),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(key, _)| key.to_owned());
    service.into_iter().chain(keys).collect()
}

/// Deletes our secrets whose names are no longer desired.
pub(super) fn stale_secrets(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let wanted: BTreeSet<&SecretId> = desired.clients.iter().map(|client| &client.secret_name).collect();
    observed
        .secrets
        .iter()
        .filter(|(name, secret)| secret.ownership == Ownership::Ours && !secret.scheduled && !wanted.contains(name))
        .map(|(name, secret)| {
            let recovery_window_in_days = desired.secret_recovery_window_in_days;
            let replicas = secret.replicas.keys().cloned().collect();
            Step::Delete(Deletion::Secret { name: name.clone(), recovery_window_in_days, replicas })
        })
        .collect()
}
