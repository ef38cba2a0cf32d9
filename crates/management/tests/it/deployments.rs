//! Deployments of templates.

use std::time::Duration;

use http::{Method, Request};
use serde_json::{Value, json};
use uuid::Uuid;
use wharf_metadata::deployments::{self, NewDeployment};
use wharf_model::Clock as _;

use crate::arm::{Arm, READER, Reply, SUBSCRIPTION, group, id};

const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";
const VERSION: &str = "2025-11-01";

/// The documented id of the role Contributor.
const CONTRIBUTOR: Uuid = Uuid::from_u128(0xb249_88ac_6180_42a0_ab88_20f7_382d_d24c);

/// Where a deployment is.
fn path(scope: &str, name: &str) -> String {
    format!("{scope}/providers/Microsoft.Resources/deployments/{name}")
}

fn template(members: Value) -> Value {
    let mut template = json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [],
    });
    template.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    template
}

fn body(members: Value) -> Value {
    json!({"properties": {"mode": "Incremental", "template": template(members)}})
}

fn registry(name: &str) -> Value {
    json!({"type": REGISTRY, "apiVersion": VERSION, "name": name, "location": "[resourceGroup().location]",
        "sku": {"name": "Premium"}, "properties": {"adminUserEnabled": true}})
}

/// Something small that is made in a group.
fn small(name: &str) -> Value {
    json!({"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2024-11-30", "name": name,
        "location": "eastus"})
}

fn scope_map(name: &str, actions: Value) -> Value {
    json!({"type": format!("{REGISTRY}/scopeMaps"), "apiVersion": VERSION, "name": name, "properties": {"actions": actions}})
}

