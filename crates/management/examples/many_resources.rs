//! Measures lists and single requests of an installation with many registries and role assignments:
//! `cargo run --release -p wharf-management --example many_resources [REGISTRIES] [ASSIGNMENTS]`.
//!
//! Goals: 10,000 registries and 100,000 role assignments leave request times unchanged, and a list of all registries comes
//! in less than a second.

use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use wharf_management::Actor;
use wharf_metadata::roles::{self, RoleAssignmentRow};
use wharf_model::{Clock as _, PrincipalId, ResourceId};
use wharf_testkit::{Service, ServiceClient, TestServer};

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let registries = numbers.next().unwrap_or(10_000);
    let assignments = numbers.next().unwrap_or(100_000);
    let server = TestServer::start().await;
    let owner = server.owner(Service::Management).await;
    println!("{:<34} {:>12} {:>12}", "", "before", "after");
    let before = measure(&owner).await;
    fill(&server, registries, assignments).await;
    let after = measure(&owner).await;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        println!("{name:<34} {before:>9.0} µs {after:>9.0} µs");
    }
    let begun = Instant::now();
    let (count, pages) = list_all(&owner).await;
    println!("{count} registries listed in {pages} pages: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
}

/// Makes registries and role assignments.
async fn fill(server: &TestServer, registries: usize, assignments: usize) {
    let begun = Instant::now();
    let made = stream::iter(0..registries).for_each_concurrent(64, |n| async move {
        let id: ResourceId = registry(&format!("many{n:06}")).parse().expect("it is an id");
        let body = json!({"location": "eastus", "sku": {"name": "Standard"}, "tags": {"n": n.to_string()}});
        let cx = server.management().cx(Actor::Operator);
        let body = body.as_object().cloned().unwrap_or_default();
        server.management().put(&cx, &id, body).await.expect("a registry can be made");
    });
    made.await;
    let each = begun.elapsed().as_secs_f64() * 1e3 / registries.max(1) as f64;
    println!("{registries} registries made, {each:.2} ms each, 64 at a time");
    let now = server.clock().now();
    for part in (0..assignments).collect::<Vec<_>>().chunks(5_000) {
        let rows: Vec<RoleAssignmentRow> = part.iter().map(|&n| assignment(n, registries.max(1), now)).collect();
        let work = server.management().database().write_access(move |c| {
            Box::pin(async move {
                for row in &rows {
                    roles::insert_assignment(c, row).await?;
                }
                Ok::<_, wharf_metadata::Error>(())
            })
        });
        work.await.expect("assignments can be written");
    }
}

fn assignment(n: usize, registries: usize, now: wharf_model::Timestamp) -> RoleAssignmentRow {
    RoleAssignmentRow {
        id: Uuid::new_v4(),
        scope: registry(&format!("many{:06}", n % registries)).parse().expect("it is an id"),
        principal_id: PrincipalId(Uuid::from_u128(0x1000 + n as u128)),
        principal_type: "User".to_owned(),
        role_id: uuid::uuid!("7f951dda-4ed3-4680-a7ca-43fe172d538d"),
        condition: None,
        condition_version: None,
        description: None,
        created_at: now,
        updated_at: now,
        created_by: String::new(),
        updated_by: String::new(),
    }
}

/// What single requests take, in microseconds: the mean of many, one after another.
async fn measure(owner: &ServiceClient<'_>) -> Vec<(&'static str, f64)> {
    let probe = registry("probe00");
    let body = json!({"location": "eastus", "sku": {"name": "Standard"}});
    assert!(owner.put(&with_version(&probe), &body).await.status < 300);
    let filter = "%24filter=resourceType%20eq%20%27Microsoft.ContainerRegistry%2Fregistries%27%20and%20name%20eq%20%27probe00%27";
    let find = format!("/subscriptions/{}/resources?api-version=2024-11-01&{filter}", TestServer::SUBSCRIPTION);
    let mut measured = Vec::new();
    for (name, method, path, body) in [
        ("GET a registry", Method::GET, with_version(&probe), None),
        ("find a registry by its name", Method::GET, find, None),
        ("PATCH a registry", Method::PATCH, with_version(&probe), Some(json!({"tags": {"a": "b"}}))),
        ("GET role assignments of a registry", Method::GET, assignments_of(&probe), None),
    ] {
        measured.push((name, mean(owner, &method, &path, body.as_ref()).await));
    }
    measured
}

async fn mean(client: &ServiceClient<'_>, method: &Method, path: &str, body: Option<&Value>) -> f64 {
    const ROUNDS: u32 = 200;
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        let answer = client.call(method.clone(), path, body).await;
        assert!(answer.status < 300, "{answer}");
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

/// All registries of the subscription, as `az acr list` reads them.
async fn list_all(owner: &ServiceClient<'_>) -> (usize, usize) {
    let kind = "providers/Microsoft.ContainerRegistry/registries";
    let mut path = with_version(&format!("/subscriptions/{}/{kind}", TestServer::SUBSCRIPTION));
    let (mut count, mut pages) = (0, 0);
    loop {
        let answer = owner.get(&path).await;
        assert_eq!(answer.status, 200, "{answer}");
        let body = answer.json();
        count += body["value"].as_array().map_or(0, Vec::len);
        pages += 1;
        match body["nextLink"].as_str().and_then(|link| link.strip_prefix("https://management.example.com")) {
            Some(next) => path = next.to_owned(),
            None => return (count, pages),
        }
    }
}

fn registry(name: &str) -> String {
    format!("{}/providers/Microsoft.ContainerRegistry/registries/{name}", TestServer::GROUP)
}

fn with_version(path: &str) -> String {
    format!("{path}?api-version=2026-09-01-preview")
}

fn assignments_of(registry: &str) -> String {
    format!("{registry}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&%24filter=atScope()")
}
