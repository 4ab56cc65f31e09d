//! The command line's arguments.

use std::path::PathBuf;

use clap::{
    ArgGroup, Args, Parser, Subcommand, ValueEnum,
    builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};

use crate::model::{PoolId, ResourceType};

/// What the name of every custom resource's type begins with.
const CUSTOM: &str = "Custom::";

/// Inspects machine-to-machine stacks in Amazon Cognito, before and after a deploy.
#[derive(Debug, Parser)]
#[command(name = "m2mctl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// The region; without it, the region of the environment or the profile
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// The profile in ~/.aws/config; without it, AWS_PROFILE
    #[arg(long, global = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The format of the results
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
    /// Whether to color the results; auto: only on a terminal
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: clap::ColorChoice,
}

const AFTER_HELP: &str = "\
m2mctl finds credentials in the same places as the AWS CLI: the environment, a profile (keys,
single sign-on, `aws login`, an assumed role, a process), or the machine's own role.

Exit codes: 0 success; 1 an error, or doctor found an error; 2 plan found changes.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a deploy would create, change and delete, before it happens
    ///
    /// Reads the live state and computes the provider's own plan. Writes nothing.
    /// CloudFormation's change sets cannot look inside a custom resource.
    #[command(after_help = PLAN_EXAMPLES, group = ArgGroup::new("source").args(["properties", "template"]).required(true))]
    Plan(PlanArgs),
    /// Get a token as a consumer would
    ///
    /// Reads the client's secret and asks the token endpoint. Prints only the token, and never the
    /// client secret. Cognito bills each token.
    #[command(after_help = TOKEN_EXAMPLES, group = ArgGroup::new("whose").args(["stack", "secret"]).required(true))]
    Token(TokenArgs),
    /// Find out what is wrong with an account, a set of properties or a stack
    ///
    /// Without a stack, it checks the credentials, the permissions for a deploy and the domain. With
    /// a stack, it checks the stack's status, the difference between the live state and the template,
    /// the secrets and their ages, and a token for each client.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Print a template that takes over the machine clients of a user pool
    ///
    /// Reads a live pool, whoever made it. Prints the tag that its owner must set, and a template with
    /// one Custom::CognitoM2MClient for each machine client. Says of every other client why not.
    #[command(after_help = ADOPT_EXAMPLES)]
    Adopt(AdoptArgs),
    /// Show who may call what in a user pool
    ///
    /// Reads a live pool and prints its clients, their stacks and their scopes. Marks scopes that no
    /// client has, and clients whose scopes are gone.
    #[command(after_help = ACCESS_EXAMPLES)]
    Access(AccessArgs),
    /// Print the JSON Schema of a resource type's properties
    ///
    /// For editors, and for checks before a deploy. Needs no credentials.
    Schema {
        /// The resource type
        #[arg(long = "type", value_name = "TYPE", default_value = "CognitoM2M", value_parser = resource_type())]
        resource_type: ResourceType,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  source <(m2mctl completions bash)")]
    Completions { shell: clap_complete::Shell },
}

const PLAN_EXAMPLES: &str = "\
Examples:
  m2mctl plan --properties m2m.yaml
  m2mctl plan --template template.yaml --stack orders-m2m
  m2mctl plan --template template.yaml --logical-id Auth --parameter-overrides EnvironmentName=prod

Exit code 2 means that there are changes, so that a pipeline can ask for an approval.";

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

const ADOPT_EXAMPLES: &str = "\
Examples:
  m2mctl adopt --user-pool-id us-east-1_AbCdEfGhI --stack-prefix orders- > clients.yaml
  m2mctl adopt --user-pool-id us-east-1_AbCdEfGhI --output json | jq .left_out";

const ACCESS_EXAMPLES: &str = "\
Examples:
  m2mctl access --user-pool-id us-east-1_AbCdEfGhI
  m2mctl access --user-pool-id us-east-1_AbCdEfGhI --format csv > access.csv
  m2mctl access --user-pool-id us-east-1_AbCdEfGhI --format mermaid > access.mmd";

#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub declared: DeclaredArgs,
    /// The stack to compare with; without it, the live user pool is found by its name
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub stack: Option<String>,
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The stack to check
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub stack: Option<String>,
    #[command(flatten)]
    pub declared: DeclaredArgs,
    /// Do not ask for tokens, which Cognito bills
    #[arg(long)]
    pub skip_tokens: bool,
}

