//! Scope maps and tokens, from the management plane to the sign-in.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_arm::{ArmError, Code};
use wharf_identity::{Credentials, may};
use wharf_model::{Action, Clock, ResourceKind};

use crate::plane::Plane;

/// `contoso` (Premium) with the scope map `readers`.
async fn contoso() -> Plane {
    let plane = Plane::start().await;
    plane.registry("contoso", "Premium").await;
    let actions = json!(["repositories/team/app/content/read"]);
    plane.put("registries/contoso/scopeMaps/readers", json!({"properties": {"actions": actions}})).await.unwrap();
    plane
}

fn scope_map_id(name: &str) -> String {
    Plane::id(&format!("registries/contoso/scopeMaps/{name}")).to_string()
}

impl Plane {
    async fn put_token(&self, name: &str, properties: Value) -> Result<Value, ArmError> {
        let answer = self.put(&format!("registries/contoso/tokens/{name}"), json!({"properties": properties})).await?;
        Ok(answer.body.unwrap())
    }

    async fn patch_token(&self, name: &str, properties: Value) -> Result<Value, ArmError> {
        let answer =
            self.patch(&format!("registries/contoso/tokens/{name}"), json!({"properties": properties})).await?;
        Ok(answer.body.unwrap())
    }

    /// The answer of `generateCredentials` for contoso's token.
    async fn generate(&self, token: &str, members: Value) -> Result<Value, ArmError> {
        let mut body = json!({"tokenId": Self::id(&format!("registries/contoso/tokens/{token}")).as_str()});
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        Ok(self.act("registries/contoso", "generateCredentials", body).await?.body.unwrap())
    }

    /// The token `agent` with the scope map `readers`, and its two passwords.
    async fn agent(&self) -> [String; 2] {
        self.put_token("agent", json!({"scopeMapId": scope_map_id("readers")})).await.unwrap();
        values(&self.generate("agent", json!({})).await.unwrap()).try_into().unwrap()
    }

    async fn may_enter(&self, password: &str) -> bool {
        self.sign_in("contoso", "agent", password).await.is_some()
    }

    /// Whether contoso's token `agent` may pull from a repository.
    async fn may_pull(&self, password: &str, repository: &str) -> bool {
        let caller = self.sign_in("contoso", "agent", password).await.expect("the password is right");
        may(&caller, Action::Pull, ResourceKind::Repository, repository)
    }
}

fn values(generated: &Value) -> Vec<String> {
    let passwords = generated["passwords"].as_array().unwrap();
    passwords.iter().map(|password| password["value"].as_str().unwrap().to_owned()).collect()
}

fn names(shown: &Value) -> Vec<&str> {
    let passwords = shown["properties"]["credentials"]["passwords"].as_array().unwrap();
    passwords.iter().map(|password| password["name"].as_str().unwrap()).collect()
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, ArmError>, code: Code, target: Option<&str>) -> String {
    let error = result.unwrap_err();
    assert_eq!((error.code, error.target.as_deref()), (code, target), "{}", error.message);
    error.message.into_owned()
}

#[tokio::test]
async fn every_registry_has_the_scope_maps_of_the_system() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Basic").await;
    let maps = plane.list("registries/contoso", "registries/scopeMaps").await.unwrap();
    let names: Vec<_> = maps.iter().map(|map| map["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "_repositories_admin",
            "_repositories_pull",
            "_repositories_pull_metadata_read",
            "_repositories_push",
            "_repositories_push_metadata_write",
        ]
    );
    assert!(maps.iter().all(|map| map["properties"]["type"] == "SystemDefined"));

    let path = "registries/contoso/scopeMaps/_Repositories_Pull";
    let pull = plane.get(path).await.unwrap();
    let properties = json!({
        "description": "Can pull any repository of the registry",
        "actions": ["repositories/*/content/read"],
        "type": "SystemDefined",
        "creationDate": plane.clock.now().to_string(),
        "provisioningState": "Succeeded",
    });
    assert_eq!(pull["properties"], properties);
    plane.put(path, pull.clone()).await.expect("sent back whole, as exported templates do");
    plane.patch(path, json!({"properties": {}})).await.expect("nothing is asked for");
    let more = json!({"properties": {"actions": ["repositories/*/content/delete"]}});
    refusal(plane.put(path, more.clone()).await, Code::OperationNotAllowed, None);
    refusal(plane.patch(path, more).await, Code::OperationNotAllowed, None);
    refusal(plane.delete(path).await, Code::OperationNotAllowed, None);
    assert_eq!(plane.get(path).await.unwrap()["properties"], properties);
}

