//! What templates can learn of their surroundings: `resourceGroup()`, `subscription()`, `environment()` …

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;
use wharf_arm::ArmError;
use wharf_arm::template::{Environment, Mode, Template};
use wharf_metadata::subscriptions;
use wharf_model::ResourceId;

use crate::cx::{Actor, Cx};
use crate::failure::Failure;

/// What a deployment is told that deploys a template to a scope.
///
/// # Errors
/// When the scope is not there.
pub(super) async fn of(
    cx: &Cx,
    id: &ResourceId,
    location: Option<&str>,
    mode: Mode,
    template: &Template,
) -> Result<Environment, Failure> {
    let scope = id.parent().unwrap_or_else(ResourceId::root);
    let subscription = subscription(cx, &scope).await?;
    let resource_group = match scope.resource_group_name() {
        Some(_) => Some(resource_group(cx, &scope).await?),
        None => None,
    };
    let source = template.source();
    let mut deployment = json!({
        "name": id.name(),
        "properties": {
            "template": {"$schema": source["$schema"], "contentVersion": source["contentVersion"]},
            "templateHash": template.hash(),
            "mode": mode.as_str(),
            "provisioningState": "Accepted",
        },
    });
    if let Some(location) = location {
        deployment["location"] = json!(location);
    }
    Ok(Environment {
        scope,
        deployment,
        resource_group,
        tenant: json!({"tenantId": subscription["tenantId"], "countryCode": "", "displayName": ""}),
        subscription,
        environment: cloud(cx),
        deployer: deployer(cx).await?,
        now: cx.now,
        new_guid: Arc::new(Uuid::new_v4),
    })
}

/// `resourceGroup()`. Whoever may deploy to a group and not read it learns that it is there, and where.
async fn resource_group(cx: &Cx, id: &ResourceId) -> Result<Value, Failure> {
    let mut group = cx.management.get(&cx.management.cx(Actor::Operator), id).await?;
    if !cx.may(READ_GROUP, id).await?
        && let Value::Object(members) = &mut group
    {
        members.retain(|name, _| matches!(name.as_str(), "id" | "name" | "type" | "location"));
    }
    Ok(group)
}

async fn subscription(cx: &Cx, scope: &ResourceId) -> Result<Value, Failure> {
    let id = scope.subscription_id().unwrap_or_default();
    let missing = || ArmError::subscription_not_found(id);
    let uuid: Uuid = id.parse().map_err(|_| missing())?;
    let row = cx.database().read(move |c| Box::pin(subscriptions::find(c, uuid))).await?.ok_or_else(missing)?;
    Ok(json!({
        "id": format!("/subscriptions/{}", row.id),
        "subscriptionId": row.id,
        "tenantId": row.tenant_id,
        "displayName": row.display_name,
    }))
}

async fn deployer(cx: &Cx) -> Result<Value, Failure> {
    Ok(match &cx.actor {
        Actor::Principal(principal) => json!({
            "objectId": principal.id,
            "tenantId": principal.tenant_id,
            "userPrincipalName": if cx.actor.is_user() { principal.name.as_str() } else { "" },
        }),
        Actor::Operator => {
            json!({"objectId": "", "tenantId": cx.management.tenant_id().await?, "userPrincipalName": ""})
        }
    })
}

/// `environment()`. Its suffixes are spelled otherwise than in the metadata document, and begin with a dot where Azure's do.
fn cloud(cx: &Cx) -> Value {
    let suffix = cx.login_servers().suffix();
    let mut cloud = match &cx.request {
        Some(context) => crate::metadata_document::cloud(&cx.management, context),
        None => json!({"name": "Wharf"}),
    };
    cloud["suffixes"] = json!({
        "acrLoginServer": format!(".{suffix}"),
        "azureDatalakeAnalyticsCatalogAndJob": format!("analytics.{suffix}"),
        "azureDatalakeStoreFileSystem": format!("datalake.{suffix}"),
        "keyvaultDns": format!(".vault.{suffix}"),
        "sqlServerHostname": format!(".database.{suffix}"),
        "storage": suffix,
    });
    cloud
}

const READ_GROUP: &str = "Microsoft.Resources/subscriptions/resourceGroups/read";
