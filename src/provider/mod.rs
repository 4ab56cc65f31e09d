//! Use case 1: one CloudFormation event in, exactly one delivered response out.

mod attributes;

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use serde_json::Value;

use self::attributes::attributes;
use crate::{
    cfn::{
        Data, Deliver, DeliveryError, Envelope, Event, Request, RequestError, Response, ResponseUrl, deliver::deliver,
    },
    clock::{Deadline, millis, now, wall_clock},
    model::{
        Desired, Digest, EventStamp, OwnPool, Owner, PoolId, ProviderConfig, ResourceId, ResourceType, is_aws_host,
    },
    ports::{Services, report},
    properties,
    reconcile::{
        Aws, DeletePlace, DeleteScope, DeleteTarget, Deployment, Error, Outcome, PoolNames, Progress, Target, delete,
        deleted_while_creating, note_delete, note_deleted, reconcile, was_deleted_before,
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
    event: impl Into<Event>,
    deadline: Deadline,
    provider: impl AsyncFn() -> Provider<S>,
    answer: &impl Deliver,
) -> Result<(), HandlerError> {
    let started_at = wall_clock();
    let started = now();
    let event = event.into();
    let envelope = Envelope::of(&event);
    let Envelope { request_type, request_id, stack_id, logical_resource_id, physical_resource_id, .. } = &envelope;
    tracing::info!(request_type, stack_id, logical_resource_id, request_id, physical_resource_id, "event received");
    let url = trusted_url(&envelope, &provider).await?;

    let progress = Progress::default();
    let work = async {
        let request = Request::parse(&event, &envelope)?;
        let provider = provider().await;
        let aws = Aws::new(&provider.services, deadline, &progress, request_id);
        let stamp = stamp(request_digest(&envelope), started_at, url.signed_at());
        Ok::<_, Failure>(perform(&aws, &provider.config, &envelope, request, &stamp).await?)
    };
    let outcome = match tokio::time::timeout_at(deadline.for_work(), AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        // The panic hook has logged the place. The message is left out: it may quote anything.
        Ok(Err(_panic)) => {
            let reason = "Internal error: the provider panicked. The function's log shows where. Deploy again, and \
                          report this error";
            Err(Failure { reason: reason.to_owned(), has_done_nothing: false })
        }
        Err(_elapsed) => Err(Error::OutOfTime { steps: progress.in_flight() }.into()),
    };

    let physical_resource_id = match &outcome {
        // An update or delete must echo the id it was given; a different id means replacement.
        _ if request_type != "Create" && !physical_resource_id.is_empty() => physical_resource_id.clone(),
        Ok(Success { id: Some(id), .. }) => id.to_string(),
        Err(Failure { has_done_nothing: true, .. }) => {
            FailedId::of(&envelope, Made::Nothing).print(logical_resource_id)
        }
        _ => FailedId::of(&envelope, Made::Perhaps(progress.pool())).print(logical_resource_id),
    };
    let outcome = outcome.map(|success| success.data).map_err(|failure| redact::sanitize(&failure.reason));
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

/// Tells when an event was sent: when its ResponseURL was signed, by CloudFormation's clock. Without a credible
/// date it is when this run began.
fn stamp(request: Digest, started_at: Duration, signed_at: Option<Duration>) -> EventStamp {
    /// AWS refuses a signature that is further in the future.
    const MAX_CLOCK_SKEW: Duration = Duration::from_mins(15);
    let dated = signed_at.filter(|signed_at| *signed_at <= started_at + MAX_CLOCK_SKEW);
    EventStamp { request, at: dated.unwrap_or(started_at), is_dated: dated.is_some() }
}

/// The id of a Create that failed. The Delete that follows finds by the ownership tags what there is, and
/// removes it only if this Create made it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FailedId {
    request: Digest,
    made: Made,
}

/// What a Create that failed has made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Made {
    /// Its properties were refused, and every delivery of it refuses them.
    Nothing,
    /// Something, perhaps this pool, which may not be listed yet.
    Perhaps(Option<PoolId>),
}

const FAILED_ID: &str = "cognito-m2m-failed-";
const NOTHING: &str = "nothing";

impl FailedId {
    fn of(envelope: &Envelope, made: Made) -> Self {
        Self { request: request_digest(envelope), made }
    }

