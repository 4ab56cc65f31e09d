//! Secrets Manager. The texts of the errors are the service's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cognito_m2m::{
    clock::wall_clock,
    ports::{AWSCURRENT, AWSPENDING, AWSPREVIOUS},
};
use serde_json::{Value, json};

use super::{
    ACCOUNT, Aws,
    protocol::{Refusal, field, page},
};

type Outcome = Result<Value, Refusal>;

/// What the service asks the rotation function for, one after the other.
pub const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Without `RecoveryWindowInDays` and `ForceDeleteWithoutRecovery`.
const DEFAULT_RECOVERY_WINDOW_IN_DAYS: u64 = 30;

pub struct Secret {
    pub name: String,
    pub arn: String,
    pub description: String,
    pub tags: BTreeMap<String, String>,
    pub kms_key_id: Option<String>,
    pub rotation: Option<Rotation>,
    pub policy: Option<String>,
    /// The regions of the replicas, each with its key. They are in sync at once.
    pub replicas: BTreeMap<String, Value>,
    /// When it will be deleted, if that is scheduled.
    pub deleted: Option<Duration>,
    pub versions: BTreeMap<String, Version>,
}

pub struct Rotation {
    pub enabled: bool,
    pub function: Value,
    pub rules: Value,
}

/// One version of a secret. No `Debug`: a failing test must not print the value.
#[derive(Clone, PartialEq)]
pub struct Version {
    /// A rotation stages a version before it has a value.
    pub value: Option<String>,
    pub created: Duration,
    pub labels: BTreeSet<String>,
}

impl Secret {
    /// Returns the id of the version with this label.
    pub fn holder(&self, label: &str) -> Option<&str> {
        self.versions.iter().find(|(_, version)| version.labels.contains(label)).map(|(id, _)| id.as_str())
    }

    /// Moves a label. AWSPREVIOUS follows to the version that AWSCURRENT leaves.
    pub fn put_label(&mut self, label: &str, to: Option<&str>) {
        let holder = self.holder(label).map(ToOwned::to_owned);
        if holder.as_deref() == to {
            return;
        }
        if let Some(holder) = holder {
            self.versions.get_mut(&holder).unwrap().labels.remove(label);
            if label == AWSCURRENT {
                self.put_label(AWSPREVIOUS, Some(&holder));
            }
        }
        if let Some(version) = to.and_then(|to| self.versions.get_mut(to)) {
            version.labels.insert(label.to_owned());
        }
    }

    /// Stages a version that has no value yet: the beginning of a rotation.
    pub fn begin_rotation(&mut self, id: &str) {
        let version = Version { value: None, created: wall_clock(), labels: BTreeSet::new() };
        self.versions.insert(id.to_owned(), version);
        self.put_label(AWSPENDING, Some(id));
    }

    fn tag_list(&self) -> Value {
        self.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
    }

    fn replication_status(&self) -> Value {
        let replica =
            |(region, key): (&String, &Value)| json!({ "Region": region, "KmsKeyId": key, "Status": "InSync" });
        self.replicas.iter().map(replica).collect()
    }

    fn named(&self, version: &str) -> Value {
        json!({ "ARN": self.arn, "Name": self.name, "VersionId": version })
    }

    fn add_tags(&mut self, tags: &Value) {
        let tags = tags.as_array().into_iter().flatten();
        self.tags.extend(tags.map(|tag| (field(tag, "Key").to_owned(), field(tag, "Value").to_owned())));
    }
}

impl Aws {
    pub fn secrets_manager(&mut self, operation: &str, body: &Value) -> Outcome {
        match operation {
            "ListSecrets" => Ok(self.list_secrets(body)),
            "CreateSecret" => self.create_secret(body),
            "DescribeSecret" => self.describe_secret(body),
            "GetSecretValue" => self.get_secret_value(body),
            "PutSecretValue" => self.put_secret_value(body),
            "UpdateSecret" => self.update_secret(body),
            "UpdateSecretVersionStage" => self.update_secret_version_stage(body),
            "RotateSecret" => self.rotate_secret(body),
            "CancelRotateSecret" => self.cancel_rotate_secret(body),
            "TagResource" => self.tag_resource(body),
            "UntagResource" => self.untag_resource(body),
            "DeleteSecret" => self.delete_secret(body),
            "RestoreSecret" => self.restore_secret(body),
            "GetResourcePolicy" => self.get_resource_policy(body),
            "PutResourcePolicy" => self.put_resource_policy(body),
            "DeleteResourcePolicy" => self.delete_resource_policy(body),
            "ReplicateSecretToRegions" => self.replicate_secret_to_regions(body),
            "RemoveRegionsFromReplication" => self.remove_regions_from_replication(body),
            unknown => Err(Refusal::of("UnknownOperationException", unknown)),
        }
    }

