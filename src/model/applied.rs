//! The note on a user pool about the events that were applied to it.
//!
//! Lambda delivers an event late, and twice. The note tells such an event from a new one, and a rollback
//! from any other update. It is one tag of the pool, because a tag is written by the call that creates
//! the pool, and read by the call that describes it.

use std::{fmt, time::Duration};

use uuid::Uuid;

use super::{Desired, Owner, Tags, ids::short_key_id};

/// The key of the tag that holds the note.
pub const APPLIED_TAG: &str = "cognito-m2m:applied";

/// Another version of the note, or of the digests in it, is no note.
const VERSION: &str = "v2";
/// Lambda keeps an event for minutes, and CloudFormation sends no more than this many in that time. Eight
/// of them fit into a tag's 256 characters.
const MAX_REQUESTS: usize = 8;

/// A short name for a text: 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

const DIGEST_LEN: usize = 16;

impl Digest {
    fn of(parts: &[&str]) -> Self {
        // Debug quotes each part, so that no two lists of parts look the same.
        let mut text = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{parts:?}").as_bytes()).simple().to_string();
        text.truncate(DIGEST_LEN);
        Self(text)
    }

    /// Returns the digest of a request for one resource. It is the same for each delivery of one event.
    #[must_use]
    pub fn of_request(owner: &Owner, request_id: &str) -> Self {
        Self::of(&[&owner.stack_id, &owner.logical_id, request_id])
    }

    /// Returns the digest of what properties declare, as far as AWS stores it. Two declarations between
    /// which a plan finds no difference have the same digest.
    #[must_use]
    pub fn of_desired(desired: &Desired) -> Self {
        let Desired {
            owner: _,
            // The function's settings, not the template's.
            endpoints: _,
            pool,
            resource_servers,
            clients,
            secret_tags,
            secret_kms_key_id,
            // Says how to delete, and whether to check: AWS stores neither.
            secret_recovery_window_in_days: _,
            verify_token: _,
            rotation,
            secret_replicas,
            rotate_secrets,
            token_endpoint_domain,
        } = desired;
        let mut servers: Vec<_> = resource_servers.clone();
        servers.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        for server in &mut servers {
            server.scopes.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let mut clients: Vec<_> = clients.clone();
        clients.sort_by(|a, b| a.name.cmp(&b.name));
        for client in &mut clients {
            // Only a Create adopts.
            client.adopt = None;
        }
        Self::of(&[
            &format!("{pool:?}"),
            &format!("{secret_tags:?}"),
            &format!("{servers:?}"),
            &format!("{clients:?}"),
            short_key_id(secret_kms_key_id.as_deref()),
            &format!("{:?}", rotation.as_ref().map(|rotation| rotation.days)),
            &format!(
                "{:?}",
                secret_replicas.iter().map(|(region, key)| (region, short_key_id(key.as_deref()))).collect::<Vec<_>>()
            ),
            rotate_secrets,
            token_endpoint_domain.as_str(),
        ])
    }

    /// Reads a digest that was printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digest =
            text.len() == DIGEST_LEN && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_digest.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which event a run carries out, and when it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStamp {
    pub request: Digest,
    /// Since the Unix epoch.
    pub at: Duration,
    /// Whether the event says when it was sent. Otherwise `at` is when this run began.
    pub is_dated: bool,
}

impl EventStamp {
    /// Tells whether a newer event than this one was applied.
    #[must_use]
    pub fn is_late(&self, note: &Applied) -> bool {
        let (latest, former) = note.requests.split_first().unzip();
        let was_followed = former.is_some_and(|former| former.contains(&self.request));
        let is_older = self.is_dated && self.at.as_millis() < note.at.as_millis();
        latest != Some(&self.request) && (was_followed || is_older)
    }
}

/// The note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// When the latest event was sent, since the Unix epoch.
    pub at: Duration,
    /// The latest requests that wrote the note, newest first.
    requests: Vec<Digest>,
    /// What the latest event declares.
    pub state: Digest,
    /// What was declared before.
    before: Option<Digest>,
    /// Whether the latest event returned to what was declared before.
    pub returned: bool,
}

impl Applied {
    /// Reads the note among a pool's tags.
    #[must_use]
    pub fn of(tags: &Tags) -> Option<Self> {
        Self::parse(tags.get(APPLIED_TAG)?)
    }

