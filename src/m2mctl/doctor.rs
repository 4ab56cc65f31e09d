//! What is well and what is not, before a deploy or with a stack that is there: a list of findings,
//! each with what to do about it. Reads only, and asks for tokens where it may.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;

use super::{
    plan::{self, Context, Declared, PlanReport, RESOURCE_TYPE, Source, Stack},
    template::{Template, parse},
};
use crate::{
    clock::wall_clock,
    model::{ClientName, Desired, Owner, ProviderConfig, SecretName, desired::Client},
    plan::Plan,
    ports::{
        AWSCURRENT, AWSPENDING, Account, AwsError, Caller, ErrorKind, ExpectedToken, SecretDescription, SecretVersion,
        SecretVersions, Services, TokenEndpoint, TokenError, UserPools, Version,
    },
    reconcile::{Aws, Progress, secrets_of},
};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Ok,
    Info,
    Warning,
    /// Something does not work, or a deploy would fail.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// What was looked at, such as `domain m2m-rubicon-dev`.
    pub subject: String,
    pub found: String,
    /// What to do; empty where nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Finding {
    fn new(severity: Severity, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { severity, subject: subject.into(), found: found.into(), advice: String::new() }
    }

    fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }
}

/// What the doctor is asked to look at.
pub struct DoctorOptions<'a> {
    pub stack: Option<&'a str>,
    pub declared: Option<&'a Declared>,
    /// Whether to ask for a token for each client, which Cognito bills.
    pub tokens: bool,
}

/// The actions of `sam deploy` with our template, in the order in which a deploy comes to need them.
const DEPLOY_ACTIONS: [&str; 24] = [
    "cloudformation:CreateChangeSet",
    "cloudformation:DescribeChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:DescribeStacks",
    "cloudformation:DescribeStackEvents",
    "cloudformation:GetTemplateSummary",
    "s3:CreateBucket",
    "s3:PutObject",
    "s3:GetObject",
    "iam:CreateRole",
    "iam:GetRole",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:PassRole",
    "lambda:CreateFunction",
    "lambda:AddPermission",
    "lambda:PutFunctionEventInvokeConfig",
    "lambda:TagResource",
    // CloudFormation calls the provider with the deployer's rights.
    "lambda:InvokeFunction",
    "logs:CreateLogGroup",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "sqs:CreateQueue",
    "sqs:TagQueue",
];

/// A secret that nobody has rotated for so long is worth a word.
const OLD: Duration = Duration::from_hours(365 * 24);
/// Secrets Manager begins a scheduled rotation within a window of a day, and tries again.
const ROTATION_MAY_LAG: Duration = Duration::from_hours(3 * 24);
const DAY: Duration = Duration::from_hours(24);

/// Looks at everything and reports all of it; a failed look is a finding too.
pub async fn examine<S: Services, A: Account>(context: &Context<S, A>, questions: &DoctorOptions<'_>) -> Vec<Finding> {
    let caller = match context.account.get_caller_identity().await {
        Ok(caller) => caller,
        // Nothing else can be asked.
        Err(error) => return vec![failed("credentials", &error)],
    };
    let mut findings = vec![credentials(&caller, &context.region)];
    if let Some(name) = questions.stack {
        examine_stack(context, questions, name, &mut findings).await;
    } else {
        findings.push(permissions(&context.account, &caller).await);
        examine_declared(context, questions.declared, &mut findings).await;
    }
    findings
}

fn credentials(caller: &Caller, region: &str) -> Finding {
    let Caller { account, arn } = caller;
    let found = format!("{arn} in account {account}, region {region}");
    if arn.ends_with(":root") {
        Finding::new(Severity::Warning, "credentials", found)
            .advice("These are the account root's. Use a role or a user with the permissions of a deploy alone.")
    } else {
        Finding::new(Severity::Ok, "credentials", found)
    }
}

