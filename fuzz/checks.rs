//! What must hold of any bytes: called by the fuzz targets with bytes that they make up, and by
//! `make test` with those kept in `corpus/`.

use std::collections::BTreeSet;

use cognito_m2m::{
    cfn::{Data, Envelope, Event, Request, Response},
    model::{Desired, Endpoints, Owner, ProviderConfig, observed::Observed},
    plan::{Step, plan},
};
use serde_json::Value;

/// Any event is an envelope; a request or an error that says something; and has an answer that fits.
pub fn event(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let event = Event::from_json(text);
    let envelope = Envelope::of(&event);
    // Any other field may hold anything, this text too.
    assert!(!format!("{:?}", envelope.response_url).contains("X-Amz-Signature"), "a signature is shown");
    let outcome = match Request::parse(&event, &envelope) {
        Ok(_) => Ok(Data::default()),
        Err(error) => Err(error.to_string()),
    };
    assert!(outcome.as_ref().err().is_none_or(|reason| !reason.is_empty()));
    let Envelope { request_type: _, request_id, stack_id, logical_resource_id, physical_resource_id, response_url: _ } =
        envelope;
    // CloudFormation's own ids are short; they are copied and cannot be cut.
    let short = [&request_id, &stack_id, &logical_resource_id]
        .iter()
        .all(|id| id.len() < 150 && !id.contains(char::is_control));
    let response = Response { physical_resource_id, stack_id, request_id, logical_resource_id, outcome };
    let body = response.body();
    assert!(!short || body.len() <= 4096, "{} bytes", body.len());
    assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
}

/// Any properties are violations with paths, or a stack that the limits of AWS hold for and that has
/// a plan from nothing.
pub fn desired(bytes: &[u8]) {
    let Ok(properties) = serde_json::from_slice::<Value>(bytes) else { return };
    let endpoints = Endpoints::new("us-east-1", None);
    let config = ProviderConfig { endpoints, rotation_function: Some("arn:rotation".to_owned()) };
    let owner = Owner { stack_id: "arn:stack".to_owned(), logical_id: "M2M".to_owned() };
    match Desired::from_properties(&properties, owner, &config) {
        Err(violations) => {
            assert!(!violations.0.is_empty(), "refused without a reason");
            assert!(violations.0.iter().all(|violation| !violation.rule.is_empty()));
        }
        Ok(desired) => {
            assert!((1..=128).contains(&desired.pool.name.len()));
            assert!((1..=63).contains(&desired.domain.prefix.len()));
            assert!(desired.pool.tags.len() <= 50);
            assert!((1..=25).contains(&desired.resource_servers.len()));
            assert!((1..=100).contains(&desired.clients.len()));
            let declared: BTreeSet<String> = desired.scopes().collect();
            let mut names = BTreeSet::new();
            for client in &desired.clients {
                assert!(names.insert(&client.name), "a client twice");
                assert!((1..=50).contains(&client.scopes.len()));
                assert!(client.scopes.iter().all(|scope| declared.contains(scope)), "a scope that is not declared");
                assert!((5..=1440).contains(&client.access_token_validity_minutes));
                assert!((1..=512).contains(&client.secret_name.as_str().len()));
            }
            let plan = plan(&desired, &Observed::default(), &BTreeSet::new()).expect("nothing is in the way");
            let made = plan.steps().filter(|step| matches!(step, Step::CreateUserPoolClient { .. })).count();
            assert_eq!(made, desired.clients.len());
        }
    }
}
