//! An AWS that is just good enough: it keeps what it is told, tells it again, and takes its time.
//!
//! It is not the judge of right and wrong; the tests are. It does keep Cognito's quota, because a
//! figure that was reached by breaking it would be worth nothing.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use aws_smithy_types::base64;
use cognito_m2m::clock::{now, wall_clock};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    http::{Reply, Request},
    signing::SigningKey,
};

/// Cognito's quota: calls of one operation on one pool in a second.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html>
pub const CALLS_AT_A_PACE: usize = 5;
pub const PACE: Duration = Duration::from_secs(1);

/// The names of the requests that are no operation of AWS's API.
pub const TOKEN: &str = "POST /oauth2/token";
pub const KEYS: &str = "GET jwks.json";
pub const ANSWER: &str = "PUT ResponseURL";

const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";

#[derive(Default)]
struct Pool {
    description: Value,
    domain: Option<Value>,
    servers: Vec<Value>,
    clients: BTreeMap<String, Value>,
}

struct Secret {
    /// As CreateSecret said it.
    description: Value,
    /// The versions' values and labels, by their ids.
    versions: BTreeMap<String, (String, Vec<String>)>,
    deleted: bool,
}

/// What AWS holds.
#[derive(Default)]
pub struct Cloud {
    pools: BTreeMap<String, Pool>,
    secrets: BTreeMap<String, Secret>,
    /// How many ids have been given out.
    ids: usize,
    arrivals: HashMap<String, VecDeque<Instant>>,
}

/// The name of a call.
pub fn name(request: &Request) -> String {
    match request.path.split('?').next().unwrap_or_default() {
        "/oauth2/token" => TOKEN.to_owned(),
        "/answer" => ANSWER.to_owned(),
        path if path.ends_with("jwks.json") => KEYS.to_owned(),
        _ => request.header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned(),
    }
}

fn ok(body: &Value) -> Reply {
    Reply::ok(body.to_string())
}

fn refused(code: &str, message: &str) -> Reply {
    Reply { status: 400, ..ok(&json!({ "__type": code, "message": message })) }
}

fn gone() -> Reply {
    refused("ResourceNotFoundException", "It does not exist.")
}

fn arn(secret: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret}-AbCdEf")
}

fn pool_arn(id: &str) -> String {
    format!("arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{id}")
}

/// An object with the fields of `more` put over its own.
fn over(mut object: Value, more: &Value) -> Value {
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        object.extend(more.clone());
    }
    object
}

impl Cloud {
    pub fn handle(&mut self, call: &str, request: &Request, key: &SigningKey) -> Reply {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let cognito = request.header("x-amz-target").starts_with("AWSCognitoIdentityProviderService");
        if cognito && self.is_too_fast(call) {
            return refused("TooManyRequestsException", "Too many requests");
        }
        match call {
            TOKEN => self.token(request, key),
            KEYS => ok(&json!({ "keys": [key.jwk()] })),
            ANSWER => Reply::ok(""),
            _ if cognito => self.cognito(call, &body),
            _ => self.secrets_manager(call, &body),
        }
    }

    /// Whether this call would be the sixth of its operation within a second. There is one pool.
    fn is_too_fast(&mut self, call: &str) -> bool {
        let now = now();
        let arrivals = self.arrivals.entry(call.to_owned()).or_default();
        while arrivals.front().is_some_and(|earlier| now.duration_since(*earlier) >= PACE) {
            arrivals.pop_front();
        }
        arrivals.push_back(now);
        arrivals.len() > CALLS_AT_A_PACE
    }

    fn id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    fn cognito(&mut self, operation: &str, body: &Value) -> Reply {
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        match operation {
            "ListUserPools" => {
                let pools: Vec<_> =
                    self.pools.iter().map(|(id, pool)| json!({ "Id": id, "Name": pool.description["Name"] })).collect();
                return ok(&json!({ "UserPools": pools }));
            }
            "CreateUserPool" => {
                let id = format!("{REGION}_Pool{}", self.id());
                let own = json!({ "Id": id, "Name": body["PoolName"], "Arn": pool_arn(&id) });
                let pool = Pool { description: over(body.clone(), &own), ..Pool::default() };
                let answer = json!({ "UserPool": pool.description });
                self.pools.insert(id, pool);
                return ok(&answer);
            }
            "DescribeUserPoolDomain" => {
                let domains = self.pools.values().filter_map(|pool| pool.domain.as_ref());
                let found = domains.into_iter().find(|domain| domain["Domain"] == body["Domain"]);
                return ok(&json!({ "DomainDescription": found.unwrap_or(&json!({})) }));
            }
            _ => {}
        }
        let client_number = self.id();
        let Some(pool) = self.pools.get_mut(text("UserPoolId")) else { return gone() };
        match operation {
            "DescribeUserPool" => {
                let prefix = pool.domain.as_ref().map(|domain| &domain["Domain"]);
                ok(&json!({ "UserPool": over(pool.description.clone(), &json!({ "Domain": prefix })) }))
            }
            "UpdateUserPool" => {
                let own =
                    json!({ "Id": text("UserPoolId"), "Name": body["PoolName"], "Arn": pool_arn(text("UserPoolId")) });
                pool.description = over(body.clone(), &own);
                ok(&json!({}))
            }
            "DeleteUserPool" => {
                self.pools.remove(text("UserPoolId"));
                ok(&json!({}))
            }
            "CreateUserPoolDomain" => {
                pool.domain = Some(over(body.clone(), &json!({ "Status": "ACTIVE", "AWSAccountId": ACCOUNT })));
                ok(&json!({}))
            }
            "DeleteUserPoolDomain" => {
                pool.domain = None;
                ok(&json!({}))
            }
            "ListResourceServers" => ok(&json!({ "ResourceServers": pool.servers })),
            "CreateResourceServer" => {
                pool.servers.push(body.clone());
                ok(&json!({ "ResourceServer": body }))
            }
            "UpdateResourceServer" => {
                pool.servers.retain(|server| server["Identifier"] != body["Identifier"]);
                pool.servers.push(body.clone());
                ok(&json!({ "ResourceServer": body }))
            }
            "ListUserPoolClients" => {
                let clients: Vec<_> = pool
                    .clients
                    .iter()
                    .map(|(id, client)| json!({ "ClientId": id, "ClientName": client["ClientName"] }))
                    .collect();
                ok(&json!({ "UserPoolClients": clients }))
            }
            "CreateUserPoolClient" => {
                let id = format!("client{client_number}");
                let secret = format!("secret0of0client0number{client_number:0>30}");
                let client = over(body.clone(), &json!({ "ClientId": id, "ClientSecret": secret }));
                let answer = json!({ "UserPoolClient": client });
                pool.clients.insert(id, client);
                ok(&answer)
            }
            "DescribeUserPoolClient" | "UpdateUserPoolClient" => {
                let Some(client) = pool.clients.get_mut(text("ClientId")) else { return gone() };
                if operation == "UpdateUserPoolClient" {
                    *client = over(body.clone(), &json!({ "ClientSecret": client["ClientSecret"] }));
                }
                ok(&json!({ "UserPoolClient": client }))
            }
            unknown => refused("UnknownOperationException", unknown),
        }
    }