/// The source of the properties.
#[derive(Args, Debug)]
pub struct DeclaredArgs {
    /// A file with the properties of a resource, in YAML or JSON; - is the standard input
    #[arg(long, value_name = "FILE", conflicts_with = "template")]
    pub properties: Option<PathBuf>,
    /// A CloudFormation or SAM template that declares the resource
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// The resource's logical id, if there are several
    #[arg(long, value_name = "ID")]
    pub logical_id: Option<String>,
    /// The resource's type; without it, the type in the template or in the stack, or else CognitoM2M
    #[arg(long = "type", value_name = "TYPE", value_parser = resource_type())]
    pub resource_type: Option<ResourceType>,
    /// Values for the template's parameters; without one, the stack's value or the default
    #[arg(long, value_name = "NAME=VALUE", num_args = 1.., requires = "template", conflicts_with = "properties", value_parser = name_and_value)]
    pub parameter_overrides: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub struct TokenArgs {
    /// The client's stack
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub stack: Option<String>,
    /// The client; without it, the client in the stack's output ClientSecretArn, or the only client
    #[arg(long, value_name = "NAME", requires = "stack", conflicts_with = "secret")]
    pub client: Option<String>,
    /// The name or ARN of a client's secret in Secrets Manager
    #[arg(long, value_name = "NAME_OR_ARN", value_parser = NonEmptyStringValueParser::new())]
    pub secret: Option<String>,
    /// A scope to ask for, as identifier/scope; without it, all scopes of the client
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    pub scopes: Vec<String>,
    /// Verify the token and print its claims instead
    #[arg(long)]
    pub decode: bool,
}

/// Reads a resource type, with or without `Custom::`.
fn resource_type() -> impl TypedValueParser<Value = ResourceType> {
    let short = |known: ResourceType| known.as_str().trim_start_matches(CUSTOM);
    let names = ResourceType::ALL.map(|known| PossibleValue::new(short(known)).alias(known.as_str()));
    PossibleValuesParser::new(names).try_map(|text| {
        let name = if text.starts_with(CUSTOM) { text } else { format!("{CUSTOM}{text}") };
        ResourceType::parse(&name).ok_or("not a resource type")
    })
}

#[derive(Args, Debug)]
pub struct AdoptArgs {
    /// The user pool
    #[arg(long, value_name = "ID", value_parser = pool_id)]
    pub user_pool_id: PoolId,
    /// What the name of the stack begins with; without it, the first prefix that the pool is shared with already
    #[arg(long, value_name = "PREFIX", value_parser = stack_prefix)]
    pub stack_prefix: Option<String>,
}

#[derive(Args, Debug)]
pub struct AccessArgs {
    /// The user pool
    #[arg(long, value_name = "ID", value_parser = pool_id)]
    pub user_pool_id: PoolId,
    /// The format of the matrix; without it, --output decides
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<AccessFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessFormat {
    Text,
    Csv,
    Json,
    /// A graph for Mermaid
    Mermaid,
}

fn pool_id(text: &str) -> Result<PoolId, String> {
    PoolId::parse(text).ok_or_else(|| "a user pool id is like us-east-1_AbCdEfGhI".to_owned())
}

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>
fn stack_prefix(text: &str) -> Result<String, String> {
    if is_stack_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a stack's name has 1 to 128 letters, digits and hyphens, and begins with a letter".to_owned())
    }
}

/// Tells whether a stack can have this name.
pub(super) fn is_stack_name(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as Name=Value")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

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
            ("plan --properties a --type CognitoM2MClient", true),
            ("plan --properties a --type Custom::CognitoM2MClient", true),
            ("plan --properties a --type Client", false),
            ("schema", true),
            ("adopt --user-pool-id eu-west-1_AbC --stack-prefix orders-", true),
            ("adopt --user-pool-id eu-west-1_AbC --stack-prefix 1;ls", false),
            ("adopt --user-pool-id AbC", false),
            ("adopt", false),
            ("access --user-pool-id eu-west-1_AbC --format mermaid", true),
            ("access --user-pool-id eu-west-1_AbC --format yaml", false),
            ("schema --type Custom::CognitoM2MResourceServer", true),
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("m2mctl").chain(line.split(' ')));
            assert_eq!(parsed.is_ok(), good, "{line}");
        }
    }
}
