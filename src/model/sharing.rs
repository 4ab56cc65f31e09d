//! Who else may read a client's secret, and where else it is: readers and replicas.
//!
//! Readers are the principals of one statement in the secret's resource policy. The other statements of the policy
//! belong to somebody else. Secrets Manager writes the policy as a whole, so this module takes it apart and puts it
//! together again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value, json};

use super::{Principal, Region, Tags, ids::same_key, ownership::MAX_TAGS};

/// The replicas of a secret: each region with the key there. `None` is the AWS managed key of that region.
pub type Replicas = BTreeMap<Region, Option<String>>;

/// The Sid of our statement in a secret's resource policy.
pub const READERS_SID: &str = "CognitoM2MReaders";

/// The tag of a secret whose resource policy may contain our statement. It is set before the statement is written and
/// removed after the statement is gone. So an Update reads the policies of only those secrets that can have readers.
pub const READERS_TAG: &str = "cognito-m2m:readers";
pub(crate) const READERS_TAG_VALUE: &str = "yes";

/// The most characters of a secret's resource policy.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
pub const MAX_POLICY: usize = 20_480;

/// What a reader may do.
const ACTIONS: [&str; 2] = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"];
/// The version of the policy language.
const VERSION: &str = "2012-10-17";

/// Tells whether a secret with these tags can have our statement in its policy. A secret with as many tags as AWS
/// allows may have had no room for the mark.
#[must_use]
pub fn may_have_readers(tags: &Tags) -> bool {
    let counted = tags.keys().filter(|key| !key.starts_with("aws:")).count();
    tags.contains_key(READERS_TAG) || counted >= MAX_TAGS
}

/// A resource policy of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePolicy(Map<String, Value>);

/// What must happen to a policy so that it names certain readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChange {
    Keep,
    Put(ResourcePolicy),
    /// Our statement was the only one.
    Delete,
}

impl ResourcePolicy {
    /// Returns `None` if the text is no JSON object.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// Returns how a policy must change so that our statement names exactly these readers. The other statements stay.
    #[must_use]
    pub fn with_readers(policy: Option<&Self>, readers: &BTreeSet<Principal>) -> PolicyChange {
        let statements = policy.map(Self::statements).unwrap_or_default();
        let (ours, mut others): (Vec<_>, Vec<_>) = statements.into_iter().partition(is_ours);
        if readers.is_empty() {
            return match (policy, ours.is_empty(), others.is_empty()) {
                (_, true, _) | (None, ..) => PolicyChange::Keep,
                (Some(_), false, true) => PolicyChange::Delete,
                (Some(policy), false, false) => PolicyChange::Put(policy.with_statements(others)),
            };
        }
        if let [only] = ours.as_slice()
            && grants_reading_to(only, readers)
        {
            return PolicyChange::Keep;
        }
        others.push(statement(readers));
        let new = || Self(Map::from_iter([("Version".to_owned(), json!(VERSION))]));
        PolicyChange::Put(policy.cloned().unwrap_or_else(new).with_statements(others))
    }

    /// Returns the principals of our statement as the policy spells them. A principal that was deleted is an id such as
    /// `AROA…`, which nobody can use any more.
    #[must_use]
    pub fn readers(&self) -> BTreeSet<String> {
        let ours = self.statements().into_iter().filter(is_ours);
        ours.filter_map(|statement| texts(statement.get("Principal")?.get("AWS")?)).flatten().collect()
    }

    /// Returns those of the readers that our statement names already.
    #[must_use]
    pub fn known(policy: Option<&Self>, readers: &BTreeSet<Principal>) -> BTreeSet<Principal> {
        let present = policy.map(Self::readers).unwrap_or_default();
        let present: BTreeSet<&str> = present.iter().map(|text| short_principal(text)).collect();
        readers.iter().filter(|reader| present.contains(short_principal(reader.as_str()))).cloned().collect()
    }

    /// Returns the principals that a change adds (`+`) and removes (`-`).
    #[must_use]
    pub fn changes(policy: Option<&Self>, readers: &BTreeSet<Principal>) -> Vec<String> {
        let known = Self::known(policy, readers);
        let present = policy.map(Self::readers).unwrap_or_default();
        let stays = |text: &str| known.iter().any(|known| short_principal(known.as_str()) == short_principal(text));
        let added = readers.difference(&known).map(|reader| format!("+{reader}"));
        let removed = present.iter().filter(|text| !stays(text)).map(|text| format!("-{text}"));
        let changes: Vec<_> = added.chain(removed).collect();
        if changes.is_empty() { vec!["the statement of the readers".to_owned()] } else { changes }
    }

