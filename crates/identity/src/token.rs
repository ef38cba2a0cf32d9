//! The token as a text: a JWT that is signed with RS256, written and read.
//!
//! Claims are those of ACR (`acr/data-plane.md` 3.5) and one of ours, `wharf`, which says whom the token stands for and,
//! for the admin user, of which generation its credentials are.
//!
//! The three parts are read and written here and not by a JWT library. There is one algorithm and one issuer, so all
//! that remains is base64url and JSON, and three things come out better: the private key is parsed once and not for each
//! signature (the parsing takes longer than the signing), times are compared with the clock that was passed in, and no
//! header can ask for anything. A library checks in the tests that what we write is a JWT.

use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};
use wharf_access::Mode;
use wharf_model::{Access, Action, PrincipalId, ResourceKind};

use crate::TokenProblem;

/// A token that was taken apart. Nothing in it is to be believed before its signature is checked.
#[derive(Clone, Debug)]
pub struct UnverifiedToken<'a> {
    key_id: String,
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

/// Takes a token apart and checks that its header asks for RS256 and nothing else.
///
/// # Errors
/// When it is too long or malformed, or names another algorithm. Never panics.
///
/// Source: RFC 7515, 5.2 (compact serialization); RFC 8725, 3.1 (the algorithm is ours to choose, not the token's).
pub fn parse_token(token: &str) -> Result<UnverifiedToken<'_>, TokenProblem> {
    if token.len() > LONGEST_TOKEN {
        return Err(TokenProblem::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenProblem::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenProblem::Malformed)?;
    let header: Header = decode(header)?;
    if header.alg != ALGORITHM {
        return Err(TokenProblem::Algorithm);
    }
    if header.typ != TYPE {
        return Err(TokenProblem::Malformed);
    }
    let signature = BASE64URL.decode(signature).map_err(|_| TokenProblem::Malformed)?;
    Ok(UnverifiedToken { key_id: header.kid, signed, claims, signature })
}

impl UnverifiedToken<'_> {
    /// The id of the key that is said to have signed it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What it claims, if this key signed it and it makes the claims of this kind of token.
    pub(crate) fn verify<T: serde::de::DeserializeOwned>(&self, key: &ParsedPublicKey) -> Result<T, TokenProblem> {
        key.verify_sig(self.signed.as_bytes(), &self.signature).map_err(|_| TokenProblem::Signature)?;
        decode(self.claims)
    }
}

/// Writes and signs a token. `header` is what [`encode_header`] returned for the key.
pub(crate) fn encode(header: &str, claims: &impl Serialize, key: &RsaKeyPair) -> Result<String, EncodeError> {
    let claims = serde_json::to_vec(claims).expect("claims are strings, numbers and lists of those");
    let mut signature = vec![0; key.public_modulus_len()];
    let encoded = |bytes: usize| base64::encoded_len(bytes, false).unwrap_or(usize::MAX);
    let parts = [header.len(), encoded(claims.len()), encoded(signature.len())];
    let length = parts.into_iter().fold(2, usize::saturating_add);
    if length > LONGEST_TOKEN {
        return Err(EncodeError::TooLong);
    }

    let mut token = String::with_capacity(length);
    token.push_str(header);
    token.push('.');
    BASE64URL.encode_string(&claims, &mut token);
    let random = aws_lc_rs::rand::SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).map_err(|_| EncodeError::Signing)?;
    token.push('.');
    BASE64URL.encode_string(&signature, &mut token);
    Ok(token)
}

/// Why a token could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncodeError {
    /// It would be longer than any that we accept.
    TooLong,
    /// The private key did not sign.
    Signing,
}

