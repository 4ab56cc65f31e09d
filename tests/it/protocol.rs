//! Every event gets one response, whatever happens in between.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cognito_m2m::{
    cfn::{Deliver, ResponseUrl},
    clock::Deadline,
    model::Endpoints,
    provider::{HandlerError, Provider, handle},
};
use serde_json::{Value, json};

use crate::support::{
    Session, Stack, assert_nothing_left,
    cloudformation::{RESPONSE_URL, provider},
    new_stack,
};

/// A bucket that fails this many times before it takes the response.
struct Failing {
    failures: usize,
    with: Result<u16, String>,
    puts: AtomicUsize,
    taken: Mutex<Vec<Value>>,
}

impl Failing {
    fn new(failures: usize, with: Result<u16, String>) -> Self {
        Self { failures, with, puts: AtomicUsize::new(0), taken: Mutex::default() }
    }

    fn puts(&self) -> usize {
        self.puts.load(Ordering::SeqCst)
    }
}

impl Deliver for Failing {
    async fn put(&self, _url: &ResponseUrl, body: &str) -> Result<u16, String> {
        if self.puts.fetch_add(1, Ordering::SeqCst) < self.failures {
            return match &self.with {
                Err(text) if text == "hang" => std::future::pending().await,
                other => other.clone(),
            };
        }
        self.taken.lock().unwrap().push(serde_json::from_str(body).unwrap());
        Ok(200)
    }
}

async fn handle_with(
    session: &Session,
    event: &Value,
    timeout: Duration,
    bucket: &Failing,
) -> Result<(), HandlerError> {
    handle(event, Deadline::after(timeout), async || provider(session), bucket).await
}

const LONG: Duration = Duration::from_mins(5);

