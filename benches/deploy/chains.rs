//! The longest chains of calls in which each call needs the one before: the least time that each event
//! can take. docs/performance.md shows the same chains with the calls that run beside them.

use std::time::Duration;

use crate::{
    LATENCY,
    world::{ANSWER, CALLS_AT_A_PACE, PACE, TOKEN},
};

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
    ("ListSecrets", "the first: secrets go that the properties do not name"),
    ("DescribeSecret", "needs their names; the listing shows the mark, too, but lags behind"),
    ("DeleteSecret", "the contract's order: secrets, the domain, the pool"),
    ("DeleteUserPoolDomain", "the contract's order"),
    ("DeleteUserPool", "Cognito refuses it while the pool has a domain"),
    (ANSWER, "says what became of all the others"),
];

/// An update that gives the resource server one scope more, and the client with it.
pub const UPDATE: Chain = &[
    ("ListUserPoolClients", "the first: what is there decides, not what was there"),
    ("DescribeUserPoolClient", "needs the client's id"),
    ("UpdateResourceServer", "changes nothing before everything has been looked at"),
    ("UpdateUserPoolClient", "names the new scope, which must exist"),
    ("UpdateSecretVersionStage", "promises the scope to consumers, who can get it only now"),
    (ANSWER, "says what became of all the others"),
];

/// The first rotation of a secret: the client has no former secret that must go.
///
/// Secrets Manager invokes the function four times, each time after the answer to the last. The first call of each step
/// stands for all reads that can run beside it: the secret's description and its versions.
pub const ROTATION: Chain = &[
    ("GetSecretValue", "createSecret: the new version keeps every key of AWSCURRENT but one"),
    ("PutSecretValue", "needs those keys"),
    ("GetSecretValue", "setSecret: the invocation before ended with the write"),
    ("ListUserPoolClientSecrets", "needs the ids of the pool and the client, which the secret holds"),
    (
        "UpdateSecretVersionStage",
        "the label of an unfinished rotation is read before it moves: it tells whose secret is in the way",
    ),
    ("AddUserPoolClientSecret", "only after the label: a rotation that ends here must be found by the next one"),
    ("GetSecretValue", "testSecret: the invocation before ended with the write"),
    (TOKEN, "needs the pending secret"),
    ("GetSecretValue", "finishSecret: only after a good token"),
    ("UpdateSecretVersionStage", "moves AWSCURRENT, which must be where it was read"),
    ("UpdateSecretVersionStage", "takes the label of an unfinished rotation: it is finished only now"),
    ("UpdateSecretVersionStage", "takes AWSPENDING: Secrets Manager repeats the step as long as a version has it"),
];

/// The least time that something can take at [`LATENCY`].
#[derive(Clone, Copy)]
pub struct Floor {
    pub chain: Chain,
    /// How many things of one kind are made in one of the chain's places.
    pub things: usize,
}

impl Floor {
    pub fn of(chain: Chain) -> Self {
        Self { chain, things: 1 }
    }

    pub fn time(self) -> Duration {
        let calls = u32::try_from(self.chain.len()).unwrap_or(u32::MAX);
        LATENCY * calls + pace(self.things)
    }
}

/// Returns how long after the first of so many calls of one operation Cognito's quota allows the last.
pub fn pace(things: usize) -> Duration {
    let waits = things.saturating_sub(1) / CALLS_AT_A_PACE;
    PACE * u32::try_from(waits).unwrap_or(u32::MAX)
}
