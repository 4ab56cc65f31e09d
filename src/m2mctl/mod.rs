//! The command line `m2mctl`: looks at a stack before a deploy and after it. It only reads, and asks
//! for tokens.
//!
//! | module | subject |
//! |---|---|
//! | [`args`] | the arguments |
//! | [`plan`], [`token`], [`doctor`], [`adopt`], [`access`], `completions` | the commands, one module each |
//! | `live_pool` | a whole user pool, for the commands that show one |
//! | [`context`] | AWS as a command uses it, and the stacks in it |
//! | [`declared`], [`template`] | the properties that the user declares, and the template that holds them |
//! | [`output`], [`error`] | what a command prints, and why it fails |

pub mod access;
pub mod adopt;
pub mod args;
mod completions;
pub mod context;
pub mod declared;
pub mod doctor;
pub mod error;
mod live_pool;
pub mod output;
pub mod plan;
pub mod template;
pub mod token;

use self::args::Command;
pub use self::{
    args::Cli,
    context::Context,
    error::Error,
    output::{Outcome, error_line},
};
use crate::{
    ports::{Account, Services, Tokens},
    properties::schema,
};

/// The exit code of an error.
pub const FAILURE: u8 = 1;

/// Runs a command that needs no AWS. Returns `None` for the other commands.
#[must_use]
pub fn run_offline(command: &Command) -> Option<Outcome> {
    match command {
        Command::Schema { resource_type } => Some(Outcome::json(&schema(*resource_type), 0)),
        Command::Completions { shell } => Some(completions::run(*shell)),
        Command::Plan(_) | Command::Token(_) | Command::Doctor(_) | Command::Adopt(_) | Command::Access(_) => None,
    }
}

/// Runs a command.
///
/// # Errors
/// The command has no result.
pub async fn run<S: Services<Tokens: Tokens>, A: Account>(
    cli: &Cli,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    match &cli.command {
        Command::Plan(arguments) => plan::run(arguments, cli.output, context).await,
        Command::Token(arguments) => token::run(arguments, cli.output, context).await,
        Command::Doctor(arguments) => doctor::run(arguments, cli.output, context).await,
        Command::Adopt(arguments) => adopt::run(arguments, cli.output, context).await,
        Command::Access(arguments) => access::run(arguments, cli.output, context).await,
        Command::Schema { resource_type } => Ok(Outcome::json(&schema(*resource_type), 0)),
        Command::Completions { shell } => Ok(completions::run(*shell)),
    }
}
