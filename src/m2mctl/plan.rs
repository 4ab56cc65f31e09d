//! `m2mctl plan`: what a deploy would change, before it happens.
//!
//! CloudFormation's change sets cannot look inside a custom resource. So this reads what the provider
//! would read, and computes the plan that the provider would compute.

use std::collections::BTreeSet;

use super::{
    args::{Format, PlanArgs},
    context::{Context, Stack},
    declared::{Declared, partition},
    error::Error,
    output::{Outcome, plan_json, plan_text},
};
use crate::{
    model::{
        ClientName, Desired, Owner, PoolId, ProviderConfig, ResourceId, ResourceType, UserPool, observed::Observed,
    },
    plan::{Occasion, Plan, plan},
    ports::{Account, Services},
    properties,
    reconcile::{self, Aws, Progress, Target},
};

/// `plan` found changes.
const CHANGES: u8 = 2;

/// Stands for the rotation function's ARN, which only the provider knows.
const UNKNOWN_FUNCTION: &str = "the provider's rotation function";

/// The changes of a deploy.
pub struct PlanReport {
    /// The owner of the live state; `None` if there is no live state.
    pub owner: Option<Owner>,
    /// The live pool.
    pub pool: Option<PoolId>,
    /// The named stack, if it does not exist. Its name may have a typo.
    pub missing_stack: Option<String>,
    pub resource_type: ResourceType,
    pub desired: Desired,
    pub plan: Plan,
}

pub(super) async fn run<S: Services, A: Account>(
    arguments: &PlanArgs,
    format: Format,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    let PlanArgs { declared, stack } = arguments;
    let declared =
        declared.read()?.ok_or_else(|| Error::Choice("name a file of properties or a template".to_owned()))?;
    let report = compute(context, &declared, stack.as_deref()).await?;
    let exit_code = if report.plan.is_empty() { 0 } else { CHANGES };
    Ok(match format {
        Format::Text => Outcome { text: plan_text(&report), exit_code },
        Format::Json => Outcome::json(&plan_json(&report), exit_code),
    })
}

/// Compares the declared state with the live state. Changes nothing.
///
/// With `stack`, the live state is that of the stack's resource; a stack that does not exist has none.
/// Without it, the live state is the pool that has the declared name and our tags, in any stack. What is added to
/// somebody else's pool needs a stack.
///
/// # Errors
/// The deploy would fail, or the live state cannot be read.
pub async fn compute<S: Services, A: Account>(
    context: &Context<S, A>,
    declared: &Declared,
    stack: Option<&str>,
) -> Result<PlanReport, Error> {
    let found = match stack {
        Some(name) => Stack::find(&context.account, name).await?,
        None => None,
    };
    let (logical_id, resource_type) = declared.choose(found.as_ref())?;
    let properties = declared.properties(&logical_id, found.as_ref(), &context.account, &context.region).await?;
    let config =
        ProviderConfig { endpoints: context.endpoints.clone(), rotation_function: Some(UNKNOWN_FUNCTION.to_owned()) };
    let desired_by = |owner: Owner| properties::parse(resource_type, &properties, owner, &config);
    // The owner of a pool is known only after the pool is found. Until then, an owner that owns nothing takes its
    // place.
    let mut desired = desired_by(Owner { stack_id: String::new(), logical_id: logical_id.clone() })?;

    let progress = Progress::default();
    let aws = context.aws(&progress);
    let (owner, target) = match (&found, stack) {
        (Some(stack), _) => {
            let id = stack.resource_id(&logical_id, resource_type);
            (Some(stack.owner(&logical_id)), id.map_or(Target::Create, Target::Update))
        }
        (None, Some(name)) => (Some(owner_in_new_stack(name, logical_id, &context.region)), Target::Create),
        (None, None) => match desired.own_pool() {
            Some(own) => owner_by_name(&aws, &own.state).await?,
            None => return Err(Error::NeedsStack(resource_type)),
        },
    };
    if let Some(owner) = &owner {
        desired = desired_by(owner.clone())?;
    }

    let observed = reconcile::observe(&aws, &desired, &target).await?;
    name_rotation_function(&mut desired, &observed);
    let missing_stack = stack.filter(|_| found.is_none()).map(ToOwned::to_owned);
    let also_verify = &to_verify(&desired, &target);
    let occasion = Occasion { is_create: target == Target::Create, is_rollback: false, also_verify };
    let plan = match plan(&desired, &observed, &occasion) {
        Ok(plan) => plan,
        Err(refusal) => {
            let refusal = Error::from(reconcile::name_stacks(&aws, refusal).await);
            return Err(match &missing_stack {
                Some(stack) => Error::Choice(format!("{refusal} (Stack {stack} does not exist in {})", context.region)),
                None => refusal,
            });
        }
    };
    let pool = observed.pool.map(|pool| pool.id);
    let owner = owner.filter(|_| pool.is_some() && missing_stack.is_none());
    Ok(PlanReport { owner, pool, missing_stack, resource_type, desired, plan })
}

/// Returns the owner that a new stack will have. Only the stack's name is known, and nothing depends on more of it: it
/// decides whether the pool's owner has consented, and what the client's secret is called.
fn owner_in_new_stack(name: &str, logical_id: String, region: &str) -> Owner {
    let (partition, _) = partition(region);
    Owner { stack_id: format!("arn:{partition}:cloudformation:{region}::stack/{name}/new"), logical_id }
}

/// Returns the clients whose tokens the provider verifies even if nothing changes: in a Create, all of them.
fn to_verify(desired: &Desired, target: &Target) -> BTreeSet<ClientName> {
    match target {
        Target::Create => desired.clients.iter().map(|client| client.name.clone()).collect(),
        Target::Update(_) => BTreeSet::new(),
    }
}

/// Returns the owner of the pools that have the declared name and that this program created.
async fn owner_by_name<S: Services>(aws: &Aws<'_, S>, pool: &UserPool) -> Result<(Option<Owner>, Target), Error> {
    let pools = reconcile::pools_of_name(aws, &pool.name).await?;
    let mut ours: Vec<_> = pools.iter().filter_map(|pool| Some((Owner::of(&pool.state.tags)?, &pool.id))).collect();
    match ours.as_slice() {
        [] => Ok((None, Target::Create)),
        [(owner, id)] => Ok((Some(owner.clone()), Target::Update(ResourceId::Pool((*id).clone())))),
        [(owner, _), rest @ ..] if rest.iter().all(|(other, _)| other == owner) => {
            Ok((Some(owner.clone()), Target::Create))
        }
        _ => {
            ours.sort_by_key(|(_, id)| (*id).clone());
            let list: Vec<_> =
                ours.iter().map(|(owner, id)| format!("{id} of {}, {}", owner.stack_id, owner.logical_id)).collect();
            Err(Error::Choice(format!(
                "Several stacks have a user pool named {}: {}; name yours with --stack",
                pool.name,
                list.join("; ")
            )))
        }
    }
}

/// Puts in the function's ARN that the live schedules name. The provider would name the same function.
fn name_rotation_function(desired: &mut Desired, observed: &Observed) {
    let named = observed.secrets.values().find_map(|secret| secret.rotation.as_ref());
    if let (Some(rotation), Some(named)) = (&mut desired.rotation, named) {
        rotation.function_arn.clone_from(&named.function_arn);
    }
}
