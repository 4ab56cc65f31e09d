//! The properties of the resource types. One table feeds the parser, the JSON Schema and the check of
//! `docs/reference.md`.
//!
//! | file | contents |
//! |---|---|
//! | `table` | every property: its name, rule, default and description; every object: its properties |
//! | `rules`, `tags` | the kinds of rules: what each of them accepts, and how it reads a value |
//! | `reader` | reads the properties of an object by its table and collects violations |
//! | `sharing` | reads who else may read a secret, and where else it is |
//! | `parse` | builds [`Desired`](crate::model::Desired), and checks rules that involve several properties |
//! | `parse_part` | builds it for a client or a resource server in somebody else's pool |
//! | `schema` | builds the JSON Schema from the table, and lists the rules that a schema cannot state |
//! | `reference` | a test that holds `docs/reference.md` to the table |
//!
//! To add a property, write its entry in `table`, add it to the list of its object, and read it in `parse`. The tests
//! then print the row for `docs/reference.md`. Another resource type is another list; it can reuse entries.

mod parse;
mod parse_part;
mod reader;
#[cfg(test)]
mod reference;
mod rules;
mod schema;
mod sharing;
mod table;
mod tags;

pub use parse::{parse, secret_recovery_window_in_days, user_pool_id};
pub use schema::{rules_outside_schema, schema};
pub use table::MAX_SHARED_WITH;
