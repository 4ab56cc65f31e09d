//! AWS as a command uses it, and the stacks in it.

use std::time::Duration;

use super::error::Error;
use crate::{
    clock::Deadline,
    model::{Endpoints, Owner, ResourceId, ResourceType},
    ports::{Account, AwsError, Services, StackDescription, StackResource, all_pages},
    reconcile::{Aws, Progress},
};

/// The time that a command may take with all its retries: more than any command needs. `adopt` asks Cognito twice
/// about each client. It takes 400 seconds for a pool with 1,000 clients, at 5 calls a second.
const COMMAND_MAY_TAKE: Duration = Duration::from_mins(10);

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

    /// Returns the logical ids and types of our resources.
    pub fn ours(&self) -> impl Iterator<Item = (&str, ResourceType)> {
        self.resources.iter().filter_map(|resource| {
            let known = ResourceType::ALL.into_iter().find(|known| known.as_str() == resource.resource_type)?;
            Some((resource.logical_id.as_str(), known))
        })
    }

    /// Returns the named resource, or the only one.
    ///
    /// # Errors
    /// None is named, and the stack has none or several.
    pub fn the_one(&self, wanted: Wanted<'_>) -> Result<(String, ResourceType), Error> {
        the_one(wanted, &self.ours().collect::<Vec<_>>(), &format!("stack {}", self.description.name))
    }

    #[must_use]
    pub fn owner(&self, logical_id: &str) -> Owner {
        Owner { stack_id: self.description.id.clone(), logical_id: logical_id.to_owned() }
    }

    /// Returns the PhysicalResourceId of a resource. Returns `None` if the resource was not created.
    #[must_use]
    pub fn resource_id(&self, logical_id: &str, resource_type: ResourceType) -> Option<ResourceId> {
        let resource = self.resources.iter().find(|resource| resource.logical_id == logical_id)?;
        ResourceId::parse(resource_type, &resource.physical_id)
    }

    /// Returns the stack's account: `arn:aws:cloudformation:<region>:<account>:stack/<name>/<id>`.
    #[must_use]
    pub fn account_id(&self) -> Option<&str> {
        self.description.id.split(':').nth(4)
    }
}

/// What the user says about the resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub logical_id: Option<&'a str>,
    pub resource_type: Option<ResourceType>,
}

/// Chooses the named resource, or the only candidate of the type.
///
/// A named resource that is no candidate is a new one. Its type is the one that the user names, or else
/// `Custom::CognitoM2M`.
pub(super) fn the_one(
    wanted: Wanted<'_>,
    candidates: &[(&str, ResourceType)],
    place: &str,
) -> Result<(String, ResourceType), Error> {
    let Wanted { logical_id, resource_type } = wanted;
    let is_wanted = |found: ResourceType| resource_type.is_none_or(|wanted| wanted == found);
    if let Some(named) = logical_id {
        let found = candidates.iter().find(|(id, _)| *id == named).map(|(_, found)| *found);
        return match found {
            Some(found) if !is_wanted(found) => Err(Error::Choice(format!("{named} in {place} is a {found}"))),
            _ => Ok((named.to_owned(), found.or(resource_type).unwrap_or(ResourceType::CognitoM2M))),
        };
    }
    let fitting: Vec<_> = candidates.iter().filter(|(_, found)| is_wanted(*found)).collect();
    match fitting.as_slice() {
        [(only, found)] => Ok(((*only).to_owned(), *found)),
        [] => {
            let types = resource_type.map_or_else(|| known_types(" or "), |wanted| wanted.to_string());
            Err(Error::Choice(format!("{place} has no {types}; name another resource with --logical-id")))
        }
        several => {
            let list: Vec<_> = several.iter().map(|(id, found)| format!("{id} ({found})")).collect();
            Err(Error::Choice(format!(
                "{place} has several resources: {}; name one with --logical-id",
                list.join(", ")
            )))
        }
    }
}

/// Lists the resource types.
pub(super) fn known_types(separator: &str) -> String {
    ResourceType::ALL.map(ResourceType::as_str).join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANDIDATES: [(&str, ResourceType); 3] = [
        ("Auth", ResourceType::CognitoM2M),
        ("Web", ResourceType::CognitoM2MClient),
        ("Batch", ResourceType::CognitoM2MClient),
    ];

    fn choose(logical_id: Option<&str>, resource_type: Option<ResourceType>) -> Result<(String, ResourceType), String> {
        the_one(Wanted { logical_id, resource_type }, &CANDIDATES, "stack one").map_err(|error| error.to_string())
    }

    #[test]
    fn a_resource_is_chosen_by_its_name_or_its_type() {
        let auth = Ok(("Auth".to_owned(), ResourceType::CognitoM2M));
        assert_eq!(choose(None, Some(ResourceType::CognitoM2M)), auth);
        assert_eq!(choose(Some("Auth"), None), auth);
        assert_eq!(choose(Some("Batch"), None), Ok(("Batch".to_owned(), ResourceType::CognitoM2MClient)));
        assert_eq!(choose(Some("New"), None), Ok(("New".to_owned(), ResourceType::CognitoM2M)));
        let new = choose(Some("New"), Some(ResourceType::CognitoM2MClient));
        assert_eq!(new, Ok(("New".to_owned(), ResourceType::CognitoM2MClient)));
    }

    #[test]
    fn a_choice_that_is_not_clear_names_the_candidates() {
        let several = choose(None, Some(ResourceType::CognitoM2MClient)).unwrap_err();
        assert_eq!(
            several,
            "stack one has several resources: Web (Custom::CognitoM2MClient), Batch (Custom::CognitoM2MClient); name one \
             with --logical-id"
        );
        let none = choose(None, Some(ResourceType::CognitoM2MResourceServer)).unwrap_err();
        assert_eq!(none, "stack one has no Custom::CognitoM2MResourceServer; name another resource with --logical-id");
        let other = choose(Some("Web"), Some(ResourceType::CognitoM2M)).unwrap_err();
        assert_eq!(other, "Web in stack one is a Custom::CognitoM2MClient");
    }
}