fn details(reply: &Reply) -> Vec<&str> {
    let details = reply.body["error"]["details"].as_array().unwrap_or_else(|| panic!("no details: {reply:?}"));
    details.iter().map(|detail| detail["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_registry_with_all_that_belongs_to_it_is_deployed() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let map = format!("[resourceId('{REGISTRY}/scopeMaps', parameters('name'), 'readers')]");
    let mut scope_map =
        scope_map("[concat(parameters('name'), '/readers')]", json!(["repositories/team/app/content/read"]));
    scope_map["dependsOn"] = json!([format!("[resourceId('{REGISTRY}', parameters('name'))]")]);
    let role = "b93aa761-3e63-49ed-ac28-beffa264f7ac";
    let members = json!({
        "parameters": {"name": {"type": "string"}, "location": {"type": "string", "defaultValue": "[resourceGroup().location]"}},
        "variables": {"prefix": "team"},
        "resources": [
            {"type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01",
                "name": "[guid(resourceGroup().id, parameters('name'))]",
                "scope": format!("[concat('{REGISTRY}/', parameters('name'))]"),
                "dependsOn": ["[parameters('name')]", "robot"],
                "properties": {
                    "roleDefinitionId": format!("[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{role}')]"),
                    "principalId": "[reference('robot').principalId]",
                    "principalType": "ServicePrincipal",
                    "conditionVersion": "2.0",
                    "condition": "[format('((!(ActionMatches{{''Microsoft.ContainerRegistry/registries/repositories/content/read''}})) OR (@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWith ''{0}/''))', variables('prefix'))]",
                }},
            {"type": format!("{REGISTRY}/tokens"), "apiVersion": VERSION, "name": "[concat(parameters('name'), '/reader')]",
                "properties": {"scopeMapId": map, "status": "enabled"}, "dependsOn": [map]},
            scope_map,
            small("robot"),
            registry("[parameters('name')]"),
        ],
        "outputs": {
            "loginServer": {"type": "string", "value": "[reference(parameters('name')).loginServer]"},
            "username": {"type": "string", "value": format!("[listCredentials(resourceId('{REGISTRY}', parameters('name')), '{VERSION}').username]")},
            "hidden": {"type": "securestring", "value": format!("[listCredentials(resourceId('{REGISTRY}', parameters('name')), '{VERSION}').passwords[0].value]")},
        },
    });
    let mut body = body(members.clone());
    body["properties"]["parameters"] = json!({"name": {"value": "contoso"}});
    let path = path(&scope, "main");
    let deployed = arm.put(&path, body.clone()).await;
    assert_eq!(deployed.status, 201, "{deployed:?}");
    assert_eq!(deployed.note.route, "management.deployments");
    let properties = &deployed.body["properties"];
    assert_eq!(properties["provisioningState"], "Succeeded", "{properties:#}");
    assert_eq!(properties["outputs"]["loginServer"]["type"], "String");
    let server = properties["outputs"]["loginServer"]["value"].as_str().unwrap();
    assert!(server.starts_with("contoso."), "{server}");
    assert_eq!(properties["outputs"]["username"]["value"], "contoso");
    assert_eq!(properties["outputs"]["hidden"], json!({"type": "SecureString"}));
    assert_eq!(properties["parameters"]["name"], json!({"type": "String", "value": "contoso"}));
    assert_eq!(properties["outputResources"].as_array().unwrap().len(), 5);
    assert!(deployed.header("azure-asyncoperation").is_empty());

    let registry = format!("{scope}/providers/{REGISTRY}/contoso");
    assert_eq!(
        arm.get(&format!("{registry}/tokens/reader")).await.body["properties"]["provisioningState"],
        "Succeeded"
    );
    let assignments = arm
        .get(&format!(
            "{registry}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter=atScope()"
        ))
        .await;
    let condition =
        assignments.body["value"].as_array().unwrap().iter().find_map(|each| each["properties"]["condition"].as_str());
    assert!(condition.unwrap().contains("StringStartsWith 'team/'"), "{condition:?}");

    // The same again changes nothing.
    let again = arm.put(&path, body).await;
    assert_eq!((again.status.as_u16(), &again.body["properties"]["provisioningState"]), (200, &json!("Succeeded")));

    let shown = arm.get(&path).await;
    assert_eq!((shown.status.as_u16(), &shown.body["name"]), (200, &json!("main")));
    assert_eq!(arm.send(arm.owner(), Method::HEAD, &path, None).await.status, 204);
    let filter = "$filter=provisioningState%20eq%20'Succeeded'";
    let listed = arm.get(&format!("{scope}/providers/Microsoft.Resources/deployments/?{filter}")).await;
    assert_eq!(listed.names(), ["main"]);
    let exported = arm.post(&format!("{path}/exportTemplate"), json!({})).await;
    assert_eq!(exported.body["template"], template(members));

    // `az deployment operation group list` leaves the provider out.
    let operations = arm.get(&format!("{}/deployments/main/operations", scope.to_lowercase())).await;
    let operations = operations.body["value"].as_array().unwrap().clone();
    let kinds: Vec<_> = operations.iter().map(|o| o["properties"]["provisioningOperation"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["EvaluateDeploymentOutput", "Create", "Create", "Create", "Create", "Create"]);
    let first = &operations[5];
    assert_eq!(first["properties"]["statusCode"], "OK");
    let one = arm.get(&format!("{path}/operations/{}", first["operationId"].as_str().unwrap())).await;
    assert_eq!(&one.body, first);
    assert_eq!(arm.get(&format!("{path}/operations/none")).await.status, 404);

    assert_eq!(arm.delete(&path).await.status, 204);
    assert_eq!(arm.get(&path).await.code(), "DeploymentNotFound");
    assert_eq!(arm.delete(&path).await.status, 204);
    assert_eq!(arm.send(arm.owner(), Method::HEAD, &path, None).await.status, 404);
    assert_eq!(arm.get(&registry).await.status, 200, "what was deployed stays");
}

#[tokio::test]
async fn what_az_sends_is_read() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let template = serde_json::to_string_pretty(&template(json!({"resources": [small("robot")]}))).unwrap();
    let raw = format!(
        "{{\"properties\": {{\"parameters\": {{}}, \"mode\": \"Incremental\", template:// a comment\r\n{template}}}}}"
    );
    for (path, method) in [(path(&scope, "main") + "/validate", Method::POST), (path(&scope, "main"), Method::PUT)] {
        let uri = format!("{path}?api-version=2025-04-01");
        let request =
            Request::builder().method(method).uri(uri).header("authorization", format!("Bearer {}", arm.owner()));
        let reply = arm.serve(request.body(axum::body::Body::from(raw.clone())).unwrap()).await;
        assert!(reply.status.is_success(), "{reply:?}");
        assert_eq!(reply.body["properties"]["provisioningState"], "Succeeded");
    }
}

#[tokio::test]
async fn a_failure_stops_and_is_told() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let mut bad = scope_map("contoso/broken", json!(["repositories/x/content/fly"]));
    bad["dependsOn"] = json!(["contoso"]);
    let mut late = small("late");
    late["dependsOn"] = json!(["contoso/broken"]);
    let body = body(json!({"resources": [registry("contoso"), bad, late]}));
    let path = path(&scope, "main");
    let reply = arm.put(&path, body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.body["properties"]["provisioningState"], "Failed");
    assert_eq!(reply.header("retry-after"), "1");
    let status =
        reply.header("azure-asyncoperation").strip_prefix("https://management.example.com").unwrap().to_owned();
    let polled = arm.get(&status).await;
    assert_eq!((polled.status.as_u16(), &polled.body["status"]), (200, &json!("Failed")));
    assert_eq!(polled.body["error"]["code"], "DeploymentFailed");
    let detail = &polled.body["error"]["details"][0];
    assert!(detail["message"].as_str().unwrap().contains("fly"), "{detail}");
    assert_eq!(arm.get(&path).await.body["properties"]["error"]["code"], "DeploymentFailed");
    let operations = arm.get(&format!("{path}/operations")).await;
    let last = &operations.body["value"][0]["properties"];
    assert_eq!((&last["provisioningState"], &last["statusCode"]), (&json!("Failed"), &json!("BadRequest")));
    assert_eq!(last["targetResource"]["resourceName"], "contoso/broken");
    assert_eq!(last["statusMessage"]["error"]["code"], *detail.get("code").unwrap());
    assert_eq!(arm.get(&format!("{scope}/providers/{REGISTRY}/contoso")).await.status, 200, "it stays");
    let late = format!("{scope}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/late");
    assert_eq!(arm.get(&late).await.status, 404, "it never came to it");
    assert_eq!(arm.post(&format!("{path}/cancel"), json!({})).await.code(), "DeploymentCannotBeCancelled");
}

#[tokio::test]
async fn each_resource_needs_the_callers_own_rights() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let other = arm.group("other").await;
    let reader = arm.principal("reader", READER, &scope).await;
    let body_of = |resource: Value| body(json!({"resources": [resource]}));
    let path = path(&scope, "main");
    let refused = arm.send(&reader, Method::PUT, &path, Some(body_of(small("robot")))).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "AuthorizationFailed"));

    let contributor = arm.principal("contributor", CONTRIBUTOR, &scope).await;
    let assignment = json!({"type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01", "name": Uuid::nil(),
        "properties": {"roleDefinitionId": "x", "principalId": Uuid::nil()}});
    let elsewhere = json!({"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "in",
        "resourceGroup": "other", "properties": {"mode": "Incremental", "template": template(json!({"resources": [small("robot")]}))}});
    for resource in [assignment, elsewhere] {
        let refused = arm.send(&contributor, Method::PUT, &path, Some(body_of(resource))).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidTemplateDeployment"), "{refused:?}");
        assert_eq!(details(&refused), ["AuthorizationFailed"]);
    }
    let deployed = arm.send(&contributor, Method::PUT, &path, Some(body_of(small("robot")))).await;
    assert_eq!(deployed.status, 201, "{deployed:?}");
    let made = arm.get(&format!("{scope}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/robot")).await;
    assert_ne!(made.body["systemData"]["createdBy"], "operator");

    // What a template asks for must be readable too.
    arm.identity(&other, "secret", json!({})).await;
    let foreign = format!(
        "[reference('{other}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/secret', '2024-11-30').clientId]"
    );
    let outputs = body(json!({"outputs": {"x": {"type": "string", "value": foreign}}}));
    let failed = arm.send(&contributor, Method::PUT, &path, Some(outputs)).await;
    let error = &failed.body["properties"]["error"];
    assert_eq!(error["details"][0]["code"], "AuthorizationFailed", "{failed:?}");
    assert_eq!(arm.send(&reader, Method::GET, &path, None).await.status, 200);
    assert_eq!(arm.send(&reader, Method::POST, &format!("{path}/exportTemplate"), None).await.status, 403);
}

