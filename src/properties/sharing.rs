//! Reads who else may read a secret, and where else it is.

use std::collections::BTreeSet;

use super::{
    messages::{IN_THE_LIST, duplicate_message},
    reader::{Fields, Reader, quoted},
    rules::fill,
    table::{REPLICA_KMS_KEY_ID, REPLICA_REGION, SECRET_KMS_KEY_ID, SECRET_READERS, SECRET_REPLICAS},
};
use crate::model::{Endpoints, Owner, Principal, Region, Replicas, ids::same_key};

/// What decides about the readers of a secret besides their own ARNs.
pub(super) struct ReaderRules {
    partition: String,
    account: Option<String>,
    /// Whether principals of other accounts can use the secret's key. A key that is not valid is reported by itself.
    allows_other_accounts: bool,
}

impl ReaderRules {
    /// `fields` are those of the resource, and `key` is its `SecretKmsKeyId`.
    pub(super) fn new(
        reader: &Reader,
        fields: &Fields,
        owner: &Owner,
        endpoints: &Endpoints,
        key: Option<&str>,
    ) -> Self {
        let is_own_key = !same_key(key, None);
        Self {
            partition: owner.partition().unwrap_or(endpoints.partition()).to_owned(),
            account: owner.account().map(ToOwned::to_owned),
            allows_other_accounts: is_own_key || reader.has_refused(&fields.path(&SECRET_KMS_KEY_ID)),
        }
    }
}

/// Reads `SecretReaders`.
pub(super) fn read_secret_readers(reader: &mut Reader, fields: &Fields, rules: &ReaderRules) -> BTreeSet<Principal> {
    let given = reader.read(fields, &SECRET_READERS).unwrap_or_default();
    for (path, arn) in &given {
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let (partition, account) = (parts[1], parts[4]);
        let is_elsewhere = rules.account.as_deref().is_some_and(|own| own != account);
        if partition != rules.partition {
            let message =
                format!("must be in the partition {}, because the stack is, but is {}", rules.partition, quoted(arn));
            reader.refuse(path, message);
        } else if is_elsewhere && !rules.allows_other_accounts {
            let message = format!(
                "needs SecretKmsKeyId with a key of your own, because it is in another account and nobody can share \
                 the AWS managed key, but is {}",
                quoted(arn)
            );
            reader.refuse(path, message);
        }
    }
    given.into_iter().map(|(_, arn)| Principal(arn)).collect()
}

/// Reads `SecretReplicas`.
pub(super) fn read_secret_replicas(reader: &mut Reader, fields: &Fields, endpoints: &Endpoints) -> Replicas {
    let mut replicas = Replicas::new();
    for fields in reader.read(fields, &SECRET_REPLICAS).unwrap_or_default() {
        let region = reader.read(&fields, &REPLICA_REGION);
        let key = reader.read(&fields, &REPLICA_KMS_KEY_ID);
        let Some(region) = region.map(Region) else { continue };
        let path = fields.path(&REPLICA_REGION);
        if region.as_str() == endpoints.region() {
            let message = format!("must be another region than the stack's, but is {}", quoted(region.as_str()));
            reader.refuse(path, message);
        } else if replicas.insert(region.clone(), key).is_some() {
            reader.refuse(path, fill(&duplicate_message(IN_THE_LIST), quoted(region.as_str())));
        }
    }
    replicas
}
