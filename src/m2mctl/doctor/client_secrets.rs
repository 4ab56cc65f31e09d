//! The secrets of a client in Cognito that Secrets Manager does not explain.

use std::time::Duration;

use super::{Finding, Severity};
use crate::{
    clock::wall_clock,
    m2mctl::error::advice,
    model::SecretId,
    ports::{
        AWSCURRENT, AWSPENDING, AWSPREVIOUS, AwsError, ClientSecretDescription, ClientSecrets as _, FORMER,
        SecretDocument, SecretVersions as _, Services, UNFINISHED, Version, all_pages,
    },
    reconcile::Aws,
    redact::Secret,
};

/// The versions of a secret that may hold a client secret that still works in Cognito.
const KNOWN_STAGES: [&str; 5] = [AWSCURRENT, AWSPENDING, AWSPREVIOUS, FORMER, UNFINISHED];

/// Reports a client that has two secrets in Cognito although Secrets Manager knows only one of them.
///
/// Cognito accepts both secrets of a client. A second secret that no version holds was added by
/// somebody else: it is a back door that no rotation of ours closes.
///
/// Cognito shows the ids and dates of the secrets, and never the values. So only their number can be
/// compared with the number of different values in Secrets Manager. If AWSPREVIOUS still holds a value
/// that Cognito has already forgotten, an added secret takes its place unnoticed.
pub(super) async fn unexplained<S: Services>(
    aws: &Aws<'_, S>,
    name: &SecretId,
    current: &SecretDocument,
) -> Option<Finding> {
    let subject = format!("client {}", current.metadata.client_name);
    let (pool, client) = (&current.metadata.user_pool_id, &current.client_id);
    let list = async |next: Option<String>| {
        aws.services.pools.list_user_pool_client_secrets(pool, client, next.as_deref()).await
    };
    let in_cognito = match all_pages(list).await {
        Ok(secrets) => secrets,
        Err(error) => return Some(not_listed(subject, &error)),
    };
    if in_cognito.len() < 2 {
        return None;
    }
    let known = match known_values(aws, name, current).await {
        Ok(values) => values.len(),
        Err(error) => return Some(not_listed(subject, &error)),
    };
    (known < in_cognito.len()).then(|| {
        let secrets: Vec<_> = in_cognito.iter().map(describe).collect();
        Finding::new(
            Severity::Warning,
            subject,
            format!(
                "has {} secrets in Cognito ({}), but secret {name} holds only {known} of them",
                in_cognito.len(),
                secrets.join(", ")
            ),
        )
        .advice(format!(
            "Somebody may have added a secret of their own. CloudTrail shows who called AddUserPoolClientSecret. If \
             nobody needs it, run: aws cognito-idp delete-user-pool-client-secret --user-pool-id {pool} --client-id \
             {client} --client-secret-id ID"
        ))
    })
}

/// Returns the different client secrets of this client that the secret's versions hold.
async fn known_values<S: Services>(
    aws: &Aws<'_, S>,
    name: &SecretId,
    current: &SecretDocument,
) -> Result<Vec<Secret<String>>, AwsError> {
    let mut values = Vec::new();
    for stage in KNOWN_STAGES {
        let version = aws.services.secrets.get_secret_value(name, Version::Stage(stage)).await?;
        let Some(document) = version.and_then(|version| version.document) else { continue };
        if document.client_id == current.client_id && !values.contains(&document.client_secret) {
            values.push(document.client_secret);
        }
    }
    Ok(values)
}

/// A warning and not an error: everything may be well, and the credentials may not be allowed to look.
fn not_listed(subject: String, error: &AwsError) -> Finding {
    Finding::new(Severity::Warning, subject, format!("cannot be checked for unknown secrets: {error}"))
        .advice(advice(error))
}

fn describe(secret: &ClientSecretDescription) -> String {
    const DAY: Duration = Duration::from_hours(24);
    let days = wall_clock().saturating_sub(secret.created).as_secs() / DAY.as_secs();
    let age = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    format!("{}, {age} old", secret.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ErrorKind;

    #[test]
    fn credentials_that_may_not_list_client_secrets_do_not_make_the_doctor_fail() {
        let error = AwsError {
            operation: "ListUserPoolClientSecrets",
            subject: String::new(),
            kind: ErrorKind::Denied,
            code: "AccessDeniedException".to_owned(),
            message: "not authorized".to_owned(),
        };
        let finding = not_listed("client web".to_owned(), &error);
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.advice.contains("Allow ListUserPoolClientSecrets"), "{}", finding.advice);
    }
}
