//! Cognito user pools. The texts of the errors are the service's own.

use std::{collections::BTreeMap, time::Duration};

use cognito_m2m::clock::{now, wall_clock};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ACCOUNT, Aws,
    protocol::{Refusal, field, over, page},
};

type Outcome = Result<Value, Refusal>;

/// The most secrets that a client can have.
/// <https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AddUserPoolClientSecret.html>
const MAX_CLIENT_SECRETS: usize = 2;
/// The length of a client secret that the caller chooses, from the same page.
const CLIENT_SECRET_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;
/// The most custom domains of an account.
/// <https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html>
const MAX_CUSTOM_DOMAINS: usize = 4;
/// What no word of a domain prefix may be.
const RESERVED_WORDS: [&str; 3] = ["aws", "amazon", "cognito"];

#[derive(Default)]
pub struct Pool {
    /// As DescribeUserPool shows it, without the domain.
    pub description: Value,
    pub domain: Option<Value>,
    pub custom_domain: Option<Value>,
    pub servers: Vec<Value>,
    pub clients: BTreeMap<String, Client>,
}

pub struct Client {
    /// As DescribeUserPoolClient shows it, without a secret.
    pub description: Value,
    pub secrets: Vec<ClientSecret>,
    /// Since when GetClientToken knows the client's flow.
    pub flow_known_from: Instant,
}

/// One of a client's secrets. No `Debug`: a failing test must not print the value.
#[derive(Clone, PartialEq)]
pub struct ClientSecret {
    pub id: String,
    pub value: String,
    pub created: Duration,
    /// Since when the token endpoint accepts it.
    pub known_from: Instant,
}

/// A deleted client secret that the token endpoint still accepts until then.
pub struct ForgottenSecret {
    pub client: String,
    pub value: String,
    pub until: Instant,
}

impl Aws {
    pub fn cognito(&mut self, operation: &str, body: &Value) -> Outcome {
        match operation {
            "ListUserPools" => Ok(self.list_user_pools(body)),
            "DescribeUserPool" => self.describe_user_pool(body),
            "CreateUserPool" => Ok(self.create_user_pool(body)),
            "UpdateUserPool" => self.update_user_pool(body),
            "DeleteUserPool" => self.delete_user_pool(body),
            "DescribeUserPoolDomain" => Ok(self.describe_user_pool_domain(body)),
            "CreateUserPoolDomain" => self.create_user_pool_domain(body),
            "UpdateUserPoolDomain" => self.update_user_pool_domain(body),
            "DeleteUserPoolDomain" => self.delete_user_pool_domain(body),
            "ListResourceServers" => self.list_resource_servers(body),
            "CreateResourceServer" => self.create_resource_server(body),
            "UpdateResourceServer" => self.update_resource_server(body),
            "DeleteResourceServer" => self.delete_resource_server(body),
            "ListUserPoolClients" => self.list_user_pool_clients(body),
            "DescribeUserPoolClient" => self.describe_user_pool_client(body),
            "CreateUserPoolClient" => self.create_user_pool_client(body),
            "UpdateUserPoolClient" => self.update_user_pool_client(body),
            "DeleteUserPoolClient" => self.delete_user_pool_client(body),
            "ListUserPoolClientSecrets" => self.list_user_pool_client_secrets(body),
            "AddUserPoolClientSecret" => self.add_user_pool_client_secret(body),
            "DeleteUserPoolClientSecret" => self.delete_user_pool_client_secret(body),
            unknown => Err(Refusal::of("UnknownOperationException", unknown)),
        }
    }

    // Pools.

    fn list_user_pools(&self, body: &Value) -> Value {
        let pools = self.pools.iter().map(|(id, pool)| json!({ "Id": id, "Name": pool.description["Name"] }));
        let (pools, next) = page(pools, self.size(body), field(body, "NextToken"));
        json!({ "UserPools": pools, "NextToken": next })
    }

