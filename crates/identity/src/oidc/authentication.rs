//! Somebody who gave their credentials once, remembered by codes, refresh tokens and browsers.

use std::sync::Arc;

use uuid::Uuid;
use wharf_metadata::sign_ins::SignInRow;
use wharf_model::{PrincipalId, Timestamp};

use crate::identity::Identity;
use crate::{Error, Principal};

/// A principal that has proved who it is, with what its proof hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Who they are.
    pub principal: Arc<Principal>,
    /// The generation of their credentials then.
    pub generation: i64,
    /// The federation rule by which an issuer outside vouched for them; `None` for credentials of ours.
    pub rule: Option<Uuid>,
    /// When they gave their credentials.
    pub authenticated_at: Timestamp,
}

impl Authentication {
    pub(crate) fn to_row(&self) -> SignInRow {
        SignInRow {
            principal: self.principal.id,
            generation: self.generation,
            rule: self.rule,
            authenticated_at: self.authenticated_at,
        }
    }
}

impl Identity {
    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.parts().clock.now()
    }

    /// Somebody who has just given credentials of ours.
    pub fn authenticated_now(&self, principal: Arc<Principal>, generation: i64) -> Authentication {
        Authentication { principal, generation, rule: None, authenticated_at: self.parts().clock.now() }
    }

    /// Whoever a row remembers, as they are now; `None` when they have been switched off or lost a credential since.
    pub(crate) async fn resume(&self, row: &SignInRow) -> Result<Option<Authentication>, Error> {
        let standing = self.standing_of(row.principal).await?;
        Ok(standing.filter(|(_, generation)| row.generation >= *generation).map(|(principal, _)| Authentication {
            principal,
            generation: row.generation,
            rule: row.rule,
            authenticated_at: row.authenticated_at,
        }))
    }

    /// A principal that may sign in, and the generation of its credentials.
    pub(crate) async fn standing_of(&self, id: PrincipalId) -> Result<Option<(Arc<Principal>, i64)>, Error> {
        Ok(self.find_signed_in(id).await?.map(|signed_in| (signed_in.principal, signed_in.generation)))
    }

    /// A new secret of 256 bits for a client to hold, in base64url behind `prefix`.
    pub(crate) fn new_secret(&self, prefix: &str) -> String {
        use base64::Engine as _;
        let mut bytes = [0; 32];
        self.parts().random.fill(&mut bytes);
        let mut secret = prefix.to_owned();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode_string(bytes, &mut secret);
        secret
    }

    /// What is kept of a secret that a client holds.
    pub(crate) fn mac_of(&self, context: &'static str, secret: &str) -> Vec<u8> {
        self.parts().sealing.mac(context, secret.as_bytes())
    }
}
