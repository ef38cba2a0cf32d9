//! `listUsages`: what a registry uses, and how much its tier has. Source: `acr/semantics.md` 1.

use serde_json::{Value, json};
use wharf_arm::ArmError;
use wharf_metadata::{registries, scope_maps, tokens};

use super::Kept;
use super::sku::Sku;
use crate::{Answer, Cx, Failure, Resource};

/// Answers with the usages of a registry.
///
/// # Errors
/// When the database fails.
pub(super) async fn list(cx: &Cx, registry: &Resource) -> Result<Answer, Failure> {
    let id = registry.id.clone();
    let counted = cx.database().read(move |c| {
        Box::pin(async move {
            let Some(row) = registries::find_by_resource(c, &id).await? else { return Ok(None) };
            let counts = (tokens::count(c, row.id).await?, scope_maps::count(c, row.id).await?);
            Ok::<_, wharf_metadata::Error>(Some((row.id, counts)))
        })
    });
    let (row, (tokens, scope_maps)) = counted.await?.ok_or_else(|| ArmError::resource_not_found(&registry.id))?;
    let size_bytes = cx.artifacts().registry_size(row).await?;
    let kept = Kept::of(registry)?;
    let limits = kept.sku.limits();
    let count = |name: &str, limit: i64, current: i64| json!({"name": name, "limit": limit, "currentValue": current, "unit": "Count"});
    let mut usages: Vec<Value> = vec![
        json!({"name": "Size", "limit": limits.included_bytes, "currentValue": size_bytes, "unit": "Bytes"}),
        count("Webhooks", limits.webhooks, 0),
        count("ScopeMaps", limits.tokens, scope_maps),
        count("Tokens", limits.tokens, tokens),
    ];
    if kept.sku == Sku::Premium {
        let rules = i64::try_from(kept.properties.network_rules.ip_rules.len()).unwrap_or(i64::MAX);
        // The home counts as a replica, and there is no limit.
        usages.push(count("Geo-replications", -1, 1));
        usages.push(count("IPRules", limits.ip_rules, rules));
        usages.push(count("VNetRules", limits.network_rules, 0));
        usages.push(count("PrivateEndpoints", limits.private_endpoints, 0));
    }
    Ok(Answer::list(usages))
}