    /// Removes the note from a pool's tags and returns it.
    pub fn take(tags: &mut Tags) -> Option<Self> {
        Self::parse(&tags.remove(APPLIED_TAG)?)
    }

    /// Returns the request that wrote the note.
    #[must_use]
    pub fn latest(&self) -> Option<&Digest> {
        self.requests.first()
    }

    /// Returns the note that a Create leaves on a pool with the note `former`.
    #[must_use]
    pub fn by_create(former: Option<&Self>, event: &EventStamp, state: &Digest) -> Self {
        match former {
            Some(former) if former.latest() == Some(&event.request) => former.clone(),
            _ => Self::next(former, event, state, None, false),
        }
    }

    /// Returns the note that an Update leaves on a pool with the note `former`. `old` is what the event
    /// itself says was declared before; a note knows better.
    #[must_use]
    pub fn by_update(former: Option<&Self>, event: &EventStamp, state: &Digest, old: Option<&Digest>) -> Self {
        let Some(former) = former else { return Self::next(None, event, state, old.cloned(), false) };
        if former.latest() == Some(&event.request) {
            return former.clone();
        }
        if former.state == *state {
            // After a failed update that was not rolled back, CloudFormation sends it again as another event. Otherwise
            // this is the rollback of an update that failed before it wrote its note, or a second rollback.
            let is_retry = !former.returned && old.is_some() && old == former.before.as_ref();
            return Self::next(Some(former), event, state, former.before.clone(), !is_retry);
        }
        let returned = former.before.as_ref() == Some(state);
        // What a rollback leaves was never whole, so a return to it is no rollback.
        let before = (!returned).then(|| former.state.clone());
        Self::next(Some(former), event, state, before, returned)
    }

