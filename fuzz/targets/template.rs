//! Deployment templates. The input is an expression, a line end, and a body as clients send it.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use wharf_arm::template::{DeploymentRequest, Environment, Evaluated, Expression, Known, Plan, read_json};
use wharf_model::Timestamp;

const GROUP: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/g";

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (expression, body) = (&input[..split], &input[(split + 1).min(input.len())..]);
    if let Ok(text) = std::str::from_utf8(expression) {
        if let Ok(parsed) = Expression::parse(text) {
            assert_eq!(Expression::parse(&parsed.to_string()).as_ref(), Ok(&parsed));
        }
        run(json!({"properties": {"mode": "Incremental", "template": {
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0",
            "parameters": {"p": {"type": "string", "defaultValue": "value"}},
            "variables": {"v": {"list": [1, "two", {"three": true}]}},
            "resources": [],
            "outputs": {"o": {"type": "array", "value": [format!("[{text}]")]}},
        }}})
        .to_string()
        .as_bytes());
    }
    if let Ok(value) = read_json(body) {
        // What is strict JSON is read as itself; numbers with fractions may differ in the last digit.
        let written = value.to_string();
        assert!(read_json(written.as_bytes()).is_ok());
        assert!(!matches!(value, Value::String(ref text) if text.len() > body.len()));
    }
    run(body);
});

/// Goes as far as a deployment does that nobody answers.
fn run(body: &[u8]) {
    let Ok(request) = DeploymentRequest::parse(body) else { return };
    let environment = Environment {
        scope: GROUP.parse().expect("it is an id"),
        deployment: json!({"name": "d"}),
        resource_group: Some(json!({"id": GROUP, "location": "westeurope"})),
        subscription: json!({}),
        tenant: json!({}),
        environment: json!({}),
        deployer: json!({}),
        now: Timestamp(1_790_000_000_000_000),
        new_guid: Arc::new(uuid::Uuid::nil),
    };
    let Ok(plan) = Plan::new(&request.template, request.parameters, environment) else { return };
    let order = plan.order().expect("a plan has no circles");
    for position in order {
        let planned = &plan.resources()[position];
        assert!(planned.depends_on.iter().all(|before| *before != position));
        if planned.is_deployment() {
            let _ = plan.nested(position, &Known::default());
        } else {
            let _ = plan.body(position, &Known::default());
        }
    }
    for name in plan.output_names() {
        if let Ok(Evaluated::Ready(Some(output))) = plan.output(name, &Known::default()) {
            assert!(output.to_value().get("type").is_some());
        }
    }
}
