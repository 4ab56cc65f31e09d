//! Who owns a pool or a secret, and what may be done with it.

use std::collections::BTreeMap;

use uuid::Uuid;

/// Tags of a pool or a secret, in the order of their keys.
pub type Tags = BTreeMap<String, String>;

/// The most tags that AWS allows on a user pool or a secret.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-tagging.html>
pub const MAX_TAGS: usize = 50;

/// The tag that names the program that created a thing.
pub const MANAGED_BY: (&str, &str) = ("ManagedBy", "cognito-m2m");
/// The tag that names the owner's stack.
pub const STACK_ID_TAG: &str = "cognito-m2m:stack-id";
const LOGICAL_ID: &str = "cognito-m2m:logical-id";
/// The tag on a pool by which its owner lets other stacks add to it: prefixes of stack names, separated by spaces.
pub const SHARED_WITH_TAG: &str = "cognito-m2m:shared-with";
/// The keys of the tags that `Custom::CognitoM2M` sets, besides those that begin with [`OUR_TAG_PREFIX`].
pub(crate) const OUR_TAG_KEYS: [&str; 3] = ["Environment", "Project", MANAGED_BY.0];
/// Tags whose keys begin with this are this program's own.
pub(crate) const OUR_TAG_PREFIX: &str = "cognito-m2m:";

/// The owner of a pool or a secret: one logical resource of one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub stack_id: String,
    pub logical_id: String,
}

impl Owner {
    /// Returns the tags that say who owns a thing. The call that creates the thing sets them.
    #[must_use]
    pub fn tags(&self) -> Tags {
        Tags::from([
            (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()),
            (STACK_ID_TAG.to_owned(), self.stack_id.clone()),
            (LOGICAL_ID.to_owned(), self.logical_id.clone()),
        ])
    }

    /// Tells whether both ownership tags name this resource.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        tags.get(STACK_ID_TAG) == Some(&self.stack_id) && tags.get(LOGICAL_ID) == Some(&self.logical_id)
    }

    /// Returns the owner of a thing that this program created.
    #[must_use]
    pub fn of(tags: &Tags) -> Option<Self> {
        let (stack_id, logical_id) = (tags.get(STACK_ID_TAG)?.clone(), tags.get(LOGICAL_ID)?.clone());
        Self::made_by_this_program(tags).then_some(Self { stack_id, logical_id })
    }

    /// Returns the account of the stack; `None` if the stack's id is no ARN.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.arn_part(4)
    }

    /// Returns the partition of the stack, such as `aws` or `aws-us-gov`; `None` if the stack's id is no ARN.
    #[must_use]
    pub fn partition(&self) -> Option<&str> {
        self.arn_part(1)
    }

    /// `arn:partition:cloudformation:region:account:stack/…`
    fn arn_part(&self, index: usize) -> Option<&str> {
        let parts: Vec<_> = self.stack_id.splitn(6, ':').collect();
        (parts.len() == 6 && parts[0] == "arn").then(|| parts[index])
    }

    /// Returns the stack's name: `arn:<partition>:cloudformation:<region>:<account>:stack/<name>/<id>`.
    #[must_use]
    pub fn stack_name(&self) -> &str {
        let name = self.stack_id.split_once(":stack/").map_or(&*self.stack_id, |(_, rest)| rest);
        name.split('/').next().unwrap_or_default()
    }

    /// Tells whether a pool's owner lets this stack add to the pool.
    #[must_use]
    pub fn may_join(&self, tags: &Tags) -> bool {
        tags.get(SHARED_WITH_TAG)
            .is_some_and(|prefixes| prefixes.split_whitespace().any(|prefix| self.stack_name().starts_with(prefix)))
    }

    /// Returns a short name for the owner, always the same.
    #[must_use]
    pub fn fingerprint(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}\n{}", self.stack_id, self.logical_id).as_bytes())
    }

    /// Tells whether this program created the thing, for whichever owner.
    #[must_use]
    pub fn made_by_this_program(tags: &Tags) -> bool {
        tags.get(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
    }
}

/// What may be done with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    Ours,
    /// A former resource of this kind gave it up: the same stack, deleted and deployed again, has a
    /// new id. It may be restored and made ours.
    Reclaimable,
    NotOwned,
}

impl Ownership {
    /// Decides by the tags, and by whether the secret is scheduled for deletion.
    #[must_use]
    pub fn of(tags: &Tags, scheduled: bool, owner: &Owner) -> Self {
        if owner.owns(tags) {
            Self::Ours
        } else if scheduled && Owner::made_by_this_program(tags) {
            Self::Reclaimable
        } else {
            Self::NotOwned
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_may_join_a_pool_whose_tag_has_a_prefix_of_its_name() {
        let stack_id = "arn:aws:cloudformation:us-east-1:111122223333:stack/orders-prod/0a1b".to_owned();
        let owner = Owner { stack_id, logical_id: "Client".into() };
        assert_eq!(owner.stack_name(), "orders-prod");
        for (prefixes, may_join) in [
            ("orders", true),
            ("billing orders-prod", true),
            ("orders-prod-eu billing", false),
            ("Orders", false),
            ("", false),
            ("  ", false),
        ] {
            let tags = Tags::from([(SHARED_WITH_TAG.to_owned(), prefixes.to_owned())]);
            assert_eq!(owner.may_join(&tags), may_join, "{prefixes:?}");
        }
        assert!(!owner.may_join(&Tags::new()));
    }

    #[test]
    fn ownership_takes_both_tags() {
        let owner = Owner { stack_id: "arn:stack/a".into(), logical_id: "M2M".into() };
        assert!(owner.owns(&owner.tags()));
        for key in [STACK_ID_TAG, LOGICAL_ID] {
            let mut tags = owner.tags();
            tags.remove(key);
            assert!(!owner.owns(&tags), "without {key}");
            tags.insert(key.to_owned(), "another".to_owned());
            assert!(!owner.owns(&tags), "with another {key}");
        }
    }
}
