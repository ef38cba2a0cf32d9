//! People: created, and their passwords.

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use wharf_metadata::directory::{Properties, credentials, key, principals};
use wharf_metadata::{Connection, CredentialKind, CredentialRow, PrincipalRow};
use wharf_model::{Client, PrincipalId, PrincipalKind, Timestamp};

use super::changes::{get_of_kind, name_taken};
use super::error::{DirectoryError, SignInError};
use super::rules;
use super::standing::SignedIn;
use crate::Error;
use crate::identity::Identity;
use crate::passwords::LONGEST_PASSWORD;

/// A user to be created.
#[derive(Debug)]
pub struct NewUser {
    /// The tenant that they will be in.
    pub tenant_id: Uuid,
    /// The user principal name, `name@domain`: what they sign in by.
    pub user_name: String,
    /// What people call them.
    pub display_name: String,
    /// Their password. Without one, they can sign in through a trusted issuer only.
    pub password: Option<SecretString>,
    /// Whether the password is to be replaced by one of their own at the first sign-in.
    pub must_change_password: bool,
    /// Whether they may sign in.
    pub is_enabled: bool,
    /// What Graph keeps of them beside.
    pub properties: Properties,
}

/// Why a user's own change of their password came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The old password does not sign them in.
    #[error("the present password was not taken")]
    SignIn(#[source] SignInError),
    /// The new one cannot be.
    #[error("the new password was not taken")]
    Refused(#[source] DirectoryError),
}

impl Identity {
    /// Creates a user.
    ///
    /// # Errors
    /// When a value cannot be, or somebody has the user name.
    pub async fn create_user(&self, new: NewUser) -> Result<PrincipalRow, DirectoryError> {
        rules::check_display_name(&new.display_name)?;
        rules::check_user_name(&new.user_name)?;
        rules::check_properties(&new.properties)?;
        let now = self.parts().clock.now();
        let id = PrincipalId(Uuid::new_v4());
        let password = match &new.password {
            Some(password) => Some(self.hash_password(id, &new.user_name, password, now).await?),
            None => None,
        };
        let mut row = PrincipalRow {
            id,
            kind: PrincipalKind::User,
            tenant_id: new.tenant_id,
            display_name: new.display_name,
            user_name: Some(new.user_name),
            app_id: None,
            resource_id: None,
            is_enabled: new.is_enabled,
            generation: 1,
            properties: new.properties,
            created_at: now,
            updated_at: now,
        };
        set_must_change(&mut row.properties, new.must_change_password);
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    if !principals::insert(c, &row).await? {
                        return Err(name_taken(row.user_name));
                    }
                    if let Some(password) = &password {
                        credentials::put(c, password).await?;
                    }
                    Ok(row)
                })
            })
            .await
    }

    /// Gives a user another password, which ends every token that was issued to them. `must_change`: whether it is to be
    /// replaced by one of their own at the next sign-in.
    ///
    /// # Errors
    /// When there is no such user or the password cannot be.
    pub async fn set_user_password(
        &self,
        id: PrincipalId,
        password: &SecretString,
        must_change: bool,
    ) -> Result<(), DirectoryError> {
        let found = self.parts().database.read(|c| Box::pin(get_of_kind(c, id, PrincipalKind::User)));
        let user_name = found.await?.user_name.unwrap_or_default();
        let password = self.hash_password(id, &user_name, password, self.parts().clock.now()).await?;
        self.parts().database.write_access(move |c| Box::pin(put_password(c, id, password, must_change))).await
    }

    /// Says whether a user is to replace their password at the next sign-in.
    ///
    /// # Errors
    /// When there is no such user.
    pub async fn set_must_change_password(&self, id: PrincipalId, must_change: bool) -> Result<(), DirectoryError> {
        let change = move |row: &mut PrincipalRow| {
            set_must_change(&mut row.properties, must_change);
            Ok(())
        };
        self.update_principal(id, change).await.map(drop)
    }

    /// Replaces a user's password by another, for whoever knows the present one; also one that is to be replaced. Every
    /// token that was issued to them ends, and they are signed in anew.
    ///
    /// # Errors
    /// See [`ChangePasswordError`].
    pub async fn change_user_password(
        &self,
        user_name: &str,
        present: &str,
        new: &SecretString,
        client: Option<Client>,
    ) -> Result<SignedIn, ChangePasswordError> {
        let row = self.check_password(user_name, present, client).await.map_err(ChangePasswordError::SignIn)?;
        if new.expose_secret() == present {
            let error = DirectoryError::invalid("password", "is the same as the present one");
            return Err(ChangePasswordError::Refused(error));
        }
        self.set_user_password(row.id, new, false).await.map_err(ChangePasswordError::Refused)?;
        let signed_in = self.find_signed_in(row.id).await.map_err(SignInError::from);
        signed_in.and_then(|found| found.ok_or(SignInError::Disabled)).map_err(ChangePasswordError::SignIn)
    }

    /// The row of a new password.
    async fn hash_password(
        &self,
        id: PrincipalId,
        user_name: &str,
        password: &SecretString,
        now: Timestamp,
    ) -> Result<CredentialRow, DirectoryError> {
        check_password(user_name, password.expose_secret())?;
        let parts = self.parts();
        let turn = parts.directory.hashing.turn().await?;
        let hash = parts.directory.hashing.hash(&turn, id, password, parts.random.as_ref()).await;
        Ok(CredentialRow {
            owner_id: id.0,
            // There is one, in place of the one before.
            key_id: id.0,
            kind: CredentialKind::Password,
            display_name: None,
            hint: None,
            is_generated: false,
            value: hash.ok_or(Error::Hashing)?,
            starts_at: now,
            ends_at: None,
            created_at: now,
        })
    }
}

