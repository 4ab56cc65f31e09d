//! IAM and STS, as far as permissions are looked up.

use std::collections::BTreeMap;

use super::{
    ACCOUNT, Aws,
    cloudformation::MADE_ON,
    protocol::{Refusal, element, page},
};

type Form = BTreeMap<String, String>;

impl Aws {
    pub fn iam_and_sts(&self, action: &str, form: &Form) -> Result<String, Refusal> {
        match action {
            "GetCallerIdentity" => Ok(self.get_caller_identity()),
            "GetRole" => self.get_role(form),
            "SimulatePrincipalPolicy" => self.simulate_principal_policy(form),
            unknown => Err(Refusal::of("InvalidAction", unknown)),
        }
    }

    fn get_caller_identity(&self) -> String {
        [element("Arn", &self.caller), element("UserId", "U"), element("Account", ACCOUNT)].concat()
    }

    fn get_role(&self, form: &Form) -> Result<String, Refusal> {
        let name = form.get("RoleName").map(String::as_str).unwrap_or_default();
        let Some(arn) = self.roles.get(name) else {
            let text = format!("The role with name {name} cannot be found.");
            return Err(Refusal::new(404, "NoSuchEntity", &text));
        };
        let path = arn.split_once(":role").and_then(|(_, path)| path.strip_suffix(name)).unwrap_or("/");
        let role = [
            element("Path", path),
            element("RoleName", name),
            element("RoleId", "R"),
            element("Arn", arn),
            element("CreateDate", MADE_ON),
        ];
        Ok(format!("<Role>{}</Role>", role.concat()))
    }

    /// Knows the roles by their ARNs with the path, as IAM does.
    fn simulate_principal_policy(&self, form: &Form) -> Result<String, Refusal> {
        let principal = form.get("PolicySourceArn").map(String::as_str).unwrap_or_default();
        if principal != self.caller && !self.roles.values().any(|role| role == principal) {
            return Err(Refusal::new(404, "NoSuchEntity", &format!("{principal} does not exist.")));
        }
        let mut actions: Vec<_> =
            form.iter().filter(|(key, _)| key.starts_with("ActionNames.member.")).map(|(_, action)| action).collect();
        actions.sort();
        let result = |action: &String| {
            let decision = self.denied.get(action).map_or("allowed", String::as_str);
            let result = [
                element("EvalActionName", action),
                element("EvalResourceName", "*"),
                element("EvalDecision", decision),
            ];
            format!("<member>{}</member>", result.concat())
        };
        let marker = form.get("Marker").map(String::as_str).unwrap_or_default();
        let (results, next) = page(actions.into_iter().map(result), self.page_size, marker);
        let truncated = element("IsTruncated", if next.is_some() { "true" } else { "false" });
        let next = next.map(|next| element("Marker", &next)).unwrap_or_default();
        Ok(format!("<EvaluationResults>{}</EvaluationResults>{truncated}{next}", results.concat()))
    }
}
