//! Adds the note about an event to a plan.

use super::{Phase, Plan, SecretUpdate, Step, diff::before_protection, secrets::secret_in_use};
use crate::model::{
    APPLIED_TAG, Applied, Client, Desired, DesiredPool, OwnPool,
    observed::{Observed, ObservedPool},
    ownership::MAX_TAGS,
};

/// Returns the note that the resource has.
#[must_use]
pub fn note<'o>(desired: &Desired, observed: &'o Observed) -> Option<&'o Applied> {
    match (&desired.pool, desired.clients.first()) {
        (DesiredPool::Own(_), _) => observed.pool.as_ref()?.applied.as_ref(),
        (DesiredPool::Shared(_), Some(client)) => secret_in_use(observed, client)?.1.applied.as_ref(),
        (DesiredPool::Shared(_), None) => observed.note.as_ref(),
    }
}

/// Adds the note where the resource keeps it: on its pool, or else on its client's secret. A resource server has
/// neither; `reconcile` keeps its note.
///
/// If `is_due` and no step would write the note early, adds a step to the first phase. It delays nothing, because it
/// runs beside the steps of that phase. A thing with as many tags as AWS allows has no room for a note; late events
/// are then not recognized.
#[must_use]
pub fn add_note(plan: Plan, desired: &Desired, observed: &Observed, note: &Applied, is_due: bool) -> Plan {
    match &desired.pool {
        DesiredPool::Own(own) if own.state.tags.len() < MAX_TAGS => {
            note_on_pool(plan, own, observed.pool.as_ref(), note, is_due)
        }
        DesiredPool::Shared(_) if desired.secret_tags.len() < MAX_TAGS => {
            desired.clients.iter().fold(plan, |plan, client| note_on_secret(plan, client, observed, note, is_due))
        }
        DesiredPool::Own(_) | DesiredPool::Shared(_) => plan,
    }
}

/// Adds the note to every step that writes the pool: Cognito drops the tags that an update leaves out.
fn note_on_pool(mut plan: Plan, own: &OwnPool, observed: Option<&ObservedPool>, note: &Applied, is_due: bool) -> Plan {
    let writes_pool = |phase: &Phase| {
        phase.iter().any(|task| matches!(task.step, Step::CreateUserPool { .. } | Step::UpdateUserPool { .. }))
    };
    let is_noted = match plan.phases.as_slice() {
        [only] => writes_pool(only),
        // The last phase may turn the protection on: too late for the note.
        [early @ .., _] => early.iter().any(writes_pool),
        [] => false,
    };
    if is_due && !is_noted {
        let pool = before_protection(&own.state, observed);
        add_first(&mut plan, Step::UpdateUserPool { pool, changes: vec![CHANGE.to_owned()] });
    }
    for step in plan.steps_mut() {
        if let Step::CreateUserPool { pool } | Step::UpdateUserPool { pool, .. } = step {
            pool.tags.insert(APPLIED_TAG.to_owned(), note.to_string());
        }
    }
    plan
}

/// Adds the note to the step that creates or restores the secret, or to the secret that is there.
fn note_on_secret(mut plan: Plan, client: &Client, observed: &Observed, note: &Applied, is_due: bool) -> Plan {
    let tag = (APPLIED_TAG.to_owned(), note.to_string());
    for step in plan.steps_mut() {
        match step {
            Step::CreateSecret { tags, .. } => tags.extend([tag.clone()]),
            Step::UpdateSecret { update, .. } if update.restore => update.tag.extend([tag.clone()]),
            _ => {}
        }
    }
    if let (true, Some((name, _))) = (is_due, secret_in_use(observed, client)) {
        let update = SecretUpdate { tag: [tag].into(), ..SecretUpdate::default() };
        let changes = vec![CHANGE.to_owned()];
        let (name, client) = (name.clone(), client.name.clone());
        add_first(&mut plan, Step::UpdateSecret { name, client, update, changes });
    }
    plan
}

const CHANGE: &str = "note of this event";

/// Adds a step to the first phase that may write.
fn add_first(plan: &mut Plan, step: Step) {
    let is_before_any_write =
        |phase: &Phase| phase.iter().all(|task| matches!(task.step, Step::TryCustomDomain { .. }));
    match plan.phases.iter_mut().find(|phase| !is_before_any_write(phase)) {
        Some(first) => first.insert(0, step.into()),
        None => plan.phases.push(vec![step.into()]),
    }
}
