//! AWS Secrets Manager.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client as Sdk,
    operation::describe_secret::DescribeSecretOutput,
    types::{
        Filter, FilterNameStringType, ReplicaRegionType, ReplicationStatusType, RotationRulesType, StatusType, Tag,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    error::{REPLICA, failed, found},
    since_epoch,
};
use crate::{
    model::{
        ClientId, ClientName, Owner, PoolId, Region, Replicas, ResourcePolicy, Rotation, SecretId, Tags, TokenService,
        desired::SecretMetadata,
        observed::FormerClient,
        ownership::STACK_ID_TAG,
        sharing::{ObservedReplica, ReplicaStatus},
    },
    ports::{
        AWSCURRENT, AwsError, ErrorKind, NewSecret, Page, Result, SecretChange, SecretDescription, SecretDocument,
        SecretVersion, SecretVersions, Secrets, Version,
    },
    redact::{self, Secret},
};

const SECRETS_A_PAGE: i32 = 100;

/// Calls Secrets Manager with the SDK.
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>
#[derive(Clone, Debug)]
pub struct SecretsManager {
    sdk: Sdk,
}

impl SecretsManager {
    /// Creates a client for the region, the credentials and the endpoint in `config`.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { sdk: Sdk::new(config) }
    }
}

/// The JSON of a client's secret.
#[derive(Deserialize, Serialize)]
struct Json {
    client_id: String,
    client_secret: String,
    /// Older versions wrote none.
    #[serde(default)]
    token_service: String,
    token_endpoint: String,
    scope: String,
    issuer: String,
    jwks_uri: String,
    user_pool_id: String,
    client_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    former: Option<FormerJson>,
}

/// What an adopted client was before.
#[derive(Deserialize, Serialize)]
struct FormerJson {
    client_name: String,
    scope: String,
    access_token_validity_minutes: u32,
}

impl SecretVersions for SecretsManager {
    async fn describe_secret(&self, name: &SecretId) -> Result<Option<SecretDescription>> {
        let outcome = self.sdk.describe_secret().secret_id(name.as_str()).send().await;
        Ok(found("DescribeSecret", subject(name), outcome)?.map(described_secret))
    }

    async fn get_secret_value(&self, name: &SecretId, version: Version<'_>) -> Result<Option<SecretVersion>> {
        let request = self.sdk.get_secret_value().secret_id(name.as_str());
        let request = match version {
            // The service reads this stage by default.
            Version::Stage(AWSCURRENT) => request,
            Version::Stage(stage) => request.version_stage(stage),
            Version::Id(id) => request.version_id(id),
        };
        let Some(value) = found("GetSecretValue", subject(name), request.send().await)? else { return Ok(None) };
        // A value that is not a client's document counts as none. It may be a secret, so no error quotes it.
        let document = value.secret_string.and_then(|text| serde_json::from_str(&text).ok()).map(document);
        let created = value.created_date.map(|date| since_epoch(&date));
        Ok(Some(SecretVersion { id: value.version_id.unwrap_or_default(), created, document }))
    }

    async fn put_secret_value(
        &self,
        name: &SecretId,
        document: &SecretDocument,
        token: &str,
        stage: &str,
    ) -> Result<()> {
        let request = self
            .sdk
            .put_secret_value()
            .secret_id(name.as_str())
            .secret_string(json(document))
            .client_request_token(token);
        let request = match stage {
            // The service sets this stage by default.
            AWSCURRENT => request,
            stage => request.version_stages(stage),
        };
        request
            .send()
            .await
            .map_err(|error| scrubbed(failed("PutSecretValue", subject(name), &error), Some(document)))?;
        Ok(())
    }

    async fn update_secret_version_stage(
        &self,
        name: &SecretId,
        stage: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<()> {
        let request = self
            .sdk
            .update_secret_version_stage()
            .secret_id(name.as_str())
            .version_stage(stage)
            .set_remove_from_version_id(from.map(ToOwned::to_owned))
            .set_move_to_version_id(to.map(ToOwned::to_owned));
        request.send().await.map_err(|error| failed("UpdateSecretVersionStage", subject(name), &error))?;
        Ok(())
    }
}

impl Secrets for SecretsManager {
    async fn list_secrets(&self, owner: Option<&Owner>, next: Option<&str>) -> Result<Page<(SecretId, Tags)>> {
        let filter = match owner {
            Some(owner) => Filter::builder().key(FilterNameStringType::TagValue).values(&owner.stack_id),
            None => Filter::builder().key(FilterNameStringType::TagKey).values(STACK_ID_TAG),
        };
        let request = self
            .sdk
            .list_secrets()
            .filters(filter.build())
            .max_results(SECRETS_A_PAGE)
            .set_next_token(next.map(ToOwned::to_owned));
        let page = request.send().await.map_err(|error| failed("ListSecrets", "the account", &error))?;
        let items = page
            .secret_list
            .unwrap_or_default()
            .into_iter()
            .filter_map(|secret| Some((SecretId(secret.name?), tags_of(secret.tags.as_deref()))))
            // The service's filter matches prefixes and ignores case.
            .filter(|(_, tags)| owner.is_none_or(|owner| owner.owns(tags)))
            .collect();
        Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
    }

