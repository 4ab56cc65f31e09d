//! `m2mctl completions`: a completion script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{args::Cli, output::Outcome};

pub(super) fn run(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "m2mctl", &mut script);
    Outcome { text: String::from_utf8_lossy(&script).into_owned(), exit_code: 0 }
}