async fn permissions(account: &impl Account, caller: &Caller) -> Finding {
    const SUBJECT: &str = "permissions";
    let unknown = |why: String| {
        Finding::new(Severity::Info, SUBJECT, format!("cannot be told beforehand: {why}")).advice(
            "A deploy reports what it lacks and changes nothing that it cannot take back. To have it told \
             beforehand, allow iam:SimulatePrincipalPolicy and iam:GetRole.",
        )
    };
    let principal = match principal(account, &caller.arn).await {
        Ok(Some(principal)) => principal,
        Ok(None) => return unknown(format!("{} is neither a user nor a role", caller.arn)),
        Err(error) => return unknown(error.to_string()),
    };
    match account.simulate_principal_policy(&principal, &DEPLOY_ACTIONS).await {
        Err(error) => unknown(error.to_string()),
        Ok(denied) if denied.is_empty() => Finding::new(
            Severity::Ok,
            SUBJECT,
            format!("{principal} is allowed the {} actions that `sam deploy` needs", DEPLOY_ACTIONS.len()),
        ),
        Ok(denied) => Finding::new(
            Severity::Warning,
            SUBJECT,
            format!("{principal} is not allowed on every resource: {}", denied.join(", ")),
        )
        .advice(
            "A deploy fails where these are needed, unless a policy allows them on the resources that it names. \
             Allow them, or deploy with another role.",
        ),
    }
}

