//! AWS as a command uses it, and the stacks in it.

use std::time::Duration;

use super::error::Error;
use crate::{
    clock::Deadline,
    model::{Endpoints, Owner, PoolId},
    ports::{Account, AwsError, Services, StackDescription, StackResource, all_pages},
    reconcile::{Aws, Progress},
};

/// The type of our resource in a template.
pub const RESOURCE_TYPE: &str = "Custom::CognitoM2M";

/// The time that a command may take with all its retries: more than any command needs, and short
/// enough for a person who waits.
const COMMAND_MAY_TAKE: Duration = Duration::from_mins(5);

/// AWS as a command uses it.
pub struct Context<S, A> {
    pub services: S,
    pub account: A,
    pub endpoints: Endpoints,
    pub region: String,
}

impl<S: Services, A> Context<S, A> {
    /// Returns Cognito and Secrets Manager with rate limits and retries.
    pub fn aws<'a>(&'a self, progress: &'a Progress) -> Aws<'a, S> {
        Aws::new(&self.services, Deadline::after(COMMAND_MAY_TAKE), progress, "")
    }
}

/// A stack and its resources.
pub struct Stack {
    pub description: StackDescription,
    pub resources: Vec<StackResource>,
}

impl Stack {
    /// Reads a stack. Returns `None` if there is no stack of that name.
    ///
    /// # Errors
    /// A call failed.
    pub async fn find(account: &impl Account, name: &str) -> Result<Option<Self>, AwsError> {
        let Some(description) = account.describe_stacks(name).await? else { return Ok(None) };
        let resources = all_pages(async |next| account.list_stack_resources(name, next.as_deref()).await).await?;
        Ok(Some(Self { description, resources }))
    }

    /// Returns the logical ids of our resources.
    pub fn ours(&self) -> impl Iterator<Item = &str> {
        self.resources
            .iter()
            .filter(|resource| resource.resource_type == RESOURCE_TYPE)
            .map(|resource| resource.logical_id.as_str())
    }

    /// Returns the named resource, or the only one.
    ///
    /// # Errors
    /// None is named, and the stack has none or several.
    pub fn the_one(&self, logical_id: Option<&str>) -> Result<String, Error> {
        the_one(logical_id, &self.ours().collect::<Vec<_>>(), &format!("stack {}", self.description.name))
    }

    #[must_use]
    pub fn owner(&self, logical_id: &str) -> Owner {
        Owner { stack_id: self.description.id.clone(), logical_id: logical_id.to_owned() }
    }

    /// Returns the user pool of a resource.
    #[must_use]
    pub fn pool(&self, logical_id: &str) -> Option<PoolId> {
        let resource = self.resources.iter().find(|resource| resource.logical_id == logical_id)?;
        PoolId::parse(&resource.physical_id)
    }

    /// Returns the stack's account: `arn:aws:cloudformation:<region>:<account>:stack/<name>/<id>`.
    #[must_use]
    pub fn account_id(&self) -> Option<&str> {
        self.description.id.split(':').nth(4)
    }
}

/// Chooses the named resource, or the only candidate.
pub(super) fn the_one(named: Option<&str>, candidates: &[&str], place: &str) -> Result<String, Error> {
    match (named, candidates) {
        (Some(named), _) => Ok(named.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => {
            Err(Error::Choice(format!("{place} has no {RESOURCE_TYPE}; name another resource with --logical-id")))
        }
        (None, several) => Err(Error::Choice(format!(
            "{place} has several {RESOURCE_TYPE}: {}; name one with --logical-id",
            several.join(", ")
        ))),
    }
}
