//! Tokens for programs that hold no secret of their own.
//!
//! | endpoint | as | who is let in |
//! | --- | --- | --- |
//! | `/msi/token` | Azure App Service | whoever sends `X-IDENTITY-HEADER` with a value that the operator had made |
//! | `/metadata/identity/oauth2/token` | the metadata service of virtual machines | addresses that the operator named |
//!
//! Source: Microsoft's "REST endpoint reference" of App Service's managed identities; "How to use managed identities on an
//! Azure VM to acquire an access token".

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use wharf_identity::oidc::{ManagedIdentityError, PrincipalGrant, TokenStyle, WantedIdentity};
use wharf_identity::{Error, SignedIn};

use crate::answer;
use crate::form::Form;
use crate::router::Call;

/// Lies in the extensions of a request that a proxy sent without saying for whom: its address is nobody's.
#[derive(Clone, Copy, Debug)]
pub struct CameThroughProxy;

/// What comes out: the answer, who it is for, and the cause of a failure of ours.
pub(crate) struct Handed {
    pub(crate) response: Response<Body>,
    pub(crate) caller: Option<String>,
    pub(crate) cause: Option<Error>,
}

/// App Service's endpoint.
pub(crate) async fn by_header(call: &Call<'_>, form: &Form, headers: &HeaderMap) -> Handed {
    let refused = |status: StatusCode, message: &str| {
        Handed::of(answer::json(status, &json!({"statusCode": status.as_u16(), "message": message})))
    };
    // The second name is that of 2017-09-01.
    let value = headers.get("x-identity-header").or_else(|| headers.get("secret"));
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return refused(StatusCode::UNAUTHORIZED, "The header X-IDENTITY-HEADER is missing.");
    };
    let Some(wanted) = wanted(form) else {
        return refused(StatusCode::BAD_REQUEST, "The identity that was asked for is not named as it should be.");
    };
    let Some(resource) = resource(form) else {
        return refused(StatusCode::BAD_REQUEST, "The parameter 'resource' is missing.");
    };
    match call.identity.identity_by_header(value, &wanted).await {
        Ok(signed_in) => hand_out(call, &signed_in, resource).await,
        Err(ManagedIdentityError::UnknownCaller) => {
            refused(StatusCode::UNAUTHORIZED, "The value of X-IDENTITY-HEADER is not known.")
        }
        Err(ManagedIdentityError::NotAssigned | ManagedIdentityError::Ambiguous) => refused(
            StatusCode::BAD_REQUEST,
            "No managed identity was found for the specified client, object or resource id.",
        ),
        Err(ManagedIdentityError::Unavailable(cause)) => {
            let handed = refused(StatusCode::SERVICE_UNAVAILABLE, "The service is temporarily unavailable.");
            Handed { cause: Some(cause), ..handed }
        }
    }
}

/// The metadata service's endpoint.
pub(crate) async fn by_address(call: &Call<'_>, form: &Form, headers: &HeaderMap) -> Handed {
    let refused = |status, error: &str, message: &str| {
        Handed::of(answer::json(status, &json!({"error": error, "error_description": message})))
    };
    let invalid = |message: &str| refused(StatusCode::BAD_REQUEST, "invalid_request", message);
    // Which a server that was talked into sending a request for somebody would not send.
    if !headers.get("metadata").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
        return invalid("Required metadata header not specified");
    }
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
    if is_forwarded || call.parts.extensions.get::<CameThroughProxy>().is_some() {
        return invalid("The request came by way of a proxy");
    }
    let Some(wanted) = wanted(form) else {
        return invalid("The identity that was asked for is not named as it should be");
    };
    let Some(resource) = resource(form) else { return invalid("Required query variable 'resource' is missing") };
    match call.identity.identity_by_address(call.context.client.address, &wanted).await {
        Ok(signed_in) => hand_out(call, &signed_in, resource).await,
        Err(ManagedIdentityError::UnknownCaller) => {
            refused(StatusCode::NOT_FOUND, "not_found", "No identities are handed out to this address")
        }
        Err(ManagedIdentityError::NotAssigned) => invalid("Identity not found"),
        Err(ManagedIdentityError::Ambiguous) => invalid(
            "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
        ),
        Err(ManagedIdentityError::Unavailable(cause)) => {
            let handed = refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "The service is temporarily unavailable",
            );
            Handed { cause: Some(cause), ..handed }
        }
    }
}

async fn hand_out(call: &Call<'_>, signed_in: &SignedIn, resource: &str) -> Handed {
    let principal = &signed_in.principal;
    let client_id = principal.app_id.map(|id| id.to_string()).unwrap_or_default();
    let issuer = format!("{}/{}/", call.context.endpoints.login, principal.tenant_id);
    let grant = PrincipalGrant {
        principal,
        generation: signed_in.generation,
        audience: resource,
        issuer: &issuer,
        client_id: &client_id,
        style: TokenStyle::Assertion,
    };
    match call.identity.issue_principal_token(&grant).await {
        Ok(access) => {
            let seconds = access.expires.unix_seconds() - access.issued.unix_seconds() - 1;
            let response = answer::json(
                StatusCode::OK,
                &json!({
                    "access_token": access.token,
                    "client_id": client_id,
                    "expires_in": seconds.to_string(),
                    "ext_expires_in": seconds.to_string(),
                    "expires_on": access.expires.unix_seconds().to_string(),
                    "not_before": access.issued.unix_seconds().to_string(),
                    "resource": resource,
                    "token_type": "Bearer",
                }),
            );
            Handed { response, caller: Some(principal.account()), cause: None }
        }
        Err(cause) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let body = json!({
                "statusCode": status.as_u16(),
                "message": "The service is temporarily unavailable.",
                "error": "temporarily_unavailable",
            });
            Handed { response: answer::json(status, &body), caller: None, cause: Some(cause) }
        }
    }
}

/// What proxies write into the requests that they pass on. The address that such a request comes from is theirs.
const FORWARDED: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

/// The identity that is asked for, by any of the names that clients have for it. `None` when it is none.
fn wanted(form: &Form) -> Option<WantedIdentity> {
    let named = |names: &[&str]| names.iter().find_map(|name| form.get(name));
    if let Some(id) = named(&["client_id", "clientid"]) {
        return Some(WantedIdentity::ClientId(id.parse().ok()?));
    }
    if let Some(id) = named(&["object_id", "principal_id"]) {
        return Some(WantedIdentity::ObjectId(id.parse().ok()?));
    }
    match named(&["mi_res_id", "msi_res_id"]) {
        Some(id) => Some(WantedIdentity::Resource(id.parse().ok()?)),
        None => Some(WantedIdentity::Any),
    }
}

/// The resource, if it can be one.
fn resource(form: &Form) -> Option<&str> {
    form.get("resource").filter(|text| text.len() <= 1_024 && !text.chars().any(|c| c.is_control() || c == ' '))
}

impl Handed {
    fn of(response: Response<Body>) -> Self {
        Self { response, caller: None, cause: None }
    }
}
