//! Principals as they are known when a request is answered.

use uuid::Uuid;
use wharf_model::{PrincipalId, PrincipalKind};

/// Who signed in: a user, a service principal or a managed identity, with the groups that count for it.
///
/// Read from the database under one version of who may do what; a later version asks for a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its object id.
    pub id: PrincipalId,
    /// What it is; never a group.
    pub kind: PrincipalKind,
    /// The tenant that it is in.
    pub tenant_id: Uuid,
    /// The application (client) id; users have none.
    pub app_id: Option<Uuid>,
    /// The user principal name, or the display name.
    pub name: String,
    /// The groups that it is in, directly or through other groups.
    pub groups: Vec<PrincipalId>,
}

impl Principal {
    /// The name that it signs in by, and that logs know it by: the application id, or the user principal name.
    #[must_use]
    pub fn account(&self) -> String {
        self.app_id.map_or_else(|| self.name.clone(), |id| id.to_string())
    }
}
