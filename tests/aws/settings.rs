//! The settings of the SDK and of the HTTP client.

use std::{
    ffi::OsString,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
#[cfg(feature = "cli")]
use aws_sdk_cognitoidentityprovider::config::ProvideCredentials as _;
use cognito_m2m::{
    aws::{self, Cognito, Http, ResponseUrlClient},
    cfn::{Deliver, ResponseUrl},
    model::{Endpoints, TokenSource},
    ports::{ErrorKind, UserPools},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use crate::support::{
    Aws, Scripted, TOKEN_PATH, Turn, domain, metadata, nobody, pool_id, read_request, sdk_config_with,
};

fn endpoints_of(region: &str, endpoint: Option<&str>) -> (String, String, String) {
    let mut config =
        SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
    config.set_endpoint_url(endpoint.map(ToOwned::to_owned));
    shown(&aws::endpoints(&config.build()))
}

fn shown(endpoints: &Endpoints) -> (String, String, String) {
    (
        endpoints.token_endpoint(&TokenSource::PrefixDomain(domain())),
        endpoints.jwks_uri(&pool_id()),
        endpoints.issuer(&pool_id()),
    )
}

fn aws_endpoints() -> (String, String, String) {
    (metadata().token_endpoint, metadata().jwks_uri, metadata().issuer)
}

#[test]
fn without_a_custom_endpoint_the_addresses_are_the_regions() {
    assert_eq!(endpoints_of("us-east-1", None), aws_endpoints());
    let (token_endpoint, jwks_uri, _) = endpoints_of("eu-west-1", None);
    assert_eq!(token_endpoint, "https://m2m-rubicon-dev.auth.eu-west-1.amazoncognito.com/oauth2/token");
    assert!(jwks_uri.starts_with("https://cognito-idp.eu-west-1.amazonaws.com/"), "{jwks_uri}");
}

#[test]
fn a_custom_endpoint_serves_tokens_and_keys_and_an_endpoint_of_awss_own_does_not() {
    let local = (
        "http://127.0.0.1:4566/oauth2/token".to_owned(),
        "http://127.0.0.1:4566/us-east-1_AbCdEfGhI/.well-known/jwks.json".to_owned(),
        metadata().issuer,
    );
    assert_eq!(endpoints_of("us-east-1", Some("http://127.0.0.1:4566")), local);
    assert_eq!(endpoints_of("us-east-1", Some("http://127.0.0.1:4566/")), local);
    let interface = "https://vpce-1-x.cognito-idp.us-east-1.vpce.amazonaws.com";
    assert_eq!(endpoints_of("us-east-1", Some(interface)), aws_endpoints());
}

/// Set only for the child process. Holds the token endpoint that the child must see.
const CHILD: &str = "COGNITO_M2M_TEST_EXPECTED_TOKEN_ENDPOINT";

/// Runs a test again in a child process that has only these settings, compares its token endpoint with `expected`, and
/// lets it make a call.
async fn with_environment(test: &str, expected: &str, settings: &[(&str, &str)]) {
    let mut all = vec![
        (CHILD, expected),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "not-a-key"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    all.extend(settings);
    run_again(test, &all).await;
}

/// Runs one test of this file in a child process that has only this environment.
async fn run_again(test: &str, environment: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &format!("settings::{test}"), "--nocapture"]);
    child.env_clear().envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // A misspelled name would run no test, and no test succeeds as well.
    assert!(output.status.success() && said.contains("1 passed"), "with {environment:?}: {said}");
}

/// What the child must see, in the child.
fn expected_by_parent() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the test talks to its own child process")]
    std::env::var(CHILD).ok()
}

/// What the child does.
async fn is_child(config: &SdkConfig, expected: &str) {
    let (token_endpoint, ..) = shown(&aws::endpoints(config));
    assert_eq!(token_endpoint, expected);
    let local = expected.starts_with("http://127.0.0.1");
    if local {
        let error = Cognito::new(config).list_user_pools(None).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Throttled, "ThrottlingException"), "{error}");
    }
}