    fn print(&self, logical_id: &str) -> String {
        let Self { request, made } = self;
        let made = match made {
            Made::Nothing => format!("-{NOTHING}"),
            Made::Perhaps(Some(pool)) => format!("-{pool}"),
            Made::Perhaps(None) => String::new(),
        };
        format!("{FAILED_ID}{logical_id}-{request}{made}")
    }

    /// Returns `None` for another id, and for one that an older version printed.
    fn parse(physical_id: &str, logical_id: &str) -> Option<Self> {
        let rest = physical_id.strip_prefix(FAILED_ID)?.strip_prefix(logical_id)?.strip_prefix('-')?;
        let (request, made) = match rest.split_once('-') {
            Some((request, NOTHING)) => (request, Made::Nothing),
            Some((request, pool)) => (request, Made::Perhaps(Some(PoolId::parse(pool)?))),
            None => (rest, Made::Perhaps(None)),
        };
        Some(Self { request: Digest::parse(request)?, made })
    }
}

fn owner(envelope: &Envelope) -> Owner {
    Owner { stack_id: envelope.stack_id.clone(), logical_id: envelope.logical_resource_id.clone() }
}

fn request_digest(envelope: &Envelope) -> Digest {
    Digest::of_request(&owner(envelope), &envelope.request_id)
}

/// What CloudFormation learns of an event that succeeded.
#[derive(Default)]
struct Success {
    /// `None` after a Delete.
    id: Option<ResourceId>,
    data: Data,
}

/// Why an event fails, as CloudFormation is told.
struct Failure {
    reason: String,
    /// Whether no delivery of the event can have called AWS.
    has_done_nothing: bool,
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self { reason: error.to_string(), has_done_nothing: true }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { reason: error.report(), has_done_nothing: matches!(error, Error::Violations(_)) }
    }
}

impl Success {
    fn of(desired: &Desired, outcome: &Outcome) -> Self {
        let (Outcome::Done(reconciled) | Outcome::Late { reconciled, .. }) = outcome;
        Self { id: reconciled.id(desired), data: attributes(desired, outcome) }
    }
}

async fn perform<S: Services>(
    aws: &Aws<'_, S>,
    config: &ProviderConfig,
    envelope: &Envelope,
    request: Request,
    stamp: &EventStamp,
) -> Result<Success, Error> {
    let owner = owner(envelope);
    let Some(resource_type) = ResourceType::parse(&envelope.resource_type) else {
        return match request {
            // It was never created.
            Request::Delete { .. } => Ok(Success::default()),
            Request::Create { .. } | Request::Update { .. } => {
                Err(Error::UnknownType { name: envelope.resource_type.chars().take(64).collect() })
            }
        };
    };
    let parse = |properties: &Value| properties::parse(resource_type, properties, owner.clone(), config);
    match request {
        Request::Create { properties } => {
            let desired = parse(&properties)?;
            let deployment = Deployment { desired: &desired, target: &Target::Create, stamp, former: None };
            let result = reconcile(aws, &deployment).await;
            if let Ok(outcome @ Outcome::Late { .. }) = &result {
                return Ok(Success::of(&desired, outcome));
            }
            // Check after the last write, so that either this Create or a concurrent Delete sees every
            // resource.
            if matches!(result, Err(Error::DeletedMeanwhile)) || deleted_while_creating(aws, &owner, stamp.at).await {
                let scope = DeleteScope::FailedCreate { request: stamp.request.clone(), pool: aws.progress.pool() };
                let target = target(resource_type, &owner, scope, Some(&desired), &properties);
                delete(aws, &DeleteTarget { lift_protection: true, ..target }).await?;
                return Err(Error::DeletedMeanwhile);
            }
            Ok(Success::of(&desired, &result?))
        }
        Request::Update { properties, old_properties } => {
            let desired = parse(&properties)?;
            let physical_id = envelope.physical_resource_id.as_str();
            let id = ResourceId::parse(resource_type, physical_id);
            let target = Target::Update(id.ok_or_else(|| Error::UnknownId(physical_id.to_owned()))?);
            let former = parse(&old_properties).ok();
            let deployment = Deployment { desired: &desired, target: &target, stamp, former: former.as_ref() };
            Ok(Success::of(&desired, &reconcile(aws, &deployment).await?))
        }
        Request::Delete { properties } => {
            let Some(scope) = delete_scope(resource_type, envelope, stamp.at) else { return Ok(Success::default()) };
            let is_server = resource_type == ResourceType::CognitoM2MResourceServer;
            if is_server && was_deleted_before(aws, &owner, &stamp.request).await {
                tracing::warn!("this Delete was carried out before; nothing to do");
                return Ok(Success::default());
            }
            // A Create may still run, or may be delivered once more.
            if matches!(scope, DeleteScope::SentAt(_) | DeleteScope::FailedCreate { .. }) {
                note_delete(aws, &owner, stamp.at).await;
            }
            let desired = parse(&properties).ok();
            let target = target(resource_type, &owner, scope, desired.as_ref(), &properties);
            delete(aws, &DeleteTarget { sent_at: stamp.is_dated.then_some(stamp.at), ..target }).await?;
            if is_server {
                note_deleted(aws, &owner, &stamp.request).await;
            }
            Ok(Success::default())
        }
    }
}