    /// Returns the number of characters that Secrets Manager counts.
    #[must_use]
    pub fn length(&self) -> usize {
        self.to_string().chars().count()
    }

    /// IAM also accepts a single statement that is not in a list.
    fn statements(&self) -> Vec<Value> {
        match self.0.get("Statement") {
            Some(Value::Array(statements)) => statements.clone(),
            Some(statement) => vec![statement.clone()],
            None => Vec::new(),
        }
    }

    fn with_statements(&self, statements: Vec<Value>) -> Self {
        let mut policy = self.0.clone();
        policy.insert("Statement".to_owned(), Value::Array(statements));
        Self(policy)
    }
}

/// Prints the policy as JSON, as the API takes it.
impl fmt::Display for ResourcePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::Object(self.0.clone()))
    }
}

fn statement(readers: &BTreeSet<Principal>) -> Value {
    json!({
        "Sid": READERS_SID,
        "Effect": "Allow",
        "Principal": { "AWS": readers.iter().map(Principal::as_str).collect::<Vec<_>>() },
        "Action": ACTIONS,
        "Resource": "*",
    })
}

fn is_ours(statement: &Value) -> bool {
    statement.get("Sid").and_then(Value::as_str) == Some(READERS_SID)
}

/// Tells whether a statement is the one that we would write, in any of the spellings that AWS uses: a single text for a
/// list of one, and an account's id for its root.
fn grants_reading_to(found: &Value, readers: &BTreeSet<Principal>) -> bool {
    let Some(fields) = found.as_object() else { return false };
    let known = ["Sid", "Effect", "Principal", "Action", "Resource"];
    let principals = fields.get("Principal").and_then(Value::as_object).filter(|principals| principals.len() == 1);
    let principals = principals.and_then(|principals| texts(principals.get("AWS")?)).unwrap_or_default();
    let principals: BTreeSet<&str> = principals.iter().map(|text| short_principal(text)).collect();
    let is = |key: &str, wanted: &[&str]| {
        let found = fields.get(key).and_then(texts).unwrap_or_default();
        found.iter().map(String::as_str).eq(wanted.iter().copied())
    };
    fields.len() == known.len()
        && known.iter().all(|key| fields.contains_key(*key))
        && is("Effect", &["Allow"])
        && is("Action", &ACTIONS)
        && is("Resource", &["*"])
        && principals == readers.iter().map(|reader| short_principal(reader.as_str())).collect()
}

/// Returns a text or a list of texts as a sorted list.
fn texts(value: &Value) -> Option<Vec<String>> {
    let mut texts = match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().map(|entry| entry.as_str().map(ToOwned::to_owned)).collect::<Option<_>>()?,
        _ => return None,
    };
    texts.sort();
    Some(texts)
}

/// Returns what the spellings of a principal have in common: an account is its id or the ARN of its root.
fn short_principal(text: &str) -> &str {
    match *text.splitn(6, ':').collect::<Vec<_>>() {
        ["arn", _, "iam", "", account, "root"] => account,
        _ => text,
    }
}

/// A replica of a secret, as DescribeSecret shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedReplica {
    pub kms_key_id: Option<String>,
    pub status: ReplicaStatus,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaStatus {
    InSync,
    InProgress,
    /// With Secrets Manager's own words.
    Failed(String),
}

