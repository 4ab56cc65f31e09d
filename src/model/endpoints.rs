//! Where a pool's tokens come from and who signs them.

use super::{Domain, PoolId, TokenSource};

/// The region's addresses, or those of a custom endpoint such as a local cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    region: String,
    /// A custom Cognito endpoint outside AWS's own domains, without a trailing slash.
    custom: Option<String>,
}

impl Endpoints {
    /// `cognito_endpoint` is the endpoint that the SDK's settings configure for Cognito, if any.
    /// One under AWS's own domains (an interface VPC endpoint) serves the API and no token endpoint, which
    /// stays the domain's.
    #[must_use]
    pub fn new(region: &str, cognito_endpoint: Option<&str>) -> Self {
        let custom = cognito_endpoint
            .filter(|endpoint| !url::Url::parse(endpoint).is_ok_and(|url| url.host_str().is_some_and(is_aws_host)))
            .map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        Self { region: region.to_owned(), custom }
    }

    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the partition that the region belongs to.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        match &self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// `iss` of the pool's tokens: always AWS's name for the pool.
    /// <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html>
    #[must_use]
    pub fn issuer(&self, pool: &PoolId) -> String {
        format!("https://cognito-idp.{}.{}/{pool}", self.region, self.suffix())
    }

    #[must_use]
    pub fn jwks_uri(&self, pool: &PoolId) -> String {
        self.well_known(pool, "jwks.json")
    }

    /// Returns the URL of the pool's OpenID Connect discovery document.
    #[must_use]
    pub fn discovery_url(&self, pool: &PoolId) -> String {
        self.well_known(pool, "openid-configuration")
    }

    fn well_known(&self, pool: &PoolId, document: &str) -> String {
        let base = match &self.custom {
            Some(endpoint) => format!("{endpoint}/{pool}"),
            None => self.issuer(pool),
        };
        format!("{base}/.well-known/{document}")
    }

    /// Whether a custom endpoint outside AWS's own domains is configured.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// The domain's host. In GovCloud, only FIPS endpoints exist.
    /// <https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-cog.html>
    #[must_use]
    pub fn host(&self, domain: &Domain) -> String {
        let auth = if self.region.starts_with("us-gov-") { "auth-fips" } else { "auth" };
        format!("{}.{auth}.{}.amazoncognito.com", domain.prefix, self.region)
    }

    /// Returns the URL that clients send their token requests to.
    #[must_use]
    pub fn token_endpoint(&self, tokens: &TokenSource) -> String {
        match (tokens, &self.custom) {
            (TokenSource::PrefixDomain(_) | TokenSource::CustomDomain { .. }, Some(endpoint)) => {
                format!("{endpoint}/oauth2/token")
            }
            (TokenSource::PrefixDomain(domain), None) => format!("https://{}/oauth2/token", self.host(domain)),
            (TokenSource::CustomDomain { name, .. }, None) => format!("https://{name}/oauth2/token"),
            (TokenSource::Api, Some(endpoint)) => format!("{endpoint}/"),
            (TokenSource::Api, None) => format!("https://cognito-idp.{}.{}/", self.region, self.suffix()),
        }
    }

    /// Returns the host of the domain that the clients use; `None` if they use none.
    #[must_use]
    pub fn token_host(&self, tokens: &TokenSource) -> Option<String> {
        match tokens {
            TokenSource::PrefixDomain(domain) => Some(self.host(domain)),
            TokenSource::CustomDomain { name, .. } => Some(name.clone()),
            TokenSource::Api => None,
        }
    }

    /// Tells whether a token endpoint is under a custom domain: it is neither on a host of Cognito's own, nor under a
    /// custom endpoint, which serves the tokens of every pool.
    #[must_use]
    pub fn is_of_custom_domain(&self, token_endpoint: &str) -> bool {
        let is_cognitos = |host: &str| host.ends_with(".amazoncognito.com") || is_aws_host(host);
        self.custom.is_none()
            && url::Url::parse(token_endpoint).is_ok_and(|url| url.host_str().is_some_and(|host| !is_cognitos(host)))
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

/// The domains of AWS's endpoints, for each partition the usual one and the dual-stack one.
/// <https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json>
const AWS_DOMAINS: [&str; 14] = [
    "amazonaws.com", // aws and aws-us-gov
    "api.aws",
    "amazonaws.com.cn", // aws-cn
    "api.amazonwebservices.com.cn",
    "amazonaws.eu", // aws-eusc
    "api.amazonwebservices.eu",
    "c2s.ic.gov", // aws-iso
    "api.aws.ic.gov",
    "sc2s.sgov.gov", // aws-iso-b
    "api.aws.scloud",
    "cloud.adc-e.uk", // aws-iso-e
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov", // aws-iso-f
    "api.aws.hci.ic.gov",
];

/// Whether a host name is in one of AWS's own domains.
#[must_use]
pub fn is_aws_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    AWS_DOMAINS
        .iter()
        .any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        Domain { prefix: "m2m-rubicon-dev".into(), managed_login_version: 2 }
    }

