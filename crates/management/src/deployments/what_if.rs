//! `whatIf`: what deploying a template would change.
//!
//! A resource is compared with what the template says about it. What the template leaves out is taken to stay, though a
//! `PUT` gives it its default: Azure's own answer has that noise too. Bodies that ask for the state of what is not there
//! yet cannot be told.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use wharf_arm::template::{Mode, Plan, Planned, limits};
use wharf_model::ResourceId;

use super::prepare::{self, Prepared};
use super::run::others_in_group;
use super::step::Evaluation;
use super::{is_subscription, operation};
use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::service::Call;

/// `POST …/whatIf`.
pub(super) async fn what_if(cx: &Cx, id: ResourceId, call: Call) -> Result<Answer, Failure> {
    cx.require(&operation("whatIf/action"), &id).await?;
    let prepared = prepare::prepare(cx, id, call.body).await?;
    let mut told = Told { changes: Vec::new(), named: Vec::new(), is_short: prepared.wants_ids_only };
    tell_plan(cx, &prepared.plan, 0, &mut told).await?;
    tell_others(cx, &prepared, &mut told).await?;
    let correlation_id = prepare::correlation(cx);
    Ok(Answer::ok(json!({
        "status": "Succeeded",
        "properties": {"correlationId": correlation_id, "changes": told.changes},
    })))
}

struct Told {
    changes: Vec<Value>,
    named: Vec<ResourceId>,
    is_short: bool,
}

async fn tell_plan(cx: &Cx, plan: &Arc<Plan>, depth: usize, told: &mut Told) -> Result<(), Failure> {
    let mut evaluation = Evaluation::of_what_is(plan.clone());
    for (position, planned) in plan.resources().iter().enumerate() {
        if !planned.is_deployed || planned.is_existing {
            continue;
        }
        prepare::require_version(cx, planned)?;
        if planned.is_deployment() {
            if depth + 1 >= limits::NESTED_DEPLOYMENTS {
                return Err(prepare::too_deep(planned));
            }
            match plan_of_nested(cx, &mut evaluation, planned, position).await {
                Ok(inner) => Box::pin(tell_plan(cx, &inner, depth + 1, told)).await?,
                Err(failure) => told.changes.push(unsupported(planned, &failure)?),
            }
            continue;
        }
        told.named.push(planned.id.clone());
        let change = match tell(cx, &mut evaluation, planned, position, told.is_short).await {
            Ok(change) => change,
            Err(failure) => unsupported(planned, &failure)?,
        };
        told.changes.push(change);
    }
    Ok(())
}

async fn plan_of_nested(
    cx: &Cx,
    evaluation: &mut Evaluation,
    planned: &Planned,
    position: usize,
) -> Result<Arc<Plan>, Failure> {
    let nested = evaluation.settle(cx, move |plan, known| plan.nested(position, known)).await?;
    super::require_scope(&nested.scope)?;
    Ok(prepare::prepare_nested(cx, &planned.id, nested).await?.plan)
}

async fn tell(
    cx: &Cx,
    evaluation: &mut Evaluation,
    planned: &Planned,
    position: usize,
    is_short: bool,
) -> Result<Value, Failure> {
    let before = match cx.management.get(cx, &planned.id).await {
        Ok(before) => Some(before),
        Err(failure) if failure.error().status == http::StatusCode::NOT_FOUND => None,
        Err(failure) => return Err(failure),
    };
    let mut change = json!({"resourceId": planned.id});
    if let Some(name) = &planned.symbolic_name {
        change["symbolicName"] = json!(name);
    }
    if is_short {
        change["changeType"] = json!(if before.is_some() { "Deploy" } else { "Create" });
        return Ok(change);
    }
    let body = evaluation.settle(cx, move |plan, known| plan.body(position, known)).await?;
    let mut after = json!({
        "id": planned.id,
        "name": planned.id.name(),
        "type": planned.id.resource_type(),
        "apiVersion": planned.api_version,
    });
    let Some(mut before) = before else {
        merge(&mut after, Value::Object(body));
        change["changeType"] = json!("Create");
        change["after"] = after;
        return Ok(change);
    };
    before["apiVersion"] = json!(planned.api_version);
    let mut delta = Vec::new();
    compare("", &before, &Value::Object(body.clone()), &mut delta);
    change["changeType"] = json!(if delta.is_empty() { "NoChange" } else { "Modify" });
    let mut after = before.clone();
    if let Some(tags) = body.get("tags") {
        after["tags"] = tags.clone();
    }
    merge(&mut after, Value::Object(body));
    change["before"] = before;
    change["after"] = after;
    change["delta"] = json!(delta);
    Ok(change)
}

