//! The grants, one by one.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::Value;
use wharf_identity::oidc::{PrincipalGrant, TokenStyle};

use super::{PersonsTokens, TokenRequest, not_approved};
use crate::answer;
use crate::client::{ClientCredentials, ProvenClient, no_proof};
use crate::clients::SignInClient;
use crate::error::{OAuthError, of_password};
use crate::redirect::{self, RedirectKind};
use crate::scope::{Wanted, is_same_resource};

/// What comes out: the answer, and who it is for.
type Granted = Result<(Response<Body>, String), OAuthError>;

impl TokenRequest<'_> {
    /// The client for itself.
    pub(super) async fn client_credentials(&self) -> Granted {
        let credentials = ClientCredentials::read(self.form, self.headers)?;
        let wanted = self.wanted()?;
        let audience = self.audience(&wanted);
        // Clients that are told that a token did not do ask for another one with the same assertion, and claims.
        let used_for = format!("{audience} {}", self.form.get("claims").unwrap_or_default());
        let proven = self.prove(&credentials, &used_for).await?;
        let grant = PrincipalGrant {
            principal: &proven.signed_in.principal,
            generation: proven.signed_in.generation,
            audience,
            issuer: &self.place.issuer(),
            client_id: &credentials.client_id,
            style: proven.style,
        };
        let access = self.call.identity.issue_principal_token(&grant).await?;
        let body = Value::Object(self.body(&access, audience));
        Ok((answer::json(StatusCode::OK, &body), proven.signed_in.principal.account()))
    }

    /// A device for the person who approved it.
    pub(super) async fn device_code(&self) -> Granted {
        let client_id = self.form.require("client_id")?;
        // msal sends both, for servers of both ages.
        let code = self.form.get("device_code").or_else(|| self.form.get("code"));
        let code = code.ok_or_else(|| OAuthError::missing("device_code"))?;
        let client = self.client(client_id).await?;
        let granted = self.call.identity.poll_device(code, client_id).await?;
        self.tokens_of_person(PersonsTokens {
            authentication: &granted.authentication,
            client: &client,
            client_id,
            style: TokenStyle::PublicClient,
            wanted: Wanted::parse(&granted.scope, None)?,
            nonce: None,
            family: None,
            refresh_token: None,
        })
        .await
    }

    /// A client for the person who signed in in a browser.
    pub(super) async fn authorization_code(&self) -> Granted {
        let credentials = ClientCredentials::read(self.form, self.headers)?;
        let client_id = credentials.client_id.as_str();
        let client = self.client(client_id).await?;
        let redirect_uri = self.form.require("redirect_uri")?;
        let style = self.prove_if_given(&credentials).await?;
        let kind = redirect::kind_of(&client, redirect_uri);
        if style == TokenStyle::PublicClient && kind == Some(RedirectKind::Confidential) {
            return Err(no_proof());
        }
        let (code, verifier) = (self.form.require("code")?, self.form.get("code_verifier"));
        let redeemed =
            self.call.identity.redeem_authorization_code(code, client_id, Some(redirect_uri), verifier).await?;
        if style == TokenStyle::PublicClient && !redeemed.was_challenged {
            return Err(no_proof());
        }
        // What was asked for at first counts, unless this request names a resource of its own.
        let asked = self.wanted()?;
        let first = Wanted::parse(&redeemed.scope, None)?;
        if client.needs_approval() && !self.is_as_approved(&asked, self.audience(&first)) {
            return Err(not_approved(&client));
        }
        let wanted = if asked.audience.is_some() {
            Wanted { openid: first.openid || asked.openid, offline: first.offline || asked.offline, ..asked }
        } else {
            first
        };
        self.tokens_of_person(PersonsTokens {
            authentication: &redeemed.authentication,
            client: &client,
            client_id,
            style,
            wanted,
            nonce: redeemed.nonce.as_deref(),
            family: Some(redeemed.family),
            refresh_token: None,
        })
        .await
    }

    /// A client for the person whose password it was given.
    pub(super) async fn password(&self) -> Granted {
        let credentials = ClientCredentials::read(self.form, self.headers)?;
        let client_id = credentials.client_id.as_str();
        let client = self.client(client_id).await?;
        let style = self.prove_if_given(&credentials).await?;
        if style == TokenStyle::PublicClient && !client.is_public() {
            return Err(no_proof());
        }
        let (user_name, password) = (self.form.require("username")?, self.form.require("password")?);
        let wanted = self.wanted()?;
        let identity = self.call.identity;
        let checked = identity.check_user_password(user_name, password, Some(self.call.context.client)).await;
        let signed_in = checked.map_err(of_password)?;
        let authentication = identity.authenticated_now(signed_in.principal, signed_in.generation);
        self.tokens_of_person(PersonsTokens {
            authentication: &authentication,
            client: &client,
            client_id,
            style,
            wanted,
            nonce: None,
            family: None,
            refresh_token: None,
        })
        .await
    }

    /// A client for the person who signed in once. The scope may name another resource than at first, if the client is one
    /// of those that everybody has.
    pub(super) async fn refresh_token(&self) -> Granted {
        let credentials = ClientCredentials::read(self.form, self.headers)?;
        let client_id = credentials.client_id.as_str();
        let client = self.client(client_id).await?;
        let style = self.prove_if_given(&credentials).await?;
        if style == TokenStyle::PublicClient && !client.refreshes_without_proof() {
            return Err(no_proof());
        }
        let token = self.form.require("refresh_token")?;
        let refreshed = self.call.identity.use_refresh_token(token, client_id).await?;
        if style == TokenStyle::PublicClient && refreshed.is_proven {
            return Err(no_proof());
        }
        let asked = self.wanted()?;
        let approved = refreshed.resource.as_deref();
        if client.needs_approval() && !approved.is_some_and(|approved| self.is_as_approved(&asked, approved)) {
            return Err(not_approved(&client));
        }
        let wanted = if asked.audience.is_some() || self.form.get("scope").is_some() {
            asked
        } else {
            Wanted::parse(&refreshed.scope, None)?
        };
        // What was approved stands where nothing else is named.
        let wanted = Wanted { audience: wanted.audience.or(refreshed.resource), ..wanted };
        self.tokens_of_person(PersonsTokens {
            authentication: &refreshed.authentication,
            client: &client,
            client_id,
            style,
            wanted,
            nonce: None,
            family: None,
            refresh_token: Some(token.to_owned()),
        })
        .await
    }

    /// The client, if there is one.
    async fn client(&self, client_id: &str) -> Result<SignInClient, OAuthError> {
        let client = SignInClient::find(self.call.identity, client_id).await?;
        client.ok_or_else(|| OAuthError::unknown_client(client_id))
    }

    /// Whether what is asked for, if anything is named, is what somebody approved.
    fn is_as_approved(&self, asked: &Wanted, approved: &str) -> bool {
        asked.audience.as_deref().is_none_or(|audience| is_same_resource(audience, approved))
    }

    /// How the client proved itself, if it tried to.
    async fn prove_if_given(&self, credentials: &ClientCredentials) -> Result<TokenStyle, OAuthError> {
        if !credentials.has_proof() {
            return Ok(TokenStyle::PublicClient);
        }
        let used_for = self.form.get("code").or_else(|| self.form.get("refresh_token")).unwrap_or("password");
        Ok(self.prove(credentials, used_for).await?.style)
    }

    async fn prove(&self, credentials: &ClientCredentials, used_for: &str) -> Result<ProvenClient, OAuthError> {
        let audiences = self.place.names(self.call.domain, self.call.is_local());
        credentials.prove(self.call.identity, &audiences, used_for, self.call.context.client).await
    }
}
