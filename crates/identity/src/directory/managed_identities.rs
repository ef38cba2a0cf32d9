//! Managed identities: principals that belong to a resource, come and go with it, and whose secrets nobody holds.
//!
//! The resource's row and the principal stand or fall together, so these functions run in the transaction that writes
//! the resource ([`wharf_metadata::Database::write_access`]).

use uuid::Uuid;
use wharf_metadata::directory::{Properties, principals};
use wharf_metadata::{Connection, PrincipalRow};
use wharf_model::{PrincipalId, PrincipalKind, ResourceId, Timestamp};

use super::changes::remove_principal;
use crate::Error;
use crate::identity::Identity;

/// A managed identity to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewManagedIdentity<'a> {
    /// What people call it: the name of its resource.
    pub name: &'a str,
    /// The tenant that it will be in.
    pub tenant_id: Uuid,
    /// The resource that it belongs to.
    pub resource_id: &'a ResourceId,
    /// When.
    pub now: Timestamp,
}

/// A managed identity, as its resource shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// The object id, which role assignments name.
    pub principal_id: PrincipalId,
    /// The application (client) id.
    pub client_id: Uuid,
    /// The tenant that it is in.
    pub tenant_id: Uuid,
}

impl Identity {
    /// Creates the principal of a managed identity, in the caller's transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_managed_identity(
        &self,
        c: &mut Connection,
        new: &NewManagedIdentity<'_>,
    ) -> Result<ManagedIdentity, Error> {
        let identity = ManagedIdentity {
            principal_id: PrincipalId(Uuid::new_v4()),
            client_id: Uuid::new_v4(),
            tenant_id: new.tenant_id,
        };
        let row = PrincipalRow {
            id: identity.principal_id,
            kind: PrincipalKind::ManagedIdentity,
            tenant_id: new.tenant_id,
            display_name: new.name.to_owned(),
            user_name: None,
            app_id: Some(identity.client_id),
            resource_id: Some(new.resource_id.clone()),
            is_enabled: true,
            generation: 1,
            properties: Properties::new(),
            created_at: new.now,
            updated_at: new.now,
        };
        principals::insert(c, &row).await?;
        Ok(identity)
    }

    /// Deletes the principal of a managed identity with its memberships and role assignments, in the caller's transaction.
    /// Every token that was issued to it ends. An id that is not known, or of another kind of principal, is no error:
    /// nothing is done then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_managed_identity(&self, c: &mut Connection, id: PrincipalId) -> Result<(), Error> {
        let found = principals::find(c, id).await?;
        if found.is_some_and(|row| row.kind == PrincipalKind::ManagedIdentity) {
            remove_principal(c, id).await?;
        }
        Ok(())
    }
}
