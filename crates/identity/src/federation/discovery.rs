//! An issuer's endpoints and keys: asked for when they are needed, and kept.
//!
//! Keys are asked for again when a token names one that is not known, once a minute at most, so that made-up key ids cost
//! nobody anything; and when they are old. While an issuer does not answer, what is known of it goes on working for a day.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::{info, warn};
use url::{Host, Url};
use wharf_egress::{Egress, EgressClient, EgressError};
use wharf_metadata::federation::IssuerRow;
use wharf_model::{Timestamp, error_chain};

use super::ForeignToken;
use crate::TokenProblem;

/// What is known of an issuer. Held by one who asks at a time; the others wait and find the answer.
#[derive(Default)]
pub(crate) struct IssuerState(Mutex<Known>);

#[derive(Default)]
struct Known {
    found: Option<Arc<Discovered>>,
    client: Option<EgressClient>,
    /// When it was asked last, with what came of it if that was nothing.
    asked: Option<(Timestamp, Option<DiscoveryError>)>,
}

/// An issuer's endpoints and keys.
pub(crate) struct Discovered {
    pub(crate) authorization_endpoint: Option<Url>,
    pub(crate) token_endpoint: Option<Url>,
    /// Whether the client secret goes into the form and not into a header.
    pub(crate) takes_secret_in_form: bool,
    pub(crate) client: EgressClient,
    keys: Vec<(Jwk, DecodingKey)>,
    asked_at: Timestamp,
}

/// Why nothing is known of an issuer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// It cannot be asked.
    #[error("the issuer {issuer} cannot be asked")]
    Unreachable {
        /// The issuer.
        issuer: String,
        /// Why.
        #[source]
        source: EgressError,
    },
    /// It answers something that cannot be used.
    #[error("the issuer {issuer} {what}")]
    Unusable {
        /// The issuer.
        issuer: String,
        /// What is wrong.
        what: String,
    },
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

impl IssuerState {
    /// The issuer's endpoints and keys.
    pub(crate) async fn get(
        &self,
        egress: &Egress,
        issuer: &IssuerRow,
        now: Timestamp,
    ) -> Result<Arc<Discovered>, DiscoveryError> {
        self.fresher_than(egress, issuer, now, FRESH).await
    }

    /// Verifies a token's signature by one of the issuer's keys.
    pub(crate) async fn verify(
        &self,
        egress: &Egress,
        issuer: &IssuerRow,
        token: &ForeignToken<'_>,
        now: Timestamp,
    ) -> Result<Result<(), TokenProblem>, DiscoveryError> {
        let found = self.get(egress, issuer, now).await?;
        let verdict = found.verify(token);
        if verdict != Err(TokenProblem::UnknownKey) || issuer.settings.keys.is_some() {
            return Ok(verdict);
        }
        // The issuer may have begun to sign with a key that it did not have when it was asked.
        Ok(self.fresher_than(egress, issuer, now, ASKED_AGAIN_AFTER).await?.verify(token))
    }

    /// What is known, asked for again if it is older than `age`; what is known already, if it cannot be asked again (yet).
    async fn fresher_than(
        &self,
        egress: &Egress,
        issuer: &IssuerRow,
        now: Timestamp,
        age: Duration,
    ) -> Result<Arc<Discovered>, DiscoveryError> {
        let mut known = self.0.lock().await;
        // A clock that was set back must not keep us from asking until it has caught up.
        let is_within = |at: Timestamp, span: Duration| at <= now && now < at + span;
        if let Some(found) = known.found.as_ref().filter(|found| is_within(found.asked_at, age)) {
            return Ok(found.clone());
        }
        let usable = known.found.clone().filter(|found| is_within(found.asked_at, USABLE));
        if let Some((at, problem)) = &known.asked
            && is_within(*at, if problem.is_some() { PAUSE_AFTER_FAILURE } else { ASKED_AGAIN_AFTER })
        {
            match (&usable, problem) {
                (Some(found), _) => return Ok(found.clone()),
                (None, Some(problem)) => return Err(problem.clone()),
                (None, None) => {}
            }
        }
        let asked = ask(&mut known, egress, issuer, now).await;
        known.asked = Some((now, asked.as_ref().err().cloned()));
        match asked {
            Ok(found) => {
                info!(issuer = %issuer.issuer, keys = found.keys.len(), "Read the keys of issuer {}", issuer.name);
                let found = Arc::new(found);
                known.found = Some(found.clone());
                Ok(found)
            }
            Err(problem) => {
                warn!(issuer = %issuer.issuer, "Issuer {} is of no use at the moment: {}", issuer.name, error_chain(&problem));
                usable.ok_or(problem)
            }
        }
    }
}

impl Discovered {
    fn verify(&self, token: &ForeignToken<'_>) -> Result<(), TokenProblem> {
        let mut verdict = Err(TokenProblem::UnknownKey);
        for (_, key) in self.keys.iter().filter(|(key, _)| token.could_be_by(key)) {
            verdict = token.verify(key);
            if verdict.is_ok() {
                break;
            }
        }
        // Without a key id nothing says that a key is missing.
        if token.header.kid.is_none() && verdict == Err(TokenProblem::Signature) {
            return Err(TokenProblem::UnknownKey);
        }
        verdict
    }
}

