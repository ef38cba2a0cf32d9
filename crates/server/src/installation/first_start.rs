//! The first start: what it makes, step by step.

use anyhow::{Context as _, anyhow};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};
use wharf_identity::directory::{NewClient, NewSecret, SecretEnd};
use wharf_identity::{DirectoryError, Identity, PasswordName, Random as _, SealingKey, SystemRandom};
use wharf_management::{Actor, Management};
use wharf_metadata::roles::{self, RoleAssignmentRow};
use wharf_metadata::subscriptions::{self, SubscriptionRow, TenantRow};
use wharf_metadata::{Connection, Database, settings};
use wharf_model::{PrincipalKind, ResourceId, Timestamp};

use super::{IDS, Installation, InstallationIds, OWNER_SECRET, Presets, UPLOAD_STATE_KEY};
use crate::config::Domain;
use crate::hosts::DEFAULT_REGISTRY;

impl Installation {
    /// Makes the installation in one transaction, unless another node has. Load it afterwards.
    ///
    /// # Errors
    /// When a preset cannot be used or the database fails.
    pub(crate) async fn create(
        database: &Database,
        identity: &Identity,
        sealing: &std::sync::Arc<SealingKey>,
        presets: &Presets,
        domain: &Domain,
        now: Timestamp,
    ) -> Result<(), anyhow::Error> {
        let ids =
            InstallationIds { tenant_id: Uuid::new_v4(), subscription_id: Uuid::new_v4(), client_id: Uuid::new_v4() };
        let mut key = [0; 32];
        SystemRandom.fill(&mut key);
        let key = sealing.seal(UPLOAD_STATE_KEY, &key);
        let secret = NewSecret {
            display_name: Some("first start".to_owned()),
            ends: SecretEnd::Never,
            chosen: presets.owner_secret.clone(),
            ..NewSecret::default()
        };
        let owner = NewClient {
            tenant_id: ids.tenant_id,
            display_name: OWNER_NAME.to_owned(),
            app_id: Some(ids.client_id),
            secret: Some(secret),
            now,
        };
        let tenant = TenantRow {
            id: ids.tenant_id,
            display_name: DEFAULT_NAME.to_owned(),
            default_domain: domain.to_string(),
            created_at: now,
        };
        let subscription = SubscriptionRow {
            id: ids.subscription_id,
            tenant_id: ids.tenant_id,
            display_name: DEFAULT_NAME.to_owned(),
            created_at: now,
        };
        let ids = serde_json::to_vec(&ids).context("ids always serialise")?;
        let (identity, sealing) = (identity.clone(), sealing.clone());
        let created: Result<(), DirectoryError> = database
            .write_access(move |c| {
                Box::pin(async move {
                    // Of several nodes that start together on one database, the first to write this row makes the rest.
                    if settings::put_if_absent(c, IDS, &ids).await? != ids {
                        return Ok(());
                    }
                    settings::put(c, UPLOAD_STATE_KEY, &key).await?;
                    subscriptions::insert_tenant(c, &tenant).await?;
                    subscriptions::insert(c, &subscription).await?;
                    let owner = identity.create_client(c, owner).await?;
                    if let Some((_, text)) = &owner.secret {
                        let sealed = sealing.seal(OWNER_SECRET, text.expose_secret().as_bytes());
                        settings::put(c, OWNER_SECRET, &sealed).await?;
                    }
                    make_owner(c, &owner.principal, now).await?;
                    Ok(())
                })
            })
            .await;
        created.context("cannot make the tenant, the subscription and the owner; WHARF_OWNER_SECRET may not be usable")
    }
}

impl Installation {
    /// Makes the resource group `default` and the default registry in it, unless an earlier start has.
    ///
    /// # Errors
    /// When a preset cannot be used or the database fails.
    pub(crate) async fn furnish(&self, management: &Management, presets: &Presets) -> Result<(), anyhow::Error> {
        if self.is_furnished {
            return Ok(());
        }
        let cx = management.cx(Actor::Operator);
        let put = async |id: String, body: Value| -> Result<(), anyhow::Error> {
            let id: ResourceId = id.parse().expect("ids of groups and registries are ids of resources");
            let Value::Object(body) = body else { return Ok(()) };
            match management.put(&cx, &id, body).await {
                Ok(_) => Ok(()),
                Err(failure) => Err(anyhow!("{failure}").context(format!("cannot make {id}"))),
            }
        };
        let group = format!("/subscriptions/{}/resourceGroups/{DEFAULT_NAME}", self.ids.subscription_id);
        let registry = format!("{group}/providers/Microsoft.ContainerRegistry/registries/{DEFAULT_REGISTRY}");
        put(group, json!({"location": LOCATION})).await?;
        let properties = json!({"adminUserEnabled": true});
        put(registry, json!({"location": LOCATION, "sku": {"name": "Premium"}, "properties": properties})).await?;
        if let Some(password) = &presets.admin_password {
            let name = DEFAULT_REGISTRY.parse().expect("the default registry's name is a registry's name");
            let row =
                management.artifacts().find_registry(&name).await.context("cannot look up the default registry")?;
            let row = row.context("the default registry is gone again")?;
            let set = management.identity().set_password(&row, PasswordName::Password, password.clone(), "system");
            set.await.context("WHARF_ADMIN_PASSWORD cannot be used")?;
            management.artifacts().forget_registry(&name);
        }
        Self::set_furnished(management.database()).await
    }
}

/// Gives a principal the role Owner on everything.
async fn make_owner(
    c: &mut Connection,
    owner: &wharf_metadata::directory::PrincipalRow,
    now: Timestamp,
) -> Result<(), wharf_metadata::Error> {
    let assignment = RoleAssignmentRow {
        id: Uuid::new_v4(),
        scope: ResourceId::root(),
        principal_id: owner.id,
        principal_type: PrincipalKind::ServicePrincipal.assignment_word().to_owned(),
        role_id: OWNER_ROLE,
        condition: None,
        condition_version: None,
        description: Some("Made by the first start.".to_owned()),
        created_at: now,
        updated_at: now,
        created_by: String::new(),
        updated_by: String::new(),
    };
    roles::insert_assignment(c, &assignment).await?;
    Ok(())
}

/// What the tenant and the subscription are called, as the resource group is.
const DEFAULT_NAME: &str = "default";

/// Where the resource group and the registry are said to be.
const LOCATION: &str = "eastus";

/// What the owner service principal is called.
const OWNER_NAME: &str = "Wharf owner";

/// The built-in role Owner (`acr/semantics.md` 3).
const OWNER_ROLE: Uuid = uuid!("8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
