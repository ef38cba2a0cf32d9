//! HTTPS or plain HTTP.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;
use wharf_egress::{EgressError, Outgoing};

use crate::{UpstreamAddress, UpstreamError, Upstreams};

/// What a registry speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    Http,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl Upstreams {
    /// Where a registry's API begins.
    pub(crate) async fn base(&self, address: &UpstreamAddress) -> Result<Url, UpstreamError> {
        Ok(address.url(self.scheme(address).await?.as_str()))
    }

    /// HTTPS, unless the operator says otherwise. Registries on this machine often have no certificate: they are tried, as
    /// docker does, without any credentials.
    async fn scheme(&self, address: &UpstreamAddress) -> Result<Scheme, UpstreamError> {
        if self.inner.settings.is_plain(address) {
            return Ok(Scheme::Http);
        }
        if !address.is_loopback() {
            return Ok(Scheme::Https);
        }
        if let Some(known) = self.schemes().get(address) {
            return Ok(*known);
        }
        let found = match self.probe(address, Scheme::Https).await {
            Ok(_) => Scheme::Https,
            Err(error) => match self.probe(address, Scheme::Http).await {
                // Servers that expect TLS may answer something to those who do not speak it.
                Ok(StatusCode::OK | StatusCode::UNAUTHORIZED) => Scheme::Http,
                _ => return Err(UpstreamError::network(&address.to_string(), error)),
            },
        };
        self.schemes().insert(address.clone(), found);
        Ok(found)
    }

    async fn probe(&self, address: &UpstreamAddress, scheme: Scheme) -> Result<StatusCode, EgressError> {
        let mut url = address.url(scheme.as_str());
        url.set_path("/v2/");
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let request = Outgoing { method: Method::GET, url: &url, headers, body, most_bytes: usize::MAX };
        Ok(self.inner.http.open(request).await?.status)
    }
}
