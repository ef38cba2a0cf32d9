//! The admin user and anonymous pull: made, shown, changed.
//!
//! Every change of the admin user is one transaction that also starts a new generation of credentials, which voids the
//! tokens of the old one wherever the new row has been seen. Each use case returns the new row; whoever keeps registries
//! in memory must let go of the old one before telling the caller that it is done.

use std::sync::Arc;

use secrecy::SecretString;
use wharf_metadata::{Connection, RegistryRow, registries};
use wharf_model::RegistryUid;

use crate::Error;
use crate::identity::Identity;
use crate::passwords::{self, LONGEST_PASSWORD, PasswordName, generate_password};

/// The admin user's passwords for a registry that is about to be made.
#[derive(Debug)]
pub struct AdminCredentials {
    /// What is shown to whoever makes it.
    pub passwords: [SecretString; 2],
    /// What goes into [`wharf_metadata::NewRegistry::admin_passwords`].
    pub sealed: [Vec<u8>; 2],
}

impl Identity {
    /// Makes the admin user's passwords for a new registry with this `uid`; `first` presets the first of them.
    ///
    /// # Errors
    /// [`Error::PasswordLength`] when `first` is empty or too long.
    pub fn new_admin_credentials(
        &self,
        uid: RegistryUid,
        first: Option<SecretString>,
    ) -> Result<AdminCredentials, Error> {
        let parts = self.parts();
        let first = first.map_or_else(|| Ok(generate_password(parts.random.as_ref())), checked)?;
        let passwords = [first, generate_password(parts.random.as_ref())];
        let sealed = passwords.each_ref().map(|password| passwords::seal(&parts.sealing, uid, password));
        Ok(AdminCredentials { passwords, sealed })
    }

    /// The admin user's two passwords, to be shown.
    ///
    /// # Errors
    /// When they were sealed under another key.
    pub fn reveal(&self, registry: &RegistryRow) -> Result<[SecretString; 2], Error> {
        passwords::unseal(&self.parts().sealing, registry)
    }

    /// Replaces one of the admin user's passwords by a new one, which [`Identity::reveal`] shows, and returns the new row.
    ///
    /// # Errors
    /// When the registry is gone or the database fails.
    pub async fn regenerate(&self, registry: &RegistryRow, which: PasswordName) -> Result<RegistryRow, Error> {
        let password = generate_password(self.parts().random.as_ref());
        self.set_password(registry, which, password).await
    }

    /// Replaces one of the admin user's passwords by the one given, and returns the new row.
    ///
    /// # Errors
    /// When the password is empty or too long, when the registry is gone or the database fails.
    pub async fn set_password(
        &self,
        registry: &RegistryRow,
        which: PasswordName,
        password: SecretString,
    ) -> Result<RegistryRow, Error> {
        let sealed = passwords::seal(&self.parts().sealing, registry.uid, &checked(password)?);
        self.change_admin(registry, move |row| {
            row.admin_passwords[which.index()].clone_from(&sealed);
            true
        })
        .await
    }

    /// Switches the admin user, and returns the new row. Nothing changes, and no token dies, if it stood so already.
    ///
    /// # Errors
    /// When the registry is gone or the database fails.
    pub async fn set_admin_enabled(&self, registry: &RegistryRow, enabled: bool) -> Result<RegistryRow, Error> {
        self.change_admin(registry, move |row| std::mem::replace(&mut row.admin_user_enabled, enabled) != enabled).await
    }

    /// Switches anonymous pull, and returns the new row.
    ///
    /// # Errors
    /// When the registry is gone or the database fails.
    pub async fn set_anonymous_pull(&self, registry: &RegistryRow, enabled: bool) -> Result<RegistryRow, Error> {
        let (registry, now) = (registry.clone(), self.parts().clock.now());
        self.parts()
            .database
            .write(move |c| {
                Box::pin(async move {
                    registries::update_anonymous_pull(c, registry.id, enabled, now).await?;
                    current(c, &registry).await
                })
            })
            .await
    }

    /// Changes the row as it stands in the database, not as the caller saw it. `change` says whether there is anything
    /// to be written.
    async fn change_admin(
        &self,
        registry: &RegistryRow,
        change: impl Fn(&mut RegistryRow) -> bool + Send + Sync + 'static,
    ) -> Result<RegistryRow, Error> {
        let now = self.parts().clock.now();
        let change = Arc::new(change);
        for _ in 0..ATTEMPTS {
            let (change, registry) = (change.clone(), registry.clone());
            let changed = self.parts().database.write(move |c| {
                Box::pin(async move {
                    let mut row = current(c, &registry).await?;
                    if !change(&mut row) {
                        return Ok(row);
                    }
                    registries::update_admin(c, row.id, row.admin_user_enabled, &row.admin_passwords, now).await?;
                    // On PostgreSQL another transaction may have come between the reading and the writing. It has then
                    // left a generation more behind: undo ours, which knew nothing of theirs, and begin again.
                    let written = current(c, &registry).await?;
                    if written.credentials_generation != row.credentials_generation + 1 {
                        return Err(Error::Busy { name: registry.name });
                    }
                    Ok(written)
                })
            });
            match changed.await {
                Err(Error::Busy { .. }) => {}
                other => return other,
            }
        }
        Err(Error::Busy { name: registry.name.clone() })
    }
}

/// The registry's row as the database has it. A registry of the same name that was made since is another one.
async fn current(c: &mut Connection, registry: &RegistryRow) -> Result<RegistryRow, Error> {
    let row = registries::find_by_name(c, &registry.name).await?;
    row.filter(|row| row.uid == registry.uid).ok_or_else(|| Error::RegistryGone { name: registry.name.clone() })
}

fn checked(password: SecretString) -> Result<SecretString, Error> {
    use secrecy::ExposeSecret;
    let fits = (1..=LONGEST_PASSWORD).contains(&password.expose_secret().len());
    if fits { Ok(password) } else { Err(Error::PasswordLength) }
}

/// How often a change is tried that others come between.
const ATTEMPTS: usize = 10;
