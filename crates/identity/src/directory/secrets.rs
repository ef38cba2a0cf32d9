//! Secrets and certificates of applications and service principals: made, shown once, removed.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;
use wharf_metadata::directory::{applications, credentials, principals};
use wharf_metadata::{ApplicationId, Connection, CredentialKind, CredentialRow};
use wharf_model::{PrincipalId, PrincipalKind, Timestamp};

use super::certificates::ParsedCertificate;
use super::error::DirectoryError;
use super::standing::secret_context;
use crate::identity::Identity;
use crate::passwords::LONGEST_PASSWORD;
use crate::{Error, generate_password};

/// What has secrets and certificates. Those of an application and of its service principal sign in the same principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// An application.
    Application(ApplicationId),
    /// A service principal.
    ServicePrincipal(PrincipalId),
}

/// A secret to be made.
#[derive(Debug, Default)]
pub struct NewSecret {
    /// What people call it.
    pub display_name: Option<String>,
    /// When it begins to count; now, if not given.
    pub starts_at: Option<Timestamp>,
    /// When it counts no more.
    pub ends: SecretEnd,
    /// The secret itself, if somebody chose it; a generated one otherwise, which nobody can guess.
    pub chosen: Option<SecretString>,
}

/// When a secret counts no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretEnd {
    /// Two years after it begins, as Entra has it.
    #[default]
    Usual,
    /// Never.
    Never,
    /// Then.
    At(Timestamp),
}

/// What a list of certificates is to hold.
#[derive(Debug)]
pub enum CertificateEntry {
    /// The one with this id that is there already.
    Kept(Uuid),
    /// A new one.
    New {
        /// Its id.
        key_id: Uuid,
        /// What people call it.
        display_name: Option<String>,
        /// The certificate.
        certificate: ParsedCertificate,
        /// When it begins to count; when it says itself, if not given.
        starts_at: Option<Timestamp>,
        /// When it counts no more; when it says itself, if not given.
        ends_at: Option<Timestamp>,
    },
}

impl Identity {
    /// Makes a secret. The text is shown this once: only its MAC is kept.
    ///
    /// # Errors
    /// When the holder does not exist or has too many, or a value cannot be.
    pub async fn add_secret(
        &self,
        holder: Holder,
        new: NewSecret,
    ) -> Result<(CredentialRow, SecretString), DirectoryError> {
        let (row, text) = self.draw_secret(holder.id(), new)?;
        let kept = row.clone();
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    holder.check(c).await?;
                    check_room(c, holder, 1).await?;
                    Ok::<_, DirectoryError>(credentials::put(c, &kept).await?)
                })
            })
            .await?;
        Ok((row, text))
    }

    /// Removes a secret, which ends every token of the principal that signs in by it: which of them it was given for is
    /// not known.
    ///
    /// # Errors
    /// When the holder or the secret does not exist.
    pub async fn remove_secret(&self, holder: Holder, key_id: Uuid) -> Result<(), DirectoryError> {
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    holder.check(c).await?;
                    let rows = credentials::list(c, &[holder.id()]).await?;
                    let is_secret = |row: &&CredentialRow| row.key_id == key_id && row.kind == CredentialKind::Secret;
                    let found = rows.iter().find(is_secret);
                    found.ok_or_else(|| DirectoryError::not_found("secret", key_id))?;
                    credentials::delete(c, holder.id(), key_id).await?;
                    Ok(holder.end_tokens(c).await?)
                })
            })
            .await
    }

    /// Replaces the certificates of a holder. If one goes, every token of the principal ends.
    ///
    /// # Errors
    /// When the holder does not exist or would have too many, when an entry keeps a certificate that is not there, or a
    /// value cannot be.
    pub async fn set_certificates(&self, holder: Holder, entries: Vec<CertificateEntry>) -> Result<(), DirectoryError> {
        let now = self.parts().clock.now();
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    holder.check(c).await?;
                    put_certificates(c, holder, entries, now).await
                })
            })
            .await
    }

    /// The row of a new secret, and the secret.
    pub(crate) fn draw_secret(
        &self,
        owner_id: Uuid,
        new: NewSecret,
    ) -> Result<(CredentialRow, SecretString), DirectoryError> {
        let now = self.parts().clock.now();
        let is_generated = new.chosen.is_none();
        let text = new.chosen.unwrap_or_else(|| generate_password(self.parts().random.as_ref()));
        if !(1..=LONGEST_PASSWORD).contains(&text.expose_secret().len()) {
            return Err(Error::PasswordLength.into());
        }
        let starts_at = new.starts_at.unwrap_or(now);
        let ends_at = match new.ends {
            SecretEnd::Never => None,
            SecretEnd::At(end) => Some(end),
            SecretEnd::Usual => Some(starts_at + USUAL_LIFETIME),
        };
        check_dates(starts_at, ends_at)?;
        check_name(new.display_name.as_deref())?;
        let key_id = Uuid::new_v4();
        let value = self.parts().sealing.mac(&secret_context(owner_id, key_id), text.expose_secret().as_bytes());
        // Of a chosen secret even three characters may be much of it.
        let hint = is_generated.then(|| text.expose_secret().chars().take(HINT_LENGTH).collect());
        let row = CredentialRow {
            owner_id,
            key_id,
            kind: CredentialKind::Secret,
            display_name: new.display_name,
            hint,
            is_generated,
            value,
            starts_at,
            ends_at,
            created_at: now,
        };
        Ok((row, text))
    }
}

