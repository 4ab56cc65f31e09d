//! The formats of the matrix of clients and scopes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Access, Caller, Grant, Group, GroupKind, Holder, Scope};
use crate::{
    m2mctl::{error::advice, live_pool::one_line},
    model::Owner,
};

const NO_CLIENT: &str = "no client has it";
const GONE: &str = "gone: no resource server has these scopes, so Cognito leaves them out of every token";

impl Grant {
    /// Returns the character in the text.
    const fn symbol(self) -> char {
        match self {
            Self::None => '.',
            Self::Allowed => 'x',
            Self::Gone => '!',
            Self::NoFlow => '-',
        }
    }

    /// Returns the word in the CSV.
    const fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Allowed => "allowed",
            Self::Gone => "gone",
            Self::NoFlow => "no flow",
        }
    }
}

impl Caller {
    /// Returns who gets tokens with the client.
    fn users(&self) -> &'static str {
        let is_machine = |flow: &String| flow == "client_credentials";
        match (self.flows.iter().any(is_machine), self.flows.iter().all(is_machine)) {
            (true, true) => "machine",
            (true, false) => "machine, users",
            (false, false) => "users",
            // There is no flow.
            (false, true) => "nobody",
        }
    }
}

impl Holder {
    /// Returns the stack and the resource in it.
    fn describe(&self) -> String {
        match self {
            Self::Pool(None) => "the pool's owner".to_owned(),
            Self::Pool(Some(Owner { logical_id, .. })) => format!("{} ({logical_id}, the pool's owner)", self.stack()),
            Self::Stack { owner, adopted } => {
                let adopted = if *adopted { ", adopted" } else { "" };
                format!("{} ({}{adopted})", self.stack(), owner.logical_id)
            }
            Self::Unknown(mark) => format!("unknown (@{mark})"),
        }
    }

    /// Returns the stack's name; empty if it is not known.
    fn stack(&self) -> &str {
        self.owner().map(Owner::stack_name).unwrap_or_default()
    }

    fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Pool(owner) => owner.as_ref(),
            Self::Stack { owner, .. } => Some(owner),
            Self::Unknown(_) => None,
        }
    }

    fn json(&self) -> Value {
        json!({
            "stack": self.owner().map(Owner::stack_name),
            "stack_id": self.owner().map(|owner| &owner.stack_id),
            "logical_id": self.owner().map(|owner| &owner.logical_id),
            "adopted": matches!(self, Self::Stack { adopted: true, .. }),
            "owns_pool": matches!(self, Self::Pool(_)),
            "unknown_mark": match self {
                Self::Unknown(mark) => Some(mark.to_string()),
                Self::Pool(_) | Self::Stack { .. } => None,
            },
        })
    }
}

// Text