    /// Knows the filter by the values of tags only: a prefix, in any case.
    fn list_secrets(&self, body: &Value) -> Value {
        // A filter matches beginnings and ignores case.
        let fits = |filter: &Value, text: &String| {
            let values = filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str);
            values.into_iter().any(|value| text.to_ascii_lowercase().starts_with(&value.to_ascii_lowercase()))
        };
        let matches = |filter: &Value, secret: &Secret| match field(filter, "Key") {
            "tag-key" => secret.tags.keys().any(|key| fits(filter, key)),
            "tag-value" => secret.tags.values().any(|value| fits(filter, value)),
            other => unreachable!("no such filter here: {other}"),
        };
        let filters = || body["Filters"].as_array().into_iter().flatten();
        let found = self
            .secrets
            .values()
            .filter(|secret| secret.deleted.is_none() && filters().all(|filter| matches(filter, secret)));
        let shown = |secret: &Secret| json!({ "ARN": secret.arn, "Name": secret.name, "Tags": secret.tag_list() });
        let (secrets, next) = page(found.map(shown), self.size(body), field(body, "NextToken"));
        json!({ "SecretList": secrets, "NextToken": next })
    }

    /// Succeeds again for the same ClientRequestToken and value.
    fn create_secret(&mut self, body: &Value) -> Outcome {
        let (name, token) = (field(body, "Name"), field(body, "ClientRequestToken"));
        self.keep_value_confidential(body);
        match self.secrets.get(name) {
            Some(secret) if secret.deleted.is_some() => {
                return Err(Refusal::of(
                    "InvalidRequestException",
                    "You can't create this secret because a secret with this name is already scheduled for deletion.",
                ));
            }
            Some(secret) => {
                let made = secret.versions.get(token);
                if made.is_some_and(|made| made.value.as_deref() == body["SecretString"].as_str()) {
                    return Ok(secret.named(token));
                }
                let text = format!("The operation failed because the secret {name} already exists.");
                return Err(Refusal::of("ResourceExistsException", &text));
            }
            None => {}
        }
        let mut secret = Secret {
            name: name.to_owned(),
            arn: secret_arn(&self.region, name),
            description: field(body, "Description").to_owned(),
            tags: BTreeMap::new(),
            kms_key_id: body["KmsKeyId"].as_str().map(ToOwned::to_owned),
            rotation: None,
            policy: None,
            replicas: BTreeMap::new(),
            deleted: None,
            versions: BTreeMap::new(),
        };
        secret.add_tags(&body["Tags"]);
        if let Some(value) = body["SecretString"].as_str() {
            let version = Version { value: Some(value.to_owned()), created: wall_clock(), labels: BTreeSet::new() };
            secret.versions.insert(token.to_owned(), version);
            secret.put_label(AWSCURRENT, Some(token));
        }
        let answer = secret.named(token);
        self.secrets.insert(name.to_owned(), secret);
        Ok(answer)
    }

    fn describe_secret(&mut self, body: &Value) -> Outcome {
        let secret = self.any_secret(body)?;
        let staged = secret.versions.iter().filter(|(_, version)| !version.labels.is_empty());
        let rotation = secret.rotation.as_ref();
        Ok(json!({
            "ARN": secret.arn, "Name": secret.name, "Description": secret.description, "Tags": secret.tag_list(),
            "KmsKeyId": secret.kms_key_id, "DeletedDate": secret.deleted.map(|date| date.as_secs()),
            "RotationEnabled": rotation.map(|rotation| rotation.enabled),
            "RotationLambdaARN": rotation.map(|rotation| &rotation.function),
            "RotationRules": rotation.map(|rotation| &rotation.rules),
            "ReplicationStatus": secret.replication_status(),
            "VersionIdsToStages": staged.map(|(id, version)| (id, &version.labels)).collect::<BTreeMap<_, _>>(),
        }))
    }

    fn get_secret_value(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        let stage = body["VersionStage"].as_str();
        let id = match body["VersionId"].as_str() {
            Some(id) => Some(id),
            None => secret.holder(stage.unwrap_or(AWSCURRENT)),
        };
        let found = id.and_then(|id| secret.versions.get(id).map(|version| (id, version)));
        let Some((id, Version { value: Some(value), created, labels })) = found else {
            return Err(not_found("value"));
        };
        Ok(json!({
            "ARN": secret.arn, "Name": secret.name, "VersionId": id, "SecretString": value, "VersionStages": labels,
            "CreatedDate": millis(*created),
        }))
    }

    /// Ignores the same value under the same ClientRequestToken, and refuses another one.
    fn put_secret_value(&mut self, body: &Value) -> Outcome {
        self.keep_value_confidential(body);
        let secret = self.live_secret(body)?;
        let (token, value) = (field(body, "ClientRequestToken"), field(body, "SecretString"));
        let made = secret.versions.get(token);
        if let Some(present) = made.and_then(|made| made.value.as_deref()) {
            if present != value {
                let text = "You can't use ClientRequestToken because that value is already in use for a version.";
                return Err(Refusal::of("ResourceExistsException", text));
            }
            return Ok(secret.named(token));
        }
        let labels = made.map(|made| made.labels.clone()).unwrap_or_default();
        let version = Version { value: Some(value.to_owned()), created: wall_clock(), labels };
        secret.versions.insert(token.to_owned(), version);
        let stages = body["VersionStages"].as_array().cloned().unwrap_or_else(|| vec![json!(AWSCURRENT)]);
        for stage in stages.iter().filter_map(Value::as_str) {
            secret.put_label(stage, Some(token));
            if stage == AWSCURRENT {
                // It ends a rotation under way.
                secret.put_label(AWSPENDING, None);
            }
        }
        Ok(secret.named(token))
    }

    /// Keeps what the request leaves out, unlike Cognito's updates.
    fn update_secret(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        if let Some(description) = body["Description"].as_str() {
            description.clone_into(&mut secret.description);
        }
        if let Some(key) = body["KmsKeyId"].as_str() {
            secret.kms_key_id = Some(key.to_owned());
        }
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    }

    fn update_secret_version_stage(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        let label = field(body, "VersionStage");
        let (from, to) = (body["RemoveFromVersionId"].as_str(), body["MoveToVersionId"].as_str());
        if to.is_some_and(|to| !secret.versions.contains_key(to)) {
            return Err(not_found("version"));
        }
        let holder = secret.holder(label);
        // The request must name the version that has the label.
        if from != holder && !(holder == to && from.is_none()) {
            let text = "The parameter RemoveFromVersionId can't be empty or another version than the label's.";
            return Err(Refusal::of("InvalidParameterException", text));
        }
        if label == AWSCURRENT && to.is_none() {
            let text = "You can't remove the staging label AWSCURRENT from a version; move it to another one.";
            return Err(Refusal::of("InvalidParameterException", text));
        }
        secret.put_label(label, to);
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    }

    /// Begins a rotation unless `RotateImmediately` is false. Nobody calls the function: the tests do.
    fn rotate_secret(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        let pending = secret.holder(AWSPENDING);
        if pending.is_some() && pending != secret.holder(AWSCURRENT) {
            let text = "A previous rotation isn't complete. That rotation will be reattempted.";
            return Err(Refusal::of("InvalidRequestException", text));
        }
        let (function, rules) = (body["RotationLambdaARN"].clone(), body["RotationRules"].clone());
        secret.rotation = Some(Rotation { enabled: true, function, rules });
        if body["RotateImmediately"] != false {
            secret.begin_rotation(field(body, "ClientRequestToken"));
        }
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    }

    /// Does not take the label AWSPENDING off.
    fn cancel_rotate_secret(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        if let Some(rotation) = &mut secret.rotation {
            rotation.enabled = false;
        }
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    }

    fn tag_resource(&mut self, body: &Value) -> Outcome {
        self.live_secret(body)?.add_tags(&body["Tags"]);
        Ok(json!({}))
    }

    fn untag_resource(&mut self, body: &Value) -> Outcome {
        let keys = body["TagKeys"].as_array().into_iter().flatten();
        let secret = self.live_secret(body)?;
        for key in keys.into_iter().filter_map(Value::as_str) {
            secret.tags.remove(key);
        }
        Ok(json!({}))
    }

    fn get_resource_policy(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        Ok(json!({ "ARN": secret.arn, "Name": secret.name, "ResourcePolicy": secret.policy }))
    }

    /// Replaces the whole policy.
    fn put_resource_policy(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        secret.policy = Some(field(body, "ResourcePolicy").to_owned());
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    }

    fn delete_resource_policy(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        secret.policy = None;
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    }

    fn replicate_secret_to_regions(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        for replica in body["AddReplicaRegions"].as_array().into_iter().flatten() {
            secret.replicas.insert(field(replica, "Region").to_owned(), replica["KmsKeyId"].clone());
        }
        Ok(json!({ "ARN": secret.arn, "ReplicationStatus": secret.replication_status() }))
    }

    fn remove_regions_from_replication(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        let regions: Vec<_> = body["RemoveReplicaRegions"].as_array().into_iter().flatten().collect();
        secret.replicas.retain(|region, _| !regions.iter().any(|removed| **removed == json!(region)));
        Ok(json!({ "ARN": secret.arn, "ReplicationStatus": secret.replication_status() }))
    }

    /// Schedules the deletion; the name stays taken until then.
    fn delete_secret(&mut self, body: &Value) -> Outcome {
        let secret = self.live_secret(body)?;
        if !secret.replicas.is_empty() {
            let regions: Vec<_> = secret.replicas.keys().cloned().collect();
            let text = format!("You can't delete secret {} that still has replica regions {regions:?}.", secret.arn);
            return Err(Refusal::of("InvalidParameterException", &text));
        }
        let days = body["RecoveryWindowInDays"].as_u64().unwrap_or(DEFAULT_RECOVERY_WINDOW_IN_DAYS);
        secret.deleted = Some(wall_clock() + Duration::from_hours(24 * days));
        let (arn, name) = (secret.arn.clone(), secret.name.clone());
        if body["ForceDeleteWithoutRecovery"] == true {
            self.secrets.remove(&name);
        }
        Ok(json!({ "ARN": arn, "Name": name }))
    }

    fn restore_secret(&mut self, body: &Value) -> Outcome {
        let secret = self.any_secret(body)?;
        secret.deleted = None;
        Ok(json!({ "ARN": secret.arn, "Name": secret.name }))
    }

    /// Finds a secret by its name or ARN.
    fn any_secret(&mut self, body: &Value) -> Result<&mut Secret, Refusal> {
        let id = field(body, "SecretId");
        let found = self.secrets.values_mut().find(|secret| secret.name == id || secret.arn == id);
        found.ok_or_else(|| not_found("secret"))
    }

    fn live_secret(&mut self, body: &Value) -> Result<&mut Secret, Refusal> {
        let secret = self.any_secret(body)?;
        if secret.deleted.is_some() {
            let text = "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(Refusal::of("InvalidRequestException", text));
        }
        Ok(secret)
    }

    fn keep_value_confidential(&mut self, body: &Value) {
        let document: Value = serde_json::from_str(field(body, "SecretString")).unwrap_or_default();
        self.confidential.extend(document["client_secret"].as_str().map(ToOwned::to_owned));
    }
}

/// Returns what the service sends to the rotation function.
pub fn rotation_event(secret_arn: &str, step: &str, token: &str) -> Value {
    json!({ "Step": step, "SecretId": secret_arn, "ClientRequestToken": token, "RotationToken": "unused" })
}

/// Returns a secret's ARN. AWS chooses the six characters at its end.
pub fn secret_arn(region: &str, name: &str) -> String {
    format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-AbCdEf")
}

fn not_found(what: &str) -> Refusal {
    let text = format!("Secrets Manager can't find the specified {what}.");
    Refusal::of("ResourceNotFoundException", &text)
}

/// Returns a date as Secrets Manager writes it: in seconds, exact to the millisecond.
fn millis(date: Duration) -> Value {
    json!(Duration::from_millis(u64::try_from(date.as_millis()).unwrap()).as_secs_f64())
}
