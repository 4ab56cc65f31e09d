//! Where a pool's tokens come from and who signs them.

use super::{Domain, PoolId};

/// The region's addresses, or those of a custom endpoint such as a local cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    region: String,
    /// A custom Cognito endpoint outside AWS's own domains, without a trailing slash.
    custom: Option<String>,
}

impl Endpoints {
    /// `cognito_endpoint` is the endpoint that the SDK's settings configure for Cognito, if any.
    /// One under AWS's own domains (an interface VPC endpoint) serves the API alone, so the token
    /// endpoint stays the domain's.
    #[must_use]
    pub fn new(region: &str, cognito_endpoint: Option<&str>) -> Self {
        let custom = cognito_endpoint
            .filter(|endpoint| !is_aws_host(endpoint))
            .map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Self { region: region.to_owned(), custom }
    }

    /// `iss` of the pool's tokens: always AWS's name for the pool.
    /// <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html>
    #[must_use]
    pub fn issuer(&self, pool: &PoolId) -> String {
        format!("https://cognito-idp.{}.{}/{pool}", self.region, self.suffix())
    }

    #[must_use]
    pub fn jwks_uri(&self, pool: &PoolId) -> String {
        let base = match &self.custom {
            Some(endpoint) => format!("{endpoint}/{pool}"),
            None => self.issuer(pool),
        };
        format!("{base}/.well-known/jwks.json")
    }

    /// The domain's host. GovCloud serves FIPS endpoints alone.
    /// <https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-cog.html>
    #[must_use]
    pub fn host(&self, domain: &Domain) -> String {
        let auth = if self.region.starts_with("us-gov-") { "auth-fips" } else { "auth" };
        format!("{}.{auth}.{}.amazoncognito.com", domain.prefix, self.region)
    }

    #[must_use]
    pub fn token_endpoint(&self, domain: &Domain) -> String {
        match &self.custom {
            Some(endpoint) => format!("{endpoint}/oauth2/token"),
            None => format!("https://{}/oauth2/token", self.host(domain)),
        }
    }

    /// Tells whether tokens come from the domain's own host, and not from a custom endpoint.
    #[must_use]
    pub fn are_under_the_domain(&self) -> bool {
        self.custom.is_none()
    }

    fn suffix(&self) -> &'static str {
        if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
    }
}

fn is_aws_host(endpoint: &str) -> bool {
    let host =
        endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, _port)| name).to_ascii_lowercase();
    ["amazonaws.com", "amazonaws.com.cn", "api.aws", "api.amazonwebservices.com.cn"]
        .iter()
        .any(|domain| host == *domain || host.ends_with(&format!(".{domain}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        Domain { prefix: "m2m-rubicon-dev".into(), managed_login_version: 2 }
    }

    #[test]
    fn aws_names_follow_region_and_partition() {
        let pool = PoolId::from("us-east-1_Abc");
        let commercial = Endpoints::new("us-east-1", None);
        assert_eq!(commercial.issuer(&pool), "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Abc");
        assert_eq!(
            commercial.jwks_uri(&pool),
            "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Abc/.well-known/jwks.json"
        );
        assert_eq!(commercial.host(&domain()), "m2m-rubicon-dev.auth.us-east-1.amazoncognito.com");
        assert_eq!(
            commercial.token_endpoint(&domain()),
            "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token"
        );
        assert_eq!(
            Endpoints::new("us-gov-west-1", None).host(&domain()),
            "m2m-rubicon-dev.auth-fips.us-gov-west-1.amazoncognito.com"
        );
        assert!(
            Endpoints::new("cn-north-1", None)
                .issuer(&pool)
                .starts_with("https://cognito-idp.cn-north-1.amazonaws.com.cn/")
        );
    }

    #[test]
    fn a_local_cloud_serves_tokens_and_keys_but_does_not_rename_the_issuer() {
        let pool = PoolId::from("us-east-1_Abc");
        let local = Endpoints::new("us-east-1", Some("http://127.0.0.1:4566/"));
        assert_eq!(local.token_endpoint(&domain()), "http://127.0.0.1:4566/oauth2/token");
        assert_eq!(local.jwks_uri(&pool), "http://127.0.0.1:4566/us-east-1_Abc/.well-known/jwks.json");
        assert_eq!(local.issuer(&pool), "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Abc");
        assert_eq!(local.host(&domain()), "m2m-rubicon-dev.auth.us-east-1.amazoncognito.com");
    }

    #[test]
    fn an_endpoint_under_aws_own_domains_is_no_local_cloud() {
        for aws in [
            "https://cognito-idp.us-east-1.amazonaws.com",
            "https://vpce-1-x.cognito-idp.us-east-1.vpce.amazonaws.com:443/",
            "https://cognito-idp-fips.us-east-1.api.aws",
            "https://COGNITO-IDP.us-east-1.AMAZONAWS.com",
        ] {
            assert_eq!(Endpoints::new("us-east-1", Some(aws)), Endpoints::new("us-east-1", None), "{aws}");
        }
        for local in ["http://localhost:4566", "https://amazonaws.com.example.org", "http://notamazonaws.com"] {
            assert_ne!(Endpoints::new("us-east-1", Some(local)), Endpoints::new("us-east-1", None), "{local}");
        }
    }
}
