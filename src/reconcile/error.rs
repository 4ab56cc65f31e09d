//! Why an event fails.

use crate::{
    model::{ClientId, ClientName, PoolId, Region, ResourceType, SecretId, Violations, ownership::SHARED_WITH_TAG},
    plan::Refusal,
    ports::{AwsError, report},
    rotation::steps::RotateError,
};

/// Why an event ends as FAILED. Its `Display` leaves the source out; [`Error::report`] prints both.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Violations(#[from] Violations),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error("Reading the present state failed")]
    Observe(#[source] AwsError),
    #[error("The step {step} failed")]
    Step {
        step: String,
        #[source]
        source: AwsError,
    },
    #[error(
        "The token of client {client} is not valid: {reason}. Correct the client's properties, or set VerifyToken to false"
    )]
    Token { client: ClientName, reason: String },
    #[error(
        "The custom domain {domain} gives no token yet: {reason}. Nothing was changed. Its DNS record must be an alias of, or \
         a CNAME for, {}, and its certificate must be valid for the name. A resolver may say for up to 15 minutes after a \
         record was added that there is none. Deploy again when the domain gives tokens, or set VerifyToken to false",
        target.as_deref().unwrap_or("the CloudFront name in the attribute CustomDomainTarget")
    )]
    CustomDomain { domain: String, reason: String, target: Option<String> },
    #[error(
        "User pool {0} does not exist, or it no longer has this resource's ownership tags. Nothing was changed. \
         Restore the tags, or remove the resource from the template and add it again under another logical id"
    )]
    PoolLost(PoolId),
    #[error("{name:?} is not a resource type of this provider. It knows {}", known_types())]
    UnknownType { name: String },
    #[error(
        "No resource of this type has the id {0:?}. Nothing was changed. Remove the resource from the template and add it \
         again under another logical id"
    )]
    UnknownId(String),
    #[error("User pool {0} does not exist. Nothing was changed. Correct UserPoolId")]
    NoSuchPool(PoolId),
    #[error(
        "User pool {pool} no longer has the tag {SHARED_WITH_TAG}, so IAM does not let the provider work on what this \
         resource has in it. Nothing was changed. Put the tag back, with a prefix of the name of stack {stack}, until \
         the stack is deleted"
    )]
    ConsentGone { pool: PoolId, stack: String },
    #[error(
        "Client {client} does not exist in user pool {pool}, or it no longer has this resource's mark at the end of its \
         name. Nothing was changed. Give it its name back, or declare the client under another logical id"
    )]
    ClientLost { client: ClientId, pool: PoolId },
    #[error("{property} cannot change. Nothing was changed. Declare the resource under another logical id instead")]
    IdentityChanged { property: &'static str },
    #[error(
        "CloudFormation deleted the resource while the provider was still creating it. The provider removed \
         everything that the Create had made"
    )]
    DeletedMeanwhile,
    #[error(
        "The client secret of {client} cannot be read: secret {secret} has no usable value, and Cognito shows none. \
         Remove the client from the template and deploy, then add it again and deploy"
    )]
    SecretLost { client: ClientName, secret: SecretId },
    #[error(transparent)]
    UnknownReader(Box<UnknownReader>),
    #[error(
        "The replica of secret {secret} in {region} has failed: {}. Correct the cause, or remove the region from \
         SecretReplicas, and deploy again", reason.trim_end_matches(['.', ' '])
    )]
    ReplicaFailed { secret: SecretId, region: Region, reason: String },
    #[error(
        "The rotation of secret {secret} failed. Its consumers can go on with the secret that they have. \
         Correct the cause and deploy again"
    )]
    Rotation {
        secret: SecretId,
        #[source]
        source: Box<RotateError>,
    },
    #[error("Internal error: {0}. Nothing is lost. Deploy again, and report this error")]
    Internal(&'static str),
    #[error("Time ran out {}. Deploy again: the work goes on from there", before(steps))]
    OutOfTime { steps: Vec<String> },
}

/// A principal in `SecretReaders` that IAM does not know.
#[derive(Debug, thiserror::Error)]
#[error("Secrets Manager does not accept one of the readers {readers} of secret {secret}")]
pub struct UnknownReader {
    pub secret: SecretId,
    pub readers: String,
    pub source: AwsError,
}

fn known_types() -> String {
    ResourceType::ALL.map(ResourceType::as_str).join(", ")
}

fn before(steps: &[String]) -> String {
    match steps {
        [] => "before the next step could start".to_owned(),
        steps => format!("during {}", steps.join(" and ")),
    }
}

impl Error {
    /// Prints the error, its sources and what to do.
    #[must_use]
    pub fn report(&self) -> String {
        report(self, AwsError::advice)
    }
}
