//! Refresh tokens of people.
//!
//! A refresh token is a random word that the client keeps, and a row here. It is not replaced when it is used: the Azure
//! CLI keeps one in a file that many of its processes read at the same time, and each would make the others' worthless.
//! The token of an application that was registered here is good for the one resource that somebody approved, and only
//! together with a proof if the application proved itself when it got the token.
//!
//! It lives on as long as it is used now and then, and ends with its principal's generation, with the federation rule that
//! it came by, or when the code that it came of is used a second time.

use std::time::Duration;

use uuid::Uuid;
use wharf_metadata::sign_ins::{self, RefreshTokenRow};

use super::Authentication;
use crate::Error;
use crate::identity::Identity;

/// What a client gets for a refresh token.
#[derive(Clone, Debug)]
pub struct RefreshedSignIn {
    /// Who signed in, then.
    pub authentication: Authentication,
    /// What was asked for at first.
    pub scope: String,
    /// The one resource that it is good for; `None` for every resource.
    pub resource: Option<String>,
    /// Whether the client proved itself when it got the token, and so has to now.
    pub is_proven: bool,
}

/// What a new refresh token is for.
#[derive(Clone, Copy, Debug)]
pub struct NewRefreshToken<'a> {
    /// Who signed in.
    pub authentication: &'a Authentication,
    /// The client that it is given to.
    pub client_id: &'a str,
    /// What was asked for.
    pub scope: &'a str,
    /// The one resource that it is good for; `None` for every resource.
    pub resource: Option<&'a str>,
    /// Whether the client proved itself, and so has to whenever it uses the token.
    pub is_proven: bool,
    /// What all tokens of one sign-in have in common.
    pub family: Option<Uuid>,
}

/// Why a refresh token is worth nothing.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// There is no such token, or another client's.
    #[error("the refresh token is not known")]
    Unknown,
    /// It was not used for too long.
    #[error("the refresh token has expired")]
    Expired,
    /// Whoever signed in may not any more, or has lost the credential that they signed in with.
    #[error("the refresh token was revoked")]
    Revoked,
    /// A failure on our side.
    #[error("the refresh token could not be checked")]
    Unavailable(#[from] Error),
}

impl Identity {
    /// Makes a refresh token for a client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn new_refresh_token(&self, new: &NewRefreshToken<'_>) -> Result<String, Error> {
        let token = self.new_secret("1.");
        let now = self.parts().clock.now();
        let row = RefreshTokenRow {
            token_mac: self.mac_of(MAC_CONTEXT, &token),
            family: new.family.unwrap_or_else(|| self.token_id()),
            client_id: new.client_id.to_owned(),
            sign_in: new.authentication.to_row(),
            scope: new.scope.to_owned(),
            resource: new.resource.map(str::to_owned),
            is_proven: new.is_proven,
            issued_at: now,
            expires_at: now + UNUSED_LIFETIME,
        };
        let insert = self.parts().database.write(move |c| {
            Box::pin(async move { sign_ins::insert_refresh_token(c, &row, MOST_TOKENS).await.map_err(Error::from) })
        });
        insert.await?;
        Ok(token)
    }

    /// Who signed in for a refresh token, if they still may. What the answer says of proof and resource is the caller's to
    /// see to.
    ///
    /// # Errors
    /// When it is worth nothing (any more).
    pub async fn use_refresh_token(&self, token: &str, client_id: &str) -> Result<RefreshedSignIn, RefreshError> {
        let mac = self.mac_of(MAC_CONTEXT, token);
        let wanted = mac.clone();
        let find = self.parts().database.read(move |c| {
            Box::pin(async move { sign_ins::find_refresh_token(c, &wanted).await.map_err(Error::from) })
        });
        let row = find.await?.filter(|row| row.client_id == client_id).ok_or(RefreshError::Unknown)?;
        let now = self.parts().clock.now();
        if now >= row.expires_at {
            return Err(RefreshError::Expired);
        }
        let authentication = self.resume(&row.sign_in).await?.ok_or(RefreshError::Revoked)?;
        // Once a day is enough, and costs those who refresh every hour nothing.
        if row.expires_at < now + (UNUSED_LIFETIME - PROLONGED_EVERY) {
            let prolong = self.parts().database.write(move |c| {
                Box::pin(async move {
                    sign_ins::prolong_refresh_token(c, &mac, now + UNUSED_LIFETIME).await.map_err(Error::from)
                })
            });
            prolong.await?;
        }
        Ok(RefreshedSignIn { authentication, scope: row.scope, resource: row.resource, is_proven: row.is_proven })
    }

    /// Upkeep of sign-ins, to be run every few minutes: removes codes and tokens whose time is over. Safe to run on every
    /// node at the same time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_expired_sign_ins(&self) -> Result<(), Error> {
        let now = self.parts().clock.now();
        let database = &self.parts().database;
        let due = database.read(move |c| Box::pin(async move { sign_ins::has_expired(c, now).await })).await?;
        if due {
            database.write(move |c| Box::pin(async move { sign_ins::delete_expired(c, now).await })).await?;
        }
        Ok(())
    }
}

const MAC_CONTEXT: &str = "refresh-token";
/// How long a refresh token is good that is not used. Source: Entra ID's.
const UNUSED_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// How old a refresh token's end becomes before it is written anew.
const PROLONGED_EVERY: Duration = Duration::from_hours(24);
/// How many refresh tokens one principal can have; the oldest make room.
const MOST_TOKENS: i64 = 500;
