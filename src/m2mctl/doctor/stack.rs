//! A stack: its status, and the live state of each of its resources.

use std::collections::{BTreeMap, BTreeSet};

use super::{DoctorOptions, Finding, Severity, pool, secret};
use crate::{
    m2mctl::{
        context::{Context, RESOURCE_TYPE, Stack},
        declared::{Declared, Source},
        error::Error,
        plan,
        template::{Template, parse},
    },
    model::SecretId,
    ports::{Account, Services},
    reconcile::{Progress, secrets_of},
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

    let named = options.declared.and_then(|declared| declared.logical_id.clone());
    let logical_ids: Vec<String> = match named {
        Some(named) => vec![named],
        None => stack.ours().map(ToOwned::to_owned).collect(),
    };
    if logical_ids.is_empty() {
        findings.push(
            Finding::new(Severity::Info, subject, format!("has no {RESOURCE_TYPE}, so there is no user pool to check"))
                .advice("Name the stack that has one."),
        );
    }
    for logical_id in logical_ids {
        findings.extend(examine_resource(context, options, &stack, &logical_id).await);
    }
    findings
}

/// Compares a resource with its template, and checks its secrets.
async fn examine_resource<S: Services, A: Account>(
    context: &Context<S, A>,
    options: &DoctorOptions<'_>,
    stack: &Stack,
    logical_id: &str,
) -> Vec<Finding> {
    let subject = format!("resource {logical_id}");
    let deployed;
    let declared = match options.declared {
        Some(declared) => declared,
        None => match deployed_template(&context.account, stack, logical_id).await {
            Ok(declared) => {
                deployed = declared;
                &deployed
            }
            Err(error) => return vec![Finding::not_compared(subject, &error)],
        },
    };
    let mut findings = Vec::new();
    let mut secrets: BTreeSet<SecretId> = BTreeSet::new();
    match plan::compute(context, declared, Some(&stack.description.name)).await {
        Ok(report) => {
            // Properties that the user passes may not be deployed yet. Then their secrets need not exist.
            if options.declared.is_none() {
                secrets.extend(report.desired.clients.iter().map(|client| client.secret_name.clone()));
            }
            findings.push(pool::difference(&report));
            findings.extend(pool::custom_domain(context, &report).await);
        }
        Err(error) => findings.push(Finding::not_compared(subject, &error)),
    }

    let progress = Progress::default();
    let aws = context.aws(&progress);
    let owner = stack.owner(logical_id);
    // Both sources are needed: Secrets Manager lists a new secret after some minutes.
    match secrets_of(&aws, &owner).await {
        Ok(listed) => secrets.extend(listed),
        Err(error) => findings.push(Finding::of_failure("secrets", &error)),
    }
    for name in secrets {
        findings.extend(secret::examine(&aws, &owner, &name, options.tokens).await);
    }
    findings
}

async fn deployed_template(account: &impl Account, stack: &Stack, logical_id: &str) -> Result<Declared, Error> {
    let text = account.get_template(&stack.description.name).await?;
    Ok(Declared {
        source: Source::Template(Template::new(parse(&text)?)),
        logical_id: Some(logical_id.to_owned()),
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
