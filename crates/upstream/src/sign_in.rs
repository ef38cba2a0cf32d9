//! Signing in: Basic, or a token of the realm that the registry names.
//!
//! Tokens are kept per scope until shortly before they expire. A token that the registry refuses is dropped and asked for
//! anew, once per request. Credentials go to the registry itself (Basic) and to a realm that belongs to it
//! ([`crate::UpstreamSettings`]), never to where a redirect leads.
//! Source: distribution, "Token Authentication Specification".

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use wharf_egress::Outgoing;

use crate::challenge::Challenge;
use crate::request::message_of;
use crate::{Credentials, Refusal, UpstreamClient, UpstreamError};

/// What is sent in `Authorization`, by the scope that was asked for.
#[derive(Default)]
pub(crate) struct Tokens {
    known: Mutex<HashMap<String, Authorization>>,
}

/// A value of `Authorization`.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    /// The header, marked as sensitive.
    pub(crate) value: HeaderValue,
    expires_at: Option<Instant>,
}

impl UpstreamClient {
    /// What is known to open a scope.
    pub(crate) async fn known_authorization(&self, scope: &str) -> Option<Authorization> {
        let known = self.tokens.known.lock().await;
        let found = known.get(scope)?;
        let is_over = found.expires_at.is_some_and(|expires_at| expires_at <= Instant::now());
        (!is_over).then(|| found.clone())
    }

    /// Signs in as a refused answer tells. `used` is what was refused, which is not tried again.
    pub(crate) async fn sign_in(
        &self,
        base: &Url,
        headers: &HeaderMap,
        scope: &str,
        used: Option<&Authorization>,
    ) -> Result<Authorization, UpstreamError> {
        // One asks for all who wait.
        let mut known = self.tokens.known.lock().await;
        if let Some(found) = known.get(scope)
            && used.is_none_or(|used| used.value != found.value)
            && found.expires_at.is_none_or(|expires_at| expires_at > Instant::now())
        {
            return Ok(found.clone());
        }
        known.remove(scope);
        let challenges = headers.get_all(header::WWW_AUTHENTICATE);
        let authorization = match Challenge::of(challenges.iter().filter_map(|value| value.to_str().ok())) {
            Some(Challenge::Bearer { realm, service, scope: named }) => {
                let scope = named.as_deref().unwrap_or(scope);
                self.fetch_token(base, &realm, service.as_deref(), scope).await?
            }
            // What was refused once is refused again.
            Some(Challenge::Basic) if used.is_none() => match &self.credentials {
                Some(credentials) => Authorization { value: basic(credentials), expires_at: None },
                None => return Err(self.unauthorized(None)),
            },
            Some(Challenge::Basic) | None => return Err(self.unauthorized(None)),
        };
        known.insert(scope.to_owned(), authorization.clone());
        Ok(authorization)
    }

    pub(crate) fn unauthorized(&self, message: Option<String>) -> UpstreamError {
        let refusal = match self.credentials {
            Some(_) => Refusal::CredentialsRejected,
            None => Refusal::CredentialsMissing,
        };
        UpstreamError::Unauthorized { registry: self.name.to_string(), refusal, message }
    }

    /// Gets a token from a realm.
    async fn fetch_token(
        &self,
        base: &Url,
        realm: &str,
        service: Option<&str>,
        scope: &str,
    ) -> Result<Authorization, UpstreamError> {
        let lied = |reason: &str| self.lied("the way to sign in", reason);
        // A path alone is one on the registry.
        let mut url = base.join(realm).map_err(|_| lied("its realm is no URL"))?;
        let host = url.host_str().ok_or_else(|| lied("its realm has no host"))?.to_owned();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(lied("its realm is no http or https URL"));
        }
        let mut headers = HeaderMap::new();
        if let Some(credentials) = &self.credentials {
            let is_weaker = base.scheme() == "https" && url.scheme() == "http";
            if is_weaker || !self.upstreams.inner.settings.is_trusted_realm(&self.address, base, &url) {
                return Err(UpstreamError::ForeignRealm { registry: self.name.to_string(), realm: host });
            }
            headers.insert(header::AUTHORIZATION, basic(credentials));
        }
        let _ = url.set_username("");
        let _ = url.set_password(None);
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            for scope in scope.split(' ').filter(|scope| !scope.is_empty()) {
                query.append_pair("scope", scope);
            }
            if let Some(credentials) = &self.credentials {
                query.append_pair("account", &credentials.username);
            }
        }
        let request = Outgoing { method: Method::GET, url: &url, headers, body: Bytes::new(), most_bytes: TOKEN_BYTES };
        let answer = self.upstreams.inner.http.send(request).await;
        let answer = answer.map_err(|error| UpstreamError::network(&self.name, error))?;
        if answer.status != StatusCode::OK {
            let message = message_of(&answer.headers, &answer.body);
            return Err(match answer.status {
                StatusCode::UNAUTHORIZED => self.unauthorized(message),
                status => self.status_error("a token", status, &answer.headers, message),
            });
        }
        let token: Token = serde_json::from_slice(&answer.body).map_err(|_| lied("its realm gives no token"))?;
        let text = token.token.or(token.access_token).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| lied("its realm gives no token"))?;
        let mut value = HeaderValue::try_from(format!("Bearer {text}"))
            .map_err(|_| lied("its realm gives a token that cannot be sent"))?;
        value.set_sensitive(true);
        let seconds = token.expires_in.unwrap_or(DEFAULT_SECONDS).clamp(0, LONGEST_SECONDS);
        let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).saturating_sub(EARLY);
        Ok(Authorization { value, expires_at: Some(Instant::now() + lasts) })
    }
}

/// What a realm answers; the two names of the token are one thing.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<i64>,
}

fn basic(credentials: &Credentials) -> HeaderValue {
    let pair = format!("{}:{}", credentials.username, credentials.password.expose_secret());
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).expect("base64 fits a header");
    value.set_sensitive(true);
    value
}

/// The largest answer of a realm.
const TOKEN_BYTES: usize = 1 << 20;
/// How long a token lasts whose realm does not say. Source: the token specification.
const DEFAULT_SECONDS: i64 = 60;
/// The longest that a realm is believed.
const LONGEST_SECONDS: i64 = 24 * 3600;
/// How long before its end a token is not used any more.
const EARLY: Duration = Duration::from_secs(10);