/// What is in the group and not in the template: it stays, or goes.
async fn tell_others(cx: &Cx, prepared: &Prepared, told: &mut Told) -> Result<(), Failure> {
    if is_subscription(prepared.plan.scope()) {
        return Ok(());
    }
    let word = match prepared.mode {
        Mode::Incremental => "Ignore",
        Mode::Complete => "Delete",
    };
    for id in others_in_group(cx, &prepared.plan, &told.named).await?.into_iter().take(MOST_OTHERS) {
        let mut change = json!({"resourceId": id, "changeType": word});
        match cx.management.get(cx, &id).await {
            Ok(_) if told.is_short => {}
            Ok(before) => change["before"] = before,
            // What one may not read is not told.
            Err(failure) if failure.error().status.is_client_error() => continue,
            Err(failure) => return Err(failure),
        }
        told.changes.push(change);
    }
    Ok(())
}

/// A resource of which it cannot be told, with the reason.
fn unsupported(planned: &Planned, failure: &Failure) -> Result<Value, Failure> {
    let error = failure.error();
    if error.status.is_server_error() {
        return Err(error.clone().into());
    }
    let reason = format!("Changes to the resource cannot be told in advance: {}", error.message);
    Ok(json!({"resourceId": planned.id, "changeType": "Unsupported", "unsupportedReason": reason}))
}

/// What of `before` the members of `after` change.
fn compare(path: &str, before: &Value, after: &Value, delta: &mut Vec<Value>) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        if !is_same(path, before, after) {
            delta.push(json!({"path": path, "propertyChangeType": "Modify", "before": before, "after": after}));
        }
        return;
    };
    let names: BTreeSet<&String> = match path {
        // Tags are replaced as a whole.
        "tags" => old.keys().chain(new.keys()).collect(),
        _ => new.keys().collect(),
    };
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (find(old, name), new.get(name)) {
            (Some(before), Some(after)) => compare(&path, before, after, delta),
            (None, Some(after)) if !after.is_null() => {
                delta.push(json!({"path": path, "propertyChangeType": "Create", "after": after}));
            }
            (Some(before), None) => delta.push(json!({"path": path, "propertyChangeType": "Delete", "before": before})),
            _ => {}
        }
    }
}

fn find<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    members
        .get(name)
        .or_else(|| members.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Regions are the same however they are written, ids and words whatever their casing.
fn is_same(path: &str, before: &Value, after: &Value) -> bool {
    let plain = |text: &str| text.replace(' ', "").to_lowercase();
    match (before, after) {
        (Value::String(before), Value::String(after)) if path == "location" => plain(before) == plain(after),
        (Value::String(before), Value::String(after)) if path.starts_with("tags.") => before == after,
        (Value::String(before), Value::String(after)) => before.eq_ignore_ascii_case(after),
        _ => before == after,
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// How many resources beside the template's are told of.
const MOST_OTHERS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_member_by_member() {
        let before = json!({"location": "eastus", "tags": {"a": "1", "b": "2"}, "sku": {"name": "Basic", "tier": "Basic"},
            "properties": {"adminUserEnabled": false, "list": [1]}});
        let after = json!({"location": "East US", "tags": {"a": "1", "c": "3"}, "sku": {"name": "premium"},
            "properties": {"adminUserEnabled": false, "list": [1, 2], "none": null}});
        let mut delta = Vec::new();
        compare("", &before, &after, &mut delta);
        assert_eq!(
            json!(delta),
            json!([
                {"path": "properties.list", "propertyChangeType": "Modify", "before": [1], "after": [1, 2]},
                {"path": "sku.name", "propertyChangeType": "Modify", "before": "Basic", "after": "premium"},
                {"path": "tags.b", "propertyChangeType": "Delete", "before": "2"},
                {"path": "tags.c", "propertyChangeType": "Create", "after": "3"},
            ])
        );
    }
}
