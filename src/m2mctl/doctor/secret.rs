//! A client's secret in Secrets Manager: whether it is there, its age, its rotation, and its token.

use std::time::Duration;

use super::{Finding, Severity, client_secrets};
use crate::{
    clock::wall_clock,
    model::{Owner, SecretId, TokenService, desired::SecretMetadata},
    ports::{
        AWSCURRENT, AWSPENDING, ExpectedToken, SecretDescription, SecretVersion, SecretVersions as _, Services,
        TokenEndpoint as _, TokenError, Version,
    },
    reconcile::Aws,
};

/// The age at which a secret that does not rotate deserves a warning: auditors ask for a rotation
/// once a year or more often.
const OLD: Duration = Duration::from_hours(365 * 24);
/// Secrets Manager begins a scheduled rotation within a window of a day, and retries a failed one.
const ROTATION_MAY_LAG: Duration = Duration::from_hours(3 * 24);
const DAY: Duration = Duration::from_hours(24);

const REPAIR: &str =
    "Change any property of the resource, such as a tag, and deploy. Every Update restores the whole resource.";

/// Checks one secret. With `tokens`, it also asks for a token with the secret.
pub(super) async fn examine<S: Services>(
    aws: &Aws<'_, S>,
    owner: &Owner,
    name: &SecretId,
    tokens: bool,
) -> Vec<Finding> {
    let subject = format!("secret {name}");
    let described = match describe(aws, owner, name).await {
        Ok(described) => described,
        Err(finding) => return vec![finding],
    };
    let version = match aws.services.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await {
        Ok(Some(version)) => version,
        Ok(None) => return vec![Finding::new(Severity::Error, subject, "has no value").advice(REPAIR)],
        Err(error) => return vec![Finding::of_failure(subject, &error)],
    };
    let age = version.created.map(|created| wall_clock().saturating_sub(created));
    let mut findings = vec![secret_age(subject.clone(), age, &described)];
    findings.extend(unfinished_rotation(subject.clone(), &described));
    let SecretVersion { document: Some(document), .. } = version else {
        findings.push(Finding::new(Severity::Error, subject, "holds no client's credentials").advice(REPAIR));
        return findings;
    };
    findings.extend(client_secrets::unexplained(aws, name, &document).await);
    if tokens {
        let expected = ExpectedToken { client_id: document.client_id, metadata: document.metadata };
        let result = aws.services.tokens.verify(&expected, &document.client_secret).await;
        findings.push(token(&expected.metadata, result));
    }
    findings
}

/// Describes a secret that is live and ours; anything else is a finding.
async fn describe<S: Services>(aws: &Aws<'_, S>, owner: &Owner, name: &SecretId) -> Result<SecretDescription, Finding> {
    let subject = format!("secret {name}");
    let described = match aws.services.secrets.describe_secret(name).await {
        Ok(Some(described)) => described,
        Ok(None) => return Err(Finding::new(Severity::Error, subject, "does not exist").advice(REPAIR)),
        Err(error) => return Err(Finding::of_failure(subject, &error)),
    };
    if described.scheduled {
        return Err(Finding::new(Severity::Warning, subject, "is scheduled for deletion").advice(REPAIR));
    }
    if !owner.owns(&described.tags) {
        return Err(Finding::new(Severity::Error, subject, "does not have this resource's ownership tags")
            .advice("Restore its tags cognito-m2m:stack-id and cognito-m2m:logical-id."));
    }
    Ok(described)
}

fn token(metadata: &SecretMetadata, result: Result<(), TokenError>) -> Finding {
    let SecretMetadata { client_name, token_service, .. } = metadata;
    let subject = format!("token of {client_name}");
    let (wrong_secret, unreachable) = match token_service {
        TokenService::OAuth2 => {
            ("invalid_client", "DNS may know a new domain only after a minute. Otherwise check proxies and firewalls.")
        }
        TokenService::GetClientToken => (
            "Invalid client or secret",
            "Check proxies, firewalls, and the VPC endpoint for cognito-idp if there is one.",
        ),
    };
    match result {
        Ok(()) => Finding::new(Severity::Ok, subject, "is given; signature, issuer and scopes are right"),
        Err(TokenError::Refused(reason)) => Finding::new(Severity::Error, subject, reason).advice(format!(
            "If the reason is {wrong_secret}, the secret is not the client's: rotate it (RotateSecrets). Otherwise deploy again."
        )),
        Err(TokenError::Unreachable(reason)) => {
            Finding::new(Severity::Warning, subject, reason).advice(unreachable)
        }
    }
}

fn secret_age(subject: String, age: Option<Duration>, described: &SecretDescription) -> Finding {
    let Some(age) = age else { return Finding::new(Severity::Info, subject, "has an unknown age") };
    let found = match age.as_secs() / DAY.as_secs() {
        0 => "is less than a day old".to_owned(),
        1 => "is 1 day old".to_owned(),
        days => format!("is {days} days old"),
    };
    match &described.rotation {
        Some(rotation) if age > DAY * rotation.days + ROTATION_MAY_LAG => {
            Finding::new(Severity::Warning, subject, format!("{found}, and should rotate every {} days", rotation.days))
                .advice("Read the rotation function's log group. It says why the last rotation did not finish.")
        }
        Some(rotation) => {
            Finding::new(Severity::Ok, subject, format!("{found} and rotates every {} days", rotation.days))
        }
        None if age > OLD => Finding::new(Severity::Warning, subject, format!("{found} and does not rotate"))
            .advice("Set RotationDays, or give RotateSecrets a new value."),
        None => Finding::new(Severity::Ok, subject, found),
    }
}

/// Reports a version that is pending and not current: a rotation is running, or it was abandoned.
///
/// Secrets Manager retries only a rotation that is scheduled. Without a schedule, an Update of the stack
/// has made the version, and only another Update goes on from it.
fn unfinished_rotation(subject: String, described: &SecretDescription) -> Option<Finding> {
    let pending = described.versions.values().any(|labels| labels.contains(AWSPENDING) && !labels.contains(AWSCURRENT));
    let advice = match described.rotation {
        Some(_) => {
            "Check again in a few minutes. If it stays, read the rotation function's log group. Secrets Manager retries \
             the rotation by itself."
        }
        None => {
            "Check again in a few minutes. If it stays, give RotateSecrets a new value and deploy: no rotation is \
             scheduled, so nothing else finishes it."
        }
    };
    pending.then(|| Finding::new(Severity::Warning, subject, "has a rotation that has not finished").advice(advice))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
            replicas: BTreeMap::new(),
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
    fn secrets_manager_is_said_to_retry_only_a_rotation_that_is_scheduled() {
        let advice = |days| unfinished_rotation("secret".to_owned(), &described(days, &[AWSPENDING])).unwrap().advice;
        assert!(advice(Some(30)).contains("Secrets Manager retries"), "{}", advice(Some(30)));
        let unscheduled = advice(None);
        assert!(!unscheduled.contains("Secrets Manager") && !unscheduled.contains("function"), "{unscheduled}");
        assert!(unscheduled.contains("RotateSecrets"), "{unscheduled}");
    }
}