/// The first part of the tokens that the key with this id signs.
pub(crate) fn encode_header(key_id: &str) -> String {
    let header = Header { alg: ALGORITHM.into(), typ: TYPE.into(), kid: key_id.into() };
    BASE64URL.encode(serde_json::to_vec(&header).expect("a header is three strings"))
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenProblem> {
    let json = BASE64URL.decode(part).map_err(|_| TokenProblem::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenProblem::Malformed)
}

/// What we write and all that we read: `crit`, `jwk`, `jku`, `x5c` and whatever else makes a token malformed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// The claims of both kinds of tokens, in the order in which ACR's tokens have them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Different for each token.
    pub(crate) jti: String,
    /// The subject's name.
    pub(crate) sub: String,
    /// Not before, in seconds since 1970; back-dated by [`BACKDATED_SECONDS`].
    pub(crate) nbf: i64,
    /// When it expires, in seconds since 1970.
    pub(crate) exp: i64,
    /// When it was issued; the same as `nbf`.
    pub(crate) iat: i64,
    pub(crate) iss: String,
    /// The registry's login server. For the reader only: a registry may have several, so we look at `rid`.
    pub(crate) aud: String,
    pub(crate) version: String,
    /// The uid of the registry.
    pub(crate) rid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Vec<AccessClaim>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) permissions: Option<Permissions>,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    pub(crate) grant_type: GrantType,
    /// The application id of a service principal or managed identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) appid: Option<String>,
    /// The tenant of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) aad_identity: Option<AadIdentity>,
    pub(crate) wharf: SubjectClaim,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantType {
    AccessToken,
    RefreshToken,
}

impl GrantType {
    /// The `version` that goes with it.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::AccessToken => "2.0",
            Self::RefreshToken => "1.0",
        }
    }

    /// From `nbf` to `exp`.
    pub(crate) fn lifetime_seconds(self) -> i64 {
        match self {
            Self::AccessToken => 4_500,
            Self::RefreshToken => LONGEST_LIFETIME_SECONDS,
        }
    }
}

/// What a refresh token says of its subject's permissions. For the reader only: what counts are the rights of the day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Permissions {
    #[serde(rename = "Actions", default)]
    pub(crate) actions: Vec<String>,
    #[serde(rename = "NotActions", default)]
    pub(crate) not_actions: Option<Vec<String>>,
}

/// Our own claim: whom the token stands for. A subject that this version does not know makes the token malformed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "snake_case")]
pub(crate) enum SubjectClaim {
    Anonymous,
    Admin {
        generation: i64,
    },
    /// By its object id. `mode` is what its roles counted for when the token was issued.
    Principal {
        id: PrincipalId,
        generation: i64,
        mode: Mode,
    },
    /// A token of the registry, by its row, and the generation of its password.
    Token {
        id: i64,
        generation: i64,
    },
}

/// What tells clients that roles count by repository in this registry, so that wildcards mean nothing there. Azure does
/// not document what it holds; acr-cli looks whether it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AadIdentity {
    /// The object id.
    pub(crate) oid: String,
    /// The tenant.
    pub(crate) tid: String,
}

/// An entry of `access`. Written with keys in lower case; tokens of 2021 had them in PascalCase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccessClaim {
    #[serde(rename = "type", alias = "Type")]
    kind: String,
    #[serde(alias = "Name")]
    name: String,
    #[serde(alias = "Actions")]
    actions: Vec<String>,
}

impl From<Access> for AccessClaim {
    fn from(access: Access) -> Self {
        Self {
            kind: access.kind.as_str().to_owned(),
            name: access.name,
            actions: access.actions.iter().map(|action| action.as_str().to_owned()).collect(),
        }
    }
}

impl AccessClaim {
    /// The entry without the actions that this version does not know; `None` if it does not know the kind.
    pub(crate) fn known(self) -> Option<Access> {
        let kind = [ResourceKind::Repository, ResourceKind::Registry, ResourceKind::ArtifactRepository]
            .into_iter()
            .find(|kind| kind.as_str() == self.kind)?;
        let actions = self.actions.iter().filter_map(|word| Action::from_word(word)).collect();
        Some(Access { kind, name: self.name, actions })
    }
}

