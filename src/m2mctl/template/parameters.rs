//! Parameters and pseudo parameters: what `Ref` stands for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    resolver::{ErrorReported, Resolved, Resolver},
    scalar::as_text,
};

/// The values of the
/// [pseudo parameters](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html),
/// as far as they are known, and what else comes from outside the template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pseudo {
    pub account_id: Option<String>,
    pub partition: Option<String>,
    pub region: Option<String>,
    pub stack_id: Option<String>,
    pub stack_name: Option<String>,
    pub url_suffix: Option<String>,
    /// What the stacks of the account export, for `Fn::ImportValue`.
    pub exports: Option<BTreeMap<String, String>>,
}

impl Resolver<'_> {
    /// Reports values for parameters that the template does not declare. CloudFormation refuses them too, and a typo
    /// in a name would silently change the plan.
    pub(super) fn check_parameters(&mut self) {
        for name in self.parameters.keys() {
            if self.template.entry("Parameters", name).is_none() {
                let declared: Vec<_> = self.template.parameters().collect();
                let declared = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
                let message = format!("the template does not declare this parameter; declared: {declared}");
                self.note(&format!("Parameters.{name}"), message);
            }
        }
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-ref.html>
    pub(super) fn reference(&mut self, path: &str, name: &str) -> Resolved {
        let Pseudo { account_id, partition, region, stack_id, stack_name, url_suffix, exports: _ } = self.pseudo;
        let known = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => account_id,
            "AWS::Partition" => partition,
            "AWS::Region" => region,
            "AWS::StackId" => stack_id,
            "AWS::StackName" => stack_name,
            "AWS::URLSuffix" => url_suffix,
            _ if name.starts_with("AWS::") => &None,
            _ => return self.parameter(path, name).map(Some),
        };
        known.clone().map_or_else(|| self.refuse_unknown(path, name), |text| Ok(Some(text.into())))
    }

    /// See <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>
    fn parameter(&mut self, path: &str, name: &str) -> Result<Value, ErrorReported> {
        let Some(declaration) = self.template.entry("Parameters", name) else {
            return match self.template.entry("Resources", name) {
                Some(_) => self.refuse_unknown(path, &format!("Ref to the resource {name}")),
                None => self.refuse(path, format!("{name} is neither a parameter nor a resource of the template")),
            };
        };
        let parameter_type = declaration.get("Type").and_then(Value::as_str).unwrap_or("String");
        // Its value, given or default, is a name in Parameter Store. CloudFormation looks the real value up there.
        if parameter_type.starts_with("AWS::SSM::Parameter::Value<") {
            return self.refuse_unknown(path, &format!("the parameter {name}, a value in Parameter Store,"));
        }
        let given = self.parameters.get(name).cloned();
        let Some(text) = given.or_else(|| declaration.get("Default").and_then(as_text)) else {
            let advice = format!("give one with --parameter-overrides {name}=…");
            return self.refuse(path, format!("the parameter {name} has no value and no default; {advice}"));
        };
        let is_list = parameter_type == "CommaDelimitedList" || parameter_type.starts_with("List<");
        Ok(if is_list { text.split(',').map(str::trim).collect() } else { text.into() })
    }
}
