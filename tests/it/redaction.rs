//! Client secrets and the signature of the ResponseURL never come out: not in logs at TRACE, not in
//! responses, not in the Debug output of anything public. Canaries in them make this visible.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use cognito_m2m::{model::SecretId, ports::SecretVersion};
use serde_json::{Value, json};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

use crate::support::{
    CANARY, CfnResponse, Fault, TokenEndpointState,
    fixtures::{document, large, large_by_api, large_changed, with},
    new_stack,
};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn assert_clean(what: &str, text: &str) {
    for canary in [CANARY, "canary-signature", "X-Amz-Signature"] {
        assert!(!text.contains(canary), "{what} shows {canary}");
    }
}

/// [`large`] with readers and replicas.
fn shared() -> Value {
    let mut shared = with(large(), "SecretReplicas", json!([{ "Region": "eu-west-1" }]));
    shared["Clients"][0]["SecretReaders"] = json!(["arn:aws:iam::111122223333:role/reader"]);
    shared
}

/// Create, Update, a switch to the API and Delete, each with the fault at call `k`.
async fn whole_life(k: usize, fault: &Fault) -> [CfnResponse; 4] {
    let stack = new_stack();
    let faults = || [(k, fault.clone())];
    let shared = shared();
    let created = stack.send_with(&stack.create_event(&shared), faults()).await;
    let id = created.physical_id();
    if k.is_multiple_of(5) {
        stack.world().behavior.token_endpoint = TokenEndpointState::Refuses;
    }
    let updated = stack.send_with(&stack.update_event(id, &large_changed(), &shared), faults()).await;
    let switched = stack.send_with(&stack.update_event(id, &large_by_api(), &large_changed()), faults()).await;
    let deleted = stack.send_with(&stack.delete_event(id, &shared), faults()).await;
    [created, updated, switched, deleted]
}

/// Collects the log of the whole process, so the runs of other tests are checked too. Every crate
/// logs at TRACE, which is more than the function itself ever lets through.
fn collect_log() -> Lines {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().json().with_writer(lines.clone()))
        .with(tracing::level_filters::LevelFilter::TRACE);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    lines
}

#[test]
fn no_canary_comes_out_of_any_run() {
    let lines = collect_log();
    let mut responses = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        for fault in [Fault::Before, Fault::Lost, Fault::Throttled, Fault::Hang, Fault::CrashAfter, Fault::Quota] {
            for k in 0..25 {
                responses.extend(whole_life(k, &fault).await);
            }
        }
        responses.push(new_stack().create(&json!({ "Nonsense": 1 })).await);
    });
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(log.lines().count() > 5000, "{} lines were logged", log.lines().count());
    assert_clean("the log", &log);
    for response in &responses {
        assert_clean("a response", &response.body().to_string());
    }
    println!("{} answers and {} log lines are clean", responses.len(), log.lines().count());
    // The fields that users of the log rely on.
    for field in [
        "event received",
        "\"request_type\":\"Create\"",
        "\"stack_id\"",
        "\"request_id\"",
        "planned",
        "\"duration_ms\"",
        "answering",
    ] {
        assert!(log.contains(field), "{field}");
    }
}

#[test]
fn nothing_public_debugs_to_a_secret() {
    let document = document(CANARY);
    let version = SecretVersion { id: "v".to_owned(), created: None, document: Some(document.clone()) };
    for shown in [
        format!("{document:?}"),
        format!("{version:#?}"),
        format!("{:?}", SecretId::from("n")),
        format!("{:?}", document.observed()),
    ] {
        assert_clean("Debug", &shown);
    }
    assert!(format!("{document:?}").contains("***"));
}