/// Bytes of the longest token that is read or written: what fits into a header line of every proxy.
pub(crate) const LONGEST_TOKEN: usize = 8 * 1024;
/// How much before its issue a token says that it was issued, so that no client's clock finds it to lie ahead.
pub(crate) const BACKDATED_SECONDS: i64 = 900;
/// From `nbf` to `exp` of a refresh token, the longer-lived of the two.
pub(crate) const LONGEST_LIFETIME_SECONDS: i64 = 11_700;
/// Who issues tokens, by ACR's name, which clients may look for.
pub(crate) const ISSUER: &str = "Azure Container Registry";
const ALGORITHM: &str = "RS256";
const TYPE: &str = "JWT";

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims() -> Claims {
        let access = Access { kind: ResourceKind::Repository, name: "team/app".into(), actions: vec![Action::Pull] };
        Claims {
            jti: "4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f".into(),
            sub: "contoso".into(),
            nbf: 1_790_000_000,
            exp: 1_790_004_500,
            iat: 1_790_000_000,
            iss: ISSUER.into(),
            aud: "contoso.azurecr.io".into(),
            version: "2.0".into(),
            rid: "0123456789abcdef0123456789abcdef".into(),
            access: Some(vec![access.into()]),
            permissions: None,
            roles: vec![],
            grant_type: GrantType::AccessToken,
            appid: None,
            tenant: None,
            aad_identity: None,
            wharf: SubjectClaim::Admin { generation: 7 },
        }
    }

    fn part(json: &serde_json::Value) -> String {
        BASE64URL.encode(json.to_string())
    }

    #[test]
    fn an_access_token_has_the_documented_claims() {
        let expected = json!({
            "jti": "4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f", "sub": "contoso",
            "nbf": 1_790_000_000, "exp": 1_790_004_500, "iat": 1_790_000_000,
            "iss": "Azure Container Registry", "aud": "contoso.azurecr.io", "version": "2.0",
            "rid": "0123456789abcdef0123456789abcdef",
            "access": [{"type": "repository", "name": "team/app", "actions": ["pull"]}],
            "roles": [], "grant_type": "access_token",
            "wharf": {"subject": "admin", "generation": 7},
        });
        assert_eq!(serde_json::to_value(claims()).unwrap(), expected);
    }

    #[test]
    fn a_refresh_token_has_the_documented_claims() {
        let claims = Claims {
            exp: 1_790_011_700,
            version: "1.0".into(),
            grant_type: GrantType::RefreshToken,
            access: None,
            permissions: Some(Permissions { actions: vec!["*".into()], not_actions: None }),
            ..claims()
        };
        let expected = json!({
            "jti": "4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f", "sub": "contoso",
            "nbf": 1_790_000_000, "exp": 1_790_011_700, "iat": 1_790_000_000,
            "iss": "Azure Container Registry", "aud": "contoso.azurecr.io", "version": "1.0",
            "rid": "0123456789abcdef0123456789abcdef", "grant_type": "refresh_token",
            "permissions": {"Actions": ["*"], "NotActions": null}, "roles": [],
            "wharf": {"subject": "admin", "generation": 7},
        });
        assert_eq!(serde_json::to_value(claims).unwrap(), expected);
    }

    #[test]
    fn a_jwt_library_finds_our_tokens_to_be_jwts() {
        let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let token = encode(&encode_header("ABCD:EFGH"), &claims(), &key).unwrap();

        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        validation.validate_exp = false; // It asks the machine's clock.
        validation.set_audience(&["contoso.azurecr.io"]);
        validation.set_issuer(&[ISSUER]);
        let public = jsonwebtoken::DecodingKey::from_rsa_der(key.public_key().as_ref());
        let decoded = jsonwebtoken::decode::<Claims>(&token, &public, &validation).unwrap();
        assert_eq!(decoded.claims, claims());
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(serde_json::to_value(header).unwrap(), json!({"alg": "RS256", "typ": "JWT", "kid": "ABCD:EFGH"}));
    }

    #[test]
    fn what_is_written_reads_the_same_and_only_by_its_own_key() {
        let [key, other] = [0, 1].map(|_| RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap());
        let public = |key: &RsaKeyPair| {
            let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref()).unwrap()
        };
        let token = encode(&encode_header("ABCD"), &claims(), &key).unwrap();
        let parsed = parse_token(&token).unwrap();
        assert_eq!(parsed.key_id(), "ABCD");
        assert_eq!(parsed.verify::<Claims>(&public(&key)).unwrap(), claims());
        assert_eq!(parsed.verify::<Claims>(&public(&other)).unwrap_err(), TokenProblem::Signature);
    }

    #[test]
    fn keys_of_access_entries_may_be_in_pascal_case() {
        let read = |json: serde_json::Value| serde_json::from_value::<AccessClaim>(json).unwrap().known();
        let lower = read(json!({"type": "repository", "name": "a", "actions": ["pull", "fly"]})).unwrap();
        let pascal = read(json!({"Type": "repository", "Name": "a", "Actions": ["pull"]})).unwrap();
        assert_eq!(lower, pascal, "and what is not known is left out");
        assert_eq!(read(json!({"type": "planet", "name": "a", "actions": ["pull"]})), None);
    }

    #[test]
    fn a_header_that_is_not_exactly_ours_is_refused() {
        let claims = part(&json!({}));
        let with =
            |header: serde_json::Value| parse_token(&format!("{}.{claims}.AAAA", part(&header))).map(drop).unwrap_err();
        assert_eq!(with(json!({"alg": "none", "typ": "JWT", "kid": "A"})), TokenProblem::Algorithm);
        assert_eq!(with(json!({"alg": "HS256", "typ": "JWT", "kid": "A"})), TokenProblem::Algorithm);
        assert_eq!(with(json!({"alg": "rs256", "typ": "JWT", "kid": "A"})), TokenProblem::Algorithm);
        assert_eq!(with(json!({"alg": "RS512", "typ": "JWT", "kid": "A"})), TokenProblem::Algorithm);
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("jwk", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})),
            ("jku", json!("https://example.com/keys")),
            ("x5c", json!(["MIIB"])),
            ("b64", json!(false)),
        ] {
            let mut header = json!({"alg": "RS256", "typ": "JWT", "kid": "A"});
            header[name] = value;
            assert_eq!(with(header), TokenProblem::Malformed, "{name}");
        }
        assert_eq!(with(json!({"alg": "RS256", "typ": "JWT"})), TokenProblem::Malformed);
        assert_eq!(with(json!({"alg": "RS256", "typ": "at+jwt", "kid": "A"})), TokenProblem::Malformed);
        assert_eq!(with(json!(["RS256"])), TokenProblem::Malformed);
    }

    #[test]
    fn malformed_tokens_are_refused() {
        let header = encode_header("A");
        assert!(parse_token(&format!("{header}.e30.AAAA")).is_ok());
        for bad in [
            String::new(),
            ".".into(),
            "..".into(),
            header.clone(),
            format!("{header}.e30"),
            format!("{header}=.e30.AAAA"),
            format!("{header}.e30.AAA="),
            format!("{header}.e30.AA+A"),
            format!("{header}.e30.AAAB\n"),
            format!(" {header}.e30.AAAA"),
        ] {
            assert_eq!(parse_token(&bad).map(drop), Err(TokenProblem::Malformed), "{bad}");
        }
        let long = format!("{header}.{}.AAAA", "A".repeat(LONGEST_TOKEN));
        assert_eq!(parse_token(&long).map(drop), Err(TokenProblem::TooLong));
    }

    proptest! {
        #[test]
        fn nothing_panics(token in ".{0,200}") {
            let _ = parse_token(&token);
        }

        #[test]
        fn nothing_panics_on_three_parts(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..5)) {
            let token: Vec<String> = parts.iter().map(|part| BASE64URL.encode(part)).collect();
            let _ = parse_token(&token.join("."));
            for part in &token {
                let _ = decode::<Claims>(part);
            }
        }

        #[test]
        fn nothing_panics_on_nearly_right_json(position in 0_usize..400, byte: u8) {
            let mut json = serde_json::to_vec(&claims()).unwrap();
            let position = position % json.len();
            json[position] = byte;
            let _ = decode::<Claims>(&BASE64URL.encode(json));
        }
    }
}
