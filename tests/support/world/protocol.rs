//! How requests and answers are written: AWS JSON 1.1, AWS Query, and OAuth at the token endpoint.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use url::form_urlencoded;

use super::http::{Reply, Request};

/// An error of a service.
#[derive(Clone)]
pub struct Refusal {
    status: u16,
    code: String,
    message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// Returns an error that the caller has made.
    pub fn of(code: &str, message: &str) -> Self {
        Self::new(400, code, message)
    }

    /// Writes the error in the protocol of the request.
    pub fn reply(&self, request: &Request) -> Reply {
        let Self { status, code, message } = self;
        if request.path.starts_with("/oauth2/") {
            return Reply::json(*status, &json!({ "error": code, "error_description": message }));
        }
        if request.header("x-amz-target").is_empty() {
            let (code, message) = (escaped(code), escaped(message));
            let xml = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            return Reply::new(*status, "text/xml", xml);
        }
        Reply::json(*status, &json!({ "__type": code, "message": message }))
    }
}

/// Writes the result of an operation of the Query protocol in its envelope.
pub fn query_reply(action: &str, result: &str) -> Reply {
    let xml = format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>");
    Reply::new(200, "text/xml", xml)
}

/// Returns the fields of a form, decoded.
pub fn form(request: &Request) -> BTreeMap<String, String> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

/// Returns a member of a JSON body; empty if it is missing.
pub fn field<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_default()
}

/// Returns one XML element with its text escaped.
pub fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns one page of a listing, and the token of the next. The token is the place where it begins.
pub fn page<T>(all: impl IntoIterator<Item = T>, size: usize, token: &str) -> (Vec<T>, Option<String>) {
    let from = token.parse().unwrap_or(0_usize);
    let mut rest = all.into_iter().skip(from);
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let next = rest.next().map(|_| (from + page.len()).to_string());
    (page, next)
}

/// Returns an object with the members of `more` put over its own.
pub fn over(mut object: Value, more: &Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}
