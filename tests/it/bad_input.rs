//! Events and properties that are wrong in one way each: FAILED, no write, and a message that names
//! the property and the rule.

use serde_json::{Value, json};

use crate::support::{Session, cloudformation::RESPONSE_URL, new_stack};

pub fn x(count: usize) -> String {
    "x".repeat(count)
}

pub fn scopes(count: usize) -> Value {
    (0..count).map(|n| json!({ "ScopeName": format!("s{n}") })).collect()
}

pub fn servers(count: usize) -> Value {
    (0..count).map(|n| json!({ "Identifier": format!("i{n}"), "Scopes": [{ "ScopeName": "s" }] })).collect()
}

pub fn clients(count: usize) -> Value {
    (0..count).map(|n| json!({ "ClientName": format!("c{n}") })).collect()
}

/// One server and one client, with one thing changed.
fn server(name: &str, value: Value) -> Value {
    let mut server = json!({ "Identifier": "api", "Scopes": [{ "ScopeName": "read" }] });
    server[name] = value;
    json!({ "ResourceServers": [server] })
}

fn scope(name: &str, value: Value) -> Value {
    let mut scope = json!({ "ScopeName": "read" });
    scope[name] = value;
    server("Scopes", json!([scope]))
}

fn client(name: &str, value: Value) -> Value {
    let mut client = json!({ "ClientName": "one" });
    client[name] = value;
    json!({ "Clients": [client] })
}

fn certificate(service: &str, region: &str) -> String {
    format!("arn:aws:{service}:{region}:111122223333:certificate/1")
}

/// A custom domain with one thing changed.
fn custom(name: &str, value: Value) -> Value {
    let mut custom = json!({ "DomainName": "auth.example.com", "CertificateArn": certificate("acm", "us-east-1") });
    custom[name] = value;
    json!({ "CustomDomain": custom })
}

/// Returns the ARN of a principal in the stack's account.
pub fn own(principal: &str) -> String {
    format!("arn:aws:iam::111122223333:{principal}")
}

/// One client with readers, and a key.
fn keyed(key: &str, readers: Value) -> Value {
    let mut properties = client("SecretReaders", readers);
    properties["SecretKmsKeyId"] = json!(key);
    properties
}

fn replica(name: &str, value: Value) -> Value {
    let mut replica = json!({ "Region": "eu-west-1" });
    replica[name] = value;
    json!({ "SecretReplicas": [replica] })
}

pub fn replicas(count: usize) -> Value {
    (0..count).map(|n| json!({ "Region": format!("eu-west-{n}") })).collect()
}

