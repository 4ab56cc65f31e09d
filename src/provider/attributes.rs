//! The attributes of the resource types.

use crate::{
    cfn::Data,
    model::{Client, Desired, DesiredPool, OwnPool, ResourceServer},
    reconcile::{Outcome, Reconciled},
};

/// Returns the attributes for `Fn::GetAtt`.
pub(super) fn attributes(desired: &Desired, outcome: &Outcome) -> Data {
    let (desired, reconciled) = match outcome {
        Outcome::Done(reconciled) => (desired, reconciled),
        Outcome::Late { present, reconciled } => (&**present, reconciled),
    };
    match (&desired.pool, desired.resource_servers.first()) {
        (DesiredPool::Own(own), _) => of_pool(desired, own, reconciled),
        (DesiredPool::Shared(_), None) => of_client(desired, reconciled),
        (DesiredPool::Shared(_), Some(server)) => of_resource_server(server, reconciled),
    }
}

fn of_pool(desired: &Desired, own: &OwnPool, reconciled: &Reconciled) -> Data {
    let Reconciled { pool, pool_arn, client_ids, secret_arns, verification, tokens, custom_domain_target } = reconciled;
    let Desired { endpoints, clients, .. } = desired;
    let id = |client: &Client| client_ids.get(&client.name).map(ToString::to_string).unwrap_or_default();
    let arn = |client: &Client| secret_arns.get(&client.name).cloned().unwrap_or_default();
    let first = clients.first();
    let fixed = [
        ("UserPoolId", pool.to_string()),
        ("UserPoolArn", pool_arn.clone()),
        ("UserPoolName", own.state.name.clone()),
        ("Issuer", endpoints.issuer(pool)),
        ("JwksUri", endpoints.jwks_uri(pool)),
        ("DiscoveryUrl", endpoints.discovery_url(pool)),
        ("TokenEndpoint", endpoints.token_endpoint(tokens)),
        ("ClientId", first.map(id).unwrap_or_default()),
        ("ClientSecretArn", first.map(arn).unwrap_or_default()),
        ("ClientIds", clients.iter().map(id).collect::<Vec<_>>().join(",")),
        ("Scopes", desired.scopes().collect::<Vec<_>>().join(" ")),
        ("TokenVerification", verification.as_str().to_owned()),
    ];
    // A pool whose clients get their tokens by API has none.
    let domain = endpoints.token_host(tokens).map(|host| ("Domain".to_owned(), host));
    // A name that AWS does not show is empty: an attribute that is missing would fail the stack.
    let target = || custom_domain_target.clone().unwrap_or_default();
    let custom_domain = own.custom_domain.iter().flat_map(|custom| {
        [("CustomDomain".to_owned(), custom.name.clone()), ("CustomDomainTarget".to_owned(), target())]
    });
    let of_clients: Vec<_> = clients
        .iter()
        .flat_map(|client| {
            [
                (format!("ClientId.{}", client.name), id(client)),
                (format!("ClientSecretArn.{}", client.name), arn(client)),
            ]
        })
        .collect();
    let names: Vec<_> = of_clients.iter().map(|(name, _)| name.clone()).collect();
    data(fixed)
        .and(domain)
        .and(custom_domain)
        .and(of_clients)
        .may_leave_out(names)
        // Only huge stacks get here. A response without these attributes is better than none.
        .may_leave_out(["Scopes".to_owned()])
        .may_leave_out(["ClientIds".to_owned()])
}

fn of_client(desired: &Desired, reconciled: &Reconciled) -> Data {
    let Reconciled { pool, pool_arn: _, client_ids, secret_arns, verification, tokens, custom_domain_target: _ } =
        reconciled;
    let Desired { endpoints, clients, .. } = desired;
    let scopes: Vec<&str> = clients.iter().flat_map(|client| &client.scopes).map(String::as_str).collect();
    data([
        ("ClientId", client_ids.values().next().map(ToString::to_string).unwrap_or_default()),
        ("ClientSecretArn", secret_arns.values().next().cloned().unwrap_or_default()),
        ("UserPoolId", pool.to_string()),
        ("Issuer", endpoints.issuer(pool)),
        ("JwksUri", endpoints.jwks_uri(pool)),
        ("DiscoveryUrl", endpoints.discovery_url(pool)),
        ("TokenEndpoint", endpoints.token_endpoint(tokens)),
        ("Scopes", scopes.join(" ")),
        ("TokenVerification", verification.as_str().to_owned()),
    ])
    .may_leave_out(["Scopes".to_owned()])
}

fn of_resource_server(server: &ResourceServer, reconciled: &Reconciled) -> Data {
    let scopes: Vec<_> = server.full_scopes().collect();
    data([
        ("Identifier", server.identifier.clone()),
        ("Scopes", scopes.join(" ")),
        ("UserPoolId", reconciled.pool.to_string()),
    ])
    .may_leave_out(["Scopes".to_owned()])
}

fn data<const N: usize>(attributes: [(&str, String); N]) -> Data {
    Data::new(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)))
}
