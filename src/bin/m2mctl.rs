//! The operator's command line: composes the parts, runs a command, prints what it says.

use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use cognito_m2m::{
    aws::{self, AwsAccount, AwsServices, Http},
    m2mctl::{Cli, FAILURE, Outcome, error_line, explain, plan::Context, run, run_alone},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version come this way too. 2, clap's own code for a wrong line, means changes here.
            return ExitCode::from(if error.use_stderr() { FAILURE } else { 0 });
        }
    };
    match cli.color {
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
    }
    .write_global();
    match work(&cli).await {
        Ok(Outcome { text, exit_code }) => match anstream::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(exit_code),
            // A reader that has seen enough, such as `head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(exit_code),
            Err(_) => ExitCode::from(FAILURE),
        },
        Err(message) => {
            let _ = anstream::stderr().write_all(error_line(&message).as_bytes());
            ExitCode::from(FAILURE)
        }
    }
}

async fn work(cli: &Cli) -> Result<Outcome, String> {
    if let Some(outcome) = run_alone(cli) {
        return Ok(outcome);
    }
    let config = aws::cli_config(cli.profile.as_deref(), cli.region.as_deref()).await;
    let Some(region) = config.region().map(ToString::to_string) else {
        return Err("No region is configured. Pass --region, or set AWS_REGION or the profile's region".to_owned());
    };
    let context = Context {
        services: AwsServices::new(&config, &Http::default()),
        account: AwsAccount::new(&config),
        endpoints: aws::endpoints(&config),
        region,
    };
    run(cli, &context).await.map_err(|error| explain(&error))
}
