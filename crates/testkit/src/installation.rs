//! What the first start of a real server makes: tenant, subscription, owner, resource group.

use serde_json::json;
use uuid::Uuid;
use wharf_identity::DirectoryError;
use wharf_identity::directory::{NewClient, NewSecret, SecretEnd};
use wharf_management::{Actor, Management};
use wharf_metadata::roles::{self, RoleAssignmentRow};
use wharf_metadata::subscriptions::{self, SubscriptionRow, TenantRow};
use wharf_model::{PrincipalId, ResourceId, Timestamp};

pub(crate) const TENANT: &str = "00000000-0000-4000-8000-00000000000a";
pub(crate) const SUBSCRIPTION: &str = "00000000-0000-4000-8000-00000000000b";
pub(crate) const OWNER: &str = "00000000-0000-4000-8000-00000000000c";
pub(crate) const OWNER_SECRET: &str = "owner-secret-of-tests";
pub(crate) const GROUP: &str = "/subscriptions/00000000-0000-4000-8000-00000000000b/resourceGroups/default";

/// Makes it, and returns the owner's object id.
pub(crate) async fn create(management: &Management, now: Timestamp) -> PrincipalId {
    let id = |text: &str| -> Uuid { text.parse().expect("constants are ids") };
    let tenant = TenantRow {
        id: id(TENANT),
        display_name: "default".to_owned(),
        default_domain: "example.com".to_owned(),
        created_at: now,
    };
    let subscription = SubscriptionRow {
        id: id(SUBSCRIPTION),
        tenant_id: id(TENANT),
        display_name: "default".to_owned(),
        created_at: now,
    };
    let secret = NewSecret { ends: SecretEnd::Never, chosen: Some(OWNER_SECRET.into()), ..NewSecret::default() };
    let client = NewClient {
        tenant_id: id(TENANT),
        display_name: "owner".to_owned(),
        app_id: Some(id(OWNER)),
        secret: Some(secret),
        now,
    };
    let identity = management.identity().clone();
    let made: Result<PrincipalId, DirectoryError> = management
        .database()
        .write_access(move |c| {
            Box::pin(async move {
                subscriptions::insert_tenant(c, &tenant).await?;
                subscriptions::insert(c, &subscription).await?;
                let owner = identity.create_client(c, client).await?.principal.id;
                roles::insert_assignment(c, &owner_of_everything(owner, now)).await?;
                Ok(owner)
            })
        })
        .await;
    let owner = made.expect("an installation can be made");
    let group: ResourceId = GROUP.parse().expect("the constant is an id");
    let body = json!({"location": "eastus"}).as_object().cloned().unwrap_or_default();
    management.put(&management.cx(Actor::Operator), &group, body).await.expect("a group can be made");
    owner
}

fn owner_of_everything(principal_id: PrincipalId, now: Timestamp) -> RoleAssignmentRow {
    RoleAssignmentRow {
        id: Uuid::from_u128(1),
        scope: ResourceId::root(),
        principal_id,
        principal_type: "ServicePrincipal".to_owned(),
        role_id: uuid::uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
        condition: None,
        condition_version: None,
        description: None,
        created_at: now,
        updated_at: now,
        created_by: String::new(),
        updated_by: String::new(),
    }
}
