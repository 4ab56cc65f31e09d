//! Resolves values: scalars, lists and maps, and what they hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Problem, Pseudo, Template, scalar::as_text};

/// How deep values and conditions may be nested: far deeper than people write. A program's stack is finite, and a
/// chain of conditions may be as long as the template.
pub(super) const MAX_DEPTH: usize = 100;

/// What a user can do about a value that is not resolved.
pub(super) const WAY_OUT: &str = "write the value out, or pass the properties with --properties";

/// A problem was reported, and the value is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorReported;

/// A value. `None` means that `AWS::NoValue` removes the property or the entry.
pub(super) type Resolved = Result<Option<Value>, ErrorReported>;

/// Resolves the properties of one resource and collects the problems. The functions are in
/// [`intrinsics`](super::intrinsics), [`conditions`](super::conditions) and [`parameters`](super::parameters).
pub(super) struct Resolver<'a> {
    pub(super) template: &'a Template,
    pub(super) parameters: &'a BTreeMap<String, String>,
    pub(super) pseudo: &'a Pseudo,
    /// The conditions that were asked for. `None` while one is being resolved.
    pub(super) conditions: BTreeMap<&'a str, Option<Result<bool, ErrorReported>>>,
    depth: usize,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(template: &'a Template, parameters: &'a BTreeMap<String, String>, pseudo: &'a Pseudo) -> Self {
        Self { template, parameters, pseudo, conditions: BTreeMap::new(), depth: 0, problems: Vec::new() }
    }

    pub(super) fn note(&mut self, path: &str, message: impl Into<String>) {
        let path = if path.is_empty() { "Properties" } else { path };
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    pub(super) fn refuse<T>(&mut self, path: &str, message: impl Into<String>) -> Result<T, ErrorReported> {
        self.note(path, message);
        Err(ErrorReported)
    }

    pub(super) fn refuse_unknown<T>(&mut self, path: &str, what: &str) -> Result<T, ErrorReported> {
        self.refuse(path, format!("{what} cannot be known before the deploy; {WAY_OUT}"))
    }

    /// Reports [macros](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-macros.html) of the
    /// user's own, which may change anything. AWS's macros for whole templates do not change a custom resource's
    /// properties.
    pub(super) fn check_macros(&mut self, resource: &Value) {
        let root = self.template.root();
        for transforms in [root.get("Transform"), root.get("Fn::Transform")].into_iter().flatten() {
            for transform in transforms.as_array().map_or(std::slice::from_ref(transforms), Vec::as_slice) {
                let name = transform.get("Name").unwrap_or(transform).as_str().unwrap_or("without a name");
                if !name.starts_with("AWS::") {
                    self.note("Transform", format!("the macro {name} may change the properties; {WAY_OUT}"));
                }
            }
        }
        if resource.get("Fn::Transform").is_some() {
            self.note("", format!("the resource's Fn::Transform may change them; {WAY_OUT}"));
        }
    }

    /// Runs a step one level deeper, or refuses it at the limit.
    pub(super) fn nested<T>(
        &mut self,
        path: &str,
        step: impl FnOnce(&mut Self) -> Result<T, ErrorReported>,
    ) -> Result<T, ErrorReported> {
        if self.depth == MAX_DEPTH {
            return self.refuse(path, format!("is nested more than {MAX_DEPTH} levels deep"));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    pub(super) fn value(&mut self, path: &str, value: &Value) -> Resolved {
        let resolved = self.nested(path, |this| match value {
            Value::Null => this.refuse(path, "a template cannot hold null"),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(as_text(value).map(Value::from)),
            Value::Array(entries) => {
                this.entries(entries, |index| format!("{path}[{index}]")).map(|list| Some(list.into()))
            }
            Value::Object(map) => this.map(path, map),
        })?;
        // See https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
        if resolved.as_ref().and_then(Value::as_str).is_some_and(|text| text.contains("{{resolve:")) {
            return self.refuse_unknown(path, "a dynamic reference ({{resolve:…}})");
        }
        Ok(resolved)
    }

    pub(super) fn entries(
        &mut self,
        entries: &[Value],
        path: impl Fn(usize) -> String,
    ) -> Result<Vec<Value>, ErrorReported> {
        // All are resolved before the first problem counts, so that all problems are reported.
        let resolved: Vec<_> = entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| self.value(&path(index), entry).transpose())
            .collect();
        resolved.into_iter().collect()
    }

    fn map(&mut self, path: &str, map: &Map<String, Value>) -> Resolved {
        // A map that holds more than `Ref` is the user's own, such as tags.
        let function = map.iter().find(|(name, _)| name.starts_with("Fn::") || (*name == "Ref" && map.len() == 1));
        match function {
            Some((name, argument)) if map.len() == 1 => self.function(path, name, argument),
            Some((name, _)) => self.refuse(path, format!("{name} beside other entries is not supported; {WAY_OUT}")),
            None => {
                let join = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let resolved: Vec<_> = map
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), self.value(&join(name), value).transpose()?)))
                    .collect();
                let map: Result<Map<_, _>, _> =
                    resolved.into_iter().map(|(name, value)| value.map(|value| (name, value))).collect();
                map.map(|map| Some(map.into()))
            }
        }
    }
}
