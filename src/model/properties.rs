//! Reading a template's properties: CloudFormation's JSON in, typed values or violations out.
//!
//! CloudFormation hands every scalar over as a string, so `"60"` and `60` read alike. Every reader
//! notes what is wrong and goes on, so that one deploy reports everything.

use std::{fmt, ops::RangeInclusive};

use serde_json::{Map, Value};

/// A property that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Where it stands, such as `Clients[1].AllowedOAuthScopes[0]`.
    pub path: String,
    /// The rule and what was found.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, rule } = self;
        write!(f, "{path}: {rule}")
    }
}

/// All that is wrong with a set of properties; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "property is" } else { "properties are" };
        write!(f, "{count} {noun} not valid, and nothing was changed. ")?;
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

pub(super) const FLAGS: [&str; 2] = ["true", "false"];

/// Collects violations while the properties are read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    violations: Vec<Violation>,
}

/// CloudFormation adds these to the properties of every custom resource.
pub(super) const NOT_OURS: [&str; 2] = ["ServiceToken", "ServiceTimeout"];

impl Reader {
    pub(super) fn refuse(&mut self, path: impl Into<String>, rule: impl Into<String>) {
        self.violations.push(Violation { path: path.into(), rule: rule.into() });
    }

    pub(super) fn finish(mut self) -> Result<(), Violations> {
        if self.violations.is_empty() {
            return Ok(());
        }
        self.violations.dedup();
        Err(Violations(self.violations))
    }

    /// An object whose every name is known; unknown names are refused.
    pub(super) fn object<'v>(
        &mut self,
        path: &str,
        value: &'v Value,
        known: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Some(map) = value.as_object() else {
            self.refuse(
                if path.is_empty() { "ResourceProperties" } else { path },
                format!("must be a map, but is {}", kind(value)),
            );
            return None;
        };
        for name in map.keys() {
            if !known.contains(&name.as_str()) && !NOT_OURS.contains(&name.as_str()) {
                self.refuse(join(path, name), format!("is not a known property; known here: {}", known.join(", ")));
            }
        }
        Some(map)
    }

    /// A list of `min` to `max` entries; an absent one is `None`.
    pub(super) fn list<'v>(
        &mut self,
        path: &str,
        value: Option<&'v Value>,
        min: usize,
        max: usize,
    ) -> Option<&'v [Value]> {
        let value = value?;
        let Some(list) = value.as_array() else {
            self.refuse(path, format!("must be a list, but is {}", kind(value)));
            return None;
        };
        if !(min..=max).contains(&list.len()) {
            self.refuse(path, format!("must have {min} to {max} entries, but has {}", list.len()));
        }
        Some(list)
    }

    /// A string, number or boolean, as text.
    pub(super) fn text(&mut self, path: &str, value: Option<&Value>) -> Option<String> {
        match value? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            other => {
                self.refuse(path, format!("must be a string, but is {}", kind(other)));
                None
            }
        }
    }

    /// Text that a rule must hold for.
    pub(super) fn ruled_text(&mut self, path: &str, value: Option<&Value>, rule: &TextRule) -> Option<String> {
        let text = self.text(path, value)?;
        self.check(path, &text, rule).then_some(text)
    }

    /// Whether the rule holds; refuses where it does not.
    pub(super) fn check(&mut self, path: &str, text: &str, rule: &TextRule) -> bool {
        let holds = rule.holds(text);
        if !holds {
            self.refuse(path, format!("{} but is {}", rule.says(), quoted(text)));
        }
        holds
    }

    /// One of the words.
    pub(super) fn word<'w>(&mut self, path: &str, value: Option<&Value>, words: &[&'w str]) -> Option<&'w str> {
        let text = self.text(path, value)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.refuse(path, format!("must be one of {}, but is {}", words.join(", "), quoted(&text)));
        }
        found
    }

    /// A whole number that the rule holds for.
    pub(super) fn number(&mut self, path: &str, value: Option<&Value>, rule: &NumberRule) -> Option<u32> {
        let text = self.text(path, value)?;
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<u32>().ok().filter(|number| plain && rule.holds(*number));
        if number.is_none() {
            self.refuse(path, format!("must be a whole number, {}, but is {}", rule.says, quoted(&text)));
        }
        number
    }

    pub(super) fn flag(&mut self, path: &str, value: Option<&Value>) -> Option<bool> {
        self.word(path, value, &FLAGS).map(|word| word == "true")
    }
}

/// A rule for text: its length in characters and what each character may be.
pub(super) struct TextRule {
    pub(super) min: usize,
    pub(super) max: usize,
    /// The pattern as the API's page prints it.
    pub(super) pattern: &'static str,
    /// What `matches` says, for those who have no Rust.
    pub(super) regex: Regex,
    pub(super) matches: fn(&str) -> bool,
}

/// The regular expression of a [`TextRule`], which leaves its length out. It has no anchors, and is
/// written so that the dialects that JSON Schema is read with agree on it.
pub(super) enum Regex {
    /// The pattern as it is printed.
    Printed,
    /// Where the printed pattern is prose, or is not to the letter what `matches` says.
    Other(&'static str),
    /// Any character will do.
    Any,
}

impl TextRule {
    pub(super) fn holds(&self, text: &str) -> bool {
        (self.min..=self.max).contains(&text.chars().count()) && (self.matches)(text)
    }

    fn says(&self) -> String {
        let Self { min, max, pattern, regex: _, matches: _ } = self;
        format!("must be {min} to {max} characters matching {pattern},")
    }

    /// `None` where any character will do.
    pub(super) fn regex(&self) -> Option<&'static str> {
        match self.regex {
            Regex::Printed => Some(self.pattern),
            Regex::Other(regex) => Some(regex),
            Regex::Any => None,
        }
    }
}

/// A rule for whole numbers.
pub(super) struct NumberRule {
    /// The ranges in words.
    pub(super) says: &'static str,
    /// In rising order.
    pub(super) ranges: &'static [RangeInclusive<u32>],
}

impl NumberRule {
    pub(super) fn holds(&self, number: u32) -> bool {
        self.ranges.iter().any(|range| range.contains(&number))
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { shorten(name) } else { format!("{path}.{}", shorten(name)) }
}

/// A value for a message: one line, and never longer than a message can bear.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    let head: String = text.chars().take(MAX_CHARS).collect();
    format!("{head}… ({} characters)", text.chars().count())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
