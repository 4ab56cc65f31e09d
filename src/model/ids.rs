//! Newtypes for the names and ids that AWS and the template use.

use std::fmt;

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
    /// An app client's id. Cognito generates it.
    ClientId,
    /// An app client's name. The template knows the client by it.
    ClientName,
    /// What Secrets Manager's API calls SecretId: a secret's name or its ARN. The provider uses names; Secrets
    /// Manager gives the rotation function an ARN.
    SecretId,
    /// The ARN of an IAM role, a user or an account's root.
    Principal,
    /// An AWS region, such as `eu-west-1`.
    Region,
}

impl PoolId {
    /// Returns the pool id if a PhysicalResourceId can be one.
    ///
    /// Every pool id has an underscore: `<region>_<letters and digits>`. The ids that CloudFormation
    /// invents (`stack-LogicalId-1A2B3C`) and those of failed Creates have none.
    #[must_use]
    pub fn parse(physical_id: &str) -> Option<Self> {
        let (region, suffix) = physical_id.split_once('_')?;
        let region_like =
            region.contains('-') && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let suffix_like = !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_alphanumeric());
        (region_like && suffix_like).then(|| Self(physical_id.to_owned()))
    }

    /// Returns the region that the id begins with.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.split_once('_').map_or("", |(region, _)| region)
    }
}

impl ClientId {
    /// Returns the client id if a PhysicalResourceId can be one: letters, digits, `_` and `+`. The ids that
    /// CloudFormation invents and those of failed Creates have hyphens.
    /// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html>
    #[must_use]
    pub fn parse(physical_id: &str) -> Option<Self> {
        let is_id = !physical_id.is_empty()
            && physical_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+'));
        is_id.then(|| Self(physical_id.to_owned()))
    }
}

/// The key that encrypts a secret if nobody chooses one.
pub const AWS_MANAGED_KEY: &str = "alias/aws/secretsmanager";

/// Returns what all spellings of a KMS key have in common: a key may be given as an id, an alias or an
/// ARN. `None` is the AWS managed key.
#[must_use]
pub fn short_key_id(key: Option<&str>) -> &str {
    let key = key.unwrap_or(AWS_MANAGED_KEY);
    let resource = if key.starts_with("arn:") { key.splitn(6, ':').last().unwrap_or(key) } else { key };
    resource.strip_prefix("key/").unwrap_or(resource)
}

/// Tells whether two spellings name the same key. DescribeSecret may show an ARN for a key that was given as an id or an
/// alias. For the AWS managed key it shows nothing or the alias.
#[must_use]
pub fn same_key(one: Option<&str>, other: Option<&str>) -> bool {
    short_key_id(one) == short_key_id(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_every_spelling() {
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234";
        assert!(same_key(Some("1234"), Some(arn)) && same_key(Some(arn), Some("1234")));
        assert!(same_key(Some("alias/a"), Some("arn:aws:kms:us-east-1:111122223333:alias/a")));
        assert!(same_key(None, None) && same_key(None, Some("alias/aws/secretsmanager")));
        assert!(!same_key(None, Some("1234")) && !same_key(Some("alias/a"), Some("alias/b")));
    }

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
}
