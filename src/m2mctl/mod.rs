//! The command line `m2mctl`: what it takes, what it prints, how it exits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Read as _,
    path::PathBuf,
};

use clap::{
    ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum,
    builder::{
        NonEmptyStringValueParser,
        styling::{AnsiColor, Color, Style},
    },
};
use serde_json::{Value, json};

pub mod doctor;
pub mod plan;
pub mod template;

use self::{
    doctor::{DoctorOptions, Finding, Severity, advice, examine},
    plan::{Context, Declared, PlanReport, Source, Stack},
    template::Template,
};
use crate::{
    model::SecretName,
    plan::Action,
    ports::{
        AWSCURRENT, Account, AwsError, ExpectedToken, SecretDocument, SecretVersion, SecretVersions, Services,
        TokenError, Tokens, Version,
    },
    reconcile::{Progress, secrets_of},
};

/// Looks at machine-to-machine stacks in Amazon Cognito: before a deploy, and after it.
#[derive(Debug, Parser)]
#[command(name = "m2mctl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// The region; else the one of the environment or the profile
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// The profile of ~/.aws/config; else AWS_PROFILE
    #[arg(long, global = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// How results are printed
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
    /// Whether results are coloured; auto: only on a terminal
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: clap::ColorChoice,
}

const AFTER_HELP: &str = "\
Credentials come from where the AWS command line finds them: the environment, a profile
(keys, single sign-on, `aws login`, an assumed role, a process), or the machine's own role.

Exit codes: 0 success; 1 an error, or a finding of doctor that is one; 2 plan found changes.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a deploy would create, change and delete, before it happens
    ///
    /// Reads the live state and makes the plan that the provider would make. Nothing is written.
    /// CloudFormation's change sets cannot look inside a custom resource.
    #[command(after_help = PLAN_EXAMPLES, group = ArgGroup::new("source").args(["properties", "template"]).required(true))]
    Plan {
        #[command(flatten)]
        declared: DeclaredArgs,
        /// The stack whose live state is compared; without it, the user pool of the declared name is
        #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        stack: Option<String>,
    },
    /// Get a token as a consumer would
    ///
    /// Reads the client's secret and asks the token endpoint. Prints the token alone, and never the
    /// client secret. Cognito bills each token.
    #[command(after_help = TOKEN_EXAMPLES, group = ArgGroup::new("whose").args(["stack", "secret"]).required(true))]
    Token(TokenArgs),
    /// Look for what is wrong, with an account, a set of properties or a stack
    ///
    /// Without a stack: the credentials, the permissions of a deploy, the domain. With one: its
    /// status, the difference between the live state and its template, its secrets and their ages,
    /// and a token for each client.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        /// The stack to look at
        #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        stack: Option<String>,
        #[command(flatten)]
        declared: DeclaredArgs,
        /// Ask for no tokens, which Cognito bills
        #[arg(long)]
        skip_tokens: bool,
    },
    /// Print the JSON Schema of the properties of Custom::CognitoM2M
    ///
    /// For editors and for checks before a deploy. Needs no credentials.
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  source <(m2mctl completions bash)")]
    Completions { shell: clap_complete::Shell },
}

const PLAN_EXAMPLES: &str = "\
Examples:
  m2mctl plan --properties m2m.yaml
  m2mctl plan --template template.yaml --stack orders-m2m
  m2mctl plan --template template.yaml --logical-id Auth --parameter-overrides EnvironmentName=prod

Exit code 2 says that there are changes, so that a pipeline can ask.";

const TOKEN_EXAMPLES: &str = "\
Examples:
  curl -H \"Authorization: Bearer $(m2mctl token --stack orders-m2m)\" https://api.example.com/orders
  m2mctl token --stack orders-m2m --client reporting --scope orders/read --decode
  m2mctl token --secret orders-dev/reporting --output json";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  m2mctl doctor
  m2mctl doctor --properties m2m.yaml
  m2mctl doctor --stack orders-m2m --skip-tokens --output json";

