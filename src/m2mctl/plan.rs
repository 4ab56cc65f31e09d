//! What a deploy would change, before it happens. CloudFormation's change sets cannot look inside a
//! custom resource, so this reads what the provider would read and makes the plan that it would make.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use super::template::{self, Pseudo, Template};
use crate::{
    clock::Deadline,
    model::{ClientName, Desired, Endpoints, Owner, PoolId, ProviderConfig, UserPool, Violations, observed::Observed},
    plan::{Plan, Refusal, plan},
    ports::{Account, AwsError, Page, Services, StackDescription, StackResource},
    reconcile::{self, Aws, Progress, Target},
};

/// The type of our resource in a template.
pub const RESOURCE_TYPE: &str = "Custom::CognitoM2M";

/// How long a command may take with all its retries.
const COMMAND_MAY_TAKE: Duration = Duration::from_mins(5);

/// Where the rotation function's ARN is not known, which only the provider is told.
const UNKNOWN_FUNCTION: &str = "the provider's rotation function";

/// AWS as a command uses it.
pub struct Context<S, A> {
    pub services: S,
    pub account: A,
    pub endpoints: Endpoints,
    pub region: String,
}

impl<S: Services, A> Context<S, A> {
    /// Cognito and Secrets Manager with pace and retries.
    pub fn aws<'a>(&'a self, progress: &'a Progress) -> Aws<'a, S> {
        Aws::new(&self.services, Deadline::after(COMMAND_MAY_TAKE), progress, "")
    }
}

/// What a resource declares, and where that is written.
pub struct Declared {
    pub source: Source,
    /// Which resource of the template or of the stack; `None` where there is only one.
    pub logical_id: Option<String>,
    /// Values of the template's parameters, before those that the stack has.
    pub parameters: BTreeMap<String, String>,
}

pub enum Source {
    Properties(Value),
    Template(Template),
}

/// What a deploy would do.
pub struct PlanReport {
    /// Who owns the live state; `None` where there is none yet.
    pub owner: Option<Owner>,
    /// The live pool.
    pub pool: Option<PoolId>,
    /// The stack that was named and does not exist, perhaps for a slip in its name.
    pub missing_stack: Option<String>,
    pub desired: Desired,
    pub plan: Plan,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Reconcile(reconcile::Error),
    #[error("A deploy would fail. {0}")]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Violations(#[from] Violations),
    #[error(transparent)]
    Template(#[from] template::Error),
    #[error("{0}")]
    Choice(String),
}

impl From<reconcile::Error> for Error {
    fn from(error: reconcile::Error) -> Self {
        match error {
            reconcile::Error::Observe(error) => Self::Aws(error),
            other => Self::Reconcile(other),
        }
    }
}

/// A stack and what is in it.
pub struct Stack {
    pub description: StackDescription,
    pub resources: Vec<StackResource>,
}

impl Stack {
    /// `None` where there is no stack of that name.
    ///
    /// # Errors
    /// A call that failed.
    pub async fn find(account: &impl Account, name: &str) -> Result<Option<Self>, AwsError> {
        let Some(description) = account.describe_stacks(name).await? else { return Ok(None) };
        let mut resources = Vec::new();
        let mut next = None;
        loop {
            let Page { items, next: following } = account.list_stack_resources(name, next.as_deref()).await?;
            resources.extend(items);
            next = following;
            if next.is_none() {
                return Ok(Some(Self { description, resources }));
            }
        }
    }

    /// The logical ids of our resources.
    pub fn ours(&self) -> impl Iterator<Item = &str> {
        self.resources
            .iter()
            .filter(|resource| resource.resource_type == RESOURCE_TYPE)
            .map(|resource| resource.logical_id.as_str())
    }

    /// The one that is meant.
    ///
    /// # Errors
    /// Where none is named and the stack has none, or several.
    pub fn the_one(&self, logical_id: Option<&str>) -> Result<String, Error> {
        the_one(logical_id, &self.ours().collect::<Vec<_>>(), &format!("stack {}", self.description.name))
    }

    #[must_use]
    pub fn owner(&self, logical_id: &str) -> Owner {
        Owner { stack_id: self.description.id.clone(), logical_id: logical_id.to_owned() }
    }

