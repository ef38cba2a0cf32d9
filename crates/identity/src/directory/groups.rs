//! Groups: created, and who is in them.

use uuid::Uuid;
use wharf_access::OWNER;
use wharf_metadata::directory::{Properties, groups, owners, principals};
use wharf_metadata::{OwnedScopes, PrincipalRow};
use wharf_model::{PrincipalId, PrincipalKind};

use super::changes::{get_of_kind, get_principal, require_owner_left};
use super::error::DirectoryError;
use super::rules;
use crate::identity::Identity;

/// A group to be created.
#[derive(Debug)]
pub struct NewGroup {
    /// The tenant that it will be in.
    pub tenant_id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// What Graph keeps of it beside.
    pub properties: Properties,
    /// Who owns it.
    pub owners: Vec<PrincipalId>,
    /// Who is in it.
    pub members: Vec<PrincipalId>,
}

impl Identity {
    /// Creates a group. Several may have the same name.
    ///
    /// # Errors
    /// When a value cannot be, or an owner or member does not exist.
    pub async fn create_group(&self, new: NewGroup) -> Result<PrincipalRow, DirectoryError> {
        rules::check_display_name(&new.display_name)?;
        rules::check_properties(&new.properties)?;
        let now = self.parts().clock.now();
        let row = PrincipalRow {
            id: PrincipalId(Uuid::new_v4()),
            kind: PrincipalKind::Group,
            tenant_id: new.tenant_id,
            display_name: new.display_name,
            user_name: None,
            app_id: None,
            resource_id: None,
            is_enabled: true,
            generation: 1,
            properties: new.properties,
            created_at: now,
            updated_at: now,
        };
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    principals::insert(c, &row).await?;
                    for owner in new.owners {
                        get_principal(c, owner).await?;
                        owners::add(c, row.id.0, owner).await?;
                    }
                    for member in new.members {
                        get_principal(c, member).await?;
                        groups::add_member(c, row.id, member).await?;
                    }
                    Ok(row)
                })
            })
            .await
    }

    /// Puts a user, a service principal, a managed identity or another group into a group. Returns `false` when it is in
    /// it already.
    ///
    /// # Errors
    /// When there is no such group or principal, and when the group would be in itself.
    pub async fn add_group_member(&self, group: PrincipalId, member: PrincipalId) -> Result<bool, DirectoryError> {
        if group == member {
            return Err(DirectoryError::invalid("member", "is the group itself"));
        }
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    get_of_kind(c, group, PrincipalKind::Group).await?;
                    get_principal(c, member).await?;
                    Ok(groups::add_member(c, group, member).await?)
                })
            })
            .await
    }

    /// Takes a principal out of a group. What it could do by way of the group ends at once. Returns `false` when it was
    /// not in it.
    ///
    /// # Errors
    /// When there is no such group, and when it would leave something without an owner.
    pub async fn remove_group_member(&self, group: PrincipalId, member: PrincipalId) -> Result<bool, DirectoryError> {
        self.parts()
            .database
            .write_access(move |c| {
                Box::pin(async move {
                    get_of_kind(c, group, PrincipalKind::Group).await?;
                    let owned = OwnedScopes::read(c, OWNER).await?;
                    let removed = groups::remove_member(c, group, member).await?;
                    require_owner_left(c, &owned).await?;
                    Ok(removed)
                })
            })
            .await
    }
}
