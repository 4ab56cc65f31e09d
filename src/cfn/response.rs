//! The response to CloudFormation, within its 4,096 bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// The limit of the whole body, counted after JSON escaping. A longer response fails the operation with
/// "Response object is too long".
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>
pub const MAX_BYTES: usize = 4096;
/// The limit of a PhysicalResourceId, in bytes. Source: the same page.
const MAX_PHYSICAL_ID: usize = 1024;
/// The end of a reason that was cut.
const CUT: &str = "… (cut; the function's log has all of it)";

/// The attributes that `Fn::GetAtt` reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    values: BTreeMap<String, String>,
    /// Groups of keys that are left out if the response would not fit: whole groups, the first one first.
    expendable: Vec<BTreeSet<String>>,
}

impl Data {
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: values.into_iter().collect(), expendable: Vec::new() }
    }

    /// Adds attributes.
    #[must_use]
    pub fn and(mut self, values: impl IntoIterator<Item = (String, String)>) -> Self {
        self.values.extend(values);
        self
    }

    /// Adds a group of keys that may be left out, after the groups before it.
    #[must_use]
    pub fn may_leave_out(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.expendable.push(keys.into_iter().collect());
        self
    }

    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }
}

/// One response to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub physical_resource_id: String,
    pub stack_id: String,
    pub request_id: String,
    pub logical_resource_id: String,
    /// The attributes of a success, or the reason of a failure.
    pub outcome: Result<Data, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a BTreeMap<String, String>>,
}

impl Response {
    /// Returns the JSON body, which fits into the limit.
    ///
    /// A control character in the reason would make DescribeStackEvents fail, so each becomes a space.
    #[must_use]
    pub fn body(&self) -> String {
        let Self { physical_resource_id, stack_id, request_id, logical_resource_id, outcome } = self;
        let body = |status, reason, data: Option<&BTreeMap<String, String>>| {
            let body = Body {
                status,
                reason,
                physical_resource_id: cut(physical_resource_id, MAX_PHYSICAL_ID),
                stack_id,
                request_id,
                logical_resource_id,
                data,
            };
            // Strings and maps of strings always serialize.
            serde_json::to_string(&body).unwrap_or_default()
        };
        match outcome {
            Ok(data) => {
                let success = |left_out: &[&BTreeSet<String>]| {
                    let mut values = data.values.clone();
                    values.retain(|key, _| !left_out.iter().any(|group| group.contains(key)));
                    body("SUCCESS", None, Some(&values).filter(|values| !values.is_empty()))
                };
                let mut left_out = Vec::new();
                let mut groups = data.expendable.iter();
                let mut text = success(&left_out);
                while text.len() > MAX_BYTES
                    && let Some(group) = groups.next()
                {
                    left_out.push(group);
                    text = success(&left_out);
                }
                // A later group may have made room for an earlier one.
                for group in left_out.clone() {
                    let fewer: Vec<_> = left_out.iter().copied().filter(|other| *other != group).collect();
                    let fuller = success(&fewer);
                    if fuller.len() <= MAX_BYTES {
                        (left_out, text) = (fewer, fuller);
                    }
                }
                for group in left_out {
                    tracing::warn!(?group, "left out, because the response may have at most {MAX_BYTES} bytes");
                }
                text
            }
            Err(reason) => {
                let reason = reason.replace(char::is_control, " ");
                let whole = body("FAILED", Some(reason.clone()), None);
                if whole.len() <= MAX_BYTES {
                    return whole;
                }
                // The longest beginning of the reason that fits.
                let cuts: Vec<usize> = reason.char_indices().map(|(index, _)| index).collect();
                let shortened = |cut: usize| body("FAILED", Some(format!("{}{CUT}", &reason[..cut])), None);
                let fitting = cuts.partition_point(|cut| shortened(*cut).len() <= MAX_BYTES);
                fitting.checked_sub(1).map_or_else(|| shortened(0), |index| shortened(cuts[index]))
            }
        }
    }
}

/// Returns the beginning of a text, at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn response(outcome: Result<Data, String>) -> Response {
        Response {
            physical_resource_id: "id".into(),
            stack_id: "arn:aws:cloudformation:us-east-1:1:stack/s/1".into(),
            request_id: "r".into(),
            logical_resource_id: "M2M".into(),
            outcome,
        }
    }

    fn json(response: &Response) -> Value {
        let body = response.body();
        assert!(body.len() <= MAX_BYTES, "{} bytes", body.len());
        serde_json::from_str(&body).unwrap()
    }

    #[test]
    fn a_success_carries_its_data_and_no_reason() {
        let body = json(&response(Ok(Data::new([("UserPoolId".to_owned(), "p".to_owned())]))));
        assert_eq!(body["Status"], "SUCCESS");
        assert_eq!(body["Data"]["UserPoolId"], "p");
        assert_eq!(body.get("Reason"), None);
    }

    #[test]
    fn a_long_reason_is_cut_to_the_last_byte_that_fits() {
        for unit in ["x", "é", "\"", "😀"] {
            let response = response(Err(unit.repeat(20_000)));
            let body = response.body();
            assert!((MAX_BYTES - 8..=MAX_BYTES).contains(&body.len()), "{unit:?}: {} bytes", body.len());
            let reason = json(&response)["Reason"].as_str().unwrap().to_owned();
            assert!(reason.starts_with(unit) && reason.ends_with(CUT), "{unit:?}");
        }
    }

    #[test]
    fn a_control_character_never_reaches_a_reason() {
        let body = json(&response(Err("one\ntwo\u{0}\u{1b}\u{7f}\u{85}é".to_owned())));
        assert_eq!(body["Reason"], "one two    é");
    }

    #[test]
    fn groups_that_do_not_fit_are_left_out_whole_and_in_turn() {
        let of = |count: usize, extra: usize| {
            let many: Vec<_> = (0..count).map(|n| (format!("Client.{n}"), "x".repeat(20))).collect();
            let names: Vec<_> = many.iter().map(|(key, _)| key.clone()).collect();
            let base = [("Base".to_owned(), "b".to_owned()), ("Big".to_owned(), "y".repeat(extra))];
            json(&response(Ok(Data::new(base.into_iter().chain(many))
                .may_leave_out(names)
                .may_leave_out(["Big".to_owned()]))))
        };
        assert_eq!(of(10, 10)["Data"].as_object().unwrap().len(), 12);
        assert_eq!(of(200, 10)["Data"].as_object().unwrap().len(), 2);
        assert_eq!(of(200, 5000)["Data"], serde_json::json!({ "Base": "b" }));
        // The first group was not enough, and the second one makes room for it.
        assert_eq!(of(50, 5000)["Data"].as_object().unwrap().len(), 51);
    }

    #[test]
    fn the_physical_id_keeps_to_its_own_limit() {
        let long = Response { physical_resource_id: "é".repeat(3000), ..response(Ok(Data::default())) };
        assert_eq!(json(&long)["PhysicalResourceId"].as_str().unwrap().len(), MAX_PHYSICAL_ID);
    }
}
