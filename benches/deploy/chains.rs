//! The longest chains of calls in which each call needs the one before: the least time that each event
//! can take. docs/performance.md shows the same chains with the calls that run beside them.

use std::time::Duration;

use crate::world::{ANSWER, CALLS_AT_A_PACE, PACE};

/// A call, and why it cannot begin before the one above it has been answered.
pub type Chain = &'static [(&'static str, &'static str)];

pub const CREATE: Chain = &[
    ("ListUserPools", "the first: a pool's name is not unique, so what an earlier delivery made is looked for"),
    ("CreateUserPool", "only if there is none yet"),
    ("CreateResourceServer", "needs the pool's id"),
    ("CreateUserPoolClient", "names the server's scopes, which must exist"),
    ("CreateSecret", "holds the client secret, which CreateUserPoolClient answers with"),
    ("DescribeSecret", "the note of a Delete: right only after the last write (decision 0001)"),
    (ANSWER, "says what became of all the others"),
];

pub const CLIENT_CREATE: Chain = &[
    ("ListUserPoolClients", "the first: a client's name is not unique, so what an earlier delivery made is looked for"),
    ("CreateUserPoolClient", "only if there is none yet"),
    ("CreateSecret", "holds the client secret, which CreateUserPoolClient answers with"),
    ("DescribeSecret", "the note of a Delete: right only after the last write (decision 0001)"),
    (ANSWER, "says what became of all the others"),
];

pub const NO_OP_UPDATE: Chain = &[
    ("ListUserPoolClients", "the first: what is there decides, not what was there"),
    ("DescribeUserPoolClient", "needs the client's id"),
    (ANSWER, "says what became of all the others"),
];

pub const DELETE: Chain = &[
    ("ListUserPools", "the first: every pool with the mark goes, not only the one whose id the event carries"),
    ("DescribeUserPool", "needs the pool's id; only it shows the mark and the protection, and nothing goes before"),
    ("DeleteSecret", "the contract's order: secrets, the domain, the pool"),
    ("DeleteUserPoolDomain", "the contract's order"),
    ("DeleteUserPool", "Cognito refuses it while the pool has a domain"),
    (ANSWER, "says what became of all the others"),
];

/// Returns the least time that the chain takes, with so many things of one kind in one of its places.
pub fn floor(chain: Chain, things: usize, latency: Duration) -> Duration {
    let calls = u32::try_from(chain.len()).unwrap_or(u32::MAX);
    latency * calls + pace(things)
}

/// Returns how long after the first of so many calls of one operation Cognito's quota allows the last.
pub fn pace(things: usize) -> Duration {
    let waits = things.saturating_sub(1) / CALLS_AT_A_PACE;
    PACE * u32::try_from(waits).unwrap_or(u32::MAX)
}