    fn describe_user_pool(&mut self, body: &Value) -> Outcome {
        let pool = self.pool(body)?;
        let name = |domain: &Option<Value>| domain.as_ref().map(|domain| domain["Domain"].clone());
        let domains = json!({ "Domain": name(&pool.domain), "CustomDomain": name(&pool.custom_domain) });
        Ok(json!({ "UserPool": over(pool.description.clone(), &domains) }))
    }

    /// Always makes a new pool: names are not unique, and there is no idempotency token.
    fn create_user_pool(&mut self, body: &Value) -> Value {
        let number = self.id();
        let id = format!("{}_Pool{number}", self.region);
        let description = self.pool_description(&id, body, wall_clock());
        let answer = json!({ "UserPool": description });
        self.pools.insert(id, Pool { description, ..Pool::default() });
        answer
    }

    /// Resets every setting that the request leaves out.
    fn update_user_pool(&mut self, body: &Value) -> Outcome {
        let id = field(body, "UserPoolId");
        let old = &self.pool(body)?.description;
        let created = Duration::from_secs_f64(old["CreationDate"].as_f64().unwrap());
        let named = over(json!({ "PoolName": old["Name"] }), body);
        self.pool(body)?.description = self.pool_description(id, &named, created);
        Ok(json!({}))
    }

    fn delete_user_pool(&mut self, body: &Value) -> Outcome {
        let pool = self.pool(body)?;
        if pool.domain.is_some() || pool.custom_domain.is_some() {
            return Err(invalid(
                "User pool cannot be deleted. It has a domain configured that should be deleted first.",
            ));
        }
        if pool.description["DeletionProtection"] == "ACTIVE" {
            return Err(invalid(
                "The user pool cannot be deleted because deletion protection is activated. \
                 Deletion protection must be inactivated first.",
            ));
        }
        self.pools.remove(field(body, "UserPoolId"));
        Ok(json!({}))
    }

