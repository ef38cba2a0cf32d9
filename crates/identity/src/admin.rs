//! The admin user's passwords: made, shown, changed. Whether the user may sign in at all is a property of the registry's
//! resource.
//!
//! Every change is one transaction that also starts a new generation of credentials, which voids the
//! tokens of the old one wherever the new row has been seen. Each use case returns the new row; whoever keeps registries
//! in memory must let go of the old one before telling the caller that it is done.

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

    /// Replaces one of the admin user's passwords by a new one on behalf of `actor`, and returns the new row, whose
    /// passwords [`Identity::reveal`] shows.
    ///
    /// # Errors
    /// When the registry is gone or the database fails.
    pub async fn regenerate(
        &self,
        registry: &RegistryRow,
        which: PasswordName,
        actor: &str,
    ) -> Result<RegistryRow, Error> {
        let password = generate_password(self.parts().random.as_ref());
        self.set_password(registry, which, password, actor).await
    }

    /// Replaces one of the admin user's passwords by the one given, and returns the new row.
    ///
    /// The row is changed as it stands in the database, not as the caller saw it.
    ///
    /// # Errors
    /// When the password is empty or too long, when the registry is gone or the database fails.
    pub async fn set_password(
        &self,
        registry: &RegistryRow,
        which: PasswordName,
        password: SecretString,
        actor: &str,
    ) -> Result<RegistryRow, Error> {
        let sealed = passwords::seal(&self.parts().sealing, registry.uid, &checked(password)?);
        let now = self.parts().clock.now();
        for _ in 0..ATTEMPTS {
            let (sealed, registry, actor) = (sealed.clone(), registry.clone(), actor.to_owned());
            let changed = self.parts().database.write(move |c| {
                Box::pin(async move {
                    let mut row = current(c, &registry).await?;
                    row.admin_passwords[which.index()] = sealed;
                    registries::update_passwords(c, row.id, &row.admin_passwords, &actor, now).await?;
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