    async fn create_secret(&self, secret: &NewSecret<'_>) -> Result<String> {
        let NewSecret { name, tags, kms_key_id, description, document, token } = secret;
        let request = self
            .sdk
            .create_secret()
            .name(name.as_str())
            .description(*description)
            .set_tags(Some(tag_types(tags)))
            .set_kms_key_id(kms_key_id.map(ToOwned::to_owned))
            .set_secret_string(document.map(json))
            .client_request_token(*token);
        let answer =
            request.send().await.map_err(|error| scrubbed(failed("CreateSecret", subject(name), &error), *document))?;
        Ok(answer.arn.unwrap_or_default())
    }

    async fn update_secret(&self, name: &SecretId, change: &SecretChange) -> Result<()> {
        let SecretChange { description, kms_key_id } = change;
        let request = self
            .sdk
            .update_secret()
            .secret_id(name.as_str())
            .set_description(description.clone())
            .set_kms_key_id(kms_key_id.clone());
        request.send().await.map_err(|error| failed("UpdateSecret", subject(name), &error))?;
        Ok(())
    }

    async fn rotate_secret(&self, name: &SecretId, rotation: &Rotation) -> Result<()> {
        let Rotation { function_arn, days } = rotation;
        let rules = RotationRulesType::builder().automatically_after_days(i64::from(*days)).build();
        let request = self
            .sdk
            .rotate_secret()
            .secret_id(name.as_str())
            .rotation_lambda_arn(function_arn)
            .rotation_rules(rules)
            .rotate_immediately(false);
        request.send().await.map_err(|error| failed("RotateSecret", subject(name), &error))?;
        Ok(())
    }

    async fn cancel_rotate_secret(&self, name: &SecretId) -> Result<()> {
        let request = self.sdk.cancel_rotate_secret().secret_id(name.as_str());
        request.send().await.map_err(|error| failed("CancelRotateSecret", subject(name), &error))?;
        Ok(())
    }

    async fn tag_resource(&self, name: &SecretId, tags: &Tags) -> Result<()> {
        let request = self.sdk.tag_resource().secret_id(name.as_str()).set_tags(Some(tag_types(tags)));
        request.send().await.map_err(|error| failed("TagResource", subject(name), &error))?;
        Ok(())
    }

    async fn untag_resource(&self, name: &SecretId, keys: &[String]) -> Result<()> {
        let request = self.sdk.untag_resource().secret_id(name.as_str()).set_tag_keys(Some(keys.to_vec()));
        request.send().await.map_err(|error| failed("UntagResource", subject(name), &error))?;
        Ok(())
    }

    async fn restore_secret(&self, name: &SecretId) -> Result<()> {
        let request = self.sdk.restore_secret().secret_id(name.as_str());
        request.send().await.map_err(|error| failed("RestoreSecret", subject(name), &error))?;
        Ok(())
    }

    async fn get_resource_policy(&self, name: &SecretId) -> Result<Option<ResourcePolicy>> {
        let request = self.sdk.get_resource_policy().secret_id(name.as_str());
        let answer = request.send().await.map_err(|error| failed("GetResourcePolicy", subject(name), &error))?;
        let Some(text) = answer.resource_policy.filter(|text| !text.is_empty()) else { return Ok(None) };
        // Nobody may overwrite a policy that cannot be read.
        let unreadable = || AwsError {
            operation: "GetResourcePolicy",
            subject: subject(name),
            kind: ErrorKind::Refused,
            code: "UnreadablePolicy".to_owned(),
            message: "the policy is not a JSON object".to_owned(),
        };
        ResourcePolicy::parse(&text).ok_or_else(unreadable).map(Some)
    }

    async fn put_resource_policy(&self, name: &SecretId, policy: &ResourcePolicy) -> Result<()> {
        let request = self
            .sdk
            .put_resource_policy()
            .secret_id(name.as_str())
            .resource_policy(policy.to_string())
            .block_public_policy(true);
        request.send().await.map_err(|error| failed("PutResourcePolicy", subject(name), &error))?;
        Ok(())
    }

    async fn delete_resource_policy(&self, name: &SecretId) -> Result<()> {
        let request = self.sdk.delete_resource_policy().secret_id(name.as_str());
        found("DeleteResourcePolicy", subject(name), request.send().await).map(drop)
    }

    async fn replicate_secret_to_regions(&self, name: &SecretId, replicas: &Replicas) -> Result<()> {
        // Without ForceOverwriteReplicaSecret: a secret of the same name in the other region is somebody else's.
        let replica = |(region, key): (&Region, &Option<String>)| {
            ReplicaRegionType::builder().region(region.as_str()).set_kms_key_id(key.clone()).build()
        };
        let request = self
            .sdk
            .replicate_secret_to_regions()
            .secret_id(name.as_str())
            .set_add_replica_regions(Some(replicas.iter().map(replica).collect()));
        request.send().await.map_err(|error| failed("ReplicateSecretToRegions", subject(name), &error))?;
        Ok(())
    }

