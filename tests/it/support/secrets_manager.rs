//! AWS Secrets Manager in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cognito_m2m::{
    model::{Owner, Rotation, SecretName, Tags},
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, NEXT, NewSecret, Page, Result, SecretChange, SecretDescription,
        SecretDocument, SecretVersion, SecretVersions, Secrets, Version,
    },
};
use tokio::time::Instant;

use super::fake_aws::{ACCOUNT, FakeAws, REGION, Refusal, World, changed, not_found, page};

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
    pub versions: BTreeMap<String, FakeVersion>,
    /// When the account got it; `None` if it was there before the test.
    pub created: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FakeVersion {
    /// `None` if Secrets Manager made the version to begin a rotation.
    pub document: Option<SecretDocument>,
    pub stages: BTreeSet<String>,
    pub created: Duration,
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

    fn describe(&self) -> SecretDescription {
        let labeled = self.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        SecretDescription {
            arn: self.arn.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            kms_key_id: self.kms_key_id.clone(),
            scheduled: self.scheduled,
            rotation: self.rotation.clone(),
            versions: labeled.map(|(id, version)| (id.clone(), version.stages.clone())).collect(),
        }
    }
}

impl World {
    /// The name of the secret that a name or an ARN means.
    fn secret_name(&self, name: &SecretName) -> SecretName {
        let by_arn = self.secrets.iter().find(|(_, secret)| secret.arn == name.as_str()).map(|(name, _)| name);
        by_arn.unwrap_or(name).clone()
    }

    fn secret(&self, name: &SecretName) -> Option<&FakeSecret> {
        self.secrets.get(&self.secret_name(name))
    }

    fn live_secret(&mut self, name: &SecretName) -> Result<&mut FakeSecret, Refusal> {
        let name = self.secret_name(name);
        let secret = self.secrets.get_mut(&name).ok_or_else(not_found)?;
        if secret.scheduled {
            let message = "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(changed("InvalidRequestException", message));
        }
        Ok(secret)
    }

    /// The client's secret as a consumer that reads AWSCURRENT sees it.
    pub fn document(&self, name: &SecretName) -> &SecretDocument {
        let secret = &self.secrets[name];
        assert!(!secret.scheduled, "{name} is scheduled for deletion");
        secret.staged(AWSCURRENT).unwrap().1.document.as_ref().unwrap()
    }
}

impl SecretVersions for FakeAws {
    async fn describe_secret(&self, name: &SecretName) -> Result<Option<SecretDescription>> {
        self.answer("DescribeSecret", |world| Ok(world.secret(name).map(FakeSecret::describe)))
    }

    async fn get_secret_value(&self, name: &SecretName, version: Version<'_>) -> Result<Option<SecretVersion>> {
        self.answer("GetSecretValue", |world| {
            if world.secret(name).is_none() {
                return Ok(None);
            }
            let secret = world.live_secret(name)?;
            let found = match version {
                Version::Stage(stage) => secret.staged(stage),
                Version::Id(id) => secret.versions.get_key_value(id),
            };
            Ok(found.filter(|(_, version)| version.document.is_some()).map(|(id, version)| SecretVersion {
                id: id.clone(),
                created: Some(version.created),
                document: version.document.clone(),
            }))
        })
    }