    fn secrets_manager(&mut self, operation: &str, body: &Value) -> Reply {
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let name = text("SecretId").to_owned();
        let told = |name: &str| ok(&json!({ "ARN": arn(name), "Name": name }));
        match operation {
            "ListSecrets" => {
                let live = self.secrets.iter().filter(|(_, secret)| !secret.deleted);
                let all: Vec<_> =
                    live.map(|(name, secret)| json!({ "Name": name, "Tags": secret.description["Tags"] })).collect();
                return ok(&json!({ "SecretList": all }));
            }
            "CreateSecret" => {
                let value = text("SecretString").to_owned();
                let versions = [(text("ClientRequestToken").to_owned(), (value, vec!["AWSCURRENT".to_owned()]))].into();
                let secret = Secret { description: body.clone(), versions, deleted: false };
                self.secrets.insert(text("Name").to_owned(), secret);
                return told(text("Name"));
            }
            _ => {}
        }
        let Some(secret) = self.secrets.get_mut(&name) else { return gone() };
        match operation {
            "DescribeSecret" => ok(&json!({
                "ARN": arn(&name), "Name": name, "Description": secret.description["Description"],
                "Tags": secret.description["Tags"], "DeletedDate": secret.deleted.then_some(0),
                "VersionIdsToStages":
                    secret.versions.iter().map(|(id, (_, labels))| (id, labels)).collect::<BTreeMap<_, _>>(),
            })),
            "GetSecretValue" => {
                let stage = body["VersionStage"].as_str().unwrap_or("AWSCURRENT");
                let wanted = |(id, (_, labels)): &(&String, &(String, Vec<String>))| match body["VersionId"].as_str() {
                    Some(wanted) => *id == wanted,
                    None => labels.iter().any(|label| label == stage),
                };
                let Some((id, (value, labels))) = secret.versions.iter().find(wanted) else { return gone() };
                ok(&json!({
                    "ARN": arn(&name), "Name": name, "VersionId": id, "SecretString": value, "VersionStages": labels,
                }))
            }
            "PutSecretValue" => {
                for (_, labels) in secret.versions.values_mut() {
                    labels.retain(|label| label != "AWSPREVIOUS");
                    labels.iter_mut().filter(|label| *label == "AWSCURRENT").for_each(|label| {
                        "AWSPREVIOUS".clone_into(label);
                    });
                }
                let version = (text("SecretString").to_owned(), vec!["AWSCURRENT".to_owned()]);
                secret.versions.insert(text("ClientRequestToken").to_owned(), version);
                told(&name)
            }
            "DeleteSecret" => {
                secret.deleted = true;
                told(&name)
            }
            unknown => refused("UnknownOperationException", unknown),
        }
    }

    fn token(&self, request: &Request, key: &SigningKey) -> Reply {
        let given = request.header("authorization").trim_start_matches("Basic ");
        let given = base64::decode(given).ok().and_then(|given| String::from_utf8(given).ok()).unwrap_or_default();
        let (id, secret) = given.split_once(':').unwrap_or_default();
        let found = self.pools.iter().find_map(|(pool, held)| held.clients.get(id).map(|client| (pool, client)));
        let Some((pool, client)) = found.filter(|(_, client)| client["ClientSecret"] == secret) else {
            return Reply { status: 400, ..ok(&json!({ "error": "invalid_client" })) };
        };
        let scopes: Vec<_> =
            client["AllowedOAuthScopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let now = wall_clock().as_secs();
        let token = key.sign(&json!({
            "sub": id, "client_id": id, "token_use": "access", "scope": scopes.join(" "), "iat": now, "exp": now + 3600,
            "iss": format!("https://cognito-idp.{REGION}.amazonaws.com/{pool}"), "version": 2, "jti": "0a1b",
        }));
        ok(&json!({ "access_token": token, "expires_in": 3600, "token_type": "Bearer" }))
    }
}
