//! The HTTP client of the whole program: for AWS's API, the token endpoint and the ResponseURL.
//!
//! There is one [`reqwest::Client`], and the first request that needs it makes it. Loading the system's
//! certificates was the most expensive thing that a function did before its first request, so the functions
//! embed the authorities that Mozilla trusts (`docs/decisions/0004`).
//!
//! `reqwest` reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` from the environment by itself. It does not know `AWS_CA_BUNDLE`, so the binaries
//! read that variable and hand its value to [`Http`].

use std::{
    error::Error,
    ffi::{OsStr, OsString},
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::HttpRequest,
        result::ConnectorError,
    },
    http::HttpError,
};
use aws_smithy_types::body::SdkBody;
use reqwest::{Certificate, Client, RequestBuilder, header::CONTENT_TYPE, redirect::Policy, retry};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use crate::{
    cfn::{Deliver, ResponseUrl},
    redact::{self, Secret},
};

/// Longer than any handshake within a region.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than `retry` waits for any answer. It covers the whole exchange, including the body.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A token or a key set has a few kilobytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The one HTTP client, made by the first request. Clones share it and its connections.
///
/// It follows no redirect: every request carries a credential, and no server that this program calls
/// sends one. It never repeats a request: [`retry`](crate::retry) does that.
#[derive(Clone, Debug, Default)]
pub struct Http {
    roots: Roots,
    client: Arc<OnceLock<Result<Client, String>>>,
}

/// The authorities whose certificates the client accepts.
#[derive(Clone, Debug, Default)]
enum Roots {
    /// Those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    #[default]
    System,
    /// Those that Mozilla trusted when this program was built.
    Embedded,
    /// Those of a PEM file.
    File(OsString),
}

/// A status and a body. The body is secret because it may hold a token.
pub(super) struct HttpResponse {
    pub status: u16,
    pub body: Secret<String>,
}

impl Http {
    /// Takes the value of `AWS_CA_BUNDLE`, a PEM file that replaces the system's certificates. Without
    /// it, or with an empty value, the client trusts the system's.
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html>
    #[must_use]
    pub fn new(ca_bundle: Option<OsString>) -> Self {
        let roots = ca_bundle.filter(|path| !path.is_empty()).map_or(Roots::System, Roots::File);
        Self { roots, client: Arc::default() }
    }

    /// Takes the environment of a Lambda function. The client trusts the embedded certificates, unless
    /// `AWS_CA_BUNDLE`, `SSL_CERT_FILE` or `SSL_CERT_DIR` name others. Nobody changes the system's
    /// certificates in Lambda: its file system is read-only.
    #[must_use]
    pub fn for_function(variable: impl Fn(&'static str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let roots = match set("AWS_CA_BUNDLE") {
            Some(path) => Roots::File(path),
            None if set("SSL_CERT_FILE").or_else(|| set("SSL_CERT_DIR")).is_some() => Roots::System,
            None => Roots::Embedded,
        };
        Self { roots, client: Arc::default() }
    }

    /// Returns the client for the settings of the AWS SDK.
    #[must_use]
    pub fn for_sdk(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(SdkConnector(self.clone()));
        http_client_fn(move |_, _| connector.clone())
    }

    /// Returns the client, and makes it if this is the first request.
    ///
    /// # Errors
    /// The certificates cannot be loaded. The answer stays the same for the life of the process.
    pub(super) fn client(&self) -> Result<&Client, String> {
        self.client.get_or_init(|| self.build()).as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<Client, String> {
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .retry(retry::never());
        let builder = match &self.roots {
            Roots::System => builder,
            Roots::Embedded => builder.tls_backend_preconfigured(embedded_roots().map_err(|why| cannot_be_made(&why))?),
            Roots::File(path) => builder.tls_certs_only(read_certificates(path)?),
        };
        builder.build().map_err(|error| cannot_be_made(&error))
    }
}

fn cannot_be_made(why: &dyn Error) -> String {
    format!("cannot make the HTTP client: {}", redact::causes(why))
}

/// Returns the settings that `reqwest` makes by itself, with other roots.
fn embedded_roots() -> Result<ClientConfig, rustls::Error> {
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read_certificates(path: &OsStr) -> Result<Vec<Certificate>, String> {
    let failed = |why: &dyn Error| format!("cannot use the AWS_CA_BUNDLE {}: {}", path.display(), redact::causes(why));
    let pem = std::fs::read(path).map_err(|error| failed(&error))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| failed(&error))?;
    if certificates.is_empty() {
        return Err(format!("the AWS_CA_BUNDLE {} holds no certificate", path.display()));
    }
    Ok(certificates)
}

/// Sends a request and reads the whole answer, whatever its status.
///
/// # Errors
/// Why there is no answer, without the URL: its query may be a credential.
pub(super) async fn send(request: RequestBuilder) -> Result<HttpResponse, String> {
    let failed = |error: reqwest::Error| redact::causes(&error.without_url());
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY_BYTES {
            return Err(format!("the answer has more than {MAX_BODY_BYTES} bytes"));
        }
    }
    Ok(HttpResponse { status, body: Secret::new(String::from_utf8_lossy(&body).into_owned()) })
}

/// Sends the SDK's requests.
#[derive(Debug)]
struct SdkConnector(Http);

impl HttpConnector for SdkConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let client = http.client().map_err(|why| ConnectorError::user(why.into()))?;
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            // The SDK holds the body of each of these operations in memory; none is a stream.
            let request = request.map(|body| body.bytes().unwrap_or_default().to_vec()).try_into();
            let response = client.execute(request.map_err(connector_error)?).await.map_err(connector_error)?;
            let response = http::Response::from(response).map(SdkBody::from_body_1_x);
            response.try_into().map_err(|error: HttpError| ConnectorError::io(error.into()))
        })
    }
}

/// Says whether a request was sent: a request that could not be built was not. Any other failure may
/// have come after the server acted.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    let (not_sent, timeout) = (error.is_builder(), error.is_timeout());
    let error = error.without_url().into();
    if not_sent {
        ConnectorError::user(error)
    } else if timeout {
        ConnectorError::timeout(error)
    } else {
        ConnectorError::io(error)
    }
}

/// Sends the response to CloudFormation's presigned URL.
#[derive(Clone, Debug)]
pub struct ResponseUrlClient(pub Http);

impl Deliver for ResponseUrlClient {
    async fn put(&self, url: &ResponseUrl, body: &str) -> Result<u16, String> {
        // The signature covers an empty content type.
        let request = self.0.client()?.put(url.expose().clone()).header(CONTENT_TYPE, "").body(body.to_owned());
        Ok(send(request).await?.status)
    }
}