    async fn put_secret_value(
        &self,
        name: &SecretName,
        document: &SecretDocument,
        token: &str,
        stage: &str,
    ) -> Result<()> {
        self.answer("PutSecretValue", |world| {
            let created = Duration::from_secs(world.next_number());
            let secret = world.live_secret(name)?;
            match secret.versions.get(token).and_then(|version| version.document.as_ref()) {
                // AWS ignores the request: the version keeps its labels.
                Some(same) if same == document => return Ok(()),
                Some(_) => {
                    return Err(changed("ResourceExistsException", "a version with this token has another value"));
                }
                None => {}
            }
            let version = FakeVersion { document: Some(document.clone()), stages: BTreeSet::new(), created };
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
        name: &SecretName,
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
    async fn list_secrets(&self, owner: &Owner, next: Option<&str>) -> Result<Page<SecretName>> {
        self.answer("ListSecrets", |world| {
            let lags = world.behavior.listing_lags;
            let listed =
                |secret: &FakeSecret| !lags || secret.created.is_none_or(|created| created.elapsed() > LISTING_LAG);
            let ours = world
                .secrets
                .iter()
                .filter(|(_, secret)| !secret.scheduled && listed(secret) && owner.owns(&secret.tags));
            Ok(page(ours.map(|(name, _)| name.clone()), next))
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
                let first = FakeVersion { document: Some((*document).clone()), stages, created };
                new.versions.insert((*token).to_owned(), first);
            }
            world.secrets.insert((*name).clone(), new);
            Ok(arn)
        })
    }

    async fn update_secret(&self, name: &SecretName, change: &SecretChange) -> Result<()> {
        self.answer("UpdateSecret", |world| {
            let SecretChange { description, kms_key_id } = change;
            let secret = world.live_secret(name)?;
            if let Some(description) = description {
                secret.description.clone_from(description);
            }
            if let Some(key) = kms_key_id {
                secret.kms_key_id.clone_from(key);
            }
            Ok(())
        })
    }

    async fn rotate_secret(&self, name: &SecretName, rotation: &Rotation) -> Result<()> {
        self.answer("RotateSecret", |world| {
            let secret = world.live_secret(name)?;
            secret.rotation = Some(rotation.clone());
            // Secrets Manager tests a new schedule at once: the function looks the token endpoint up.
            // <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>
            let current = secret.staged(AWSCURRENT).and_then(|(_, version)| version.document.as_ref());
            if let Some(token_endpoint) = current.map(|document| document.metadata.token_endpoint.clone()) {
                world.look_up(&token_endpoint);
            }
            Ok(())
        })
    }

    async fn cancel_rotate_secret(&self, name: &SecretName) -> Result<()> {
        self.answer("CancelRotateSecret", |world| {
            world.live_secret(name)?.rotation = None;
            Ok(())
        })
    }

    async fn tag_resource(&self, name: &SecretName, tags: &Tags) -> Result<()> {
        self.answer("TagResource", |world| {
            world.live_secret(name)?.tags.extend(tags.clone());
            Ok(())
        })
    }

    async fn untag_resource(&self, name: &SecretName, keys: &[String]) -> Result<()> {
        self.answer("UntagResource", |world| {
            world.live_secret(name)?.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    async fn restore_secret(&self, name: &SecretName) -> Result<()> {
        self.answer("RestoreSecret", |world| {
            world.secrets.get_mut(name).ok_or_else(not_found)?.scheduled = false;
            Ok(())
        })
    }

    async fn delete_secret(&self, name: &SecretName, recovery_window_in_days: u8) -> Result<()> {
        self.answer("DeleteSecret", |world| {
            if recovery_window_in_days == 0 {
                world.secrets.remove(name);
            } else if let Some(secret) = world.secrets.get_mut(name) {
                secret.scheduled = true;
            }
            Ok(())
        })
    }
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
    use super::*;
    use crate::support::fixtures::{document, owner};

    const NAME: &str = "dev/web";

    async fn create_as(aws: &FakeAws, token: &str, value: &str) -> Result<String> {
        let (name, tags, document) = (SecretName::from(NAME), owner().tags(), document(value));
        let new =
            NewSecret { name: &name, tags: &tags, kms_key_id: None, description: "", document: Some(&document), token };
        aws.create_secret(&new).await
    }

    async fn one_secret() -> (FakeAws, SecretName) {
        let aws = FakeAws::default();
        create_as(&aws, "first", "a").await.unwrap();
        (aws, NAME.into())
    }

    /// The id of the version with the label.
    fn staged(aws: &FakeAws, stage: &str) -> Option<String> {
        aws.world().secrets[&SecretName::from(NAME)].staged(stage).map(|(id, _)| id.clone())
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
    async fn a_listing_that_lags_shows_a_secret_after_five_minutes() {
        let (aws, name) = one_secret().await;
        let listed = async |aws: &FakeAws| aws.list_secrets(&owner(), None).await.unwrap().items;
        assert_eq!(listed(&aws).await, std::slice::from_ref(&name));
        aws.world().behavior.listing_lags = true;
        assert_eq!(listed(&aws).await, []);
        tokio::time::advance(LISTING_LAG + Duration::from_secs(1)).await;
        assert_eq!(listed(&aws).await, [name]);
    }
}
