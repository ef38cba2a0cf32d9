//! Tokens that others signed: JWTs, taken apart and verified with keys that are known by other ways than the token.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};
use wharf_model::Timestamp;

use crate::TokenProblem;

/// A token that was taken apart. Nothing in it is to be believed before its signature is checked.
pub(crate) struct ForeignToken<'a> {
    pub(crate) header: ForeignHeader,
    pub(crate) algorithm: Algorithm,
    signed: &'a str,
    signature: &'a str,
    claims: Map<String, Value>,
}

/// What is read of its header.
#[derive(Debug, Deserialize)]
pub(crate) struct ForeignHeader {
    alg: String,
    #[serde(default)]
    pub(crate) kid: Option<String>,
    /// SHA-1 of a certificate, as msal for Python writes it: with padding.
    #[serde(default)]
    x5t: Option<String>,
    #[serde(default, rename = "x5t#S256")]
    x5t_s256: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> ForeignToken<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is too long or malformed, or signed by an algorithm of no worth.
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenProblem> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenProblem::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenProblem::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenProblem::Malformed)?;
        let header: ForeignHeader = decode(header)?;
        // What a header calls critical must be understood, and nothing of the kind is.
        if header.crit.is_some() {
            return Err(TokenProblem::Malformed);
        }
        let algorithm = algorithm(&header.alg).ok_or(TokenProblem::Algorithm)?;
        Ok(Self { header, algorithm, signed, signature, claims: decode(claims)? })
    }

    /// Whether this key signed it.
    pub(crate) fn verify(&self, key: &DecodingKey) -> Result<(), TokenProblem> {
        if key.family() != self.algorithm.family() {
            return Err(TokenProblem::Signature);
        }
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenProblem::Signature),
        }
    }

    /// Whether this key could have signed it, by what both say of themselves.
    pub(crate) fn could_be_by(&self, key: &Jwk) -> bool {
        let common = &key.common;
        let is_named = match (&self.header.kid, &common.key_id) {
            (Some(wanted), Some(id)) => wanted == id,
            (Some(_), None) | (None, _) => true,
        };
        let signs = !matches!(common.public_key_use, Some(PublicKeyUse::Encryption));
        let suits = common.key_algorithm.is_none_or(|named| named.to_string() == self.header.alg);
        is_named && signs && suits
    }

    /// Whether its time is now, on clocks that may differ a little. A token without an end is none.
    pub(crate) fn check_time(&self, now: Timestamp) -> Result<(), TokenProblem> {
        let expires = self.expires().ok_or(TokenProblem::Malformed)?;
        if now.0 >= expires.0.saturating_add(LEEWAY_MICROSECONDS) {
            return Err(TokenProblem::Expired);
        }
        let begins = [self.time("nbf"), self.time("iat")].into_iter().flatten().max();
        if begins.is_some_and(|begins| now.0 < begins.0.saturating_sub(LEEWAY_MICROSECONDS)) {
            return Err(TokenProblem::NotYetValid);
        }
        Ok(())
    }

    /// When it ends.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        self.time("exp")
    }

    /// Whom it is for: one or several.
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A claim that is a text.
    pub(crate) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// A claim that is yes or no; some issuers write it as a text.
    pub(crate) fn is_true(&self, claim: &str) -> bool {
        match self.claims.get(claim) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// Whether a claim, or one of its elements, fits a pattern.
    pub(crate) fn claim_matches(&self, claim: &str, pattern: &str) -> bool {
        let fits = |value: &Value| match value {
            Value::String(text) => super::pattern::matches(pattern, text),
            Value::Bool(_) | Value::Number(_) => super::pattern::matches(pattern, &value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        match self.claims.get(claim) {
            Some(Value::Array(elements)) => elements.iter().any(fits),
            Some(value) => fits(value),
            None => false,
        }
    }

    /// The SHA-256 of the certificate that it says it was signed with.
    pub(crate) fn sha256_thumbprint(&self) -> Option<Vec<u8>> {
        thumbprint(self.header.x5t_s256.as_deref()?, 32)
    }

    /// The SHA-1 of the certificate that it says it was signed with.
    pub(crate) fn sha1_thumbprint(&self) -> Option<Vec<u8>> {
        // Some write the thumbprint into the key id, in hexadecimal digits, as Windows shows it.
        let named = self.header.x5t.as_deref().and_then(|text| thumbprint(text, 20));
        named.or_else(|| hex::decode(self.header.kid.as_deref()?).ok().filter(|bytes| bytes.len() == 20))
    }

    fn time(&self, claim: &str) -> Option<Timestamp> {
        let value = self.claims.get(claim)?;
        // msal for Python writes fractions of seconds.
        let seconds = value.as_i64().or_else(|| {
            let seconds = value.as_f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a whole number of seconds that fits, by the comparison"
            )]
            (seconds.abs() < 9e15).then_some(seconds as i64)
        })?;
        Some(Timestamp::from_unix_seconds(seconds))
    }
}

