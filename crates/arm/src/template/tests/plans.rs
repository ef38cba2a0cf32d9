//! Resources, their ids and their order.

use serde_json::{Value, json};

use super::{Evaluated, Known, REGISTRY, SUB, group, order, plan, plan_at, ready, registry};
use crate::template::{Mode, Plan, RuntimeCall, Wanted};

fn ids(plan: &Plan) -> Vec<String> {
    let short = |id: &str| id.replace(&format!("{SUB}/resourceGroups/g/providers/"), "");
    plan.resources().iter().map(|planned| short(planned.id.as_str())).collect()
}

#[test]
fn children_are_found_however_they_are_written() {
    let tokens = format!("{REGISTRY}/tokens");
    let plan = plan(json!({"resources": [
        registry("reg", json!({"resources": [
            {"type": "scopeMaps", "apiVersion": "2025-11-01", "name": "map", "properties": {"actions": []}},
            {"type": tokens, "apiVersion": "2025-11-01", "name": "reg/t1"},
        ]})),
        {"type": tokens, "apiVersion": "2025-11-01", "name": "[concat('reg', '/t2')]"},
        {"type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01", "name": "a",
            "scope": format!("{REGISTRY}/reg")},
        {"type": format!("{REGISTRY}/providers/roleAssignments"), "apiVersion": "2022-04-01",
            "name": "reg/Microsoft.Authorization/b"},
    ]}))
    .unwrap();
    assert_eq!(
        ids(&plan),
        [
            "Microsoft.ContainerRegistry/registries/reg",
            "Microsoft.ContainerRegistry/registries/reg/scopeMaps/map",
            "Microsoft.ContainerRegistry/registries/reg/tokens/t1",
            "Microsoft.ContainerRegistry/registries/reg/tokens/t2",
            "Microsoft.ContainerRegistry/registries/reg/providers/Microsoft.Authorization/roleAssignments/a",
            "Microsoft.ContainerRegistry/registries/reg/providers/Microsoft.Authorization/roleAssignments/b",
        ]
    );
    assert!(plan.resources()[1..].iter().all(|planned| planned.depends_on == [0]));
    let body = ready(plan.body(1, &Known::default()));
    assert_eq!(Value::Object(body), json!({"properties": {"actions": []}}));
}

#[test]
fn resources_come_after_those_that_they_need() {
    let plan = plan(json!({"resources": [
        registry("last", json!({"dependsOn": ["middle", "[resourceId('Microsoft.ContainerRegistry/registries', 'first')]"]})),
        registry("middle", json!({"tags": {"server": "[reference('first').loginServer]"}})),
        registry("first", json!({})),
    ]}))
    .unwrap();
    assert_eq!(order(&plan), ["first", "middle", "last"]);
    let Ok(Evaluated::Needs(call)) = plan.body(1, &Known::default()) else { panic!("it knows") };
    let first = format!("{SUB}/resourceGroups/g/providers/{REGISTRY}/first");
    let expected = RuntimeCall {
        id: first.parse().unwrap(),
        api_version: Some("2025-11-01".to_owned()),
        wanted: Wanted::Resource,
    };
    assert_eq!(call, expected);
    let mut known = Known::default();
    known.insert(call, json!({"id": first, "properties": {"loginServer": "first.wharf.test"}}));
    assert_eq!(ready(plan.body(1, &known))["tags"]["server"], "first.wharf.test");
}

