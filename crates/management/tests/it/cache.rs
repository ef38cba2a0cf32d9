//! Cache rules and credential sets.

use serde_json::{Value, json};
use wharf_arm::{ArmError, Code};
use wharf_metadata::cache_rules;

use crate::plane::Plane;

async fn contoso() -> Plane {
    let plane = Plane::start().await;
    plane.registry("contoso", "Premium").await;
    plane
}

fn set_id(name: &str) -> String {
    Plane::id(&format!("registries/contoso/credentialSets/{name}")).to_string()
}

impl Plane {
    async fn put_rule(&self, name: &str, source: &str, target: &str) -> Result<Value, ArmError> {
        let properties =
            json!({"sourceRepository": source, "targetRepository": target, "credentialSetResourceId": null});
        let path = format!("registries/contoso/cacheRules/{name}");
        Ok(self.put(&path, json!({"properties": properties})).await?.body.unwrap())
    }

    async fn put_set(&self, name: &str, login_server: &str) -> Result<Value, ArmError> {
        let path = format!("registries/contoso/credentialSets/{name}");
        Ok(self.put(&path, set(login_server)).await?.body.unwrap())
    }
}

/// As az sends it.
fn set(login_server: &str) -> Value {
    let address = |name: &str| format!("https://contoso.vault.azure.net/secrets/{name}");
    json!({"identity": {"type": "SystemAssigned"}, "properties": {"loginServer": login_server, "authCredentials": [{
        "name": "Credential1",
        "usernameSecretIdentifier": address("hub-user"),
        "passwordSecretIdentifier": address("hub-password"),
    }]}})
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, ArmError>, code: Code) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{}", error.message);
    error.message.into_owned()
}

#[tokio::test]
async fn a_rule_is_made_shown_changed_and_deleted() {
    let plane = contoso().await;
    let made = plane.put_rule("ubuntu-rule", "docker.io/ubuntu", "ubuntu").await.unwrap();
    let properties = &made["properties"];
    assert_eq!(properties["sourceRepository"], "docker.io/library/ubuntu");
    assert_eq!(properties["targetRepository"], "ubuntu");
    assert_eq!(properties["credentialSetResourceId"], Value::Null);
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert!(properties["creationDate"].is_string());

    plane.put_set("hub-set", "docker.io").await.unwrap();
    let path = "registries/contoso/cacheRules/ubuntu-rule";
    let with_set = json!({"properties": {"credentialSetResourceId": set_id("HUB-set")}});
    let changed = plane.patch(path, with_set).await.unwrap().body.unwrap();
    assert_eq!(changed["properties"]["credentialSetResourceId"], set_id("hub-set"));
    assert_eq!(changed["properties"]["sourceRepository"], "docker.io/library/ubuntu");
    let without = json!({"properties": {"credentialSetResourceId": null}});
    let changed = plane.patch(path, without).await.unwrap().body.unwrap();
    assert_eq!(changed["properties"]["credentialSetResourceId"], Value::Null);

    // The same again, in other words, changes nothing; anything else is another rule.
    plane.put_rule("ubuntu-rule", "docker.io/library/ubuntu", "ubuntu").await.unwrap();
    for (source, target) in [("docker.io/debian", "ubuntu"), ("docker.io/ubuntu", "debian")] {
        refusal(plane.put_rule("ubuntu-rule", source, target).await, Code::InvalidImmutableProperty);
    }
    assert_eq!(plane.list("registries/contoso", "registries/cacheRules").await.unwrap().len(), 1);
    assert_eq!(plane.delete(path).await.unwrap().status, 204);
    assert!(plane.list("registries/contoso", "registries/cacheRules").await.unwrap().is_empty());
    let row = plane.row("contoso").await;
    let left = plane.management.database().read(move |c| Box::pin(async move { cache_rules::list(c, row.id).await }));
    assert_eq!(left.await.unwrap(), []);
}

#[tokio::test]
async fn rules_stand_beside_each_other_or_are_refused() {
    let plane = contoso().await;
    for (name, source, target) in [
        ("fixed", "docker.io/library/ubuntu", "ubuntu"),
        ("below", "docker.io/library/*", "hub/*"),
        ("inside", "ghcr.io/team/redis", "hub/redis"),
        ("beside", "ghcr.io/team/*", "ghcr/team/*"),
    ] {
        plane.put_rule(name, source, target).await.unwrap();
    }
    for (source, target, named) in [
        ("ghcr.io/a/ubuntu", "ubuntu", "'fixed'"),
        ("quay.io/x/*", "hub/*", "'below'"),
        ("quay.io/x/*", "hub/x/*", "'below'"),
        ("quay.io/x/*", "ghcr/*", "'beside'"),
        ("mcr.microsoft.com/*", "*", "'below'"),
        ("quay.io/x/redis", "hub/redis", "'inside'"),
    ] {
        let text = refusal(plane.put_rule("another", source, target).await, Code::Conflict);
        assert!(text.contains(named) || target == "*" || target == "ghcr/*", "{target}: {text}");
    }
    for (source, target) in [
        ("ubuntu", "mine"),
        ("library/ubuntu", "mine"),
        ("docker.io/*", "mine"),
        ("docker.io/ubuntu", "mine/*"),
        ("docker.io/ub*", "mine/*"),
        ("docker.io/*/x", "mine/*"),
        ("docker.io/ubuntu:22.04", "mine"),
        ("docker.io/UPPER", "mine"),
        ("docker.io/ubuntu", "Mine"),
        ("docker.io/ubuntu", ""),
        ("", "mine"),
        // Itself.
        ("contoso.example.com/team/app", "mine"),
    ] {
        refusal(plane.put_rule("another", source, target).await, Code::InvalidRequestContent);
    }
    refusal(plane.put_rule("a_b!!", "docker.io/x", "mine").await, Code::InvalidResourceName);
    let identity = json!({"identity": {"type": "SystemAssigned"},
        "properties": {"sourceRepository": "docker.io/x", "targetRepository": "mine"}});
    refusal(plane.put("registries/contoso/cacheRules/another", identity).await, Code::InvalidRequestContent);
}