    /// Returns a pool as DescribeUserPool shows it: the request over the defaults.
    pub fn pool_description(&self, id: &str, request: &Value, created: Duration) -> Value {
        let defaults = json!({
            "UserPoolTier": "ESSENTIALS", "DeletionProtection": "INACTIVE", "MfaConfiguration": "OFF",
            "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": false }, "UserPoolTags": {},
        });
        let arn = format!("arn:aws:cognito-idp:{}:{ACCOUNT}:userpool/{id}", self.region);
        let own = json!({
            "Id": id, "Name": request["PoolName"], "Arn": arn, "CreationDate": created.as_secs_f64(),
            "LastModifiedDate": wall_clock().as_secs_f64(),
        });
        over(over(defaults, request), &own)
    }

    // Domains.

    /// Answers with an empty description if there is no such domain.
    fn describe_user_pool_domain(&self, body: &Value) -> Value {
        let found = self.pools.values().flat_map(|pool| [&pool.domain, &pool.custom_domain]).flatten();
        let found = found.into_iter().find(|domain| domain["Domain"] == body["Domain"]);
        json!({ "DomainDescription": found.cloned().unwrap_or(json!({})) })
    }

    fn create_user_pool_domain(&mut self, body: &Value) -> Outcome {
        let taken = !self.describe_user_pool_domain(body)["DomainDescription"]["Domain"].is_null();
        let is_custom = !body["CustomDomainConfig"].is_null();
        let custom_domains = self.pools.values().filter(|pool| pool.custom_domain.is_some()).count();
        let target = format!("d{}.cloudfront.net", self.id());
        self.check_custom_domain(body)?;
        let held = self.pool(body)?.domain_of_kind(is_custom).is_some();
        if held {
            return Err(invalid("User pool already has a domain configured."));
        }
        if taken {
            return Err(invalid("Domain already associated with another user pool."));
        }
        if is_custom && custom_domains >= MAX_CUSTOM_DOMAINS {
            return Err(Refusal::of("LimitExceededException", "The account has the maximum number of custom domains."));
        }
        let mut words = field(body, "Domain").split('-');
        if let Some(word) = words.find(|word| !is_custom && RESERVED_WORDS.contains(word)) {
            return Err(invalid(&format!("Domain cannot contain reserved word: {word}")));
        }
        let pool = self.pool(body)?;
        let description = domain_description(pool, body)?;
        let (description, answer) = if is_custom {
            (over(description, &json!({ "CloudFrontDistribution": target })), json!({ "CloudFrontDomain": target }))
        } else {
            (description, json!({}))
        };
        *pool.domain_of_kind(is_custom) = Some(description);
        Ok(answer)
    }

    /// Resets what the request leaves out.
    fn update_user_pool_domain(&mut self, body: &Value) -> Outcome {
        self.check_custom_domain(body)?;
        let is_custom = !body["CustomDomainConfig"].is_null();
        let pool = self.pool(body)?;
        let description = domain_description(pool, body)?;
        let held = pool.domain_of_kind(is_custom).as_mut().filter(|domain| domain["Domain"] == body["Domain"]);
        let Some(held) = held else { return Err(invalid("No such domain or user pool exists.")) };
        let target = held["CloudFrontDistribution"].clone();
        *held = over(description, &json!({ "CloudFrontDistribution": target }));
        Ok(json!({ "CloudFrontDomain": target }))
    }

    fn delete_user_pool_domain(&mut self, body: &Value) -> Outcome {
        let pool = self.pool(body)?;
        let is_named = |domain: &mut Value| domain["Domain"] == body["Domain"];
        let deleted = pool.domain.take_if(is_named).or(pool.custom_domain.take_if(is_named));
        deleted.map(|_| json!({})).ok_or_else(|| invalid("No such domain or user pool exists."))
    }

    /// Checks what Cognito demands of a custom domain.
    fn check_custom_domain(&self, body: &Value) -> Result<(), Refusal> {
        let Some(certificate) = body["CustomDomainConfig"]["CertificateArn"].as_str() else { return Ok(()) };
        let parent = field(body, "Domain").split_once('.').map_or("", |(_, parent)| parent);
        if !self.zones.contains(parent) {
            return Err(invalid(
                "Custom domain is not a valid subdomain: Was not able to resolve a DNS A record for the parent domain \
                 or domain parent is a top-level domain.",
            ));
        }
        if !certificate.starts_with("arn:aws:acm:us-east-1:") || !self.certificates.contains(certificate) {
            return Err(invalid(
                "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or doesn't \
                 include a valid certificate chain.",
            ));
        }
        Ok(())
    }

    // Resource servers.

    fn list_resource_servers(&mut self, body: &Value) -> Outcome {
        let size = self.size(body);
        let (servers, next) = page(self.pool(body)?.servers.clone(), size, field(body, "NextToken"));
        Ok(json!({ "ResourceServers": servers, "NextToken": next }))
    }

    fn create_resource_server(&mut self, body: &Value) -> Outcome {
        let pool = self.pool(body)?;
        let identifier = field(body, "Identifier");
        if pool.servers.iter().any(|server| server["Identifier"] == identifier) {
            return Err(invalid(&format!("{identifier} already exists in user pool {}.", field(body, "UserPoolId"))));
        }
        pool.servers.push(body.clone());
        Ok(json!({ "ResourceServer": body }))
    }

    /// Replaces the whole list of scopes. A scope in use may go: it vanishes from the tokens.
    fn update_resource_server(&mut self, body: &Value) -> Outcome {
        *self.server(body)? = body.clone();
        Ok(json!({ "ResourceServer": body }))
    }

    fn delete_resource_server(&mut self, body: &Value) -> Outcome {
        self.server(body)?;
        self.pool(body)?.servers.retain(|server| server["Identifier"] != body["Identifier"]);
        Ok(json!({}))
    }

    // Clients.

    fn list_user_pool_clients(&mut self, body: &Value) -> Outcome {
        let size = self.size(body);
        let named = |(id, client): (&String, &Client)| json!({ "ClientId": id, "ClientName": client.description["ClientName"], "UserPoolId": body["UserPoolId"] });
        let (clients, next) = page(self.pool(body)?.clients.iter().map(named), size, field(body, "NextToken"));
        Ok(json!({ "UserPoolClients": clients, "NextToken": next }))
    }

    fn describe_user_pool_client(&mut self, body: &Value) -> Outcome {
        Ok(json!({ "UserPoolClient": self.client(body)?.shown() }))
    }

    fn create_user_pool_client(&mut self, body: &Value) -> Outcome {
        let description = self.pool(body)?.client_description(body)?;
        let number = self.id();
        let id = format!("client{number}");
        let description = over(description, &json!({ "ClientId": id }));
        let mut client = Client { description, secrets: Vec::new(), flow_known_from: now() };
        if body["GenerateSecret"] == true {
            client.add_secret(&format!("secret0of0client0number{number:0>30}"), Duration::ZERO);
        }
        self.confidential.extend(client.secrets.iter().map(|secret| secret.value.clone()));
        let answer = json!({ "UserPoolClient": client.shown() });
        self.pool(body)?.clients.insert(id, client);
        Ok(answer)
    }

    /// Resets every setting that the request leaves out, except for the name.
    fn update_user_pool_client(&mut self, body: &Value) -> Outcome {
        let old = &self.client(body)?.description;
        let named = over(json!({ "ClientName": old["ClientName"] }), body);
        let (description, known_from) = (self.pool(body)?.client_description(&named)?, now() + self.learns_within);
        let client = self.client(body)?;
        if client.description["ExplicitAuthFlows"] != description["ExplicitAuthFlows"] {
            client.flow_known_from = known_from;
        }
        client.description = description;
        self.describe_user_pool_client(body)
    }

    fn delete_user_pool_client(&mut self, body: &Value) -> Outcome {
        self.client(body)?;
        self.pool(body)?.clients.remove(field(body, "ClientId"));
        Ok(json!({}))
    }

    // A client's secrets.

    fn list_user_pool_client_secrets(&mut self, body: &Value) -> Outcome {
        let size = self.size(body);
        let shown = |secret: &ClientSecret| json!({ "ClientSecretId": secret.id, "ClientSecretCreateDate": secret.created.as_secs() });
        let (secrets, next) = page(self.client(body)?.secrets.iter().map(shown), size, field(body, "NextToken"));
        Ok(json!({ "ClientSecrets": secrets, "NextToken": next }))
    }

    fn add_user_pool_client_secret(&mut self, body: &Value) -> Outcome {
        let learns_within = self.learns_within;
        let value = field(body, "ClientSecret");
        self.confidential.insert(value.to_owned());
        let client = self.client(body)?;
        if client.secrets.len() >= MAX_CLIENT_SECRETS {
            return Err(Refusal::of("LimitExceededException", "The client has the maximum number of secrets."));
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+".contains(&byte);
        if !CLIENT_SECRET_LENGTH.contains(&value.len()) || !value.bytes().all(fits) {
            // The service quotes the value, too.
            return Err(invalid(&format!("Value '{value}' at 'clientSecret' failed to satisfy constraint")));
        }
        let ClientSecret { id, created, .. } = client.add_secret(value, learns_within);
        Ok(json!({ "ClientSecretDescriptor": {
            "ClientSecretId": id, "ClientSecretValue": value, "ClientSecretCreateDate": created.as_secs(),
        } }))
    }

    fn delete_user_pool_client_secret(&mut self, body: &Value) -> Outcome {
        let until = now() + self.forgets_within;
        let client = self.client(body)?;
        let Some(index) = client.secrets.iter().position(|secret| body["ClientSecretId"] == secret.id.as_str()) else {
            return Err(Refusal::of("ResourceNotFoundException", "There is no such client secret."));
        };
        if client.secrets.len() == 1 {
            return Err(invalid("The last secret of a client cannot be deleted."));
        }
        let ClientSecret { value, .. } = client.secrets.remove(index);
        let client = field(body, "ClientId").to_owned();
        self.forgotten.push(ForgottenSecret { client, value, until });
        Ok(json!({}))
    }

    // What the requests name.

    fn pool(&mut self, body: &Value) -> Result<&mut Pool, Refusal> {
        let id = field(body, "UserPoolId");
        let gone = || Refusal::of("ResourceNotFoundException", &format!("User pool {id} does not exist."));
        self.pools.get_mut(id).ok_or_else(gone)
    }

    fn server(&mut self, body: &Value) -> Result<&mut Value, Refusal> {
        let found = self.pool(body)?.servers.iter_mut().find(|server| server["Identifier"] == body["Identifier"]);
        found.ok_or_else(|| Refusal::of("ResourceNotFoundException", "Resource server does not exist."))
    }

    fn client(&mut self, body: &Value) -> Result<&mut Client, Refusal> {
        let id = field(body, "ClientId");
        let gone = || Refusal::of("ResourceNotFoundException", &format!("User pool client {id} does not exist."));
        self.pool(body)?.clients.get_mut(id).ok_or_else(gone)
    }

    /// Returns how many things the page of a listing holds.
    pub fn size(&self, body: &Value) -> usize {
        // The longest page that any of these listings has.
        let asked = body["MaxResults"].as_u64().map_or(60, |asked| usize::try_from(asked).unwrap());
        asked.min(self.page_size)
    }
}

