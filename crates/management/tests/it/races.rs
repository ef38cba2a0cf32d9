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