#[tokio::test]
async fn validation_looks_at_everything_and_changes_nothing() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let validate = async |members: Value| arm.post(&format!("{}/validate", path(&scope, "main")), body(members)).await;
    let good = validate(json!({"resources": [registry("contoso")]})).await;
    assert_eq!(good.status, 200, "{good:?}");
    assert_eq!(good.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(good.body["properties"]["validatedResources"][0]["id"], format!("{scope}/providers/{REGISTRY}/contoso"));
    assert_eq!(arm.get(&format!("{scope}/providers/{REGISTRY}/contoso")).await.status, 404);
    assert_eq!(arm.get(&path(&scope, "main")).await.status, 404);

    let mut version = registry("contoso");
    version["apiVersion"] = json!("2001-01-01");
    let mut sku = registry("fabrikam");
    sku["sku"]["name"] = json!("Golden");
    let bad = validate(
        json!({"resources": [version, sku, {"type": "Microsoft.Web/sites", "apiVersion": "2022-01-01", "name": "x"}]}),
    )
    .await;
    assert_eq!((bad.status.as_u16(), bad.code()), (400, "InvalidTemplateDeployment"), "{bad:?}");
    assert_eq!(details(&bad).len(), 3, "{bad:?}");
    assert_eq!(details(&bad)[0], "NoRegisteredProviderFound");
    assert_eq!(details(&bad)[2], "InvalidResourceType");

    for (members, code, words) in [
        (json!({"resources": [registry("[nothing()]")]}), "InvalidTemplate", "'nothing' is not valid"),
        (json!({"resources": [registry("[pickZones('a', 'b', 'c')]")]}), "InvalidTemplateDeployment", "'pickZones'"),
        (json!({"parameters": {"p": {"type": "string"}}}), "InvalidTemplate", "the parameter 'p' has no value"),
        (
            json!({"variables": {"v": "[padLeft('', 1000000000)]"}, "outputs": {"o": {"type": "string", "value": "x"}},
            "resources": [registry("[variables('v')]")]}),
            "InvalidTemplate",
            "too large",
        ),
    ] {
        let bad = validate(members).await;
        assert_eq!((bad.status.as_u16(), bad.code()), (400, code), "{bad:?}");
        assert!(bad.body["error"]["message"].as_str().unwrap().contains(words), "{bad:?}");
    }
    let linked = json!({"properties": {"mode": "Incremental", "templateLink": {"uri": "https://example.com/t.json"}}});
    let bad = arm.post(&format!("{}/validate", path(&scope, "main")), linked).await;
    assert_eq!(bad.code(), "InvalidTemplateDeployment");
    assert_eq!(arm.put(&path(&scope, "a$b"), body(json!({}))).await.code(), "InvalidResourceName");
    assert_eq!(arm.put(&path(&group("none"), "x"), body(json!({}))).await.code(), "ResourceGroupNotFound");
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let mut body = body(json!({
        "parameters": {"secret": {"type": "secureString"}, "object": {"type": "secureObject"}},
        "outputs": {"o": {"type": "int", "value": "[int(concat(parameters('secret'), parameters('object').x))]"}},
    }));
    body["properties"]["parameters"] =
        json!({"secret": {"value": "hush-hush"}, "object": {"value": {"x": "hush-hush"}}});
    let path = path(&scope, "main");
    let failed = arm.put(&path, body).await;
    assert_eq!(failed.body["properties"]["provisioningState"], "Failed");
    assert_eq!(failed.body["properties"]["parameters"]["secret"], json!({"type": "SecureString"}));
    for reply in [failed, arm.get(&path).await, arm.get(&format!("{path}/operations")).await] {
        assert!(!reply.body.to_string().contains("hush"), "{reply:?}");
    }
}

