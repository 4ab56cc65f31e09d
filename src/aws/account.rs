//! CloudFormation, IAM and STS for the command line.

use std::net::ToSocketAddrs;

use aws_config::{BehaviorVersion, Region, SdkConfig, profile::ProfileFileCredentialsProvider, retry::RetryConfig};
use aws_sdk_cloudformation::{
    self as cloudformation,
    types::{ResourceStatus, TemplateStage},
};
use aws_sdk_iam::{self as iam, types::PolicyEvaluationDecisionType};
use aws_sdk_sts as sts;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{error::failed, http::Http};
use crate::ports::{Account, AwsError, Caller, ErrorKind, Page, Result, StackDescription, StackResource};

/// The port that a custom domain is served at.
const HTTPS: u16 = 443;

/// Loads the SDK's settings for the command line, which may name a profile and a region. The SDK's retries are off:
/// [`retry`](crate::retry) has its own.
pub async fn cli_config(http: &Http, profile: Option<&str>, region: Option<&str>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .http_client(http.for_sdk());
    if let Some(profile) = profile {
        // As in the AWS CLI, a profile that is named comes before keys in the environment. In the SDK it does not.
        let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    loader.load().await
}

/// Reads the account with the SDK.
#[derive(Clone, Debug)]
pub struct AwsAccount {
    cloudformation: cloudformation::Client,
    iam: iam::Client,
    sts: sts::Client,
}

impl AwsAccount {
    /// Creates clients that retry by themselves: these calls only read, and [`retry`](crate::retry) does not
    /// wrap them.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let config = config.to_builder().retry_config(RetryConfig::standard()).build();
        Self {
            cloudformation: cloudformation::Client::new(&config),
            iam: iam::Client::new(&config),
            sts: sts::Client::new(&config),
        }
    }
}

impl Account for AwsAccount {
    async fn describe_stacks(&self, name: &str) -> Result<Option<StackDescription>> {
        let answer = match self.cloudformation.describe_stacks().stack_name(name).send().await {
            Ok(answer) => answer,
            // CloudFormation has no code for it: ValidationError, "Stack with id x does not exist".
            Err(error)
                if error
                    .as_service_error()
                    .and_then(ProvideErrorMetadata::message)
                    .is_some_and(says_it_is_not_there) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed("DescribeStacks", subject(name), &error)),
        };
        let stack = answer.stacks.unwrap_or_default().into_iter().next().map(|stack| StackDescription {
            id: stack.stack_id.unwrap_or_default(),
            name: stack.stack_name.unwrap_or_default(),
            status: stack.stack_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            status_reason: stack.stack_status_reason.unwrap_or_default(),
            parameters: stack
                .parameters
                .unwrap_or_default()
                .into_iter()
                .filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)))
                .collect(),
            outputs: stack
                .outputs
                .unwrap_or_default()
                .into_iter()
                .filter_map(|output| Some((output.output_key?, output.output_value?)))
                .collect(),
        });
        // A deleted stack can still be described by its id.
        Ok(stack.filter(|stack| stack.status != "DELETE_COMPLETE"))
    }

    async fn list_stack_resources(&self, name: &str, next: Option<&str>) -> Result<Page<StackResource>> {
        let request =
            self.cloudformation.list_stack_resources().stack_name(name).set_next_token(next.map(ToOwned::to_owned));
        let page = request.send().await.map_err(|error| failed("ListStackResources", subject(name), &error))?;
        let items = page
            .stack_resource_summaries
            .unwrap_or_default()
            .into_iter()
            // The listing includes what a rollback has deleted.
            .filter(|resource| resource.resource_status != Some(ResourceStatus::DeleteComplete))
            .map(|resource| StackResource {
                logical_id: resource.logical_resource_id.unwrap_or_default(),
                resource_type: resource.resource_type.unwrap_or_default(),
                physical_id: resource.physical_resource_id.unwrap_or_default(),
            })
            .collect();
        Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
    }

    async fn list_exports(&self, next: Option<&str>) -> Result<Page<(String, String)>> {
        let request = self.cloudformation.list_exports().set_next_token(next.map(ToOwned::to_owned));
        let page = request.send().await.map_err(|error| failed("ListExports", "", &error))?;
        let exports = page.exports.unwrap_or_default().into_iter();
        let items = exports.filter_map(|export| Some((export.name?, export.value?))).collect();
        Ok(Page { items, next: page.next_token.filter(|token| !token.is_empty()) })
    }

    async fn get_template(&self, name: &str) -> Result<String> {
        let request = self.cloudformation.get_template().stack_name(name).template_stage(TemplateStage::Processed);
        let answer = request.send().await.map_err(|error| failed("GetTemplate", subject(name), &error))?;
        Ok(answer.template_body.unwrap_or_default())
    }

    async fn get_caller_identity(&self) -> Result<Caller> {
        let answer = self.sts.get_caller_identity().send().await;
        let answer = answer.map_err(|error| failed("GetCallerIdentity", "", &error))?;
        Ok(Caller { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
    }

    async fn get_role(&self, name: &str) -> Result<String> {
        let subject = || format!("role {name}");
        let answer = self.iam.get_role().role_name(name).send().await;
        let answer = answer.map_err(|error| failed("GetRole", subject(), &error))?;
        answer.role.map(|role| role.arn).ok_or_else(|| AwsError {
            operation: "GetRole",
            subject: subject(),
            kind: ErrorKind::Lost,
            code: "UnreadableResponse".to_owned(),
            message: "the answer lacks the role".to_owned(),
        })
    }

    async fn simulate_principal_policy(&self, principal: &str, actions: &[&str]) -> Result<Vec<String>> {
        let mut denied = Vec::new();
        let mut marker = None;
        loop {
            let request = self
                .iam
                .simulate_principal_policy()
                .policy_source_arn(principal)
                .set_action_names(Some(actions.iter().map(|action| (*action).to_owned()).collect()))
                .set_marker(marker);
            let page = request.send().await.map_err(|error| failed("SimulatePrincipalPolicy", principal, &error))?;
            denied.extend(
                page.evaluation_results
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|result| result.eval_decision != PolicyEvaluationDecisionType::Allowed)
                    .map(|result| result.eval_action_name),
            );
            marker = page.marker.filter(|_| page.is_truncated);
            if marker.is_none() {
                return Ok(denied);
            }
        }
    }

    async fn resolves(&self, host: &str) -> bool {
        // It may block: nothing else runs meanwhile.
        (host, HTTPS).to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some())
    }
}

fn says_it_is_not_there(message: &str) -> bool {
    message.contains("does not exist")
}

fn subject(name: &str) -> String {
    format!("stack {name}")
}
