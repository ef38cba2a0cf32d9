//! Signing in with a secret or a password.

use secrecy::SecretString;
use tracing::debug;
use uuid::Uuid;
use wharf_metadata::directory::{credentials, principals};
use wharf_metadata::{CredentialKind, CredentialRow, PrincipalRow};
use wharf_model::Client;

use super::error::SignInError;
use super::standing::{SignedIn, user_account};
use super::users::{LONGEST_USER_NAME, MUST_CHANGE_PASSWORD, PASSWORD_PROFILE};
use crate::Error;
use crate::identity::Identity;
use crate::passwords::LONGEST_PASSWORD;

impl Identity {
    /// Signs an application in with one of its secrets, those of its application and those of its service principal
    /// alike.
    ///
    /// Costs a look-up and a MAC, so it can be asked on every request. Failures are counted; a generated secret is let in
    /// whatever was counted, since nobody can have guessed it.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn check_client_secret(
        &self,
        app_id: Uuid,
        secret: &str,
        client: Option<Client>,
    ) -> Result<SignedIn, SignInError> {
        let parts = self.parts();
        let throttle = &parts.directory.throttle;
        let account = format!("app/{app_id}");
        let known = self.client_of(app_id).await?;
        let now = parts.clock.now();
        let found = known.find_secret(&parts.sealing, secret, now);
        match throttle.check(&account, client) {
            Err(throttled) if !found.as_ref().is_some_and(|found| found.is_generated) => return Err(throttled.into()),
            _ => {}
        }
        let Some(found) = found else {
            throttle.failed(&account, client);
            debug!(app_id = %app_id, "A secret was wrong");
            return Err(SignInError::BadCredentials);
        };
        throttle.succeeded(&account, client);
        if found.starts_at > now {
            return Err(SignInError::NotYetValid { begins: found.starts_at });
        }
        if let Some(ended) = found.ends_at.filter(|&end| end <= now) {
            return Err(SignInError::Expired { ended });
        }
        known.signed_in.clone().ok_or(SignInError::Disabled)
    }

    /// Signs a user in with their password.
    ///
    /// Takes some hundredths of a second of a processor, whether or not there is such a user; few are checked at once.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn check_user_password(
        &self,
        user_name: &str,
        password: &str,
        client: Option<Client>,
    ) -> Result<SignedIn, SignInError> {
        let row = self.check_password(user_name, password, client).await?;
        if must_change(&row) {
            return Err(SignInError::PasswordChangeRequired);
        }
        self.find_signed_in(row.id).await?.ok_or(SignInError::Disabled)
    }

    /// The enabled user whose name and password these are.
    pub(crate) async fn check_password(
        &self,
        user_name: &str,
        password: &str,
        client: Option<Client>,
    ) -> Result<PrincipalRow, SignInError> {
        let parts = self.parts();
        let throttle = &parts.directory.throttle;
        let fits = user_name.len() <= LONGEST_USER_NAME && password.len() <= LONGEST_PASSWORD;
        let (user_name, password) = if fits { (user_name, password) } else { ("", "") };
        let account = user_account(user_name);
        throttle.check(&account, client)?;

        let user = self.find_user_and_password(user_name).await?;
        let turn = parts.directory.hashing.turn().await?;
        // Others may have failed while this one waited.
        throttle.check(&account, client)?;
        let hash = user.as_ref().and_then(|(row, password)| Some((row.id, password.as_ref()?.value.as_slice())));
        let password: SecretString = password.into();
        let verified = parts.directory.hashing.verify(&turn, hash, &password).await;
        let is_right = verified.ok_or(Error::Hashing)?;
        let row = user.map(|(row, _)| row).filter(|_| is_right);
        let Some(row) = row else {
            throttle.failed(&account, client);
            debug!("A password was wrong");
            return Err(SignInError::BadCredentials);
        };
        drop(turn);
        throttle.succeeded(&account, client);
        if row.is_enabled { Ok(row) } else { Err(SignInError::Disabled) }
    }

    /// A user, and the password if they have one.
    async fn find_user_and_password(
        &self,
        user_name: &str,
    ) -> Result<Option<(PrincipalRow, Option<CredentialRow>)>, Error> {
        let user_name = user_name.to_owned();
        let found = self.parts().database.read(move |c| {
            Box::pin(async move {
                let Some(row) = principals::find_by_user_name(c, &user_name).await? else { return Ok(None) };
                let rows = credentials::list(c, &[row.id.0]).await?;
                let password = rows.into_iter().find(|row| row.kind == CredentialKind::Password);
                Ok::<_, Error>(Some((row, password)))
            })
        });
        found.await
    }

    /// Counts failed sign-ins of every kind.
    #[must_use]
    pub fn throttle(&self) -> &super::SignInThrottle {
        &self.parts().directory.throttle
    }
}

/// Whether the user was given a password that is to be replaced at the first use.
fn must_change(row: &PrincipalRow) -> bool {
    let profile = row.properties.get(PASSWORD_PROFILE);
    profile.and_then(|profile| profile.get(MUST_CHANGE_PASSWORD)?.as_bool()) == Some(true)
}
