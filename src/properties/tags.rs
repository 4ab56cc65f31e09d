//! The rule for tags: a map, or a list of `Key=Value` texts.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    reader::{Reader, found, join, kind, quoted},
    rules::{FOUND, Form, Rule, TextRule, fill, is_unset_parameter, listed},
};
use crate::model::{
    Tags,
    ownership::{MAX_TAGS, OUR_TAG_PREFIX},
};

/// The tags that mark the owner.
const OWNERS_TAGS: usize = 3;

/// AWS reserves keys that begin with this, in any case.
pub(super) const AWS_TAG_PREFIX: &str = "aws:";

const TAG_FORM: Form = Form::Pattern {
    words: "letters, digits, spaces and `_.:/=+-@`",
    printed: r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
    // As `is_tag_char` has it, in the classes of Unicode that ECMA-262 knows.
    regex: Some(r"[\p{Alphabetic}\p{N}\p{Z}_.:/=+@-]*"),
};
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
pub(super) const TAG_KEY: TextRule =
    TextRule { min: 1, max: 128, form: TAG_FORM, matches: |text| text.chars().all(is_tag_char) };
pub(super) const TAG_VALUE: TextRule =
    TextRule { min: 0, max: 256, form: TAG_FORM, matches: |text| text.chars().all(is_tag_char) };

fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

pub(super) const TAGS_TYPE: &str = "must be a map of strings or a list of Key=Value, but is {found}";
pub(super) const KEY_AND_VALUE: &str = "must be a tag, written Key=Value, but is {found}";
pub(super) const KEY_DECLARED_TWICE: &str = "must have a key of its own, but {found} is declared twice";

pub(super) fn aws_key_message() -> String {
    format!("the tag's key must not begin with {AWS_TAG_PREFIX}, which is reserved for AWS, but is {FOUND}")
}

pub(super) fn tag_key_message() -> String {
    format!("the tag's key {}", TAG_KEY.message())
}

pub(super) fn tag_value_message() -> String {
    format!("the tag's value {}", TAG_VALUE.message())
}

/// The user's tags.
pub(super) struct TagsRule {
    /// The keys of the tags that the resource sets itself, besides those that begin with [`OUR_TAG_PREFIX`].
    pub(super) reserved: &'static [&'static str],
}

impl TagsRule {
    /// Returns how many tags the resource sets itself. The note about events is not among them: it is left out if
    /// there is no room.
    pub(super) const fn ours(&self) -> usize {
        // The owner's tags are `ManagedBy`, which is reserved, and two that begin with the prefix.
        OWNERS_TAGS - 1 + self.reserved.len()
    }

    pub(super) const fn max(&self) -> usize {
        MAX_TAGS - self.ours()
    }

    pub(super) fn count_message(&self) -> String {
        let (max, ours) = (self.max(), self.ours());
        format!("must have at most {max} entries, because the resource adds {ours} tags of its own, but has {FOUND}")
    }

    pub(super) fn own_key_message(&self) -> String {
        let how = if self.reserved.contains(&"Project") {
            " (EnvironmentName and ProjectTag set Environment and Project)"
        } else {
            ""
        };
        format!("the tag's key must not be {FOUND}, because the resource sets this tag itself{how}")
    }
}

impl Rule for TagsRule {
    type Value = Tags;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<Tags> {
        let tags: Vec<(String, String, String)> = match value {
            Value::Object(map) => {
                map.iter().filter_map(|(key, value)| read_pair(reader, join(path, key), key, value)).collect()
            }
            Value::Array(_) if is_unset_parameter(value) => Vec::new(),
            Value::Array(list) => read_list(reader, path, list),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                reader.refuse(path, fill(TAGS_TYPE, kind(value)));
                return None;
            }
        };
        let count = value.as_object().map(serde_json::Map::len).or(value.as_array().map(Vec::len)).unwrap_or_default();
        if count > self.max() {
            reader.refuse(path, fill(&self.count_message(), count));
        }
        for (path, key, value) in &tags {
            self.check_key(reader, path, key);
            if !TAG_VALUE.holds(value) {
                reader.refuse(path, fill(&tag_value_message(), found(value)));
            }
        }
        Some(tags.into_iter().map(|(_, key, value)| (key, value)).collect())
    }

    fn words(&self) -> String {
        format!(
            "at most {} tags. A key has {}, is {}, and does not begin with `{AWS_TAG_PREFIX}` or \
             `{OUR_TAG_PREFIX}`. A value has {}",
            self.max(),
            TAG_KEY.words(),
            match self.reserved {
                [only] => format!("not `{only}`"),
                reserved => format!("none of {}", listed(reserved, "and")),
            },
            TAG_VALUE.words(),
        )
    }
}

/// Returns the path, key and value of a tag.
fn read_pair(reader: &mut Reader, path: String, key: &str, value: &Value) -> Option<(String, String, String)> {
    let value = reader.text(&path, value)?;
    Some((path, key.to_owned(), value))
}

fn read_list(reader: &mut Reader, path: &str, list: &[Value]) -> Vec<(String, String, String)> {
    let mut seen = HashSet::new();
    let mut tags = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(text) = reader.text(&path, entry) else { continue };
        let Some((key, value)) = text.split_once('=') else {
            reader.refuse(path, fill(KEY_AND_VALUE, quoted(&text)));
            continue;
        };
        if !seen.insert(key.to_owned()) {
            reader.refuse(&path, fill(KEY_DECLARED_TWICE, quoted(key)));
        }
        tags.push((path, key.to_owned(), value.to_owned()));
    }
    tags
}

impl TagsRule {
    fn check_key(&self, reader: &mut Reader, path: &str, key: &str) {
        if key.to_ascii_lowercase().starts_with(AWS_TAG_PREFIX) {
            reader.refuse(path, fill(&aws_key_message(), quoted(key)));
        } else if self.reserved.contains(&key) || key.starts_with(OUR_TAG_PREFIX) {
            reader.refuse(path, fill(&self.own_key_message(), quoted(key)));
        } else if !TAG_KEY.holds(key) {
            reader.refuse(path, fill(&tag_key_message(), found(key)));
        }
    }
}