fn algorithm(word: &str) -> Option<Algorithm> {
    Some(match word {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        // Not `none`, and no algorithm whose key both sides share.
        _ => return None,
    })
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenProblem> {
    let json = BASE64URL.decode(part).map_err(|_| TokenProblem::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenProblem::Malformed)
}

fn thumbprint(text: &str, length: usize) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok().filter(|bytes| bytes.len() == length)
}

/// Without padding as the standard has it, or with, as some clients write thumbprints.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes of the longest token that is read. Kubernetes and Entra ID write some of 4 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How much clocks may differ.
const LEEWAY_MICROSECONDS: i64 = 300 * 1_000_000;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(header: Value, claims: Value) -> String {
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.AAAA", part(header), part(claims))
    }

    #[test]
    fn worthless_algorithms_and_critical_headers_are_refused() {
        for alg in ["none", "None", "HS256", "HS512", "rs256", ""] {
            let text = token(json!({ "alg": alg }), json!({}));
            assert_eq!(ForeignToken::parse(&text).err(), Some(TokenProblem::Algorithm), "{alg}");
        }
        let text = token(json!({"alg": "RS256", "crit": ["exp"]}), json!({}));
        assert_eq!(ForeignToken::parse(&text).err(), Some(TokenProblem::Malformed));
        for text in ["", "..", "a.b.c", "e30.e30", &token(json!({"alg": "RS256"}), json!([]))] {
            assert_eq!(ForeignToken::parse(text).err(), Some(TokenProblem::Malformed), "{text}");
        }
    }

    #[test]
    fn times_may_be_fractions_and_differ_a_little() {
        let at = |seconds: i64| Timestamp::from_unix_seconds(seconds);
        let text = token(json!({"alg": "RS256"}), json!({"exp": 1_000.75, "nbf": 500, "iat": 400}));
        let parsed = ForeignToken::parse(&text).unwrap();
        assert_eq!(parsed.check_time(at(199)), Err(TokenProblem::NotYetValid));
        assert_eq!(parsed.check_time(at(200)), Ok(()));
        assert_eq!(parsed.check_time(at(1_299)), Ok(()));
        assert_eq!(parsed.check_time(at(1_300)), Err(TokenProblem::Expired));
        let endless = token(json!({"alg": "RS256"}), json!({"iat": 400}));
        assert_eq!(ForeignToken::parse(&endless).unwrap().check_time(at(500)), Err(TokenProblem::Malformed));
    }

    #[test]
    fn thumbprints_are_read_as_clients_write_them() {
        let (sha1, sha256) = ([7_u8; 20], [9_u8; 32]);
        let padded = base64::engine::general_purpose::URL_SAFE.encode(sha1);
        assert!(padded.ends_with('='));
        let text = token(json!({"alg": "RS256", "x5t": padded, "x5t#S256": URL_SAFE_NO_PAD.encode(sha256)}), json!({}));
        let parsed = ForeignToken::parse(&text).unwrap();
        assert_eq!(parsed.sha1_thumbprint().unwrap(), sha1);
        assert_eq!(parsed.sha256_thumbprint().unwrap(), sha256);
        let text = token(json!({"alg": "RS256", "kid": hex::encode_upper(sha1)}), json!({}));
        assert_eq!(ForeignToken::parse(&text).unwrap().sha1_thumbprint().unwrap(), sha1);
    }

    #[test]
    fn claims_match_by_element() {
        let claims = json!({"groups": ["dev", "ops"], "email_verified": "true", "run": 7, "nested": {"a": "dev"}});
        let text = token(json!({"alg": "ES256"}), claims);
        let parsed = ForeignToken::parse(&text).unwrap();
        assert!(parsed.claim_matches("groups", "op?"));
        assert!(!parsed.claim_matches("groups", "admin"));
        assert!(parsed.claim_matches("run", "7"));
        assert!(!parsed.claim_matches("nested", "*"));
        assert!(!parsed.claim_matches("absent", "*"));
        assert!(parsed.is_true("email_verified"));
    }

    proptest! {
        #[test]
        fn nothing_panics(parts in prop::collection::vec("[ -~]{0,40}", 0..4), raw in ".{0,100}") {
            let _ = ForeignToken::parse(&raw).map(drop);
            let parts: Vec<String> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
            let _ = ForeignToken::parse(&parts.join(".")).map(drop);
        }

        #[test]
        fn no_claim_panics(value: f64, text in ".{0,20}") {
            let raw = token(json!({"alg": "RS256"}), json!({"exp": value, "nbf": text, "aud": value, "sub": value}));
            let parsed = ForeignToken::parse(&raw).unwrap();
            let _ = (parsed.check_time(Timestamp(0)), parsed.audiences().len(), parsed.text("sub").is_some());
        }
    }
}
