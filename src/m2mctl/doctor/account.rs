//! The credentials, and whether they have the permissions for a deploy.

use super::{Finding, Severity};
use crate::ports::{Account, AwsError, Caller};

/// The actions of `sam deploy` with our template, in the order in which a deploy needs them.
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
    // CloudFormation calls the provider with the deployer's permissions.
    "lambda:InvokeFunction",
    "logs:CreateLogGroup",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "sqs:CreateQueue",
    "sqs:TagQueue",
];

pub(super) fn credentials(caller: &Caller, region: &str) -> Finding {
    let Caller { account, arn } = caller;
    let found = format!("{arn} in account {account}, region {region}");
    if arn.ends_with(":root") {
        Finding::new(Severity::Warning, "credentials", found)
            .advice("These are the account root's credentials. Use a role or a user that has only the permissions for a deploy.")
    } else {
        Finding::new(Severity::Ok, "credentials", found)
    }
}

pub(super) async fn permissions(account: &impl Account, caller: &Caller) -> Finding {
    const SUBJECT: &str = "permissions";
    let unknown = |why: String| {
        Finding::new(Severity::Info, SUBJECT, format!("cannot be told beforehand: {why}")).advice(
            "A deploy reports a missing permission, and CloudFormation rolls its changes back. For a check before the \
             deploy, allow iam:SimulatePrincipalPolicy and iam:GetRole.",
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
            "A deploy that needs these actions fails, unless a policy allows them on the resources in question. \
             Allow them, or deploy with another role.",
        ),
    }
}

/// Returns the user or role of a caller's ARN; `None` for the root and for federated users.
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
