//! Role definitions: what a role allows, on the management plane and on the data plane.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::built_in::BUILT_IN;
use crate::operation::covers;

/// A role: its permissions under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDefinition {
    /// The name of its resource, and what assignments refer to.
    pub id: Uuid,
    /// What people call it.
    pub name: Cow<'static, str>,
    /// What it is for.
    pub description: Cow<'static, str>,
    /// Whether it came with the product.
    pub is_built_in: bool,
    /// What it allows: what any of these does.
    pub permissions: Vec<Permission>,
}

/// One entry of a role's `permissions`. What it excludes does not take away what another entry or another role allows.
///
/// Source: `acr/control-plane.md` 5, `roleDefinitions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Permission {
    /// Patterns of operations on the management plane.
    pub actions: Vec<Cow<'static, str>>,
    /// Patterns of those that are excepted.
    pub not_actions: Vec<Cow<'static, str>>,
    /// Patterns of operations on the data plane.
    pub data_actions: Vec<Cow<'static, str>>,
    /// Patterns of those that are excepted.
    pub not_data_actions: Vec<Cow<'static, str>>,
}

/// On which side an operation is: `actions` say nothing of operations in `dataActions`, nor the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// What `actions` and `notActions` speak of.
    Action,
    /// What `dataActions` and `notDataActions` speak of.
    DataAction,
}

impl Permission {
    fn allows(&self, side: Side, operation: &str) -> bool {
        let (allowed, excepted) = match side {
            Side::Action => (&self.actions, &self.not_actions),
            Side::DataAction => (&self.data_actions, &self.not_data_actions),
        };
        let any = |patterns: &[Cow<'static, str>]| patterns.iter().any(|pattern| covers(pattern, operation));
        any(allowed) && !any(excepted)
    }
}

impl RoleDefinition {
    /// Whether the role allows an operation.
    #[must_use]
    pub fn allows(&self, side: Side, operation: &str) -> bool {
        self.permissions.iter().any(|permission| permission.allows(side, operation))
    }
}

/// The role of those who may do everything, and let others.
pub const OWNER: Uuid = uuid::uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635");

/// The roles that come with the product, in the order of their names.
#[must_use]
pub fn built_in_roles() -> &'static [Arc<RoleDefinition>] {
    static ROLES: LazyLock<Vec<Arc<RoleDefinition>>> = LazyLock::new(|| {
        let mut roles: Vec<_> = BUILT_IN.iter().map(|row| Arc::new(row.definition())).collect();
        roles.sort_by(|a, b| a.name.cmp(&b.name));
        roles
    });
    &ROLES
}

/// The role with this id, if it came with the product.
#[must_use]
pub fn find_built_in_role(id: Uuid) -> Option<&'static Arc<RoleDefinition>> {
    built_in_roles().iter().find(|role| role.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> &'static RoleDefinition {
        built_in_roles().iter().find(|role| role.name == name).unwrap()
    }

    fn may(name: &str, operation: &str) -> bool {
        role(name).allows(Side::Action, operation)
    }

    const WRITE: &str = "Microsoft.ContainerRegistry/registries/write";
    const ASSIGN: &str = "Microsoft.Authorization/roleAssignments/write";

    #[test]
    fn the_three_general_roles() {
        assert!(may("Owner", WRITE) && may("Owner", ASSIGN) && may("Owner", "any.thing/at/all"));
        assert!(may("Contributor", WRITE) && !may("Contributor", ASSIGN));
        assert!(!may("Contributor", "microsoft.authorization/roleassignments/DELETE"));
        assert!(may("Contributor", "Microsoft.Authorization/roleAssignments/read"));
        assert!(may("Reader", "Microsoft.ContainerRegistry/registries/read") && !may("Reader", WRITE));
        assert!(!may("Reader", "Microsoft.ContainerRegistry/registries/listCredentials/action"));
    }

    #[test]
    fn access_is_handed_out_by_those_roles_that_say_so() {
        let who = |operation: &str| {
            let roles = built_in_roles().iter().filter(|role| role.allows(Side::Action, operation));
            roles.map(|role| &*role.name).collect::<Vec<_>>()
        };
        assert_eq!(who(ASSIGN), ["Owner", "Role Based Access Control Administrator", "User Access Administrator"]);
        assert_eq!(who("Microsoft.Authorization/roleDefinitions/write"), ["Owner", "User Access Administrator"]);
    }

    #[test]
    fn actions_and_data_actions_are_two_worlds() {
        const CONTENT: &str = "Microsoft.ContainerRegistry/registries/repositories/content/read";
        assert!(!role("Owner").allows(Side::DataAction, CONTENT));
        assert!(role("Container Registry Repository Reader").allows(Side::DataAction, CONTENT));
        assert!(!role("Container Registry Repository Reader").allows(Side::Action, CONTENT));
    }

    #[test]
    fn an_exception_excepts_from_its_own_entry_alone() {
        let entry = |actions: &[&'static str], not_actions: &[&'static str]| Permission {
            actions: actions.iter().map(|&text| text.into()).collect(),
            not_actions: not_actions.iter().map(|&text| text.into()).collect(),
            ..Permission::default()
        };
        let mut role = (*role("Reader")).clone();
        role.permissions = vec![entry(&["*"], &["*/delete"]), entry(&["a/delete"], &[])];
        assert!(role.allows(Side::Action, "a/read") && role.allows(Side::Action, "a/delete"));
        assert!(!role.allows(Side::Action, "b/delete"));
    }

    #[test]
    fn ids_and_names_are_unique() {
        let mut ids: Vec<_> = built_in_roles().iter().map(|role| role.id).collect();
        let mut names: Vec<_> = built_in_roles().iter().map(|role| role.name.to_lowercase()).collect();
        ids.sort_unstable();
        ids.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!((ids.len(), names.len()), (BUILT_IN.len(), BUILT_IN.len()));
        assert!(built_in_roles().iter().all(|role| !role.description.is_empty() && !role.permissions.is_empty()));
        assert_eq!(find_built_in_role(OWNER).map(|role| &*role.name), Some("Owner"));
        assert!(find_built_in_role(ids[0]).is_some() && find_built_in_role(Uuid::nil()).is_none());
    }
}
