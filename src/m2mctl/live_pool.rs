//! A whole user pool, whoever owns what is in it.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{context::Context, error::Error};
use crate::{
    model::{ClientId, Mark, Owner, PoolId, ResourceServer},
    ports::{AwsError, ClientDescription, Secrets as _, Services, UserPoolDescription, UserPools as _, all_pages},
    reconcile::Aws,
};

/// How many calls wait for an answer at the same time. The pace of Cognito's quota is far below it.
pub(super) const MAX_CONCURRENT: usize = 16;

/// A user pool with everything in it.
pub(super) struct LivePool {
    pub(super) pool: UserPoolDescription,
    /// By identifier.
    pub(super) resource_servers: Vec<ResourceServer>,
    /// By name, then by id.
    pub(super) clients: Vec<ClientDescription>,
    pub(super) owners: Owners,
}

impl LivePool {
    pub(super) async fn read<S: Services, A>(
        aws: &Aws<'_, S>,
        id: &PoolId,
        context: &Context<S, A>,
    ) -> Result<Self, Error> {
        let pools = &aws.services.pools;
        let Some(pool) = pools.describe_user_pool(id).await? else {
            return Err(Error::Choice(format!(
                "User pool {id} does not exist in {}. Correct --user-pool-id, or the region with --region",
                context.region
            )));
        };
        let mut resource_servers =
            all_pages(async |next| pools.list_resource_servers(id, next.as_deref()).await).await?;
        resource_servers.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        let mut clients = clients(aws, id).await?;
        clients.sort_by(|a, b| (&a.observed.name, &a.observed.id).cmp(&(&b.observed.name, &b.observed.id)));
        let owners = Owners::read(aws).await;
        Ok(Self { pool, resource_servers, clients, owners })
    }
}

async fn clients<S: Services>(aws: &Aws<'_, S>, pool: &PoolId) -> Result<Vec<ClientDescription>, AwsError> {
    let pools = &aws.services.pools;
    let listed = all_pages(async |next| pools.list_user_pool_clients(pool, next.as_deref()).await).await?;
    let describe = async |id: ClientId| pools.describe_user_pool_client(pool, &id).await;
    let described: Vec<_> = stream::iter(listed.into_iter().map(|(id, _)| describe(id)))
        .buffer_unordered(MAX_CONCURRENT)
        .try_collect()
        .await?;
    // A client may be deleted between the two calls.
    Ok(described.into_iter().flatten().collect())
}

/// The resources that have secrets. A mark says who owns a client only to those who know the owner.
#[derive(Default)]
pub(super) struct Owners {
    by_mark: BTreeMap<Mark, (Owner, bool)>,
    /// Why they are not known.
    pub(super) unknown: Option<AwsError>,
}

impl Owners {
    /// Looks at the tags of all secrets. A failure is kept: the rest of a report does not need the owners.
    async fn read<S: Services>(aws: &Aws<'_, S>) -> Self {
        let listing = all_pages(async |next| aws.services.secrets.list_secrets(None, next.as_deref()).await);
        match listing.await {
            Ok(secrets) => Self::of(secrets.iter().filter_map(|(_, tags)| Owner::of(tags))),
            Err(error) => Self { unknown: Some(error), ..Self::default() },
        }
    }

    fn of(owners: impl IntoIterator<Item = Owner>) -> Self {
        let marks =
            |owner: Owner| [(Mark::of(&owner), (owner.clone(), false)), (Mark::of_adopted(&owner), (owner, true))];
        Self { by_mark: owners.into_iter().flat_map(marks).collect(), unknown: None }
    }

    /// Returns the owner, and whether it adopted what has the mark.
    pub(super) fn find(&self, mark: &Mark) -> Option<(&Owner, bool)> {
        self.by_mark.get(mark).map(|(owner, adopted)| (owner, *adopted))
    }
}

/// Replaces everything that ends a line or cannot be printed. Names and tags come from outside, and one line of a
/// report must not become two. A line of YAML 1.1 also ends at U+2028 and U+2029.
pub(super) fn one_line(text: &str) -> String {
    let is_unprintable =
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_its_owner_and_says_whether_the_client_was_adopted() {
        let owner = Owner { stack_id: "arn:aws:cloudformation:r:1:stack/shop/1".into(), logical_id: "Web".into() };
        let owners = Owners::of([owner.clone()]);
        assert_eq!(owners.find(&Mark::of(&owner)), Some((&owner, false)));
        assert_eq!(owners.find(&Mark::of_adopted(&owner)), Some((&owner, true)));
        let other = Owner { logical_id: "Other".into(), ..owner };
        assert_eq!(owners.find(&Mark::of(&other)), None);
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(one_line("a\r\nb\u{85}c\u{2028}d\u{1b}[31m"), "a  b c d [31m");
    }
}