#[tokio::test]
async fn complete_deletes_what_the_template_has_not() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    for name in ["keep", "drop", "locked"] {
        arm.identity(&scope, name, json!({})).await;
    }
    let identity = |name: &str| format!("{scope}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
    let lock = format!("{}/providers/Microsoft.Authorization/locks/l", identity("locked"));
    assert_eq!(arm.put(&lock, json!({"properties": {"level": "CanNotDelete"}})).await.status, 201);
    let mut body = body(json!({"resources": [small("keep"), small("new")]}));
    body["properties"]["mode"] = json!("Complete");
    let path = path(&scope, "main");

    let told = arm.post(&format!("{path}/whatIf"), body.clone()).await;
    let changes = told.body["properties"]["changes"].as_array().unwrap();
    let changes: Vec<_> = changes.iter().map(|each| each["changeType"].as_str().unwrap()).collect();
    assert_eq!(changes, ["NoChange", "Create", "Delete", "Delete"], "{told:?}");

    let failed = arm.put(&path, body.clone()).await;
    assert_eq!(failed.body["properties"]["error"]["details"][0]["code"], "ScopeLocked", "{failed:?}");
    assert_eq!(arm.get(&identity("locked")).await.status, 200);
    assert!(arm.delete(&lock).await.status.is_success());
    let done = arm.put(&path, body).await;
    assert_eq!(done.body["properties"]["provisioningState"], "Succeeded", "{done:?}");
    for (name, status) in [("keep", 200), ("new", 200), ("drop", 404), ("locked", 404)] {
        assert_eq!(arm.get(&identity(name)).await.status.as_u16(), status, "{name}");
    }
}

