//! Use case 1: one CloudFormation event in, exactly one delivered response out.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use serde_json::Value;

use crate::{
    cfn::{Data, Deliver, DeliveryError, Envelope, Request, Response, ResponseUrl, deliver::deliver},
    clock::{Deadline, millis, now, wall_clock},
    model::{Client, Desired, Owner, PoolId, ProviderConfig, SecretName, is_aws_host},
    ports::{Services, report},
    properties,
    reconcile::{
        Aws, DeleteTarget, Error, Progress, Reconciled, Target, delete, deleted_while_creating, note_delete, reconcile,
    },
    redact,
};

/// What the provider works with. The first event creates it.
pub struct Provider<S> {
    pub services: S,
    pub config: ProviderConfig,
}

/// Why the invocation fails. Lambda then runs the event again.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    #[error("failed to deliver the response to CloudFormation")]
    DeliveryFailed(#[from] DeliveryError),
    #[error("the event is not a CloudFormation custom resource request: it has no ResponseURL")]
    NoResponseUrl,
}

impl HandlerError {
    /// Prints the error and its sources.
    #[must_use]
    pub fn report(&self) -> String {
        report(self, |_| "")
    }
}

/// Handles one event.
///
/// # Guarantees
/// - It answers an event with a trusted ResponseURL exactly once, before the deadline, even after an error, a
///   panic or a hang.
/// - It returns `Ok` once CloudFormation has the response, even if that says FAILED: an error would make
///   Lambda run the event again. (The rotation function does the opposite.)
/// - It sends the response only to a host of AWS, unless a custom endpoint is configured.
///
/// # Errors
/// Only if the response could not be delivered. Lambda then runs the event again, and that run goes on
/// from where this one stopped.
pub async fn handle<S: Services>(
    event: &Value,
    deadline: Deadline,
    provider: impl AsyncFn() -> Provider<S>,
    answer: &impl Deliver,
) -> Result<(), HandlerError> {
    let started_at = wall_clock();
    let started = now();
    let envelope = Envelope::of(event);
    let Envelope { request_type, request_id, stack_id, logical_resource_id, physical_resource_id, .. } = &envelope;
    tracing::info!(request_type, stack_id, logical_resource_id, request_id, physical_resource_id, "event received");
    let url = trusted_url(&envelope, &provider).await?;

    let progress = Progress::default();
    let work = async {
        let request = Request::parse(event, &envelope).map_err(|error| error.to_string())?;
        let provider = provider().await;
        let aws = Aws::new(&provider.services, deadline, &progress, request_id);
        perform(&aws, &provider.config, &envelope, request, sent_at(started_at, url.signed_at()))
            .await
            .map_err(|error| error.report())
    };
    let outcome = match tokio::time::timeout_at(deadline.for_work(), AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        // The panic hook has logged the place. The message is left out: it may quote anything.
        Ok(Err(_panic)) => {
            Err("Internal error: the provider panicked. The function's log shows where. Deploy again, and report this error"
                .to_owned())
        }
        Err(_elapsed) => Err(Error::OutOfTime { steps: progress.in_flight() }.report()),
    };

    let physical_resource_id = match (&progress.pool(), request_type.as_str()) {
        // An update or delete must echo the id it was given; a different id means replacement.
        (_, "Update" | "Delete") if !physical_resource_id.is_empty() => physical_resource_id.clone(),
        (Some(pool), _) => pool.to_string(),
        (None, _) if !physical_resource_id.is_empty() => physical_resource_id.clone(),
        (None, _) => id_without_pool(&envelope),
    };
    let outcome = outcome.map_err(|reason| redact::sanitize(&reason));
    let duration_ms = millis(started.elapsed());
    match &outcome {
        Ok(_) => tracing::info!(status = "SUCCESS", physical_resource_id, duration_ms, "answering"),
        Err(reason) => tracing::error!(status = "FAILED", physical_resource_id, duration_ms, reason, "answering"),
    }
    let response = Response {
        physical_resource_id,
        stack_id: stack_id.clone(),
        request_id: request_id.clone(),
        logical_resource_id: logical_resource_id.clone(),
        outcome,
    };
    match deliver(answer, url, &response.body(), deadline).await {
        Ok(()) => {
            tracing::info!(%url, "answered");
            Ok(())
        }
        Err(error) => {
            tracing::error!(%url, %error, "failed to deliver the response to CloudFormation");
            Err(error.into())
        }
    }
}

/// Returns the ResponseURL if the response may go there. Whoever can call the function chooses the URL, and must
/// not be able to make the function send requests to other places.
async fn trusted_url<'a, S>(
    envelope: &'a Envelope,
    provider: &impl AsyncFn() -> Provider<S>,
) -> Result<&'a ResponseUrl, HandlerError> {
    let url = match &envelope.response_url {
        Some(Ok(url)) => url,
        Some(Err(wrong)) => return Err(DeliveryError::BadUrl(wrong).into()),
        None => return Err(HandlerError::NoResponseUrl),
    };
    // CloudFormation's own URLs need no look at the settings, which are read later, inside the guarded work.
    if is_aws_host(url.host()) || provider().await.config.endpoints.is_custom() {
        return Ok(url);
    }
    Err(DeliveryError::BadUrl("ResponseURL must be on a host of AWS, because no custom endpoint is configured").into())
}

/// Returns when the event was sent: when its ResponseURL was signed, if that is credible, else when this
/// run began.
fn sent_at(started_at: Duration, signed_at: Option<Duration>) -> Duration {
    /// CloudFormation's presigned URLs are valid for this long.
    const VALID_FOR: Duration = Duration::from_hours(2);
    /// The signature's date has whole seconds.
    const SECOND: Duration = Duration::from_secs(1);
    let signed_at =
        signed_at.filter(|signed_at| started_at.checked_sub(*signed_at).is_some_and(|age| age <= VALID_FOR));
    signed_at.map_or(started_at, |signed_at| started_at.min(signed_at + SECOND))
}

