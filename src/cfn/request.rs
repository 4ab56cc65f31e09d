//! What CloudFormation sends: the envelope first, leniently, so that whatever else is wrong can be
//! answered; then the request.

use std::{collections::BTreeMap, fmt, time::Duration};

use aws_lambda_events::cloudformation::{
    CloudFormationCustomResourceRequest, CreateRequest, DeleteRequest, UpdateRequest,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, value::RawValue};
use time::{PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// The presigned URL that takes the answer. Its query is a credential, so nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(url::Url);

impl ResponseUrl {
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = url::Url::parse(text).map_err(|_| "ResponseURL is not a URL")?;
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => Err("ResponseURL must be https (http is accepted only for a loopback host)"),
            _ => Err("ResponseURL must be https"),
        }
    }

    /// The URL with its signature, for the one request that needs it.
    #[must_use]
    pub fn expose(&self) -> &url::Url {
        &self.0
    }

    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// When CloudFormation signed it, since the Unix epoch: that is when the event was sent,
    /// however late it is delivered. `None` where the URL does not say.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
    #[must_use]
    pub fn signed_at(&self) -> Option<Duration> {
        let date = self.0.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case("X-Amz-Date"))?.1;
        parse_basic_date(&date)
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/***", self.0.scheme(), self.host())
    }
}

fn is_loopback(url: &url::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Parses a date such as `20260102T030405Z` to the time since the Unix epoch.
fn parse_basic_date(text: &str) -> Option<Duration> {
    const BASIC: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
    let seconds = PrimitiveDateTime::parse(text, BASIC).ok()?.assume_utc().unix_timestamp();
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

/// An event, as it came. It is read one member at a time, so that a member that cannot be read spoils
/// no other: properties may be nested deeper than the parser goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    members: Map<String, Value>,
    /// The members that cannot be read, and why.
    unreadable: BTreeMap<String, String>,
}

impl Event {
    /// Reads any JSON. What is not an object has no members.
    #[must_use]
    pub fn from_json(text: &str) -> Self {
        let mut event = Self::default();
        for (name, raw) in serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text).unwrap_or_default() {
            match serde_json::from_str(raw.get()) {
                Ok(value) => {
                    event.members.insert(name, value);
                }
                Err(error) => {
                    event.unreadable.insert(name, error.to_string());
                }
            }
        }
        event
    }
}

impl From<&Value> for Event {
    fn from(event: &Value) -> Self {
        Self { members: event.as_object().cloned().unwrap_or_default(), unreadable: BTreeMap::new() }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_json(Box::<RawValue>::deserialize(deserializer)?.get()))
    }
}

/// The parts of an event that its answer needs, taken from whatever JSON came.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub request_type: String,
    /// Such as `Custom::CognitoM2M`.
    pub resource_type: String,
    pub request_id: String,
    pub stack_id: String,
    pub logical_resource_id: String,
    /// As it was given; empty on a Create.
    pub physical_resource_id: String,
    /// `None` where the event carries none; then nobody waits for an answer.
    pub response_url: Option<Result<ResponseUrl, &'static str>>,
}

impl Envelope {
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let members = &event.members;
        let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let response_url = members.get("ResponseURL").map(|url| match url.as_str() {
            Some(url) => ResponseUrl::parse(url),
            None => Err("ResponseURL is not a string"),
        });
        Self {
            request_type: text("RequestType"),
            resource_type: text("ResourceType"),
            request_id: text("RequestId"),
            stack_id: text("StackId"),
            logical_resource_id: text("LogicalResourceId"),
            physical_resource_id: text("PhysicalResourceId"),
            response_url,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Create {
        properties: Value,
    },
    Update {
        properties: Value,
        old_properties: Value,
    },
    /// Must work with properties that no longer parse, or with none.
    Delete {
        properties: Value,
    },
}

/// What is wrong with an event.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("RequestType must be Create, Update or Delete, but is {0:?}")]
    UnknownType(String),
    #[error("The event lacks {0}, which CloudFormation always sends")]
    Lacks(&'static str),
    #[error("{0} is nested too deep to be read. No property of this resource needs more than four levels")]
    TooDeep(&'static str),
    #[error("The event is not a custom resource request: {0}")]
    Shape(String),
}

const PROPERTIES: &str = "ResourceProperties";

impl Request {
    /// # Errors
    /// What is wrong with the event.
    pub fn parse(event: &Event, envelope: &Envelope) -> Result<Self, RequestError> {
        if !matches!(envelope.request_type.as_str(), "Create" | "Update" | "Delete") {
            return Err(RequestError::UnknownType(envelope.request_type.chars().take(64).collect()));
        }
        let is_delete = envelope.request_type == "Delete";
        let required: &[(&str, &str)] = &[
            ("StackId", &envelope.stack_id),
            ("RequestId", &envelope.request_id),
            ("LogicalResourceId", &envelope.logical_resource_id),
        ];
        for (name, value) in required {
            if value.is_empty() {
                return Err(RequestError::Lacks(name));
            }
        }
        if envelope.request_type == "Update" && envelope.physical_resource_id.is_empty() {
            return Err(RequestError::Lacks("PhysicalResourceId"));
        }
        let Event { members, unreadable } = event;
        let mut event = members.clone();
        // What a Create or an Update cannot do without, a Delete can.
        if is_delete {
            event.entry(PROPERTIES).or_insert_with(|| Value::Object(Map::new()));
            event.insert("PhysicalResourceId".to_owned(), envelope.physical_resource_id.clone().into());
        }
        event.entry("ResourceType").or_insert_with(|| Value::String(String::new()));
        // An update must be able to get rid of properties that cannot be read.
        event.entry("OldResourceProperties").or_insert_with(|| Value::Object(Map::new()));
        if !event.contains_key(PROPERTIES) {
            return Err(match unreadable.get(PROPERTIES) {
                // serde_json has no other name for it.
                Some(why) if why.starts_with("recursion limit") => RequestError::TooDeep(PROPERTIES),
                Some(why) => RequestError::Shape(format!("{PROPERTIES}: {why}")),
                None => RequestError::Lacks(PROPERTIES),
            });
        }
        event.retain(|name, _| name != "ServiceToken");
        match serde_json::from_value(Value::Object(event)).map_err(|error| RequestError::Shape(error.to_string()))? {
            CloudFormationCustomResourceRequest::Create(CreateRequest { resource_properties, .. }) => {
                Ok(Self::Create { properties: resource_properties })
            }
            CloudFormationCustomResourceRequest::Update(UpdateRequest {
                resource_properties,
                old_resource_properties,
                ..
            }) => Ok(Self::Update { properties: resource_properties, old_properties: old_resource_properties }),
            CloudFormationCustomResourceRequest::Delete(DeleteRequest { resource_properties, .. }) => {
                Ok(Self::Delete { properties: resource_properties })
            }
            _ => Err(RequestError::UnknownType(envelope.request_type.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://bucket.s3.amazonaws.com/key?X-Amz-Date=20260102T030405Z&X-Amz-Signature=canary";

    #[test]
    fn properties_that_cannot_be_read_are_refused_with_the_reason() {
        let nested = "[".repeat(200) + &"]".repeat(200);
        for (properties, reason) in [
            (nested.as_str(), "nested too deep"),
            (r#"{ "Tags": 1e999 }"#, "number out of range"),
            (r#"{ "Tags": "\ud800" }"#, "escape"),
        ] {
            let text = format!(
                r#"{{ "RequestType": "Create", "StackId": "s", "RequestId": "r", "LogicalResourceId": "l",
                "ResourceProperties": {properties} }}"#
            );
            let event = Event::from_json(&text);
            let error = Request::parse(&event, &Envelope::of(&event)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_response_url_is_https_or_loopback() {
        for good in [
            URL,
            "http://127.0.0.1:1/x",
            "http://localhost/x",
            "http://LOCALHOST:4566/x",
            "http://[::1]:80/x",
            "http://127.9.9.9/",
        ] {
            assert!(ResponseUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "http://localhost.evil.org/",
            "ftp://127.0.0.1/",
            "",
            "x",
            "file:///etc/passwd",
        ] {
            assert!(ResponseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_response_url_never_prints_its_query() {
        let url = ResponseUrl::parse(URL).unwrap();
        for printed in [
            format!("{url}"),
            format!("{url:?}"),
            format!("{:?}", Envelope::of(&Event::from(&json!({ "ResponseURL": URL })))),
        ] {
            assert!(!printed.contains("canary") && !printed.contains("X-Amz"), "{printed}");
        }
    }

    #[test]
    fn the_signature_says_when_the_event_was_sent() {
        assert_eq!(ResponseUrl::parse(URL).unwrap().signed_at(), Some(Duration::from_secs(1_767_323_045)));
        for unsigned in [
            "https://h/p",
            "https://h/p?Expires=1",
            "https://h/p?X-Amz-Date=20261302T030405Z",
            "https://h/p?X-Amz-Date=é026-01-02",
        ] {
            assert_eq!(ResponseUrl::parse(unsigned).unwrap().signed_at(), None, "{unsigned}");
        }
    }

    fn parse(event: &Value) -> Result<Request, RequestError> {
        parse_event(&Event::from(event))
    }

    fn parse_event(event: &Event) -> Result<Request, RequestError> {
        Request::parse(event, &Envelope::of(event))
    }

    fn event(request_type: &str) -> Value {
        json!({
            "RequestType": request_type, "ResponseURL": URL, "StackId": "s", "RequestId": "r", "LogicalResourceId": "M2M",
            "ResourceType": "Custom::CognitoM2M", "PhysicalResourceId": "id", "ServiceToken": "arn", "ServiceTimeout": "60",
            "ResourceProperties": { "a": "b" }, "OldResourceProperties": { "c": "d" },
        })
    }

    #[test]
    fn each_type_carries_its_properties() {
        let properties = json!({ "a": "b" });
        assert_eq!(parse(&event("Create")).unwrap(), Request::Create { properties: properties.clone() });
        assert_eq!(
            parse(&event("Update")).unwrap(),
            Request::Update { properties: properties.clone(), old_properties: json!({ "c": "d" }) }
        );
        assert_eq!(parse(&event("Delete")).unwrap(), Request::Delete { properties });
    }

    #[test]
    fn a_delete_needs_no_properties_and_the_others_do() {
        let without = |request_type: &str| {
            let mut event = event(request_type);
            event.as_object_mut().unwrap().remove("ResourceProperties");
            event.as_object_mut().unwrap().remove("ResourceType");
            event
        };
        assert_eq!(parse(&without("Delete")).unwrap(), Request::Delete { properties: json!({}) });
        for other in ["Create", "Update"] {
            let error = parse(&without(other)).unwrap_err().to_string();
            assert!(error.contains("ResourceProperties"), "{error}");
        }
    }

    #[test]
    fn a_delete_needs_no_id_and_an_update_does() {
        let without_id = |request_type: &str| {
            let mut event = event(request_type);
            event.as_object_mut().unwrap().remove("PhysicalResourceId");
            parse(&event)
        };
        assert_eq!(without_id("Delete").unwrap(), Request::Delete { properties: json!({ "a": "b" }) });
        assert!(without_id("Update").unwrap_err().to_string().contains("PhysicalResourceId"));
    }

    /// The event as text, with a member whose value is an array this many levels deep.
    fn nested(request_type: &str, member: &str, levels: usize) -> Event {
        let mut event = event(request_type);
        event[member] = json!("here");
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        serde_json::from_str(&event.to_string().replace("\"here\"", &deep)).unwrap()
    }

    #[test]
    fn properties_that_are_nested_too_deep_spoil_no_other_member() {
        for levels in [200, 100_000] {
            for request_type in ["Create", "Update"] {
                let event = nested(request_type, "ResourceProperties", levels);
                assert_eq!(Envelope::of(&event).request_id, "r");
                let error = parse_event(&event).unwrap_err().to_string();
                assert!(error.contains("ResourceProperties is nested too deep"), "{error}");
            }
            let delete = parse_event(&nested("Delete", "ResourceProperties", levels)).unwrap();
            assert_eq!(delete, Request::Delete { properties: json!({}) });
            let update = parse_event(&nested("Update", "OldResourceProperties", levels)).unwrap();
            assert_eq!(update, Request::Update { properties: json!({ "a": "b" }), old_properties: json!({}) });
        }
        let shallow = nested("Delete", "ResourceProperties", 2);
        assert_eq!(parse_event(&shallow).unwrap(), Request::Delete { properties: json!([[]]) });
    }

    #[test]
    fn an_unknown_type_is_named() {
        let error = parse(&event("Frobnicate")).unwrap_err().to_string();
        assert!(error.contains("Frobnicate") && error.contains("Create, Update or Delete"), "{error}");
    }
}
