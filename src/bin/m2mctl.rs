//! The operator's command line: composes the parts, runs a command, and prints its result.

use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use cognito_m2m::{
    aws::{self, AwsAccount, AwsServices, Http},
    m2mctl::{Cli, Context, FAILURE, Outcome, error_line, run, run_offline},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are errors to clap too. clap's exit code for a wrong line, 2, means changes here.
            return ExitCode::from(if error.use_stderr() { FAILURE } else { 0 });
        }
    };
    match cli.color {
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
    }
    .write_global();
    match run_command(&cli).await {
        Ok(Outcome { text, exit_code }) => match anstream::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(exit_code),
            // The reader needs no more, such as `head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(exit_code),
            Err(_) => ExitCode::from(FAILURE),
        },
        Err(message) => {
            let _ = anstream::stderr().write_all(error_line(&message).as_bytes());
            ExitCode::from(FAILURE)
        }
    }
}

async fn run_command(cli: &Cli) -> Result<Outcome, String> {
    if let Some(outcome) = run_offline(&cli.command) {
        return Ok(outcome);
    }
    #[expect(clippy::disallowed_methods, reason = "a binary may read its environment")]
    let http = Http::new(std::env::var_os("AWS_CA_BUNDLE"));
    let config = aws::cli_config(&http, cli.profile.as_deref(), cli.region.as_deref()).await;
    let Some(region) = config.region().map(ToString::to_string) else {
        return Err("No region is configured. Pass --region, or set AWS_REGION or the profile's region".to_owned());
    };
    let context = Context {
        services: AwsServices::new(&config, &http),
        account: AwsAccount::new(&config),
        endpoints: aws::endpoints(&config),
        region,
    };
    run(cli, &context).await.map_err(|error| error.report())
}
