//! Which existing clients a resource may adopt.

use super::Mark;

/// The settings of a client that decide whether it is a machine's client. The values are the API's.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolClientType.html>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// `AllowedOAuthFlows`; empty if `AllowedOAuthFlowsUserPoolClient` is off.
    pub oauth_flows: Vec<String>,
    /// `ExplicitAuthFlows`.
    pub sign_in_flows: Vec<String>,
    /// `SupportedIdentityProviders`.
    pub identity_providers: Vec<String>,
    /// `CallbackURLs`.
    pub callback_urls: Vec<String>,
}

/// The rule that a client breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdoptable {
    #[error("it does not exist in the user pool")]
    Missing,
    #[error("its name has the mark @{0}, so another resource owns it")]
    Marked(Mark),
    #[error("stack {0}, which owns the user pool, declares it and keeps its secret")]
    Declared(String),
    #[error("it has no secret that Cognito shows")]
    NoSecret,
    #[error("it has two secrets, and nobody can tell which one its consumers use")]
    TwoSecrets,
    #[error("client_credentials must be its only OAuth flow, but it has {}", or_none(.0))]
    OAuthFlows(Vec<String>),
    #[error("users can sign in with it: it has the flows {}", or_none(.0))]
    SignInFlows(Vec<String>),
    #[error("users can sign in with it: it has the identity providers {}", or_none(.0))]
    IdentityProviders(Vec<String>),
    #[error("users can sign in with it: it has the callback URLs {}", or_none(.0))]
    CallbackUrls(Vec<String>),
    #[error("the resource already has a client, and AdoptClientId works only when a resource is created")]
    NotACreate,
}

impl NotAdoptable {
    /// Returns what the user can do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Missing => "Correct AdoptClientId or UserPoolId",
            Self::Marked(_) => {
                "Delete that resource first, if it adopted the client. The client then stays and gets its former name back"
            }
            Self::Declared(_) | Self::NoSecret => "Remove AdoptClientId, so that the resource creates a client",
            Self::TwoSecrets => {
                "Find out which one is in use, delete the other one with DeleteUserPoolClientSecret, and deploy again"
            }
            Self::OAuthFlows(_) | Self::SignInFlows(_) | Self::IdentityProviders(_) | Self::CallbackUrls(_) => {
                "This resource is for machines only. If nobody signs in with the client, remove these settings from it and \
                 deploy again"
            }
            Self::NotACreate => "Declare the client under another logical id",
        }
    }
}

fn or_none(values: &[String]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

/// What Cognito gives a client whose creator chose no sign-in flow.
const DEFAULT_SIGN_IN_FLOWS: [&str; 3] = ["ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"];

impl ClientSettings {
    /// Checks that this is a machine's client.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), NotAdoptable> {
        let Self { oauth_flows, sign_in_flows, identity_providers, callback_urls } = self;
        if *oauth_flows != ["client_credentials"] {
            return Err(NotAdoptable::OAuthFlows(oauth_flows.clone()));
        }
        let mut flows: Vec<&str> = sign_in_flows.iter().map(String::as_str).collect();
        flows.sort_unstable();
        let is_default = flows == DEFAULT_SIGN_IN_FLOWS;
        if !is_default
            && flows.iter().any(|flow| !["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_CLIENT_TOKEN_AUTH"].contains(flow))
        {
            return Err(NotAdoptable::SignInFlows(sign_in_flows.clone()));
        }
        if identity_providers.iter().any(|provider| provider != "COGNITO") {
            return Err(NotAdoptable::IdentityProviders(identity_providers.clone()));
        }
        if !callback_urls.is_empty() {
            return Err(NotAdoptable::CallbackUrls(callback_urls.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ClientSettings {
        ClientSettings { oauth_flows: vec!["client_credentials".to_owned()], ..ClientSettings::default() }
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_machines_client_is_adoptable() {
        let terraforms_default = ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"];
        for flows in [&[][..], &["ALLOW_REFRESH_TOKEN_AUTH"], &["ALLOW_CLIENT_TOKEN_AUTH"], &terraforms_default] {
            assert_eq!(ClientSettings { sign_in_flows: list(flows), ..settings() }.check(), Ok(()), "{flows:?}");
        }
        let cognito = ClientSettings { identity_providers: list(&["COGNITO"]), ..settings() };
        assert_eq!(cognito.check(), Ok(()));
    }

    #[test]
    fn a_client_that_users_sign_in_with_is_not() {
        for flows in [&["ALLOW_USER_PASSWORD_AUTH"][..], &["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]] {
            let flows = list(flows);
            let settings = ClientSettings { sign_in_flows: flows.clone(), ..settings() };
            assert_eq!(settings.check(), Err(NotAdoptable::SignInFlows(flows)));
        }
        for flows in [&[][..], &["code"], &["client_credentials", "code"]] {
            let flows = list(flows);
            let settings = ClientSettings { oauth_flows: flows.clone(), ..settings() };
            assert_eq!(settings.check(), Err(NotAdoptable::OAuthFlows(flows)));
        }
        let providers = list(&["COGNITO", "Google"]);
        let federated = ClientSettings { identity_providers: providers.clone(), ..settings() };
        assert_eq!(federated.check(), Err(NotAdoptable::IdentityProviders(providers)));
        let urls = list(&["https://example.com"]);
        let web = ClientSettings { callback_urls: urls.clone(), ..settings() };
        assert_eq!(web.check(), Err(NotAdoptable::CallbackUrls(urls)));
    }
}
