//! What a secret remembers of `RotateSecrets`.
//!
//! An Update rotates when the property has a value other than the present one and the one before it.
//! Both must therefore be known, also to a redelivery and to a rollback, and a half-way state must
//! not lose them. They stand in the secret's description, one record for each secret, as digests:
//! the value may be any text.

use uuid::Uuid;

use super::ClientName;

/// The present value of `RotateSecrets` and the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationRecord {
    present: String,
    before: String,
}

const MADE_BY: &str = "made by cognito-m2m";

impl RotationRecord {
    /// The record of a secret that is made while the property has this value.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self { present: digest(value), before: String::new() }
    }

    /// Whether the property's value asks for a rotation.
    #[must_use]
    pub fn asks_to_rotate(&self, value: &str) -> bool {
        let value = digest(value);
        value != self.present && value != self.before
    }

    /// The record once the property has this value.
    #[must_use]
    pub fn then(&self, value: &str) -> Self {
        let value = digest(value);
        if value == self.present { self.clone() } else { Self { before: self.present.clone(), present: value } }
    }

    /// The description of a client's secret.
    #[must_use]
    pub fn describe(&self, client: &ClientName) -> String {
        let Self { present, before } = self;
        let text = format!("OAuth 2.0 client credentials of {client}; {MADE_BY}");
        if *self == Self::default() { text } else { format!("{text} (RotateSecrets {present:?}, before {before:?})") }
    }

    /// Reads a description; `None` where somebody has written another one.
    #[must_use]
    pub fn parse(description: &str) -> Option<Self> {
        let (_, record) = description.split_once(MADE_BY)?;
        if record.is_empty() {
            return Some(Self::default());
        }
        let (present, before) =
            record.strip_prefix(" (RotateSecrets \"")?.strip_suffix("\")")?.split_once("\", before \"")?;
        Some(Self { present: present.to_owned(), before: before.to_owned() })
    }
}

/// Nothing for nothing, else sixteen digits.
fn digest(value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("RotateSecrets {value}").as_bytes());
    digest.simple().to_string()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_that_is_neither_present_nor_the_one_before_rotates() {
        let fresh = RotationRecord::new("");
        assert!(!fresh.asks_to_rotate(""));
        assert!(fresh.asks_to_rotate("a"));
        let a = fresh.then("a");
        assert!(!a.asks_to_rotate("a"), "a redelivery");
        assert!(!a.asks_to_rotate(""), "a rollback");
        let back = a.then("");
        assert!(!back.asks_to_rotate("a"), "the one before");
        assert!(back.then("a") == a && a.asks_to_rotate("b"));
        assert!(a.then("b").asks_to_rotate(""), "two before");
        assert_eq!(a.then("a"), a);
    }

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let client = ClientName::from("orders");
        for record in [
            RotationRecord::default(),
            RotationRecord::new("2026"),
            RotationRecord::new("a").then("b"),
            RotationRecord::new("a").then(""),
        ] {
            assert_eq!(RotationRecord::parse(&record.describe(&client)), Some(record));
        }
        assert!(!RotationRecord::new("2026").describe(&client).contains("2026"), "any text may be the value");
        assert_eq!(RotationRecord::parse("written by hand"), None);
        assert_eq!(RotationRecord::parse("made by cognito-m2m (changed)"), None);
    }
}
