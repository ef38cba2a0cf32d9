//! Tenants, subscriptions and their locations: what `az login` and `az account` look at.

use serde_json::{Value, json};
use uuid::Uuid;
use wharf_arm::ArmError;
use wharf_metadata::subscriptions::{self, SubscriptionRow, TenantRow};
use wharf_model::ResourceId;

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::locations::REGIONS;

/// `GET /tenants`: the tenant of whoever is signed in.
pub(crate) async fn list_tenants(cx: &Cx) -> Result<Answer, Failure> {
    let tenants = cx.database().read(|c| Box::pin(subscriptions::list_tenants(c))).await?;
    let own = cx.actor.principal().map(|principal| principal.tenant_id);
    let is_own = |tenant: &&TenantRow| own.is_none_or(|own| own == tenant.id);
    Ok(Answer::list(tenants.iter().filter(is_own).map(show_tenant).collect()))
}

/// `GET /subscriptions`: those in which one has a role, on the whole or on anything in it.
pub(crate) async fn list(cx: &Cx) -> Result<Answer, Failure> {
    let all = cx.database().read(|c| Box::pin(subscriptions::list(c))).await?;
    let mut shown = Vec::new();
    for row in &all {
        if cx.sees(&ResourceId::of_subscription(row.id)).await? {
            shown.push(show(row));
        }
    }
    let count = json!({"type": "Total", "value": shown.len()});
    Ok(Answer::ok(json!({"value": shown, "count": count})))
}

/// `GET /subscriptions/{s}`.
pub(crate) async fn get(cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
    let row = visible(cx, id).await?;
    Ok(Answer::ok(show(&row)))
}

/// `GET /subscriptions/{s}/locations`.
pub(crate) async fn list_locations(cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
    visible(cx, id).await?;
    let show = |(name, display_name, group): &(&str, &str, &str)| {
        json!({
            "id": format!("{id}/locations/{name}"),
            "name": name,
            "type": "Region",
            "displayName": display_name,
            "regionalDisplayName": format!("({group}) {display_name}"),
            "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "geographyGroup": group},
        })
    };
    Ok(Answer::list(REGIONS.iter().map(show).collect()))
}

async fn visible(cx: &Cx, id: &ResourceId) -> Result<SubscriptionRow, Failure> {
    let missing = || ArmError::subscription_not_found(id.name().unwrap_or_default());
    let uuid: Uuid = id.name().unwrap_or_default().parse().map_err(|_| missing())?;
    let found = cx.database().read(move |c| Box::pin(subscriptions::find(c, uuid))).await?;
    let row = found.ok_or_else(missing)?;
    if !cx.sees(id).await? {
        cx.require("Microsoft.Resources/subscriptions/read", id).await?;
    }
    Ok(row)
}

fn show_tenant(row: &TenantRow) -> Value {
    json!({
        "id": format!("/tenants/{}", row.id),
        "tenantId": row.id,
        "displayName": row.display_name,
        "defaultDomain": row.default_domain,
        "domains": [row.default_domain],
        "tenantCategory": "Home",
        "tenantType": "AAD",
        "country": null,
        "countryCode": null,
    })
}

fn show(row: &SubscriptionRow) -> Value {
    json!({
        "id": format!("/subscriptions/{}", row.id),
        "subscriptionId": row.id,
        "tenantId": row.tenant_id,
        "displayName": row.display_name,
        "state": "Enabled",
        "managedByTenants": [],
        "authorizationSource": "RoleBased",
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
    })
}
