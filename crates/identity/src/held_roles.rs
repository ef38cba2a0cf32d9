//! The roles that principals have, read from the database and kept while who may do what stays the same.
//!
//! ```text
//! principal ─► its groups (directory) ─┐
//! scope ─────► what it is in, up to /  ─┴─► one indexed query ─► Assignment ─► wharf_access decides
//! ```
//!
//! Nothing that a caller hands in is trusted to be up to date: the groups of a principal are asked for anew under the
//! version that the outcome is kept for. So a principal that was removed, switched off or taken out of a group loses what
//! came of it at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use tracing::warn;
use uuid::Uuid;
use wharf_access::{Assignment, Condition, Mode, Permission, Rights, RoleDefinition, find_built_in_role};
use wharf_metadata::{HeldRoleRow, RegistryRow, RoleAssignmentMode, roles};
use wharf_model::{PrincipalId, RegistryUid, ResourceId};

use crate::Error;
use crate::identity::Identity;

/// What was worked out last, each with the version of who may do what that it was worked out under.
pub(crate) struct HeldRoles {
    at: Cache<(PrincipalId, String), Known<Arc<[Assignment]>>>,
    anywhere: Cache<PrincipalId, Known<Arc<Everywhere>>>,
    rights: Cache<(PrincipalId, RegistryUid), (i64, Mode, Arc<Rights>)>,
}

/// Something with the version that it was worked out under.
type Known<T> = (i64, T);

/// All roles of a principal, by the keys of their scopes.
pub(crate) type Everywhere = HashMap<String, Vec<Assignment>>;

impl HeldRoles {
    pub(crate) fn new() -> Self {
        let weigher = |_: &PrincipalId, (_, roles): &Known<Arc<Everywhere>>| {
            u32::try_from(roles.len()).unwrap_or(u32::MAX).saturating_add(1)
        };
        Self {
            at: Cache::new(MOST_SCOPES),
            anywhere: Cache::builder().max_capacity(MOST_ROLES).weigher(weigher).build(),
            rights: Cache::new(MOST_RIGHTS),
        }
    }
}

impl Identity {
    /// The roles that count for a principal at a scope: its own and its groups', there and at all that the scope is in.
    pub(crate) async fn roles_at(&self, id: PrincipalId, scope: &ResourceId) -> Result<Arc<[Assignment]>, Error> {
        let parts = self.parts();
        // Before anything is read, so that nothing is kept longer than it holds.
        let version = parts.database.access_version().await?;
        let key = (id, scope.key().to_owned());
        if let Some((read_under, known)) = parts.held_roles.at.get(&key)
            && read_under == version
        {
            return Ok(known);
        }
        let known: Arc<[Assignment]> = self.read_roles(id, scope).await?.into();
        parts.held_roles.at.insert(key, (version, known.clone()));
        Ok(known)
    }

    /// All roles of a principal and of its groups.
    pub(crate) async fn roles_anywhere(&self, id: PrincipalId) -> Result<Arc<Everywhere>, Error> {
        let parts = self.parts();
        let version = parts.database.access_version().await?;
        if let Some((read_under, known)) = parts.held_roles.anywhere.get(&id)
            && read_under == version
        {
            return Ok(known);
        }
        let mut known = Everywhere::new();
        if let Some(principals) = self.principals_of(id).await? {
            let rows = parts
                .database
                .read(move |c| Box::pin(async move { roles::list_held_anywhere(c, &principals).await }))
                .await?;
            for row in rows {
                if let Some(assignment) = read_assignment(&row) {
                    known.entry(row.scope_key).or_default().push(assignment);
                }
            }
        }
        let known = Arc::new(known);
        parts.held_roles.anywhere.insert(id, (version, known.clone()));
        Ok(known)
    }

    /// What a principal may do in a registry, and the version of who may do what that this holds under.
    pub(crate) async fn rights_in(
        &self,
        id: PrincipalId,
        registry: &RegistryRow,
        version: i64,
    ) -> Result<Arc<Rights>, Error> {
        let mode = mode_of(registry);
        let cache = &self.parts().held_roles.rights;
        if let Some((read_under, known_mode, known)) = cache.get(&(id, registry.uid))
            && (read_under, known_mode) == (version, mode)
        {
            return Ok(known);
        }
        let assignments = self.read_roles(id, &registry.resource_id).await?;
        let rights = Arc::new(Rights::of_roles(mode, &assignments));
        cache.insert((id, registry.uid), (version, mode, rights.clone()));
        Ok(rights)
    }

