//! The delivery of the response to CloudFormation.

use std::time::Duration;

use cognito_m2m::{
    aws::{Http, ResponseUrlClient},
    cfn::{Deliver, DeliveryError, ResponseUrl, deliver::deliver},
    clock::{Deadline, now},
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, method},
};

use crate::support::{Scripted, Turn, nobody};

const QUERY: &str = "X-Amz-Date=20260102T030405Z&X-Amz-Signature=canary%2Fsignature%3D";

fn response_url(base: &str) -> ResponseUrl {
    ResponseUrl::parse(&format!("{base}/arn%3Aaws%3Acloudformation/M2M%7C0a1b?{QUERY}")).unwrap()
}

fn http() -> ResponseUrlClient {
    ResponseUrlClient(Http::default())
}

/// Longer than any of these tests takes.
fn long() -> Deadline {
    Deadline::after(Duration::from_mins(10))
}

fn assert_shows_no_query(error: &DeliveryError) {
    for text in [format!("{error}"), format!("{error:?}")] {
        assert!(!text.contains("canary") && !text.contains("X-Amz"), "{text}");
    }
}

#[tokio::test]
async fn the_answer_is_put_with_an_empty_content_type_and_its_exact_length() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let body = r#"{"Status":"FAILED","Reason":"café 😀"}"#;
    deliver(&http(), &response_url(&server.uri()), body, long()).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(request.method.as_str(), "PUT");
    // The signature covers the URL exactly as CloudFormation sent it.
    assert_eq!(request.url.path(), "/arn%3Aaws%3Acloudformation/M2M%7C0a1b");
    assert_eq!(request.url.query(), Some(QUERY));
    let values = |name: &str| request.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(values("content-type"), [""]);
    assert_eq!(values("content-length"), [body.len().to_string().as_str()]);
    assert_eq!(values("transfer-encoding"), Vec::<&str>::new());
    assert_eq!(values("authorization"), Vec::<&str>::new());
    assert_eq!(request.body, body.as_bytes());
}

#[tokio::test]
async fn the_answer_is_put_again_after_a_server_error() {
    for status in [500, 502, 503] {
        let server = MockServer::start().await;
        let failing = Mock::given(method("PUT")).respond_with(ResponseTemplate::new(status));
        failing.up_to_n_times(2).mount(&server).await;
        Mock::given(method("PUT")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        deliver(&http(), &response_url(&server.uri()), "{}", long()).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 3, "{status}");
        assert!(requests.iter().all(|request| request.body == b"{}"), "{status}");
    }
}

const DELIVERED: Turn = Turn::Answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");

#[tokio::test]
async fn the_answer_is_put_again_after_a_dropped_connection() {
    let server = Scripted::start(vec![Turn::Close, DELIVERED]).await;
    deliver(&http(), &response_url(&server.uri), "{\"a\":1}", long()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|request| request.starts_with("PUT ") && request.ends_with("\r\n\r\n{\"a\":1}")));
}

#[tokio::test]
async fn the_answer_is_put_again_after_a_hang() {
    let server = Scripted::start(vec![Turn::HangFor(Duration::from_secs(6)), DELIVERED]).await;
    deliver(&http(), &response_url(&server.uri), "{}", long()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [400, 401, 403, 404, 408, 409, 429] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let error = deliver(&http(), &response_url(&server.uri()), "{}", long()).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused(refused) if refused == status), "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_shows_no_query(&error);
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_answer_follows_no_redirect() {
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start().await;
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        Mock::given(any()).respond_with(redirect).mount(&server).await;
        let error = deliver(&http(), &response_url(&server.uri()), "{}", long()).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused(refused) if refused == status), "{error}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{status}");
    }
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn delivery_gives_up_at_the_deadline_and_does_not_show_the_signature() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).mount(&server).await;
    let second = || Deadline::after(Duration::from_secs(1));
    let error = deliver(&http(), &response_url(&server.uri()), "{}", second()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OutOfTime(_)), "{error}");
    assert_shows_no_query(&error);
    assert!(server.received_requests().await.unwrap().len() > 1);

    let error = deliver(&http(), &response_url(&nobody().await), "{}", second()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OutOfTime(_)), "{error}");
    assert_shows_no_query(&error);
}

#[tokio::test]
async fn a_server_that_hangs_is_left_at_the_deadline() {
    let server = Scripted::start(vec![Turn::Hang, Turn::Hang, Turn::Hang]).await;
    let deadline = Deadline::after(Duration::from_millis(500));
    let error = deliver(&http(), &response_url(&server.uri), "{}", deadline).await.unwrap_err();
    assert!(matches!(&error, DeliveryError::OutOfTime(last) if last.contains("no answer")), "{error}");
    assert_shows_no_query(&error);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn one_lost_put_says_why_without_its_url() {
    for base in [nobody().await, Scripted::start(vec![Turn::Close]).await.uri] {
        let why = http().put(&response_url(&base), "{}").await.unwrap_err();
        assert!(!why.is_empty());
        assert!(!why.contains("canary") && !why.contains("X-Amz") && !why.contains("arn%3A"), "{why}");
    }
}

/// Answers every request with a server error and counts the requests.
struct Failing(std::cell::Cell<u32>);

impl Deliver for Failing {
    async fn put(&self, _: &ResponseUrl, _: &str) -> Result<u16, String> {
        self.0.set(self.0.get() + 1);
        Ok(500)
    }
}

#[tokio::test(start_paused = true)]
async fn delivery_goes_on_until_the_deadline_and_slows_down() {
    let failing = Failing(std::cell::Cell::new(0));
    let deadline = Deadline::after(Duration::from_mins(5));
    let error = deliver(&failing, &response_url("https://example.com"), "{}", deadline).await.unwrap_err();
    assert!(matches!(error, DeliveryError::OutOfTime(_)), "{error}");
    assert!(error.to_string().contains("HTTP status 500"), "{error}");
    assert!(now() <= deadline.for_answer());
    let left = deadline.for_answer() - now();
    assert!(left <= Duration::from_secs(3), "it gave up {left:?} too early");
    // One request every two or three seconds after the backoff has reached its maximum.
    assert!((100..=210).contains(&failing.0.get()), "{} times", failing.0.get());
}