/// Returns properties, the path that the message must name, and a word of the rule.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn properties() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (json!([]), "ResourceProperties", "map"),
        (json!("text"), "ResourceProperties", "map"),
        (json!(7), "ResourceProperties", "map"),
        (Value::Null, "ResourceProperties", "map"),
        (json!({ "Nonsense": "1" }), "Nonsense", "known"),
        (json!({ "environmentname": "dev" }), "environmentname", "known"),
        (json!({ "": "1" }), "", "known"),
        (json!({ "EnvironmentName": "" }), "EnvironmentName", "characters"),
        (json!({ "EnvironmentName": "Dev" }), "EnvironmentName", "[a-z0-9]"),
        (json!({ "EnvironmentName": "-dev" }), "EnvironmentName", "[a-z0-9]"),
        (json!({ "EnvironmentName": "dev-" }), "EnvironmentName", "[a-z0-9]"),
        (json!({ "EnvironmentName": "d v" }), "EnvironmentName", "[a-z0-9]"),
        (json!({ "EnvironmentName": x(33) }), "EnvironmentName", "32"),
        (json!({ "EnvironmentName": "dév" }), "EnvironmentName", "[a-z0-9]"),
        (json!({ "EnvironmentName": "dev\n" }), "EnvironmentName", "[a-z0-9]"),
        (json!({ "EnvironmentName": ["dev"] }), "EnvironmentName", "string"),
        (json!({ "EnvironmentName": { "a": 1 } }), "EnvironmentName", "string"),
        (json!({ "EnvironmentName": null }), "EnvironmentName", "string"),
        (json!({ "UserPoolNamePrefix": "" }), "UserPoolNamePrefix", "empty"),
        (json!({ "UserPoolNamePrefix": "a/b" }), "UserPoolNamePrefix", "characters"),
        (json!({ "UserPoolNamePrefix": "größe" }), "UserPoolNamePrefix", "characters"),
        (json!({ "UserPoolNamePrefix": "😀" }), "UserPoolNamePrefix", "characters"),
        (json!({ "UserPoolNamePrefix": x(125) }), "UserPoolNamePrefix", "128"),
        (json!({ "UserPoolNamePrefix": x(100_000) }), "UserPoolNamePrefix", "1 to 126"),
        (json!({ "UserPoolNamePrefix": [] }), "UserPoolNamePrefix", "string"),
        (json!({ "UserPoolNamePrefix": "a b", "Clients": clients(1) }), "SecretNamePrefix", "secret"),
        (json!({ "UserPoolNamePrefix": "a b", "SecretNamePrefix": "s" }), "Clients", "must be given"),
        (json!({ "DomainPrefix": "" }), "DomainPrefix", "empty"),
        (json!({ "DomainPrefix": "UPPER" }), "DomainPrefix", "[a-z0-9]"),
        (json!({ "DomainPrefix": "-x" }), "DomainPrefix", "[a-z0-9]"),
        (json!({ "DomainPrefix": "x.y" }), "DomainPrefix", "[a-z0-9]"),
        (json!({ "DomainPrefix": x(60) }), "DomainPrefix", "63"),
        (json!({ "DomainPrefix": "my-aws-api" }), "DomainPrefix", "aws"),
        (json!({ "DomainPrefix": "aws" }), "DomainPrefix", "aws"),
        (json!({ "DomainPrefix": "x--aws-" }), "DomainPrefix", "aws"),
        (json!({ "DomainPrefix": "amazon-m2m" }), "DomainPrefix", "amazon"),
        (json!({ "DomainPrefix": "m2m-cognito" }), "DomainPrefix", "cognito"),
        (json!({ "EnvironmentName": "aws" }), "DomainPrefix", "aws"),
        (json!({ "EnvironmentName": "eu-amazon-1" }), "DomainPrefix", "amazon"),
        (json!({ "DomainPrefix": { "Ref": "x" } }), "DomainPrefix", "string"),
        (json!({ "ProjectTag": x(257) }), "ProjectTag", "256"),
        (json!({ "ProjectTag": "a\u{0}b" }), "ProjectTag", "characters"),
        (json!({ "ProjectTag": [] }), "ProjectTag", "string"),
        (json!({ "Tags": "a=b" }), "Tags", "map"),
        (json!({ "Tags": "" }), "Tags", "list"),
        (json!({ "Tags": 7 }), "Tags", "list"),
        (json!({ "Tags": null }), "Tags", "list"),
        (json!({ "Tags": ["a"] }), "Tags[0]", "Key=Value"),
        (json!({ "Tags": [7] }), "Tags[0]", "Key=Value"),
        (json!({ "Tags": ["a=b", ""] }), "Tags[1]", "Key=Value"),
        (json!({ "Tags": [["a=b"]] }), "Tags[0]", "string"),
        (json!({ "Tags": [{ "a": "b" }] }), "Tags[0]", "string"),
        (json!({ "Tags": ["a=1", "b=1", "a=2"] }), "Tags[2]", "twice"),
        (json!({ "Tags": ["a=1", "a=1"] }), "Tags[1]", "twice"),
        (json!({ "Tags": ["=1"] }), "Tags[0]", "1 to 128"),
        (json!({ "Tags": [format!("{}=1", x(129))] }), "Tags[0]", "128"),
        (json!({ "Tags": [format!("a={}", x(257))] }), "Tags[0]", "256"),
        (json!({ "Tags": ["a;b=1"] }), "Tags[0]", "matching"),
        (json!({ "Tags": ["a=b;c"] }), "Tags[0]", "matching"),
        (json!({ "Tags": ["aws:x=1"] }), "Tags[0]", "reserved"),
        (json!({ "Tags": ["AWS:x=1"] }), "Tags[0]", "reserved"),
        (json!({ "Tags": ["Environment=1"] }), "Tags[0]", "itself"),
        (json!({ "Tags": ["ManagedBy=me"] }), "Tags[0]", "itself"),
        (json!({ "Tags": ["cognito-m2m:shared-with=a"] }), "Tags[0]", "itself"),
        (json!({ "Tags": { "cognito-m2m:": "1" } }), "Tags.cognito-m2m:", "itself"),
        (json!({ "Tags": (0..46).map(|n| format!("t{n}=v")).collect::<Vec<_>>() }), "Tags", "45"),
        (json!({ "Tags": { "aws:x": "1" } }), "Tags.aws:x", "reserved"),
        (json!({ "Tags": { "AWS:x": "1" } }), "Tags.AWS:x", "reserved"),
        (json!({ "Tags": { "Environment": "1" } }), "Tags.Environment", "itself"),
        (json!({ "Tags": { "Project": "1" } }), "Tags.Project", "itself"),
        (json!({ "Tags": { "ManagedBy": "me" } }), "Tags.ManagedBy", "itself"),
        (json!({ "Tags": { "cognito-m2m:stack-id": "1" } }), "Tags.cognito-m2m:stack-id", "itself"),
        (json!({ "Tags": { "cognito-m2m:logical-id": "1" } }), "Tags.cognito-m2m:logical-id", "itself"),
        (json!({ "Tags": { "": "1" } }), "Tags", "1 to 128"),
        (json!({ "Tags": { x(129): "1" } }), "Tags.xxx", "128"),
        (json!({ "Tags": { "a": x(257) } }), "Tags.a", "256"),
        (json!({ "Tags": { "a": ["b"] } }), "Tags.a", "string"),
        (
            json!({ "Tags": (0..46).map(|n| (format!("t{n}"), json!("v"))).collect::<serde_json::Map<_, _>>() }),
            "Tags",
            "45",
        ),
        (json!({ "CustomDomain": "auth.example.com" }), "CustomDomain", "map"),
        (json!({ "CustomDomain": [] }), "CustomDomain", "map"),
        (
            json!({ "CustomDomain": { "CertificateArn": certificate("acm", "us-east-1") } }),
            "CustomDomain.DomainName",
            "required",
        ),
        (json!({ "CustomDomain": { "DomainName": "auth.example.com" } }), "CustomDomain.CertificateArn", "required"),
        (custom("Nonsense", json!("1")), "CustomDomain.Nonsense", "known"),
        (custom("DomainName", json!("")), "CustomDomain.DomainName", "empty"),
        (custom("DomainName", json!("Auth.example.com")), "CustomDomain.DomainName", "lower-case"),
        (custom("DomainName", json!("example.com")), "CustomDomain.DomainName", "three parts"),
        (custom("DomainName", json!("localhost")), "CustomDomain.DomainName", "three parts"),
        (custom("DomainName", json!("-a.example.com")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("a-.example.com")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("a..example.com")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("auth.example.com.")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("192.0.2.1")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("https://auth.example.com")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("auth.example.com/x")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("*.example.com")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!("ä.example.com")), "CustomDomain.DomainName", "host name"),
        (custom("DomainName", json!(format!("{}.example.com", x(52)))), "CustomDomain.DomainName", "63"),
        (custom("DomainName", json!(["auth.example.com"])), "CustomDomain.DomainName", "string"),
        (custom("CertificateArn", json!("")), "CustomDomain.CertificateArn", "empty"),
        (custom("CertificateArn", json!("certificate/1")), "CustomDomain.CertificateArn", "ARN"),
        (custom("CertificateArn", json!(certificate("iam", "us-east-1"))), "CustomDomain.CertificateArn", "ARN"),
        (custom("CertificateArn", json!(certificate("acm", ""))), "CustomDomain.CertificateArn", "ARN"),
        (custom("CertificateArn", json!(certificate("acm", "eu-west-1"))), "CustomDomain.CertificateArn", "us-east-1"),
        (
            custom("CertificateArn", json!("arn:aws-us-gov:acm:us-gov-west-1:111122223333:certificate/1")),
            "CustomDomain.CertificateArn",
            "us-east-1",
        ),
        (custom("SecurityPolicy", json!("TLS_V1_1")), "CustomDomain.SecurityPolicy", "TLS_V1_2_2021"),
        (custom("SecurityPolicy", json!(null)), "CustomDomain.SecurityPolicy", "string"),
        (json!({ "TokenEndpointDomain": "CUSTOM" }), "TokenEndpointDomain", "CustomDomain"),
        (json!({ "TokenEndpointDomain": "custom" }), "TokenEndpointDomain", "PREFIX"),
        (json!({ "TokenEndpointDomain": "BOTH" }), "TokenEndpointDomain", "PREFIX, CUSTOM"),
        (json!({ "ResourceServers": {} }), "ResourceServers", "list"),
        (json!({ "ResourceServers": "api" }), "ResourceServers", "list"),
        (json!({ "ResourceServers": [] }), "ResourceServers", "1 to 25"),
        (json!({ "ResourceServers": servers(26) }), "ResourceServers", "1 to 25"),
        (json!({ "ResourceServers": ["api"] }), "ResourceServers[0]", "map"),
        (
            json!({ "ResourceServers": [{ "Scopes": [{ "ScopeName": "s" }] }] }),
            "ResourceServers[0].Identifier",
            "required",
        ),
        (json!({ "ResourceServers": [{ "Identifier": "api" }] }), "ResourceServers[0].Scopes", "required"),
        (json!({ "ResourceServers": [servers(1)[0], servers(1)[0]] }), "ResourceServers[1].Identifier", "twice"),
        (server("Identifier", json!("")), "ResourceServers[0].Identifier", "1 to 256"),
        (server("Identifier", json!("a b")), "ResourceServers[0].Identifier", "matching"),
        (server("Identifier", json!("a\"b")), "ResourceServers[0].Identifier", "matching"),
        (server("Identifier", json!("ä")), "ResourceServers[0].Identifier", "matching"),
        (server("Identifier", json!(x(257))), "ResourceServers[0].Identifier", "256"),
        (server("Identifier", json!("https://api.example.com")), "ResourceServers[0].Name", "must be given"),
        (server("Name", json!("")), "ResourceServers[0].Name", "1 to 256"),
        (server("Name", json!("a/b")), "ResourceServers[0].Name", "matching"),
        (server("Name", json!(x(257))), "ResourceServers[0].Name", "256"),
        (server("Name", json!({})), "ResourceServers[0].Name", "string"),
        (server("Nonsense", json!(1)), "ResourceServers[0].Nonsense", "known"),
        (server("Scopes", json!([])), "ResourceServers[0].Scopes", "1 to 100"),
        (
            json!({
                "ResourceServers": [{ "Identifier": "api", "Scopes": scopes(101) }],
                "Clients": [{ "ClientName": "one", "AllowedOAuthScopes": ["api/s0"] }],
            }),
            "ResourceServers[0].Scopes",
            "1 to 100",
        ),
        (server("Scopes", json!("read")), "ResourceServers[0].Scopes", "list"),
        (server("Scopes", json!(["read"])), "ResourceServers[0].Scopes[0]", "map"),
        (server("Scopes", json!([{}])), "ResourceServers[0].Scopes[0].ScopeName", "required"),
        (
            server("Scopes", json!([{ "ScopeName": "a" }, { "ScopeName": "a" }])),
            "ResourceServers[0].Scopes[1].ScopeName",
            "twice",
        ),
        (scope("ScopeName", json!("")), "ResourceServers[0].Scopes[0].ScopeName", "1 to 256"),
        (scope("ScopeName", json!("a/b")), "ResourceServers[0].Scopes[0].ScopeName", "matching"),
        (scope("ScopeName", json!("a b")), "ResourceServers[0].Scopes[0].ScopeName", "matching"),
        (scope("ScopeName", json!("a\\b")), "ResourceServers[0].Scopes[0].ScopeName", "matching"),
        (scope("ScopeName", json!(x(257))), "ResourceServers[0].Scopes[0].ScopeName", "256"),
        (scope("ScopeName", json!([])), "ResourceServers[0].Scopes[0].ScopeName", "string"),
        (scope("ScopeDescription", json!("")), "ResourceServers[0].Scopes[0].ScopeDescription", "1 to 256"),
        (scope("ScopeDescription", json!(x(257))), "ResourceServers[0].Scopes[0].ScopeDescription", "256"),
        (scope("Nonsense", json!("")), "ResourceServers[0].Scopes[0].Nonsense", "known"),
        (json!({ "Clients": {} }), "Clients", "list"),
        (json!({ "Clients": "one" }), "Clients", "list"),
        (json!({ "Clients": [] }), "Clients", "1 to 100"),
        (json!({ "Clients": clients(101) }), "Clients", "1 to 100"),
        (json!({ "Clients": [7] }), "Clients[0]", "map"),
        (json!({ "Clients": [{}] }), "Clients[0].ClientName", "required"),
        (json!({ "Clients": [clients(1)[0], clients(1)[0]] }), "Clients[1].ClientName", "twice"),
        (client("ClientName", json!("")), "Clients[0].ClientName", "1 to 128"),
        (client("ClientName", json!("a b")), "Clients[0].ClientName", "matching"),
        (client("ClientName", json!("a/b")), "Clients[0].ClientName", "matching"),
        (client("ClientName", json!("é")), "Clients[0].ClientName", "matching"),
        (client("ClientName", json!(x(129))), "Clients[0].ClientName", "128"),
        (client("ClientName", json!(null)), "Clients[0].ClientName", "string"),
        (client("Nonsense", json!("")), "Clients[0].Nonsense", "known"),
        (client("AllowedOAuthScopes", json!([])), "Clients[0].AllowedOAuthScopes", "1 to 50"),
        (client("AllowedOAuthScopes", json!("m2m-client/read")), "Clients[0].AllowedOAuthScopes", "list"),
        (client("AllowedOAuthScopes", json!(["read"])), "Clients[0].AllowedOAuthScopes[0]", "declared"),
        (client("AllowedOAuthScopes", json!(["openid"])), "Clients[0].AllowedOAuthScopes[0]", "declared"),
        (client("AllowedOAuthScopes", json!(["m2m-client/delete"])), "Clients[0].AllowedOAuthScopes[0]", "declared"),
        (
            client("AllowedOAuthScopes", json!(["m2m-client/read", "m2m-client/read"])),
            "Clients[0].AllowedOAuthScopes[1]",
            "twice",
        ),
        (client("AllowedOAuthScopes", json!([["m2m-client/read"]])), "Clients[0].AllowedOAuthScopes[0]", "string"),
        (client("AccessTokenValidityMinutes", json!("4")), "Clients[0].AccessTokenValidityMinutes", "5 to 1440"),
        (client("AccessTokenValidityMinutes", json!(1441)), "Clients[0].AccessTokenValidityMinutes", "5 to 1440"),
        (client("AccessTokenValidityMinutes", json!("60m")), "Clients[0].AccessTokenValidityMinutes", "whole number"),
        (client("AccessTokenValidityMinutes", json!(60.5)), "Clients[0].AccessTokenValidityMinutes", "whole number"),
        (client("AccessTokenValidityMinutes", json!("-60")), "Clients[0].AccessTokenValidityMinutes", "whole number"),
        (client("AccessTokenValidityMinutes", json!("+60")), "Clients[0].AccessTokenValidityMinutes", "whole number"),
        (client("AccessTokenValidityMinutes", json!("")), "Clients[0].AccessTokenValidityMinutes", "whole number"),
        (
            client("AccessTokenValidityMinutes", json!("99999999999999999999")),
            "Clients[0].AccessTokenValidityMinutes",
            "5 to 1440",
        ),
        (client("AccessTokenValidityMinutes", json!([60])), "Clients[0].AccessTokenValidityMinutes", "string"),
        (
            json!({ "ResourceServers": [{ "Identifier": "a", "Scopes": scopes(51) }] }),
            "Clients[0].AllowedOAuthScopes",
            "50",
        ),
        (json!({ "TokenService": "api" }), "TokenService", "DOMAIN, API"),
        (json!({ "TokenService": "" }), "TokenService", "DOMAIN, API"),
        (json!({ "TokenService": true }), "TokenService", "DOMAIN, API"),
        (json!({ "TokenService": "API", "DomainPrefix": "m2m-rubicon" }), "DomainPrefix", "TokenService is API"),
        (json!({ "TokenService": "API", "ManagedLoginVersion": 3 }), "ManagedLoginVersion", "1 or 2"),
        (json!({ "TokenService": "DOMAIN", "UserPoolTier": "LITE" }), "ManagedLoginVersion", "LITE"),
        (json!({ "UserPoolTier": "essentials" }), "UserPoolTier", "LITE, ESSENTIALS, PLUS"),
        (json!({ "UserPoolTier": "" }), "UserPoolTier", "LITE, ESSENTIALS, PLUS"),
        (json!({ "UserPoolTier": [] }), "UserPoolTier", "string"),
        (json!({ "UserPoolTier": "LITE" }), "ManagedLoginVersion", "LITE"),
        (json!({ "UserPoolTier": "LITE", "ManagedLoginVersion": "2" }), "ManagedLoginVersion", "LITE"),
        (json!({ "UserPoolTier": "LITE", "ManagedLoginVersion": "two" }), "ManagedLoginVersion", "whole number"),
        (json!({ "ManagedLoginVersion": 0 }), "ManagedLoginVersion", "1 or 2"),
        (json!({ "ManagedLoginVersion": "3" }), "ManagedLoginVersion", "1 or 2"),
        (json!({ "ManagedLoginVersion": true }), "ManagedLoginVersion", "whole number"),
        (json!({ "DeletionProtection": "true" }), "DeletionProtection", "ACTIVE, INACTIVE"),
        (json!({ "DeletionProtection": true }), "DeletionProtection", "ACTIVE, INACTIVE"),
        (json!({ "SecretNamePrefix": "" }), "SecretNamePrefix", "1 to 510"),
        (json!({ "SecretNamePrefix": "a b" }), "SecretNamePrefix", "matching"),
        (json!({ "SecretNamePrefix": "é" }), "SecretNamePrefix", "matching"),
        (json!({ "SecretNamePrefix": x(513) }), "SecretNamePrefix", "1 to 510"),
        (json!({ "SecretNamePrefix": x(500) }), "SecretNamePrefix", "at most 512"),
        (json!({ "SecretKmsKeyId": "" }), "SecretKmsKeyId", "key"),
        (json!({ "SecretKmsKeyId": "alias/" }), "SecretKmsKeyId", "key"),
        (json!({ "SecretKmsKeyId": "key/x" }), "SecretKmsKeyId", "key"),
        (json!({ "SecretKmsKeyId": "arn:aws:s3:::bucket" }), "SecretKmsKeyId", "key"),
        (json!({ "SecretKmsKeyId": "a b" }), "SecretKmsKeyId", "key"),
        (json!({ "SecretRecoveryWindowInDays": "1" }), "SecretRecoveryWindowInDays", "7 to 30"),
        (json!({ "SecretRecoveryWindowInDays": 6 }), "SecretRecoveryWindowInDays", "7 to 30"),
        (json!({ "SecretRecoveryWindowInDays": 31 }), "SecretRecoveryWindowInDays", "7 to 30"),
        (json!({ "SecretRecoveryWindowInDays": "week" }), "SecretRecoveryWindowInDays", "whole number"),
        (json!({ "RotationDays": "1001" }), "RotationDays", "1000"),
        (json!({ "RotationDays": "monthly" }), "RotationDays", "whole number"),
        (json!({ "RotateSecrets": x(129) }), "RotateSecrets", "128"),
        (json!({ "RotateSecrets": [] }), "RotateSecrets", "string"),
        (client("SecretReaders", json!("arn:aws:iam::111122223333:role/r")), "Clients[0].SecretReaders", "list"),
        (client("SecretReaders", json!({})), "Clients[0].SecretReaders", "list"),
        (client("SecretReaders", json!(["*"])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([own("root"), ""])), "Clients[0].SecretReaders[1]", "ARN"),
        (client("SecretReaders", json!(["111122223333"])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([["a"]])), "Clients[0].SecretReaders[0]", "string"),
        (client("SecretReaders", json!([own("role/*")])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([own("role/a?")])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([own("role/")])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([own("role/a b")])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([own("group/a")])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([own("root/a")])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!([own(&format!("role/{}", x(640)))])), "Clients[0].SecretReaders[0]", "ARN"),
        (
            client("SecretReaders", json!(["arn:aws:sts::111122223333:assumed-role/a/b"])),
            "Clients[0].SecretReaders[0]",
            "ARN",
        ),
        (client("SecretReaders", json!(["arn:aws:iam::11112222333:role/a"])), "Clients[0].SecretReaders[0]", "ARN"),
        (client("SecretReaders", json!(["arn:aws:iam::*:root"])), "Clients[0].SecretReaders[0]", "ARN"),
        (
            client("SecretReaders", json!(["arn:aws:iam:us-east-1:111122223333:root"])),
            "Clients[0].SecretReaders[0]",
            "ARN",
        ),
        (client("SecretReaders", json!(["arn:other:iam::111122223333:root"])), "Clients[0].SecretReaders[0]", "ARN"),
        (
            client("SecretReaders", json!(["arn:aws-cn:iam::111122223333:root"])),
            "Clients[0].SecretReaders[0]",
            "partition aws",
        ),
        (
            client("SecretReaders", json!([own("root"), own("role/a"), own("root")])),
            "Clients[0].SecretReaders[2]",
            "twice",
        ),
        (
            client("SecretReaders", (0..21).map(|n| json!(own(&format!("role/r{n}")))).collect()),
            "Clients[0].SecretReaders",
            "at most 20",
        ),
        (
            client("SecretReaders", json!([own("root"), "arn:aws:iam::444455556666:role/a"])),
            "Clients[0].SecretReaders[1]",
            "SecretKmsKeyId",
        ),
        (
            keyed("alias/aws/secretsmanager", json!(["arn:aws:iam::444455556666:user/a"])),
            "Clients[0].SecretReaders[0]",
            "SecretKmsKeyId",
        ),
        (
            keyed(
                "arn:aws:kms:us-east-1:111122223333:alias/aws/secretsmanager",
                json!(["arn:aws:iam::444455556666:root"]),
            ),
            "Clients[0].SecretReaders[0]",
            "SecretKmsKeyId",
        ),
        (keyed("key/x", json!(["arn:aws:iam::444455556666:root"])), "SecretKmsKeyId", "key"),
        (json!({ "SecretReplicas": "eu-west-1" }), "SecretReplicas", "list"),
        (json!({ "SecretReplicas": ["eu-west-1"] }), "SecretReplicas[0]", "map"),
        (json!({ "SecretReplicas": [""] }), "SecretReplicas[0]", "map"),
        (replica("Region", json!("")), "SecretReplicas[0].Region", "region"),
        (replica("Region", json!("Europe")), "SecretReplicas[0].Region", "region"),
        (replica("Region", json!("eu-west")), "SecretReplicas[0].Region", "region"),
        (replica("Region", json!("eu--1")), "SecretReplicas[0].Region", "region"),
        (replica("Region", json!(1)), "SecretReplicas[0].Region", "region"),
        (replica("Region", json!(["eu-west-1"])), "SecretReplicas[0].Region", "string"),
        (replica("Region", json!("us-east-1")), "SecretReplicas[0].Region", "another region"),
        (replica("KmsKeyId", json!("")), "SecretReplicas[0].KmsKeyId", "key"),
        (replica("KmsKeyId", json!("alias/")), "SecretReplicas[0].KmsKeyId", "key"),
        (replica("Nonsense", json!("")), "SecretReplicas[0].Nonsense", "known"),
        (json!({ "SecretReplicas": [{ "KmsKeyId": "a" }] }), "SecretReplicas[0].Region", "required"),
        (
            json!({ "SecretReplicas": [{ "Region": "eu-west-1" }, { "Region": "eu-west-1", "KmsKeyId": "a" }] }),
            "SecretReplicas[1].Region",
            "twice",
        ),
        (json!({ "SecretReplicas": replicas(51) }), "SecretReplicas", "at most 50"),
        (json!({ "VerifyToken": "yes" }), "VerifyToken", "true, false"),
        (json!({ "VerifyToken": 1 }), "VerifyToken", "true, false"),
        (json!({ "VerifyToken": "" }), "VerifyToken", "true, false"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_wrong_property_is_named_with_its_rule_and_nothing_is_written() {
    let table = properties();
    for (properties, path, rule) in &table {
        let stack = new_stack();
        let created = stack.create(properties).await;
        // CloudFormation deletes what failed. The provider need not look for it in the account.
        stack.delete(created.physical_id(), properties).await.good();
        for answer in [created, stack.update("us-east-1_abc", properties, &json!({})).await] {
            let reason = answer.reason();
            assert!(!answer.succeeded(), "{path}: {properties:.300}");
            assert!(reason.contains(path) && reason.contains(rule), "{path} / {rule} not in: {reason}");
            assert!(reason.contains("1 property is"), "only one thing is wrong: {reason}");
        }
        assert_eq!(stack.world().calls.len(), 0, "{path}: nothing was even asked");
    }
    println!("{} sets of properties with one thing wrong", table.len());
    assert!(table.len() > 100);
}

#[tokio::test(start_paused = true)]
async fn all_that_is_wrong_is_reported_at_once() {
    let properties = json!({
        "EnvironmentName": "UP", "Nonsense": 1, "UserPoolTier": "GOLD", "TokenEndpointDomain": "OTHER",
        "ResourceServers": [{ "Identifier": "api", "Scopes": [{ "ScopeName": "a" }, { "ScopeName": "a" }] }],
        "Clients": [{ "ClientName": "one" }, { "ClientName": "one", "AllowedOAuthScopes": ["nope"], "AccessTokenValidityMinutes": 1 }],
    });
    let answer = new_stack().create(&properties).await;
    for path in [
        "EnvironmentName",
        "Nonsense",
        "UserPoolTier",
        // It is read twice, with other properties between.
        "TokenEndpointDomain",
        "ResourceServers[0].Scopes[1].ScopeName",
        "Clients[1].ClientName",
        "Clients[1].AllowedOAuthScopes[0]",
        "Clients[1].AccessTokenValidityMinutes",
    ] {
        assert!(answer.reason().contains(path), "{path} in {}", answer.reason());
    }
    assert!(answer.reason().contains("8 properties"), "{}", answer.reason());
}

/// Returns properties that are valid although they look wrong.
pub fn unusual() -> Vec<Value> {
    vec![
        json!({ "VerifyToken": true, "ManagedLoginVersion": "2", "SecretRecoveryWindowInDays": 0, "RotationDays": "0", "RotateSecrets": "" }),
        json!({ "EnvironmentName": 7, "ProjectTag": "", "Tags": {} }),
        json!({ "EnvironmentName": "0", "UserPoolNamePrefix": "a b,c", "SecretNamePrefix": "/x", "Clients": [{ "ClientName": "A_b+=.@-" }] }),
        json!({ "UserPoolTier": "LITE", "ManagedLoginVersion": 1 }),
        // Without a domain there is no managed login, and no reserved word.
        json!({ "TokenService": "API", "UserPoolTier": "LITE", "EnvironmentName": "aws" }),
        json!({ "TokenService": "API", "UserPoolTier": "LITE", "ManagedLoginVersion": "2" }),
        json!({ "TokenService": "DOMAIN", "DomainPrefix": "lawson" }),
        json!({ "ResourceServers": [{ "Identifier": "https://api.example.com/", "Name": "An API", "Scopes": scopes(50) }] }),
        json!({ "SecretKmsKeyId": "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/a/b_c" }),
        json!({ "SecretKmsKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab" }),
        json!({ "SecretKmsKeyId": "mrk-1234abcd12ab34cd56ef1234567890ab" }),
        json!({ "ServiceToken": "arn", "ServiceTimeout": 60, "Clients": [{ "ClientName": "a", "ServiceToken": "x" }] }),
        json!({ "Tags": { "Kosten stelle": "Größe 😀".replace('😀', "x"), "cost:center": "a/b" } }),
        // As a template parameter of the type CommaDelimitedList fills it.
        json!({ "Tags": [""] }),
        json!({ "Tags": [] }),
        json!({ "Tags": ["Kosten stelle=Größe", "cost:center=a/b", "empty=", "equation=a=b"] }),
        json!({ "Tags": (0..45).map(|n| format!("t{n}=v")).collect::<Vec<_>>() }),
        json!({ "Tags": { "a": 1, "b": true, "c=d": 1.5 }, "ProjectTag": false, "RotateSecrets": 20_260_401 }),
        json!({ "EnvironmentName": true, "UserPoolNamePrefix": 7, "DomainPrefix": false, "SecretNamePrefix": 1 }),
        json!({ "ResourceServers": [{ "Identifier": 1, "Name": 2, "Scopes": [{ "ScopeName": true, "ScopeDescription": 3 }] }] }),
        json!({ "SecretReplicas": [], "Clients": [{ "ClientName": "a", "SecretReaders": [] }] }),
        json!({ "Clients": [{ "ClientName": "a", "SecretReaders": [""] }] }),
        json!({ "Clients": [{ "ClientName": "a", "SecretReaders": [own("root"), own("user/a/b!/c"), own("role/A+=,.@-_1")] }] }),
        keyed("alias/mine", json!(["arn:aws:iam::444455556666:root", own("role/service-role/x")])),
        keyed("arn:aws:kms:us-east-1:111122223333:key/1", json!(["arn:aws:iam::444455556666:role/a"])),
        json!({ "SecretReplicas": [{ "Region": "eu-west-1" }, { "Region": "us-iso-east-1", "KmsKeyId": "alias/b" }] }),
        json!({ "SecretReplicas": replicas(50) }),
        // Only whole words are reserved.
        json!({ "DomainPrefix": "lawson" }),
        json!({ "DomainPrefix": "x-awsome-y" }),
        json!({ "DomainPrefix": "amazonas", "EnvironmentName": "laws" }),
        json!({ "DomainPrefix": "cognitom2m" }),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_is_right_in_an_unusual_way_is_accepted() {
    for properties in unusual() {
        let stack = new_stack();
        let answer = stack.create(&properties).await;
        assert!(answer.succeeded(), "{properties}: {}", answer.reason());
        crate::support::assert_is(&stack, &properties);
    }
}

/// Events that are wrong in one way each, with a word that the reason must hold.
fn events() -> Vec<(Value, &'static str)> {
    let good = || {
        json!({
            "RequestType": "Create", "ResponseURL": RESPONSE_URL, "StackId": "arn:stack", "RequestId": "r", "LogicalResourceId": "M2M",
            "ResourceType": "Custom::CognitoM2M", "ResourceProperties": {}
        })
    };
    let with = |name: &str, value: Value| {
        let mut event = good();
        event[name] = value;
        event
    };
    let without = |name: &str| {
        let mut event = good();
        event.as_object_mut().unwrap().remove(name);
        event
    };
    vec![
        (with("RequestType", json!("Frobnicate")), "Frobnicate"),
        (with("RequestType", json!("create")), "create"),
        (with("RequestType", json!(7)), "RequestType"),
        (with("RequestType", Value::Null), "RequestType"),
        (with("RequestType", json!(x(5000))), "RequestType"),
        (without("RequestType"), "RequestType"),
        (without("StackId"), "StackId"),
        (without("RequestId"), "RequestId"),
        (without("LogicalResourceId"), "LogicalResourceId"),
        (without("ResourceProperties"), "ResourceProperties"),
        (with("StackId", json!(["a"])), "StackId"),
        (with("ResourceProperties", json!([1])), "ResourceProperties"),
        (with("RequestType", json!("Update")), "PhysicalResourceId"),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_no_request_is_answered_all_the_same() {
    for (event, word) in events() {
        let stack = new_stack();
        let bucket = crate::support::cloudformation::Bucket::default();
        let session = Session::new(&stack.aws);
        let provider = async || cognito_m2m::provider::Provider {
            services: session.clone(),
            config: crate::support::cloudformation::config(),
        };
        let deadline = cognito_m2m::clock::Deadline::after(stack.timeout);
        cognito_m2m::provider::handle(&event, deadline, provider, &bucket).await.unwrap();
        let answers = bucket.0.lock().unwrap().clone();
        assert_eq!(answers.len(), 1, "{event:.200}");
        assert_eq!(answers[0]["Status"], "FAILED");
        assert!(!answers[0]["PhysicalResourceId"].as_str().unwrap().is_empty());
        assert!(answers[0]["Reason"].as_str().unwrap().contains(word), "{word} in {}", answers[0]["Reason"]);
        assert_eq!(stack.world().calls.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_needs_no_properties() {
    let stack = new_stack();
    let created = stack.create(&json!({})).await;
    let mut event = stack.delete_event(created.physical_id(), &json!({}));
    event.as_object_mut().unwrap().remove("ResourceProperties");
    stack.send(&event).await.good();
    crate::support::assert_nothing_left(&stack);
}