/// The user or role behind a caller's ARN; `None` for the root and for federated users.
async fn principal(account: &impl Account, arn: &str) -> Result<Option<String>, AwsError> {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match resource.split_once('/') {
        Some(("user", _)) => Ok(Some(arn.to_owned())),
        Some(("assumed-role", session)) => {
            let role = session.split('/').next().unwrap_or_default();
            account.get_role(role).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The domain and the rest of what is declared, or of the defaults, before there is a stack.
async fn examine_declared<S: Services, A: Account>(
    context: &Context<S, A>,
    declared: Option<&Declared>,
    findings: &mut Vec<Finding>,
) {
    if let Some(declared) = declared {
        match plan::compute(context, declared, None).await {
            Ok(report) => {
                findings.push(domain(context, &report.desired, report.owner.as_ref()).await);
                findings.push(difference(&report));
            }
            Err(error) => findings.push(not_planned("properties", &error)),
        }
        return;
    }
    let nobody = Owner { stack_id: String::new(), logical_id: String::new() };
    let config = ProviderConfig { endpoints: context.endpoints.clone(), rotation_function: None };
    // The defaults always parse.
    if let Ok(defaults) = crate::properties::parse(&serde_json::json!({}), nobody, &config) {
        findings.push(domain(context, &defaults, None).await);
    }
}

async fn domain<S: Services, A: Account>(context: &Context<S, A>, desired: &Desired, owner: Option<&Owner>) -> Finding {
    let progress = Progress::default();
    let aws = context.aws(&progress);
    let subject = format!("domain {}", desired.domain.prefix);
    let holder = match aws.services.pools.describe_user_pool_domain(&desired.domain.prefix).await {
        Ok(None) => return Finding::new(Severity::Ok, subject, "is free"),
        Ok(Some(holder)) => holder,
        Err(error) => return failed(&subject, &error),
    };
    // Another account's pool cannot be described; that it is not ours is all that matters.
    let pool = aws.services.pools.describe_user_pool(&holder.pool).await.ok().flatten();
    let holds = pool.and_then(|pool| Owner::of(&pool.state.tags));
    match (holds, owner) {
        (Some(holds), Some(owner)) if holds == *owner => {
            Finding::new(Severity::Ok, subject, format!("belongs to this stack's user pool {}", holder.pool))
        }
        (Some(holds), _) => Finding::new(
            Severity::Warning,
            subject,
            format!("belongs to user pool {} of {}, resource {}", holder.pool, holds.stack_id, holds.logical_id),
        )
        .advice("If that is your stack, look at it with --stack. Another stack needs another DomainPrefix or EnvironmentName."),
        (None, _) => {
            let account = holder.account.map(|account| format!(" of account {account}")).unwrap_or_default();
            Finding::new(
                Severity::Error,
                subject,
                format!("belongs to user pool {}{account}, which is not cognito-m2m's", holder.pool),
            )
            .advice("Prefixes are unique in a region over all accounts: choose another DomainPrefix or EnvironmentName.")
        }
    }
}

async fn examine_stack<S: Services, A: Account>(
    context: &Context<S, A>,
    questions: &DoctorOptions<'_>,
    name: &str,
    findings: &mut Vec<Finding>,
) {
    let subject = format!("stack {name}");
    let stack = match Stack::find(&context.account, name).await {
        Ok(Some(stack)) => stack,
        Ok(None) => {
            findings.push(
                Finding::new(Severity::Error, subject, format!("does not exist in {}", context.region)).advice(
                    "Correct the name or the region. To look at what a new stack will meet, leave --stack out.",
                ),
            );
            return;
        }
        Err(error) => {
            findings.push(failed(&subject, &error));
            return;
        }
    };
    findings.push(stack_status(subject.clone(), &stack.description.status, &stack.description.status_reason));

    let named = questions.declared.and_then(|declared| declared.logical_id.clone());
    let logical_ids: Vec<String> = match named {
        Some(named) => vec![named],
        None => stack.ours().map(ToOwned::to_owned).collect(),
    };
    if logical_ids.is_empty() {
        findings.push(
            Finding::new(Severity::Info, subject, format!("has no {RESOURCE_TYPE}: there is no user pool to look at"))
                .advice("Name the stack that has one."),
        );
    }
    for logical_id in logical_ids {
        examine_resource(context, questions, &stack, &logical_id, findings).await;
    }
}

async fn examine_resource<S: Services, A: Account>(
    context: &Context<S, A>,
    questions: &DoctorOptions<'_>,
    stack: &Stack,
    logical_id: &str,
    findings: &mut Vec<Finding>,
) {
    let subject = format!("resource {logical_id}");
    let deployed;
    let declared = match questions.declared {
        Some(declared) => declared,
        None => match deployed_template(&context.account, stack, logical_id).await {
            Ok(declared) => {
                deployed = declared;
                &deployed
            }
            Err(error) => {
                findings.push(not_planned(&subject, &error));
                return;
            }
        },
    };
    let owner = stack.owner(logical_id);
    let mut clients: BTreeSet<SecretName> = BTreeSet::new();
    match plan::compute(context, declared, Some(&stack.description.name)).await {
        Ok(report) => {
            // What is declared by hand may still have to be deployed: the difference says so.
            let deployed = report.desired.clients.iter().filter(|_| questions.declared.is_none());
            clients.extend(deployed.map(|Client { secret_name, .. }| secret_name.clone()));
            findings.push(difference(&report));
        }
        Err(error) => findings.push(not_planned(&subject, &error)),
    }

    let progress = Progress::default();
    let aws = context.aws(&progress);
    // The listing lags behind by minutes, and the declared names may not have been deployed.
    match secrets_of(&aws, &owner).await {
        Ok(listed) => clients.extend(listed),
        Err(error) => findings.push(failed("secrets", &error)),
    }
    for name in clients {
        examine_secret(&aws, &owner, &name, questions.tokens, findings).await;
    }
}

async fn deployed_template(account: &impl Account, stack: &Stack, logical_id: &str) -> Result<Declared, plan::Error> {
    let text = account.get_template(&stack.description.name).await?;
    Ok(Declared {
        source: Source::Template(Template::new(parse(&text)?)),
        logical_id: Some(logical_id.to_owned()),
        // The stack has them all.
        parameters: BTreeMap::new(),
    })
}

async fn examine_secret<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    name: &SecretName,
    tokens: bool,
    findings: &mut Vec<Finding>,
) {
    let subject = format!("secret {name}");
    let described = match aws.services.secrets.describe_secret(name).await {
        Ok(Some(described)) if !described.scheduled => described,
        Ok(Some(_)) => {
            findings.push(Finding::new(Severity::Warning, subject, "is scheduled for deletion").advice(REPAIR));
            return;
        }
        Ok(None) => {
            findings.push(Finding::new(Severity::Error, subject, "does not exist").advice(REPAIR));
            return;
        }
        Err(error) => {
            findings.push(failed(&subject, &error));
            return;
        }
    };
    if !owner.owns(&described.tags) {
        findings.push(
            Finding::new(Severity::Error, subject, "does not carry this resource's ownership tags")
                .advice("Restore its tags cognito-m2m:stack-id and cognito-m2m:logical-id."),
        );
        return;
    }
    let version = match aws.services.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await {
        Ok(Some(version)) => version,
        Ok(None) => {
            findings.push(Finding::new(Severity::Error, subject, "has no value").advice(REPAIR));
            return;
        }
        Err(error) => {
            findings.push(failed(&subject, &error));
            return;
        }
    };
    let age = version.created.map(|created| wall_clock().saturating_sub(created));
    findings.push(secret_age(subject.clone(), age, &described));
    findings.extend(unfinished_rotation(subject.clone(), &described));
    let SecretVersion { document: Some(document), .. } = version else {
        findings.push(Finding::new(Severity::Error, subject, "holds no client's credentials").advice(REPAIR));
        return;
    };
    if tokens {
        let client = document.metadata.client_name.clone();
        let expected = ExpectedToken { client_id: document.client_id, metadata: document.metadata };
        findings.push(token(&client, aws.services.tokens.verify(&expected, &document.client_secret).await));
    }
}

const REPAIR: &str = "Change any property of the resource, such as a tag, and deploy: every Update restores the whole.";

fn token(client: &ClientName, result: Result<(), TokenError>) -> Finding {
    let subject = format!("token of {client}");
    match result {
        Ok(()) => Finding::new(Severity::Ok, subject, "is given; signature, issuer and scopes are right"),
        Err(TokenError::Refused(reason)) => Finding::new(Severity::Error, subject, reason).advice(
            "If it says invalid_client, the secret is not the client's: rotate it (RotateSecrets). Otherwise deploy again.",
        ),
        Err(TokenError::Unreachable(reason)) => Finding::new(Severity::Warning, subject, reason)
            .advice("A new domain takes up to a minute to appear in DNS. Otherwise look at proxies and firewalls."),
    }
}

fn secret_age(subject: String, age: Option<Duration>, described: &SecretDescription) -> Finding {
    let Some(age) = age else { return Finding::new(Severity::Info, subject, "does not say how old it is") };
    let days = age.as_secs() / DAY.as_secs();
    let found = match days {
        0 => "is less than a day old".to_owned(),
        1 => "is 1 day old".to_owned(),
        days => format!("is {days} days old"),
    };
    match &described.rotation {
        Some(rotation) if age > DAY * rotation.days + ROTATION_MAY_LAG => {
            Finding::new(Severity::Warning, subject, format!("{found}, and should rotate every {} days", rotation.days))
                .advice("Read the rotation function's log group: it says why the last rotation did not end.")
        }
        Some(rotation) => {
            Finding::new(Severity::Ok, subject, format!("{found} and rotates every {} days", rotation.days))
        }
        None if age > OLD => Finding::new(Severity::Warning, subject, format!("{found} and does not rotate"))
            .advice("Set RotationDays, or give RotateSecrets a new value."),
        None => Finding::new(Severity::Ok, subject, found),
    }
}

/// A version that is pending and not current: a rotation is at work, or was given up.
fn unfinished_rotation(subject: String, described: &SecretDescription) -> Option<Finding> {
    let pending = described.versions.values().any(|labels| labels.contains(AWSPENDING) && !labels.contains(AWSCURRENT));
    pending.then(|| {
        Finding::new(Severity::Warning, subject, "has a rotation that has begun and has not ended")
            .advice("Look again in a few minutes. If it stays, read the rotation function's log group; Secrets Manager tries again by itself.")
    })
}

fn stack_status(subject: String, status: &str, reason: &str) -> Finding {
    let found = if reason.is_empty() { status.to_owned() } else { format!("{status}: {reason}") };
    let (severity, advice) = match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => (Severity::Ok, ""),
        "ROLLBACK_COMPLETE" => {
            (Severity::Error, "Its first deploy failed. Delete the stack; it cannot be deployed again before that.")
        }
        "UPDATE_ROLLBACK_COMPLETE" => {
            (Severity::Warning, "Its last deploy failed and was taken back. The stack's events say why.")
        }
        "UPDATE_ROLLBACK_FAILED" => (
            Severity::Error,
            "Correct the cause in the stack's events, then `aws cloudformation continue-update-rollback`.",
        ),
        status if status.ends_with("_FAILED") => (Severity::Error, "The stack's events say why."),
        status if status.ends_with("_IN_PROGRESS") => {
            (Severity::Info, "A deploy is running: what follows may change under your eyes.")
        }
        _ => (Severity::Info, ""),
    };
    Finding::new(severity, subject, found).advice(advice)
}

fn difference(report: &PlanReport) -> Finding {
    let PlanReport { owner, pool, missing_stack: _, desired, plan } = report;
    let subject = match pool {
        Some(pool) => format!("user pool {pool}"),
        None => format!("user pool {}", desired.pool.name),
    };
    let steps = |plan: &Plan| plan.steps().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match (owner, plan.is_empty()) {
        (_, true) => Finding::new(Severity::Ok, subject, "is what the properties declare"),
        (Some(_), false) => Finding::new(Severity::Warning, subject, format!("differs: {}", steps(plan))).advice(
            "If the difference is not a change that is still to be deployed: change any property, such as a tag, and \
             deploy. Every Update restores the whole.",
        ),
        (None, false) => {
            Finding::new(Severity::Ok, subject, "does not exist yet; nothing stands in the way of its deploy")
        }
    }
}

fn not_planned(subject: &str, error: &plan::Error) -> Finding {
    match error {
        plan::Error::Aws(error) => failed(subject, error),
        plan::Error::Reconcile(error) => Finding::new(Severity::Error, subject, error.report()),
        plan::Error::Template(error) => Finding::new(Severity::Info, subject, format!("cannot be compared: {error}"))
            .advice("Give the properties with --properties."),
        other => Finding::new(Severity::Error, subject, other.to_string()),
    }
}

fn failed(subject: &str, error: &AwsError) -> Finding {
    Finding::new(Severity::Error, subject, error.to_string()).advice(advice(error))
}

/// What the person at the terminal can do about a failed call.
#[must_use]
pub fn advice(error: &AwsError) -> String {
    let credentials = error.code.to_ascii_lowercase();
    match error.kind {
        ErrorKind::Denied if credentials.contains("expired") => {
            "The credentials have expired: sign in again (aws sso login, aws login), or renew them.".to_owned()
        }
        ErrorKind::Denied if error.code == "NotSent" => {
            "No credentials were found, or they cannot be used: sign in (aws sso login, aws login), or set AWS_PROFILE."
                .to_owned()
        }
        ErrorKind::Denied
            if ["unrecognizedclient", "invalidclienttoken", "signature", "token"]
                .iter()
                .any(|word| credentials.contains(word)) =>
        {
            "AWS does not know these credentials: the access key is wrong or gone, or the session token belongs to \
             another. Unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN where they are left over, \
             and sign in again."
                .to_owned()
        }
        ErrorKind::Denied => format!("Allow {} for these credentials, or use others.", error.operation),
        ErrorKind::Lost => {
            "AWS did not answer: look at the network, the proxy and the region, and try again.".to_owned()
        }
        ErrorKind::Throttled | ErrorKind::Busy | ErrorKind::Changed => "Try again in a moment.".to_owned(),
        ErrorKind::Quota | ErrorKind::Refused => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rotation;

    fn described(rotation_days: Option<u32>, labels: &[&str]) -> SecretDescription {
        SecretDescription {
            arn: String::new(),
            description: String::new(),
            tags: BTreeMap::new(),
            kms_key_id: None,
            scheduled: false,
            rotation: rotation_days.map(|days| Rotation { function_arn: String::new(), days }),
            versions: BTreeMap::from([("v".to_owned(), labels.iter().map(|label| (*label).to_owned()).collect())]),
        }
    }

    fn severity_of_age(days: u32, rotation_days: Option<u32>) -> Severity {
        secret_age("secret".to_owned(), Some(DAY * days), &described(rotation_days, &[AWSCURRENT])).severity
    }

    #[test]
    fn an_old_secret_and_an_overdue_rotation_are_warnings() {
        assert_eq!(severity_of_age(365, None), Severity::Ok);
        assert_eq!(severity_of_age(366, None), Severity::Warning);
        assert_eq!(severity_of_age(366, Some(500)), Severity::Ok);
        assert_eq!(severity_of_age(33, Some(30)), Severity::Ok);
        assert_eq!(severity_of_age(34, Some(30)), Severity::Warning);
    }

    #[test]
    fn a_pending_version_is_a_warning_until_it_is_current() {
        let finding = |labels| unfinished_rotation("secret".to_owned(), &described(None, labels));
        assert_eq!(finding(&[AWSCURRENT]), None);
        assert_eq!(finding(&[AWSCURRENT, AWSPENDING]), None);
        assert_eq!(finding(&[AWSPENDING]).map(|found| found.severity), Some(Severity::Warning));
    }

    #[test]
    fn a_stack_that_cannot_be_deployed_again_is_an_error() {
        for (status, severity) in [
            ("CREATE_COMPLETE", Severity::Ok),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Severity::Info),
            ("UPDATE_ROLLBACK_COMPLETE", Severity::Warning),
            ("ROLLBACK_COMPLETE", Severity::Error),
            ("DELETE_FAILED", Severity::Error),
            ("UPDATE_ROLLBACK_FAILED", Severity::Error),
        ] {
            assert_eq!(stack_status("stack".to_owned(), status, "").severity, severity, "{status}");
        }
    }

    #[test]
    fn advice_for_credentials_goes_by_what_is_wrong_with_them() {
        let advice = |code: &str| {
            advice(&AwsError {
                operation: "GetCallerIdentity",
                subject: String::new(),
                kind: ErrorKind::Denied,
                code: code.to_owned(),
                message: String::new(),
            })
        };
        assert!(advice("ExpiredToken").contains("expired"));
        assert!(advice("NotSent").contains("No credentials"));
        for unknown in ["InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"] {
            assert!(advice(unknown).contains("does not know"), "{unknown}");
        }
        assert!(advice("AccessDenied").contains("Allow GetCallerIdentity"));
    }
}