    fn next(former: Option<&Self>, event: &EventStamp, state: &Digest, before: Option<Digest>, returned: bool) -> Self {
        let older = former.into_iter().flat_map(|former| &former.requests).filter(|request| **request != event.request);
        let requests = std::iter::once(&event.request).chain(older).take(MAX_REQUESTS).cloned().collect();
        Self { at: event.at, requests, state: state.clone(), before, returned }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        if parts.next() != Some(VERSION) {
            return None;
        }
        let at = parts.next()?.strip_prefix("at=")?.parse().ok().map(Duration::from_millis)?;
        let state = Digest::parse(parts.next()?.strip_prefix("state=")?)?;
        let before = match parts.next()?.strip_prefix("before=")? {
            "" => None,
            before => Some(Digest::parse(before)?),
        };
        let returned = match parts.next()?.strip_prefix("returned=")? {
            "yes" => true,
            "no" => false,
            _ => return None,
        };
        let requests = parts.next()?.strip_prefix("requests=")?;
        let requests: Option<Vec<_>> = requests.split(':').map(Digest::parse).collect();
        let requests = requests.filter(|_| parts.next().is_none())?;
        Some(Self { at, requests, state, before, returned })
    }
}

/// Prints the tag's value, in the characters that a tag may have.
impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, requests, state, before, returned } = self;
        let before = before.as_ref().map(ToString::to_string).unwrap_or_default();
        let returned = if *returned { "yes" } else { "no" };
        let requests = requests.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
        write!(
            f,
            "{VERSION} at={} state={state} before={before} returned={returned} requests={requests}",
            at.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: usize) -> Digest {
        Digest::of(&["request", &number.to_string()])
    }

    fn event(number: usize) -> EventStamp {
        EventStamp { request: request(number), at: Duration::from_secs(100 + number as u64), is_dated: true }
    }

    fn state(name: &str) -> Digest {
        Digest::of(&["state", name])
    }

    fn created() -> Applied {
        Applied::by_create(None, &event(0), &state("a"))
    }

    #[test]
    fn a_note_is_printed_and_read_again_and_fits_a_tag() {
        let mut note = created();
        for number in 1..20 {
            let next = state(&number.to_string());
            note = Applied::by_update(Some(&note), &event(number), &next, None);
            let text = note.to_string();
            assert!(text.len() <= 256, "{} characters: {text}", text.len());
            assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)), "{text}");
            let mut tags = Tags::from([(APPLIED_TAG.to_owned(), text), ("a".to_owned(), "b".to_owned())]);
            assert_eq!(Applied::of(&tags).as_ref(), Some(&note));
            assert_eq!(Applied::take(&mut tags).as_ref(), Some(&note));
            assert_eq!(tags.len(), 1);
        }
        assert_eq!(note.requests.len(), MAX_REQUESTS);
    }

    #[test]
    fn what_is_no_note_is_none() {
        let good = created().to_string();
        assert!(Applied::parse(&good).is_some());
        for bad in ["", "v2", &good.replace("v2", "v1"), &format!("{good} more"), &good.replace("no", "maybe")] {
            assert_eq!(Applied::parse(bad), None, "{bad}");
        }
        assert_eq!(Applied::of(&Tags::new()), None);
    }

    #[test]
    fn an_event_is_late_after_a_newer_one_and_only_then() {
        let note = Applied::by_update(Some(&created()), &event(1), &state("b"), None);
        assert!(!event(1).is_late(&note), "the latest itself, again");
        assert!(event(0).is_late(&note), "followed by another");
        assert!(!event(2).is_late(&note), "newer");
        let unknown = |at: Duration, is_dated| EventStamp { request: request(7), at, is_dated };
        assert!(unknown(note.at.saturating_sub(Duration::from_secs(1)), true).is_late(&note), "older");
        assert!(!unknown(note.at, true).is_late(&note), "sent in the same second");
        assert!(!unknown(Duration::ZERO, false).is_late(&note), "nobody knows when it was sent");
    }

    #[test]
    fn a_return_to_the_former_state_is_told_from_any_other_update() {
        let update = |note: &Applied, number, name| Applied::by_update(Some(note), &event(number), &state(name), None);
        let forward = update(&created(), 1, "b");
        assert!(!forward.returned);
        assert_eq!(update(&forward, 1, "b"), forward, "a second delivery changes nothing");
        let back = update(&forward, 2, "a");
        assert!(back.returned);
        assert!(update(&back, 2, "a").returned, "a second delivery of the rollback");
        assert!(update(&back, 3, "a").returned, "a second rollback");
        assert!(!update(&back, 3, "b").returned, "the next attempt");
        assert!(!update(&forward, 2, "c").returned);
        assert!(update(&created(), 1, "a").returned, "the update that failed has left no note");
        let retry = Applied::by_update(Some(&forward), &event(2), &state("b"), Some(&state("a")));
        assert!(!retry.returned, "a failed update that was not rolled back");
        assert!(update(&retry, 3, "a").returned, "its rollback in the end");
        let second = Applied::by_update(Some(&back), &event(3), &state("a"), Some(&state("b")));
        assert!(second.returned, "a second rollback, which says what it is");
        let first = Applied::by_update(None, &event(1), &state("b"), Some(&state("a")));
        assert!(!first.returned && update(&first, 2, "a").returned, "a pool that had no note");
    }

    #[test]
    fn a_create_is_never_a_return() {
        let again = Applied::by_create(Some(&created()), &event(1), &state("a"));
        assert!(!again.returned);
        assert_eq!(again.latest(), Some(&request(1)));
        assert_eq!(Applied::by_create(Some(&again), &event(1), &state("a")), again);
    }
}
