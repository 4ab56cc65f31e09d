//! A stack: its status, and the live state of each of its resources.

use std::collections::{BTreeMap, BTreeSet};

use super::{DoctorOptions, Finding, Severity, part, pool, secret};
use crate::{
    m2mctl::{
        context::{Context, Stack, known_types},
        declared::{Declared, Source},
        error::Error,
        plan,
        template::{Template, parse},
    },
    model::{Owner, PoolId, ResourceId, ResourceType, SecretId},
    ports::{Account, Services},
    reconcile::{Aws, Progress, secrets_of},
};

/// Checks a stack and the resources in it.
pub(super) async fn examine<S: Services, A: Account>(
    context: &Context<S, A>,
    options: &DoctorOptions<'_>,
    name: &str,
) -> Vec<Finding> {
    let subject = format!("stack {name}");
    let stack = match Stack::find(&context.account, name).await {
        Ok(Some(stack)) => stack,
        Ok(None) => {
            let found = format!("does not exist in {}", context.region);
            return vec![
                Finding::new(Severity::Error, subject, found)
                    .advice("Correct the name or the region. For a check before the first deploy, leave --stack out."),
            ];
        }
        Err(error) => return vec![Finding::of_failure(subject, &error)],
    };
    let mut findings = vec![status(subject.clone(), &stack.description.status, &stack.description.status_reason)];

    let chosen = match options.declared {
        // The properties are those of one resource.
        Some(declared) if declared.is_one() => declared.choose(Some(&stack)).map(|chosen| vec![chosen]),
        _ => Ok(stack.ours().map(|(logical_id, found)| (logical_id.to_owned(), found)).collect()),
    };
    match chosen {
        Err(error) => findings.push(Finding::not_compared(subject, &error)),
        Ok(resources) if resources.is_empty() => {
            let found = format!("has no {}, so there is no user pool to check", known_types(" or "));
            findings.push(Finding::new(Severity::Info, subject, found).advice("Name the stack that has one."));
        }
        Ok(resources) => {
            for (logical_id, resource_type) in resources {
                findings.extend(examine_resource(context, options, &stack, (&logical_id, resource_type)).await);
            }
        }
    }
    findings
}

/// Compares a resource with its template, and checks its secrets.
async fn examine_resource<S: Services, A: Account>(
    context: &Context<S, A>,
    options: &DoctorOptions<'_>,
    stack: &Stack,
    (logical_id, resource_type): (&str, ResourceType),
) -> Vec<Finding> {
    let subject = format!("resource {logical_id}");
    let declared = match options.declared {
        Some(declared) => Declared { logical_id: Some(logical_id.to_owned()), ..declared.clone() },
        None => match deployed_template(&context.account, stack, logical_id).await {
            Ok(declared) => declared,
            Err(error) => return vec![Finding::not_compared(subject, &error)],
        },
    };
    let mut secrets: BTreeSet<SecretId> = BTreeSet::new();
    let compared = plan::compute(context, &declared, Some(&stack.description.name)).await;
    // Properties that the user passes may not be deployed yet. Then their secrets need not exist.
    if let (Ok(report), None) = (&compared, options.declared) {
        secrets.extend(report.desired.clients.iter().map(|client| client.secret_name.clone()));
    }
    let progress = Progress::default();
    let aws = context.aws(&progress);
    let owner = stack.owner(logical_id);
    // Both sources are needed: Secrets Manager lists a new secret after some minutes.
    let listed = secrets_of(&aws, &owner).await;
    secrets.extend(listed.iter().flatten().cloned());

    let part = match stack.resource_id(logical_id, resource_type) {
        None | Some(ResourceId::Pool(_)) => Vec::new(),
        Some(id) => {
            let known = compared.as_ref().ok().and_then(|report| report.pool.clone());
            examine_part(&aws, &owner, &id, known, &secrets).await
        }
    };
    let is_broken = part.iter().any(|finding| finding.severity == Severity::Error);
    let mut findings = Vec::new();
    match compared {
        Ok(report) => {
            findings.push(pool::difference(&report));
            findings.extend(pool::custom_domain(context, &report).await);
        }
        // The part's own finding says more.
        Err(Error::Reconcile(_)) if is_broken => {}
        Err(error) => findings.push(Finding::not_compared(subject, &error)),
    }
    findings.extend(part);
    findings.extend(listed.err().map(|error| Finding::of_failure("secrets", &error)));
    for name in secrets {
        findings.extend(secret::examine(&aws, &owner, &name, options.tokens).await);
    }
    findings
}

/// Checks a client or a resource server. Its pool is in its id, in its properties or in its secret.
async fn examine_part<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    id: &ResourceId,
    known: Option<PoolId>,
    secrets: &BTreeSet<SecretId>,
) -> Vec<Finding> {
    let pool = match (id, known) {
        (ResourceId::ResourceServer { pool, .. }, _) => Some(pool.clone()),
        (_, Some(known)) => Some(known),
        _ => part::pool_of_secrets(aws, secrets).await,
    };
    match pool {
        Some(pool) => part::examine(aws, owner, id, &pool).await,
        None => Vec::new(),
    }
}

async fn deployed_template(account: &impl Account, stack: &Stack, logical_id: &str) -> Result<Declared, Error> {
    let text = account.get_template(&stack.description.name).await?;
    Ok(Declared {
        source: Source::Template(Template::new(parse(&text)?)),
        logical_id: Some(logical_id.to_owned()),
        resource_type: None,
        // The stack has all values.
        parameters: BTreeMap::new(),
    })
}

fn status(subject: String, status: &str, reason: &str) -> Finding {
    let found = if reason.is_empty() { status.to_owned() } else { format!("{status}: {reason}") };
    let (severity, advice) = match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => (Severity::Ok, ""),
        "ROLLBACK_COMPLETE" => {
            (Severity::Error, "The first deploy of this stack failed. Delete the stack before you deploy it again.")
        }
        "UPDATE_ROLLBACK_COMPLETE" => {
            (Severity::Warning, "The last deploy failed and was rolled back. The stack's events say why.")
        }
        "UPDATE_ROLLBACK_FAILED" => (
            Severity::Error,
            "Correct the cause in the stack's events. Then run `aws cloudformation continue-update-rollback`.",
        ),
        status if status.ends_with("_FAILED") => (Severity::Error, "The stack's events say why."),
        status if status.ends_with("_IN_PROGRESS") => {
            (Severity::Info, "A deploy is running, so the following findings may change at any moment.")
        }
        _ => (Severity::Info, ""),
    };
    Finding::new(severity, subject, found).advice(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_cannot_be_deployed_again_is_an_error() {
        for (name, severity) in [
            ("CREATE_COMPLETE", Severity::Ok),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Severity::Info),
            ("UPDATE_ROLLBACK_COMPLETE", Severity::Warning),
            ("ROLLBACK_COMPLETE", Severity::Error),
            ("DELETE_FAILED", Severity::Error),
            ("UPDATE_ROLLBACK_FAILED", Severity::Error),
        ] {
            assert_eq!(status("stack".to_owned(), name, "").severity, severity, "{name}");
        }
    }
}
