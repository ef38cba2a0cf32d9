//! The `Authorization` header.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use http::{HeaderMap, header};
use serde::Deserialize;
use wharf_identity::Credentials;
use wharf_model::RepositoryName;

/// What a request says about who sent it.
pub(crate) enum Sent<'a> {
    /// Nothing.
    Nothing,
    /// `Bearer`, with the token.
    Bearer(&'a str),
    /// `Basic`, with `user:password`.
    Basic(String),
    /// Something that is neither, or not written as it must be.
    Malformed,
}

impl<'a> Sent<'a> {
    pub(crate) fn with(headers: &'a HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Self::Nothing };
        let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')) else {
            return Self::Malformed;
        };
        let rest = rest.trim_start();
        if scheme.eq_ignore_ascii_case("bearer") {
            Self::Bearer(rest)
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.filter(|pair| pair.contains(':')).map_or(Self::Malformed, Self::Basic)
        } else {
            Self::Malformed
        }
    }

    /// Whether this is a bearer token in which a repository does not come up, not even without any right.
    ///
    /// Tokens list what was asked for, also where nothing of it was granted. To be asked of tokens only that were
    /// verified: this reads what they say and believes it.
    pub(crate) fn is_token_silent_about(&self, repository: &RepositoryName) -> bool {
        #[derive(Deserialize)]
        struct Claims {
            #[serde(default)]
            access: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            name: String,
        }
        let Self::Bearer(token) = self else { return false };
        let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims = payload.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        claims.is_some_and(|claims| !claims.access.iter().any(|entry| entry.name == repository.as_str()))
    }

    /// The credentials to be checked; `None` when there are none that could be.
    pub(crate) fn credentials(&self) -> Option<Credentials<'_>> {
        match self {
            Self::Bearer(token) => Some(Credentials::Bearer(token)),
            Self::Basic(pair) => {
                pair.split_once(':').map(|(username, password)| Credentials::Basic { username, password })
            }
            Self::Nothing | Self::Malformed => None,
        }
    }
}

/// Some scripts leave the padding away.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &'static str) -> String {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
        match Sent::with(&headers).credentials() {
            Some(Credentials::Bearer(token)) => format!("bearer {token}"),
            Some(Credentials::Basic { username, password }) => format!("basic {username} {password}"),
            Some(Credentials::RefreshToken(_)) | None => "none".to_owned(),
        }
    }

    #[test]
    fn schemes_are_read_in_any_case() {
        assert_eq!(read("Bearer abc"), "bearer abc");
        assert_eq!(read("bearer  abc"), "bearer abc");
        assert_eq!(read("BASIC dXNlcjpwYXNzOndvcmQ="), "basic user pass:word");
        assert_eq!(read("Basic dXNlcjpwYXNzOndvcmQ"), "basic user pass:word");
        assert_eq!(read("Basic Og=="), "basic  ");
    }

    #[test]
    fn anything_else_is_malformed_and_not_anonymous() {
        for value in ["", "Bearer", "Basic", "Basic !!!", "Basic dXNlcg==", "Basic /w==", "Digest x", "abc"] {
            assert_eq!(read(value), "none", "{value}");
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert!(matches!(Sent::with(&headers), Sent::Malformed), "{value}");
        }
        assert!(matches!(Sent::with(&HeaderMap::new()), Sent::Nothing));
    }

    #[test]
    fn tokens_say_what_was_asked_for() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"access":[{"type":"repository","name":"a","actions":[]}]}"#);
        let token = format!("x.{payload}.x");
        let sent = Sent::Bearer(&token);
        assert!(!sent.is_token_silent_about(&"a".parse().unwrap()));
        assert!(sent.is_token_silent_about(&"b".parse().unwrap()));
        assert!(!Sent::Basic("a:b".into()).is_token_silent_about(&"b".parse().unwrap()));
        assert!(!Sent::Bearer("nonsense").is_token_silent_about(&"b".parse().unwrap()));
    }
}
