//! Registries.

use http::Method;
use serde_json::{Value, json};
use wharf_arm::Code;
use wharf_metadata::RoleAssignmentMode;
use wharf_model::{PrincipalId, ResourceId};

use crate::arm::{Arm, OWNER, READER, SUBSCRIPTION};
use crate::plane::Plane;

const CONTOSO: &str = "registries/contoso";

fn body(sku: &str, properties: Value) -> Value {
    json!({"location": "East US", "sku": {"name": sku}, "properties": properties})
}

#[tokio::test]
async fn a_registry_is_created_with_its_defaults_and_known_to_the_data_plane() {
    let plane = Plane::start().await;
    let created = plane.put("registries/Contoso", body("premium", json!({}))).await.unwrap();
    assert_eq!(created.status, 201);
    let shown = created.body.unwrap();
    assert_eq!(shown["name"], "Contoso");
    assert_eq!(shown["location"], "eastus");
    assert_eq!(shown["sku"], json!({"name": "Premium", "tier": "Premium"}));
    assert_eq!(shown["properties"]["loginServer"], "contoso.example.com");
    assert_eq!(shown["properties"]["provisioningState"], "Succeeded");
    assert_eq!(shown["properties"]["adminUserEnabled"], false);
    assert_eq!(shown["properties"]["creationDate"], "2026-09-21T14:13:20.0000000Z");
    assert_eq!(shown["systemData"]["createdBy"], "operator");
    assert!(shown.get("identity").is_none_or(Value::is_null));
    assert_eq!(plane.get(CONTOSO).await.unwrap(), shown);

    let row = plane.row("contoso").await;
    assert_eq!(row.resource_id, Plane::id(CONTOSO));
    assert_eq!((row.sku.as_str(), row.admin_user_enabled, row.anonymous_pull_enabled), ("Premium", false, false));
    assert_eq!(*row.settings, wharf_metadata::RegistrySettings::default());
    assert_eq!(plane.list(CONTOSO, "registries/scopeMaps").await.unwrap().len(), 5, "those of the system");
}

#[tokio::test]
async fn a_put_on_what_is_there_replaces_it() {
    let plane = Plane::start().await;
    let rules = json!({"defaultAction": "Deny", "ipRules": [{"value": "203.0.113.7"}]});
    plane.put(CONTOSO, body("Premium", json!({"adminUserEnabled": true, "networkRuleSet": rules}))).await.unwrap();
    let uid = plane.row("contoso").await.uid;
    let replaced = plane.put(CONTOSO, body("Premium", json!({"anonymousPullEnabled": true}))).await.unwrap();
    assert_eq!(replaced.status, 200);
    let shown = replaced.body.unwrap();
    assert_eq!(shown["properties"]["networkRuleSet"]["defaultAction"], "Allow");
    let row = plane.row("contoso").await;
    assert_eq!((row.uid, row.admin_user_enabled, row.anonymous_pull_enabled), (uid, false, true));

    let mut elsewhere = body("Premium", json!({}));
    elsewhere["location"] = json!("westus");
    assert_eq!(plane.put(CONTOSO, elsewhere).await.unwrap_err().code, Code::InvalidResourceLocation);
}

