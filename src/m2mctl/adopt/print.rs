//! The template in YAML, and everything as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Adoptee, Consent, LeftOut, Takeover};
use crate::{
    m2mctl::{error::advice, live_pool::one_line},
    model::{ResourceType, ownership::SHARED_WITH_TAG},
};

/// The template's parameter with the provider's stack.
pub(super) const PROVIDER_PARAMETER: &str = "ProviderStackName";
/// The name of the provider's stack in the guides.
const PROVIDER_STACK: &str = "cognito-m2m";
const PROVIDER_DESCRIPTION: &str = "The name of the stack that exports the provider's ServiceToken.";
/// The provider answers within this time; see the provider's own template.
const SERVICE_TIMEOUT: u32 = 1200;
/// CloudFormation's quota.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
const MAX_RESOURCES: usize = 500;
/// The longest template that the AWS CLI sends without a bucket.
/// <https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/>
const MAX_BYTES_WITHOUT_BUCKET: usize = 51_200;

/// Returns the template, with everything else in comments.
pub(super) fn yaml(takeover: &Takeover, region: &str) -> String {
    let text = yaml_for(takeover, region, "");
    if text.len() <= MAX_BYTES_WITHOUT_BUCKET { text } else { yaml_for(takeover, region, " --s3-bucket BUCKET") }
}

/// `bucket` is the option of the deploy command that a long template needs.
fn yaml_for(takeover: &Takeover, region: &str, bucket: &str) -> String {
    let mut text = String::new();
    let Takeover { pool, pool_name, clients, .. } = takeover;
    comment(&mut text, &format!("The machine clients of user pool {pool} ({pool_name})."));
    if clients.is_empty() {
        comment(&mut text, "No client can be adopted.");
    } else {
        comment(
            &mut text,
            "Each keeps its id and its secret. If you delete the stack, they stay and get their names back.",
        );
        instructions(&mut text, takeover, region, bucket);
    }
    left_out(&mut text, takeover);
    if !clients.is_empty() {
        template_text(&mut text, takeover);
    }
    text
}

/// Appends a comment. It stays one line, whatever is in it.
fn comment(text: &mut String, line: &str) {
    let line = format!("# {}", one_line(line));
    let _ = writeln!(text, "{}", line.trim_end());
}

fn instructions(text: &mut String, takeover: &Takeover, region: &str, bucket: &str) {
    let Consent { prefix, value, is_set } = &takeover.consent;
    let mut lines = vec![String::new()];
    if *is_set {
        lines.push(format!("1. The pool is already shared with stacks whose names begin with: {value}"));
    } else {
        let value = hcl_text(value);
        lines.push("1. Let the stack add to the pool. This sets one tag and keeps the others:".to_owned());
        lines.push(format!("     {}", tag_command(takeover, region)));
        lines.push("   If Terraform manages the pool, set the tag there, or the next apply removes it:".to_owned());
        lines.push("     tags = {".to_owned());
        lines.push(format!("       \"{SHARED_WITH_TAG}\" = {value}"));
        lines.push("     }".to_owned());
    }
    lines.push(
        "2. Take the clients out of the tool that made them, without deleting them (terraform state rm).".to_owned(),
    );
    lines.push("   Otherwise its next run changes them back.".to_owned());
    lines.push("3. Deploy this template:".to_owned());
    lines.push(format!("     {}{bucket}", deploy_command(prefix, region)));
    if !bucket.is_empty() {
        lines.push(
            "   BUCKET is a bucket of yours: the AWS CLI does not send so long a template without one.".to_owned(),
        );
    }
    if takeover.clients.len() > MAX_RESOURCES {
        lines.push(format!(
            "A stack has at most {MAX_RESOURCES} resources, and these are {}: split them into several stacks.",
            takeover.clients.len()
        ));
    }
    for line in lines {
        comment(text, &line);
    }
}

fn tag_command(takeover: &Takeover, region: &str) -> String {
    let tags = json!({ SHARED_WITH_TAG: takeover.consent.value }).to_string();
    format!(
        "aws cognito-idp tag-resource --region {region} --resource-arn {} --tags {}",
        shell_text(&takeover.pool_arn),
        shell_text(&tags)
    )
}

fn deploy_command(prefix: &str, region: &str) -> String {
    let stack = if prefix.ends_with('-') { format!("{prefix}clients") } else { prefix.to_owned() };
    format!("aws cloudformation deploy --region {region} --template-file FILE --stack-name {stack}")
}

fn left_out(text: &mut String, takeover: &Takeover) {
    if takeover.left_out.is_empty() {
        return;
    }
    comment(text, "");
    comment(text, "Left out:");
    for LeftOut { id, name, why, advice } in &takeover.left_out {
        comment(text, &format!("- {name} ({id}): {why}."));
        if !advice.is_empty() {
            comment(text, &format!("  {advice}."));
        }
    }
    if let Some(error) = takeover.unknown_owners.as_ref().filter(|_| takeover.has_unknown_owners()) {
        comment(text, &format!("The stacks of the marks are not known: {error}. {}", advice(error)));
    }
}

fn template_text(text: &mut String, takeover: &Takeover) {
    let Takeover { pool, clients, .. } = takeover;
    let _ = write!(
        text,
        "\n\
         AWSTemplateFormatVersion: \"2010-09-09\"\n\
         Description: {}\n\
         \n\
         Parameters:\n  \
           {PROVIDER_PARAMETER}:\n    \
             Type: String\n    \
             Default: {PROVIDER_STACK}\n    \
             Description: {PROVIDER_DESCRIPTION}\n\
         \n\
         Resources:\n",
        description(pool.as_str())
    );
    for (index, client) in clients.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        resource_text(text, client);
    }
}

