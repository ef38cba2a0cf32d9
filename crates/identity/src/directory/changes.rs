//! Changes of any principal: renamed, switched, deleted.

use wharf_access::OWNER;
use wharf_metadata::directory::principals;
use wharf_metadata::{Connection, OwnedScopes, PrincipalRow, roles};
use wharf_model::{PrincipalId, PrincipalKind};

use super::error::DirectoryError;
use super::rules;
use crate::identity::Identity;

impl Identity {
    /// Changes what a principal is called, what is kept of it, and whether it may sign in. Switching it off ends every
    /// token that was issued to it. Its id, kind, application id and generation stay as they are, whatever `change` does.
    ///
    /// # Errors
    /// When there is no such principal, when `change` fails, when a value cannot be or somebody else has the user name, and
    /// when the last owner of something would be switched off.
    pub async fn update_principal(
        &self,
        id: PrincipalId,
        change: impl FnOnce(&mut PrincipalRow) -> Result<(), DirectoryError> + Send + 'static,
    ) -> Result<PrincipalRow, DirectoryError> {
        let now = self.parts().clock.now();
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    principals::lock(c, id).await?;
                    let old = get_principal(c, id).await?;
                    let mut new = old.clone();
                    change(&mut new)?;
                    rules::check_display_name(&new.display_name)?;
                    rules::check_properties(&new.properties)?;
                    if let Some(name) = &new.user_name {
                        rules::check_user_name(name)?;
                    }
                    new.updated_at = now;
                    let is_switched_off = old.is_enabled && !new.is_enabled;
                    let owned = if is_switched_off { Some(OwnedScopes::read(c, OWNER).await?) } else { None };
                    if !principals::update(c, &new).await? {
                        return Err(name_taken(new.user_name));
                    }
                    if let Some(owned) = owned {
                        principals::increment_generation(c, id).await?;
                        require_owner_left(c, &owned).await?;
                    }
                    get_principal(c, id).await
                })
            })
            .await
    }

    /// Deletes a user, a group or a service principal, with its credentials, memberships and role assignments. Every token
    /// that was issued to it ends.
    ///
    /// # Errors
    /// When there is no such principal, for managed identities, which go with the resource that they belong to, and for the
    /// last owner of something.
    pub async fn delete_principal(&self, id: PrincipalId) -> Result<(), DirectoryError> {
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    if get_principal(c, id).await?.kind == PrincipalKind::ManagedIdentity {
                        let reason = "is a managed identity, which is deleted with the resource that it belongs to";
                        return Err(DirectoryError::invalid("service principal", reason));
                    }
                    remove_unless_last_owner(c, id).await
                })
            })
            .await
    }
}

/// The principal with this id.
pub(crate) async fn get_principal(c: &mut Connection, id: PrincipalId) -> Result<PrincipalRow, DirectoryError> {
    principals::find(c, id).await?.ok_or_else(|| DirectoryError::not_found("principal", id))
}

/// The principal with this id, if it is of this kind.
pub(crate) async fn get_of_kind(
    c: &mut Connection,
    id: PrincipalId,
    kind: PrincipalKind,
) -> Result<PrincipalRow, DirectoryError> {
    let what = match kind {
        PrincipalKind::User => "user",
        PrincipalKind::Group => "group",
        PrincipalKind::ServicePrincipal => "service principal",
        PrincipalKind::ManagedIdentity => "managed identity",
    };
    let found = principals::find(c, id).await?.filter(|row| row.kind == kind);
    found.ok_or_else(|| DirectoryError::not_found(what, id))
}

/// Refuses to have taken the last owner away of a subscription or of everything. `owned` is what had an owner before.
pub(crate) async fn require_owner_left(c: &mut Connection, owned: &OwnedScopes) -> Result<(), DirectoryError> {
    let left = OwnedScopes::read(c, OWNER).await?;
    match owned.lost_by(&left) {
        Some(scope) => Err(DirectoryError::LastOwner { scope: scope.to_owned() }),
        None => Ok(()),
    }
}

/// Deletes a principal with everything that names it, unless something would have no owner then.
pub(crate) async fn remove_unless_last_owner(c: &mut Connection, id: PrincipalId) -> Result<(), DirectoryError> {
    principals::lock(c, id).await?;
    let owned = OwnedScopes::read(c, OWNER).await?;
    remove_principal(c, id).await?;
    require_owner_left(c, &owned).await
}

/// Deletes a principal with everything that names it.
pub(crate) async fn remove_principal(c: &mut Connection, id: PrincipalId) -> Result<(), wharf_metadata::Error> {
    roles::delete_of_principal(c, id).await?;
    principals::delete(c, id).await.map(drop)
}

pub(crate) fn name_taken(name: Option<String>) -> DirectoryError {
    DirectoryError::Taken { what: "userPrincipalName", value: name.unwrap_or_default() }
}
