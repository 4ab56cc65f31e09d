//! AWS Secrets Manager in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cognito_m2m::{
    model::{
        Owner, Region, Replicas, ResourcePolicy, Rotation, SecretId, Tags,
        ids::AWS_MANAGED_KEY,
        ownership::MAX_TAGS,
        sharing::{MAX_POLICY, ObservedReplica, ReplicaStatus},
    },
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, ErrorKind, NEXT, NewSecret, Page, Result, SecretChange, SecretDescription,
        SecretDocument, SecretVersion, SecretVersions, Secrets, Version,
    },
};
use serde_json::Value;
use tokio::time::Instant;

use super::fake_aws::{ACCOUNT, Behavior, FakeAws, REGION, Refusal, World, changed, not_found, page, refused};

/// How far ListSecrets may be behind.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
const LISTING_LAG: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, PartialEq)]
pub struct FakeSecret {
    pub arn: String,
    pub tags: Tags,
    pub kms_key_id: Option<String>,
    /// Whether it is scheduled for deletion.
    pub scheduled: bool,
    pub description: String,
    pub rotation: Option<Rotation>,
    pub policy: Option<ResourcePolicy>,
    pub replicas: BTreeMap<Region, FakeReplica>,
    /// Until when removed replicas count.
    pub lingering: Option<Instant>,
    pub versions: BTreeMap<String, FakeVersion>,
    /// When the account got it; `None` if it was there before the test.
    pub created: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeReplica {
    pub kms_key_id: Option<String>,
    /// When the replication began; `None` if that was before the test.
    pub begun: Option<Instant>,
}

impl FakeReplica {
    fn status(&self, region: &Region, behavior: &Behavior) -> ReplicaStatus {
        let is_settled = self.begun.is_none_or(|begun| begun.elapsed() >= behavior.replication_takes);
        if behavior.stuck_replicas.contains(region) || !is_settled {
            return ReplicaStatus::InProgress;
        }
        match behavior.failing_replicas.get(region) {
            Some(message) => ReplicaStatus::Failed(message.clone()),
            None => ReplicaStatus::InSync,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FakeVersion {
    /// `None` if Secrets Manager made the version to begin a rotation.
    pub document: Option<SecretDocument>,
    pub stages: BTreeSet<String>,
    pub created: Duration,
    /// The key that encrypts the value; `None` is the AWS managed key.
    pub kms_key_id: Option<String>,
    /// When the value was written; `None` if it was there before the test.
    pub written: Option<Instant>,
}

impl FakeVersion {
    /// Tells whether a read may still miss the value.
    fn lags(&self, behavior: &Behavior) -> bool {
        self.written.is_some_and(|written| written.elapsed() < behavior.versions_lag)
    }
}

impl FakeSecret {
    /// Returns a secret without tags, key and versions.
    pub fn new(arn: String) -> Self {
        Self {
            arn,
            tags: Tags::new(),
            kms_key_id: None,
            scheduled: false,
            description: String::new(),
            rotation: None,
            policy: None,
            replicas: BTreeMap::new(),
            lingering: None,
            versions: BTreeMap::new(),
            created: None,
        }
    }

    /// The version with this staging label, and its id.
    pub fn staged(&self, stage: &str) -> Option<(&String, &FakeVersion)> {
        self.versions.iter().find(|(_, version)| version.stages.contains(stage))
    }

    /// Moves a label to a version. AWSPREVIOUS follows AWSCURRENT.
    fn label(&mut self, stage: &str, to: &str) {
        let from = self.staged(stage).map(|(id, _)| id.clone());
        self.remove_label(stage);
        self.versions.get_mut(to).unwrap().stages.insert(stage.to_owned());
        if let Some(from) = from.filter(|from| stage == AWSCURRENT && from != to) {
            self.label(AWSPREVIOUS, &from);
        }
    }

    fn remove_label(&mut self, stage: &str) {
        for version in self.versions.values_mut() {
            version.stages.remove(stage);
        }
    }

    /// Encrypts the versions again that Secrets Manager encrypts again after a change of key.
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>
    fn encrypt_again(&mut self) {
        for version in self.versions.values_mut() {
            if [AWSCURRENT, AWSPENDING, AWSPREVIOUS].iter().any(|stage| version.stages.contains(*stage)) {
                version.kms_key_id.clone_from(&self.kms_key_id);
            }
        }
    }

    /// The version that a rotation has under way.
    pub fn under_way(&self) -> Option<(&String, &FakeVersion)> {
        self.staged(AWSPENDING).filter(|(_, version)| !version.stages.contains(AWSCURRENT))
    }

    fn describe(&self, behavior: &Behavior) -> SecretDescription {
        let replica = |(region, replica): (&Region, &FakeReplica)| {
            let status = replica.status(region, behavior);
            (region.clone(), ObservedReplica { kms_key_id: replica.kms_key_id.clone(), status })
        };
        let labeled = self.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        SecretDescription {
            arn: self.arn.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            kms_key_id: self.kms_key_id.clone(),
            scheduled: self.scheduled,
            rotation: self.rotation.clone(),
            versions: labeled.map(|(id, version)| (id.clone(), version.stages.clone())).collect(),
            replicas: self.replicas.iter().map(replica).collect(),
        }
    }
}

impl World {
    /// The name of the secret that a name or an ARN means.
    fn secret_name(&self, name: &SecretId) -> SecretId {
        let by_arn = self.secrets.iter().find(|(_, secret)| secret.arn == name.as_str()).map(|(name, _)| name);
        by_arn.unwrap_or(name).clone()
    }

    fn secret(&self, name: &SecretId) -> Option<&FakeSecret> {
        self.secrets.get(&self.secret_name(name))
    }

    fn live_secret(&mut self, name: &SecretId) -> Result<&mut FakeSecret, Refusal> {
        let name = self.secret_name(name);
        let secret = self.secrets.get_mut(&name).ok_or_else(not_found)?;
        if secret.scheduled {
            let message = "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(changed("InvalidRequestException", message));
        }
        Ok(secret)
    }

    /// The client's secret as a consumer that reads AWSCURRENT sees it.
    pub fn document(&self, name: &SecretId) -> &SecretDocument {
        let secret = &self.secrets[name];
        assert!(!secret.scheduled, "{name} is scheduled for deletion");
        secret.staged(AWSCURRENT).unwrap().1.document.as_ref().unwrap()
    }
}

impl SecretVersions for FakeAws {
    async fn describe_secret(&self, name: &SecretId) -> Result<Option<SecretDescription>> {
        self.answer("DescribeSecret", |world| Ok(world.secret(name).map(|secret| secret.describe(&world.behavior))))
    }

    async fn get_secret_value(&self, name: &SecretId, version: Version<'_>) -> Result<Option<SecretVersion>> {
        self.answer("GetSecretValue", |world| {
            if world.secret(name).is_none() {
                return Ok(None);
            }
            let behavior = world.behavior.clone();
            let secret = world.live_secret(name)?;
            let found = match version {
                Version::Stage(stage) => secret.staged(stage),
                Version::Id(id) => secret.versions.get_key_value(id),
            };
            let found = found.filter(|(_, version)| version.document.is_some() && !version.lags(&behavior));
            if found.is_some_and(|(_, version)| behavior.is_disabled(version.kms_key_id.as_deref())) {
                return Err(refused("DecryptionFailure", "Secrets Manager can't decrypt the secret value"));
            }
            Ok(found.map(|(id, version)| SecretVersion {
                id: id.clone(),
                created: Some(version.created),
                document: version.document.clone(),
            }))
        })
    }

    async fn put_secret_value(
        &self,
        name: &SecretId,
        document: &SecretDocument,
        token: &str,
        stage: &str,
    ) -> Result<()> {
        self.answer("PutSecretValue", |world| {
            let created = Duration::from_secs(world.next_number());
            let behavior = world.behavior.clone();
            let secret = world.live_secret(name)?;
            match secret.versions.get(token).and_then(|version| version.document.as_ref()) {
                // AWS ignores the request: the version keeps its labels.
                Some(same) if same == document => return Ok(()),
                Some(_) => {
                    return Err(changed("ResourceExistsException", "a version with this token has another value"));
                }
                None => {}
            }
            let kms_key_id = secret.kms_key_id.clone();
            if behavior.may_not_encrypt(kms_key_id.as_deref()) {
                return Err(refused("EncryptionFailure", "Secrets Manager can't encrypt the secret text"));
            }
            // Secrets Manager may have made the version to begin a rotation; then it has a label.
            let stages = secret.versions.remove(token).map(|version| version.stages).unwrap_or_default();
            let written = Some(Instant::now());
            let version = FakeVersion { document: Some(document.clone()), stages, created, kms_key_id, written };
            secret.versions.insert(token.to_owned(), version);
            secret.label(stage, token);
            // A version that is made in the middle of a rotation ends it; CloudTrail calls this
            // RotationAbandoned. Seen on live AWS for AWSCURRENT.
            if stage == AWSCURRENT || stage == NEXT {
                secret.remove_label(AWSPENDING);
            }
            Ok(())
        })
    }

    async fn update_secret_version_stage(
        &self,
        name: &SecretId,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<()> {
        self.answer("UpdateSecretVersionStage", |world| {
            let secret = world.live_secret(name)?;
            let holder = secret.staged(stage).map(|(id, _)| id.as_str());
            // "If the label is attached and you either do not specify this parameter, or the version ID
            // does not match, then the operation fails."
            if holder.is_some() && holder != from {
                return Err(changed("InvalidParameterException", "the label is on another version"));
            }
            match to {
                Some(to) if secret.versions.contains_key(to) => secret.label(stage, to),
                Some(_) => return Err(not_found()),
                None => secret.remove_label(stage),
            }
            Ok(())
        })
    }
}

impl Secrets for FakeAws {
    async fn list_secrets(&self, owner: Option<&Owner>, next: Option<&str>) -> Result<Page<(SecretId, Tags)>> {
        self.answer("ListSecrets", |world| {
            let lags = world.behavior.listing_lags;
            let listed =
                |secret: &FakeSecret| !lags || secret.created.is_none_or(|created| created.elapsed() > LISTING_LAG);
            let ours =
                world.secrets.iter().filter(|(_, secret)| !secret.scheduled && listed(secret)).filter(|(_, secret)| {
                    owner.map_or(Owner::of(&secret.tags).is_some(), |owner| owner.owns(&secret.tags))
                });
            Ok(page(ours.map(|(name, secret)| (name.clone(), secret.tags.clone())), next))
        })
    }

    async fn create_secret(&self, secret: &NewSecret<'_>) -> Result<String> {
        self.answer("CreateSecret", |world| {
            let NewSecret { name, tags, kms_key_id, description, document, token } = secret;
            let number = world.next_number();
            if let Some(found) = world.secrets.get(*name) {
                return create_again(found, token, *document);
            }
            let arn = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{number:06}");
            let mut new = FakeSecret::new(arn.clone());
            new.tags = (*tags).clone();
            new.kms_key_id = kms_key_id.map(ToOwned::to_owned);
            (*description).clone_into(&mut new.description);
            new.created = Some(Instant::now());
            if let Some(document) = document {
                let stages = [AWSCURRENT.to_owned()].into();
                let created = Duration::from_secs(number);
                let (kms_key_id, written) = (new.kms_key_id.clone(), Some(Instant::now()));
                let document = Some((*document).clone());
                let first = FakeVersion { document, stages, created, kms_key_id, written };
                new.versions.insert((*token).to_owned(), first);
            }
            world.secrets.insert((*name).clone(), new);
            Ok(arn)
        })
    }

    async fn update_secret(&self, name: &SecretId, change: &SecretChange) -> Result<()> {
        self.answer("UpdateSecret", |world| {
            let SecretChange { description, kms_key_id } = change;
            let behavior = world.behavior.clone();
            let secret = world.live_secret(name)?;
            if let Some(description) = description {
                secret.description.clone_from(description);
            }
            if let Some(key) = kms_key_id {
                // DescribeSecret shows none for the AWS managed key.
                secret.kms_key_id = Some(key.clone()).filter(|key| key != AWS_MANAGED_KEY);
                // Without kms:Encrypt the call succeeds, and the versions keep the old key.
                if !behavior.may_not_encrypt(Some(key)) {
                    secret.encrypt_again();
                }
            }
            Ok(())
        })
    }

    async fn rotate_secret(&self, name: &SecretId, rotation: &Rotation) -> Result<()> {
        self.answer("RotateSecret", |world| {
            let created = Duration::from_secs(world.next_number());
            let trial_stays = world.behavior.trial_stays;
            let secret = world.live_secret(name)?;
            // Seen on live AWS.
            if secret.under_way().is_some() {
                let message = "A previous rotation isn't complete. That rotation will be reattempted.";
                return Err(changed("InvalidRequestException", message));
            }
            secret.rotation = Some(rotation.clone());
            if trial_stays && let Some((_, current)) = secret.staged(AWSCURRENT) {
                let stages = [AWSPENDING.to_owned()].into();
                let trial = FakeVersion { stages, created, ..current.clone() };
                secret.versions.insert(format!("trial-{}", created.as_secs()), trial);
            }
            // Secrets Manager tests a new schedule at once: the function looks the token endpoint up.
            // <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>
            let current = secret.staged(AWSCURRENT).and_then(|(_, version)| version.document.as_ref());
            if let Some(token_endpoint) = current.map(|document| document.metadata.token_endpoint.clone()) {
                world.look_up(&token_endpoint);
            }
            Ok(())
        })
    }

    async fn cancel_rotate_secret(&self, name: &SecretId) -> Result<()> {
        self.answer("CancelRotateSecret", |world| {
            // AWSPENDING keeps its label. Seen on live AWS.
            world.live_secret(name)?.rotation = None;
            Ok(())
        })
    }

    async fn tag_resource(&self, name: &SecretId, tags: &Tags) -> Result<()> {
        self.answer("TagResource", |world| {
            let secret = world.live_secret(name)?;
            let mut all = secret.tags.clone();
            all.extend(tags.clone());
            if all.len() > MAX_TAGS {
                return Err(refused("InvalidParameterException", "You can't add more than 50 tags"));
            }
            secret.tags = all;
            Ok(())
        })
    }

    async fn untag_resource(&self, name: &SecretId, keys: &[String]) -> Result<()> {
        self.answer("UntagResource", |world| {
            world.live_secret(name)?.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    async fn restore_secret(&self, name: &SecretId) -> Result<()> {
        self.answer("RestoreSecret", |world| {
            world.secrets.get_mut(name).ok_or_else(not_found)?.scheduled = false;
            Ok(())
        })
    }

    async fn get_resource_policy(&self, name: &SecretId) -> Result<Option<ResourcePolicy>> {
        self.answer("GetResourcePolicy", |world| Ok(world.live_secret(name)?.policy.clone()))
    }

    async fn put_resource_policy(&self, name: &SecretId, policy: &ResourcePolicy) -> Result<()> {
        self.answer("PutResourcePolicy", |world| {
            if policy.length() > MAX_POLICY {
                return Err(refused("InvalidParameterException", "the policy is too long"));
            }
            world.check_principals(policy)?;
            world.live_secret(name)?.policy = Some(as_aws_shows_it(policy));
            Ok(())
        })
    }

    async fn delete_resource_policy(&self, name: &SecretId) -> Result<()> {
        self.answer("DeleteResourcePolicy", |world| {
            world.live_secret(name)?.policy = None;
            Ok(())
        })
    }

    async fn replicate_secret_to_regions(&self, name: &SecretId, replicas: &Replicas) -> Result<()> {
        self.answer("ReplicateSecretToRegions", |world| {
            let behavior = world.behavior.clone();
            let secret = world.live_secret(name)?;
            let has_failed = |region: &Region, replica: &FakeReplica| {
                matches!(replica.status(region, &behavior), ReplicaStatus::Failed(_))
            };
            // Only a replica that has failed can be tried again.
            for region in replicas.keys() {
                if secret.replicas.get(region).is_some_and(|replica| !has_failed(region, replica)) {
                    let message = format!("The secret is already replicated to {region}.");
                    return Err(Refusal::new(ErrorKind::Changed, "InvalidParameterException", message));
                }
            }
            for (region, key) in replicas {
                let replica = FakeReplica { kms_key_id: key.clone(), begun: Some(Instant::now()) };
                secret.replicas.insert(region.clone(), replica);
            }
            Ok(())
        })
    }

    async fn remove_regions_from_replication(&self, name: &SecretId, regions: &BTreeSet<Region>) -> Result<()> {
        self.answer("RemoveRegionsFromReplication", |world| {
            let lingers = world.behavior.removed_replicas_linger;
            let secret = world.live_secret(name)?;
            if let Some(missing) = regions.iter().find(|region| !secret.replicas.contains_key(*region)) {
                let message = format!("The secret has no replica in {missing}.");
                return Err(Refusal::new(ErrorKind::Changed, "InvalidParameterException", message));
            }
            secret.replicas.retain(|region, _| !regions.contains(region));
            secret.lingering = Some(Instant::now() + lingers);
            Ok(())
        })
    }

    async fn delete_secret(&self, name: &SecretId, recovery_window_in_days: u8) -> Result<()> {
        self.answer("DeleteSecret", |world| {
            let counts = |secret: &&FakeSecret| {
                !secret.replicas.is_empty() || secret.lingering.is_some_and(|until| Instant::now() < until)
            };
            if let Some(secret) = world.secrets.get(name).filter(counts) {
                let regions: Vec<_> = secret.replicas.keys().map(ToString::to_string).collect();
                let message =
                    format!("You can't delete secret {} that still has replica regions {regions:?}.", secret.arn);
                return Err(Refusal::new(ErrorKind::Changed, "InvalidParameterException", message));
            }
            if recovery_window_in_days == 0 {
                world.secrets.remove(name);
            } else if let Some(secret) = world.secrets.get_mut(name) {
                secret.scheduled = true;
            }
            Ok(())
        })
    }
}

/// Returns a policy as GetResourcePolicy shows it: a list of one principal is a text.
fn as_aws_shows_it(policy: &ResourcePolicy) -> ResourcePolicy {
    let mut shown: Value = serde_json::from_str(&policy.to_string()).unwrap();
    for statement in shown["Statement"].as_array_mut().unwrap() {
        if let Some([only]) = statement["Principal"]["AWS"].as_array().map(Vec::as_slice) {
            statement["Principal"]["AWS"] = only.clone();
        }
    }
    ResourcePolicy::parse(&shown.to_string()).unwrap()
}

/// CreateSecret with a name that is taken: it succeeds only as a repetition of the first call.
fn create_again(found: &FakeSecret, token: &str, document: Option<&SecretDocument>) -> Result<String, Refusal> {
    if found.scheduled {
        let message = "a secret with this name is already scheduled for deletion.";
        return Err(changed("InvalidRequestException", message));
    }
    let first = found.versions.get(token).and_then(|version| version.document.as_ref());
    if document.is_some() && first == document {
        Ok(found.arn.clone())
    } else {
        Err(changed("ResourceExistsException", "the secret already exists."))
    }
}

mod tests {
    use cognito_m2m::model::Principal;

    use super::*;
    use crate::support::fixtures::{document, owner};

    const NAME: &str = "dev/web";

    async fn create_as(aws: &FakeAws, token: &str, value: &str) -> Result<String> {
        let (name, tags, document) = (SecretId::from(NAME), owner().tags(), document(value));
        let new =
            NewSecret { name: &name, tags: &tags, kms_key_id: None, description: "", document: Some(&document), token };
        aws.create_secret(&new).await
    }

    async fn one_secret() -> (FakeAws, SecretId) {
        let aws = FakeAws::default();
        create_as(&aws, "first", "a").await.unwrap();
        (aws, NAME.into())
    }

    /// The id of the version with the label.
    fn staged(aws: &FakeAws, stage: &str) -> Option<String> {
        aws.world().secrets[&SecretId::from(NAME)].staged(stage).map(|(id, _)| id.clone())
    }

    #[tokio::test]
    async fn a_token_takes_one_value() {
        let (aws, name) = one_secret().await;
        let arn = aws.world().secrets[&name].arn.clone();
        assert_eq!(create_as(&aws, "first", "a").await.unwrap(), arn, "a repetition");
        assert!(create_as(&aws, "first", "b").await.is_err());
        assert!(create_as(&aws, "second", "a").await.is_err());
        aws.put_secret_value(&name, &document("a"), "first", "another-label").await.unwrap();
        assert_eq!(staged(&aws, "another-label"), None, "a repetition moves no label");
        let error = aws.put_secret_value(&name, &document("b"), "first", AWSCURRENT).await.unwrap_err();
        assert_eq!(error.code, "ResourceExistsException");
    }

    #[tokio::test]
    async fn a_deleted_secret_keeps_its_name_until_it_is_restored() {
        let (aws, name) = one_secret().await;
        aws.delete_secret(&name, 7).await.unwrap();
        assert!(create_as(&aws, "first", "a").await.unwrap_err().message.contains("scheduled for deletion"));
        assert!(aws.get_secret_value(&name, Version::Stage(AWSCURRENT)).await.is_err());
        assert!(aws.tag_resource(&name, &Tags::new()).await.is_err());
        assert!(aws.describe_secret(&name).await.unwrap().unwrap().scheduled);
        aws.restore_secret(&name).await.unwrap();
        assert!(aws.get_secret_value(&name, Version::Stage(AWSCURRENT)).await.unwrap().is_some());
        aws.delete_secret(&name, 0).await.unwrap();
        assert_eq!(aws.describe_secret(&name).await.unwrap(), None);
    }

    #[tokio::test]
    async fn labels_move_as_secrets_manager_moves_them() {
        let (aws, name) = one_secret().await;
        aws.put_secret_value(&name, &document("b"), "second", AWSPENDING).await.unwrap();
        let wrong_holder = aws.update_secret_version_stage(&name, AWSCURRENT, Some("second"), Some("second")).await;
        assert!(wrong_holder.is_err());
        aws.update_secret_version_stage(&name, AWSCURRENT, Some("first"), Some("second")).await.unwrap();
        assert_eq!(staged(&aws, AWSCURRENT).as_deref(), Some("second"));
        assert_eq!(staged(&aws, AWSPREVIOUS).as_deref(), Some("first"), "AWSPREVIOUS follows");
        assert_eq!(staged(&aws, AWSPENDING).as_deref(), Some("second"), "nobody took it away");
        aws.put_secret_value(&name, &document("c"), "third", AWSCURRENT).await.unwrap();
        assert_eq!(staged(&aws, AWSPENDING), None, "a new current value ends the rotation");
    }

    #[tokio::test(start_paused = true)]
    async fn a_left_over_rotation_blocks_a_schedule_and_outlives_its_end() {
        let (aws, name) = one_secret().await;
        let rotation = Rotation { function_arn: "arn".to_owned(), days: 30 };
        aws.world().behavior.trial_stays = true;
        aws.rotate_secret(&name, &rotation).await.unwrap();
        let error = aws.rotate_secret(&name, &rotation).await.unwrap_err();
        assert!(error.message.contains("A previous rotation isn't complete"), "{error}");
        let trial = staged(&aws, AWSPENDING).unwrap();
        let value = aws.get_secret_value(&name, Version::Id(&trial)).await.unwrap().unwrap();
        assert_eq!(value.document, Some(document("a")), "a copy of AWSCURRENT");
        aws.cancel_rotate_secret(&name).await.unwrap();
        assert_eq!(staged(&aws, AWSPENDING), Some(trial));
    }

    #[tokio::test]
    async fn each_version_has_a_key() {
        let (aws, name) = one_secret().await;
        aws.put_secret_value(&name, &document("b"), "second", AWSCURRENT).await.unwrap();
        aws.put_secret_value(&name, &document("c"), "third", AWSCURRENT).await.unwrap();
        let change = |key: &str| SecretChange { description: None, kms_key_id: Some(key.to_owned()) };
        aws.world().behavior.encrypt_denied.insert("denied".to_owned());
        aws.update_secret(&name, &change("denied")).await.unwrap();
        assert!(aws.put_secret_value(&name, &document("d"), "fourth", AWSCURRENT).await.is_err());
        aws.update_secret(&name, &change("new")).await.unwrap();
        aws.world().behavior.disabled_keys.insert("alias/aws/secretsmanager".to_owned());
        for (id, readable) in [("first", false), ("second", true), ("third", true)] {
            assert_eq!(aws.get_secret_value(&name, Version::Id(id)).await.is_ok(), readable, "{id}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_misses_a_version_that_lags() {
        let (aws, name) = one_secret().await;
        aws.world().behavior.versions_lag = Duration::from_secs(3);
        assert_eq!(aws.get_secret_value(&name, Version::Stage(AWSCURRENT)).await.unwrap(), None);
        assert!(!aws.describe_secret(&name).await.unwrap().unwrap().versions.is_empty());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(aws.get_secret_value(&name, Version::Stage(AWSCURRENT)).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_lags_shows_a_secret_after_five_minutes() {
        let (aws, name) = one_secret().await;
        let listed = async |aws: &FakeAws| {
            let page = aws.list_secrets(Some(&owner()), None).await.unwrap();
            page.items.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(listed(&aws).await, std::slice::from_ref(&name));
        aws.world().behavior.listing_lags = true;
        assert_eq!(listed(&aws).await, []);
        tokio::time::advance(LISTING_LAG + Duration::from_secs(1)).await;
        assert_eq!(listed(&aws).await, [name]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_with_replicas_is_not_deleted_in_whatever_state_they_are() {
        let (aws, name) = one_secret().await;
        let regions = ["eu-west-1", "eu-west-2", "eu-west-3"].map(Region::from);
        let replicas: Replicas = regions.iter().map(|region| (region.clone(), None)).collect();
        {
            let behavior = &mut aws.world().behavior;
            behavior.replication_takes = Duration::from_secs(2);
            behavior.stuck_replicas.insert(regions[1].clone());
            behavior.failing_replicas.insert(regions[2].clone(), "no such key".to_owned());
        }
        aws.replicate_secret_to_regions(&name, &replicas).await.unwrap();
        let statuses = async || {
            let described = aws.describe_secret(&name).await.unwrap().unwrap();
            described.replicas.into_values().map(|replica| replica.status).collect::<Vec<_>>()
        };
        assert_eq!(statuses().await, [ReplicaStatus::InProgress, ReplicaStatus::InProgress, ReplicaStatus::InProgress]);
        tokio::time::advance(Duration::from_secs(2)).await;
        let failed = ReplicaStatus::Failed("no such key".to_owned());
        assert_eq!(statuses().await, [ReplicaStatus::InSync, ReplicaStatus::InProgress, failed]);
        for region in &regions {
            let error = aws.delete_secret(&name, 7).await.unwrap_err();
            assert!(error.message.contains("that still has replica regions ["), "{error}");
            assert!(error.message.contains(region.as_str()), "{error}");
            aws.remove_regions_from_replication(&name, &[region.clone()].into()).await.unwrap();
        }
        aws.delete_secret(&name, 7).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_is_written_as_a_whole_and_names_only_principals_that_are_known() {
        let (aws, name) = one_secret().await;
        let (one, other) = ("arn:aws:iam::111122223333:role/one", "arn:aws:iam::111122223333:role/other");
        let policy = |arn: &str| {
            let statement = serde_json::json!({ "Sid": "a", "Principal": { "AWS": [arn] } });
            ResourcePolicy::parse(&serde_json::json!({ "Statement": [statement] }).to_string()).unwrap()
        };
        aws.put_resource_policy(&name, &policy(one)).await.unwrap();
        aws.world().behavior.unknown_principals.insert(Principal::from(other), Duration::from_secs(5));
        let error = aws.put_resource_policy(&name, &policy(other)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnknownPrincipal);
        tokio::time::advance(Duration::from_secs(5)).await;
        aws.put_resource_policy(&name, &policy(other)).await.unwrap();
        let shown = aws.get_resource_policy(&name).await.unwrap().unwrap().to_string();
        assert!(shown.contains(&format!("{{\"AWS\":\"{other}\"}}")) && !shown.contains(one), "{shown}");
        aws.delete_resource_policy(&name).await.unwrap();
        assert_eq!(aws.get_resource_policy(&name).await.unwrap(), None);
    }
}