#[tokio::test]
async fn a_subscription_gets_groups_with_what_is_in_them() {
    let arm = Arm::start().await;
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    let inner = template(json!({
        "parameters": {"name": {"type": "string"}},
        "resources": [registry("[parameters('name')]")],
        "outputs": {"server": {"type": "string", "value": "[reference(parameters('name')).loginServer]"}},
    }));
    let members = json!({
        "resources": [
            {"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "inner", "resourceGroup": "new",
                "dependsOn": ["[subscriptionResourceId('Microsoft.Resources/resourceGroups', 'new')]"],
                "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"},
                    "parameters": {"name": {"value": "contoso"}}, "template": inner}},
            {"type": "Microsoft.Resources/resourceGroups", "apiVersion": "2024-11-01", "name": "new", "location": "eastus"},
        ],
        "outputs": {"server": {"type": "string", "value": "[reference(extensionResourceId(resourceId('Microsoft.Resources/resourceGroups', 'new'), 'Microsoft.Resources/deployments', 'inner'), '2025-04-01').outputs.server.value]"}},
    });
    let path = path(&scope, "main");
    let mut body = body(members);
    assert_eq!(arm.put(&path, body.clone()).await.code(), "LocationRequired");
    body["location"] = json!("eastus");
    let validated = arm.post(&format!("{path}/validate"), body.clone()).await;
    assert_eq!(validated.status, 200, "{validated:?}");
    let done = arm.put(&path, body.clone()).await;
    assert_eq!(done.body["properties"]["provisioningState"], "Succeeded", "{done:?}");
    let server = done.body["properties"]["outputs"]["server"]["value"].as_str().unwrap();
    assert!(server.starts_with("contoso."), "{server}");
    let inner = arm.get(&format!("{}/providers/Microsoft.Resources/deployments/inner", group("new"))).await;
    assert_eq!(inner.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(inner.body["properties"]["correlationId"], done.body["properties"]["correlationId"]);
    body["location"] = json!("westus");
    assert_eq!(arm.put(&path, body.clone()).await.code(), "InvalidDeploymentLocation");
    body["properties"]["mode"] = json!("Complete");
    assert_eq!(arm.put(&path, body).await.code(), "InvalidTemplateDeployment");

    // A group takes its deployments along.
    assert!(arm.delete(&group("new")).await.status.is_success());
    arm.group("new").await;
    assert_eq!(arm.get(&format!("{}/providers/Microsoft.Resources/deployments/inner", group("new"))).await.status, 404);
}

/// A deployment that somebody else runs.
async fn running(arm: &Arm, scope: &str, name: &str) -> String {
    let now = arm.server.clock().now();
    let new = NewDeployment {
        id: id(&path(scope, name)),
        scope: id(scope),
        run_id: Uuid::new_v4(),
        location: None,
        tags: Default::default(),
        mode: "Incremental",
        template: Default::default(),
        shown: Default::default(),
        started_at: now,
        lease_until: now + Duration::from_secs(60),
    };
    let begun = arm.management.database().write(move |c| Box::pin(async move { deployments::begin(c, &new).await }));
    let begun: Result<_, wharf_metadata::Error> = begun.await;
    begun.unwrap().unwrap();
    path(scope, name)
}

#[tokio::test]
async fn a_name_that_is_running_is_left_alone_until_it_is_stopped() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let path = running(&arm, &scope, "main").await;
    let body = body(json!({}));
    assert_eq!(arm.get(&path).await.body["properties"]["provisioningState"], "Running");
    assert_eq!(arm.put(&path, body.clone()).await.code(), "DeploymentActive");
    assert_eq!(arm.delete(&path).await.code(), "DeploymentActive");
    assert_eq!(arm.post(&format!("{path}/cancel"), json!({})).await.status, 204);
    assert_eq!(arm.get(&path).await.body["properties"]["provisioningState"], "Canceled");
    assert_eq!(arm.put(&path, body).await.body["properties"]["provisioningState"], "Succeeded");
}

