//! Conditions: whether one holds under the given parameters.

use serde_json::Value;

use super::resolver::{ErrorReported, Resolver};

impl Resolver<'_> {
    /// Resolves a condition by its name, once, however often it is used: conditions of conditions would take
    /// exponential time otherwise.
    pub(super) fn named_condition(&mut self, path: &str, name: &str) -> Result<bool, ErrorReported> {
        let template = self.template;
        let conditions = template.root().get("Conditions").and_then(Value::as_object);
        let Some((name, condition)) = conditions.and_then(|conditions| conditions.get_key_value(name)) else {
            return self.refuse(path, format!("the template has no condition {name:?}"));
        };
        let own_path = format!("Conditions.{name}");
        match self.conditions.get(name.as_str()) {
            Some(Some(known)) => *known,
            Some(None) => self.refuse(&own_path, "the condition depends on itself"),
            None => {
                self.conditions.insert(name, None);
                let holds = self.condition(&own_path, condition);
                self.conditions.insert(name, Some(holds));
                holds
            }
        }
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html>
    fn condition(&mut self, path: &str, condition: &Value) -> Result<bool, ErrorReported> {
        let mut entries = condition.as_object().into_iter().flatten();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
            return self.refuse(path, "a condition must be one function");
        };
        let arguments = argument.as_array().map_or(std::slice::from_ref(argument), Vec::as_slice);
        self.nested(path, |this| match (name.as_str(), arguments) {
            ("Condition", [Value::String(name)]) => this.named_condition(path, name),
            ("Fn::Equals", [left, right]) => {
                // Both are resolved before the first problem counts, so that all problems are reported.
                let (left, right) = (this.value(path, left), this.value(path, right));
                Ok(left? == right?)
            }
            ("Fn::Not", [condition]) => this.condition(path, condition).map(|holds| !holds),
            ("Fn::And", conditions) if matches!(conditions.len(), 2..=10) => {
                this.conditions(path, conditions).map(|holds| holds.into_iter().all(|holds| holds))
            }
            ("Fn::Or", conditions) if matches!(conditions.len(), 2..=10) => {
                this.conditions(path, conditions).map(|holds| holds.into_iter().any(|holds| holds))
            }
            ("Condition" | "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or", _) => {
                this.refuse(path, format!("{name} has the wrong arguments"))
            }
            _ => this.refuse(path, format!("{name} cannot be used in a condition")),
        })
    }

    fn conditions(&mut self, path: &str, conditions: &[Value]) -> Result<Vec<bool>, ErrorReported> {
        let holds: Vec<_> = conditions.iter().map(|condition| self.condition(path, condition)).collect();
        holds.into_iter().collect()
    }
}
