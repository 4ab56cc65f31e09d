//! The kinds of rules. Each rule reads a value and states itself in words.
//!
//! CloudFormation hands over every scalar as a string, so `"60"` and `60` are read alike.

use std::{collections::HashSet, ops::RangeInclusive};

use serde_json::Value;

use super::{
    reader::{Fields, Reader, quoted},
    table::{Entry, Object},
};

/// What a property may be.
pub(super) trait Rule {
    /// What a valid value is read as.
    type Value;

    /// Reads a value. Notes a violation and returns `None` if the value cannot be read or breaks the rule.
    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<Self::Value>;

    /// Returns what follows "must be", in Markdown.
    fn words(&self) -> String;
}

/// A rule for text.
pub(super) struct TextRule {
    /// The least number of characters.
    pub(super) min: usize,
    /// The greatest number of characters.
    pub(super) max: usize,
    pub(super) form: Form,
    /// Returns whether text has the form. It may leave out the length.
    pub(super) matches: fn(&str) -> bool,
}

/// What text may consist of, for people and for JSON Schema.
///
/// A regular expression has no anchors and leaves out the length. It uses only what all dialects that read JSON Schema
/// agree on.
pub(super) enum Form {
    /// Any characters.
    Any,
    /// A set of characters.
    Pattern {
        /// The characters in words, in Markdown.
        words: &'static str,
        /// The pattern as the API's page prints it.
        printed: &'static str,
        /// The regular expression, if it differs from the printed pattern.
        regex: Option<&'static str>,
    },
    /// A form that words describe better than a pattern.
    Prose { words: &'static str, regex: &'static str },
}

impl TextRule {
    pub(super) fn holds(&self, text: &str) -> bool {
        (self.min..=self.max).contains(&text.chars().count()) && (self.matches)(text)
    }

    /// Returns what follows "must be" in a message.
    pub(super) fn demand(&self) -> String {
        let range = self.range();
        match self.form {
            Form::Any => format!("{range} characters"),
            Form::Pattern { printed, .. } => format!("{range} characters matching {printed}"),
            Form::Prose { words, .. } => plain(words),
        }
    }

    /// Returns the message for text that breaks the rule.
    pub(super) fn refusal(&self, text: &str) -> String {
        let found = if text.is_empty() { "empty".to_owned() } else { quoted(text) };
        format!("must be {}, but is {found}", self.demand())
    }

    /// Returns the regular expression, or `None` if any characters will do.
    pub(super) const fn regex(&self) -> Option<&'static str> {
        match self.form {
            Form::Any => None,
            Form::Pattern { regex: Some(regex), .. } | Form::Prose { regex, .. } => Some(regex),
            Form::Pattern { printed, regex: None, .. } => Some(printed),
        }
    }

    fn range(&self) -> String {
        counted(self.min, self.max)
    }
}

impl Rule for TextRule {
    type Value = String;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<String> {
        let text = reader.text(path, value)?;
        if !self.holds(&text) {
            reader.refuse(path, self.refusal(&text));
            return None;
        }
        Some(text)
    }

    fn words(&self) -> String {
        match self.form {
            Form::Any => format!("{} characters", self.range()),
            Form::Pattern { words, .. } => format!("{} {words}", self.range()),
            Form::Prose { words, .. } => words.to_owned(),
        }
    }
}

/// A rule for whole numbers.
pub(super) struct NumberRule {
    /// In rising order.
    pub(super) ranges: &'static [RangeInclusive<u32>],
}

impl NumberRule {
    pub(super) fn holds(&self, number: u32) -> bool {
        self.ranges.iter().any(|range| range.contains(&number))
    }
}

impl Rule for NumberRule {
    type Value = u32;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<u32> {
        let text = reader.text(path, value)?;
        // `parse` would accept a plus sign.
        let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| only_digits && self.holds(*number));
        if number.is_none() {
            reader.refuse(path, format!("must be a whole number, {}, but is {}", self.words(), quoted(&text)));
        }
        number
    }

    fn words(&self) -> String {
        let words = |range: &RangeInclusive<u32>| match range.end() - range.start() {
            0 => range.start().to_string(),
            1 => format!("{} or {}", range.start(), range.end()),
            _ => format!("{} to {}", range.start(), range.end()),
        };
        self.ranges.iter().map(words).collect::<Vec<_>>().join(" or ")
    }
}

