//! May they? The one door, for every plane.
//!
//! ```text
//! may(caller, action, kind, name)  =  the subject's rights in the registry now   (Rights)
//!                                  ∩  what the presented access token lists      (Proof::AccessToken)
//! ```
//!
//! A token never adds a right, it only leaves some out. So whoever loses a right loses it at once, whatever the tokens
//! in circulation say.

use wharf_metadata::RegistryRow;
use wharf_model::{Access, Action, ResourceKind, Scope};

use crate::caller::{Caller, Proof, Subject};

/// Whether the caller may do `action` to the resource of this `kind` and `name`.
///
/// Actions are the words of the token protocol and stand for themselves; [`Action::All`] asks for everything that can be
/// done to the resource. The catalog's only action is that one: `may(caller, Action::All, ResourceKind::Registry, "catalog")`.
///
/// Source: `acr/data-plane.md` 3.1 (which action an endpoint needs), 3.4 and 3.7 (who has them).
#[must_use]
pub fn may(caller: &Caller, action: Action, kind: ResourceKind, name: &str) -> bool {
    let listed = match caller.proof() {
        Proof::AccessToken { access, .. } => access.iter().any(|entry| entry.allows(kind, name, action)),
        Proof::None | Proof::Password | Proof::RefreshToken => true,
    };
    listed && caller.rights().allow(action, kind, name)
}

/// What a subject may do in a registry now. Role assignments and scope maps will be further variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Nothing at all.
    Nothing,
    /// Pull from and read attributes of every repository, and list them (`acr/data-plane.md` 3.7).
    ReadEverything,
    /// Everything, on all repositories, and the catalogs (`acr/data-plane.md` 3.4, "admin user").
    Everything,
}

impl Rights {
    /// The rights of a subject that signed in earlier, or `None` if it would not be let in now.
    pub(crate) fn of(registry: &RegistryRow, subject: &Subject) -> Option<Self> {
        match subject {
            Subject::Anonymous => registry.anonymous_pull_enabled.then_some(Self::ReadEverything),
            // A node that has not heard of the newest change yet may meet a token of a newer generation than its row's.
            Subject::Admin { generation, .. } => (registry.admin_user_enabled
                && *generation >= registry.credentials_generation)
                .then_some(Self::Everything),
        }
    }

    fn allow(&self, action: Action, kind: ResourceKind, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::ReadEverything => match kind {
                ResourceKind::Repository => matches!(action, Action::Pull | Action::MetadataRead),
                ResourceKind::Registry => name == "catalog" && action == Action::All,
                ResourceKind::ArtifactRepository => false,
            },
        }
    }
}

/// More scopes than a token can hold were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token can hold {most} scopes at most, and only as many as fit into its size", most = MOST_SCOPES)]
pub struct TooManyScopes;

/// What a new access token of this caller lists: of each scope that was asked for, what the caller may do.
///
/// Scopes of one resource are merged, in the order in which the resources came up first. A scope of which nothing may be
/// done stays with an empty list of actions, since asking for too much is no error and clients read `access[0].actions`
/// (`acr/data-plane.md` 3.3, 3.5). The name `*` is granted to those who have the action on every resource of the kind.
///
/// # Errors
/// When more than [`MOST_SCOPES`] resources are named.
pub(crate) fn grant(caller: &Caller, scopes: &[Scope]) -> Result<Vec<Access>, TooManyScopes> {
    let mut granted: Vec<Access> = Vec::with_capacity(scopes.len().min(MOST_SCOPES));
    for scope in scopes {
        let known = granted.iter().position(|entry| entry.kind == scope.kind && entry.name == scope.name);
        let position = known.unwrap_or(granted.len());
        if known.is_none() {
            if position == MOST_SCOPES {
                return Err(TooManyScopes);
            }
            granted.push(Access { kind: scope.kind, name: scope.name.clone(), actions: Vec::new() });
        }
        let entry = &mut granted[position];
        entry.actions.extend(allowed(caller, scope));
        entry.actions.sort_unstable();
        entry.actions.dedup();
        if entry.actions.contains(&Action::All) {
            entry.actions = vec![Action::All];
        }
    }
    Ok(granted)
}

/// The actions of a scope that the caller may do; whoever asks for all of them gets those that there are.
fn allowed(caller: &Caller, scope: &Scope) -> Vec<Action> {
    let may = |&action: &Action| may(caller, action, scope.kind, &scope.name);
    if scope.actions.contains(&Action::All) {
        if may(&Action::All) {
            return vec![Action::All];
        }
        return Action::EVERY.into_iter().filter(may).collect();
    }
    scope.actions.iter().copied().filter(may).collect()
}

/// How many resources one access token may list. What fits into a token is about as much (see `token`).
pub const MOST_SCOPES: usize = 100;
