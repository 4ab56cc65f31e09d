//! The properties that the user declares, in a file of their own or in a template.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use serde_json::Value;

use super::{
    args::DeclaredArgs,
    context::{Stack, Wanted, the_one},
    error::Error,
    template::{self, Pseudo, Template},
};
use crate::{
    model::ResourceType,
    ports::{Account, AwsError, all_pages},
};

/// A declared resource.
#[derive(Clone)]
pub struct Declared {
    pub source: Source,
    /// The resource of the template or of the stack; `None` if there is only one.
    pub logical_id: Option<String>,
    /// The type that the user names. A file of properties does not say it.
    pub resource_type: Option<ResourceType>,
    /// Values of the template's parameters. They take precedence over the stack's values.
    pub parameters: BTreeMap<String, String>,
}

#[derive(Clone)]
pub enum Source {
    Properties(Value),
    Template(Template),
}

impl DeclaredArgs {
    /// Reads the file that is named. Returns `None` if no file is named.
    pub(super) fn read(&self) -> Result<Option<Declared>, Error> {
        let Some(path) = self.properties.as_ref().or(self.template.as_ref()) else { return Ok(None) };
        let parsed = template::parse(&read_file(path)?)
            .map_err(|source| Error::Parse { path: path.display().to_string(), source })?;
        let source = if self.properties.is_some() {
            Source::Properties(parsed)
        } else {
            Source::Template(Template::new(parsed))
        };
        Ok(Some(Declared {
            source,
            logical_id: self.logical_id.clone(),
            resource_type: self.resource_type,
            parameters: self.parameter_overrides.iter().cloned().collect(),
        }))
    }
}

fn read_file(path: &Path) -> Result<String, Error> {
    let read = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|source| Error::File { path: path.display().to_string(), source })
}

impl Declared {
    /// Returns the properties as CloudFormation would hand them to the provider.
    ///
    /// # Errors
    /// A value is not known before a deploy, or the resource is not in the template.
    pub async fn properties(
        &self,
        logical_id: &str,
        stack: Option<&Stack>,
        account: &impl Account,
        region: &str,
    ) -> Result<Value, Error> {
        let template = match &self.source {
            Source::Properties(properties) => return Ok(properties.clone()),
            Source::Template(template) => template,
        };
        let mut pseudo = pseudo_parameters(stack, account, region).await;
        if template.imports(logical_id) {
            // No error: without the exports, the template's own error says which value is missing.
            pseudo.exports = exports(account).await.ok();
        }
        let mut parameters = stack.map(|stack| usable_parameters(stack, template)).unwrap_or_default();
        parameters.extend(self.parameters.clone());
        Ok(template.properties(logical_id, &parameters, &pseudo)?)
    }

    /// Tells whether this is about one resource. A template may declare several.
    pub(super) fn is_one(&self) -> bool {
        self.logical_id.is_some() || matches!(self.source, Source::Properties(_))
    }

    /// Returns the logical id and the type of the resource.
    pub(super) fn choose(&self, stack: Option<&Stack>) -> Result<(String, ResourceType), Error> {
        let wanted = Wanted { logical_id: self.logical_id.as_deref(), resource_type: self.resource_type };
        match (&self.source, stack) {
            (Source::Template(template), _) => the_one(wanted, &resources(template), "the template"),
            (Source::Properties(_), Some(stack)) => stack.the_one(wanted),
            (Source::Properties(_), None) => {
                let resource_type = self.resource_type.unwrap_or(ResourceType::CognitoM2M);
                Ok((self.logical_id.clone().unwrap_or_default(), resource_type))
            }
        }
    }
}

/// Returns the logical ids and types of our resources in a template.
fn resources(template: &Template) -> Vec<(&str, ResourceType)> {
    let of_type = |known: ResourceType| {
        template.resources_of_type(known.as_str()).into_iter().map(move |logical_id| (logical_id, known))
    };
    ResourceType::ALL.into_iter().flat_map(of_type).collect()
}

async fn pseudo_parameters(stack: Option<&Stack>, account: &impl Account, region: &str) -> Pseudo {
    let account_id = match stack {
        Some(stack) => stack.account_id().map(ToOwned::to_owned),
        // No error: a template that does not use the account needs no credentials.
        None => account.get_caller_identity().await.ok().map(|caller| caller.account),
    };
    let (partition, url_suffix) = partition(region);
    Pseudo {
        region: Some(region.to_owned()),
        partition: Some(partition.to_owned()),
        url_suffix: Some(url_suffix.to_owned()),
        account_id,
        stack_name: stack.map(|stack| stack.description.name.clone()),
        stack_id: stack.map(|stack| stack.description.id.clone()),
        exports: None,
    }
}

async fn exports(account: &impl Account) -> Result<BTreeMap<String, String>, AwsError> {
    let listed = all_pages(async |next| account.list_exports(next.as_deref()).await).await?;
    Ok(listed.into_iter().collect())
}

/// Returns the stack's values of the parameters that the new template still declares, except masked values.
fn usable_parameters(stack: &Stack, template: &Template) -> BTreeMap<String, String> {
    let is_usable = |(name, value): &(&String, &String)| {
        template.parameters().any(|declared| declared == *name) && !is_masked(value)
    };
    let values = stack.description.parameters.iter().filter(is_usable);
    values.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether CloudFormation masks the value, as it does for a NoEcho parameter.
fn is_masked(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b == b'*')
}

/// Returns the region's partition and the end of its host names.
pub(super) fn partition(region: &str) -> (&'static str, &'static str) {
    if region.starts_with("cn-") {
        ("aws-cn", "amazonaws.com.cn")
    } else if region.starts_with("us-gov-") {
        ("aws-us-gov", "amazonaws.com")
    } else {
        ("aws", "amazonaws.com")
    }
}