/// Where the properties stand.
#[derive(Args, Debug)]
pub struct DeclaredArgs {
    /// A file with the properties of Custom::CognitoM2M, YAML or JSON; - is the standard input
    #[arg(long, value_name = "FILE", conflicts_with = "template")]
    properties: Option<PathBuf>,
    /// A CloudFormation or SAM template with the resource
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// The resource's logical id, where there is more than one Custom::CognitoM2M
    #[arg(long, value_name = "ID")]
    logical_id: Option<String>,
    /// Values of the template's parameters; else those that the stack has, else the defaults
    #[arg(long, value_name = "NAME=VALUE", num_args = 1.., requires = "template", conflicts_with = "properties", value_parser = name_and_value)]
    parameter_overrides: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub struct TokenArgs {
    /// The stack that the client belongs to
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    stack: Option<String>,
    /// The client; else the one of the stack's output ClientSecretArn, else the only one
    #[arg(long, value_name = "NAME", requires = "stack", conflicts_with = "secret")]
    client: Option<String>,
    /// The name or ARN of a client's secret in Secrets Manager
    #[arg(long, value_name = "NAME_OR_ARN", value_parser = NonEmptyStringValueParser::new())]
    secret: Option<String>,
    /// A scope to ask for, written identifier/scope; all of the client's where none is given
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
    /// Check the token and print its claims instead
    #[arg(long)]
    decode: bool,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as Name=Value")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What a command prints, with colours, and how the program exits.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub text: String,
    pub exit_code: u8,
}

/// `plan` found changes.
const CHANGES: u8 = 2;
/// Any error.
pub const FAILURE: u8 = 1;

/// Why a command failed, for people.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} cannot be read: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Parse { path: String, source: template::Error },
    #[error(transparent)]
    Plan(#[from] plan::Error),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("No token for client {client}: {source}")]
    Token { client: String, source: TokenError },
    #[error("{0}")]
    Other(String),
}

/// The error, what is behind it, and what to do.
#[must_use]
pub fn explain(error: &Error) -> String {
    let (text, advice) = match error {
        Error::Aws(error) | Error::Plan(plan::Error::Aws(error)) => (error.to_string(), advice(error)),
        Error::Plan(plan::Error::Reconcile(error)) => (error.report(), String::new()),
        other => (other.to_string(), String::new()),
    };
    let text = text.trim_end_matches(['.', ' ']);
    if advice.is_empty() { text.to_owned() } else { format!("{text}. {advice}") }
}

/// Runs a command that needs no AWS; `None` where it does.
#[must_use]
pub fn run_alone(cli: &Cli) -> Option<Outcome> {
    match &cli.command {
        Command::Schema => Some(json_outcome(&crate::properties::schema(), 0)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "m2mctl", &mut script);
            Some(Outcome { text: String::from_utf8_lossy(&script).into_owned(), exit_code: 0 })
        }
        Command::Plan { .. } | Command::Token(_) | Command::Doctor { .. } => None,
    }
}

/// Runs a command.
///
/// # Errors
/// Whatever kept it from its result.
pub async fn run<S: Services<Tokens: Tokens>, A: Account>(
    cli: &Cli,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    match &cli.command {
        Command::Plan { declared, stack } => {
            let declared = declared.read()?.ok_or_else(|| Error::Other("nothing is declared".to_owned()))?;
            let report = plan::compute(context, &declared, stack.as_deref()).await?;
            let exit_code = if report.plan.is_empty() { 0 } else { CHANGES };
            Ok(match cli.output {
                Format::Text => Outcome { text: plan_text(&report), exit_code },
                Format::Json => json_outcome(&plan_json(&report), exit_code),
            })
        }
        Command::Token(arguments) => token(arguments, cli.output, context).await,
        Command::Doctor { stack, declared, skip_tokens } => {
            let declared = declared.read()?;
            let questions =
                DoctorOptions { stack: stack.as_deref(), declared: declared.as_ref(), tokens: !skip_tokens };
            let findings = examine(context, &questions).await;
            let sound = findings.iter().all(|finding| finding.severity < Severity::Error);
            let exit_code = if sound { 0 } else { FAILURE };
            Ok(match cli.output {
                Format::Text => Outcome { text: findings_text(&findings), exit_code },
                Format::Json => json_outcome(&json!({ "findings": findings }), exit_code),
            })
        }
        Command::Schema | Command::Completions { .. } => {
            run_alone(cli).ok_or_else(|| Error::Other("this command needs AWS".to_owned()))
        }
    }
}