const ALL: &str = "AWS_ENDPOINT_URL";
const OF_COGNITO: &str = "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER";

/// What the parent does. `profile` is whether the settings of a profile count.
async fn is_parent(test: &str, profile: bool) {
    // Throttling is what the SDK would be most eager to try again.
    let aws = Aws::refusing(400, "ThrottlingException", "Rate exceeded").await;
    let (local, other) = (aws.server.uri(), nobody().await);
    let (local, other) = (local.as_str(), other.as_str());
    let local_token = format!("{local}{TOKEN_PATH}");
    let aws_token = metadata().token_endpoint;
    let file = format!("{}/{test}", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, format!("[default]\nendpoint_url = {local}\n")).unwrap();
    let of_profile = ("AWS_CONFIG_FILE", file.as_str());

    with_environment(test, &aws_token, &[]).await;
    with_environment(test, &aws_token, &[("AWS_ENDPOINT_URL_SECRETS_MANAGER", other)]).await;
    with_environment(test, &aws_token, &[(ALL, other), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]).await;
    if !profile {
        with_environment(test, &aws_token, &[of_profile]).await;
    }
    assert_eq!(aws.server.received_requests().await.unwrap().len(), 0);

    let mut custom = vec![vec![(ALL, local)], vec![(OF_COGNITO, local)], vec![(ALL, other), (OF_COGNITO, local)]];
    if profile {
        custom.push(vec![of_profile]);
    }
    for settings in custom {
        aws.refuses(400, "ThrottlingException", "Rate exceeded").await;
        with_environment(test, &local_token, &settings).await;
        aws.sent_cognito("ListUserPools", json!({ "MaxResults": 60 })).await;
    }
}

