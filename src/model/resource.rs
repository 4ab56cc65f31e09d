//! The resource types, and the ids that CloudFormation knows their resources by.

use std::fmt;

use super::{ClientId, PoolId};

/// What a template can declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceType {
    /// A whole stack: the pool and everything in it.
    CognitoM2M,
    /// One app client in somebody else's pool.
    CognitoM2MClient,
    /// One resource server in somebody else's pool.
    CognitoM2MResourceServer,
}

impl ResourceType {
    pub const ALL: [Self; 3] = [Self::CognitoM2M, Self::CognitoM2MClient, Self::CognitoM2MResourceServer];

    /// Returns the type's name in a template.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CognitoM2M => "Custom::CognitoM2M",
            Self::CognitoM2MClient => "Custom::CognitoM2MClient",
            Self::CognitoM2MResourceServer => "Custom::CognitoM2MResourceServer",
        }
    }

    /// Reads the type of an event. A template may use CloudFormation's own name for any custom resource. It says
    /// nothing about the type, so it means the one that has existed from the beginning.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const ANY_CUSTOM_RESOURCE: &str = "AWS::CloudFormation::CustomResource";
        if text.is_empty() || text == ANY_CUSTOM_RESOURCE {
            return Some(Self::CognitoM2M);
        }
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The PhysicalResourceId of a resource that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceId {
    Pool(PoolId),
    Client(ClientId),
    ResourceServer { pool: PoolId, identifier: String },
}

impl ResourceId {
    /// Reads an id. Returns `None` if it is none of this type: CloudFormation invented it, or it is that of a Create
    /// that failed.
    #[must_use]
    pub fn parse(resource_type: ResourceType, physical_id: &str) -> Option<Self> {
        match resource_type {
            ResourceType::CognitoM2M => PoolId::parse(physical_id).map(Self::Pool),
            ResourceType::CognitoM2MClient => ClientId::parse(physical_id).map(Self::Client),
            ResourceType::CognitoM2MResourceServer => {
                let (pool, identifier) = physical_id.split_once('|')?;
                let pool = PoolId::parse(pool)?;
                Some(Self::ResourceServer { pool, identifier: identifier.to_owned() })
            }
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(id) => write!(f, "{id}"),
            Self::Client(id) => write!(f, "{id}"),
            Self::ResourceServer { pool, identifier } => write!(f, "{pool}|{identifier}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_printed_and_no_other_id_is() {
        let pool = PoolId::from("us-east-1_AbC123");
        for (resource_type, id) in [
            (ResourceType::CognitoM2M, ResourceId::Pool(pool.clone())),
            (ResourceType::CognitoM2MClient, ResourceId::Client(ClientId::from("1example23456789"))),
            (
                ResourceType::CognitoM2MResourceServer,
                ResourceId::ResourceServer { pool, identifier: "https://api|v1".to_owned() },
            ),
        ] {
            assert_eq!(ResourceId::parse(resource_type, &id.to_string()), Some(id));
            for other in ["", "stack-Thing-1A2B3C4D", "cognito-m2m-failed-Thing-0123456789abcdef"] {
                assert_eq!(ResourceId::parse(resource_type, other), None, "{other}");
            }
        }
    }

    #[test]
    fn an_unknown_type_is_none() {
        for known in ResourceType::ALL {
            assert_eq!(ResourceType::parse(known.as_str()), Some(known));
        }
        assert_eq!(ResourceType::parse("AWS::CloudFormation::CustomResource"), Some(ResourceType::CognitoM2M));
        assert_eq!(ResourceType::parse("Custom::CognitoM2MClients"), None);
    }
}
