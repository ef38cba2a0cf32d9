//! Workloads that prove themselves with a token of an issuer outside, in a secret's stead.

use tracing::debug;
use uuid::Uuid;
use wharf_metadata::federation::{self, IssuerRow, RuleRow, StandsForRow};
use wharf_model::PrincipalId;

use super::ForeignToken;
use super::discovery::DiscoveryError;
use crate::directory::SignedIn;
use crate::identity::Identity;
use crate::{Error, TokenProblem};

/// Why a token of an issuer outside does not sign a workload in.
#[derive(Debug, thiserror::Error)]
pub enum FederatedTokenError {
    /// Nobody trusts who issued it.
    #[error("no trusted issuer is called {issuer:?}")]
    Issuer {
        /// Who it says has issued it.
        issuer: String,
    },
    /// It is not valid.
    #[error("the issuer's token is not valid")]
    Token(#[from] TokenProblem),
    /// It is valid, and no rule says that it stands for this client.
    #[error("no rule lets a token of {issuer:?} for {audience:?} with the subject {subject:?} stand for this client")]
    Rule {
        /// Who issued it.
        issuer: String,
        /// Whom it is for.
        audience: String,
        /// Whom it is about.
        subject: String,
    },
    /// Its issuer cannot be asked for its keys.
    #[error("the issuer's keys are not known")]
    Discovery(#[from] DiscoveryError),
    /// A failure on our side.
    #[error("the issuer's token could not be checked")]
    Unavailable(#[from] Error),
}

impl Identity {
    /// The service principal or managed identity with this application id, if a token of an issuer outside stands for it,
    /// and the rule by which it does.
    pub(crate) async fn check_federated_token(
        &self,
        app_id: Uuid,
        token: &ForeignToken<'_>,
    ) -> Result<(SignedIn, Uuid), FederatedTokenError> {
        let issuer = token.text("iss").unwrap_or_default();
        let trust = self.trust().await?;
        let Some(row) = trust.find(issuer) else {
            return Err(FederatedTokenError::Issuer { issuer: shortened(issuer) });
        };
        self.verify_foreign(row, token).await??;

        // Told apart from here on, since whoever holds a valid token may know why it does not do.
        let refused = || FederatedTokenError::Rule {
            issuer: shortened(issuer),
            audience: shortened(&token.audiences().join(", ")),
            subject: shortened(token.text("sub").unwrap_or_default()),
        };
        let principal = self.find_principal_by_app(app_id).await?.ok_or_else(refused)?;
        let stands_for = |rule: &&RuleRow| rule.stands_for == StandsForRow::Principal(principal.id);
        let rule = trust.rules_of(row.id).filter(stands_for).find(|rule| is_met(rule, token)).ok_or_else(refused)?;
        let signed_in = self.find_signed_in(principal.id).await?.ok_or_else(refused)?;
        if !self.remember_sign_in(rule.id, principal.id).await? {
            return Err(refused());
        }
        debug!(issuer, principal = %principal.id, "A workload signed in with a token of {issuer}");
        Ok((signed_in, rule.id))
    }

    /// Verifies a token's signature and time.
    pub(crate) async fn verify_foreign(
        &self,
        issuer: &IssuerRow,
        token: &ForeignToken<'_>,
    ) -> Result<Result<(), TokenProblem>, DiscoveryError> {
        let now = self.parts().clock.now();
        // First what costs nothing.
        if let Err(problem) = token.check_time(now) {
            return Ok(Err(problem));
        }
        let federation = &self.parts().federation;
        federation.state(issuer).verify(&federation.egress, issuer, token, now).await
    }

    /// Remembers who signs in by a rule, so that its end is the end of their tokens. `false` when the rule has ended.
    pub(crate) async fn remember_sign_in(&self, rule: Uuid, principal: PrincipalId) -> Result<bool, Error> {
        let database = &self.parts().database;
        let known = database
            .read(move |c| Box::pin(async move { federation::has_signed_in(c, rule, principal).await }))
            .await?;
        if known {
            return Ok(true);
        }
        let insert =
            database.write(move |c| Box::pin(async move { federation::insert_sign_in(c, rule, principal).await }));
        Ok(insert.await?)
    }
}

/// Whether a token is one that a rule speaks of.
pub(crate) fn is_met(rule: &RuleRow, token: &ForeignToken<'_>) -> bool {
    token.audiences().contains(&rule.audience.as_str())
        && rule.conditions.iter().all(|(claim, pattern)| token.claim_matches(claim, pattern))
}

/// What strangers wrote, for messages.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Characters of a stranger's text that messages repeat.
const LONGEST_SHOWN: usize = 200;