async fn put_password(
    c: &mut Connection,
    id: PrincipalId,
    password: CredentialRow,
    must_change: bool,
) -> Result<(), DirectoryError> {
    principals::lock(c, id).await?;
    let mut row = get_of_kind(c, id, PrincipalKind::User).await?;
    credentials::put(c, &password).await?;
    principals::increment_generation(c, id).await?;
    set_must_change(&mut row.properties, must_change);
    row.updated_at = password.created_at;
    principals::update(c, &row).await?;
    Ok(())
}

/// A password is long enough and not the user's own name.
///
/// Source: NIST SP 800-63B, 3.1.1.2: a least length, no rules of composition.
fn check_password(user_name: &str, password: &str) -> Result<(), DirectoryError> {
    let invalid = |reason: String| Err(DirectoryError::invalid("password", reason));
    if password.chars().count() < SHORTEST_PASSWORD || password.len() > LONGEST_PASSWORD {
        return invalid(format!("has at least {SHORTEST_PASSWORD} characters and at most {LONGEST_PASSWORD} bytes"));
    }
    let (password, user_name) = (key(password), key(user_name));
    let local = user_name.split('@').next().unwrap_or_default();
    if password == user_name || (local.chars().count() >= 4 && password.contains(local)) {
        return invalid("contains the user's name".to_owned());
    }
    let mut characters = password.chars();
    let first = characters.next();
    if characters.all(|character| Some(character) == first) {
        return invalid("is one character again and again".to_owned());
    }
    Ok(())
}

/// Notes whether the password is to be replaced at the next sign-in, where Graph shows it.
fn set_must_change(properties: &mut Properties, must_change: bool) {
    let profile = properties.entry(PASSWORD_PROFILE).or_insert_with(|| serde_json::json!({}));
    if !profile.is_object() {
        *profile = serde_json::json!({});
    }
    profile[MUST_CHANGE_PASSWORD] = must_change.into();
}

/// Where Graph keeps what it says of a user's password.
pub(crate) const PASSWORD_PROFILE: &str = "passwordProfile";
/// Whether the password is to be replaced at the next sign-in.
pub(crate) const MUST_CHANGE_PASSWORD: &str = "forceChangePasswordNextSignIn";
/// Bytes of the longest user principal name.
pub(crate) const LONGEST_USER_NAME: usize = 254;
const SHORTEST_PASSWORD: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_enough_and_not_the_users_name() {
        let check = |password| check_password("anna.meyer@example.com", password);
        assert!(check("correct horse").is_ok());
        for bad in
            ["", "short", "Anna.Meyer1", "xxanna.meyerxx", "aaaaaaaaaaaa", "anna.meyer@example.com", &"ab".repeat(300)]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check_password("al@example.com", "always fine").is_ok(), "short names come up in many words");
    }
}
