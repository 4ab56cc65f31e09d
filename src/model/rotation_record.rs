//! What a secret remembers of `RotateSecrets`.
//!
//! An Update rotates if the property's value is neither the present one nor the one before it. A
//! redelivery and a rollback must know both, and a half-way state must not lose them. So the secret's
//! description records them, as digests, because the value may be any text.

use uuid::Uuid;

use super::ClientName;

/// The present value of `RotateSecrets`, the one before it, and how often the value has changed. The count
/// tells two changes apart even if the values come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationRecord {
    present: String,
    before: String,
    changes: u32,
}

const MADE_BY: &str = "made by cognito-m2m";

impl RotationRecord {
    /// Returns the record of a secret that is created while the property has this value.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self { present: digest(value), ..Self::default() }
    }

    /// Tells whether the property's value asks for a rotation.
    #[must_use]
    pub fn asks_to_rotate(&self, value: &str) -> bool {
        let value = digest(value);
        value != self.present && value != self.before
    }

    /// Returns the record once the property has this value.
    #[must_use]
    pub fn then(&self, value: &str) -> Self {
        let value = digest(value);
        if value == self.present {
            return self.clone();
        }
        Self { before: self.present.clone(), present: value, changes: self.changes.saturating_add(1) }
    }

    /// Returns the description of a client's secret.
    #[must_use]
    pub fn describe(&self, client: &ClientName) -> String {
        let Self { present, before, changes } = self;
        let text = format!("OAuth 2.0 client credentials of {client}; {MADE_BY}");
        if *self == Self::default() {
            return text;
        }
        format!("{text} (RotateSecrets {present:?}, before {before:?}, changes {changes})")
    }

    /// Reads a description. Returns `None` if somebody has written another one.
    #[must_use]
    pub fn parse(description: &str) -> Option<Self> {
        let (_, record) = description.split_once(MADE_BY)?;
        if record.is_empty() {
            return Some(Self::default());
        }
        let (present, rest) =
            record.strip_prefix(" (RotateSecrets \"")?.strip_suffix(')')?.split_once("\", before \"")?;
        let (before, changes) = rest.split_once('"')?;
        // Version 1 did not count.
        let changes = if changes.is_empty() { 0 } else { changes.strip_prefix(", changes ")?.parse().ok()? };
        Some(Self { present: present.to_owned(), before: before.to_owned(), changes })
    }
}

/// Returns nothing for nothing, else sixteen digits.
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
        assert!(back.then("a") != a, "the count tells them apart");
        assert!(!back.then("a").asks_to_rotate("") && a.asks_to_rotate("b"));
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
        let version_1 = "of orders; made by cognito-m2m (RotateSecrets \"0123\", before \"\")";
        assert_eq!(RotationRecord::parse(version_1).map(|record| record.present), Some("0123".to_owned()));
    }
}