    async fn remove_regions_from_replication(&self, name: &SecretId, regions: &BTreeSet<Region>) -> Result<()> {
        let request = self
            .sdk
            .remove_regions_from_replication()
            .secret_id(name.as_str())
            .set_remove_replica_regions(Some(regions.iter().map(ToString::to_string).collect()));
        request.send().await.map_err(|error| failed("RemoveRegionsFromReplication", subject(name), &error))?;
        Ok(())
    }

    async fn delete_secret(&self, name: &SecretId, recovery_window_in_days: u8) -> Result<()> {
        let request = self.sdk.delete_secret().secret_id(name.as_str());
        let request = match recovery_window_in_days {
            0 => request.force_delete_without_recovery(true),
            days => request.recovery_window_in_days(days.into()),
        };
        match found("DeleteSecret", subject(name), request.send().await) {
            // The secret is scheduled for deletion already.
            Err(error) if error.kind == ErrorKind::Changed && !error.message.contains(REPLICA) => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html>
fn described_secret(secret: DescribeSecretOutput) -> SecretDescription {
    let versions = secret.version_ids_to_stages.unwrap_or_default().into_iter();
    SecretDescription {
        arn: secret.arn.unwrap_or_default(),
        description: secret.description.unwrap_or_default(),
        tags: tags_of(secret.tags.as_deref()),
        kms_key_id: secret.kms_key_id.filter(|key| !key.is_empty()),
        scheduled: secret.deleted_date.is_some(),
        rotation: secret.rotation_enabled.unwrap_or_default().then(|| Rotation {
            function_arn: secret.rotation_lambda_arn.unwrap_or_default(),
            days: secret
                .rotation_rules
                .and_then(|rules| u32::try_from(rules.automatically_after_days?).ok())
                .unwrap_or_default(),
        }),
        versions: versions.map(|(id, labels)| (id, labels.into_iter().collect())).collect(),
        replicas: secret.replication_status.unwrap_or_default().into_iter().filter_map(replica).collect(),
    }
}

/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html>
fn replica(replica: ReplicationStatusType) -> Option<(Region, ObservedReplica)> {
    let status = match replica.status {
        Some(StatusType::InSync) => ReplicaStatus::InSync,
        Some(StatusType::Failed) => {
            let message = replica.status_message.unwrap_or_else(|| "no message".to_owned());
            ReplicaStatus::Failed(redact::sanitize(&message))
        }
        // A status that is not known yet counts as one that will change.
        _ => ReplicaStatus::InProgress,
    };
    let kms_key_id = replica.kms_key_id.filter(|key| !key.is_empty());
    Some((Region(replica.region?), ObservedReplica { kms_key_id, status }))
}

fn subject(name: &SecretId) -> String {
    format!("secret {name}")
}

fn json(document: &SecretDocument) -> String {
    let SecretDocument { client_id, client_secret, metadata, former } = document;
    let SecretMetadata { token_service, token_endpoint, scope, issuer, jwks_uri, user_pool_id, client_name } =
        metadata.clone();
    let json = Json {
        client_id: client_id.to_string(),
        client_secret: client_secret.expose().clone(),
        token_service: token_service.to_string(),
        token_endpoint,
        scope,
        issuer,
        jwks_uri,
        user_pool_id: user_pool_id.0,
        client_name: client_name.0,
        former: former.clone().map(|FormerClient { name, scopes, access_token_validity_minutes }| FormerJson {
            client_name: name.0,
            scope: scopes.join(" "),
            access_token_validity_minutes,
        }),
    };
    // Serializing strings and a number cannot fail.
    serde_json::to_string(&json).unwrap_or_default()
}

fn document(json: Json) -> SecretDocument {
    let Json { client_id, client_secret, token_service, token_endpoint, scope, issuer, .. } = json;
    let Json { jwks_uri, user_pool_id, client_name, former, .. } = json;
    SecretDocument {
        client_id: ClientId(client_id),
        client_secret: Secret::new(client_secret),
        metadata: SecretMetadata {
            token_service: TokenService::ALL
                .into_iter()
                .find(|known| known.as_str() == token_service)
                .unwrap_or_default(),
            token_endpoint,
            scope,
            issuer,
            jwks_uri,
            user_pool_id: PoolId(user_pool_id),
            client_name: ClientName(client_name),
        },
        former: former.map(|FormerJson { client_name, scope, access_token_validity_minutes }| FormerClient {
            name: ClientName(client_name),
            scopes: scope.split_whitespace().map(ToOwned::to_owned).collect(),
            access_token_validity_minutes,
        }),
    }
}

/// Removes the client secret from an error: the service may quote the value that it refuses.
fn scrubbed(error: AwsError, document: Option<&SecretDocument>) -> AwsError {
    let Some(document) = document else { return error };
    let message = redact::without(&error.message, document.client_secret.expose());
    AwsError { message, ..error }
}

fn tag_types(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn tags_of(tags: Option<&[Tag]>) -> Tags {
    let pair = |tag: &Tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()));
    tags.unwrap_or_default().iter().filter_map(pair).collect()
}
