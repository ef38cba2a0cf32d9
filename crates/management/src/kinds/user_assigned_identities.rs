//! `Microsoft.ManagedIdentity/userAssignedIdentities`: service principals whose secrets nobody holds. The principal is
//! made and removed with the resource, in the same transaction.

use async_trait::async_trait;
use serde_json::{Value, json};
use wharf_arm::{ArmError, Code, versions};
use wharf_identity::NewManagedIdentity;
use wharf_metadata::Connection;
use wharf_model::PrincipalId;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{About, Access, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape};

/// The kind.
#[derive(Debug)]
pub(crate) struct UserAssignedIdentities;

static ABOUT: About = About {
    namespace: "Microsoft.ManagedIdentity",
    path: "userAssignedIdentities",
    summary: "Managed identities that stand on their own",
    versions: versions::MANAGED_IDENTITY,
    operations: "Microsoft.ManagedIdentity/userAssignedIdentities",
    place: Place::Group,
    is_tracked: true,
    patch: true,
    changes_access: true,
    check_name,
    actions: &[],
    properties: &[
        Property { path: TENANT_ID, shape: Shape::Text, access: Access::Shown },
        Property { path: PRINCIPAL_ID, shape: Shape::Text, access: Access::Shown },
        Property { path: CLIENT_ID, shape: Shape::Text, access: Access::Shown },
    ],
};

#[async_trait]
impl Kind for UserAssignedIdentities {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        // There is nothing to be set but location and tags.
        if let Some(old) = ask.old {
            draft.properties = old.properties.clone();
        }
        Ok(())
    }

    async fn admit(&self, cx: &Cx, _ask: &Ask<'_>) -> Result<(), Failure> {
        // Looked up here, so that the transaction need not.
        cx.management.tenant_id().await.map(drop)
    }

    async fn write(
        &self,
        c: &mut Connection,
        cx: &Cx,
        old: Option<&Resource>,
        new: &mut Resource,
    ) -> Result<(), Failure> {
        if old.is_some() {
            return Ok(());
        }
        let tenant_id = cx.management.tenant_id().await?;
        let name = new.id.name().unwrap_or_default();
        let wanted = NewManagedIdentity { name, tenant_id, resource_id: &new.id, now: cx.now };
        let made = cx.identity().create_managed_identity(c, &wanted).await?;
        for (member, value) in [
            (TENANT_ID, json!(made.tenant_id)),
            (PRINCIPAL_ID, json!(made.principal_id)),
            (CLIENT_ID, json!(made.client_id)),
        ] {
            new.properties.insert(member.to_owned(), value);
        }
        Ok(())
    }

    async fn remove(&self, c: &mut Connection, cx: &Cx, resource: &Resource) -> Result<Removal, Failure> {
        let id =
            resource.properties.get(PRINCIPAL_ID).and_then(Value::as_str).and_then(|id| id.parse::<PrincipalId>().ok());
        if let Some(id) = id {
            cx.identity().delete_managed_identity(c, id).await?;
        }
        Ok(Removal::Done)
    }
}

/// Source: Azure, "Naming rules and restrictions for Azure resources".
fn check_name(name: &str) -> Result<(), ArmError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if (3..=128).contains(&name.len()) && name.chars().all(is_plain) && begins_well {
        return Ok(());
    }
    let text = "The name of a managed identity has 3 to 128 letters, digits, hyphens and underscores, and begins with a letter or digit.";
    Err(ArmError::new(Code::InvalidResourceName, text))
}

const TENANT_ID: &str = "tenantId";
const PRINCIPAL_ID: &str = "principalId";
const CLIENT_ID: &str = "clientId";
