//! What clients ask before they sign in: where things are, by which keys tokens are signed, and what an account is.

use axum::body::Body;
use http::Response;
use serde_json::json;
use url::Url;

use crate::answer;
use crate::authority::{Authority, AuthorityPath};
use crate::error::OAuthError;
use crate::form::Form;
use crate::router::Call;

/// `…/.well-known/openid-configuration`. Source: OpenID Connect Discovery 1.0, section 3.
pub(crate) async fn configuration(call: &Call<'_>, at: &AuthorityPath) -> Result<Response<Body>, OAuthError> {
    let place = call.place(at).await?;
    Ok(answer::public_json(&json!({
        "issuer": place.issuer(),
        "authorization_endpoint": place.authorization_endpoint(),
        "token_endpoint": place.token_endpoint(),
        "device_authorization_endpoint": place.device_authorization_endpoint(),
        "jwks_uri": place.keys_url(),
        "end_session_endpoint": place.sign_out_endpoint(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "client_credentials", "password",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_post", "client_secret_basic", "private_key_jwt", "none",
        ],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "preferred_username", "name", "tid", "oid", "ver", "upn",
        ],
        "request_uri_parameter_supported": false,
        "tenant_region_scope": null,
    })))
}

/// `…/discovery/keys`: the public keys, as a JWK set.
pub(crate) async fn keys(call: &Call<'_>) -> Result<Response<Body>, OAuthError> {
    let keys = call.identity.published_keys().await?;
    let keys: Vec<_> = keys
        .iter()
        .map(|key| json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid, "n": key.n, "e": key.e}))
        .collect();
    Ok(answer::public_json(&json!({ "keys": keys })))
}

/// `/common/discovery/instance`: whether a host is one of ours, and where its tenants are described.
pub(crate) async fn instance(call: &Call<'_>) -> Result<Response<Body>, OAuthError> {
    let query = Form::parse(call.query().as_bytes());
    let unknown = || OAuthError::invalid_request(50_049, "Unknown or invalid instance.").with_word("invalid_instance");
    let asked: Url = query.require("authorization_endpoint")?.parse().map_err(|_| unknown())?;
    let ours: Url = call.context.endpoints.login.parse().map_err(|_| unknown())?;
    if asked.host_str() != ours.host_str() || asked.port_or_known_default() != ours.port_or_known_default() {
        return Err(unknown());
    }
    let tenant = asked.path_segments().and_then(|mut segments| segments.next().map(str::to_owned));
    let tenant = tenant.filter(|tenant| Authority::parse(tenant).is_some()).unwrap_or_else(|| "common".to_owned());
    let host = match asked.port() {
        Some(port) => format!("{}:{port}", asked.host_str().unwrap_or_default()),
        None => asked.host_str().unwrap_or_default().to_owned(),
    };
    Ok(answer::public_json(&json!({
        "tenant_discovery_endpoint":
            format!("{}/{tenant}/v2.0/.well-known/openid-configuration", call.context.endpoints.login),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })))
}

/// `/common/userrealm/<name>`: every account is one of ours, whether it exists or not.
pub(crate) fn user_realm() -> Response<Body> {
    answer::json(
        http::StatusCode::OK,
        &json!({
            "ver": "1.0",
            "account_type": "Managed",
            "cloud_instance_name": "Wharf",
            "cloud_audience_urn": "urn:federation:Wharf",
        }),
    )
}