/// One of several words.
pub(super) struct Choice(pub(super) &'static [&'static str]);

impl Rule for Choice {
    type Value = &'static str;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<&'static str> {
        let text = reader.text(path, value)?;
        let found = self.0.iter().find(|word| **word == text).copied();
        if found.is_none() {
            reader.refuse(path, format!("must be one of {}, but is {}", self.0.join(", "), quoted(&text)));
        }
        found
    }

    fn words(&self) -> String {
        listed(self.0, "or")
    }
}

/// A boolean.
pub(super) struct Flag;

impl Flag {
    pub(super) const WORDS: [&str; 2] = ["true", "false"];
}

impl Rule for Flag {
    type Value = bool;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<bool> {
        Choice(&Self::WORDS).read(reader, path, value).map(|word| word == Self::WORDS[0])
    }

    fn words(&self) -> String {
        listed(&Self::WORDS, "or")
    }
}

/// A list of different texts, at most `max`.
pub(super) struct TextList {
    pub(super) max: usize,
    pub(super) item: TextRule,
    /// Whether the list may be empty, or have one empty text: that is what a template parameter of the type
    /// `CommaDelimitedList` becomes if its value is empty.
    pub(super) may_be_empty: bool,
}

impl TextList {
    pub(super) const fn min(&self) -> usize {
        if self.may_be_empty { 0 } else { 1 }
    }
}

impl Rule for TextList {
    /// Each text with its path. Texts that break their rule are left out.
    type Value = Vec<(String, String)>;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<Self::Value> {
        if self.may_be_empty && is_unset_parameter(value) {
            return Some(Vec::new());
        }
        let list = reader.list(path, value, self.min()..=self.max)?;
        let mut seen = HashSet::new();
        let mut texts = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some(text) = self.item.read(reader, &path, entry) else { continue };
            if !seen.insert(text.clone()) {
                reader.refuse(&path, format!("must be unique in the list, but {} is listed twice", quoted(&text)));
            }
            texts.push((path, text));
        }
        Some(texts)
    }

    fn words(&self) -> String {
        format!("{} different entries, each {}", counted(self.min(), self.max), self.item.words())
    }
}

/// Tells whether a list is what an empty parameter of the type `CommaDelimitedList` becomes.
pub(super) fn is_unset_parameter(value: &Value) -> bool {
    matches!(value.as_array().map(Vec::as_slice), Some([Value::String(text)]) if text.is_empty())
}

/// A list of `min` to `max` objects.
pub(super) struct ObjectList {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) each: &'static Object,
}

impl Rule for ObjectList {
    /// Entries that are no maps are left out.
    type Value = Vec<Fields>;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<Vec<Fields>> {
        let list = reader.list(path, value, self.min..=self.max)?;
        let entries = list.iter().enumerate();
        Some(
            entries.filter_map(|(index, entry)| reader.object(&format!("{path}[{index}]"), entry, self.each)).collect(),
        )
    }

    fn words(&self) -> String {
        format!("{} entries", counted(self.min, self.max))
    }
}

/// One object.
pub(super) struct OneObject(pub(super) &'static Object);

impl Rule for OneObject {
    type Value = Fields;

    fn read(&self, reader: &mut Reader, path: &str, value: &Value) -> Option<Fields> {
        reader.object(path, value, self.0)
    }

    fn words(&self) -> String {
        let names: Vec<_> = self.0.entries.iter().map(Entry::name).collect();
        format!("a map with {}", listed(&names, "and"))
    }
}

/// Returns how many there may be, such as `1 to 25`.
pub(super) fn counted(min: usize, max: usize) -> String {
    if min == 0 { format!("at most {max}") } else { format!("{min} to {max}") }
}

/// Returns words in code spans, such as `LITE`, `ESSENTIALS` or `PLUS`.
pub(super) fn listed(words: &[&str], conjunction: &str) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} {conjunction} {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// Returns Markdown of this module as plain text.
pub(super) fn plain(markdown: &str) -> String {
    markdown.replace('`', "")
}