#[tokio::test]
async fn actions_of_scope_maps_are_read_and_kept() {
    let plane = contoso().await;
    let path = "registries/contoso/scopeMaps/Writers";
    let body = json!({"properties": {"description": "Those who write", "actions": [
        "repositories/team/*/content/read", "Repositories/Team/app/Content/Write", "repositories/team/*/content/read",
        "gateway/edge1/config/read",
    ]}});
    let made = plane.put(path, body).await.unwrap();
    assert_eq!(made.status.as_u16(), 201);
    let made = made.body.unwrap();
    let actions =
        json!(["repositories/team/*/content/read", "repositories/team/app/content/write", "gateway/edge1/config/read"]);
    assert_eq!(made["properties"]["actions"], actions, "each once, in its normal form, in the order given");
    assert_eq!((&made["properties"]["type"], &made["name"]), (&json!("UserDefined"), &json!("Writers")));

    let patched = plane.patch(path, json!({"properties": {"description": null}})).await.unwrap().body.unwrap();
    assert_eq!((patched["properties"].get("description"), &patched["properties"]["actions"]), (None, &actions));
    let less = json!({"properties": {"actions": []}});
    assert_eq!(plane.patch(path, less).await.unwrap().body.unwrap()["properties"]["actions"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_a_scope_map_is_told_with_its_place() {
    let plane = contoso().await;
    let put = async |name: &str, properties: Value| {
        plane.put(&format!("registries/contoso/scopeMaps/{name}"), json!({"properties": properties})).await
    };
    let invalid = Code::InvalidRequestContent;
    let bad = json!(["repositories/a/content/read", "repositories/a/content/fly"]);
    let message = refusal(put("broken", json!({"actions": bad})).await, invalid, Some("properties.actions[1]"));
    assert!(message.contains("content/fly"), "{message}");
    refusal(put("broken", json!({})).await, invalid, Some("properties.actions"));
    refusal(
        put("broken", json!({"actions": "repositories/a/content/read"})).await,
        invalid,
        Some("properties.actions"),
    );
    refusal(put("broken", json!({"actions": [1]})).await, invalid, Some("properties.actions[0]"));
    let long = json!({"actions": [], "description": "x".repeat(257)});
    refusal(put("broken", long).await, invalid, Some("properties.description"));
    let verbs = ["content/read", "content/write", "content/delete", "metadata/read", "metadata/write"];
    let many = |count: usize| -> Vec<String> {
        (0..count).map(|n| format!("repositories/r{}/{}", n / 5, verbs[n % 5])).collect()
    };
    put("largest", json!({"actions": many(500)})).await.unwrap();
    let message = refusal(put("broken", json!({"actions": many(501)})).await, invalid, Some("properties.actions"));
    assert!(message.contains("500"), "{message}");
    for name in ["four", "with.dot", "_private", &"x".repeat(51)] {
        refusal(put(name, json!({"actions": []})).await, Code::InvalidResourceName, None);
    }
}

#[tokio::test]
async fn a_token_is_made_with_a_scope_map_of_its_registry() {
    let plane = contoso().await;
    plane.registry("fabrikam", "Basic").await;
    let shouted = scope_map_id("readers").to_uppercase();
    let made = plane.put_token("Agent", json!({"scopeMapId": shouted})).await.unwrap();
    assert_eq!(made["id"], Plane::id("registries/contoso/tokens/Agent").as_str());
    assert_eq!(
        made["properties"],
        json!({
            "scopeMapId": scope_map_id("readers"),
            "status": "enabled",
            "credentials": {"certificates": [], "passwords": []},
            "creationDate": plane.clock.now().to_string(),
            "provisioningState": "Succeeded",
        })
    );
    let target = Some("properties.scopeMapId");
    for id in [
        scope_map_id("nothere"),
        Plane::id("registries/fabrikam/scopeMaps/_repositories_pull").to_string(),
        Plane::id("registries/contoso/tokens/agent").to_string(),
        Plane::id("registries/contoso").to_string(),
        "readers".to_owned(),
        String::new(),
    ] {
        refusal(plane.put_token("other", json!({"scopeMapId": id})).await, Code::InvalidRequestContent, target);
    }
    refusal(plane.put_token("other", json!({})).await, Code::InvalidRequestContent, target);
    let bad = json!({"scopeMapId": scope_map_id("readers"), "status": "asleep"});
    refusal(plane.put_token("other", bad).await, Code::InvalidRequestContent, Some("properties.status"));
    for name in ["four", "with_underscore", "Contoso", "01234567-89ab-cdef-0123-456789abcdef"] {
        let made = plane.put_token(name, json!({"scopeMapId": scope_map_id("readers")})).await;
        refusal(made, Code::InvalidResourceName, None);
    }
    assert_eq!(plane.list("registries/contoso", "registries/tokens").await.unwrap().len(), 1);
}

#[tokio::test]
async fn generated_passwords_are_shown_once_and_sign_in() {
    let plane = contoso().await;
    plane.put_token("Agent", json!({"scopeMapId": scope_map_id("readers")})).await.unwrap();
    let expiry = plane.clock.now() + Duration::from_hours(1);
    let made = plane.generate("agent", json!({"expiry": expiry.to_string()})).await.unwrap();
    assert_eq!(made["username"], "Agent");
    let [one, two] = <[String; 2]>::try_from(values(&made)).unwrap();
    assert!(plane.may_enter(&one).await && plane.may_enter(&two).await);
    let times = json!({"creationTime": plane.clock.now().to_string(), "expiry": expiry.to_string()});
    for (position, name) in ["password1", "password2"].into_iter().enumerate() {
        let mut shown = times.clone();
        shown["name"] = json!(name);
        let token = plane.get("registries/contoso/tokens/agent").await.unwrap();
        assert_eq!(token["properties"]["credentials"]["passwords"][position], shown, "everything but the value");
        shown["value"] = json!([&one, &two][position]);
        assert_eq!(made["passwords"][position], shown);
    }
    assert!(plane.may_pull(&one, "team/app").await && !plane.may_pull(&one, "team/other").await);

    plane.clock.advance(Duration::from_mins(30));
    let renewed = plane.generate("agent", json!({"name": "PASSWORD1"})).await.unwrap();
    assert_eq!(renewed["passwords"].as_array().unwrap().len(), 1, "the other one's value is not known any more");
    assert_eq!(renewed["passwords"][0].get("expiry"), None);
    assert!(!plane.may_enter(&one).await && plane.may_enter(&two).await);
    plane.clock.advance(Duration::from_mins(30));
    assert!(!plane.may_enter(&two).await, "it has expired");
    assert!(plane.may_enter(&values(&renewed)[0]).await);
}

#[tokio::test]
async fn what_is_wrong_with_a_generation_is_told_with_its_place() {
    let plane = contoso().await;
    let [one, two] = plane.agent().await;
    let invalid = Code::InvalidRequestContent;
    let now = plane.clock.now().to_string();
    refusal(plane.generate("agent", json!({"expiry": now})).await, invalid, Some("expiry"));
    refusal(plane.generate("agent", json!({"expiry": "tomorrow"})).await, invalid, Some("expiry"));
    refusal(plane.generate("agent", json!({"name": "password3"})).await, invalid, Some("name"));
    refusal(plane.generate("nobody", json!({})).await, Code::ResourceNotFound, None);
    let other = Plane::id("registries/contoso/scopeMaps/readers").to_string();
    refusal(plane.generate("agent", json!({"tokenId": other})).await, invalid, Some("tokenId"));
    refusal(plane.act("registries/contoso", "generateCredentials", json!({})).await, invalid, Some("tokenId"));
    assert!(plane.may_enter(&one).await && plane.may_enter(&two).await);
}

#[tokio::test]
async fn passwords_that_are_not_named_are_removed() {
    let plane = contoso().await;
    let [one, two] = plane.agent().await;
    let before = plane.get("registries/contoso/tokens/agent").await.unwrap();
    // A template that is deployed again, and the whole object sent back.
    plane.put_token("agent", json!({"scopeMapId": scope_map_id("readers")})).await.unwrap();
    plane.put_token("agent", before["properties"].clone()).await.unwrap();
    plane.patch_token("agent", json!({"status": "enabled", "credentials": null})).await.unwrap();
    assert!(plane.may_enter(&one).await && plane.may_enter(&two).await);

    let keep = |names: &[&str]| json!({"credentials": {"passwords": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()}});
    assert_eq!(names(&plane.patch_token("agent", keep(&["password2"])).await.unwrap()), ["password2"]);
    assert!(!plane.may_enter(&one).await && plane.may_enter(&two).await);
    let first = Some("properties.credentials.passwords[0].name");
    refusal(plane.patch_token("agent", keep(&["password1"])).await, Code::InvalidRequestContent, first);
    refusal(plane.patch_token("agent", keep(&["password9"])).await, Code::InvalidRequestContent, first);
    let later = json!({"credentials": {"passwords": [{"name": "password2", "expiry": "2030-01-01T00:00:00Z"}]}});
    let expiry = Some("properties.credentials.passwords[0].expiry");
    refusal(plane.patch_token("agent", later).await, Code::InvalidRequestContent, expiry);
    let certificates = json!({"credentials": {"certificates": [{"name": "certificate1"}]}});
    let place = Some("properties.credentials.certificates");
    refusal(plane.patch_token("agent", certificates).await, Code::InvalidRequestContent, place);
    assert!(plane.may_enter(&two).await);
    assert!(names(&plane.patch_token("agent", keep(&[])).await.unwrap()).is_empty());
    assert!(!plane.may_enter(&two).await);

    let new = json!({"scopeMapId": scope_map_id("readers"), "credentials": {"passwords": [{"name": "password1"}]}});
    refusal(plane.put_token("other", new).await, Code::InvalidRequestContent, first);
    refusal(plane.get("registries/contoso/tokens/other").await, Code::ResourceNotFound, None);
}

#[tokio::test]
async fn changes_of_scope_map_and_status_count_at_once() {
    let plane = contoso().await;
    let [one, _] = plane.agent().await;
    let more = json!({"properties": {"actions": ["repositories/team/*/content/read"]}});
    plane.patch("registries/contoso/scopeMaps/readers", more).await.unwrap();
    assert!(plane.may_pull(&one, "team/other").await && !plane.may_pull(&one, "elsewhere").await);
    let shown = plane.patch_token("agent", json!({"scopeMapId": scope_map_id("_repositories_pull")})).await.unwrap();
    assert_eq!(shown["properties"]["status"], "enabled");
    assert!(plane.may_pull(&one, "elsewhere").await);
    let shown = plane.patch_token("agent", json!({"status": "Disabled"})).await.unwrap();
    assert_eq!(shown["properties"]["status"], "disabled");
    assert!(!plane.may_enter(&one).await);
    plane.patch_token("agent", json!({"status": "enabled", "scopeMapId": null})).await.unwrap();
    assert!(plane.may_pull(&one, "elsewhere").await);
}

#[tokio::test]
async fn what_was_issued_ends_with_its_password_and_no_other() {
    let plane = contoso().await;
    let row = plane.row("contoso").await;
    let identity = plane.management.identity();
    let [one, two] = plane.agent().await;
    // An access token and a refresh token against a password.
    let issue = async |password: &str| {
        let caller = plane.sign_in("contoso", "agent", password).await.unwrap();
        let scopes = ["repository:team/app:pull".parse().unwrap()];
        let access = identity.access_token(&row, "contoso.example.com", &caller, &scopes).await.unwrap();
        (access, identity.refresh_token(&row, "contoso.example.com", &caller).await.unwrap())
    };
    let count = async |(access, refresh): &(String, String)| {
        let access = identity.authenticate(&row, Credentials::Bearer(access), None).await;
        let refresh = identity.authenticate(&row, Credentials::RefreshToken(refresh), None).await;
        (access.is_ok(), refresh.is_ok())
    };
    let (by_one, by_two) = (issue(&one).await, issue(&two).await);
    assert_eq!((count(&by_one).await, count(&by_two).await), ((true, true), (true, true)));

    let later = plane.clock.now() + Duration::from_mins(5);
    let renewed = plane.generate("agent", json!({"name": "password1", "expiry": later.to_string()})).await.unwrap();
    assert_eq!((count(&by_one).await, count(&by_two).await), ((false, false), (true, true)));

    let by_renewed = issue(&values(&renewed)[0]).await;
    assert_eq!(count(&by_renewed).await, (true, true));
    plane.clock.advance(Duration::from_mins(5));
    assert_eq!((count(&by_renewed).await, count(&by_two).await), ((false, false), (true, true)));

    plane.patch_token("agent", json!({"status": "disabled"})).await.unwrap();
    assert_eq!(count(&by_two).await, (false, false));
    plane.patch_token("agent", json!({"status": "enabled"})).await.unwrap();
    assert_eq!(count(&by_two).await, (false, false), "enabling it again revives nothing");
    let again = issue(&two).await;
    plane.delete("registries/contoso/tokens/agent").await.unwrap();
    assert_eq!(count(&again).await, (false, false));
}

#[tokio::test]
async fn a_scope_map_in_use_is_not_deleted_but_goes_with_its_registry() {
    let plane = contoso().await;
    let [one, _] = plane.agent().await;
    let message = refusal(plane.delete("registries/contoso/scopeMaps/Readers").await, Code::Conflict, None);
    assert!(message.contains("'agent'"), "{message}");
    plane.delete("registries/contoso/tokens/agent").await.unwrap();
    assert!(!plane.may_enter(&one).await);
    plane.delete("registries/contoso/scopeMaps/readers").await.unwrap();
    refusal(plane.get("registries/contoso/scopeMaps/readers").await, Code::ResourceNotFound, None);
    plane.delete("registries/contoso/scopeMaps/readers").await.expect("what is not there is deleted");

    let readers = json!({"properties": {"actions": []}});
    plane.put("registries/contoso/scopeMaps/readers", readers).await.unwrap();
    let [one, _] = plane.agent().await;
    plane.delete("registries/contoso").await.unwrap();
    plane.registry("contoso", "Premium").await;
    assert!(!plane.may_enter(&one).await, "the next registry of the name has nothing of it");
    assert_eq!(plane.list("registries/contoso", "registries/tokens").await.unwrap(), Vec::<Value>::new());
    assert_eq!(plane.list("registries/contoso", "registries/scopeMaps").await.unwrap().len(), 5);
}

#[tokio::test]
async fn tiers_limit_tokens_and_scope_maps() {
    let plane = Plane::start().await;
    plane.registry("contoso", "Basic").await;
    for number in 0..100 {
        let path = format!("registries/contoso/scopeMaps/readers{number}");
        plane.put(&path, json!({"properties": {"actions": []}})).await.unwrap();
        plane
            .put_token(&format!("agent{number}"), json!({"scopeMapId": scope_map_id("_repositories_pull")}))
            .await
            .unwrap();
    }
    let map = json!({"properties": {"actions": []}});
    let message =
        refusal(plane.put("registries/contoso/scopeMaps/onemore", map.clone()).await, Code::QuotaExceeded, None);
    assert!(message.contains("scopeMaps") && message.contains("Basic"), "{message}");
    let token = json!({"scopeMapId": scope_map_id("_repositories_pull")});
    refusal(plane.put_token("onemore", token.clone()).await, Code::QuotaExceeded, None);
    plane.put("registries/contoso/scopeMaps/readers7", map.clone()).await.expect("it is there already");
    plane.put_token("agent7", token.clone()).await.expect("it is there already");
    plane.delete("registries/contoso/tokens/agent7").await.unwrap();
    plane.put_token("onemore", token.clone()).await.expect("there is room again");
    plane.patch("registries/contoso", json!({"sku": {"name": "Standard"}})).await.unwrap();
    plane.put_token("agent7", token).await.expect("a larger tier has more room");
    plane.put("registries/contoso/scopeMaps/onemore", map).await.expect("a larger tier has more room");
}

#[tokio::test]
async fn pages_of_tokens_show_each_its_own_passwords() {
    let plane = contoso().await;
    for name in ["agent-b", "Agent-A", "agent-c"] {
        plane.put_token(name, json!({"scopeMapId": scope_map_id("readers")})).await.unwrap();
    }
    plane.generate("agent-a", json!({"name": "password2"})).await.unwrap();
    plane.generate("agent-c", json!({})).await.unwrap();
    let listed = plane.list("registries/contoso", "registries/tokens").await.unwrap();
    let shown: Vec<_> = listed.iter().map(|token| (token["name"].as_str().unwrap(), names(token))).collect();
    assert_eq!(
        shown,
        [("Agent-A", vec!["password2"]), ("agent-b", vec![]), ("agent-c", vec!["password1", "password2"])]
    );
}