#[tokio::test]
async fn a_registry_has_a_thousand_rules() {
    let plane = contoso().await;
    let row = plane.row("contoso").await;
    let filled = plane.management.database().write(move |c| {
        Box::pin(async move {
            for number in 0..999 {
                let (name, target) = (format!("rule-{number}"), format!("cached/{number}"));
                cache_rules::put(c, row.id, &name, "docker.io/library/x", &target, None).await?;
            }
            Ok::<_, wharf_metadata::Error>(())
        })
    });
    filled.await.unwrap();
    plane.put_rule("rule-999", "docker.io/x", "cached/999").await.unwrap();
    let text = refusal(plane.put_rule("rule-1000", "docker.io/x", "cached/1000").await, Code::QuotaExceeded);
    assert!(text.contains("1000"), "{text}");
}

#[tokio::test]
async fn a_credential_set_names_secrets_and_tells_whether_they_work() {
    let plane = contoso().await;
    let made = plane.put_set("hub-set", "index.docker.io").await.unwrap();
    assert_eq!(made["properties"]["loginServer"], "docker.io");
    assert!(made["identity"]["principalId"].is_string() && made["identity"]["tenantId"].is_string(), "{made}");
    let credentials = &made["properties"]["authCredentials"][0];
    assert_eq!(credentials["name"], "Credential1");
    let health = &credentials["credentialHealth"];
    assert_eq!((&health["status"], &health["errorCode"]), (&json!("Unhealthy"), &json!("SecretNotFound")), "{made}");
    assert!(health["errorMessage"].as_str().unwrap().contains("wharf secret set hub-user"), "{made}");
    assert_eq!(plane.get("registries/contoso/credentialSets/hub-set").await.unwrap(), made);

    let mut changed = set("docker.io");
    changed["properties"]["authCredentials"][0]["usernameSecretIdentifier"] =
        json!("https://other.vault.azure.net/secrets/user/5f1c");
    let path = "registries/contoso/credentialSets/hub-set";
    let patched = plane.patch(path, changed).await.unwrap().body.unwrap();
    let credentials = &patched["properties"]["authCredentials"][0];
    assert_eq!(credentials["usernameSecretIdentifier"], "https://other.vault.azure.net/secrets/user/5f1c");
    assert_eq!(patched["identity"], made["identity"], "it keeps its principal");

    for (member, value) in [
        ("loginServer", json!("not a host/x")),
        ("authCredentials", json!([])),
        ("authCredentials", json!([{"name": "Credential2"}])),
        ("authCredentials", json!([{"usernameSecretIdentifier": "http://x/secrets/a"}])),
    ] {
        let mut body = set("docker.io");
        body["properties"][member] = value;
        refusal(plane.put("registries/contoso/credentialSets/other", body).await, Code::InvalidRequestContent);
    }
    refusal(plane.put_set("hub-set", "ghcr.io").await, Code::InvalidImmutableProperty);
}

#[tokio::test]
async fn a_credential_set_is_for_one_registry_and_stays_while_it_is_used() {
    let plane = contoso().await;
    plane.put_set("hub-set", "docker.io").await.unwrap();
    let rule = |source: &str| {
        let (source, set) = (source.to_owned(), set_id("hub-set"));
        json!({"properties": {"sourceRepository": source, "targetRepository": "mine", "credentialSetResourceId": set}})
    };
    let path = "registries/contoso/cacheRules/my-rule";
    let text = refusal(plane.put(path, rule("ghcr.io/a/b")).await, Code::InvalidRequestContent);
    assert!(text.contains("docker.io") && text.contains("ghcr.io"), "{text}");
    plane.put(path, rule("docker.io/a/b")).await.unwrap();
    let set = "registries/contoso/credentialSets/hub-set";
    let text = refusal(plane.delete(set).await, Code::Conflict);
    assert!(text.contains("'my-rule'"), "{text}");
    plane.delete(path).await.unwrap();
    assert_eq!(plane.delete(set).await.unwrap().status, 204);
    let mut missing = rule("docker.io/a/b");
    missing["properties"]["credentialSetResourceId"] = json!(set_id("nothing"));
    refusal(plane.put(path, missing).await, Code::InvalidRequestContent);
    // With a registry everything in it goes.
    plane.put_set("hub-set", "docker.io").await.unwrap();
    plane.delete("registries/contoso").await.unwrap();
}