#[tokio::test(start_paused = true)]
async fn a_create_answers_with_the_pools_id_whatever_id_it_was_given() {
    let stack = new_stack();
    let mut create = stack.create_event(&json!({}));
    create["PhysicalResourceId"] = json!("given");
    let created = stack.send(&create).await.good();
    assert_eq!(created.physical_id(), created.attribute("UserPoolId"));
    // An Update echoes the id.
    let id = created.physical_id().to_owned();
    assert_eq!(stack.update(&id, &json!({}), &json!({})).await.good().physical_id(), id);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_is_put_again_on_what_may_pass_alone() {
    let stack = new_stack();
    let event = stack.delete_event("one-M2M-1A2B", &json!({}));
    for with in [Ok(500), Ok(503), Err("connection lost".to_owned()), Err("hang".to_owned())] {
        let bucket = Failing::new(2, with);
        handle_with(&Session::new(&stack.aws), &event, LONG, &bucket).await.unwrap();
        assert_eq!((bucket.puts(), bucket.taken.lock().unwrap().len()), (3, 1));
    }
    for status in [400, 403, 404, 302] {
        let bucket = Failing::new(1, Ok(status));
        let error = handle_with(&Session::new(&stack.aws), &event, LONG, &bucket).await.unwrap_err();
        assert_eq!(bucket.puts(), 1, "a {status} is final");
        assert!(error.report().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_told_is_an_error_so_that_lambda_runs_the_event_again() {
    let stack = new_stack();
    let event = stack.create_event(&json!({}));
    let bucket = Failing::new(usize::MAX, Ok(500));
    let before = tokio::time::Instant::now();
    let error = handle_with(&Session::new(&stack.aws), &event, LONG, &bucket).await.unwrap_err();
    assert!(matches!(error, HandlerError::DeliveryFailed(_)), "{error}");
    assert!(before.elapsed() < LONG, "before Lambda kills it: {:?}", before.elapsed());
    // The second run goes on from there and delivers the response.
    stack.send(&event).await.good();
    assert_eq!(stack.world().pools.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_response_url_that_may_not_be_used_is_never_used() {
    let stack = new_stack();
    for url in [json!("http://example.com/x"), json!("ftp://127.0.0.1/"), json!(""), json!(7), Value::Null] {
        let mut event = stack.create_event(&json!({}));
        event["ResponseURL"] = url.clone();
        let bucket = Failing::new(0, Ok(200));
        let result = handle_with(&Session::new(&stack.aws), &event, LONG, &bucket).await;
        assert!(result.is_err(), "{url}");
        assert_eq!(bucket.puts(), 0);
    }
    let no_url = json!({ "RequestType": "Create", "StackId": "s", "RequestId": "r", "LogicalResourceId": "l" });
    for event in [no_url, json!("text"), json!([1]), Value::Null, json!({})] {
        let bucket = Failing::new(0, Ok(200));
        let error = handle_with(&Session::new(&stack.aws), &event, LONG, &bucket).await.unwrap_err();
        assert!(matches!(error, HandlerError::NoResponseUrl), "{error}");
    }
    assert_eq!(stack.world().calls.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_aws_gets_no_response_unless_a_custom_endpoint_is_configured() {
    const AWS_LIKE: &str = "https://amazonaws.com.example.org/answer?X-Amz-Signature=canary-signature";
    for (url, needs_custom_endpoint) in [
        ("https://b.s3.us-west-2.amazonaws.com/answer?X-Amz-Signature=canary-signature", false),
        ("https://b.s3.cn-north-1.amazonaws.com.cn/answer?X-Amz-Signature=canary-signature", false),
        ("https://example.com/answer?X-Amz-Signature=canary-signature", true),
        (AWS_LIKE, true),
        ("https://b.s3.amazonaws.com@example.com/answer?X-Amz-Signature=canary-signature", true),
        ("http://127.0.0.1:9001/2018-06-01/runtime?X-Amz-Signature=canary-signature", true),
        ("https://169.254.169.254/latest?X-Amz-Signature=canary-signature", true),
    ] {
        for custom in
            [None, Some("http://127.0.0.1:4566"), Some("https://vpce-1.cognito-idp.us-east-1.vpce.amazonaws.com")]
        {
            let stack = new_stack();
            let mut event = stack.create_event(&json!({}));
            event["ResponseURL"] = json!(url);
            let session = Session::new(&stack.aws);
            let configured = async || {
                let mut provider = provider(&session);
                provider.config.endpoints = Endpoints::new("us-east-1", custom);
                provider
            };
            let bucket = Failing::new(0, Ok(200));
            let result = handle(&event, Deadline::after(LONG), configured, &bucket).await;
            if needs_custom_endpoint && custom != Some("http://127.0.0.1:4566") {
                let report = result.unwrap_err().report();
                assert!(report.contains("ResponseURL must be on a host of AWS"), "{report}");
                assert!(!report.contains("canary") && !report.contains("/answer"), "{report}");
                assert_eq!((bucket.puts(), stack.world().calls.len()), (0, 0), "{url} {custom:?}");
            } else {
                result.unwrap();
                assert_eq!(bucket.puts(), 1, "{url} {custom:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered_without_its_message() {
    let stack = new_stack();
    let event = stack.create_event(&json!({}));
    let bucket = Failing::new(0, Ok(200));
    let provider = async || -> Provider<Session> { std::panic::resume_unwind(Box::new("canary in a panic")) };
    handle(&event, Deadline::after(LONG), provider, &bucket).await.unwrap();
    let answer = bucket.taken.lock().unwrap()[0].clone();
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer["PhysicalResourceId"].as_str().unwrap().contains("M2M"));
    let reason = answer["Reason"].as_str().unwrap();
    assert!(reason.contains("panicked") && !reason.contains("canary"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_hang_before_the_first_call_is_answered_too() {
    let stack = new_stack();
    let event = stack.create_event(&json!({}));
    for timeout in [LONG, Duration::from_secs(3), Duration::from_millis(500)] {
        let bucket = Failing::new(0, Ok(200));
        let provider = async || -> Provider<Session> { std::future::pending().await };
        let before = tokio::time::Instant::now();
        handle(&event, Deadline::after(timeout), provider, &bucket).await.unwrap();
        assert!(before.elapsed() < timeout, "{:?}", before.elapsed());
        assert_eq!(bucket.taken.lock().unwrap()[0]["Status"], "FAILED");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_without_a_pool_is_the_same_every_time_and_says_nothing_of_a_pool() {
    let stack = new_stack();
    let bad = json!({ "EnvironmentName": "UP" });
    let event = stack.create_event(&bad);
    let (one, two) = (stack.send(&event).await, stack.send(&event).await);
    assert_eq!(one.physical_id(), two.physical_id());
    assert_ne!(one.physical_id(), stack.create(&bad).await.physical_id(), "another Create");
    assert!(one.physical_id().contains("M2M") && !one.physical_id().contains('_'), "{}", one.physical_id());
    let other = Stack::new(&stack.aws, "other").create(&bad).await;
    assert_ne!(one.physical_id(), other.physical_id());
    stack.delete(one.physical_id(), &bad).await.good();
    assert_nothing_left(&stack);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_twenty_kilobytes_is_cut_and_answered() {
    let stack = new_stack();
    // Each unknown name is one violation. Together they are far too long.
    let properties: serde_json::Map<_, _> = (0..2000).map(|n| (format!("Unknown{n}"), json!("x"))).collect();
    let reason = stack.create(&Value::Object(properties)).await.failed("(cut");
    assert!(reason.starts_with("2000 properties are not valid"), "{reason:.100}");
    assert!(RESPONSE_URL.contains("canary-signature") && !reason.contains("canary"));
}