#[tokio::test]
async fn the_endpoints_of_a_function_are_those_of_its_environment_and_the_sdks_retries_are_off() {
    if let Some(expected) = expected_by_parent() {
        #[expect(clippy::disallowed_methods, reason = "the test talks to its own child process")]
        let config = aws::function_config(&Http::default(), |name| std::env::var_os(name));
        return is_child(&config, &expected).await;
    }
    is_parent("the_endpoints_of_a_function_are_those_of_its_environment_and_the_sdks_retries_are_off", false).await;
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn the_endpoints_of_m2mctl_are_those_of_the_environment_or_the_profile_and_the_sdks_retries_are_off() {
    if let Some(expected) = expected_by_parent() {
        return is_child(&aws::cli_config(&Http::default(), None, None).await, &expected).await;
    }
    let test = "the_endpoints_of_m2mctl_are_those_of_the_environment_or_the_profile_and_the_sdks_retries_are_off";
    is_parent(test, true).await;
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn a_profile_that_m2mctl_is_given_comes_before_the_keys_of_the_environment() {
    let test = "a_profile_that_m2mctl_is_given_comes_before_the_keys_of_the_environment";
    if let Some(expected) = expected_by_parent() {
        let config = aws::cli_config(&Http::default(), Some("other"), None).await;
        let credentials = config.credentials_provider().unwrap().provide_credentials().await.unwrap();
        assert_eq!(credentials.access_key_id(), expected);
        return;
    }
    let file = format!("{}/{test}", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&file, "[profile other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = not-a-key\n")
        .unwrap();
    with_environment(test, "AKIDOTHER", &[("AWS_CONFIG_FILE", &file)]).await;
}

#[test]
fn a_functions_region_and_kinds_of_endpoints_come_from_its_environment() {
    let seen = |environment| {
        let config = aws::function_config(&Http::default(), environment);
        (config.region().map(ToString::to_string), config.use_fips(), config.use_dual_stack())
    };
    let named = |region: &str| Some(region.to_owned());
    assert_eq!(seen(|_| None), (None, Some(false), Some(false)));
    assert_eq!(
        seen(|name| (name == "AWS_DEFAULT_REGION").then(|| "eu-west-1".into())),
        (named("eu-west-1"), Some(false), Some(false))
    );
    let all: aws::Environment = |name| match name {
        "AWS_REGION" => Some("us-east-1".into()),
        "AWS_DEFAULT_REGION" => Some("eu-west-1".into()),
        "AWS_USE_FIPS_ENDPOINT" | "AWS_USE_DUALSTACK_ENDPOINT" => Some("TRUE".into()),
        _ => None,
    };
    assert_eq!(seen(all), (named("us-east-1"), Some(true), Some(true)));
}

/// Holds the address that the child process must call.
const CHILD_CALLS: &str = "COGNITO_M2M_TEST_CALL";

/// Calls the address once with each client if this is the child process.
async fn call_as_child(clients: &[Http]) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the test talks to its own child process")]
    let Ok(uri) = std::env::var(CHILD_CALLS) else { return false };
    for http in clients {
        Cognito::new(&sdk_config_with(http, &uri)).list_user_pools(None).await.unwrap();
    }
    true
}

/// The client as the functions make it.
fn http_of_the_environment() -> Http {
    #[expect(clippy::disallowed_methods, reason = "the test talks to its own child process")]
    Http::for_function(std::env::var_os)
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_except_for_the_hosts_of_no_proxy() {
    if call_as_child(&[http_of_the_environment()]).await {
        return;
    }
    let this_test = "the_proxy_of_the_environment_is_used_except_for_the_hosts_of_no_proxy";
    let proxy = Scripted::start(vec![EMPTY_OBJECT]).await;
    run_again(this_test, &[(CHILD_CALLS, "http://cognito.invalid"), ("HTTP_PROXY", &proxy.uri)]).await;
    let [request] = &*proxy.seen() else { panic!("{} requests", proxy.seen().len()) };
    assert!(request.starts_with("POST http://cognito.invalid/ HTTP/1.1"), "{request}");

    let (direct, proxy) = (Scripted::start(vec![EMPTY_OBJECT]).await, nobody().await);
    run_again(this_test, &[(CHILD_CALLS, &direct.uri), ("HTTP_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")]).await;
    assert_eq!(direct.seen().len(), 1);
}

const EMPTY_OBJECT: Turn = Turn::Answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");

/// Answers every request with an empty object, over TLS, under a certificate of its own authority.
struct TlsServer {
    uri: String,
    /// The file with the authority's certificate.
    ca_bundle: String,
    /// How many requests arrived.
    requests: Arc<AtomicUsize>,
}

impl TlsServer {
    async fn start(name: &str) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_bundle = format!("{}/{name}.pem", env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(Path::new(&ca_bundle).parent().unwrap()).unwrap();
        std::fs::write(&ca_bundle, ca.self_signed(&ca_key).unwrap().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = server.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();

        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("https://{}", listener.local_addr().unwrap());
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust the certificate breaks the handshake off.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                read_request(&mut stream).await;
                count.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                stream.write_all(answer).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { uri, ca_bundle, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_server_under_an_unknown_authority_is_lost_and_gets_no_request() {
    let server = TlsServer::start("unknown-authority").await;
    let empty = || Some(OsString::new());
    for http in [Http::default(), Http::new(empty()), Http::for_function(|_| None), Http::for_function(|_| empty())] {
        let error = Cognito::new(&sdk_config_with(&http, &server.uri)).list_user_pools(None).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Lost, "ConnectionLost"), "{error}");
        assert!(error.message.contains("UnknownIssuer"), "{error}");
        let url = ResponseUrl::parse(&format!("{}/?canary", server.uri)).unwrap();
        let why = ResponseUrlClient(http).put(&url, "{}").await.unwrap_err();
        assert!(why.contains("UnknownIssuer") && !why.contains("canary"), "{why}");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn the_authority_of_aws_ca_bundle_is_trusted_by_every_caller_and_no_other_is() {
    let (server, other) = (TlsServer::start("aws-ca-bundle").await, TlsServer::start("another-authority").await);
    let bundle = || Some(server.ca_bundle.clone().into());
    // It takes precedence over the other two variables.
    let of_function = Http::for_function(|name| if name == "AWS_CA_BUNDLE" { bundle() } else { Some("other".into()) });
    for http in [Http::new(bundle()), of_function] {
        let before = server.requests();
        Cognito::new(&sdk_config_with(&http, &server.uri)).list_user_pools(None).await.unwrap();
        let url = ResponseUrl::parse(&server.uri).unwrap();
        assert_eq!(ResponseUrlClient(http.clone()).put(&url, "{}").await, Ok(200));
        assert_eq!(server.requests(), before + 2);

        let error = Cognito::new(&sdk_config_with(&http, &other.uri)).list_user_pools(None).await.unwrap_err();
        assert!(error.message.contains("invalid peer certificate"), "{error}");
    }
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn the_authorities_of_ssl_cert_file_and_of_ssl_cert_dir_are_trusted() {
    if call_as_child(&[Http::default(), http_of_the_environment()]).await {
        return;
    }
    let server = TlsServer::start("ssl-cert/authority").await;
    let folder = Path::new(&server.ca_bundle).parent().unwrap().display().to_string();
    for (variable, value) in [("SSL_CERT_FILE", &server.ca_bundle), ("SSL_CERT_DIR", &folder)] {
        let before = server.requests();
        let environment = [(CHILD_CALLS, server.uri.as_str()), (variable, value)];
        run_again("the_authorities_of_ssl_cert_file_and_of_ssl_cert_dir_are_trusted", &environment).await;
        assert_eq!(server.requests(), before + 2);
    }
}

/// The child's system has one authority, that of the server. A function that is told of none must refuse it.
#[tokio::test]
async fn a_function_does_not_trust_the_systems_authorities() {
    #[expect(clippy::disallowed_methods, reason = "the test talks to its own child process")]
    if let Ok(uri) = std::env::var(CHILD_CALLS) {
        let config = |http: &Http| sdk_config_with(http, &uri);
        let function = Http::for_function(|_| None);
        let error = Cognito::new(&config(&function)).list_user_pools(None).await.unwrap_err();
        assert!(error.message.contains("UnknownIssuer"), "{error}");
        Cognito::new(&config(&Http::default())).list_user_pools(None).await.unwrap();
        return;
    }
    let server = TlsServer::start("system").await;
    let environment = [(CHILD_CALLS, server.uri.as_str()), ("SSL_CERT_FILE", &server.ca_bundle)];
    run_again("a_function_does_not_trust_the_systems_authorities", &environment).await;
    assert_eq!(server.requests(), 1);
}

/// <https://www.amazontrust.com/repository/>
#[test]
fn the_embedded_authorities_include_amazons() {
    for name in [
        "Amazon Root CA 1",
        "Amazon Root CA 2",
        "Amazon Root CA 3",
        "Amazon Root CA 4",
        "Starfield Services Root Certificate Authority - G2",
    ] {
        let named = |subject: &[u8]| subject.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(webpki_roots::TLS_SERVER_ROOTS.iter().any(|root| named(&root.subject)), "{name}");
    }
}

#[tokio::test]
async fn an_aws_ca_bundle_that_cannot_be_used_is_named_and_nothing_is_sent() {
    let aws = Aws::answering(json!({})).await;
    let folder = env!("CARGO_TARGET_TMPDIR");
    let file = |name: &str, text: &str| {
        std::fs::write(format!("{folder}/{name}"), text).unwrap();
        format!("{folder}/{name}")
    };
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    for bundle in [format!("{folder}/missing.pem"), file("empty.pem", ""), file("broken.pem", broken)] {
        let http = Http::new(Some(bundle.clone().into()));
        let error = Cognito::new(&sdk_config_with(&http, &aws.server.uri())).list_user_pools(None).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Denied, "NotSent"), "{error}");
        assert!(error.message.contains("AWS_CA_BUNDLE") && error.message.contains(&bundle), "{error}");
        let url = ResponseUrl::parse(&aws.server.uri()).unwrap();
        let why = ResponseUrlClient(http).put(&url, "{}").await.unwrap_err();
        assert!(why.contains("AWS_CA_BUNDLE") && why.contains(&bundle), "{why}");
    }
    assert_eq!(aws.server.received_requests().await.unwrap().len(), 0);
}