async fn ask(
    known: &mut Known,
    egress: &Egress,
    issuer: &IssuerRow,
    now: Timestamp,
) -> Result<Discovered, DiscoveryError> {
    let unreachable = |source| DiscoveryError::Unreachable { issuer: issuer.issuer.clone(), source };
    let unusable = |what: String| DiscoveryError::Unusable { issuer: issuer.issuer.clone(), what };
    let client = match &known.client {
        Some(client) => client.clone(),
        None => known.client.insert(egress.client(issuer.settings.authority.as_deref()).map_err(unreachable)?).clone(),
    };
    if let Some(keys) = &issuer.settings.keys
        && issuer.settings.client_id.is_none()
    {
        // An issuer that need not be asked anything.
        let keys = read_keys(keys.as_bytes()).map_err(unusable)?;
        return Ok(Discovered {
            authorization_endpoint: None,
            token_endpoint: None,
            takes_secret_in_form: false,
            client,
            keys,
            asked_at: now,
        });
    }

    let get = async |url: &Url, what: &str| {
        let answer = client.get(url, MOST_BYTES).await.map_err(unreachable)?;
        if !answer.status.is_success() {
            return Err(unusable(format!("answers {} when asked for {what}", answer.status)));
        }
        Ok(answer.body)
    };
    let url = discovery_url(&issuer.issuer).map_err(unusable)?;
    let document: Document = serde_json::from_slice(&get(&url, "its configuration").await?)
        .map_err(|error| unusable(format!("has no usable configuration: {error}")))?;
    if document.issuer != issuer.issuer {
        return Err(unusable(format!("calls itself {:?}; write it exactly so", document.issuer)));
    }
    let endpoint = |text: Option<String>| text.map(|text| trusted_url(&text).map_err(unusable)).transpose();
    let keys = match &issuer.settings.keys {
        Some(keys) => read_keys(keys.as_bytes()),
        None => read_keys(&get(&trusted_url(&document.jwks_uri).map_err(unusable)?, "its keys").await?),
    };
    let methods = &document.token_endpoint_auth_methods_supported;
    let takes = |method: &str| methods.iter().any(|supported| supported == method);
    Ok(Discovered {
        authorization_endpoint: endpoint(document.authorization_endpoint)?,
        token_endpoint: endpoint(document.token_endpoint)?,
        takes_secret_in_form: takes("client_secret_post") && !takes("client_secret_basic"),
        client,
        keys: keys.map_err(unusable)?,
        asked_at: now,
    })
}

/// Where an issuer's configuration is. Source: OpenID Connect Discovery 1.0, section 4.
fn discovery_url(issuer: &str) -> Result<Url, String> {
    trusted_url(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
}

/// A URL whose answers can be believed: `https`, or `http` on this machine, where nobody listens on the way.
pub(crate) fn trusted_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|_| format!("names {text:?}, which is no URL"))?;
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" if url.host().is_some() => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(format!("names {text:?}; an issuer must be reached over https")),
    }
}

/// Reads a JWK set. Keys of kinds that we do not know are left out.
pub(crate) fn read_keys(json: &[u8]) -> Result<Vec<(Jwk, DecodingKey)>, String> {
    let set: JwkSet = serde_json::from_slice(json).map_err(|error| format!("has no usable keys: {error}"))?;
    let keys = set.keys.into_iter().take(MOST_KEYS).filter_map(|key| {
        let decoding = DecodingKey::from_jwk(&key).ok()?;
        Some((key, decoding))
    });
    let keys: Vec<_> = keys.collect();
    if keys.is_empty() { Err("has no keys that we can use".to_owned()) } else { Ok(keys) }
}

/// How old what is known of an issuer becomes before it is asked again.
const FRESH: Duration = Duration::from_hours(6);
/// How long what is known goes on being used while the issuer does not answer.
const USABLE: Duration = Duration::from_hours(24);
/// The shortest pause between two questions for the sake of unknown keys.
const ASKED_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// The shortest pause after a question that was not answered.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Bytes of the longest document that is read.
const MOST_BYTES: usize = 512 << 10;
/// Keys of one issuer.
const MOST_KEYS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_nobody_listens_to_are_trusted() {
        for good in
            ["https://issuer.example.com/a", "http://127.0.0.1:5556/dex", "http://[::1]/x", "http://localhost/x"]
        {
            assert!(trusted_url(good).is_ok(), "{good}");
        }
        for bad in ["http://issuer.example.com", "http://10.0.0.1/", "ftp://localhost/", "issuer", "file:///etc/passwd"]
        {
            assert!(trusted_url(bad).is_err(), "{bad}");
        }
        let url = discovery_url("https://a.example.com/t/").unwrap();
        assert_eq!(url.as_str(), "https://a.example.com/t/.well-known/openid-configuration");
    }

    #[test]
    fn keys_that_are_not_known_are_left_out() {
        let some = br#"{"keys": [
            {"kty": "RSA", "kid": "a", "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": "!", "y": "!"},
            {"kty": "new", "x": "AQAB"}
        ]}"#;
        assert_eq!(read_keys(some).map(|keys| keys.len()), Ok(1));
        assert!(read_keys(br#"{"keys": []}"#).is_err());
        assert!(read_keys(b"nonsense").is_err());
    }
}