pub(super) fn text(access: &Access) -> String {
    let mut lines = vec![format!("User pool {} ({})", access.pool, access.pool_name)];
    lines.push(match &*access.shared_with {
        [] => "Not shared with other stacks".to_owned(),
        prefixes => format!("Shared with stacks whose names begin with: {}", prefixes.join(" ")),
    });
    lines.push(String::new());
    let width = access.scopes().count().to_string().len();
    lines.extend(legend(access, width));
    lines.push(String::new());
    lines.extend(matrix(access, width));
    lines.push(String::new());
    lines
        .push("x: allowed; !: allowed, but the scope is gone; -: allowed, but the client has no OAuth flow".to_owned());
    if let Some(error) = &access.unknown_owners {
        lines.push(format!("The stacks are not known: {error}. {}", advice(error)));
    }
    lines.push(String::new());
    lines.iter().map(|line| one_line(line).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Returns the scopes with their numbers, which head the columns of the matrix.
fn legend(access: &Access, width: usize) -> Vec<String> {
    let mut lines = vec!["Scopes".to_owned()];
    let mut number = 0;
    for Group { kind, scopes } in &access.groups {
        lines.push(match kind {
            GroupKind::Server { identifier, name, holder } if name == identifier => {
                format!("  {identifier}: {}", holder.describe())
            }
            GroupKind::Server { identifier, name, holder } => format!("  {identifier} ({name}): {}", holder.describe()),
            GroupKind::Cognito => "  Cognito's own".to_owned(),
            GroupKind::Gone => format!("  {GONE}"),
        });
        for Scope { name, unused } in scopes {
            number += 1;
            let unused = if *unused { format!("   {NO_CLIENT}") } else { String::new() };
            lines.push(format!("    {number:>width$}  {name}{unused}"));
        }
    }
    lines
}

fn matrix(access: &Access, width: usize) -> Vec<String> {
    let head = ["Client", "Id", "Stack", "For"].map(ToOwned::to_owned);
    let rows = access.clients.iter().map(|client| {
        [client.name.clone(), client.id.to_string(), client.holder.describe(), client.users().to_owned()]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).map(|row| row.map(|cell| one_line(&cell))).collect();
    let widths: Vec<usize> =
        (0..4).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()).collect();
    let columns = |cells: Vec<String>| cells.concat();
    let numbers = columns((1..=access.scopes().count()).map(|number| format!("  {number:>width$}")).collect());
    let cells = access.clients.iter().map(|client| {
        let cell = |(scope, kind)| format!("  {:>width$}", client.grant(scope, kind).symbol());
        columns(access.scopes().map(cell).collect())
    });
    rows.iter()
        .zip(std::iter::once(numbers).chain(cells))
        .map(|(row, cells)| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            line + &cells
        })
        .collect()
}

// CSV

/// Returns one row for each client and one column for each scope. The last row marks the scopes that no client has.
pub(super) fn csv(access: &Access) -> String {
    let fixed = ["client_id", "client_name", "stack", "logical_id", "adopted", "mark_without_owner", "oauth_flows"];
    let scopes = access.scopes().map(|(scope, _)| scope.name.clone());
    let mut rows: Vec<Vec<String>> = vec![fixed.iter().map(ToString::to_string).chain(scopes).collect()];
    for client in &access.clients {
        let Caller { id, name, holder, flows, scopes: _ } = client;
        let (adopted, mark) = match holder {
            Holder::Stack { adopted, .. } => (*adopted, String::new()),
            Holder::Pool(_) => (false, String::new()),
            Holder::Unknown(mark) => (false, mark.to_string()),
        };
        let logical_id = holder.owner().map(|owner| owner.logical_id.clone()).unwrap_or_default();
        let fixed = [
            id.to_string(),
            name.clone(),
            holder.stack().to_owned(),
            logical_id,
            adopted.to_string(),
            mark,
            flows.join(" "),
        ];
        let grants = access.scopes().map(|(scope, kind)| client.grant(scope, kind).word().to_owned());
        rows.push(fixed.into_iter().chain(grants).collect());
    }
    if access.scopes().any(|(scope, _)| scope.unused) {
        let fixed = fixed.iter().map(|column| if *column == "client_name" { "(no client)" } else { "" }.to_owned());
        let unused = access.scopes().map(|(scope, _)| if scope.unused { "unused" } else { "" }.to_owned());
        rows.push(fixed.chain(unused).collect());
    }
    let line = |row: &Vec<String>| row.iter().map(|cell| csv_cell(cell)).collect::<Vec<_>>().join(",") + "\r\n";
    rows.iter().map(line).collect()
}

/// Returns a cell as [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180) writes it. A cell that a spreadsheet would take
/// for a formula begins with an apostrophe: other teams choose the names.
fn csv_cell(text: &str) -> String {
    let text = one_line(text);
    let formula = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    let cell = format!("{formula}{text}");
    if cell.contains([',', '"']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

// JSON

pub(super) fn json(access: &Access) -> Value {
    let gone = access.gone();
    let holders = |scope: &Scope| -> Vec<_> {
        let has = |client: &&Caller| client.scopes.contains(&scope.name);
        access.clients.iter().filter(has).map(|client| client.id.as_str()).collect()
    };
    let scopes_of = |group: &Group| -> Vec<_> {
        group.scopes.iter().map(|scope| json!({ "scope": scope.name, "client_ids": holders(scope) })).collect()
    };
    let server = |group: &Group| match &group.kind {
        GroupKind::Server { identifier, name, holder } => Some(json!({
            "identifier": identifier, "name": name, "owner": holder.json(), "scopes": scopes_of(group),
        })),
        GroupKind::Cognito | GroupKind::Gone => None,
    };
    let client = |client: &Caller| {
        let Caller { id, name, holder, flows, scopes } = client;
        let (gone, scopes): (Vec<_>, Vec<_>) = scopes.iter().partition(|scope| gone.contains(scope.as_str()));
        json!({
            "client_id": id.as_str(), "client_name": name, "owner": holder.json(), "oauth_flows": flows,
            "scopes": scopes, "gone_scopes": gone,
        })
    };
    let unused = access.scopes().filter(|(scope, _)| scope.unused).map(|(scope, _)| &scope.name);
    json!({
        "user_pool_id": access.pool.as_str(),
        "user_pool_name": access.pool_name,
        "shared_with": access.shared_with,
        "resource_servers": access.groups.iter().filter_map(server).collect::<Vec<_>>(),
        "clients": access.clients.iter().map(client).collect::<Vec<_>>(),
        "unused_scopes": unused.collect::<Vec<_>>(),
        "gone_scopes": gone,
        "unknown_owners": access.unknown_owners.as_ref().map(ToString::to_string),
    })
}

// Mermaid

/// Returns a [flowchart](https://mermaid.js.org/syntax/flowchart.html) from each client to its scopes. A dotted line
/// gives nothing.
pub(super) fn mermaid(access: &Access) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (index, Caller { name, holder, .. }) in access.clients.iter().enumerate() {
        let _ = writeln!(text, "  c{index}[\"{}<br/>{}\"]", label(name), label(&holder.describe()));
    }
    let mut number = 0;
    for (index, Group { kind, scopes }) in access.groups.iter().enumerate() {
        let title = match kind {
            GroupKind::Server { identifier, holder, .. } => format!("{identifier}: {}", holder.describe()),
            GroupKind::Cognito => "Cognito's own".to_owned(),
            GroupKind::Gone => "gone".to_owned(),
        };
        let _ = writeln!(text, "  subgraph g{index}[\"{}\"]", label(&title));
        for Scope { name, unused } in scopes {
            let (note, class) = match (kind, unused) {
                (GroupKind::Gone, _) => ("", ":::gone"),
                (_, true) => ("<br/>no client has it", ":::unused"),
                (_, false) => ("", ""),
            };
            let _ = writeln!(text, "    s{number}[\"{}{note}\"]{class}", label(name));
            number += 1;
        }
        text.push_str("  end\n");
    }
    for (index, client) in access.clients.iter().enumerate() {
        for (number, (scope, kind)) in access.scopes().enumerate() {
            let arrow = match client.grant(scope, kind) {
                Grant::None => continue,
                Grant::Allowed => "-->",
                Grant::Gone => "-.->|gone|",
                Grant::NoFlow => "-.->|no flow|",
            };
            let _ = writeln!(text, "  c{index} {arrow} s{number}");
        }
    }
    text.push_str("  classDef unused stroke-dasharray: 4\n  classDef gone stroke:#d00,color:#d00\n");
    text
}

/// Returns text for a label in quotes. Mermaid reads `#35;` as the character of that number.
fn label(text: &str) -> String {
    let escape = |c: char| match c {
        c if c.is_ascii_alphanumeric() || " -_./:,()@+='".contains(c) => c.to_string(),
        c => format!("#{};", u32::from(c)),
    };
    one_line(text).chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_for_a_spreadsheet_and_not_a_formula() {
        for (text, cell) in [
            ("web-shop", "web-shop"),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("=1+1", "'=1+1"),
            ("@home", "'@home"),
            ("a\nb", "a b"),
        ] {
            assert_eq!(csv_cell(text), cell);
        }
    }

    #[test]
    fn a_label_cannot_end_its_quotes() {
        assert_eq!(label("a\"]<b>#\n"), "a#34;#93;#60;b#62;#35; ");
        assert_eq!(label("https://api/read"), "https://api/read");
    }
}