impl Pool {
    fn domain_of_kind(&mut self, is_custom: bool) -> &mut Option<Value> {
        if is_custom { &mut self.custom_domain } else { &mut self.domain }
    }

    /// Whether one of the resource servers defines this scope.
    pub fn defines(&self, scope: &str) -> bool {
        self.servers.iter().any(|server| {
            let identifier = field(server, "Identifier");
            let scopes = server["Scopes"].as_array().into_iter().flatten();
            scopes.into_iter().any(|named| format!("{identifier}/{}", field(named, "ScopeName")) == scope)
        })
    }

    /// Returns a client as DescribeUserPoolClient shows it: the request over the defaults.
    pub fn client_description(&self, request: &Value) -> Outcome {
        let scopes = request["AllowedOAuthScopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(scope) = scopes.into_iter().find(|scope| !self.defines(scope)) {
            return Err(Refusal::of("ScopeDoesNotExistException", &format!("Scope does not exist: {scope}")));
        }
        let defaults = json!({
            "AllowedOAuthFlowsUserPoolClient": false, "EnableTokenRevocation": true, "RefreshTokenValidity": 30,
            "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"],
        });
        let mut description = over(defaults, request);
        description.as_object_mut().unwrap().remove("GenerateSecret");
        Ok(description)
    }
}

