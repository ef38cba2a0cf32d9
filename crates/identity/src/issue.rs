//! Tokens, issued: what `/oauth2/token` hands out.

use uuid::Builder;
use wharf_metadata::RegistryRow;
use wharf_model::Scope;

use crate::authorize::{TooManyScopes, grant};
use crate::caller::{Caller, Proof, Subject};
use crate::identity::Identity;
use crate::token::{self, BACKDATED_SECONDS, Claims, EncodeError, GrantType, ISSUER, Permissions, SubjectClaim};
use crate::{Error, IssueError};

impl Identity {
    /// Issues an access token: of what was asked for it lists what the caller may do. It is valid for 60 minutes from
    /// now, or as long as the access token that the caller presented, so that none can prolong itself.
    ///
    /// `login_server` becomes the audience, which clients may read.
    ///
    /// # Errors
    /// When the caller is nobody and anonymous pull is off, when the scopes do not fit into a token, or when it cannot be
    /// signed.
    ///
    /// Source: `acr/data-plane.md` 3.3, 3.5.
    pub async fn access_token(
        &self,
        registry: &RegistryRow,
        login_server: &str,
        caller: &Caller,
        scopes: &[Scope],
    ) -> Result<String, IssueError> {
        let access = grant(caller, scopes)?.into_iter().map(Into::into).collect();
        let mut claims = self.claims(registry, login_server, caller, GrantType::AccessToken)?;
        claims.access = Some(access);
        if let Proof::AccessToken { expires, .. } = caller.proof() {
            claims.exp = claims.exp.min(expires.unix_seconds());
        }
        self.sign(&claims).await
    }

    /// Issues a refresh token, valid for 3 hours from now, to a caller who gave a password. It can be exchanged for access
    /// tokens, or be sent as the password of [`crate::TOKEN_USER`].
    ///
    /// # Errors
    /// [`IssueError::PasswordNeeded`] when the caller is anonymous or presented a token: no token may beget one that
    /// outlives it or lists more. Also when it cannot be signed.
    ///
    /// Source: `acr/data-plane.md` 3.3, 3.5.
    pub async fn refresh_token(
        &self,
        registry: &RegistryRow,
        login_server: &str,
        caller: &Caller,
    ) -> Result<String, IssueError> {
        match caller.proof() {
            Proof::Password => {}
            Proof::None | Proof::RefreshToken | Proof::AccessToken { .. } => return Err(IssueError::PasswordNeeded),
        }
        let mut claims = self.claims(registry, login_server, caller, GrantType::RefreshToken)?;
        claims.permissions = Some(Permissions { actions: vec!["*".to_owned()], not_actions: None });
        self.sign(&claims).await
    }

    fn claims(
        &self,
        registry: &RegistryRow,
        login_server: &str,
        caller: &Caller,
        kind: GrantType,
    ) -> Result<Claims, IssueError> {
        if caller.registry() != registry.uid {
            return Err(IssueError::OtherRegistry);
        }
        let subject = match caller.subject() {
            Subject::Anonymous if !registry.anonymous_pull_enabled => return Err(IssueError::AnonymousPullDisabled),
            Subject::Anonymous => SubjectClaim::Anonymous,
            Subject::Admin { generation, .. } => SubjectClaim::Admin { generation: *generation },
        };
        let mut id = [0; 16];
        self.parts().random.fill(&mut id);
        let issued = self.parts().clock.now().unix_seconds() - BACKDATED_SECONDS;
        Ok(Claims {
            jti: Builder::from_random_bytes(id).into_uuid().to_string(),
            sub: caller.name().to_owned(),
            nbf: issued,
            exp: issued + kind.lifetime_seconds(),
            iat: issued,
            iss: ISSUER.to_owned(),
            aud: login_server.to_owned(),
            version: kind.version().to_owned(),
            rid: registry.uid.to_string(),
            access: None,
            permissions: None,
            roles: Vec::new(),
            grant_type: kind,
            wharf: subject,
        })
    }

    async fn sign(&self, claims: &Claims) -> Result<String, IssueError> {
        let key = self.parts().keys.signing().await?;
        // A quarter of a millisecond: not worth the way to another thread and back.
        token::encode(&key.header, claims, &key.private).map_err(|error| match error {
            EncodeError::TooLong => TooManyScopes.into(),
            EncodeError::Signing => Error::SigningKey { kid: key.id.clone(), verb: "used" }.into(),
        })
    }
}
