//! `m2mctl doctor`: a list of findings, each with what to do about it. It only reads, and asks for
//! tokens unless it is told not to.
//!
//! | module | subject |
//! |---|---|
//! | `finding` | a finding and its severity |
//! | `account` | credentials and permissions |
//! | `pool` | the domain, and the difference between what is declared and what is live |
//! | `part` | a client or a resource server in somebody else's pool |
//! | `stack` | a stack, its resources and their secrets |
//! | `secret`, `client_secrets` | a client's secret in Secrets Manager and in Cognito |

mod account;
mod client_secrets;
mod finding;
mod part;
mod pool;
mod secret;
mod stack;

pub use finding::{Finding, Severity};

use super::{
    FAILURE,
    args::{DoctorArgs, Format},
    context::Context,
    declared::Declared,
    error::Error,
    output::{Outcome, findings_json, findings_text},
};
use crate::ports::{Account, Services};

/// What the doctor checks.
pub struct DoctorOptions<'a> {
    pub stack: Option<&'a str>,
    pub declared: Option<&'a Declared>,
    /// Whether to ask for a token for each client. Cognito bills it.
    pub tokens: bool,
}

pub(super) async fn run<S: Services, A: Account>(
    arguments: &DoctorArgs,
    format: Format,
    context: &Context<S, A>,
) -> Result<Outcome, Error> {
    let DoctorArgs { stack, declared, skip_tokens } = arguments;
    let declared = declared.read()?;
    let options = DoctorOptions { stack: stack.as_deref(), declared: declared.as_ref(), tokens: !skip_tokens };
    let findings = examine(context, &options).await;
    let sound = findings.iter().all(|finding| finding.severity < Severity::Error);
    let exit_code = if sound { 0 } else { FAILURE };
    Ok(match format {
        Format::Text => Outcome { text: findings_text(&findings), exit_code },
        Format::Json => Outcome::json(&findings_json(&findings), exit_code),
    })
}

/// Checks everything and reports all of it. A check that fails is a finding too.
pub async fn examine<S: Services, A: Account>(context: &Context<S, A>, options: &DoctorOptions<'_>) -> Vec<Finding> {
    let caller = match context.account.get_caller_identity().await {
        Ok(caller) => caller,
        // Without credentials, every other check fails too.
        Err(error) => return vec![Finding::of_failure("credentials", &error)],
    };
    let mut findings = vec![account::credentials(&caller, &context.region)];
    if let Some(name) = options.stack {
        findings.extend(stack::examine(context, options, name).await);
    } else {
        findings.push(account::permissions(&context.account, &caller).await);
        findings.extend(pool::examine_declared(context, options.declared).await);
    }
    findings
}
