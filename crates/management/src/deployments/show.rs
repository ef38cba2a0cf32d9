//! Deployments and their operations as clients see them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::template::{Plan, Planned};
use wharf_metadata::deployments::{DeploymentOperationRow, DeploymentRow, State};
use wharf_model::{ResourceId, Timestamp};

use super::prepare::Prepared;

/// What is shown of a deployment from its beginning: `properties` without its state and what came of it.
pub(super) fn head(prepared: &Prepared, correlation_id: Uuid) -> Map<String, Value> {
    let shown = json!({
        "templateHash": prepared.template.hash(),
        "parameters": prepared.plan.parameters(),
        "mode": prepared.mode.as_str(),
        "correlationId": correlation_id,
        "providers": providers(&prepared.plan),
        "dependencies": dependencies(&prepared.plan),
    });
    match shown {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// A deployment.
pub(super) fn deployment(row: &DeploymentRow) -> Value {
    let mut properties = row.shown.clone();
    properties.insert("provisioningState".to_owned(), json!(row.state.as_str()));
    properties.insert("timestamp".to_owned(), json!(row.changed_at.to_string()));
    properties.insert("duration".to_owned(), json!(duration(row.started_at, row.changed_at)));
    let mut shown = json!({"id": row.id, "name": row.id.name(), "type": TYPE, "properties": properties});
    if let Some(location) = &row.location {
        shown["location"] = json!(location);
    }
    if !row.tags.is_empty() {
        shown["tags"] = json!(row.tags);
    }
    shown
}

/// How a run goes, for those who poll it.
pub(super) fn status(row: &DeploymentRow) -> Value {
    let mut shown = json!({"status": row.state.as_str()});
    if row.state == State::Failed {
        shown["error"] = row.shown.get("error").cloned().unwrap_or_default();
    }
    if row.state == State::Canceled {
        shown["error"] = json!({"code": "DeploymentCanceled", "message": "The deployment was canceled."});
    }
    shown
}

/// What a deployment did to a resource.
pub(super) fn operation(deployment: &ResourceId, row: &DeploymentOperationRow) -> Value {
    let mut properties = json!({
        "provisioningOperation": row.kind,
        "provisioningState": row.state.as_str(),
        "timestamp": row.ended_at.to_string(),
        "duration": duration(row.started_at, row.ended_at),
        "trackingId": row.operation_id,
        "statusCode": row.status_code,
    });
    if let Some(error) = &row.error {
        properties["statusMessage"] = json!({"status": "Failed", "error": error});
    }
    if let Some(target) = &row.target {
        let mut shown = reference(target);
        if let Some(name) = &row.symbolic_name {
            shown["symbolicName"] = json!(name);
        }
        properties["targetResource"] = shown;
    }
    json!({
        "id": format!("{deployment}/operations/{}", row.operation_id),
        "operationId": row.operation_id,
        "properties": properties,
    })
}

/// The ids of what a plan deploys.
pub(super) fn deployed_ids(plan: &Plan) -> impl Iterator<Item = &ResourceId> {
    plan.resources().iter().filter(|planned| planned.is_deployed && !planned.is_existing).map(|planned| &planned.id)
}

fn providers(plan: &Plan) -> Value {
    let mut namespaces: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for planned in plan.resources().iter().filter(|planned| !planned.is_existing) {
        let kind = planned.id.resource_type().unwrap_or_default();
        if let Some((namespace, word)) = kind.split_once('/') {
            namespaces.entry(namespace.to_owned()).or_default().insert(word.to_owned(), json!([null]));
        }
    }
    let shown = namespaces.into_iter().map(|(namespace, words)| {
        let words = words.into_iter().map(|(word, locations)| json!({"resourceType": word, "locations": locations}));
        json!({"namespace": namespace, "resourceTypes": words.collect::<Vec<_>>()})
    });
    shown.collect()
}

fn dependencies(plan: &Plan) -> Value {
    let resources = plan.resources();
    let shown =
        resources.iter().filter(|planned| planned.is_deployed && !planned.depends_on.is_empty()).map(|planned| {
            let before = |position: &usize| -> &Planned { &resources[*position] };
            let names: Vec<Value> = planned.depends_on.iter().map(before).map(|before| reference(&before.id)).collect();
            let mut shown = reference(&planned.id);
            shown["dependsOn"] = json!(names);
            shown
        });
    shown.collect()
}

fn reference(id: &ResourceId) -> Value {
    json!({"id": id, "resourceType": id.resource_type(), "resourceName": name_of(id)})
}

/// The names of a resource and of those that it is in, within its provider: `reg/token`.
fn name_of(id: &ResourceId) -> String {
    let own = id.as_str().rsplit_once("/providers/").map_or("", |(_, own)| own);
    let names: Vec<&str> = own.split('/').skip(2).step_by(2).collect();
    if names.is_empty() { id.name().unwrap_or_default().to_owned() } else { names.join("/") }
}

/// How long something took, in ISO 8601.
fn duration(from: Timestamp, to: Timestamp) -> String {
    let took: Duration = to.since(from);
    let (hours, minutes) = (took.as_secs() / 3600, took.as_secs() / 60 % 60);
    let seconds = format!("{}.{:06}0", took.as_secs() % 60, took.subsec_micros());
    match (hours, minutes) {
        (0, 0) => format!("PT{seconds}S"),
        (0, minutes) => format!("PT{minutes}M{seconds}S"),
        (hours, minutes) => format!("PT{hours}H{minutes}M{seconds}S"),
    }
}

/// The type of deployments.
pub(super) const TYPE: &str = "Microsoft.Resources/deployments";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_azure() {
        let took = |micros: i64| duration(Timestamp(5), Timestamp(5 + micros));
        assert_eq!(took(1_500_000), "PT1.5000000S");
        assert_eq!(took(61_000_001), "PT1M1.0000010S");
        assert_eq!(took(3_723_000_000), "PT1H2M3.0000000S");
        assert_eq!(took(-5), "PT0.0000000S");
    }

    #[test]
    fn names_are_those_within_the_provider() {
        let group = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/g";
        let name = |id: String| name_of(&id.parse().unwrap());
        assert_eq!(name(group.to_owned()), "g");
        assert_eq!(name(format!("{group}/providers/Microsoft.ContainerRegistry/registries/r/tokens/t")), "r/t");
    }
}
