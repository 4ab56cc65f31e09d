//! Reads the properties of an object by its table.
//!
//! Every reader notes what is wrong and goes on, so one deployment reports everything.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{
    rules::{Rule, count_message, fill, plain},
    table::{Absent, CLOUDFORMATIONS_OWN, Entry, Object, Property},
};
use crate::model::{Violation, Violations};

/// Collects violations while properties are read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    violations: Vec<Violation>,
}

/// The properties of one object, as they were given.
pub(super) struct Fields {
    path: String,
    values: Map<String, Value>,
    table: &'static Object,
}

impl Fields {
    /// Returns an object without any properties.
    pub(super) fn none(table: &'static Object) -> Self {
        Self { path: String::new(), values: Map::new(), table }
    }

    pub(super) fn has<R>(&self, property: &Property<R>) -> bool {
        self.values.contains_key(property.name)
    }

    /// Returns the path of a property, such as `Clients[1].ClientName`.
    pub(super) fn path<R>(&self, property: &Property<R>) -> String {
        join(&self.path, property.name)
    }
}

impl Reader {
    pub(super) fn refuse(&mut self, path: impl Into<String>, rule: impl Into<String>) {
        let violation = Violation { path: path.into(), rule: rule.into() };
        // Some properties are read twice.
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    pub(super) fn has_refused(&self, path: &str) -> bool {
        self.violations.iter().any(|violation| violation.path == path)
    }

    pub(super) fn finish(self) -> Result<(), Violations> {
        if self.violations.is_empty() {
            return Ok(());
        }
        Err(Violations(self.violations))
    }

    /// Reads an object. Refuses properties that its table does not list.
    pub(super) fn object(&mut self, path: &str, value: &Value, table: &'static Object) -> Option<Fields> {
        let Some(values) = value.as_object() else {
            let path = if path.is_empty() { "ResourceProperties" } else { path };
            self.refuse(path, format!("must be a map, but is {}", kind(value)));
            return None;
        };
        let known = table.entries.iter().map(Entry::name).chain(CLOUDFORMATIONS_OWN);
        for name in values.keys() {
            if !known.clone().any(|known| known == name) {
                self.refuse(join(path, name), unknown_message(table));
            }
        }
        Some(Fields { path: path.to_owned(), values: values.clone(), table })
    }

    /// Reads a property of an object.
    ///
    /// Returns the default if the property is absent, and also if it breaks its rule, so that nothing that depends on
    /// the property is reported as well. Returns `None` only if the table has no default value.
    pub(super) fn read<R: Rule>(&mut self, fields: &Fields, property: &Property<R>) -> Option<R::Value> {
        let Property { name, rule, absent, description: _ } = property;
        debug_assert!(fields.table.entries.iter().any(|entry| entry.name() == *name), "{name} is not in the table");
        let path = fields.path(property);
        let given = fields.values.get(*name);
        if let Some(read) = given.and_then(|value| rule.read(self, &path, value)) {
            return Some(read);
        }
        match absent {
            Absent::Default(default) => rule.read(self, &path, &default()),
            Absent::Described(_) => None,
            Absent::Refused => {
                if given.is_none() {
                    self.refuse(path, required_message(&rule.words()));
                }
                None
            }
        }
    }

    /// Returns a list, and notes if it has too few or too many entries.
    pub(super) fn list<'v>(
        &mut self,
        path: &str,
        value: &'v Value,
        lengths: RangeInclusive<usize>,
    ) -> Option<&'v [Value]> {
        let Some(list) = value.as_array() else {
            self.refuse(path, format!("must be a list, but is {}", kind(value)));
            return None;
        };
        if !lengths.contains(&list.len()) {
            self.refuse(path, fill(&count_message(*lengths.start(), *lengths.end()), list.len()));
        }
        Some(list)
    }

    /// Returns a string, number or boolean as text.
    pub(super) fn text(&mut self, path: &str, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                self.refuse(path, format!("must be a string, but is {}", kind(value)));
                None
            }
        }
    }
}

/// Returns the message for a property that an object does not have.
pub(super) fn unknown_message(table: &Object) -> String {
    let known: Vec<_> = table.entries.iter().map(Entry::name).collect();
    format!("is not a known property; known here: {}", known.join(", "))
}

/// Returns the message for a property that must be given, whose rule `words` states in Markdown.
pub(super) fn required_message(words: &str) -> String {
    format!("is required: {}", plain(words))
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { shorten(name) } else { format!("{path}.{}", shorten(name)) }
}

/// Returns text for a message that says what it is.
pub(super) fn found(text: &str) -> String {
    if text.is_empty() { "empty".to_owned() } else { quoted(text) }
}

/// Returns a value for a message, on one line and not too long.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    // Enough to recognize a value. A message holds several, and CloudFormation takes 4,096 bytes.
    const MAX_CHARS: usize = 80;
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    let head: String = text.chars().take(MAX_CHARS).collect();
    format!("{head}… ({} characters)", text.chars().count())
}

pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
