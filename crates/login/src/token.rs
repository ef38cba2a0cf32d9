//! `…/oauth2/token`: a grant for tokens.
//!
//! | `grant_type` | what is given | whom the tokens stand for |
//! | --- | --- | --- |
//! | `client_credentials` | the client's own proof | the client's service principal |
//! | `urn:…:device_code` | a device code that somebody approved | that person |
//! | `authorization_code` | a code, with its verifier or the client's proof | that person |
//! | `password` | user name and password | that person |
//! | `refresh_token` | a refresh token | that person |
//!
//! A person's tokens come with a refresh token, an ID token and `client_info` where the scope asks for them. Whatever
//! resource is named becomes the audience: whoever is sent the token knows its own name. An application that was registered
//! here gets people's tokens for the one resource that they approved.

mod grants;

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_identity::oidc::{Authentication, IssuedToken, NewRefreshToken, PrincipalGrant, TokenStyle};

use crate::answer::{self, client_info};
use crate::authority::{AuthorityPath, Place};
use crate::clients::SignInClient;
use crate::error::OAuthError;
use crate::form::Form;
use crate::router::Call;
use crate::scope::Wanted;

/// A request at a token endpoint.
pub(crate) struct TokenRequest<'a> {
    call: &'a Call<'a>,
    place: Place,
    form: &'a Form,
    headers: &'a HeaderMap,
}

/// Answers it, and notes who was given tokens.
pub(crate) async fn answer(
    call: &Call<'_>,
    at: &AuthorityPath,
    form: &Form,
    headers: &HeaderMap,
) -> Result<(Response<Body>, String), OAuthError> {
    let place = call.place(at).await?;
    let request = TokenRequest { call, place, form, headers };
    match form.require("grant_type")? {
        "client_credentials" => request.client_credentials().await,
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => request.device_code().await,
        "authorization_code" => request.authorization_code().await,
        "password" => request.password().await,
        "refresh_token" => request.refresh_token().await,
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => Err(OAuthError::invalid_request(
            70_003,
            "Acting on behalf of somebody is not supported: tokens are given to whoever proves who they are. Use client_credentials, or a sign-in of the person.",
        )
        .with_word("unsupported_grant_type")),
        other => {
            let other: String = other.chars().filter(|c| !c.is_control()).take(100).collect();
            Err(OAuthError::invalid_request(70_003, format!("The app requested an unsupported grant type '{other}'."))
                .with_word("unsupported_grant_type"))
        }
    }
}

/// What a person is given.
struct PersonsTokens<'a> {
    authentication: &'a Authentication,
    client: &'a SignInClient,
    client_id: &'a str,
    style: TokenStyle,
    wanted: Wanted,
    nonce: Option<&'a str>,
    /// What the refresh tokens of one sign-in have in common.
    family: Option<Uuid>,
    /// The refresh token that was used, which goes on being good.
    refresh_token: Option<String>,
}

/// The answer to an application that asks for what nobody has let it have.
fn not_approved(client: &SignInClient) -> OAuthError {
    OAuthError::invalid_grant(
        65_001,
        format!(
            "The user or administrator has not consented to use the application named '{}' for this resource. Send an interactive authorization request for this user and resource.",
            client.name()
        ),
    )
}

impl TokenRequest<'_> {
    fn wanted(&self) -> Result<Wanted, OAuthError> {
        Wanted::parse(self.form.get("scope").unwrap_or_default(), self.form.get("resource"))
    }

    /// The audience: what was asked for, or Graph, as with Entra ID.
    fn audience<'a>(&'a self, wanted: &'a Wanted) -> &'a str {
        wanted.audience.as_deref().unwrap_or(&self.call.context.endpoints.graph)
    }

    /// The answer with a person's tokens.
    async fn tokens_of_person(&self, given: PersonsTokens<'_>) -> Result<(Response<Body>, String), OAuthError> {
        let identity = self.call.identity;
        let principal = &given.authentication.principal;
        let issuer = self.place.issuer();
        let audience = self.audience(&given.wanted);
        if !given.client.may_reach(identity, audience).await? {
            return Err(not_approved(given.client));
        }
        let grant = PrincipalGrant {
            principal,
            generation: given.authentication.generation,
            audience,
            issuer: &issuer,
            client_id: given.client_id,
            style: given.style,
        };
        let access = identity.issue_principal_token(&grant).await?;
        let mut body = self.body(&access, audience);
        let scope = &given.wanted.scopes;
        let also = [(given.wanted.openid, "openid profile"), (given.wanted.offline, "offline_access")];
        let words = also.iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, words)| *words);
        let scope: Vec<&str> = std::iter::once(scope.as_str()).filter(|scope| !scope.is_empty()).chain(words).collect();
        body.insert("scope".into(), scope.join(" ").into());
        if given.wanted.openid || self.place.has_old_answers() {
            let id_token = identity.issue_id_token(given.authentication, given.client_id, &issuer, given.nonce).await?;
            body.insert("id_token".into(), id_token.into());
        }
        if let Some(token) = given.refresh_token {
            body.insert("refresh_token".into(), token.into());
        } else if given.wanted.offline || self.place.has_old_answers() {
            let scope = self.form.get("scope").unwrap_or(&given.wanted.scopes);
            let new = NewRefreshToken {
                authentication: given.authentication,
                client_id: given.client_id,
                scope,
                resource: given.client.needs_approval().then_some(audience),
                is_proven: given.style != TokenStyle::PublicClient,
                family: given.family,
            };
            let token = identity.new_refresh_token(&new).await?;
            body.insert("refresh_token".into(), token.into());
        }
        body.insert("client_info".into(), client_info(principal).into());
        Ok((answer::json(StatusCode::OK, &Value::Object(body)), principal.account()))
    }

    /// What every answer says of an access token. Version 1.0 wrote numbers as texts.
    fn body(&self, access: &IssuedToken, audience: &str) -> Map<String, Value> {
        let seconds = access.expires.unix_seconds() - access.issued.unix_seconds() - 1;
        let body = if self.place.has_old_answers() {
            json!({
                "token_type": "Bearer",
                "expires_in": seconds.to_string(),
                "ext_expires_in": seconds.to_string(),
                "expires_on": access.expires.unix_seconds().to_string(),
                "not_before": access.issued.unix_seconds().to_string(),
                "resource": audience,
                "access_token": access.token,
            })
        } else {
            json!({
                "token_type": "Bearer",
                "expires_in": seconds,
                "ext_expires_in": seconds,
                "access_token": access.token,
            })
        };
        match body {
            Value::Object(body) => body,
            _ => Map::new(),
        }
    }
}
