//! Purge policies.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use wharf_model::RepositoryName;
use wharf_registry::{PutManifest, Target};

use crate::arm::{Arm, READER, SUBSCRIPTION};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn registry() -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/g1/providers/Microsoft.ContainerRegistry/registries/contoso")
}

fn policy(name: &str) -> String {
    format!("{}/purgePolicies/{name}", registry())
}

fn properties(properties: Value) -> Value {
    json!({ "properties": properties })
}

/// A registry with images under these tags.
async fn start(tags: &[&str]) -> Arm {
    let arm = Arm::start().await;
    let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/g1");
    assert_eq!(arm.put(&group, json!({"location": "eastus"})).await.status, 201);
    let body = json!({"location": "eastus", "sku": {"name": "Premium"}});
    assert_eq!(arm.put(&registry(), body).await.status, 201);
    for tag in tags {
        push(&arm, tag).await;
    }
    arm
}

async fn push(arm: &Arm, tag: &str) {
    let artifacts = arm.server.artifacts();
    let row = artifacts.find_registry(&"contoso".parse().unwrap()).await.unwrap().unwrap();
    let name: RepositoryName = "team/app".parse().unwrap();
    let target = Target { registry: &row, repository: &name };
    // What lists nothing needs nothing to be there.
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
        "annotations": {"tag": tag},
    });
    let put = PutManifest {
        reference: tag.parse().unwrap(),
        tags: Vec::new(),
        content_type: None,
        bytes: index.to_string().into_bytes().into(),
        only_new: false,
        actor: "test".into(),
    };
    artifacts.put_manifest(target, put).await.unwrap();
}

async fn tags(arm: &Arm) -> Vec<String> {
    let artifacts = arm.server.artifacts();
    let row = artifacts.find_registry(&"contoso".parse().unwrap()).await.unwrap().unwrap();
    let name: RepositoryName = "team/app".parse().unwrap();
    let page = wharf_registry::Page { limit: 100, last: None };
    let listed = artifacts.list_tags(Target { registry: &row, repository: &name }, page).await.unwrap();
    listed.map(|listing| listing.items).unwrap_or_default()
}

/// What a run that was asked for came to, by what is polled.
async fn run(arm: &Arm, name: &str, body: Value) -> Value {
    let begun = arm.post(&format!("{}/run", policy(name)), body).await;
    assert_eq!(begun.status, 202, "{begun:?}");
    let location = begun.header("location").trim_start_matches("https://management.example.com").to_owned();
    arm.server.settle_jobs().await;
    let polled = arm.get(&location).await;
    assert_eq!(polled.status, 200, "{polled:?}");
    polled.body
}