#[tokio::test]
async fn a_run_that_is_cancelled_stops_at_its_next_resource() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let path = path(&scope, "main");
    let mut many = small("[format('robot-{0}', copyIndex())]");
    many["copy"] = json!({"name": "many", "count": 800});
    let run = arm.put(&path, body(json!({"resources": [many]})));
    let stop = async {
        while arm.post(&format!("{path}/cancel"), json!({})).await.status != 204 {
            tokio::task::yield_now().await;
        }
    };
    let (ended, ()) = tokio::join!(run, stop);
    assert_eq!(ended.status, 201, "{ended:?}");
    assert_eq!(ended.body["properties"]["provisioningState"], "Canceled");
    let status =
        ended.header("azure-asyncoperation").strip_prefix("https://management.example.com").unwrap().to_owned();
    assert_eq!(arm.get(&status).await.body["status"], "Canceled");
    let made = arm.get(&format!("{path}/operations")).await.body["value"].as_array().unwrap().len();
    assert!(made < 800, "{made} were made");
}

#[tokio::test]
async fn what_a_stopped_server_left_is_shown_as_failed() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let (first, second) = (running(&arm, &scope, "a").await, running(&arm, &scope, "b").await);
    arm.server.advance(Duration::from_secs(61));
    let shown = arm.get(&first).await;
    assert_eq!(shown.body["properties"]["provisioningState"], "Failed");
    let message = shown.body["properties"]["error"]["message"].as_str().unwrap();
    assert!(message.contains("The server stopped"), "{message}");
    arm.management.resume().await.unwrap();
    let listed = arm
        .get(&format!("{scope}/providers/Microsoft.Resources/deployments?$filter=provisioningState%20eq%20'Failed'"))
        .await;
    assert_eq!(listed.names(), ["a", "b"]);
    assert_eq!(arm.put(&second, body(json!({}))).await.body["properties"]["provisioningState"], "Succeeded");
}

#[tokio::test]
async fn locks_stand_against_deployments() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let path = path(&scope, "main");
    assert_eq!(arm.put(&path, body(json!({}))).await.status, 201);
    let lock = format!("{scope}/providers/Microsoft.Authorization/locks/l");
    assert_eq!(arm.put(&lock, json!({"properties": {"level": "ReadOnly"}})).await.status, 201);
    assert_eq!(arm.put(&path, body(json!({}))).await.code(), "ScopeLocked");
    assert_eq!(arm.delete(&path).await.code(), "ScopeLocked");
}

#[tokio::test]
async fn changes_are_told_in_advance() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let path = path(&scope, "main");
    let mut registry = registry("contoso");
    assert_eq!(arm.put(&path, body(json!({"resources": [registry]}))).await.status, 201);
    arm.identity(&scope, "robot", json!({})).await;
    registry["properties"]["adminUserEnabled"] = json!(false);
    let mut asks = small("asks");
    asks["tags"] = json!({"x": "[reference('fabrikam').loginServer]"});
    let members = json!({"resources": [registry, asks, self::registry("fabrikam")]});
    let told = arm.post(&format!("{path}/whatIf"), body(members.clone())).await;
    assert_eq!(told.body["status"], "Succeeded", "{told:?}");
    let changes = told.body["properties"]["changes"].as_array().unwrap();
    let kinds: Vec<_> = changes.iter().map(|each| each["changeType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Modify", "Unsupported", "Create", "Ignore"]);
    assert_eq!(
        changes[0]["delta"],
        json!([{"path": "properties.adminUserEnabled", "propertyChangeType": "Modify", "before": true, "after": false}])
    );
    assert_eq!(changes[2]["after"]["location"], "eastus");
    let mut short = body(members);
    short["properties"]["whatIfSettings"] = json!({"resultFormat": "ResourceIdOnly"});
    let told = arm.post(&format!("{path}/whatIf"), short).await;
    let kinds: Vec<_> = told.body["properties"]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["changeType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["Deploy", "Create", "Create", "Ignore"]);
    assert_eq!(arm.get(&format!("{scope}/providers/{REGISTRY}/fabrikam")).await.status, 404);
}

