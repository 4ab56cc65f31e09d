//! The user pool and its domain: what is declared, compared with what is live.

use serde_json::json;

use super::{Finding, Severity, part};
use crate::{
    m2mctl::{
        context::Context,
        declared::Declared,
        error::Error,
        plan::{self, PlanReport},
    },
    model::{Desired, DesiredPool, OwnPool, Owner, ProviderConfig, ResourceType},
    ports::{Account, DomainDescription, Services, UserPools as _},
    properties,
    reconcile::Progress,
};

/// Checks what is declared, or the defaults, before there is a stack.
pub(super) async fn examine_declared<S: Services, A: Account>(
    context: &Context<S, A>,
    declared: Option<&Declared>,
) -> Vec<Finding> {
    if let Some(declared) = declared {
        return match plan::compute(context, declared, None).await {
            Ok(report) => {
                let mut findings = Vec::new();
                if let Some(own) = report.desired.own_pool() {
                    findings.push(domain(context, own, report.owner.as_ref()).await);
                }
                findings.push(difference(&report));
                findings
            }
            Err(error @ Error::NeedsStack(_)) => vec![part::before_deploy(&error)],
            Err(error) => vec![Finding::not_compared("properties", &error)],
        };
    }
    let nobody = Owner { stack_id: String::new(), logical_id: String::new() };
    let config = ProviderConfig { endpoints: context.endpoints.clone(), rotation_function: None };
    match properties::parse(ResourceType::CognitoM2M, &json!({}), nobody, &config) {
        Ok(Desired { pool: DesiredPool::Own(own), .. }) => vec![domain(context, &own, None).await],
        Ok(_) => Vec::new(),
        // Not reached: the defaults are valid.
        Err(violations) => vec![Finding::new(Severity::Error, "properties", violations.to_string())],
    }
}

async fn domain<S: Services, A: Account>(context: &Context<S, A>, own: &OwnPool, owner: Option<&Owner>) -> Finding {
    let Some(domain) = &own.domain else {
        return Finding::new(Severity::Ok, "domain", "is not needed: tokens come from GetClientToken");
    };
    let progress = Progress::default();
    let pools = context.aws(&progress).services.pools;
    let subject = format!("domain {}", domain.prefix);
    let holder = match pools.describe_user_pool_domain(&domain.prefix).await {
        Ok(None) => return Finding::new(Severity::Ok, subject, "is free"),
        Ok(Some(holder)) => holder,
        Err(error) => return Finding::of_failure(subject, &error),
    };
    // Another account's pool cannot be described. It is enough to know that it is not ours.
    let pool = pools.describe_user_pool(&holder.pool).await.ok().flatten();
    let holding_owner = pool.and_then(|pool| Owner::of(&pool.state.tags));
    taken_domain(subject, &holder, holding_owner.as_ref(), owner)
}

/// Checks the declared custom domain: its status, and whether DNS knows its name. A name that cannot work yet is not
/// looked up: the resolver would remember that there is none.
pub(super) async fn custom_domain<S: Services, A: Account>(
    context: &Context<S, A>,
    report: &PlanReport,
) -> Option<Finding> {
    let custom = report.desired.own_pool()?.custom_domain.as_ref()?;
    let progress = Progress::default();
    let subject = format!("custom domain {}", custom.name);
    let found = match context.aws(&progress).services.pools.describe_user_pool_domain(&custom.name).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let finding = Finding::new(Severity::Error, subject, "does not exist");
            return Some(finding.advice("Change any property of the resource, such as a tag, and deploy."));
        }
        Err(error) => return Some(Finding::of_failure(subject, &error)),
    };
    let DomainDescription { status, target, .. } = found;
    let target = target.unwrap_or_else(|| "the CloudFront name in the attribute CustomDomainTarget".to_owned());
    Some(match status.as_str() {
        "ACTIVE" | "UPDATING" if context.account.resolves(&custom.name).await => {
            Finding::new(Severity::Ok, subject, format!("is {status}, and its name resolves"))
        }
        "ACTIVE" | "UPDATING" => Finding::new(
            Severity::Error,
            subject,
            format!("is {status}, but its name does not resolve"),
        )
        .advice(format!(
            "Add a DNS record: an alias of, or a CNAME for, {target}. A resolver may remember for up to 15 minutes that \
             there was none."
        )),
        "FAILED" => Finding::new(Severity::Error, subject, "is FAILED")
            .advice("Remove CustomDomain from the template and deploy. Then declare it again."),
        status => Finding::new(Severity::Info, subject, format!("is {status}"))
            .advice(format!("Wait: this takes up to an hour. Its DNS record must point to {target}.")),
    })
}

fn taken_domain(
    subject: String,
    holder: &DomainDescription,
    holding_owner: Option<&Owner>,
    owner: Option<&Owner>,
) -> Finding {
    let pool = &holder.pool;
    match holding_owner {
        Some(holding) if Some(holding) == owner => {
            Finding::new(Severity::Ok, subject, format!("belongs to this stack's user pool {pool}"))
        }
        Some(Owner { stack_id, logical_id }) => Finding::new(
            Severity::Warning,
            subject,
            format!("belongs to user pool {pool} of {stack_id}, resource {logical_id}"),
        )
        .advice("If that is your stack, check it with --stack. Another stack needs another DomainPrefix or EnvironmentName."),
        None => {
            let account = holder.account.as_ref().map(|account| format!(" of account {account}")).unwrap_or_default();
            Finding::new(
                Severity::Error,
                subject,
                format!("belongs to user pool {pool}{account}, which is not cognito-m2m's"),
            )
            .advice("A prefix is unique in a region over all accounts. Choose another DomainPrefix or EnvironmentName.")
        }
    }
}

pub(super) fn difference(report: &PlanReport) -> Finding {
    let PlanReport { owner, pool, missing_stack: _, resource_type: _, desired, plan } = report;
    let subject = match (&desired.pool, pool) {
        (DesiredPool::Shared(pool), _) => part::subject(desired, pool),
        (DesiredPool::Own(_), Some(pool)) => format!("user pool {pool}"),
        (DesiredPool::Own(own), None) => format!("user pool {}", own.state.name),
    };
    match (owner, plan.is_empty()) {
        (_, true) => Finding::new(Severity::Ok, subject, "is what the properties declare"),
        (Some(_), false) => {
            let steps: Vec<_> = plan.steps().map(ToString::to_string).collect();
            Finding::new(Severity::Warning, subject, format!("differs: {}", steps.join("; "))).advice(
                "If this is not a change that you are about to deploy, change any property, such as a tag, and deploy. \
                 Every Update restores the whole resource.",
            )
        }
        (None, false) => Finding::new(Severity::Ok, subject, "does not exist yet; nothing prevents its deploy"),
    }
}
