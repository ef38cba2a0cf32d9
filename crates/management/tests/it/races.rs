//! Requests that get in each other's way.

use std::sync::Arc;

use serde_json::json;

use crate::arm::{Arm, id};

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

const ALL: &str =
    "/subscriptions/00000000-0000-4000-8000-00000000000b/providers/Microsoft.ContainerRegistry/registries";
const CHECK_NAME: &str =
    "/subscriptions/00000000-0000-4000-8000-00000000000b/providers/Microsoft.ContainerRegistry/checkNameAvailability";