    fn custom() -> TokenSource {
        TokenSource::CustomDomain { name: "auth.example.com".into(), prefix: Some(domain()) }
    }

    #[test]
    fn only_an_endpoint_outside_cognitos_own_hosts_is_a_custom_domains() {
        let aws = Endpoints::new("us-east-1", None);
        assert!(aws.is_of_custom_domain(&aws.token_endpoint(&custom())));
        for source in [TokenSource::PrefixDomain(domain()), TokenSource::Api] {
            assert!(!aws.is_of_custom_domain(&aws.token_endpoint(&source)), "{source:?}");
        }
        let govcloud = Endpoints::new("us-gov-west-1", None);
        assert!(!govcloud.is_of_custom_domain(&govcloud.token_endpoint(&TokenSource::PrefixDomain(domain()))));
        let local = Endpoints::new("us-east-1", Some("http://127.0.0.1:4566"));
        assert!(!local.is_of_custom_domain(&local.token_endpoint(&custom())), "it serves every pool");
        assert!(!aws.is_of_custom_domain(""), "no endpoint");
    }

    #[test]
    fn tokens_are_verified_at_the_prefix_domain_if_there_is_one() {
        assert_eq!(custom().to_verify_at(), TokenSource::PrefixDomain(domain()));
        let alone = TokenSource::CustomDomain { name: "auth.example.com".into(), prefix: None };
        for source in [alone, TokenSource::PrefixDomain(domain()), TokenSource::Api] {
            assert_eq!(source.to_verify_at(), source);
        }
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
        assert_eq!(
            commercial.discovery_url(&pool),
            "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Abc/.well-known/openid-configuration"
        );
        assert_eq!(commercial.host(&domain()), "m2m-rubicon-dev.auth.us-east-1.amazoncognito.com");
        assert_eq!(
            commercial.token_endpoint(&TokenSource::PrefixDomain(domain())),
            "https://m2m-rubicon-dev.auth.us-east-1.amazoncognito.com/oauth2/token"
        );
        assert_eq!(commercial.token_endpoint(&TokenSource::Api), "https://cognito-idp.us-east-1.amazonaws.com/");
        assert_eq!(commercial.token_endpoint(&custom()), "https://auth.example.com/oauth2/token");
        assert_eq!(commercial.token_host(&custom()).as_deref(), Some("auth.example.com"));
        assert_eq!(commercial.token_host(&TokenSource::Api), None);
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
        assert_eq!(local.token_endpoint(&TokenSource::PrefixDomain(domain())), "http://127.0.0.1:4566/oauth2/token");
        assert_eq!(local.token_endpoint(&TokenSource::Api), "http://127.0.0.1:4566/");
        assert_eq!(local.token_endpoint(&custom()), "http://127.0.0.1:4566/oauth2/token");
        assert_eq!(local.jwks_uri(&pool), "http://127.0.0.1:4566/us-east-1_Abc/.well-known/jwks.json");
        assert_eq!(local.discovery_url(&pool), "http://127.0.0.1:4566/us-east-1_Abc/.well-known/openid-configuration");
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

    #[test]
    fn a_host_is_aws_own_in_every_partition_and_by_whole_labels_only() {
        for own in [
            "cloudformation-custom-resource-response-useast1.s3.amazonaws.com",
            "cloudformation-custom-resource-response-uswest2.s3-us-west-2.amazonaws.com",
            "cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn",
            "b.s3.dualstack.us-east-1.api.aws",
            "b.s3.eusc-de-east-1.amazonaws.eu",
            "b.s3.us-iso-east-1.c2s.ic.gov",
            "B.S3.AMAZONAWS.COM",
        ] {
            assert!(is_aws_host(own), "{own}");
        }
        for other in [
            "",
            "127.0.0.1",
            "localhost",
            "example.com",
            "notamazonaws.com",
            "amazonaws.com.example.org",
            "s3.amazonaws.com.evil.cn",
            "evil-api.aws.example",
            "amazonaws.com@example.com",
            "com",
        ] {
            assert!(!is_aws_host(other), "{other}");
        }
    }
}
