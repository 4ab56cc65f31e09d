//! What a command prints, as text and as JSON.

use std::{
    fmt::{Display, Write as _},
    iter,
};

use clap::builder::styling::{AnsiColor, Color, Style};
use serde_json::{Value, json};

use super::{
    doctor::{Finding, Severity},
    plan::PlanReport,
};
use crate::{
    model::{Owner, ResourceType},
    plan::{Action, Step, Task},
};

/// What a command prints, with colors, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub text: String,
    pub exit_code: u8,
}

impl Outcome {
    pub(super) fn json(value: &Value, exit_code: u8) -> Self {
        Self { text: format!("{value:#}\n"), exit_code }
    }
}

pub(super) fn plan_json(report: &PlanReport) -> Value {
    let PlanReport { owner, pool, missing_stack, resource_type, desired, plan } = report;
    let steps: Vec<Value> = plan
        .phases
        .iter()
        .enumerate()
        .flat_map(|(index, tasks)| tasks.iter().map(move |task| (index + 1, task)))
        .flat_map(|(phase, Task { step, then })| {
            let follow = then.iter().map(move |follower| (phase, follower, Some(step)));
            iter::once((phase, step, None)).chain(follow)
        })
        .map(|(phase, step, follows)| {
            let (action, follows) = (action_name(step.action()), follows.map(ToString::to_string));
            json!({ "phase": phase, "action": action, "step": step.to_string(), "follows": follows })
        })
        .collect();
    json!({
        "missing_stack": missing_stack,
        "type": resource_type.as_str(),
        "user_pool_name": desired.own_pool().map(|own| &own.state.name),
        "user_pool_id": pool.as_ref().map(ToString::to_string),
        "stack_id": owner.as_ref().map(|owner| &owner.stack_id),
        "logical_id": owner.as_ref().map(|owner| &owner.logical_id),
        "changes": !plan.is_empty(),
        "steps": steps,
    })
}

pub(super) fn plan_text(report: &PlanReport) -> String {
    let PlanReport { owner, pool, missing_stack, resource_type, desired, plan } = report;
    let name = desired.own_pool().map(|own| own.state.name.as_str());
    let mut text = match pool {
        Some(pool) => format!("User pool {pool}{}", name.map(|name| format!(" ({name})")).unwrap_or_default()),
        None => format!("User pool {}, which does not exist yet", name.unwrap_or_default()),
    };
    if let Some(Owner { stack_id, logical_id }) = owner {
        let kind = if *resource_type == ResourceType::CognitoM2M { "resource" } else { resource_type.as_str() };
        let _ = write!(text, ", {kind} {logical_id} of {stack_id}");
    }
    text.push('\n');
    if let Some(stack) = missing_stack {
        let _ = writeln!(text, "Stack {stack} does not exist: this is the plan of a new one");
    }
    if plan.is_empty() {
        text.push_str("\nNo changes. The live state is what the properties declare.\n");
        return text;
    }
    for tasks in &plan.phases {
        text.push('\n');
        for Task { step, then } in tasks {
            for (step, indent) in iter::once((step, "  ")).chain(then.iter().map(|step| (step, "    "))) {
                let (symbol, style) = symbol(step.action());
                let _ = writeln!(text, "{indent}{style}{symbol} {}{style:#}", printable(step));
            }
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
    // A wait for replicas is a check without a token.
    match plan.steps().filter(|step| matches!(step, Step::VerifyToken { .. } | Step::ProveSecret { .. })).count() {
        0 => text.push_str(".\n"),
        tokens => {
            let _ = writeln!(text, "; {tokens} to verify, with a token each.");
        }
    }
    text
}

pub(super) fn findings_json(findings: &[Finding]) -> Value {
    json!({ "findings": findings })
}

pub(super) fn findings_text(findings: &[Finding]) -> String {
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

/// Returns the line that reports a failure.
#[must_use]
pub fn error_line(message: &str) -> String {
    let style = foreground(AnsiColor::Red).bold();
    format!("{style}error:{style:#} {}\n", printable(&message))
}

/// Replaces control characters, except line ends: names and messages come from outside, and a control
/// character could change the terminal.
fn printable(text: &impl Display) -> String {
    text.to_string().chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Verify => "verify",
    }
}

fn symbol(action: Action) -> (char, Style) {
    let (symbol, color) = match action {
        Action::Create => ('+', AnsiColor::Green),
        Action::Update => ('~', AnsiColor::Yellow),
        Action::Delete => ('-', AnsiColor::Red),
        Action::Verify => ('?', AnsiColor::Cyan),
    };
    (symbol, foreground(color))
}

fn foreground(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}