#[tokio::test]
async fn a_name_is_one_registrys_only() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Basic").await;
    let cx = plane.management.cx(wharf_management::Actor::Operator);
    let group: ResourceId = Plane::id("").parent().unwrap().child("resourceGroups", "other").unwrap();
    let object = |value: Value| value.as_object().unwrap().clone();
    plane.management.put(&cx, &group, object(json!({"location": "eastus"}))).await.unwrap();
    let id = group.resource("Microsoft.ContainerRegistry", "registries", "CONTOSO").unwrap();
    let failure = plane.management.put(&cx, &id, object(body("Basic", json!({})))).await.unwrap_err();
    assert_eq!((failure.error().code, failure.error().status.as_u16()), (Code::RegistryNameAlreadyInUse, 409));
    assert_eq!(plane.management.get(&cx, &id).await.unwrap_err().error().status.as_u16(), 404, "nothing is left of it");

    for (name, code) in [
        ("abc", Code::InvalidRegistryName),
        ("con-toso", Code::InvalidRegistryName),
        ("Portal", Code::RegistryNameReserved),
    ] {
        let error = plane.put(&format!("registries/{name}"), body("Basic", json!({}))).await.unwrap_err();
        assert_eq!(error.code, code, "{name}");
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_and_change_nothing() {
    let plane = Plane::start().await;
    for (sku, properties, target) in [
        ("Classic", json!({}), "sku.name"),
        ("Basic", json!({"anonymousPullEnabled": true}), "properties.anonymousPullEnabled"),
        ("Standard", json!({"publicNetworkAccess": "Disabled"}), "properties.publicNetworkAccess"),
        (
            "Premium",
            json!({"networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"value": "::1"}]}}),
            "properties.networkRuleSet.ipRules[0].value",
        ),
        ("Premium", json!({"encryption": {"status": "enabled"}}), "properties.encryption"),
        ("Premium", json!({"roleAssignmentMode": "none"}), "properties.roleAssignmentMode"),
    ] {
        let error = plane.put(CONTOSO, body(sku, properties)).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.target.as_deref()), (400, Some(target)), "{}", error.message);
    }
    let error = plane.put(CONTOSO, json!({"location": "eastus"})).await.unwrap_err();
    assert_eq!((error.code, error.target.as_deref()), (Code::InvalidSku, Some("sku.name")));
    assert_eq!(plane.get(CONTOSO).await.unwrap_err().code, Code::ResourceNotFound);
}

#[tokio::test]
async fn what_is_shown_can_be_sent_back_whole() {
    let plane = Plane::start().await;
    let properties = json!({
        "adminUserEnabled": true, "publicNetworkAccess": "Disabled", "zoneRedundancy": "Enabled",
        "autoGeneratedDomainNameLabelScope": "TenantReuse", "dataEndpointEnabled": true,
        "policies": {"retentionPolicy": {"days": 9, "status": "enabled"}},
    });
    let mut sent = body("Premium", properties);
    sent["tags"] = json!({"team": "blue"});
    sent["identity"] = json!({"type": "SystemAssigned"});
    plane.put(CONTOSO, sent).await.unwrap();
    let shown = plane.get(CONTOSO).await.unwrap();
    let patched = plane.patch(CONTOSO, shown.clone()).await.unwrap().body.unwrap();
    let replaced = plane.put(CONTOSO, shown.clone()).await.unwrap().body.unwrap();
    for again in [patched, replaced] {
        for member in ["properties", "sku", "identity", "tags", "location", "id"] {
            assert_eq!(again[member], shown[member], "{member}");
        }
    }
}

#[tokio::test]
async fn the_data_plane_acts_on_a_patch() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Premium").await;
    let properties = json!({
        "anonymousPullEnabled": "true", "publicNetworkAccess": "disabled",
        "roleAssignmentMode": "AbacRepositoryPermissions",
        "networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": "203.0.113.0/24"}]},
        "policies": {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}},
    });
    plane.patch(CONTOSO, json!({"properties": properties})).await.unwrap();
    let row = plane.row("contoso").await;
    assert!(row.anonymous_pull_enabled && !row.settings.public_network_access && !row.settings.accepts_arm_tokens);
    assert_eq!(row.settings.role_assignment_mode, RoleAssignmentMode::AbacRepositoryPermissions);
    assert!(!row.settings.allows_other_addresses);
    assert_eq!(row.settings.allowed_addresses, ["203.0.113.0/24".parse().unwrap()]);
}

#[tokio::test]
async fn going_down_a_tier_switches_off_or_refuses() {
    let plane = Plane::start().await;
    let properties = json!({
        "dataEndpointEnabled": true, "anonymousPullEnabled": true,
        "policies": {"retentionPolicy": {"status": "enabled"}},
        "networkRuleSet": {"defaultAction": "Deny"},
    });
    plane.put(CONTOSO, body("Premium", properties)).await.unwrap();
    let error = plane.patch(CONTOSO, json!({"sku": {"name": "Standard"}})).await.unwrap_err();
    assert_eq!((error.code, error.target.as_deref()), (Code::SkuNotSupported, Some("properties.networkRuleSet")));
    let open = json!({"sku": {"name": "Basic"}, "properties": {"networkRuleSet": {"defaultAction": "Allow"}}});
    let shown = plane.patch(CONTOSO, open).await.unwrap().body.unwrap();
    assert_eq!(shown["sku"]["name"], "Basic");
    assert_eq!(shown["properties"]["dataEndpointEnabled"], false);
    assert_eq!(shown["properties"]["anonymousPullEnabled"], false);
    assert_eq!(shown["properties"]["policies"]["retentionPolicy"]["status"], "disabled");
    assert!(shown["properties"].get("networkRuleSet").is_none());
    assert_eq!(plane.row("contoso").await.sku, "Basic");
}