impl DeclaredArgs {
    fn read(&self) -> Result<Option<Declared>, Error> {
        let Some(path) = self.properties.as_ref().or(self.template.as_ref()) else { return Ok(None) };
        let text = read_file(path)?;
        let parse = |source| Error::Parse { path: path.display().to_string(), source };
        let source = if self.properties.is_some() {
            Source::Properties(template::parse(&text).map_err(parse)?)
        } else {
            Source::Template(Template::new(template::parse(&text).map_err(parse)?))
        };
        Ok(Some(Declared {
            source,
            logical_id: self.logical_id.clone(),
            parameters: self.parameter_overrides.iter().cloned().collect::<BTreeMap<_, _>>(),
        }))
    }
}

fn read_file(path: &PathBuf) -> Result<String, Error> {
    let read = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|source| Error::File { path: path.display().to_string(), source })
}

async fn token<S: Services<Tokens: Tokens>, A: Account>(
    arguments: &TokenArgs,
    format: Format,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    let SecretDocument { client_id, client_secret, mut metadata } = match (&arguments.secret, &arguments.stack) {
        (Some(secret), _) => document(context, &SecretName(secret.clone())).await?,
        (None, Some(stack)) => of_stack(context, stack, arguments.client.as_deref()).await?,
        (None, None) => return Err(Error::Other("name a stack or a secret".to_owned())),
    };
    let client = metadata.client_name.to_string();
    let failed = |source| Error::Token { client: client.clone(), source };
    if !arguments.scopes.is_empty() {
        metadata.scope = arguments.scopes.join(" ");
    }
    let expected = ExpectedToken { client_id, metadata };
    let granted =
        context.services.tokens().request(&expected, &client_secret, &arguments.scopes).await.map_err(failed)?;
    if arguments.decode {
        let claims = context.services.tokens().claims(&expected, &granted.token).await.map_err(failed)?;
        return Ok(json_outcome(&claims, 0));
    }
    Ok(match format {
        Format::Text => Outcome { text: format!("{}\n", granted.token.expose()), exit_code: 0 },
        Format::Json => json_outcome(
            &json!({
                "access_token": granted.token.expose(),
                "token_type": granted.token_type,
                "expires_in": granted.expires_in,
            }),
            0,
        ),
    })
}

async fn document<S: Services, A: Account>(
    context: &Context<S, A>,
    name: &SecretName,
) -> Result<SecretDocument, Error> {
    let progress = Progress::default();
    match context.aws(&progress).services.secrets.get_secret_value(name, Version::Stage(AWSCURRENT)).await? {
        Some(SecretVersion { document: Some(document), .. }) => Ok(document),
        Some(_) => Err(Error::Other(format!("Secret {name} does not hold a client's credentials"))),
        None => Err(Error::Other(format!(
            "Secret {name} does not exist in {}, or has no value. Name another with --secret, or the region with --region",
            context.region
        ))),
    }
}