impl Client {
    /// Adds a secret that the token endpoint learns of within that time.
    pub fn add_secret(&mut self, value: &str, learns_within: Duration) -> &ClientSecret {
        let created = wall_clock();
        // Two secrets of one millisecond have different numbers.
        let id = format!("{}--{}{}", field(&self.description, "ClientId"), created.as_millis(), self.secrets.len());
        let known_from = now() + learns_within;
        self.secrets.push(ClientSecret { id, value: value.to_owned(), created, known_from });
        self.secrets.last().unwrap()
    }

    /// Returns the client with one of its secrets. Which one Cognito shows is not documented; this is
    /// the one that misleads a reader most.
    fn shown(&self) -> Value {
        let secret = self.secrets.first().map(|secret| &secret.value);
        over(self.description.clone(), &json!({ "ClientSecret": secret }))
    }
}

/// Resets the version of the managed login that the request leaves out.
fn domain_description(pool: &Pool, body: &Value) -> Outcome {
    let version = body["ManagedLoginVersion"].as_u64().unwrap_or(1);
    if version == 2 && pool.description["UserPoolTier"] == "LITE" {
        let text =
            "The following feature is not available for the LITE pricing tier configured: Managed Login Version 2";
        return Err(Refusal::of("FeatureUnavailableInTierException", text));
    }
    let description = json!({
        "UserPoolId": body["UserPoolId"], "Domain": body["Domain"], "ManagedLoginVersion": version,
        "Status": "ACTIVE", "AWSAccountId": ACCOUNT,
    });
    if body["CustomDomainConfig"].is_null() {
        return Ok(description);
    }
    let config = over(json!({ "SecurityPolicy": "TLS_V1" }), &body["CustomDomainConfig"]);
    Ok(over(description, &json!({ "CustomDomainConfig": config })))
}

fn invalid(message: &str) -> Refusal {
    Refusal::of("InvalidParameterException", message)
}
