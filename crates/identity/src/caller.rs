//! Who calls, and how they proved it.

use std::sync::Arc;

use wharf_metadata::RegistryRow;
use wharf_model::{Access, RegistryName, RegistryUid, Timestamp};

use crate::authorize::Rights;

/// Who calls one registry. Made by authentication alone; ask [`crate::may`] what they may do.
///
/// It holds for the request that it was made for: the next request authenticates anew, and that is what makes a changed
/// password or a switched-off user count at once.
#[derive(Clone, Debug)]
pub struct Caller {
    registry: RegistryUid,
    subject: Subject,
    rights: Rights,
    proof: Proof,
}

/// Whom a caller stands for. Service principals, users and scope-map tokens will be further variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nobody in particular.
    Anonymous,
    /// The registry's admin user.
    Admin {
        /// Its user name: the registry's.
        name: RegistryName,
        /// The generation of the credentials that it signed in with. See [`RegistryRow::credentials_generation`].
        generation: i64,
    },
}

/// How a caller proved who they are, and what that leaves them of their subject's rights.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Not at all.
    None,
    /// With a password. All of the subject's rights.
    Password,
    /// With a refresh token. All of the subject's rights.
    RefreshToken,
    /// With an access token. Of the subject's rights those that the token lists.
    AccessToken { access: Box<[Access]>, expires: Timestamp },
}

impl Caller {
    /// The one who calls without credentials. They have rights only if the registry allows anonymous pull.
    #[must_use]
    pub fn anonymous(registry: &RegistryRow) -> Self {
        let rights = if registry.anonymous_pull_enabled { Rights::ReadEverything } else { Rights::Nothing };
        Self { registry: registry.uid, subject: Subject::Anonymous, rights, proof: Proof::None }
    }

    /// The subject as it stands in the registry now, or `None` if it is not let in (any more).
    pub(crate) fn of_subject(registry: &RegistryRow, subject: Subject, proof: Proof) -> Option<Self> {
        let rights = Rights::of(registry, &subject)?;
        Some(Self { registry: registry.uid, subject, rights, proof })
    }

    /// Whom they stand for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The registry that they signed in to.
    #[must_use]
    pub fn registry(&self) -> RegistryUid {
        self.registry
    }

    /// What logs, the change log and webhooks call them: `anonymous`, or the user name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.subject {
            Subject::Anonymous => "anonymous",
            Subject::Admin { name, .. } => name.as_str(),
        }
    }

    /// Whether they call without having said who they are, with an anonymous access token or without any.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.subject == Subject::Anonymous
    }

    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    pub(crate) fn proof(&self) -> &Proof {
        &self.proof
    }
}

/// Credentials as they came in.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// `Authorization: Bearer`: an access token, nothing else.
    Bearer(&'a str),
    /// `Authorization: Basic`, or the form's `username` and `password` (grant type `password`).
    Basic {
        /// The admin user's name, or [`crate::TOKEN_USER`].
        username: &'a str,
        /// The password, or an access or refresh token if the user is [`crate::TOKEN_USER`].
        password: &'a str,
    },
    /// The form's `refresh_token` (grant type `refresh_token`): a refresh token, nothing else.
    RefreshToken(&'a str),
}

impl std::fmt::Debug for Credentials<'_> {
    /// Names the form and keeps what is in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::Basic { .. } => "Basic(..)",
            Self::RefreshToken(_) => "RefreshToken(..)",
        })
    }
}

/// A caller that many requests share.
pub(crate) type SharedCaller = Arc<Caller>;