#[tokio::test]
async fn nothing_is_told_of_groups_that_one_may_not_read() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let secret = group("secret");
    arm.put(&secret, json!({"location": "eastus", "tags": {"owner": "somebody"}})).await;
    let contributor = arm.principal("contributor", CONTRIBUTOR, &scope).await;
    let mut asks = small("asks");
    asks["tags"] = json!({"x": "[resourceGroup().tags.owner]"});
    let inner = template(json!({"resources": [asks]}));
    let nested = |group: &str| {
        body(json!({"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "in",
            "resourceGroup": group, "properties": {"mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"}, "template": inner}}]}))
    };
    let path = path(&scope, "main");
    for name in ["secret", "none"] {
        let told = arm.send(&contributor, Method::POST, &format!("{path}/whatIf"), Some(nested(name))).await;
        let change = &told.body["properties"]["changes"][0];
        assert_eq!(change["changeType"], "Unsupported", "{told:?}");
        let reason = change["unsupportedReason"].as_str().unwrap();
        assert!(reason.contains("does not have authorization") && reason.contains("deployments/write"), "{reason}");
        let told = arm.send(&contributor, Method::POST, &format!("{path}/validate"), Some(nested(name))).await;
        assert_eq!(details(&told), ["AuthorizationFailed"]);
    }

    // Whoever may deploy to a group, and not read it, is told no more of it than they know.
    let operations = ["Microsoft.Resources/deployments/*", "Microsoft.ManagedIdentity/userAssignedIdentities/*"];
    let deployer = arm.role("deployer", &operations, &secret).await;
    let mine = self::path(&secret, "main");
    let template = |x: &str| body(json!({"outputs": {"x": {"type": "string", "value": x}}}));
    let name = arm.send(&deployer, Method::PUT, &mine, Some(template("[resourceGroup().name]"))).await;
    assert_eq!(name.body["properties"]["outputs"]["x"]["value"], "secret", "{name:?}");
    let tags = template("[resourceGroup().tags.owner]");
    let refused = arm.send(&deployer, Method::PUT, &mine, Some(tags.clone())).await;
    assert!(!refused.body.to_string().contains("somebody"), "{refused:?}");
    arm.identity(&secret, "hidden", json!({})).await;
    let mut short = template("x");
    short["properties"]["whatIfSettings"] = json!({"resultFormat": "ResourceIdOnly"});
    let bare = arm.role("bare", &operations[..1], &secret).await;
    let told = arm.send(&bare, Method::POST, &format!("{mine}/whatIf"), Some(short)).await;
    assert_eq!(told.body["properties"]["changes"], json!([]), "{told:?}");
}

#[tokio::test]
async fn a_template_has_a_hash() {
    let arm = Arm::start().await;
    let path = "/providers/Microsoft.Resources/calculateTemplateHash?api-version=2025-04-01";
    let hashed = arm.post(path, template(json!({}))).await;
    assert_eq!(hashed.status, 200, "{hashed:?}");
    assert!(hashed.body["templateHash"].as_str().unwrap().parse::<u64>().is_ok());
    assert_eq!(hashed.body["minifiedTemplate"], template(json!({})).to_string());
    assert_eq!(arm.post(path, json!({"x": 1})).await.code(), "InvalidTemplate");
}

#[tokio::test]
async fn deployments_in_one_another_end() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let nest = |name: String, inner: Value| {
        json!({"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": name,
            "properties": {"mode": "Incremental", "template": template(inner)}}]})
    };
    let mut members = json!({"resources": [small("deep")]});
    for depth in 0..4 {
        members = nest(format!("d{depth}"), members);
    }
    let done = arm.put(&path(&scope, "main"), body(members.clone())).await;
    assert_eq!(done.body["properties"]["provisioningState"], "Succeeded", "{done:?}");
    let too_deep = arm.put(&path(&scope, "main"), body(nest("d4".into(), members))).await;
    assert_eq!(too_deep.code(), "InvalidTemplateDeployment", "{too_deep:?}");
    // Its own name is taken while it runs.
    let itself = arm.put(&path(&scope, "again"), body(nest("again".into(), json!({})))).await;
    assert_eq!(itself.body["properties"]["error"]["details"][0]["code"], "DeploymentActive", "{itself:?}");
}