/// The credentials of one of the stack's clients: by the stack's outputs, as a consumer would find
/// them; else by the tags of the secrets.
async fn of_stack<S: Services, A: Account>(
    context: &Context<S, A>,
    name: &str,
    client: Option<&str>,
) -> Result<SecretDocument, Error> {
    let missing = || {
        let region = &context.region;
        Error::Other(format!("Stack {name} does not exist in {region}. Correct its name, or the region with --region"))
    };
    // A consumer need not be allowed to list anything where an output says it all.
    let outputs = context.account.describe_stacks(name).await?.ok_or_else(missing)?.outputs;
    // One ARN may stand in two outputs.
    let by_output: BTreeSet<&String> = match client {
        None => outputs.get("ClientSecretArn").into_iter().collect(),
        Some(client) => outputs.values().filter(|value| client_of_arn(value) == Some(client)).collect(),
    };
    if let (1, Some(arn)) = (by_output.len(), by_output.first()) {
        return document(context, &SecretName((*arn).clone())).await;
    }
    let stack = Stack::find(&context.account, name).await?.ok_or_else(missing)?;
    let progress = Progress::default();
    let aws = context.aws(&progress);
    let mut names = Vec::new();
    for logical_id in stack.ours() {
        names.extend(secrets_of(&aws, &stack.owner(logical_id)).await?);
    }
    let of_client = |secret: &&SecretName| client.is_none_or(|client| client_of(secret.as_str()) == client);
    match names.iter().filter(of_client).collect::<Vec<_>>().as_slice() {
        [only] => document(context, only).await,
        [] if names.is_empty() => Err(Error::Other(format!(
            "Stack {name} has no client's secret: neither an output with its ARN nor a secret with the stack's tags \
             (new ones take minutes to be listed). Name one with --secret"
        ))),
        matches if matches.is_empty() || client.is_none() => {
            let clients: Vec<_> = names.iter().map(|secret| client_of(secret.as_str())).collect();
            Err(Error::Other(format!("Stack {name} has the clients {}; name one with --client", clients.join(", "))))
        }
        several => {
            let secrets: Vec<_> = several.iter().map(|secret| secret.as_str()).collect();
            Err(Error::Other(format!(
                "Stack {name} has several clients of this name, with the secrets {}; name one with --secret",
                secrets.join(", ")
            )))
        }
    }
}

/// The client that a secret is for: the name's last part.
fn client_of(secret: &str) -> &str {
    secret.rsplit('/').next().unwrap_or_default()
}

/// The client that a secret's ARN is for: `arn:…:secret:<prefix>/<client>-<six characters>`.
fn client_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(7, ':');
    let name = parts.by_ref().nth(6).filter(|_| arn.contains(":secretsmanager:"))?;
    let (name, suffix) = name.rsplit_once('-')?;
    let (_, client) = name.rsplit_once('/')?;
    (suffix.len() == 6).then_some(client)
}

fn json_outcome(value: &Value, exit_code: u8) -> Outcome {
    Outcome { text: format!("{value:#}\n"), exit_code }
}

fn plan_json(report: &PlanReport) -> Value {
    let PlanReport { owner, pool, missing_stack, desired, plan } = report;
    let steps: Vec<Value> = plan
        .phases
        .iter()
        .enumerate()
        .flat_map(|(index, steps)| steps.iter().map(move |step| (index + 1, step)))
        .map(|(phase, step)| json!({ "phase": phase, "action": word(step.action()), "step": step.to_string() }))
        .collect();
    json!({
        "missing_stack": missing_stack,
        "user_pool_name": desired.pool.name,
        "user_pool_id": pool.as_ref().map(ToString::to_string),
        "stack_id": owner.as_ref().map(|owner| &owner.stack_id),
        "logical_id": owner.as_ref().map(|owner| &owner.logical_id),
        "changes": !plan.is_empty(),
        "steps": steps,
    })
}

