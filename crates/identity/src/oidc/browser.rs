//! What a browser keeps for us between two pages: sealed, so that it can neither be read nor changed, and with an end.
//!
//! | kind | kept in | holds |
//! | --- | --- | --- |
//! | a session | a cookie | who signed in |
//! | a form's state | a hidden field, or the `state` of a sign-in outside | what the sign-in is for, and in which browser it began |

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wharf_metadata::sign_ins::SignInRow;
use wharf_model::{PrincipalId, Timestamp};

use super::Authentication;
use crate::Error;
use crate::identity::Identity;

impl Identity {
    /// A session of a browser, for its cookie.
    #[must_use]
    pub fn new_browser_session(&self, authentication: &Authentication) -> String {
        let row = authentication.to_row();
        let session = Session {
            principal: row.principal,
            generation: row.generation,
            rule: row.rule,
            authenticated_at: row.authenticated_at.0,
        };
        self.seal_for_browser(SESSION, &session, SESSION_LIFETIME)
    }

    /// Who signed in in a browser, from its cookie; `None` when nobody did, or they have to again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_browser_session(&self, cookie: &str) -> Result<Option<Authentication>, Error> {
        let Some(session) = self.open_from_browser::<Session>(SESSION, cookie) else { return Ok(None) };
        self.resume(&SignInRow {
            principal: session.principal,
            generation: session.generation,
            rule: session.rule,
            authenticated_at: Timestamp(session.authenticated_at),
        })
        .await
    }

    /// Seals what a form or a redirect is to bring back within `lifetime`. `purpose` says which: nothing opens for another.
    #[must_use]
    pub fn seal_for_browser(&self, purpose: &str, value: &impl Serialize, lifetime: Duration) -> String {
        let kept = Kept { expires: (self.parts().clock.now() + lifetime).0, value };
        let json = serde_json::to_vec(&kept).expect("our own types serialise");
        BASE64URL.encode(self.parts().sealing.seal(&context(purpose), &json))
    }

    /// What [`Identity::seal_for_browser`] sealed for the same purpose, while its time lasts.
    #[must_use]
    pub fn open_from_browser<T: DeserializeOwned>(&self, purpose: &str, sealed: &str) -> Option<T> {
        if sealed.len() > LONGEST {
            return None;
        }
        let sealed = BASE64URL.decode(sealed).ok()?;
        let json = self.parts().sealing.unseal(&context(purpose), &sealed).ok()?;
        let kept: Kept<T> = serde_json::from_slice(&json).ok()?;
        (self.parts().clock.now().0 < kept.expires).then_some(kept.value)
    }

    /// A random word of 128 bits, such as a browser is known by.
    #[must_use]
    pub fn random_word(&self) -> String {
        let mut bytes = [0; 16];
        self.parts().random.fill(&mut bytes);
        BASE64URL.encode(bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    expires: i64,
    value: T,
}

#[derive(Serialize, Deserialize)]
struct Session {
    principal: PrincipalId,
    generation: i64,
    rule: Option<Uuid>,
    authenticated_at: i64,
}

fn context(purpose: &str) -> String {
    format!("browser/{purpose}")
}

const SESSION: &str = "session";
/// How long somebody stays signed in in a browser, at most.
const SESSION_LIFETIME: Duration = Duration::from_hours(12);
/// Characters of the longest that is opened.
const LONGEST: usize = 16 * 1024;