impl Holder {
    /// The object id.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Application(id) => id.0,
            Self::ServicePrincipal(id) => id.0,
        }
    }

    /// Makes sure that it exists, and that nobody else changes it meanwhile.
    async fn check(self, c: &mut Connection) -> Result<(), DirectoryError> {
        let (what, is_there) = match self {
            Self::Application(id) => {
                applications::lock(c, id).await?;
                ("application", applications::find(c, id).await?.is_some())
            }
            Self::ServicePrincipal(id) => {
                principals::lock(c, id).await?;
                let found = principals::find(c, id).await?;
                ("service principal", found.is_some_and(|row| row.kind == PrincipalKind::ServicePrincipal))
            }
        };
        if is_there { Ok(()) } else { Err(DirectoryError::not_found(what, self.id())) }
    }

    /// Starts a new generation of the principal that signs in by the holder's credentials.
    async fn end_tokens(self, c: &mut Connection) -> Result<(), wharf_metadata::Error> {
        let principal = match self {
            Self::ServicePrincipal(id) => Some(id),
            Self::Application(id) => match applications::find(c, id).await? {
                Some(application) => principals::find_by_app(c, application.app_id).await?.map(|row| row.id),
                None => None,
            },
        };
        match principal {
            Some(id) => principals::increment_generation(c, id).await,
            None => Ok(()),
        }
    }
}

/// Replaces the certificates of a holder that exists.
pub(crate) async fn put_certificates(
    c: &mut Connection,
    holder: Holder,
    entries: Vec<CertificateEntry>,
    now: Timestamp,
) -> Result<(), DirectoryError> {
    let rows = credentials::list(c, &[holder.id()]).await?;
    let old: Vec<Uuid> =
        rows.iter().filter(|row| row.kind == CredentialKind::Certificate).map(|row| row.key_id).collect();
    let others = rows.len() - old.len();
    if others + entries.len() > MOST_CREDENTIALS {
        return Err(DirectoryError::TooMany { what: "credentials", most: MOST_CREDENTIALS });
    }
    let mut kept = Vec::new();
    for entry in entries {
        match entry {
            CertificateEntry::Kept(key_id) => {
                if !old.contains(&key_id) {
                    return Err(DirectoryError::not_found("certificate", key_id));
                }
                kept.push(key_id);
            }
            CertificateEntry::New { key_id, display_name, certificate, starts_at, ends_at } => {
                let (starts_at, ends_at) =
                    (starts_at.unwrap_or(certificate.not_before), ends_at.unwrap_or(certificate.not_after));
                check_dates(starts_at, Some(ends_at))?;
                check_name(display_name.as_deref())?;
                if rows.iter().any(|row| row.key_id == key_id) {
                    return Err(DirectoryError::Taken { what: "keyId", value: key_id.to_string() });
                }
                let row = CredentialRow {
                    owner_id: holder.id(),
                    key_id,
                    kind: CredentialKind::Certificate,
                    display_name: display_name.or(Some(certificate.subject)),
                    hint: None,
                    is_generated: true,
                    value: certificate.der,
                    starts_at,
                    ends_at: Some(ends_at),
                    created_at: now,
                };
                credentials::put(c, &row).await?;
            }
        }
    }
    let gone: Vec<Uuid> = old.into_iter().filter(|key_id| !kept.contains(key_id)).collect();
    for key_id in &gone {
        credentials::delete(c, holder.id(), *key_id).await?;
    }
    if !gone.is_empty() {
        holder.end_tokens(c).await?;
    }
    Ok(())
}

async fn check_room(c: &mut Connection, holder: Holder, more: usize) -> Result<(), DirectoryError> {
    if credentials::list(c, &[holder.id()]).await?.len() + more > MOST_CREDENTIALS {
        return Err(DirectoryError::TooMany { what: "credentials", most: MOST_CREDENTIALS });
    }
    Ok(())
}

fn check_dates(starts_at: Timestamp, ends_at: Option<Timestamp>) -> Result<(), DirectoryError> {
    if ends_at.is_some_and(|end| end <= starts_at) {
        return Err(DirectoryError::invalid("credential", "ends before it begins"));
    }
    Ok(())
}

fn check_name(name: Option<&str>) -> Result<(), DirectoryError> {
    match name.filter(|name| !name.is_empty()) {
        Some(name) => super::rules::check_display_name(name),
        None => Ok(()),
    }
}

/// How long a secret counts if nobody says.
const USUAL_LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);
/// Characters of a secret that are shown again, as in Entra.
const HINT_LENGTH: usize = 3;
/// Secrets and certificates of one object. Each secret costs a MAC at each sign-in.
const MOST_CREDENTIALS: usize = 50;
