//! Templates as a whole.

mod bombs;
mod expressions;
mod places;
mod plans;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_model::{ResourceId, Timestamp};

use super::{DeploymentRequest, Environment, Evaluated, Known, Plan, Template, TemplateError};

pub(super) const SUB: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001";
pub(super) const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";

pub(super) fn group() -> ResourceId {
    format!("{SUB}/resourceGroups/g").parse().unwrap()
}

pub(super) fn environment(scope: &ResourceId) -> Environment {
    let group = scope.resource_group_name().map(|name| {
        json!({"id": scope, "name": name, "type": "Microsoft.Resources/resourceGroups", "location": "westeurope",
            "tags": {"team": "blue"}, "properties": {"provisioningState": "Succeeded"}})
    });
    Environment {
        scope: scope.clone(),
        deployment: json!({"name": "main", "properties": {"mode": "Incremental"}}),
        resource_group: group,
        subscription: json!({"id": SUB, "subscriptionId": scope.subscription_id(), "tenantId": "t"}),
        tenant: json!({"tenantId": "t"}),
        environment: json!({"suffixes": {"acrLoginServer": ".wharf.test"}}),
        deployer: json!({"objectId": "o"}),
        now: Timestamp(1_790_000_000_123_456),
        new_guid: Arc::new(|| Uuid::from_u128(7)),
    }
}

/// A template with these members beside those that every template has.
pub(super) fn template(members: Value) -> Value {
    let mut template = json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [],
    });
    template.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    template
}

pub(super) fn plan_at(scope: &ResourceId, members: Value, parameters: Value) -> Result<Plan, TemplateError> {
    let template = Template::parse(template(members))?;
    Plan::new(&template, parameters.as_object().unwrap().clone(), environment(scope))
}

pub(super) fn plan(members: Value) -> Result<Plan, TemplateError> {
    plan_at(&group(), members, json!({}))
}

/// What a plan comes to that nobody has to be asked for.
pub(super) fn ready<T>(evaluated: Result<Evaluated<T>, TemplateError>) -> T {
    match evaluated.unwrap() {
        Evaluated::Ready(value) => value,
        Evaluated::Needs(call) => panic!("needs {call:?}"),
    }
}

/// The value of an expression in a template with these members.
pub(super) fn value_in(mut members: Value, expression: &str) -> Result<Value, String> {
    members["outputs"] = json!({"x": {"type": "array", "value": [expression]}});
    let plan = plan(members).map_err(|e| e.to_string())?;
    let output = plan.output("x", &Known::default()).map_err(|e| e.to_string())?;
    match output {
        Evaluated::Ready(output) => Ok(output.unwrap().value.unwrap()[0].clone()),
        Evaluated::Needs(call) => Err(format!("needs {}", call.id)),
    }
}

pub(super) fn value(expression: &str) -> Result<Value, String> {
    value_in(json!({}), expression)
}

/// Positions of a plan's resources in order, as names.
pub(super) fn order(plan: &Plan) -> Vec<String> {
    let order = plan.order().unwrap();
    order.into_iter().map(|position| plan.resources()[position].id.name().unwrap().to_owned()).collect()
}

pub(super) fn registry(name: &str, more: Value) -> Value {
    let mut registry = json!({"type": REGISTRY, "apiVersion": "2025-11-01", "name": name, "location": "westeurope",
        "sku": {"name": "Premium"}});
    registry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    registry
}

#[test]
fn a_request_of_az_is_read() {
    let body = br#"{"properties": {"parameters": {"name": {"value": "reg"}}, "mode": "complete", template:{
        // written by hand
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0", "parameters": {"name": {"type": "string"}}, "resources": []}}}"#;
    let request = DeploymentRequest::parse(body).unwrap();
    assert_eq!(request.mode, super::Mode::Complete);
    assert_eq!(request.parameters, *json!({"name": "reg"}).as_object().unwrap());
    assert!(request.template.source().contains_key("resources"));
}

#[test]
fn what_a_request_asks_for_and_cannot_have_is_named() {
    let template = template(json!({}));
    for (body, expected) in [
        (json!([]), "it is a JSON object (at 'the request')"),
        (json!({"properties": {"mode": "Incremental"}}), "a deployment needs a template (at 'properties.template')"),
        (json!({"properties": {"mode": "All", "template": template}}), "'Incremental' or 'Complete'"),
        (
            json!({"properties": {"templateLink": {"uri": "https://x"}}}),
            "does not support: 'templateLink'; send the template and its parameters inline",
        ),
        (
            json!({"properties": {"template": template, "parameters": {"p": {"reference": {"keyVault": {}}}}}}),
            "parameters from a key vault ('reference') (at 'properties.parameters.p')",
        ),
        (json!({"properties": {"template": {"resources": []}}}), "the required property '$schema' is missing"),
        (
            json!({"properties": {"template": {"$schema": "x", "contentVersion": "1", "resources": []}}}),
            "no schema of a deployment template",
        ),
    ] {
        let error = DeploymentRequest::parse(body.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{body}: {error}");
    }
}

#[test]
fn parameters_are_shown_without_secrets() {
    let members = json!({"parameters": {
        "plain": {"type": "string", "defaultValue": "p"},
        "hidden": {"type": "secureString"},
        "object": {"type": "object", "defaultValue": {"a": 1}},
        "typed": {"type": "object", "properties": {"password": {"type": "securestring"}}},
    }, "outputs": {"o": {"type": "securestring", "value": "[parameters('hidden')]"}}});
    let plan = plan_at(&group(), members, json!({"hidden": "s3cret", "typed": {"password": "s3cret"}})).unwrap();
    let shown = Value::Object(plan.parameters());
    assert_eq!(
        shown,
        json!({"plain": {"type": "String", "value": "p"}, "hidden": {"type": "SecureString"},
            "object": {"type": "Object", "value": {"a": 1}}, "typed": {"type": "Object"}})
    );
    let output = ready(plan.output("o", &Known::default())).unwrap();
    assert_eq!(output.to_value(), json!({"type": "SecureString"}));
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    let members =
        json!({"parameters": {"a": {"type": "string"}, "b": {"type": "int", "defaultValue": 1, "maxValue": 3}}});
    for (given, expected) in [
        (json!({}), "the parameter 'a' has no value"),
        (json!({"a": 1}), "the parameter 'a' expects a value of type 'String' and is given 'Integer'"),
        (json!({"a": "x", "b": 4}), "the parameter 'b' has the maxValue 3 and its value is 4"),
        (json!({"a": "x", "c": 4}), "the parameter 'c' is not declared by the template; it has 'a, b'"),
        (json!({"a": "x", "A": "x"}), "the parameter 'a' is given twice, in different casing"),
    ] {
        let error = plan_at(&group(), members.clone(), given).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(error, TemplateError::Parameter { .. }));
    }
    let _: Map<String, Value> = plan_at(&group(), members, json!({"A": "x"})).unwrap().parameters();
}