fn plan_text(report: &PlanReport) -> String {
    let PlanReport { owner, pool, missing_stack, desired, plan } = report;
    let mut text = match (pool, owner) {
        (Some(pool), Some(owner)) => {
            format!("User pool {pool} ({}), resource {} of {}\n", desired.pool.name, owner.logical_id, owner.stack_id)
        }
        _ => format!("User pool {}, which does not exist yet\n", desired.pool.name),
    };
    if let Some(stack) = missing_stack {
        let _ = writeln!(text, "Stack {stack} does not exist: this is the plan of a new one");
    }
    if plan.is_empty() {
        text.push_str("\nNo changes. The live state is what the properties declare.\n");
        return text;
    }
    for steps in &plan.phases {
        text.push('\n');
        for step in steps {
            let (mark, style) = symbol(step.action());
            let _ = writeln!(text, "  {style}{mark} {}{style:#}", printable(step));
        }
    }
    let count = |action| plan.steps().filter(|step| step.action() == action).count();
    let _ = write!(
        text,
        "\nPlan: {} to create, {} to change, {} to delete",
        count(Action::Create),
        count(Action::Update),
        count(Action::Delete)
    );
    match count(Action::Verify) {
        0 => text.push_str(".\n"),
        tokens => {
            let _ = writeln!(text, "; {tokens} to verify, with a token each.");
        }
    }
    text
}

/// Names and messages come from outside: no control characters for the terminal but the end of a line.
fn printable(text: &impl std::fmt::Display) -> String {
    text.to_string().chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Verify => "verify",
    }
}

fn symbol(action: Action) -> (char, Style) {
    let (mark, color) = match action {
        Action::Create => ('+', AnsiColor::Green),
        Action::Update => ('~', AnsiColor::Yellow),
        Action::Delete => ('-', AnsiColor::Red),
        Action::Verify => ('?', AnsiColor::Cyan),
    };
    (mark, foreground(color))
}

fn foreground(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

fn findings_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { severity, subject, found, advice } in findings {
        let (subject, found, advice) = (printable(subject), printable(found), printable(advice));
        let (word, color) = match severity {
            Severity::Ok => ("ok", AnsiColor::Green),
            Severity::Info => ("info", AnsiColor::Cyan),
            Severity::Warning => ("warning", AnsiColor::Yellow),
            Severity::Error => ("error", AnsiColor::Red),
        };
        let style = foreground(color);
        let _ = writeln!(text, "{style}{word:<8}{style:#}{subject}: {found}");
        if !advice.is_empty() {
            let _ = writeln!(text, "        {advice}");
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let noun = |count, noun: &str| if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") };
    let _ = writeln!(text, "\n{}, {}.", noun(errors, "error"), noun(warnings, "warning"));
    text
}

/// The line that a failure ends with.
#[must_use]
pub fn error_line(message: &str) -> String {
    let style = foreground(AnsiColor::Red).bold();
    format!("{style}error:{style:#} {}\n", printable(&message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_plan_needs_exactly_one_source_and_a_token_exactly_one_owner() {
        for (line, good) in [
            ("plan --properties a", true),
            ("plan --template a --parameter-overrides A=1 B=2", true),
            ("plan", false),
            ("plan --properties a --template b", false),
            ("plan --properties a --parameter-overrides A=1", false),
            ("plan --template a --parameter-overrides A", false),
            ("token --stack a --client b --scope c/d e/f --decode", true),
            ("token --secret a", true),
            ("token", false),
            ("token --stack a --secret b", false),
            ("token --secret a --client b", false),
            ("doctor", true),
            ("doctor --stack a --properties b", true),
            ("doctor --properties a --template b", false),
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("m2mctl").chain(line.split(' ')));
            assert_eq!(parsed.is_ok(), good, "{line}");
        }
    }

    #[test]
    fn the_arn_of_a_secret_tells_its_client() {
        let arn = |name: &str| format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}");
        assert_eq!(client_of_arn(&arn("orders-dev/web-shop-AbCdEf")), Some("web-shop"));
        assert_eq!(client_of_arn(&arn("a/b/reporting-AbCdEf")), Some("reporting"));
        assert_eq!(client_of_arn(&arn("alone-AbCdEf")), None);
        assert_eq!(client_of_arn("https://orders-dev/web-shop-AbCdEf"), None);
        assert_eq!(client_of_arn("arn:aws:iam::123456789012:role/web-shop-AbCdEf"), None);
    }
}
