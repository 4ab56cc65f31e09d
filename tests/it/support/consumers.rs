//! The applications that use the account while it changes. They look after every call and complain
//! when they are cut off.

use std::collections::{BTreeMap, BTreeSet};

use cognito_m2m::{
    model::{AuthFlow, ClientName, PoolId, SecretId, TokenService},
    ports::{AWSCURRENT, AWSPENDING, SecretDocument},
};

use super::{
    cognito::{FakeClient, FakePool},
    secrets_manager::FakeSecret,
};

type Pools = BTreeMap<PoolId, FakePool>;
type Secrets = BTreeMap<SecretId, FakeSecret>;

#[derive(Debug, Default)]
pub struct Consumers {
    /// Whether consumers read the secrets and ask for tokens all the time.
    pub at_work: bool,
    /// Whether they must be able to ask in the way that AWSCURRENT says, too. Not so while a domain is replaced.
    pub ask_as_told: bool,
    /// Whether consumers also need the token endpoint that their secret names at every moment.
    pub ask_for_tokens: bool,
    /// Scopes that the client of a name needs at every moment.
    pub needed_scopes: BTreeMap<ClientName, BTreeSet<String>>,
    /// What went wrong for them, each with the call after which it did.
    pub complaints: Vec<String>,
    read: BTreeMap<SecretId, Read>,
}

/// What two consumers of one secret hold.
#[derive(Debug)]
struct Read {
    /// Of the one that reads it again after every call.
    current: SecretDocument,
    /// Of the one that read it last before the value changed.
    former: Option<SecretDocument>,
}

impl Consumers {
    /// Looks at the account after a call.
    pub fn look(&mut self, operation: &str, pools: &Pools, secrets: &Secrets) {
        if self.at_work {
            for (name, secret) in secrets.iter().filter(|(_, secret)| !secret.scheduled) {
                self.use_secret(operation, name, secret, pools);
            }
        }
        for (name, scopes) in &self.needed_scopes {
            let kept = pools.values().any(|pool| {
                let mut clients = pool.clients.values().filter(|client| client.client.name == *name);
                clients.any(|client| pool.effective_scopes(client).is_superset(scopes))
            });
            if !kept {
                self.complaints.push(format!("{operation} took a scope from {name} that both versions grant"));
            }
        }
    }

    /// A consumer that reads AWSCURRENT now is accepted. So is one that read it before the last
    /// rotation, until the next rotation begins.
    fn use_secret(&mut self, operation: &str, name: &SecretId, secret: &FakeSecret, pools: &Pools) {
        let Some((_, version)) = secret.staged(AWSCURRENT) else { return };
        let Some(current) = &version.document else { return };
        let pool = pools.get(&current.metadata.user_pool_id);
        let Some(client) = pool.and_then(|pool| pool.clients.get(&current.client_id)) else { return };

        if !client.takes(&current.client_secret) {
            self.complaints.push(format!("{operation}: AWSCURRENT of {name} is refused"));
        }
        if self.ask_as_told && !can_ask(current, pool, client) {
            self.complaints.push(format!("{operation}: {name} says a way to get tokens that does not work"));
        }
        let first = || Read { current: current.clone(), former: None };
        let read = self.read.entry(name.clone()).or_insert_with(first);
        if read.current.client_secret != current.client_secret {
            let former = std::mem::replace(&mut read.current, current.clone());
            read.former = Some(former);
        }
        let former = read.former.as_ref().filter(|former| former.client_id == current.client_id);
        if let Some(former) = former
            && !client.takes(&former.client_secret)
            && !next_rotation_has_begun(secret, client, current, former)
        {
            self.complaints.push(format!("{operation}: what {name} said before the last rotation is refused"));
        }
    }
}

/// Whether the way to get tokens exists that the document names.
fn can_ask(document: &SecretDocument, pool: Option<&FakePool>, client: &FakeClient) -> bool {
    match document.metadata.token_service {
        TokenService::OAuth2 => pool.and_then(|pool| pool.domain.as_ref()).is_some_and(|held| held.gone_at.is_none()),
        TokenService::GetClientToken => client.client.auth_flow == AuthFlow::ClientToken,
    }
}

/// Whether a third value is pending, or is a secret of the client already, whatever has become of its label.
fn next_rotation_has_begun(
    secret: &FakeSecret,
    client: &FakeClient,
    current: &SecretDocument,
    former: &SecretDocument,
) -> bool {
    let pending = secret.staged(AWSPENDING).and_then(|(_, version)| version.document.as_ref());
    pending.is_some_and(|pending| pending.client_secret != current.client_secret)
        || client
            .secrets
            .iter()
            .any(|secret| secret.value != current.client_secret && secret.value != former.client_secret)
}

mod tests {
    use cognito_m2m::{
        model::ResourceServer,
        ports::{SecretVersions, UserPools},
    };

    use super::*;
    use crate::support::{FakeAws, fixtures::one_client};

    #[tokio::test]
    async fn a_consumer_complains_when_its_client_loses_a_scope() {
        let aws = FakeAws::default();
        let (pool, _, _) = one_client(&aws).await;
        aws.world().consumers.needed_scopes.insert("web".into(), ["orders/read".to_owned()].into());
        let server = aws.world().pools[&pool].servers["orders"].clone();
        aws.update_resource_server(&pool, &server).await.unwrap();
        assert_eq!(aws.world().consumers.complaints, Vec::<String>::new());
        aws.update_resource_server(&pool, &ResourceServer { scopes: vec![], ..server }).await.unwrap();
        let complaints = aws.world().consumers.complaints.clone();
        assert_eq!(complaints, ["UpdateResourceServer took a scope from web that both versions grant"]);
    }

    #[tokio::test]
    async fn consumers_complain_when_the_value_that_they_hold_is_refused() {
        use crate::support::{FakeClientSecret, fixtures::document};
        let aws = FakeAws::default();
        let (pool, client, first) = one_client(&aws).await;
        let name = SecretId::from("dev/web");
        let document = |value: &cognito_m2m::redact::Secret<String>| {
            let mut document = document("");
            document.client_id = client.clone();
            document.client_secret = value.clone();
            document.metadata.user_pool_id = pool.clone();
            document
        };
        aws.world().secrets.insert(name.clone(), FakeSecret::new("arn".to_owned()));
        aws.world().consumers.at_work = true;
        aws.put_secret_value(&name, &document(&first), "first", AWSCURRENT).await.unwrap();

        // A rotation that forgets to give the client its new secret.
        let second = cognito_m2m::redact::Secret::new("b".repeat(24));
        aws.put_secret_value(&name, &document(&second), "second", AWSCURRENT).await.unwrap();
        let complaints = std::mem::take(&mut aws.world().consumers.complaints);
        assert_eq!(complaints, ["PutSecretValue: AWSCURRENT of dev/web is refused"]);

        // A rotation that takes the former secret away at once.
        {
            let mut world = aws.world();
            let secrets = &mut world.pools.get_mut(&pool).unwrap().clients.get_mut(&client).unwrap().secrets;
            let created = std::time::Duration::from_secs(9);
            let added_at = tokio::time::Instant::now();
            *secrets = vec![FakeClientSecret { id: "second".to_owned(), value: second, created, added_at }];
        }
        aws.describe_secret(&name).await.unwrap();
        let complaints = std::mem::take(&mut aws.world().consumers.complaints);
        assert_eq!(complaints, ["DescribeSecret: what dev/web said before the last rotation is refused"]);
    }
}
