//! The mark in the name of an app client or a resource server.
//!
//! Neither can be tagged, so the name says who owns it: a resource that adds to somebody else's pool
//! calls its client or server `<name> @<mark>`.

use std::fmt;

use uuid::Uuid;

use super::Owner;

const MARK_LEN: usize = 16;
const SEPARATOR: &str = " @";
/// The characters that a mark adds to a name.
pub const MARK_SUFFIX_LEN: usize = SEPARATOR.len() + MARK_LEN;

/// Who owns a client or a server: 16 lower-case hexadecimal digits, derived from a stack id and a logical id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(String);

impl Mark {
    /// The mark of what the owner creates.
    #[must_use]
    pub fn of(owner: &Owner) -> Self {
        Self::derive("created", owner)
    }

    /// The mark of a client that existed before the owner took it over. It differs from [`Mark::of`], so that the
    /// client's name says that it must not be deleted.
    #[must_use]
    pub fn of_adopted(owner: &Owner) -> Self {
        Self::derive("adopted", owner)
    }

    fn derive(how: &str, owner: &Owner) -> Self {
        let name = format!("{how}\n{}\n{}", owner.stack_id, owner.logical_id);
        let mut digits = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).simple().to_string();
        digits.truncate(MARK_LEN);
        Self(digits)
    }

    fn parse(text: &str) -> Option<Self> {
        let is_mark =
            text.len() == MARK_LEN && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_mark.then(|| Self(text.to_owned()))
    }

    /// Splits a name as Cognito holds it into the plain name and the mark.
    #[must_use]
    pub fn split(full: &str) -> (&str, Option<Self>) {
        match full.rsplit_once(SEPARATOR).map(|(name, mark)| (name, Self::parse(mark))) {
            Some((name, Some(mark))) => (name, Some(mark)),
            _ => (full, None),
        }
    }

    /// Returns the name as Cognito holds it.
    #[must_use]
    pub fn join(name: &str, mark: Option<&Self>) -> String {
        match mark {
            Some(mark) => format!("{name}{SEPARATOR}{mark}"),
            None => name.to_owned(),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { stack_id: "arn:aws:cloudformation:us-east-1:1:stack/orders/1".into(), logical_id: "Client".into() }
    }

    #[test]
    fn a_marked_name_is_split_as_it_was_joined() {
        let mark = Mark::of(&owner());
        let full = Mark::join("orders @home", Some(&mark));
        assert_eq!(full.len(), "orders @home".len() + MARK_SUFFIX_LEN);
        assert_eq!(Mark::split(&full), ("orders @home", Some(mark)));
        for plain in ["", "orders", "orders @0123456789abcde", "orders @0123456789ABCDEF", "a@0123456789abcdef"] {
            assert_eq!(Mark::split(plain), (plain, None));
            assert_eq!(Mark::join(plain, None), plain);
        }
    }

    #[test]
    fn each_owner_has_two_marks_and_shares_none() {
        let other = Owner { logical_id: "Other".into(), ..owner() };
        let marks = [Mark::of(&owner()), Mark::of_adopted(&owner()), Mark::of(&other), Mark::of_adopted(&other)];
        let distinct: std::collections::BTreeSet<_> = marks.iter().collect();
        assert_eq!(distinct.len(), marks.len());
    }
}
