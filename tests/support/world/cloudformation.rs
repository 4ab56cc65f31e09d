//! CloudFormation, as far as stacks are read.

use std::collections::BTreeMap;

use super::{
    Aws,
    protocol::{Refusal, element, page},
};

type Form = BTreeMap<String, String>;

/// When everything in the account was made; no test depends on it.
pub const MADE_ON: &str = "2026-01-02T03:04:05Z";

pub struct Stack {
    pub id: String,
    pub name: String,
    pub status: String,
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
    pub resources: Vec<StackResource>,
    /// As CloudFormation processed it.
    pub template: String,
}

pub struct StackResource {
    pub logical_id: &'static str,
    pub resource_type: &'static str,
    pub physical_id: &'static str,
    pub status: &'static str,
}

impl Aws {
    pub fn cloudformation(&self, action: &str, form: &Form) -> Result<String, Refusal> {
        match action {
            "DescribeStacks" => self.describe_stacks(form),
            "ListStackResources" => self.list_stack_resources(form),
            "GetTemplate" => self.get_template(form),
            "ListExports" => Ok(self.list_exports(form)),
            unknown => Err(Refusal::of("InvalidAction", unknown)),
        }
    }

    fn describe_stacks(&self, form: &Form) -> Result<String, Refusal> {
        let Stack { id, name, status, parameters, outputs, .. } = self.stack(form)?;
        let pairs = |pairs: &BTreeMap<String, String>, kind: &str| -> String {
            let pair = |(key, value): (&String, &String)| {
                let pair = element(&format!("{kind}Key"), key) + &element(&format!("{kind}Value"), value);
                format!("<member>{pair}</member>")
            };
            pairs.iter().map(pair).collect()
        };
        let stack = [
            element("StackId", id),
            element("StackName", name),
            element("CreationTime", MADE_ON),
            element("StackStatus", status),
            format!("<Parameters>{}</Parameters>", pairs(parameters, "Parameter")),
            format!("<Outputs>{}</Outputs>", pairs(outputs, "Output")),
        ];
        Ok(format!("<Stacks><member>{}</member></Stacks>", stack.concat()))
    }

    fn list_stack_resources(&self, form: &Form) -> Result<String, Refusal> {
        let shown = |resource: &StackResource| {
            let resource = [
                element("LogicalResourceId", resource.logical_id),
                element("ResourceType", resource.resource_type),
                element("PhysicalResourceId", resource.physical_id),
                element("ResourceStatus", resource.status),
                element("LastUpdatedTimestamp", MADE_ON),
            ];
            format!("<member>{}</member>", resource.concat())
        };
        let token = form.get("NextToken").map(String::as_str).unwrap_or_default();
        let (resources, next) = page(self.stack(form)?.resources.iter().map(shown), self.page_size, token);
        let next = next.map(|next| element("NextToken", &next)).unwrap_or_default();
        Ok(format!("<StackResourceSummaries>{}</StackResourceSummaries>{next}", resources.concat()))
    }

    fn list_exports(&self, form: &Form) -> String {
        let shown = |(name, value): &(String, String)| {
            format!("<member>{}</member>", element("Name", name) + &element("Value", value))
        };
        let token = form.get("NextToken").map(String::as_str).unwrap_or_default();
        let (exports, next) = page(self.exports.iter().map(shown), self.page_size, token);
        let next = next.map(|next| element("NextToken", &next)).unwrap_or_default();
        format!("<Exports>{}</Exports>{next}", exports.concat())
    }

    fn get_template(&self, form: &Form) -> Result<String, Refusal> {
        Ok(element("TemplateBody", &self.stack(form)?.template))
    }

    fn stack(&self, form: &Form) -> Result<&Stack, Refusal> {
        let asked = form.get("StackName").map(String::as_str).unwrap_or_default();
        let found = self.stacks.iter().find(|stack| stack.name == asked || stack.id == asked);
        found.ok_or_else(|| Refusal::of("ValidationError", &format!("Stack with id {asked} does not exist")))
    }
}
