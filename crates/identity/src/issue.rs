//! Tokens, issued: what `/oauth2/token` hands out.

use uuid::Builder;
use wharf_access::Mode;
use wharf_metadata::RegistryRow;
use wharf_model::Scope;

use crate::authorize::{TooManyScopes, grant};
use crate::caller::{Caller, Proof, Subject};
use crate::identity::Identity;
use crate::token::{
    self, AadIdentity, BACKDATED_SECONDS, Claims, EncodeError, GrantType, ISSUER, Permissions, SubjectClaim,
};
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

    /// Issues a refresh token, valid for 3 hours from now, to a caller who gave a password or a token of the token service.
    /// It can be exchanged for access tokens, or be sent as the password of [`crate::TOKEN_USER`].
    ///
    /// # Errors
    /// [`IssueError::PasswordNeeded`] when the caller is anonymous or presented a token of the registry: none of those may
    /// beget one that outlives it or lists more. Also when it cannot be signed.
    ///
    /// Source: `acr/data-plane.md` 3.3, 3.5.
    pub async fn refresh_token(
        &self,
        registry: &RegistryRow,
        login_server: &str,
        caller: &Caller,
    ) -> Result<String, IssueError> {
        match caller.proof() {
            Proof::Password | Proof::PrincipalToken => {}
            Proof::None | Proof::RefreshToken | Proof::AccessToken { .. } => return Err(IssueError::PasswordNeeded),
        }
        let mut claims = self.claims(registry, login_server, caller, GrantType::RefreshToken)?;
        let actions = caller.rights().words().into_iter().map(str::to_owned).collect();
        claims.permissions = Some(Permissions { actions, not_actions: None });
        if let Subject::Principal { principal, mode: Mode::Repository, .. } = caller.subject() {
            let (oid, tid) = (principal.id.to_string(), principal.tenant_id.to_string());
            claims.aad_identity = Some(AadIdentity { oid, tid });
        }
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
        let (mut sub, mut appid, mut tenant, mut ends) = (caller.name().to_owned(), None, None, None);
        let subject = match *caller.subject() {
            Subject::Anonymous if !registry.anonymous_pull_enabled => return Err(IssueError::AnonymousPullDisabled),
            Subject::Anonymous => SubjectClaim::Anonymous,
            Subject::Admin { generation, .. } => SubjectClaim::Admin { generation },
            Subject::Principal { ref principal, generation, mode, .. } => {
                sub = principal.id.to_string();
                match principal.app_id {
                    Some(id) => appid = Some(id.to_string()),
                    None => tenant = Some(principal.tenant_id.to_string()),
                }
                SubjectClaim::Principal { id: principal.id, generation, mode }
            }
            Subject::Token { id, generation, expires, .. } => {
                ends = expires;
                SubjectClaim::Token { id, generation }
            }
        };
        let mut id = [0; 16];
        self.parts().random.fill(&mut id);
        let issued = self.parts().clock.now().unix_seconds() - BACKDATED_SECONDS;
        let exp = issued + kind.lifetime_seconds();
        Ok(Claims {
            jti: Builder::from_random_bytes(id).into_uuid().to_string(),
            sub,
            nbf: issued,
            exp: ends.map_or(exp, |ends| exp.min(ends.unix_seconds())),
            iat: issued,
            iss: ISSUER.to_owned(),
            aud: login_server.to_owned(),
            version: kind.version().to_owned(),
            rid: registry.uid.to_string(),
            access: None,
            permissions: None,
            roles: Vec::new(),
            grant_type: kind,
            appid,
            tenant,
            aad_identity: None,
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
