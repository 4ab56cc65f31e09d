//! The one HTTP client: for AWS's API, the token endpoint and the ResponseURL.
//!
//! It is the SDK's own. Reading the system's certificates is the most expensive thing that a process
//! does before its first request, so it is done once for all three, and not before a request needs it.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};

use tokio::time::timeout;

use crate::{
    cfn::{Deliver, ResponseUrl},
    redact::{self, Secret},
};

/// Longer than any handshake within a region.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Longer than `retry` waits for any answer: what hangs is given up by whoever asks.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// A token or a set of keys has a few kilobytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Follows no redirect: nothing that this program talks to sends one, and every request carries a
/// credential. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Http(Arc<LazyLock<SharedHttpConnector>>);

/// A status and a body, which may be a token.
pub struct HttpResponse {
    pub status: u16,
    pub body: Secret<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self(Arc::new(LazyLock::new(connector)))
    }
}

fn connector() -> SharedHttpConnector {
    let connector = Connector::builder()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .connector_settings(
            HttpConnectorSettings::builder().connect_timeout(CONNECT_WITHIN).read_timeout(ANSWER_WITHIN).build(),
        )
        // As the SDK's default client does.
        .proxy_config(ProxyConfig::from_env())
        .build();
    SharedHttpConnector::new(connector)
}

impl Http {
    /// For the SDK's settings.
    #[must_use]
    pub fn for_sdk(&self) -> SharedHttpClient {
        let Self(connector) = self.clone();
        http_client_fn(move |_, _| SharedHttpConnector::clone(&connector))
    }

    /// Sends one request.
    ///
    /// # Errors
    /// Why there is no answer, without the URL, whose query may be a credential.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<HttpResponse, String> {
        let length = body.len();
        let mut request = HttpRequest::new(SdkBody::from(body));
        let wrong = |_| "the request cannot be made".to_owned();
        request.set_method(method).map_err(wrong)?;
        request.set_uri(url).map_err(wrong)?;
        for (name, value) in headers {
            request.headers_mut().try_insert(*name, value.clone()).map_err(wrong)?;
        }
        if method != "GET" {
            request.headers_mut().insert("content-length", length.to_string());
        }
        // The settings' own limit ends with the headers.
        timeout(ANSWER_WITHIN, self.exchange(request))
            .await
            .map_err(|_| format!("no answer within {} s", ANSWER_WITHIN.as_secs()))?
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, String> {
        let response = self.0.call(request).await.map_err(|error| redact::causes(&error))?;
        let status = response.status().as_u16();
        let mut stream = ByteStream::new(response.into_body());
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|error| redact::causes(&error))?);
            if body.len() > MAX_BYTES {
                return Err(format!("the answer has more than {MAX_BYTES} bytes"));
            }
        }
        Ok(HttpResponse { status, body: Secret::new(String::from_utf8_lossy(&body).into_owned()) })
    }
}

/// The PUT as CloudFormation's presigned URL wants it.
#[derive(Clone, Debug)]
pub struct ResponseUrlClient(pub Http);

impl Deliver for ResponseUrlClient {
    async fn put(&self, url: &ResponseUrl, body: &str) -> Result<u16, String> {
        // The signature covers an empty content type.
        let headers = [("content-type", String::new())];
        Ok(self.0.send("PUT", url.expose().as_str(), &headers, body.to_owned()).await?.status)
    }
}