impl ObservedReplica {
    /// Tells whether the replica has this key, in any spelling.
    #[must_use]
    pub fn has_key(&self, key: Option<&str>) -> bool {
        same_key(self.kms_key_id.as_deref(), key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
    const ROOT: &str = "arn:aws:iam::444455556666:root";

    fn readers(arns: &[&str]) -> BTreeSet<Principal> {
        arns.iter().map(|arn| Principal::from(*arn)).collect()
    }

    fn policy(statements: &Value) -> ResourcePolicy {
        ResourcePolicy::parse(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string()).unwrap()
    }

    fn foreign() -> Value {
        json!({ "Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*",
            "Condition": { "Bool": { "aws:SecureTransport": "false" } } })
    }

    #[test]
    fn readers_are_one_statement_beside_the_others() {
        let of = |policy: Option<&ResourcePolicy>, arns: &[&str]| ResourcePolicy::with_readers(policy, &readers(arns));
        let ours = json!({ "Sid": "CognitoM2MReaders", "Effect": "Allow", "Principal": { "AWS": [ROLE, ROOT] },
            "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], "Resource": "*" });
        let both = [ROOT, ROLE];
        assert_eq!(of(None, &both), PolicyChange::Put(policy(&json!([ours]))), "sorted");
        assert_eq!(of(None, &[]), PolicyChange::Keep);
        assert_eq!(of(Some(&policy(&json!([ours]))), &both), PolicyChange::Keep);
        assert_eq!(of(Some(&policy(&json!([ours]))), &[]), PolicyChange::Delete);
        assert_eq!(of(Some(&policy(&ours)), &[]), PolicyChange::Delete, "a statement without a list");

        let theirs = policy(&json!([foreign()]));
        let mixed = policy(&json!([foreign(), ours]));
        assert_eq!(of(Some(&theirs), &[]), PolicyChange::Keep, "a policy without our statement is not touched");
        assert_eq!(of(Some(&theirs), &both), PolicyChange::Put(mixed.clone()));
        assert_eq!(of(Some(&policy(&json!([ours, foreign()]))), &both), PolicyChange::Keep, "in any order");
        assert_eq!(of(Some(&mixed), &[]), PolicyChange::Put(theirs));
    }

    #[test]
    fn what_aws_spells_in_another_way_is_the_same_and_a_deleted_role_is_not() {
        let with = |principal: &Value, change: &Value| {
            let mut statement = statement(&readers(&[ROLE]));
            statement["Principal"] = json!({ "AWS": principal });
            statement.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            policy(&json!([statement]))
        };
        let none = json!({});
        for (arns, principal) in [
            (vec![ROLE], json!(ROLE)),
            (vec![ROLE], json!([ROLE])),
            (vec![ROOT], json!("444455556666")),
            (vec![ROLE, ROOT], json!(["444455556666", ROLE])),
        ] {
            let found = with(&principal, &none);
            assert_eq!(ResourcePolicy::with_readers(Some(&found), &readers(&arns)), PolicyChange::Keep, "{arns:?}");
        }
        for (principal, change) in [
            (json!("AROAEXAMPLEID"), none.clone()),
            (json!([ROLE, ROOT]), none.clone()),
            (json!("*"), none.clone()),
            (json!(ROLE), json!({ "Action": "secretsmanager:GetSecretValue" })),
            (json!(ROLE), json!({ "Action": "secretsmanager:*" })),
            (json!(ROLE), json!({ "Effect": "Deny" })),
            (json!(ROLE), json!({ "Condition": {} })),
            (json!(ROLE), json!({ "Principal": "*" })),
            (json!(ROLE), json!({ "Principal": { "AWS": ROLE, "Service": "lambda.amazonaws.com" } })),
        ] {
            let found = with(&principal, &change);
            let wanted = PolicyChange::Put(policy(&json!([statement(&readers(&[ROLE]))])));
            assert_eq!(ResourcePolicy::with_readers(Some(&found), &readers(&[ROLE])), wanted, "{principal} {change}");
        }
    }

    #[test]
    fn the_changes_name_who_comes_and_who_goes() {
        let mut found = statement(&readers(&[ROLE]));
        found["Principal"]["AWS"] = json!(["444455556666", "AROAEXAMPLEID"]);
        let changes = ResourcePolicy::changes(Some(&policy(&json!([found]))), &readers(&[ROLE, ROOT]));
        assert_eq!(changes, [format!("+{ROLE}"), "-AROAEXAMPLEID".to_owned()]);
        let mut denied = statement(&readers(&[ROLE]));
        denied["Effect"] = json!("Deny");
        let changes = ResourcePolicy::changes(Some(&policy(&json!([denied]))), &readers(&[ROLE]));
        assert_eq!(changes, ["the statement of the readers"]);
    }

    #[test]
    fn only_a_mark_or_a_lack_of_room_for_it_tells_of_readers() {
        let tags = |count: usize| (0..count).map(|n| (format!("t{n}"), String::new())).collect::<Tags>();
        assert!(!may_have_readers(&tags(49)));
        assert!(may_have_readers(&tags(50)));
        let mut few = tags(1);
        few.extend((0..60).map(|n| (format!("aws:{n}"), String::new())));
        assert!(!may_have_readers(&few), "AWS's own tags do not count");
        few.insert(READERS_TAG.to_owned(), "yes".to_owned());
        assert!(may_have_readers(&few));
    }
}