fn resource_text(text: &mut String, client: &Adoptee) {
    let Adoptee { id: _, name, logical_id, properties, gone_scopes } = client;
    let property = |name: &str| scalar(&properties[name]);
    let client_name = &properties["ClientName"];
    if client_name != name.as_str() {
        let _ = writeln!(text, "  # In Cognito, its name is {}.", one_line(&json!(name).to_string()));
    }
    if !gone_scopes.is_empty() {
        let gone = one_line(&gone_scopes.join(", "));
        let _ = writeln!(text, "  # Without these scopes, which no resource server has any more: {gone}");
    }
    let _ = write!(
        text,
        "  {}:\n    \
             Type: {}\n    \
             Properties:\n      \
               ServiceToken:\n        \
                 Fn::ImportValue: !Sub ${{{PROVIDER_PARAMETER}}}-ServiceToken\n      \
               ServiceTimeout: {SERVICE_TIMEOUT}\n      \
               UserPoolId: {}\n      \
               AdoptClientId: {}\n      \
               ClientName: {}\n      \
               AllowedOAuthScopes:\n",
        // `Yes` and `No` are not text, not even as a key.
        scalar(&json!(logical_id)),
        ResourceType::CognitoM2MClient,
        property("UserPoolId"),
        property("AdoptClientId"),
        property("ClientName"),
    );
    for scope in properties["AllowedOAuthScopes"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "        - {}", scalar(scope));
    }
    let _ = writeln!(text, "      AccessTokenValidityMinutes: {}", property("AccessTokenValidityMinutes"));
}

/// Returns a value as YAML reads it back: text in quotes, unless it can be nothing but text.
fn scalar(value: &Value) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    match value.as_str() {
        Some(text)
            if text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
                && !WORDS.contains(&text.to_ascii_lowercase().as_str()) =>
        {
            text.to_owned()
        }
        // JSON's strings and numbers are YAML.
        _ => value.to_string(),
    }
}

/// Returns one argument for a shell.
fn shell_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns a string for Terraform's language.
fn hcl_text(text: &str) -> String {
    json!(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

fn description(pool: &str) -> String {
    format!("Takes over the machine clients of user pool {pool}. Made by m2mctl adopt.")
}

/// Returns everything that [`yaml`] says.
pub(super) fn json(takeover: &Takeover, region: &str) -> Value {
    let Takeover { pool, pool_name, pool_arn, consent, clients, left_out, unknown_owners } = takeover;
    let Consent { prefix, value, is_set } = consent;
    let adopted = |client: &Adoptee| {
        let Adoptee { id, name, logical_id, properties: _, gone_scopes } = client;
        json!({ "client_id": id.as_str(), "client_name": name, "logical_id": logical_id, "gone_scopes": gone_scopes })
    };
    let skipped = |client: &LeftOut| {
        let LeftOut { id, name, why, advice } = client;
        json!({ "client_id": id.as_str(), "client_name": name, "why": why, "advice": advice })
    };
    json!({
        "user_pool_id": pool.as_str(),
        "user_pool_name": pool_name,
        "user_pool_arn": pool_arn,
        "stack_prefix": prefix,
        "tag": {
            "key": SHARED_WITH_TAG,
            "value": value,
            "is_set": is_set,
            "command": (!is_set).then(|| tag_command(takeover, region)),
        },
        "template": (!clients.is_empty()).then(|| template(takeover)),
        "clients": clients.iter().map(adopted).collect::<Vec<_>>(),
        "left_out": left_out.iter().map(skipped).collect::<Vec<_>>(),
        "unknown_owners": unknown_owners.as_ref().filter(|_| takeover.has_unknown_owners()).map(ToString::to_string),
    })
}

/// Returns the template. [`template_text`] writes the same with comments.
fn template(takeover: &Takeover) -> Value {
    let service_token = json!({ "Fn::ImportValue": { "Fn::Sub": format!("${{{PROVIDER_PARAMETER}}}-ServiceToken") } });
    let resource = |client: &Adoptee| {
        let mut properties = client.properties.clone();
        properties["ServiceToken"] = service_token.clone();
        properties["ServiceTimeout"] = json!(SERVICE_TIMEOUT);
        let resource = json!({ "Type": ResourceType::CognitoM2MClient.as_str(), "Properties": properties });
        (client.logical_id.clone(), resource)
    };
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": description(takeover.pool.as_str()),
        "Parameters": {
            PROVIDER_PARAMETER: { "Type": "String", "Default": PROVIDER_STACK, "Description": PROVIDER_DESCRIPTION },
        },
        "Resources": takeover.clients.iter().map(resource).collect::<Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_yaml_would_read_as_something_else_is_quoted() {
        for plain in ["web-shop", "orders/read", "us-east-1_AbC", "a.b"] {
            assert_eq!(scalar(&json!(plain)), plain);
        }
        for other in ["yes", "Null", "1e5", "-a", "a=b", "a: b", "a #b", "", "https://api/read", "7"] {
            assert_eq!(scalar(&json!(other)), format!("\"{other}\""));
        }
        assert_eq!(scalar(&json!(60)), "60");
    }

    #[test]
    fn text_for_a_shell_and_for_terraform_stays_one_text() {
        assert_eq!(shell_text("a'b; ls"), r"'a'\''b; ls'");
        assert_eq!(hcl_text("${path} %{if} \"a\""), r#""$${path} %%{if} \"a\"""#);
    }
}