#[test]
fn circles_and_unknown_dependencies_are_refused() {
    let error = plan(json!({"resources": [
        registry("a", json!({"dependsOn": ["b"]})), registry("b", json!({"dependsOn": ["a"]})),
    ]}))
    .unwrap_err()
    .to_string();
    assert!(error.contains("circular dependency detected on resources"), "{error}");
    for (more, expected) in [
        (
            json!({"dependsOn": ["x"]}),
            "the resource 'x' is not defined in the template (at 'resources[0].dependsOn[0]')",
        ),
        (json!({"dependsOn": "x"}), "it is an array of resources"),
        (json!({"tags": {"x": "[reference('a').loginServer]"}}), "asks for its own state"),
        (json!({"name": "[reference('x').name]"}), "'reference' is not expected here"),
        (json!({"apiVersion": null}), "expected a string and found Null (at 'resources[0].apiVersion')"),
        (json!({"name": "a/b"}), "needs 1 name and there are 2"),
        (json!({"name": "a?b"}), "cannot be one of a resource"),
        (json!({"type": "registries"}), "is no resource type"),
        (json!({"condition": "perhaps"}), "expected a boolean and found String (at 'resources[0].condition')"),
        (json!({"extension": "x"}), "does not support: the member 'extension' of a resource"),
        (json!({"copy": {"name": "l", "count": 801}}), "is an integer from 0 to 800"),
    ] {
        let error = plan(json!({"resources": [registry("a", more)]})).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error =
        plan(json!({"resources": [registry("a", json!({})), registry("A", json!({}))]})).unwrap_err().to_string();
    assert!(error.contains("is defined twice, here and at 'resources[0]'"), "{error}");
}

#[test]
fn loops_and_conditions() {
    let plan = plan(json!({"resources": [
        registry("[format('reg{0}', copyIndex(1))]", json!({
            "copy": {"name": "regs", "count": 3, "mode": "serial", "batchSize": 1},
            "condition": "[not(equals(copyIndex(), 1))]",
            "properties": {"copy": [{"name": "rules", "count": 2, "input": "[add(copyIndex('rules'), copyIndex())]"}]},
        })),
        registry("after", json!({"dependsOn": ["regs"], "tags": {"x": "[if(true(), 'a', reference('reg2').loginServer)]"}})),
        registry("without", json!({"copy": {"name": "none", "count": 0}})),
        registry("late", json!({"dependsOn": ["none"]})),
    ]}))
    .unwrap();
    let names: Vec<(&str, bool)> =
        plan.resources().iter().map(|planned| (planned.id.name().unwrap(), planned.is_deployed)).collect();
    assert_eq!(names, [("reg1", true), ("reg2", false), ("reg3", true), ("after", true), ("late", true)]);
    assert_eq!(ready(plan.body(2, &Known::default()))["properties"], json!({"rules": [2, 3]}));
    assert_eq!(plan.resources()[3].depends_on, [0, 1, 2]);
    assert_eq!(ready(plan.body(3, &Known::default()))["tags"]["x"], "a");
}

#[test]
fn symbolic_names_as_bicep_writes_them() {
    let plan = plan(json!({
        "languageVersion": "2.0",
        "resources": {
            "assignment": {"type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01",
                "scope": "[resourceId('Microsoft.ContainerRegistry/registries', 'reg')]",
                "name": "[guid(resourceId('Microsoft.ContainerRegistry/registries', 'reg'))]",
                "properties": {"principalId": "[reference('identity', '2024-11-30', 'full').properties.principalId]"},
                "dependsOn": ["acr"]},
            "acr": registry("reg", json!({})),
            "identity": {"existing": true, "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
                "apiVersion": "2024-11-30", "resourceGroup": "other", "name": "id"},
            "maps": {"copy": {"name": "maps", "count": 2}, "type": format!("{REGISTRY}/scopeMaps"),
                "apiVersion": "2025-11-01", "name": "[format('{0}/map{1}', 'reg', copyIndex())]", "dependsOn": ["acr"]},
        },
        "outputs": {
            "all": {"type": "array", "copy": {"count": 2, "input": "[reference(format('maps[{0}]', copyIndex())).description]"}},
            "each": {"type": "array", "value": "[map(references('maps', 'full'), lambda('m', lambdaVariables('m').resourceId))]"},
            "secret": {"type": "string", "value": "[listCredentials('acr', '2025-11-01').username]"},
            "off": {"type": "string", "condition": false, "value": "x"},
        },
    }))
    .unwrap();
    let mut known = Known::default();
    let answer = |known: &mut Known, call: &RuntimeCall| match &call.wanted {
        Wanted::Resource => {
            let body = json!({"id": call.id, "name": call.id.name(), "properties": {
                "description": format!("of {}", call.id.name().unwrap()), "principalId": "p"}});
            known.insert(call.clone(), body);
        }
        Wanted::Action { name, .. } => known.insert(call.clone(), json!({"username": name})),
    };
    let position = plan.resources().iter().position(|r| r.symbolic_name.as_deref() == Some("assignment")).unwrap();
    let Ok(Evaluated::Needs(call)) = plan.body(position, &known) else { panic!("it knows") };
    assert_eq!(call.id.resource_group_name(), Some("other"));
    answer(&mut known, &call);
    assert_eq!(ready(plan.body(position, &known))["properties"]["principalId"], "p");
    for (name, expected) in [
        ("all", Some(json!(["of map0", "of map1"]))),
        (
            "each",
            Some(json!([
                "Microsoft.ContainerRegistry/registries/reg/scopeMaps/map0",
                "Microsoft.ContainerRegistry/registries/reg/scopeMaps/map1",
            ])),
        ),
        ("secret", Some(json!("listCredentials"))),
        ("off", None),
    ] {
        let output = loop {
            match plan.output(name, &known).unwrap() {
                Evaluated::Ready(output) => break output,
                Evaluated::Needs(call) => answer(&mut known, &call),
            }
        };
        assert_eq!(output.map(|output| output.value.unwrap()), expected, "{name}");
    }
}

#[test]
fn what_is_left_out_cannot_be_asked() {
    let plan = plan(json!({"resources": [registry("off", json!({"condition": false, "resources": [
        {"type": "tokens", "apiVersion": "2025-11-01", "name": "t"}]}))],
        "outputs": {"x": {"type": "string", "value": "[reference('off').loginServer]"},
            "y": {"type": "string", "value": "[reference('Microsoft.ContainerRegistry/registries/other').loginServer]"}}}))
    .unwrap();
    assert_eq!(plan.resources().len(), 1);
    let error = plan.output("x", &Known::default()).unwrap_err().to_string();
    assert!(error.contains("whose condition is false"), "{error}");
    let error = plan.output("y", &Known::default()).unwrap_err().to_string();
    assert!(error.contains("needs an api-version"), "{error}");
}

fn nested(name: &str, inner: Value, more: Value) -> Value {
    let mut properties = json!({"mode": "Incremental", "template": super::template(inner)});
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": name, "properties": properties})
}

#[test]
fn templates_in_templates_have_the_names_of_the_outer_one() {
    let inner = json!({"resources": [registry("[concat(variables('prefix'), copyIndex())]", json!({"copy": {"name": "c", "count": 2}}))]});
    let mut resource = nested("in", inner, json!({}));
    resource["copy"] = json!({"name": "outer", "count": 2});
    resource["name"] = json!("[format('in{0}', copyIndex())]");
    resource["resourceGroup"] = json!("other");
    let plan = plan(json!({"variables": {"prefix": "reg"}, "resources": [resource]})).unwrap();
    let found = ready(plan.nested(1, &Known::default()));
    assert_eq!((found.name.as_str(), found.mode), ("in1", Mode::Incremental));
    assert_eq!(found.scope.resource_group_name(), Some("other"));
    let inner = Plan::of_nested(&found, super::environment(&found.scope)).unwrap();
    let names: Vec<_> = inner.resources().iter().map(|planned| planned.id.name().unwrap()).collect();
    assert_eq!(names, ["reg0", "reg1"]);
    assert_eq!(inner.resources()[0].id.resource_group_name(), Some("other"));
}

#[test]
fn templates_in_templates_may_have_names_of_their_own() {
    let inner = json!({
        "parameters": {"name": {"type": "string"}},
        "variables": {"prefix": "inner"},
        "resources": [registry("[concat(variables('prefix'), parameters('name'))]", json!({}))],
    });
    let more = json!({"expressionEvaluationOptions": {"scope": "inner"}, "parameters": {"name": {"value": "[variables('prefix')]"}}});
    let outer = json!({"variables": {"prefix": "outer"}, "resources": [nested("in", inner, more)]});
    let plan = plan_at(&group(), outer, json!({})).unwrap();
    let found = ready(plan.nested(0, &Known::default()));
    let inner = Plan::of_nested(&found, super::environment(&found.scope)).unwrap();
    assert_eq!(inner.resources()[0].id.name(), Some("innerouter"));
}

#[test]
fn deployments_to_a_subscription_make_groups() {
    let inner = json!({"resources": [registry("reg", json!({}))]});
    let mut resource = nested("in", inner, json!({}));
    resource["resourceGroup"] = json!("new");
    resource["dependsOn"] = json!(["[subscriptionResourceId('Microsoft.Resources/resourceGroups', 'new')]"]);
    let group = json!({"type": "Microsoft.Resources/resourceGroups", "apiVersion": "2024-11-01", "name": "new", "location": "westeurope"});
    let members = json!({"resources": [resource, group]});
    let plan = plan_at(&SUB.parse().unwrap(), members.clone(), json!({})).unwrap();
    assert_eq!(order(&plan), ["new", "in"]);
    assert_eq!(plan.resources()[1].id.as_str(), format!("{SUB}/resourceGroups/new"));
    let error = plan_at(&super::group(), members, json!({})).unwrap_err().to_string();
    assert!(error.contains("can be deployed to a subscription only"), "{error}");
}

#[test]
fn bodies_hold_what_is_sent() {
    let plan = plan(json!({"parameters": {"sku": {"type": "string", "defaultValue": "Premium"}}, "resources": [
        registry("reg", json!({"sku": {"name": "[parameters('sku')]"}, "tags": {"[concat('a', 'b')]": "c"}, "comments": "x",
            "properties": {"adminUserEnabled": true, "nothing": null, "list": [1, "[add(1, 1)]"]}})),
    ]}))
    .unwrap();
    assert_eq!(
        Value::Object(ready(plan.body(0, &Known::default()))),
        json!({"location": "westeurope", "sku": {"name": "Premium"}, "tags": {"ab": "c"},
            "properties": {"adminUserEnabled": true, "nothing": null, "list": [1, 2]}})
    );
}
