//! Canaries in client secrets and in the ResponseURL's signature never come out: not in logs at
//! TRACE, not in answers, not in the Debug of anything public.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use cognito_m2m::{
    model::{ClientId, SecretName, desired::SecretMetadata},
    ports::{SecretDocument, SecretVersion},
    redact::Secret,
};
use serde_json::json;
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

use crate::{
    lifecycle::{large, large_changed},
    support::{
        Fault, create, event,
        fake_aws::{CANARY, TokenMood},
    },
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

#[test]
fn no_canary_comes_out_of_any_run() {
    let lines = Lines::default();
    // Every crate's lines, at TRACE: more than the function itself would ever let through. For the
    // whole process, so that the runs of other tests are looked at too.
    let subscriber = tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().json().with_writer(lines.clone()))
        .with(tracing::level_filters::LevelFilter::TRACE);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut answers = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        for fault in [Fault::Before, Fault::Lost, Fault::Throttled, Fault::Hang, Fault::CrashAfter, Fault::Quota] {
            for k in 0..25 {
                let stack = create();
                let created =
                    stack.send_with(&event("Create", &stack, None, &large(), None), [(k, fault.clone())]).await;
                let id = created.physical_id().to_owned();
                answers.push(created);
                if k % 5 == 0 {
                    stack.world().token_endpoint = TokenMood::Refuses;
                }
                answers.push(
                    stack
                        .send_with(
                            &event("Update", &stack, Some(&id), &large_changed(), Some(&large())),
                            [(k, fault.clone())],
                        )
                        .await,
                );
                answers.push(
                    stack.send_with(&event("Delete", &stack, Some(&id), &large(), None), [(k, fault.clone())]).await,
                );
            }
        }
        answers.push(create().create(&json!({ "Nonsense": 1 })).await);
    });
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(log.lines().count() > 5000, "{} lines were logged", log.lines().count());
    assert_clean("the log", &log);
    for answer in &answers {
        assert_clean("an answer", &answer.0.to_string());
    }
    println!("{} answers and {} log lines are clean", answers.len(), log.lines().count());
    // What a user of the log counts on.
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
    let metadata = SecretMetadata {
        token_endpoint: String::new(),
        scope: String::new(),
        issuer: String::new(),
        jwks_uri: String::new(),
        user_pool_id: "us-east-1_a".into(),
        client_name: "c".into(),
    };
    let document =
        SecretDocument { client_id: ClientId::from("id"), client_secret: Secret::new(CANARY.to_owned()), metadata };
    let version = SecretVersion { id: "v".to_owned(), created: None, document: Some(document.clone()) };
    for shown in [
        format!("{document:?}"),
        format!("{version:#?}"),
        format!("{:?}", SecretName::from("n")),
        format!("{:?}", document.observed()),
    ] {
        assert_clean("Debug", &shown);
    }
    assert!(format!("{document:?}").contains("***"));
}