    async fn read_roles(&self, id: PrincipalId, scope: &ResourceId) -> Result<Vec<Assignment>, Error> {
        let Some(principals) = self.principals_of(id).await? else { return Ok(Vec::new()) };
        let keys: Vec<String> = scope.scopes().map(|scope| scope.key().to_owned()).collect();
        let rows = self.parts().database.read(move |c| {
            Box::pin(async move {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                roles::list_held(c, &principals, &keys).await
            })
        });
        Ok(rows.await?.iter().filter_map(read_assignment).collect())
    }

    /// A principal and its groups; `None` when it is gone or switched off.
    async fn principals_of(&self, id: PrincipalId) -> Result<Option<Vec<PrincipalId>>, Error> {
        let Some(principal) = self.find_principal(id).await? else { return Ok(None) };
        let mut ids = Vec::with_capacity(1 + principal.groups.len());
        ids.push(principal.id);
        ids.extend_from_slice(&principal.groups);
        Ok(Some(ids))
    }
}

/// Which of its roles count in a registry.
pub(crate) fn mode_of(registry: &RegistryRow) -> Mode {
    match registry.settings.role_assignment_mode {
        RoleAssignmentMode::LegacyRegistryPermissions => Mode::Registry,
        RoleAssignmentMode::AbacRepositoryPermissions => Mode::Repository,
    }
}

/// `None` for what gives nothing: a role that does not exist any more or is not for the scope, or a condition that cannot
/// be read.
fn read_assignment(row: &HeldRoleRow) -> Option<Assignment> {
    let role = match find_built_in_role(row.role_id) {
        Some(role) => role.clone(),
        None => {
            let scopes = row.assignable_scopes.as_deref()?;
            let role = read_role(row.role_id, row.permissions.as_deref()?)?;
            // Who administers the scopes of a role decides what it allows, and so it allows nothing anywhere else.
            if !is_assignable(row, scopes) {
                return None;
            }
            Arc::new(role)
        }
    };
    let condition = match &row.condition {
        None => None,
        Some(text) => match text.parse::<Condition>() {
            Ok(condition) => Some(Arc::new(condition)),
            Err(error) => {
                warn!(
                    role_id = %row.role_id, scope = row.scope_key, error = &error as &dyn std::error::Error,
                    "Ignored a role assignment at {}, whose condition cannot be read", row.scope_key
                );
                return None;
            }
        },
    };
    Some(Assignment { role, condition })
}

/// Whether the scope of an assignment is in one of those that its role is for, which are given as JSON.
fn is_assignable(row: &HeldRoleRow, scopes: &str) -> bool {
    let (id, at) = (row.role_id, &row.scope_key);
    match serde_json::from_str::<Vec<ResourceId>>(scopes) {
        Ok(scopes) if scopes.iter().any(|scope| is_in(at, scope.key())) => true,
        Ok(_) => {
            warn!(role_id = %id, scope = at, "Ignored an assignment of the role {id} at {at}, which is not in its assignableScopes");
            false
        }
        Err(error) => {
            warn!(role_id = %id, error = &error as &dyn std::error::Error, "Ignored the role {id}, whose scopes cannot be read");
            false
        }
    }
}

/// Whether one key of a scope names what the other names, or something in it.
pub(crate) fn is_in(inner: &str, outer: &str) -> bool {
    outer == "/" || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn read_role(id: Uuid, permissions: &str) -> Option<RoleDefinition> {
    match serde_json::from_str::<Vec<Permission>>(permissions) {
        Ok(permissions) => {
            Some(RoleDefinition { id, name: "".into(), description: "".into(), is_built_in: false, permissions })
        }
        Err(error) => {
            warn!(role_id = %id, error = &error as &dyn std::error::Error, "Ignored the role {id}, whose permissions cannot be read");
            None
        }
    }
}

impl fmt::Debug for HeldRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldRoles").field("rights", &self.rights.entry_count()).finish_non_exhaustive()
    }
}

/// Pairs of a principal and a scope whose roles are kept.
const MOST_SCOPES: u64 = 20_000;
/// Roles that are kept for principals whose roles were all asked for.
const MOST_ROLES: u64 = 200_000;
/// Pairs of a principal and a registry whose rights are kept.
const MOST_RIGHTS: u64 = 50_000;
