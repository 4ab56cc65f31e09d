//! The vocabulary: what a template asks for, what AWS holds. Pure data and pure checks.

pub mod desired;
pub mod endpoints;
pub mod observed;
pub mod rotation_record;
pub mod violations;

use std::{collections::BTreeMap, fmt};

use uuid::Uuid;

pub use desired::{Client, Desired, Domain, ProviderConfig, ResourceServer, Rotation, Scope, Tier, UserPool};
pub use endpoints::Endpoints;
pub use rotation_record::RotationRecord;
pub use violations::{Violation, Violations};

/// Tags of a pool or a secret, in the order of their keys.
pub type Tags = BTreeMap<String, String>;

/// The tag that says which program made a thing.
pub const MANAGED_BY: (&str, &str) = ("ManagedBy", "cognito-m2m");
const STACK_ID: &str = "cognito-m2m:stack-id";
const LOGICAL_ID: &str = "cognito-m2m:logical-id";
/// Keys of tags that this program sets, so a user may not. All keys with [`OUR_TAG_PREFIX`] are reserved too.
pub(crate) const OUR_TAG_KEYS: [&str; 3] = ["Environment", "Project", MANAGED_BY.0];
pub(crate) const OUR_TAG_PREFIX: &str = "cognito-m2m:";

macro_rules! name_type {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )+};
}

name_type! {
    /// A user pool's id, such as `us-east-1_AbCdEfGhI`.
    PoolId,
    /// An app client's id, which Cognito makes.
    ClientId,
    /// An app client's name: what the template knows it by.
    ClientName,
    /// A Secrets Manager secret's name (not its ARN).
    SecretName,
}

impl PoolId {
    /// Whether a PhysicalResourceId can be a pool's id at all.
    ///
    /// CloudFormation's invented ids (`stack-LogicalId-1A2B3C`) and the ids of failed Creates
    /// hold no underscore, and every pool id does: `<region>_<letters and digits>`.
    #[must_use]
    pub fn parse(physical_id: &str) -> Option<Self> {
        let (region, suffix) = physical_id.split_once('_')?;
        let region_like =
            region.contains('-') && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let suffix_like = !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_alphanumeric());
        (region_like && suffix_like).then(|| Self(physical_id.to_owned()))
    }

    /// The part that names the region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.split_once('_').map_or("", |(region, _)| region)
    }
}

/// Who a pool or a secret belongs to: one logical resource of one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub stack_id: String,
    pub logical_id: String,
}

impl Owner {
    /// The ownership mark, set in the call that creates a thing.
    #[must_use]
    pub fn tags(&self) -> Tags {
        Tags::from([
            (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()),
            (STACK_ID.to_owned(), self.stack_id.clone()),
            (LOGICAL_ID.to_owned(), self.logical_id.clone()),
        ])
    }

    /// Whether both ownership tags name this very resource.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        tags.get(STACK_ID) == Some(&self.stack_id) && tags.get(LOGICAL_ID) == Some(&self.logical_id)
    }

    /// The resource that owns a thing made by this program.
    #[must_use]
    pub fn of(tags: &Tags) -> Option<Self> {
        let (stack_id, logical_id) = (tags.get(STACK_ID)?.clone(), tags.get(LOGICAL_ID)?.clone());
        Self::made_by_this_program(tags).then_some(Self { stack_id, logical_id })
    }

    /// A short name for the owner, the same every time.
    #[must_use]
    pub fn fingerprint(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}\n{}", self.stack_id, self.logical_id).as_bytes())
    }

    /// Whether some stack's resource of this kind made the thing, whichever it was.
    #[must_use]
    pub fn made_by_this_program(tags: &Tags) -> bool {
        tags.get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
    }
}

/// Whether a user may not set this tag, because this program does.
pub(crate) fn is_our_tag_key(key: &str) -> bool {
    OUR_TAG_KEYS.contains(&key) || key.starts_with(OUR_TAG_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pool_id_parses_as_a_pool_id() {
        assert!(PoolId::parse("us-east-1_AbC123").is_some());
        assert!(PoolId::parse("us-gov-west-1_AbC123").is_some());
        for other in
            ["", "my-stack-M2M-1A2B3C4D", "cognito-m2m-failed-M2M-0123456789abcdef", "us-east-1_", "_abc", "a_b_c"]
        {
            assert_eq!(PoolId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn ownership_takes_both_tags() {
        let owner = Owner { stack_id: "arn:stack/a".into(), logical_id: "M2M".into() };
        assert!(owner.owns(&owner.tags()));
        for key in [STACK_ID, LOGICAL_ID] {
            let mut tags = owner.tags();
            tags.remove(key);
            assert!(!owner.owns(&tags), "without {key}");
            tags.insert(key.to_owned(), "another".to_owned());
            assert!(!owner.owns(&tags), "with another {key}");
        }
    }
}