/// Decides by the PhysicalResourceId what a Delete means. Returns `None` if there is nothing to delete.
fn delete_scope(resource_type: ResourceType, envelope: &Envelope, sent_at: Duration) -> Option<DeleteScope> {
    let Envelope { physical_resource_id: id, logical_resource_id, .. } = envelope;
    match FailedId::parse(id, logical_resource_id) {
        Some(FailedId { made: Made::Nothing, .. }) => return None,
        Some(FailedId { request, made: Made::Perhaps(pool) }) => {
            return Some(DeleteScope::FailedCreate { request, pool });
        }
        None => {}
    }
    Some(match ResourceId::parse(resource_type, id) {
        Some(id) => DeleteScope::Resource(id),
        None => DeleteScope::SentAt(sent_at),
    })
}

fn target<'a>(
    resource_type: ResourceType,
    owner: &'a Owner,
    scope: DeleteScope,
    desired: Option<&'a Desired>,
    properties: &Value,
) -> DeleteTarget<'a> {
    let names = |own: &'a OwnPool| PoolNames {
        pool: &own.state.name,
        prefix: own.domain.as_ref().map(|domain| &*domain.prefix),
    };
    let pool = properties::user_pool_id(properties);
    DeleteTarget {
        owner,
        scope,
        place: match resource_type {
            ResourceType::CognitoM2M => DeletePlace::OwnPool(desired.and_then(Desired::own_pool).map(names)),
            ResourceType::CognitoM2MClient => DeletePlace::ClientIn(pool),
            ResourceType::CognitoM2MResourceServer => DeletePlace::ResourceServerIn(pool),
        },
        secrets: desired.map(Desired::secret_names).unwrap_or_default(),
        recovery_window_in_days: properties::secret_recovery_window_in_days(properties),
        sent_at: None,
        lift_protection: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_failed_create_is_read_again_and_no_other_is() {
        let request = Digest::of_request(&Owner { stack_id: "arn:stack".into(), logical_id: "m2m".into() }, "r");
        let pool = Made::Perhaps(Some(PoolId::from("us-east-1_AbC123")));
        for made in [Made::Nothing, Made::Perhaps(None), pool] {
            let id = FailedId { request: request.clone(), made };
            let printed = id.print("m2m");
            assert_eq!(FailedId::parse(&printed, "m2m"), Some(id), "{printed}");
            assert_eq!(FailedId::parse(&printed, "other"), None, "{printed}");
        }
        for other in ["", "us-east-1_AbC123", "cognito-m2m-failed-m2m-0", "stack-m2m-1A2B3C4D5E6F"] {
            assert_eq!(FailedId::parse(other, "m2m"), None, "{other}");
        }
    }

    #[test]
    fn an_event_is_dated_by_its_url_unless_the_date_lies_in_the_future() {
        let now = Duration::from_secs(1_000_000);
        let hour = Duration::from_hours(1);
        let of = |signed_at| {
            let owner = Owner { stack_id: "arn:stack".into(), logical_id: "M2M".into() };
            let EventStamp { request: _, at, is_dated } = stamp(Digest::of_request(&owner, "r"), now, signed_at);
            (at, is_dated)
        };
        assert_eq!(of(None), (now, false));
        let old = Duration::from_secs(500_000);
        assert_eq!(of(Some(old)), (old, true), "the URL has expired, the date has not");
        assert_eq!(of(Some(now + hour)), (now, false));
    }
}