#[tokio::test]
async fn credentials_are_shown_and_replaced_while_the_admin_user_is_on() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Basic").await;
    let error = plane.act(CONTOSO, "listCredentials", json!({})).await.unwrap_err();
    assert_eq!(error.code, Code::UnAuthorizedForCredentialOperations);
    plane.act(CONTOSO, "regenerateCredential", json!({"name": "password"})).await.unwrap_err();

    plane.patch(CONTOSO, json!({"properties": {"adminUserEnabled": true}})).await.unwrap();
    let shown = plane.act(CONTOSO, "listCredentials", json!({})).await.unwrap().body.unwrap();
    assert_eq!(shown["username"], "contoso");
    assert_eq!(shown["passwords"][0]["name"], "password");
    let password = |shown: &Value, at: usize| shown["passwords"][at]["value"].as_str().unwrap().to_owned();
    assert!(plane.sign_in("contoso", "contoso", &password(&shown, 0)).await.is_some());

    let renewed = plane.act(CONTOSO, "regenerateCredential", json!({"name": "PASSWORD"})).await.unwrap().body.unwrap();
    assert_ne!(password(&renewed, 0), password(&shown, 0));
    assert_eq!(password(&renewed, 1), password(&shown, 1));
    assert!(plane.sign_in("contoso", "contoso", &password(&shown, 0)).await.is_none());
    assert!(plane.sign_in("contoso", "contoso", &password(&renewed, 0)).await.is_some());
    for bad in [json!({}), json!({"name": "password3"}), json!({"name": 1})] {
        let error = plane.act(CONTOSO, "regenerateCredential", bad).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.target.as_deref()), (400, Some("name")));
    }
    plane.patch(CONTOSO, json!({"properties": {"adminUserEnabled": false}})).await.unwrap();
    assert!(plane.sign_in("contoso", "contoso", &password(&renewed, 1)).await.is_none());
}

#[tokio::test]
async fn an_identity_of_its_own_comes_and_goes_with_the_registry() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Premium").await;
    let principal_of =
        |shown: &Value| -> PrincipalId { shown["identity"]["principalId"].as_str().unwrap().parse().unwrap() };
    let identity = json!({"identity": {"type": "SystemAssigned"}});
    let shown = plane.patch(CONTOSO, identity.clone()).await.unwrap().body.unwrap();
    let first = principal_of(&shown);
    let found = plane.management.identity().find_principal(first).await.unwrap().expect("it is in the directory");
    assert_eq!(shown["identity"]["tenantId"], json!(found.tenant_id));
    let again = plane.patch(CONTOSO, json!({"tags": {"a": "b"}})).await.unwrap().body.unwrap();
    assert_eq!(principal_of(&again), first);
    // A client that knows nothing of identities must not end this one.
    let again = plane.put(CONTOSO, body("Premium", json!({}))).await.unwrap().body.unwrap();
    assert_eq!(principal_of(&again), first);

    let gone = plane.patch(CONTOSO, json!({"identity": {"type": "None"}})).await.unwrap().body.unwrap();
    assert!(gone.get("identity").is_none_or(Value::is_null));
    assert!(plane.management.identity().find_principal(first).await.unwrap().is_none());

    let second = principal_of(&plane.patch(CONTOSO, identity).await.unwrap().body.unwrap());
    assert_ne!(second, first);
    plane.delete(CONTOSO).await.unwrap();
    assert!(plane.management.identity().find_principal(second).await.unwrap().is_none());
}

#[tokio::test]
async fn identities_that_were_created_apart_are_referred_to() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Premium").await;
    let id = Plane::id("").resource("Microsoft.ManagedIdentity", "userAssignedIdentities", "Builder").unwrap();
    let assign = json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {id.as_str(): {}}}});
    let error = plane.patch(CONTOSO, assign.clone()).await.unwrap_err();
    assert_eq!(error.code, Code::FailedIdentityOperation);

    let cx = plane.management.cx(wharf_management::Actor::Operator);
    let location = json!({"location": "eastus"}).as_object().unwrap().clone();
    let made = plane.management.put(&cx, &id, location).await.unwrap().body.unwrap();
    let shown = plane.patch(CONTOSO, assign).await.unwrap().body.unwrap();
    let one = &shown["identity"]["userAssignedIdentities"][id.as_str()];
    assert_eq!(one["principalId"], made["properties"]["principalId"]);
    assert_eq!(one["clientId"], made["properties"]["clientId"]);
    assert!(shown["identity"].get("principalId").is_none());
    let remove = json!({"identity": {"type": "None", "userAssignedIdentities": null}});
    let shown = plane.patch(CONTOSO, remove).await.unwrap().body.unwrap();
    assert!(shown.get("identity").is_none_or(Value::is_null));
    plane.management.get(&cx, &id).await.expect("it does not belong to the registry");
}

