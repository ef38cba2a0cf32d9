//! Who is trusted, as this process knows it: issuers with their rules under the version of who may do what that they were
//! read at, and their keys.

use std::sync::{Arc, PoisonError, RwLock};

use moka::sync::Cache;
use secrecy::SecretString;
use uuid::Uuid;
use wharf_egress::Egress;
use wharf_metadata::federation::{self, IssuerRow, RuleRow};

use super::discovery::IssuerState;
use crate::Error;
use crate::identity::Identity;

/// The part of [`Identity`] that knows issuers outside.
pub(crate) struct Federation {
    pub(crate) egress: Egress,
    known: RwLock<Option<(i64, Arc<Trust>)>>,
    /// By issuer and what its client is made from, so that a changed one begins anew.
    states: Cache<(Uuid, i64), Arc<IssuerState>>,
}

/// All issuers and rules.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    pub(crate) issuers: Vec<Arc<IssuerRow>>,
    rules: Vec<RuleRow>,
}

impl Federation {
    pub(crate) fn new(egress: Egress) -> Self {
        Self { egress, known: RwLock::new(None), states: Cache::new(MOST_ISSUERS) }
    }

    /// What is known of an issuer's keys and endpoints.
    pub(crate) fn state(&self, issuer: &IssuerRow) -> Arc<IssuerState> {
        self.states.get_with((issuer.id, issuer.created_at.0), || Arc::new(IssuerState::default()))
    }
}

impl Trust {
    /// The issuer with this URL, letter by letter.
    pub(crate) fn find(&self, issuer: &str) -> Option<&Arc<IssuerRow>> {
        self.issuers.iter().find(|row| row.issuer == issuer)
    }

    /// The issuer with this name, in any case.
    pub(crate) fn find_by_name(&self, name: &str) -> Option<&Arc<IssuerRow>> {
        self.issuers.iter().find(|row| row.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn rules_of(&self, issuer: Uuid) -> impl Iterator<Item = &RuleRow> {
        self.rules.iter().filter(move |rule| rule.issuer_id == issuer)
    }
}

impl Identity {
    /// Issuers and rules as they stand now.
    pub(crate) async fn trust(&self) -> Result<Arc<Trust>, Error> {
        let version = self.parts().database.access_version().await?;
        let federation = &self.parts().federation;
        let known = federation.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, trust)) = known.filter(|(at, _)| *at == version) {
            return Ok(trust);
        }
        let read = self.parts().database.read(|c| {
            Box::pin(async move {
                let issuers = federation::list_issuers(c).await?.into_iter().map(Arc::new).collect();
                Ok::<_, Error>(Trust { issuers, rules: federation::list_rules(c).await? })
            })
        });
        let trust = Arc::new(read.await?);
        *federation.known.write().unwrap_or_else(PoisonError::into_inner) = Some((version, trust.clone()));
        Ok(trust)
    }

    /// The secret of our client at an issuer.
    pub(crate) fn client_secret_of(&self, issuer: &IssuerRow) -> Result<Option<SecretString>, Error> {
        let Some(sealed) = &issuer.sealed_client_secret else { return Ok(None) };
        let what = || format!("the client secret of issuer {}", issuer.name);
        let plain = self.parts().sealing.unseal(&secret_context(issuer.id), sealed);
        let plain = plain.map_err(|source| Error::Sealed { what: what(), source })?;
        let text = String::from_utf8(plain);
        let malformed = |_| Error::Sealed { what: what(), source: crate::UnsealError };
        Ok(Some(text.map_err(malformed)?.into()))
    }
}

/// What a client secret is sealed for.
pub(crate) fn secret_context(issuer: Uuid) -> String {
    format!("federation-issuer/{issuer}/client-secret")
}

/// How many issuers' keys are kept.
const MOST_ISSUERS: u64 = 1_000;
