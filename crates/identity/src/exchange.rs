//! From a token of the token service to a refresh token of a registry: what `/oauth2/exchange` does.

use std::sync::Arc;

use wharf_metadata::RegistryRow;
use wharf_model::{Client, PrincipalId};

use crate::caller::{Caller, Proof};
use crate::directory::SignedIn;
use crate::identity::Identity;
use crate::oidc::RefreshError;
use crate::{AuthError, Error, IssueError, Principal, TokenProblem};

/// What is exchanged. Both are tokens of the token service, none of the registry.
#[derive(Clone, Copy)]
pub enum Exchanged<'a> {
    /// An access token.
    AccessToken(&'a str),
    /// A refresh token of `az`. Deprecated.
    RefreshToken(&'a str),
}

/// Why nothing is given in exchange.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The token is not valid, or its principal may not sign in.
    #[error("the token is not valid here and now")]
    InvalidToken(#[source] AuthError),
    /// The token is for somebody else.
    #[error("the token is for {audience:?}, and not for container registries")]
    Audience {
        /// For whom it is.
        audience: String,
    },
    /// The token is for Azure Resource Manager, and this registry takes none of those.
    #[error("the registry takes no tokens for Azure Resource Manager (authentication-as-arm is disabled)")]
    ManagementTokensDisabled,
    /// The token is of another tenant than the one named.
    #[error("the token is not of the tenant {tenant}")]
    OtherTenant {
        /// The tenant that was named.
        tenant: String,
    },
    /// The principal may do nothing with the registry.
    #[error("the principal {principal} has no rights in the registry")]
    NoRights {
        /// Who it is.
        principal: PrincipalId,
    },
    /// It could not be found out, or not be signed.
    #[error("the token could not be exchanged")]
    Unavailable(#[from] Error),
}

impl Identity {
    /// Gives a refresh token of the registry for a token of the token service, and tells who the caller is.
    ///
    /// `tenant` is the tenant that the client named, if any; it has to be the principal's. `is_management` tells of an
    /// audience whether it is the management API: the registry may refuse tokens for that
    /// ([`wharf_metadata::RegistrySettings::accepts_arm_tokens`]).
    ///
    /// # Errors
    /// [`ExchangeError`].
    ///
    /// Source: `acr/data-plane.md` 3.2; `acr/semantics.md` 4.8.
    pub async fn exchange(
        &self,
        registry: &RegistryRow,
        login_server: &str,
        exchanged: Exchanged<'_>,
        tenant: Option<&str>,
        client: Option<Client>,
        is_management: impl Fn(&str) -> bool + Send,
    ) -> Result<(Arc<Caller>, String), ExchangeError> {
        // Before anything is read that the rights are worked out from.
        let version = self.parts().database.access_version().await.map_err(Error::from)?;
        let (principal, generation) = match exchanged {
            Exchanged::AccessToken(token) => {
                let verified = match self.verify_principal_token(token).await {
                    Ok(verified) => verified,
                    Err(AuthError::Unavailable(error)) => return Err(error.into()),
                    Err(error) => return Err(ExchangeError::InvalidToken(error)),
                };
                let audience = verified.audience.trim_end_matches('/');
                if !audience.eq_ignore_ascii_case(AUDIENCE) {
                    if !is_management(audience) {
                        return Err(ExchangeError::Audience { audience: verified.audience.clone() });
                    }
                    if !registry.settings.accepts_arm_tokens {
                        return Err(ExchangeError::ManagementTokensDisabled);
                    }
                }
                (verified.principal.clone(), verified.generation)
            }
            // Whatever it was issued for, a refresh token is good for the audience of registries.
            Exchanged::RefreshToken(token) => match self.use_refresh_token(token, AZURE_CLI).await {
                Ok(refreshed) => (refreshed.authentication.principal, refreshed.authentication.generation),
                Err(RefreshError::Unavailable(error)) => return Err(error.into()),
                Err(RefreshError::Expired) => return Err(invalid(TokenProblem::Expired)),
                Err(RefreshError::Revoked) => return Err(invalid(TokenProblem::Revoked)),
                Err(RefreshError::Unknown) => return Err(invalid(TokenProblem::Malformed)),
            },
        };
        check_tenant(&principal, tenant)?;
        let id = principal.id;
        // The credentials may have been replaced since the token was looked at: what it was issued for is what counts.
        let standing = self.find_signed_in(id).await?.filter(|standing| generation >= standing.generation);
        let principal = standing.ok_or_else(|| invalid(TokenProblem::Revoked))?.principal;
        let signed_in = SignedIn { principal, generation };
        let caller = self.principal_caller(registry, signed_in, Proof::PrincipalToken, version).await?;
        let caller = Arc::new(caller.ok_or(ExchangeError::NoRights { principal: id })?);
        let caller = caller.at(self.environment_of(client));
        match self.refresh_token(registry, login_server, &caller).await {
            Ok(token) => Ok((caller, token)),
            Err(IssueError::Unavailable(error)) => Err(error.into()),
            // What a principal's token says fits, and its proof earns it.
            Err(_) => Err(invalid(TokenProblem::Revoked)),
        }
    }
}

fn invalid(problem: TokenProblem) -> ExchangeError {
    ExchangeError::InvalidToken(problem.into())
}

fn check_tenant(principal: &Principal, tenant: Option<&str>) -> Result<(), ExchangeError> {
    match tenant.map(str::trim).filter(|tenant| !tenant.is_empty()) {
        Some(named) if named.parse() != Ok(principal.tenant_id) => {
            Err(ExchangeError::OtherTenant { tenant: named.chars().take(MOST_SHOWN).collect() })
        }
        _ => Ok(()),
    }
}

/// Whom tokens for container registries are for. There is none per registry.
const AUDIENCE: &str = "https://containerregistry.azure.net";
/// The application id of the Azure CLI, the one client that was known to exchange refresh tokens.
const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// How much of a tenant that is none an error repeats.
const MOST_SHOWN: usize = 64;
