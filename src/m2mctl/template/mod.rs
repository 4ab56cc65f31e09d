//! Reads a template: what a resource's properties would be, before a deploy.
//!
//! [`parse`] reads YAML and JSON as CloudFormation does. [`Template::properties`] resolves the functions whose values
//! follow from the template, its parameters, the stack and other stacks' exports. A value that only a deploy can tell (an
//! attribute of another resource, a value in Parameter Store) is a [`Problem`]. All problems are reported together.
//!
//! CloudFormation itself checks the rest, so this module does not: the rules of a parameter (AllowedValues,
//! AllowedPattern and others), values of parameters that the resource does not use, and whether a function is allowed
//! in its place.
//!
//! | module | subject |
//! |---|---|
//! | `yaml`, `json`, `scalar` | text to values |
//! | `resolver` | values: scalars, lists and maps |
//! | `intrinsics` | functions: `Fn::Sub`, `Fn::If` and others |
//! | `conditions` | the section Conditions |
//! | `parameters` | `Ref`, parameters and pseudo parameters |

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

mod conditions;
mod intrinsics;
mod json;
mod parameters;
mod resolver;
mod scalar;
#[cfg(test)]
mod tests;
mod yaml;

pub use self::parameters::Pseudo;
use self::resolver::{ErrorReported, Resolver};

/// Why a resource's properties cannot be read from a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("CloudFormation cannot read this template: {0}")]
    Syntax(String),
    #[error("the template has no resource {0} (resources that a macro or Fn::ForEach adds are not visible here)")]
    NoSuchResource(String),
    #[error("{logical_id} is not created with these parameters: its condition {condition} is false")]
    NotCreated { logical_id: String, condition: String },
    #[error("the properties cannot be resolved from the template:\n  {}", lines(.0))]
    Unresolved(Vec<Problem>),
}

/// A value that cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place of the value: a property, such as `Clients[1].AllowedOAuthScopes[0]`, or a part of the template,
    /// such as `Conditions.InProduction`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, message } = self;
        write!(f, "{path}: {message}")
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Reads a template, or a file of properties, in YAML or in JSON. Short forms of functions (`!Ref X`) become long
/// forms.
///
/// CloudFormation reads [YAML 1.1](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html)
/// without its dates. So, without quotes, `yes` is true, `010` is 8, `1.10` is 1.1 and `2012-10-17` is text. This
/// function does not imitate the rare forms `0888`, `1_000` and `1:30`, which stay text, nor the way in which
/// CloudFormation writes large fractions and powers of ten (`1e30`). In quotes all of them are safe.
///
/// CloudFormation refuses aliases, but this function reads them, because `sam deploy` and `aws cloudformation package`
/// expand them before the deploy. Merge keys (`<<`) and a key that appears twice in a map are refused.
///
/// # Errors
/// [`Error::Syntax`], also for a text that is too large or nested too deep.
pub fn parse(text: &str) -> Result<Value, Error> {
    let text = text.trim_start_matches('\u{feff}');
    // A YAML parser reads most JSON, but not its surrogate pairs. A flow map in YAML starts with the same bracket.
    let json = text.trim_start().starts_with('{').then(|| json::read(text));
    let value = match json {
        Some(Ok(value)) if text.len() <= yaml::MAX_SIZE => value,
        _ => yaml::read(text).map_err(Error::Syntax)?,
    };
    if value.is_object() { Ok(value) } else { Err(Error::Syntax("its top level is not a map".to_owned())) }
}

/// Tells whether a property only says how the provider is called.
fn is_about_the_call(property: &str) -> bool {
    matches!(property, "ServiceToken" | "ServiceTimeout")
}

/// Adds an entry to a map, unless CloudFormation would refuse it.
fn insert(map: &mut Map<String, Value>, key: String, value: Value) -> Result<(), String> {
    if key == "<<" {
        return Err("CloudFormation does not support merge keys (<<); write the entries out".to_owned());
    }
    if map.contains_key(&key) {
        return Err(format!("the key {key:?} appears twice in this map"));
    }
    map.insert(key, value);
    Ok(())
}

/// A template whose functions have their long forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Value);

impl Template {
    #[must_use]
    pub fn new(template: Value) -> Self {
        Self(template)
    }

    /// Returns the logical ids of the resources of a type.
    #[must_use]
    pub fn resources_of_type(&self, resource_type: &str) -> Vec<&str> {
        self.section("Resources")
            .filter(|(_, resource)| resource.get("Type").and_then(Value::as_str) == Some(resource_type))
            .map(|(logical_id, _)| logical_id.as_str())
            .collect()
    }

    /// Returns the names of the parameters that the template declares.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.section("Parameters").map(|(name, _)| name.as_str())
    }

    /// Returns the properties that CloudFormation would hand to the provider: every scalar is text, and
    /// `ServiceToken` and `ServiceTimeout`, which say how the provider is called, are left out.
    ///
    /// A parameter has its value in `parameters`, or else its default.
    ///
    /// # Errors
    /// The resource is missing or not created, or some values cannot be resolved.
    pub fn properties(
        &self,
        logical_id: &str,
        parameters: &BTreeMap<String, String>,
        pseudo: &Pseudo,
    ) -> Result<Value, Error> {
        let resource =
            self.entry("Resources", logical_id).ok_or_else(|| Error::NoSuchResource(logical_id.to_owned()))?;
        let mut resolver = Resolver::new(self, parameters, pseudo);
        resolver.check_parameters();
        resolver.check_macros(resource);
        if let Some(condition) = resource.get("Condition") {
            let condition = condition.as_str().unwrap_or_default();
            let created = resolver.named_condition("Condition", condition);
            // A wrong name of a parameter may be the reason, so it is reported instead.
            if created == Ok(false) && resolver.problems.is_empty() {
                return Err(Error::NotCreated { logical_id: logical_id.to_owned(), condition: condition.to_owned() });
            }
        }
        let mut properties = resource.get("Properties").cloned().unwrap_or_else(|| Map::new().into());
        if let Some(map) = properties.as_object_mut() {
            map.retain(|name, _| !is_about_the_call(name));
        }
        let found = resolver.value("", &properties);
        // A text may hold the same missing name twice.
        resolver.problems.dedup();
        match found {
            Ok(found) if resolver.problems.is_empty() => Ok(found.unwrap_or_else(|| Map::new().into())),
            Ok(_) | Err(ErrorReported) => Err(Error::Unresolved(resolver.problems)),
        }
    }

    /// Tells whether a resource's properties need what another stack exports.
    #[must_use]
    pub fn imports(&self, logical_id: &str) -> bool {
        fn has_import(value: &Value) -> bool {
            match value {
                Value::Object(map) => map.iter().any(|(key, value)| key == "Fn::ImportValue" || has_import(value)),
                Value::Array(list) => list.iter().any(has_import),
                _ => false,
            }
        }
        let properties =
            self.entry("Resources", logical_id).and_then(|resource| resource.get("Properties")?.as_object());
        properties.into_iter().flatten().any(|(name, value)| !is_about_the_call(name) && has_import(value))
    }

    fn root(&self) -> &Value {
        &self.0
    }

    fn section(&self, name: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get(name).and_then(Value::as_object).into_iter().flatten()
    }

    fn entry(&self, section: &str, name: &str) -> Option<&Value> {
        self.0.get(section)?.get(name)
    }
}
