//! Who calls, and how they proved it.

use std::sync::{Arc, LazyLock};

use wharf_access::{Environment, Mode, Rights};
use wharf_metadata::RegistryRow;
use wharf_model::{Access, RegistryName, RegistryUid, Timestamp};

use crate::Principal;

/// Who calls one registry. Made by authentication alone; ask [`crate::may`] what they may do.
///
/// It holds for the request that it was made for: the next request authenticates anew, and that is what makes a changed
/// password or a removed role count at once.
#[derive(Clone, Debug)]
pub struct Caller {
    registry: RegistryUid,
    subject: Subject,
    rights: Arc<Rights>,
    proof: Proof,
    environment: Environment,
}

/// Whom a caller stands for.
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
    /// A user, a service principal or a managed identity; roles decide.
    Principal {
        /// Who it is.
        principal: Arc<Principal>,
        /// What logs call it: the application id, or the user name.
        name: Arc<str>,
        /// The generation of the credentials that it signed in with.
        generation: i64,
        /// What its roles counted for when it signed in.
        mode: Mode,
    },
    /// A token of the registry; its scope map decides.
    Token {
        /// Its row.
        id: i64,
        /// Its name.
        name: Arc<str>,
        /// The generation of the password that it signed in with.
        generation: i64,
        /// When that password ends, if ever.
        expires: Option<Timestamp>,
    },
}

/// How a caller proved who they are, and what that leaves them of their subject's rights.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Not at all.
    None,
    /// With a password. All of the subject's rights.
    Password,
    /// With a token of the token service. All of the subject's rights.
    PrincipalToken,
    /// With a refresh token. All of the subject's rights.
    RefreshToken,
    /// With an access token. Of the subject's rights those that the token lists.
    AccessToken { access: Arc<[Access]>, expires: Timestamp },
}

impl Subject {
    /// Whether the directory or the tokens of a registry decide if it is let in, and not the registry's row alone.
    pub(crate) fn is_looked_up(&self) -> bool {
        match self {
            Self::Anonymous | Self::Admin { .. } => false,
            Self::Principal { .. } | Self::Token { .. } => true,
        }
    }

    /// Whether the registry's row lets it in. Never, if it has to be looked up.
    pub(crate) fn is_let_in_by(&self, registry: &RegistryRow) -> bool {
        match self {
            Self::Anonymous => registry.anonymous_pull_enabled,
            // A node that has not heard of the newest change yet may meet a token of a newer generation than its row's.
            Self::Admin { generation, .. } => {
                registry.admin_user_enabled && *generation >= registry.credentials_generation
            }
            Self::Principal { .. } | Self::Token { .. } => false,
        }
    }
}

impl Caller {
    /// The one who calls without credentials. They have rights only if the registry allows anonymous pull.
    #[must_use]
    pub fn anonymous(registry: &RegistryRow) -> Self {
        let rights = if registry.anonymous_pull_enabled { &READ_EVERYTHING } else { &NOTHING };
        Self::new(registry.uid, Subject::Anonymous, (*rights).clone(), Proof::None)
    }

    /// A subject that was let in, with its rights in the registry.
    pub(crate) fn new(registry: RegistryUid, subject: Subject, rights: Arc<Rights>, proof: Proof) -> Self {
        let environment = Environment { now: Timestamp(0), is_private: false };
        Self { registry, subject, rights, proof, environment }
    }

    /// A subject of which the registry's row knows all that there is to know, as it stands there now. `None` if it is
    /// not let in (any more), and for those that have to be looked up.
    pub(crate) fn of_row(registry: &RegistryRow, subject: Subject, proof: Proof) -> Option<Self> {
        let rights = match &subject {
            Subject::Anonymous => &READ_EVERYTHING,
            Subject::Admin { .. } => &EVERYTHING,
            Subject::Principal { .. } | Subject::Token { .. } => &NOTHING,
        };
        subject.is_let_in_by(registry).then(|| Self::new(registry.uid, subject, (*rights).clone(), proof))
    }

    /// The same in a request of its own, where that makes a difference to the rights.
    pub(crate) fn at(self: Arc<Self>, environment: Environment) -> Arc<Self> {
        if self.rights.asks_environment() { Arc::new(Self { environment, ..(*self).clone() }) } else { self }
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

    /// What logs, the change log and webhooks call them: `anonymous`, an application id, or the name of a user or token.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.subject {
            Subject::Anonymous => "anonymous",
            Subject::Admin { name, .. } => name.as_str(),
            Subject::Principal { name, .. } | Subject::Token { name, .. } => name,
        }
    }

    /// Whether they call without having said who they are, with an anonymous access token or without any.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.subject == Subject::Anonymous
    }

    pub(crate) fn rights(&self) -> &Arc<Rights> {
        &self.rights
    }

    pub(crate) fn proof(&self) -> &Proof {
        &self.proof
    }

    pub(crate) fn environment(&self) -> Environment {
        self.environment
    }
}

static NOTHING: LazyLock<Arc<Rights>> = LazyLock::new(|| Arc::new(Rights::nothing()));
static READ_EVERYTHING: LazyLock<Arc<Rights>> = LazyLock::new(|| Arc::new(Rights::read_everything()));
static EVERYTHING: LazyLock<Arc<Rights>> = LazyLock::new(|| Arc::new(Rights::everything()));

/// Credentials as they came in.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// `Authorization: Bearer`: an access token, nothing else.
    Bearer(&'a str),
    /// `Authorization: Basic`, or the form's `username` and `password` (grant type `password`).
    Basic {
        /// The admin user's name, an application id, the name of a token of the registry, or [`crate::TOKEN_USER`].
        username: &'a str,
        /// The password or secret, or an access or refresh token if the user is [`crate::TOKEN_USER`].
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