#[tokio::test]
async fn a_policy_is_kept_shown_changed_and_deleted() {
    let arm = start(&[]).await;
    let wanted = json!({"filters": ["team/.*:^ci-"], "ago": "30d", "keep": 3, "schedule": "0 3 * * *"});
    let made = arm.put(&policy("nightly"), properties(wanted)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let shown = &made.body["properties"];
    assert_eq!(
        (&shown["filters"][0], &shown["ago"], &shown["keep"]),
        (&json!("team/.*:^ci-"), &json!("30d"), &json!(3))
    );
    assert_eq!(
        (&shown["status"], &shown["untagged"], &shown["includeLocked"]),
        (&json!("enabled"), &json!(false), &json!(false))
    );
    // The clock of tests stands at 14:13.
    assert_eq!(shown["nextRunTime"], "2026-09-22T03:00:00.0000000Z");
    assert!(shown.get("lastRun").is_none());
    assert_eq!(shown["provisioningState"], "Succeeded");

    let change = properties(json!({"untagged": true, "status": "Disabled", "keep": null}));
    let changed = arm.patch(&policy("nightly"), change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let shown = &changed.body["properties"];
    assert_eq!((&shown["untagged"], &shown["keep"], &shown["status"]), (&json!(true), &json!(0), &json!("disabled")));
    assert!(shown.get("nextRunTime").is_none(), "what is switched off runs when it is asked to");
    assert_eq!(arm.get(&format!("{}/purgePolicies", registry())).await.body["value"].as_array().unwrap().len(), 1);
    assert!(arm.send(arm.owner(), Method::DELETE, &policy("nightly"), None).await.status.is_success());
    assert_eq!(arm.get(&policy("nightly")).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_refused_with_its_place() {
    let arm = start(&[]).await;
    for (wanted, place) in [
        (json!({"ago": "1d"}), "filters"),
        (json!({"filters": ["a:b"]}), "ago"),
        (json!({"filters": ["a:b"], "ago": "soon"}), "ago"),
        (json!({"filters": ["a"], "ago": "1d"}), "filters"),
        (json!({"filters": ["a:("], "ago": "1d"}), "filters"),
        (json!({"filters": ["a:b"], "ago": "1d", "keep": -1}), "keep"),
        (json!({"filters": ["a:b"], "ago": "1d", "types": ["a b"]}), "types"),
        (json!({"filters": ["a:b"], "ago": "1d", "schedule": "every day"}), "schedule"),
        (json!({"filters": ["a:b"], "ago": "1d", "schedule": "0 0 31 2 *"}), "schedule"),
        (json!({"filters": ["a:b"], "ago": "1d", "untagged": true, "untaggedOnly": true}), "untaggedOnly"),
    ] {
        let refused = arm.put(&policy("nightly"), properties(wanted.clone())).await;
        assert_eq!(refused.status, 400, "{wanted}");
        assert_eq!(refused.body["error"]["target"], format!("properties.{place}"), "{refused:?}");
    }
    let named = arm.put(&policy("-x"), properties(json!({"untaggedOnly": true}))).await;
    assert_eq!((named.status.as_u16(), &named.body["error"]["code"]), (400, &json!("InvalidResourceName")));
}

#[tokio::test]
async fn a_dry_run_reports_and_a_run_removes() {
    let mut arm = start(&["ci-1", "ci-2", "v1"]).await;
    arm.server.advance(2 * DAY);
    arm.sign_in().await;
    push(&arm, "ci-3").await;
    let wanted = json!({"filters": ["team/.*:^ci-"], "ago": "1d", "untagged": true});
    arm.put(&policy("nightly"), properties(wanted)).await;

    let report = run(&arm, "nightly", json!({"dryRun": true})).await;
    assert_eq!(
        (&report["dryRun"], &report["deletedTags"], &report["deletedManifests"]),
        (&json!(true), &json!(2), &json!(2))
    );
    assert_eq!(report["items"][0], "team/app:ci-2");
    assert_eq!(tags(&arm).await, ["ci-1", "ci-2", "ci-3", "v1"]);

    arm.server.advance(Duration::from_secs(1));
    let report = run(&arm, "nightly", json!({})).await;
    assert_eq!((&report["deletedTags"], &report["deletedManifests"]), (&json!(2), &json!(2)));
    assert_eq!(tags(&arm).await, ["ci-3", "v1"]);

    let shown = arm.get(&policy("nightly")).await.body;
    let last = &shown["properties"]["lastRun"];
    assert_eq!(
        (&last["status"], &last["deletedTags"], &last["dryRun"]),
        (&json!("Succeeded"), &json!(2), &json!(false))
    );
    assert!(last["startTime"].is_string() && last["endTime"].is_string());
    let listed = arm.post(&format!("{}/listRuns", policy("nightly")), json!({})).await.body;
    let runs: Vec<&Value> = listed["value"].as_array().unwrap().iter().collect();
    assert_eq!(runs.len(), 2);
    let dry = runs.iter().find(|run| run["dryRun"] == true).unwrap();
    let one = arm.get(&format!("{}/runs/{}", policy("nightly"), dry["name"].as_str().unwrap())).await.body;
    assert_eq!(one["report"]["items"].as_array().unwrap().len(), 4);
    assert_eq!(arm.get(&format!("{}/runs/nonsense", policy("nightly"))).await.status, 404);
}

#[tokio::test]
async fn a_policy_runs_when_its_time_has_come_and_once_for_all_that_was_missed() {
    let mut arm = start(&["ci-1"]).await;
    let artifacts = arm.server.artifacts().clone();
    let wanted = json!({"filters": [".*:.*"], "ago": "1d", "schedule": "0 3 * * *"});
    arm.put(&policy("nightly"), properties(wanted.clone())).await;
    assert_eq!(artifacts.start_due_purges().await.unwrap(), 0, "it is 14:13");
    arm.server.advance(5 * DAY);
    arm.sign_in().await;
    // A template that is deployed again puts nothing off.
    arm.put(&policy("nightly"), properties(wanted)).await;
    assert_eq!(artifacts.start_due_purges().await.unwrap(), 1);
    assert_eq!(artifacts.start_due_purges().await.unwrap(), 0);
    arm.server.settle_jobs().await;
    assert_eq!(tags(&arm).await, Vec::<String>::new());
    let shown = arm.get(&policy("nightly")).await.body;
    assert_eq!(shown["properties"]["nextRunTime"], "2026-09-27T03:00:00.0000000Z");
    assert_eq!(shown["properties"]["lastRun"]["deletedTags"], 1);
}

#[tokio::test]
async fn one_run_of_a_policy_is_open_at_a_time_and_can_be_called_off() {
    let arm = start(&["ci-1"]).await;
    arm.put(&policy("nightly"), properties(json!({"filters": [".*:.*"], "ago": "0d"}))).await;
    let cancel = format!("{}/cancel", policy("nightly"));
    assert_eq!(arm.post(&cancel, json!({})).await.status, 204, "none is under way");
    // In one transaction, so that nobody works it off meanwhile.
    let artifacts = arm.server.artifacts().clone();
    let id = policy("nightly").to_lowercase();
    let write = artifacts.database().clone();
    let started = write.write(move |c| {
        Box::pin(async move {
            let row = wharf_metadata::purge::find_policy(c, &id).await?.unwrap();
            let first = artifacts.start_purge(c, &row, false, None).await?;
            let second = artifacts.start_purge(c, &row, true, None).await?;
            artifacts.jobs().cancel(c, wharf_jobs::JobId(first.id)).await?;
            Ok::<_, wharf_metadata::Error>((first, second))
        })
    });
    let (first, second) = started.await.unwrap();
    assert!(first.is_new && !second.is_new && first.id == second.id);
    arm.server.settle_jobs().await;
    let shown = arm.get(&policy("nightly")).await.body;
    assert_eq!(shown["properties"]["lastRun"]["status"], "Canceled");
    assert_eq!(tags(&arm).await, ["ci-1"]);
}

#[tokio::test]
async fn rights_to_a_policy_are_those_of_resources() {
    let arm = start(&[]).await;
    arm.put(&policy("nightly"), properties(json!({"untaggedOnly": true}))).await;
    let reader = arm.principal("reader", READER, &registry()).await;
    assert_eq!(arm.send(&reader, Method::GET, &policy("nightly"), None).await.status, 200);
    let run = format!("{}/run", policy("nightly"));
    assert_eq!(arm.send(&reader, Method::POST, &run, Some(json!({}))).await.status, 403);
    let put = properties(json!({"untaggedOnly": true}));
    assert_eq!(arm.send(&reader, Method::PUT, &policy("nightly"), Some(put)).await.status, 403);
}