#[tokio::test]
async fn a_deleted_registry_is_gone_at_once_and_its_name_free() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Premium").await;
    let before = plane.row("contoso").await;
    assert_eq!(plane.delete(CONTOSO).await.unwrap().status, 204);
    assert_eq!(plane.delete(CONTOSO).await.unwrap().status, 204);
    assert_eq!(plane.get(CONTOSO).await.unwrap_err().code, Code::ResourceNotFound);
    let artifacts = plane.management.artifacts();
    assert!(artifacts.find_registry(&before.name).await.unwrap().is_none());

    plane.registry("contoso", "Basic").await;
    let after = plane.row("contoso").await;
    assert_ne!((after.id, after.uid), (before.id, before.uid));
    plane.clock.advance(std::time::Duration::from_secs(120));
    assert_eq!(artifacts.remove_deleted_registries().await.unwrap(), 1);
    assert_eq!(plane.row("contoso").await.id, after.id);
}

#[tokio::test]
async fn usages_follow_the_tier() {
    let plane = Plane::start().await;
    let rules = json!({"networkRuleSet": {"ipRules": [{"value": "203.0.113.7"}]}});
    plane.put(CONTOSO, body("Premium", rules)).await.unwrap();
    plane.registry("fabrikam", "Basic").await;
    let usages = async |name: &str| {
        let shown = plane.act(&format!("registries/{name}"), "listUsages", json!({})).await.unwrap().body.unwrap();
        let usages = shown["value"].as_array().unwrap().clone();
        usages
            .iter()
            .map(|u| format!("{} {}/{} {}", u["name"], u["currentValue"], u["limit"], u["unit"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        usages("contoso").await.join("\n").replace('"', ""),
        "Size 0/536870912000 Bytes\nWebhooks 0/500 Count\nScopeMaps 0/50000 Count\nTokens 0/50000 Count\n\
         Geo-replications 1/-1 Count\nIPRules 1/200 Count\nVNetRules 0/100 Count\nPrivateEndpoints 0/200 Count"
    );
    assert_eq!(
        usages("fabrikam").await.join("\n").replace('"', ""),
        "Size 0/10737418240 Bytes\nWebhooks 0/2 Count\nScopeMaps 0/100 Count\nTokens 0/100 Count"
    );
}

#[tokio::test]
async fn private_endpoints_are_made_of_one_group() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Premium").await;
    let shown = plane.act(CONTOSO, "privateLinkResources", json!({})).await.unwrap().body.unwrap();
    let group = &shown["value"][0];
    assert_eq!(group["name"], "registry");
    assert_eq!(group["properties"]["requiredMembers"], json!(["registry", "registry_data_eastus"]));
    assert_eq!(group["properties"]["requiredZoneNames"], json!(["privatelink.example.com"]));
}

#[tokio::test]
async fn a_label_keeps_the_host_for_its_scope() {
    let plane = Plane::start().await;
    let labelled = |scope: &str| body("Basic", json!({"autoGeneratedDomainNameLabelScope": scope}));
    let created = plane.put(CONTOSO, labelled("SubscriptionReuse")).await.unwrap().body.unwrap();
    let host = created["properties"]["loginServer"].as_str().unwrap().to_owned();
    let label = plane.row("contoso").await.settings.domain_label.clone().unwrap();
    assert_eq!(host, format!("contoso-{label}.example.com"));
    let error = plane.patch(CONTOSO, json!({"properties": {"autoGeneratedDomainNameLabelScope": "Unsecure"}})).await;
    assert_eq!(error.unwrap_err().code, Code::InvalidImmutableProperty);
    let kept = plane.put(CONTOSO, body("Basic", json!({}))).await.unwrap().body.unwrap();
    assert_eq!(kept["properties"]["loginServer"], host);

    plane.delete(CONTOSO).await.unwrap();
    let again = plane.put(CONTOSO, labelled("SubscriptionReuse")).await.unwrap().body.unwrap();
    assert_eq!(again["properties"]["loginServer"], host, "the same name in the same subscription has the same host");
    plane.delete(CONTOSO).await.unwrap();
    let other = plane.put(CONTOSO, labelled("NoReuse")).await.unwrap().body.unwrap();
    assert_ne!(other["properties"]["loginServer"], host);
}

/// The path of a registry over HTTP.
fn registry_in(group: &str, name: &str) -> String {
    format!("{group}/providers/Microsoft.ContainerRegistry/registries/{name}")
}

#[tokio::test]
async fn a_name_can_be_asked_for_before() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    arm.put(&registry_in(&group, "contoso"), body("Basic", json!({}))).await;
    let path = format!("/subscriptions/{SUBSCRIPTION}/providers/microsoft.containerregistry/CheckNameAvailability");
    let ask = async |name: &str, scope: &str| {
        let kind = "Microsoft.ContainerRegistry/registries";
        let body =
            json!({"name": name, "type": kind, "autoGeneratedDomainNameLabelScope": scope, "resourceGroupName": "g"});
        let reply = arm.post(&path, body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    };
    let free = json!({"nameAvailable": true, "availableLoginServerName": "fabrikam.example.com"});
    assert_eq!(ask("Fabrikam", "Unsecure").await, free);
    assert_eq!(ask("Contoso", "Unsecure").await["reason"], "AlreadyExists");
    assert_eq!(ask("a_b", "Unsecure").await["reason"], "Invalid");
    assert_eq!(ask("portal", "Unsecure").await["reason"], "Invalid");
    let told = ask("fabrikam", "ResourceGroupReuse").await["availableLoginServerName"].clone();
    let labelled = body("Basic", json!({"autoGeneratedDomainNameLabelScope": "ResourceGroupReuse"}));
    let made = arm.put(&registry_in(&group, "fabrikam"), labelled).await;
    assert_eq!(made.body["properties"]["loginServer"], told, "what was told comes true");
    for bad in [json!({}), json!({"name": "x", "type": "Microsoft.Storage/x"}), json!({"name": ["x"]})] {
        assert_eq!(arm.post(&path, bad.clone()).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn secrets_are_for_those_who_may_ask_for_them() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let registry = registry_in(&group, "contoso");
    arm.put(&registry, body("Basic", json!({"adminUserEnabled": true}))).await;
    let reader = arm.principal("reader", READER, &registry).await;
    let seen = arm.send(&reader, Method::GET, &registry, None).await;
    assert_eq!(seen.status, 200);
    assert!(!seen.body.to_string().contains("passwords"));
    assert_eq!(arm.send(&reader, Method::GET, &format!("{registry}/listUsages"), None).await.status, 200);
    for action in ["listCredentials", "regenerateCredential", "generateCredentials"] {
        let refused = arm.send(&reader, Method::POST, &format!("{registry}/{action}"), Some(json!({}))).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "AuthorizationFailed"), "{action}");
    }
    assert_eq!(arm.post(&format!("{registry}/LISTCREDENTIALS"), json!({})).await.status, 200);
    assert_eq!(arm.get(&format!("{registry}/listCredentials")).await.status, 405, "secrets are not for GET");
    let link = arm.get(&format!("{registry}/privateLinkResources/Registry")).await;
    assert_eq!((link.status.as_u16(), &link.body["name"]), (200, &json!("registry")));
    assert_eq!(arm.get(&format!("{registry}/privateLinkResources/other")).await.status, 404);
    assert_eq!(arm.get(&format!("{registry}/replications")).await.body, json!({"value": []}));
    assert_eq!(arm.get(&format!("{registry}/replications/westus")).await.status, 404);
}

#[tokio::test]
async fn an_identity_is_assigned_by_those_who_may_use_it() {
    let arm = Arm::start().await;
    let (ours, theirs) = (arm.group("ours").await, arm.group("theirs").await);
    let identity = arm.identity(&theirs, "builder", json!({})).await;
    let registry = registry_in(&ours, "contoso");
    arm.put(&registry, body("Basic", json!({}))).await;
    let team = arm.principal("team", OWNER, &ours).await;
    let assign = json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {&identity: {}}}});
    let refused = arm.send(&team, Method::PATCH, &registry, Some(assign.clone())).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "LinkedAuthorizationFailed"));
    assert_eq!(arm.patch(&registry, assign).await.status, 200);
    // What stands already needs no right of whoever changes something else.
    let whole = arm.send(&team, Method::GET, &registry, None).await.body;
    assert_eq!(arm.send(&team, Method::PATCH, &registry, Some(whole)).await.status, 200);
}