/// Returns the id for a Create that failed before it had a pool. The Delete that follows finds by the
/// ownership tags what there is.
fn id_without_pool(envelope: &Envelope) -> String {
    let owner = owner(envelope);
    format!("{WITHOUT_POOL}{}-{}", owner.logical_id, owner.fingerprint().simple())
}

fn owner(envelope: &Envelope) -> Owner {
    Owner { stack_id: envelope.stack_id.clone(), logical_id: envelope.logical_resource_id.clone() }
}

const WITHOUT_POOL: &str = "cognito-m2m-failed-";

async fn perform<S: Services>(
    aws: &Aws<'_, S>,
    config: &ProviderConfig,
    envelope: &Envelope,
    request: Request,
    sent_at: Duration,
) -> Result<Data, Error> {
    let owner = owner(envelope);
    let parse = |properties: &Value| properties::parse(properties, owner.clone(), config);
    let physical_id = envelope.physical_resource_id.as_str();
    match request {
        Request::Create { properties } => {
            let desired = parse(&properties)?;
            let created =
                DeleteTarget { lift_protection: true, ..target(&owner, "", Some(&desired), &properties, sent_at) };
            let result = reconcile(aws, &desired, &Target::Create, &BTreeSet::new(), Some(&created)).await;
            // Check after the last write, so that either this Create or a concurrent Delete sees every
            // resource.
            if matches!(result, Err(Error::DeletedMeanwhile)) || deleted_while_creating(aws, &created).await {
                let pool = aws.progress.pool();
                delete(aws, &DeleteTarget { physical_id: pool.as_ref().map_or("", PoolId::as_str), ..created }).await?;
                return Err(Error::DeletedMeanwhile);
            }
            Ok(attributes(&desired, &result?))
        }
        Request::Update { properties, old_properties } => {
            let desired = parse(&properties)?;
            let Some(pool) = PoolId::parse(physical_id) else { return Err(Error::PoolLost(PoolId::from(physical_id))) };
            let former = parse(&old_properties).ok().map(|old| secret_names(&old)).unwrap_or_default();
            let reconciled = reconcile(aws, &desired, &Target::Update(pool), &former, None).await?;
            Ok(attributes(&desired, &reconciled))
        }
        Request::Delete { properties } => {
            let desired = parse(&properties).ok();
            let target = target(&owner, physical_id, desired.as_ref(), &properties, sent_at);
            // Neither a pool's id nor one of ours: CloudFormation invented it, because no Create has
            // answered. A Create may still run.
            if PoolId::parse(physical_id).is_none() && !physical_id.starts_with(WITHOUT_POOL) {
                note_delete(aws, &owner).await;
            }
            delete(aws, &target).await?;
            Ok(Data::default())
        }
    }
}

fn target<'a>(
    owner: &'a Owner,
    physical_id: &'a str,
    desired: Option<&'a Desired>,
    properties: &Value,
    sent_at: Duration,
) -> DeleteTarget<'a> {
    DeleteTarget {
        owner,
        physical_id,
        pool_name: desired.map(|desired| desired.pool.name.as_str()),
        secrets: desired.map(secret_names).unwrap_or_default(),
        recovery_window_in_days: properties::secret_recovery_window_in_days(properties),
        sent_at,
        lift_protection: false,
    }
}

fn secret_names(desired: &Desired) -> BTreeSet<SecretName> {
    desired.clients.iter().map(|client| client.secret_name.clone()).collect()
}

/// Returns the attributes for `Fn::GetAtt`.
fn attributes(desired: &Desired, reconciled: &Reconciled) -> Data {
    let Reconciled { pool, pool_arn, client_ids, secret_arns, verification } = reconciled;
    let Desired { endpoints, domain, clients, .. } = desired;
    let id = |client: &Client| client_ids.get(&client.name).map(ToString::to_string).unwrap_or_default();
    let arn = |client: &Client| secret_arns.get(&client.name).cloned().unwrap_or_default();
    let first = clients.first();
    let fixed = [
        ("UserPoolId", pool.to_string()),
        ("UserPoolArn", pool_arn.clone()),
        ("UserPoolName", desired.pool.name.clone()),
        ("Issuer", endpoints.issuer(pool)),
        ("JwksUri", endpoints.jwks_uri(pool)),
        ("DiscoveryUrl", endpoints.discovery_url(pool)),
        ("Domain", endpoints.host(domain)),
        ("TokenEndpoint", endpoints.token_endpoint(domain)),
        ("ClientId", first.map(id).unwrap_or_default()),
        ("ClientSecretArn", first.map(arn).unwrap_or_default()),
        ("ClientIds", clients.iter().map(id).collect::<Vec<_>>().join(",")),
        ("Scopes", desired.scopes().collect::<Vec<_>>().join(" ")),
        ("TokenVerification", verification.as_str().to_owned()),
    ];
    let of_clients: Vec<_> = clients
        .iter()
        .flat_map(|client| {
            [
                (format!("ClientId.{}", client.name), id(client)),
                (format!("ClientSecretArn.{}", client.name), arn(client)),
            ]
        })
        .collect();
    let names: Vec<_> = of_clients.iter().map(|(name, _)| name.clone()).collect();
    Data::new(fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(of_clients))
        .may_leave_out(names)
        // Only huge stacks get here. A response without these attributes is better than none.
        .may_leave_out(["Scopes".to_owned()])
        .may_leave_out(["ClientIds".to_owned()])
}
