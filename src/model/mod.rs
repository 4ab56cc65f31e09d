//! The vocabulary: what a template declares, what AWS holds. Pure data and pure checks.

pub mod adoption;
pub mod applied;
pub mod desired;
pub mod endpoints;
pub mod ids;
pub mod mark;
pub mod observed;
pub mod ownership;
pub mod resource;
pub mod rotation_record;
pub mod sharing;
pub mod violations;

pub use applied::{APPLIED_TAG, Applied, Digest, EventStamp};
pub use desired::{
    AuthFlow, Client, CustomDomain, Desired, DesiredPool, Domain, OwnPool, PoolDomain, ProviderConfig, ResourceServer,
    Rotation, Scope, Tier, TokenEndpointDomain, TokenService, TokenSource, UserPool, UserPoolClient,
};
pub use endpoints::{Endpoints, is_aws_host};
pub use ids::{ClientId, ClientName, PoolId, Principal, Region, SecretId};
pub use mark::Mark;
pub use ownership::{MANAGED_BY, Owner, Ownership, Tags};
pub use resource::{ResourceId, ResourceType};
pub use rotation_record::RotationRecord;
pub use sharing::{PolicyChange, Replicas, ResourcePolicy};
pub use violations::{Violation, Violations};
