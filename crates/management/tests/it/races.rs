//! Requests that get in each other's way.

use std::sync::Arc;

use serde_json::json;
use wharf_metadata::resources;
use wharf_model::ResourceId;

use crate::arm::{Arm, bare, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_goes_while_something_is_put_into_it_leaves_nothing() {
    let arm = Arc::new(Arm::start().await);
    for round in 0..10 {
        let group = arm.group(&format!("g{round}")).await;
        let putting: Vec<_> = (0..8)
            .map(|n| {
                let (arm, path) =
                    (arm.clone(), format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-{n}"));
                tokio::spawn(async move { arm.put(&path, json!({"location": "eastus"})).await })
            })
            .collect();
        let deleting = {
            let (arm, group) = (arm.clone(), group.clone());
            tokio::spawn(async move { arm.delete(&group).await })
        };
        assert_eq!(deleting.await.unwrap().status, 200);
        for put in putting {
            let reply = put.await.unwrap();
            let is_fair =
                reply.status == 201 || matches!(reply.code(), "ResourceGroupNotFound" | "ResourceGroupBeingDeleted");
            assert!(is_fair, "{reply:?}");
        }
        assert_eq!(arm.management.list_in_group(&id(&group)).await.unwrap(), []);
        assert_eq!(arm.get(&group).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_change_by_the_same_etag_one_wins() {
    let arm = Arc::new(Arm::start().await);
    let group = arm.group("g").await;
    let etag = arm.get(&group).await.header("etag").to_owned();
    let changing: Vec<_> = (0..8)
        .map(|n| {
            let (arm, group, etag) = (arm.clone(), group.clone(), etag.clone());
            tokio::spawn(async move {
                let request = http::Request::patch(format!("{group}?api-version=2022-09-01"))
                    .header("authorization", format!("Bearer {}", arm.owner()))
                    .header("if-match", etag)
                    .body(json!({"tags": {"n": n.to_string()}}).to_string().into());
                arm.serve(request.unwrap()).await.status.as_u16()
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for change in changing {
        statuses.push(change.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_goes_while_a_registry_is_created_in_it_leaves_neither_orphan_nor_half() {
    let arm = Arc::new(Arm::start().await);
    let before = arm.get(ALL).await.names().len();
    for round in 0..6 {
        let group = arm.group(&format!("g{round}")).await;
        let creating: Vec<_> = (0..4)
            .map(|n| {
                let path = format!("{group}/providers/Microsoft.ContainerRegistry/registries/racing{round}x{n}");
                let arm = arm.clone();
                tokio::spawn(
                    async move { arm.put(&path, json!({"location": "eastus", "sku": {"name": "Basic"}})).await },
                )
            })
            .collect();
        let deleting = {
            let (arm, group) = (arm.clone(), group.clone());
            tokio::spawn(async move { arm.delete(&group).await })
        };
        assert_eq!(deleting.await.unwrap().status, 200);
        for created in creating {
            let reply = created.await.unwrap();
            let is_fair =
                reply.status == 201 || matches!(reply.code(), "ResourceGroupNotFound" | "ResourceGroupBeingDeleted");
            assert!(is_fair, "{reply:?}");
        }
        assert_eq!(arm.management.list_in_group(&id(&group)).await.unwrap(), []);
        for n in 0..4 {
            let name = format!("racing{round}x{n}").parse().unwrap();
            let row = arm.server.artifacts().find_registry(&name).await.unwrap();
            assert!(row.is_none(), "the data plane has no registry that is no resource");
            let body = json!({"name": format!("racing{round}x{n}"), "type": "Microsoft.ContainerRegistry/registries"});
            assert_eq!(arm.post(CHECK_NAME, body).await.body["nameAvailable"], true, "the name is free");
        }
    }
    assert_eq!(arm.get(ALL).await.names().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_that_comes_late_leaves_what_was_made_later_under_the_name() {
    let arm = Arc::new(Arm::start().await);
    let (long, short) = (arm.group("a").await, arm.group("b").await);
    let rows: Vec<_> = (0..MANY).map(|n| bare(id(&format!("{long}/providers/Ns/kinds/{n:06}")))).collect();
    let last = rows.last().unwrap().id.clone();
    let groups = [id(&long), id(&short)];
    let marking = arm.management.database().write(move |c| {
        Box::pin(async move {
            for row in rows {
                resources::insert(c, &row, false).await?;
            }
            for group in groups {
                let row = resources::find(c, &group).await?.expect("it is there").row;
                resources::set_deleting(c, row).await?;
            }
            Ok::<_, wharf_metadata::Error>(())
        })
    });
    marking.await.unwrap();
    let upkeep = {
        let arm = arm.clone();
        tokio::spawn(async move { arm.management.resume().await.unwrap() })
    };
    let is_there = async |id: &ResourceId| {
        let id = id.clone();
        let found =
            arm.management.database().read(move |c| Box::pin(async move { resources::find(c, &id).await })).await;
        found.unwrap().is_some()
    };
    while is_there(&last).await {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    // The upkeep has read what is marked, and is busy with the first of it.
    assert_eq!(arm.delete(&short).await.status, 200);
    arm.group("b").await;
    let kept = arm.identity(&short, "kept", json!({})).await;
    let lock = format!("{kept}/providers/Microsoft.Authorization/locks/keep");
    assert_eq!(arm.put(&lock, json!({"properties": {"level": "CanNotDelete"}})).await.status, 201);
    upkeep.await.unwrap();
    assert!(!is_there(&id(&long)).await);
    for path in [&short, &kept, &lock] {
        assert_eq!(arm.get(path).await.status, 200, "{path}");
    }
}

const MANY: usize = 5000;
const ALL: &str =
    "/subscriptions/00000000-0000-4000-8000-00000000000b/providers/Microsoft.ContainerRegistry/registries";
const CHECK_NAME: &str =
    "/subscriptions/00000000-0000-4000-8000-00000000000b/providers/Microsoft.ContainerRegistry/checkNameAvailability";
