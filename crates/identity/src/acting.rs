//! May a principal do this? Asked by the management plane, and by whoever acts for a principal.

use std::sync::Arc;

use wharf_access::{
    AssignmentAttributes, Attributes, Environment, RoleDefinition, Side, may_act, may_act_unconditionally, may_assign,
};
use wharf_model::ResourceId;

use crate::held_roles::{Everywhere, is_in};
use crate::identity::Identity;
use crate::{Error, Principal};

impl Identity {
    /// Whether a principal may do `operation`, such as `Microsoft.ContainerRegistry/registries/write`, to what `scope`
    /// names: by a role of its own or of one of its groups, there or at something that the scope is in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_act(&self, principal: &Principal, operation: &str, scope: &ResourceId) -> Result<bool, Error> {
        let roles = self.roles_at(principal.id, scope).await?;
        Ok(may_act(&roles, operation, &Attributes { environment: Some(self.environment()), ..Attributes::default() }))
    }

    /// Whether a principal may do `operation` to what `scope` names whatever it is about: by a role without a condition.
    /// Who may assign some roles to some principals may not assign every role; this asks for the latter.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_act_unconditionally(
        &self,
        principal: &Principal,
        operation: &str,
        scope: &ResourceId,
    ) -> Result<bool, Error> {
        let roles = self.roles_at(principal.id, scope).await?;
        Ok(may_act_unconditionally(&roles, operation))
    }

    /// Whether a principal may do an operation of the data plane, such as
    /// `Microsoft.ContainerRegistry/registries/repositories/content/read`, to what `scope` names, and there to the
    /// repository with this name.
    ///
    /// This is what roles say of `dataActions`; what they come to in a registry also depends on its mode, and is asked
    /// for by [`crate::may`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_act_on_data(
        &self,
        principal: &Principal,
        operation: &str,
        scope: &ResourceId,
        repository: Option<&str>,
    ) -> Result<bool, Error> {
        let roles = self.roles_at(principal.id, scope).await?;
        let attributes = Attributes { repository, environment: Some(self.environment()), ..Attributes::default() };
        Ok(roles.iter().any(|assignment| assignment.allows(Side::DataAction, operation, &attributes)))
    }

    /// Whether a principal may make a role assignment, change it or delete it: `requested` is the assignment as it is to
    /// be, `existing` as it is. `operation` is `Microsoft.Authorization/roleAssignments/write` or `…/delete`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_assign(
        &self,
        principal: &Principal,
        operation: &str,
        scope: &ResourceId,
        requested: Option<AssignmentAttributes<'_>>,
        existing: Option<AssignmentAttributes<'_>>,
    ) -> Result<bool, Error> {
        let roles = self.roles_at(principal.id, scope).await?;
        Ok(may_assign(&roles, operation, requested, existing, self.environment()))
    }

    /// Where a principal may do `operation`: to be asked of many scopes, without going to the database for each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reach(&self, principal: &Principal, operation: &str) -> Result<Reach, Error> {
        let roles = self.roles_anywhere(principal.id).await?;
        Ok(Reach { roles, operation: operation.into(), environment: self.environment() })
    }

    /// Whether a principal has any role at the scope, at something in it, or at something that it is in. Whoever has none
    /// is not told that the scope exists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sees(&self, principal: &Principal, scope: &ResourceId) -> Result<bool, Error> {
        let roles = self.roles_anywhere(principal.id).await?;
        Ok(roles.keys().any(|key| is_in(key, scope.key()) || is_in(scope.key(), key)))
    }

    /// The roles that a principal has at a scope, with what it is in: what it is told of its own permissions there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_roles(
        &self,
        principal: &Principal,
        scope: &ResourceId,
    ) -> Result<Vec<Arc<RoleDefinition>>, Error> {
        let roles = self.roles_at(principal.id, scope).await?;
        Ok(roles.iter().map(|assignment| assignment.role.clone()).collect())
    }

    /// The time, and no private endpoint: the management plane has none.
    fn environment(&self) -> Environment {
        Environment { now: self.parts().clock.now(), is_private: false }
    }
}

/// Where a principal may do something, as of the moment that it was asked for.
#[derive(Clone, Debug)]
pub struct Reach {
    roles: Arc<Everywhere>,
    operation: Box<str>,
    environment: Environment,
}

impl Reach {
    /// Whether it may there.
    #[must_use]
    pub fn covers(&self, scope: &ResourceId) -> bool {
        let key = scope.key();
        let allows = |key: &str| self.allows(key);
        // Every scope that this one is in has a key that this one's begins with, up to a slash.
        allows("/")
            || key.len() > 1 && allows(key)
            || key.match_indices('/').skip(1).any(|(slash, _)| allows(&key[..slash]))
    }

    /// Whether it may at the scope, or at anything in it. Costs what the principal has roles.
    #[must_use]
    pub fn enters(&self, scope: &ResourceId) -> bool {
        let is_inside =
            |key: &str| key.strip_prefix(scope.key().trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        self.covers(scope) || self.roles.keys().any(|key| is_inside(key) && self.allows(key))
    }

    /// Whether the roles at just this scope allow it.
    fn allows(&self, key: &str) -> bool {
        let attributes = Attributes { environment: Some(self.environment), ..Attributes::default() };
        self.roles.get(key).is_some_and(|roles| may_act(roles, &self.operation, &attributes))
    }
}