    /// The pool that the resource stands for.
    #[must_use]
    pub fn pool(&self, logical_id: &str) -> Option<PoolId> {
        let resource = self.resources.iter().find(|resource| resource.logical_id == logical_id)?;
        PoolId::parse(&resource.physical_id)
    }
}

fn the_one(named: Option<&str>, candidates: &[&str], place: &str) -> Result<String, Error> {
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

impl Declared {
    /// The properties as CloudFormation would hand them to the provider.
    ///
    /// # Errors
    /// What cannot be known before a deploy, or is not in the template.
    pub async fn properties(
        &self,
        logical_id: &str,
        stack: Option<&Stack>,
        account: &impl Account,
        region: &str,
    ) -> Result<Value, Error> {
        let template = match &self.source {
            Source::Properties(properties) => return Ok(properties.clone()),
            Source::Template(template) => template,
        };
        let description = stack.map(|stack| &stack.description);
        let account_id = match description {
            // arn:aws:cloudformation:<region>:<account>:stack/<name>/<id>
            Some(description) => description.id.split(':').nth(4).map(ToOwned::to_owned),
            // A template that does not ask for it needs no credentials.
            None => account.get_caller_identity().await.ok().map(|caller| caller.account),
        };
        let (partition, url_suffix) = partition(region);
        let pseudo = Pseudo {
            region: Some(region.to_owned()),
            partition: Some(partition.to_owned()),
            url_suffix: Some(url_suffix.to_owned()),
            account_id,
            stack_name: description.map(|description| description.name.clone()),
            stack_id: description.map(|description| description.id.clone()),
        };
        // Of the stack's values those that the new template still has, and that can be read.
        let mut parameters: BTreeMap<String, String> = description
            .map(|description| &description.parameters)
            .into_iter()
            .flatten()
            .filter(|(name, value)| template.parameters().any(|declared| declared == *name) && !is_masked(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        parameters.extend(self.parameters.clone());
        Ok(template.properties(logical_id, &parameters, &pseudo)?)
    }

    fn logical_id(&self, stack: Option<&Stack>) -> Result<String, Error> {
        match (&self.source, stack) {
            (Source::Template(template), _) => {
                the_one(self.logical_id.as_deref(), &template.resources_of_type(RESOURCE_TYPE), "the template")
            }
            (Source::Properties(_), Some(stack)) => stack.the_one(self.logical_id.as_deref()),
            (Source::Properties(_), None) => Ok(self.logical_id.clone().unwrap_or_default()),
        }
    }
}

/// The value of a NoEcho parameter, which nobody is shown.
fn is_masked(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b == b'*')
}

/// The region's partition, and the end of its hosts' names.
fn partition(region: &str) -> (&'static str, &'static str) {
    if region.starts_with("cn-") {
        ("aws-cn", "amazonaws.com.cn")
    } else if region.starts_with("us-gov-") {
        ("aws-us-gov", "amazonaws.com")
    } else {
        ("aws", "amazonaws.com")
    }
}

/// Holds what is declared against what is there. Changes nothing.
///
/// With `stack` the live state is that of the stack's resource, and a stack that does not exist has
/// none. Without it, it is the pool of the declared name that carries our tags, whichever stack's.
///
/// # Errors
/// What a deploy would fail with, and whatever keeps this from being known.
pub async fn compute<S: Services, A: Account>(
    context: &Context<S, A>,
    declared: &Declared,
    stack: Option<&str>,
) -> Result<PlanReport, Error> {
    let found = match stack {
        Some(name) => Stack::find(&context.account, name).await?,
        None => None,
    };
    let logical_id = declared.logical_id(found.as_ref())?;
    let properties = declared.properties(&logical_id, found.as_ref(), &context.account, &context.region).await?;
    let config =
        ProviderConfig { endpoints: context.endpoints.clone(), rotation_function: Some(UNKNOWN_FUNCTION.to_owned()) };
    // An owner that nothing belongs to: the stack has no id yet.
    let nobody = Owner { stack_id: String::new(), logical_id: logical_id.clone() };
    let mut desired = crate::properties::parse(&properties, nobody, &config)?;

    let progress = Progress::default();
    let aws = context.aws(&progress);
    let (owner, target) = match (&found, stack) {
        (Some(stack), _) => {
            let target = stack.pool(&logical_id).map_or(Target::Create, Target::Update);
            (Some(stack.owner(&logical_id)), target)
        }
        (None, Some(_)) => (None, Target::Create),
        (None, None) => owner_by_name(&aws, &desired.pool).await?,
    };
    if let Some(owner) = &owner {
        desired = crate::properties::parse(&properties, owner.clone(), &config)?;
    }

    let observed = reconcile::observe(&aws, &desired, &target).await?;
    name_rotation_function(&mut desired, &observed);
    let verify: BTreeSet<ClientName> = match target {
        Target::Create => desired.clients.iter().map(|client| client.name.clone()).collect(),
        Target::Update(_) => BTreeSet::new(),
    };
    let plan = plan(&desired, &observed, &verify).map_err(|refusal| match (&found, stack) {
        (None, Some(stack)) => {
            Error::Choice(format!("{} (Stack {stack} does not exist in {})", Error::from(refusal), context.region))
        }
        _ => refusal.into(),
    })?;
    let pool = observed.pool.map(|pool| pool.id);
    let missing_stack = stack.filter(|_| found.is_none()).map(ToOwned::to_owned);
    Ok(PlanReport { owner: owner.filter(|_| pool.is_some()), pool, missing_stack, desired, plan })
}

/// The owner of the pools of the declared name that this program has made.
async fn owner_by_name<S: Services>(aws: &Aws<'_, S>, pool: &UserPool) -> Result<(Option<Owner>, Target), Error> {
    let pools = reconcile::pools_of_name(aws, &pool.name).await?;
    let mut made: Vec<_> = pools.iter().filter_map(|pool| Some((Owner::of(&pool.state.tags)?, &pool.id))).collect();
    match made.as_slice() {
        [] => Ok((None, Target::Create)),
        [(owner, id)] => Ok((Some(owner.clone()), Target::Update((*id).clone()))),
        [(owner, _), rest @ ..] if rest.iter().all(|(other, _)| other == owner) => {
            Ok((Some(owner.clone()), Target::Create))
        }
        _ => {
            made.sort_by_key(|(_, id)| (*id).clone());
            let list: Vec<_> =
                made.iter().map(|(owner, id)| format!("{id} of {}, {}", owner.stack_id, owner.logical_id)).collect();
            Err(Error::Choice(format!(
                "Several stacks have a user pool named {}: {}; name yours with --stack",
                pool.name,
                list.join("; ")
            )))
        }
    }
}

/// The plan compares the function that a schedule names; what the provider would name is what it has
/// named before.
fn name_rotation_function(desired: &mut Desired, observed: &Observed) {
    let named = observed.secrets.values().find_map(|secret| secret.rotation.as_ref());
    if let (Some(rotation), Some(named)) = (&mut desired.rotation, named) {
        rotation.function_arn.clone_from(&named.function_arn);
    }
}
