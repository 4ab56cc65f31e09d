//! Gets and keeps the access token of a Custom::CognitoM2M client, with the AWS SDK and reqwest.
//!
//! ```ignore
//! let tokens = TokenSource::new("arn:aws:secretsmanager:…").await?; // the secret's ARN or its name
//! let request = http.get(url).bearer_auth(tokens.token().await?);
//! ```
//!
//! Needs secretsmanager:GetSecretValue on the secret. As a program it GETs URLs with the token: each line of the
//! standard input holds URLs to call at once.
//!
//! ```sh
//! echo https://api.example.com/orders | cargo run --example consumer orders-api-dev/reporting
//! ```

use std::{
    env,
    error::Error,
    io,
    iter::successors,
    time::{Duration, SystemTime},
};

use aws_config::BehaviorVersion;
use futures::future::try_join_all;
use reqwest::redirect::Policy;
use serde::Deserialize;
use tokio::sync::Mutex;

/// A token is not used in its last minute, for clocks differ and calls take time.
const EARLY: Duration = Duration::from_mins(1);
/// The secret is read again after this time, though nobody has refused it.
const SECRET_AGE: Duration = Duration::from_hours(24);
/// For one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no token. Holds no secret.
type Failure = Box<dyn Error + Send + Sync>;

/// The token of one client. Tasks may share it.
pub struct TokenSource {
    secret_id: String,
    secrets_manager: aws_sdk_secretsmanager::Client,
    http: reqwest::Client,
    kept: Mutex<Kept>,
}

/// What is kept, each with the time until which it is. No `Debug`, so that nothing prints it.
#[derive(Default)]
struct Kept {
    credentials: Option<(Credentials, SystemTime)>,
    token: Option<(String, SystemTime)>,
}

/// What is needed of the secret's value.
#[derive(Deserialize)]
struct Credentials {
    client_id: String,
    client_secret: String,
    token_endpoint: String,
    /// `GetClientToken`, or else the token endpoint of OAuth 2.0.
    #[serde(default)]
    token_service: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

/// What GetClientToken grants.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApiGranted {
    client_authentication_result: ApiToken,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApiToken {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(alias = "__type")]
    error: String,
}

const GET_CLIENT_TOKEN: &str = "AWSCognitoIdentityProviderService.GetClientToken";

impl TokenSource {
    pub async fn new(secret_id: impl Into<String>) -> Result<Self, Failure> {
        Ok(Self {
            secret_id: secret_id.into(),
            secrets_manager: aws_sdk_secretsmanager::Client::new(
                &aws_config::load_defaults(BehaviorVersion::latest()).await,
            ),
            http: reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build()?,
            kept: Mutex::default(),
        })
    }

    /// A token that is good for another minute at least.
    pub async fn token(&self) -> Result<String, Failure> {
        // One task asks for a token and the others wait for it: Cognito bills each token.
        let mut kept = self.kept.lock().await;
        let now = now();
        if let Some((token, until)) = &kept.token
            && now < *until
        {
            return Ok(token.clone());
        }
        let granted = self.renew(&mut kept, now).await?;
        let until = now + Duration::from_secs(granted.expires_in).saturating_sub(EARLY);
        kept.token = Some((granted.access_token.clone(), until));
        Ok(granted.access_token)
    }

    async fn renew(&self, kept: &mut Kept, now: SystemTime) -> Result<Granted, Failure> {
        if let Some((credentials, until)) = &kept.credentials
            && now < *until
            // Where it fails, the secret may have been rotated since it was read, or the endpoint changed: read it again.
            && let Ok(granted) = self.request(credentials).await
        {
            return Ok(granted);
        }
        let secret = self.secrets_manager.get_secret_value().secret_id(&self.secret_id).send().await;
        let secret = secret.map_err(|error| format!("{} cannot be read: {}", self.secret_id, causes(&error)))?;
        let credentials = serde_json::from_str(secret.secret_string().unwrap_or_default())
            .map_err(|_| format!("{} is not the secret of a client", self.secret_id))?;
        let (credentials, _) = kept.credentials.insert((credentials, now + SECRET_AGE));
        self.request(credentials).await
    }

    async fn request(&self, credentials: &Credentials) -> Result<Granted, Failure> {
        let Credentials { client_id, client_secret, token_endpoint: endpoint, token_service } = credentials;
        let by_api = token_service == "GetClientToken";
        let request = self.http.post(endpoint);
        // No scope is asked for, so the token has all of the client's.
        let request = if by_api {
            // A public operation of Cognito's API: it needs no signature.
            let body = serde_json::json!({ "ClientId": client_id, "Secret": client_secret });
            let request = request.header("x-amz-target", GET_CLIENT_TOKEN);
            request.header("content-type", "application/x-amz-json-1.1").body(body.to_string())
        } else {
            request.basic_auth(client_id, Some(client_secret)).form(&[("grant_type", "client_credentials")])
        };
        let response = request.send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        if status.is_success() {
            let granted = if by_api {
                serde_json::from_slice(&body).map(|granted: ApiGranted| {
                    let ApiToken { access_token, expires_in } = granted.client_authentication_result;
                    Granted { access_token, expires_in }
                })
            } else {
                serde_json::from_slice(&body)
            };
            return Ok(granted.map_err(|_| format!("{endpoint} gave no token"))?);
        }
        let reason = serde_json::from_slice(&body).map_or_else(|_| String::new(), |refused: Refused| refused.error);
        Err(format!("{endpoint} answered {status} {reason}").into())
    }
}

/// An error with its causes, and without the answer that its `Debug` would show.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut causes: Vec<_> = successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    causes.dedup();
    causes.join(": ")
}

/// The wall clock, because it goes on while a computer sleeps or a Lambda function is frozen.
#[expect(clippy::disallowed_methods, reason = "the rule is for the provider, whose tests pause the clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
async fn main() -> Result<(), Failure> {
    let tokens = TokenSource::new(env::args().nth(1).ok_or("usage: consumer SECRET_ID")?).await?;
    let call = async |url: String| {
        let response = tokens.http.get(&url).bearer_auth(tokens.token().await?).send().await?;
        Ok::<_, Failure>(format!("{} {url}", response.status().as_u16()))
    };
    for line in io::stdin().lines() {
        for result in try_join_all(line?.split_whitespace().map(str::to_owned).map(&call)).await? {
            println!("{result}");
        }
    }
    Ok(())
}
