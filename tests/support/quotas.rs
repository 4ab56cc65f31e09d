//! Cognito's quotas of requests in a second, for every AWS that the tests run on.
//!
//! <https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html>

use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// A category of operations. The account may make so many calls of it in a second.
#[derive(PartialEq)]
struct Category {
    name: &'static str,
    calls: usize,
    /// How many calls of one operation one pool takes in a second. The page says it of resources and clients only.
    calls_of_operation: usize,
}

const fn category(name: &'static str, calls: usize, calls_of_operation: usize) -> Category {
    Category { name, calls, calls_of_operation }
}

const POOL_READ: Category = category("UserPoolRead", 15, 15);
const POOL_UPDATE: Category = category("UserPoolUpdate", 15, 15);
const RESOURCE_READ: Category = category("UserPoolResourceRead", 20, 5);
const RESOURCE_UPDATE: Category = category("UserPoolResourceUpdate", 15, 5);
const CLIENT_READ: Category = category("UserPoolClientRead", 15, 5);
const CLIENT_UPDATE: Category = category("UserPoolClientUpdate", 15, 5);

/// Returns the category of an operation that the product calls.
fn category_of(operation: &str) -> Option<Category> {
    Some(match operation {
        "DescribeUserPool" | "ListUserPools" => POOL_READ,
        "CreateUserPool" | "UpdateUserPool" | "DeleteUserPool" => POOL_UPDATE,
        "DescribeUserPoolDomain" | "ListResourceServers" => RESOURCE_READ,
        "CreateResourceServer"
        | "UpdateResourceServer"
        | "DeleteResourceServer"
        | "CreateUserPoolDomain"
        | "UpdateUserPoolDomain"
        | "DeleteUserPoolDomain" => RESOURCE_UPDATE,
        "ListUserPoolClients" | "DescribeUserPoolClient" | "ListUserPoolClientSecrets" => CLIENT_READ,
        "CreateUserPoolClient"
        | "UpdateUserPoolClient"
        | "DeleteUserPoolClient"
        | "AddUserPoolClientSecret"
        | "DeleteUserPoolClientSecret" => CLIENT_UPDATE,
        _ => return None,
    })
}

/// A call that counts against the quotas.
#[derive(Debug)]
struct Arrival {
    operation: String,
    pool: String,
    category: &'static str,
    at: Instant,
}

/// What has arrived in the last second.
#[derive(Debug, Default)]
pub struct Quotas {
    /// Whether a refused call counts, too. No page of Cognito's tells. Other services of AWS describe token buckets,
    /// from which a refused call takes nothing.
    /// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>
    pub refused_calls_count: bool,
    arrivals: Vec<Arrival>,
}

impl Quotas {
    /// Tells whether the quotas allow a call that arrives now.
    pub fn allow(&mut self, operation: &str, pool: &str, now: Instant) -> bool {
        let Some(category) = category_of(operation) else { return true };
        self.arrivals.retain(|earlier| now.duration_since(earlier.at) < WINDOW);
        let of_category = self.arrivals.iter().filter(|earlier| earlier.category == category.name);
        let of_operation = of_category.clone().filter(|earlier| earlier.operation == operation && earlier.pool == pool);
        let allowed = of_category.count() < category.calls && of_operation.count() < category.calls_of_operation;
        if allowed || self.refused_calls_count {
            let (operation, pool) = (operation.to_owned(), pool.to_owned());
            self.arrivals.push(Arrival { operation, pool, category: category.name, at: now });
        }
        allowed
    }
}
