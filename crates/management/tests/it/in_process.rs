//! The mechanism without HTTP, as deployments and the command line use it.

use serde_json::{Map, Value, json};

use crate::arm::{Arm, SUBSCRIPTION, group, id};

fn body(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn the_operator_does_what_requests_do() {
    let arm = Arm::start().await;
    let cx = arm.operator();
    let group = id(&group("g"));
    let identity = group.resource("microsoft.managedidentity", "userassignedidentities", "idt").unwrap();
    let wanted = body(json!({"location": "eastus"}));
    assert_eq!(
        arm.management.put(&cx, &identity, wanted.clone()).await.unwrap_err().error().code.as_str(),
        "ResourceGroupNotFound"
    );
    assert_eq!(arm.management.put(&cx, &group, wanted.clone()).await.unwrap().status, 201);
    arm.management.check_put(&cx, &identity, wanted.clone()).await.unwrap();
    assert!(arm.management.get(&cx, &identity).await.is_err(), "a check writes nothing");
    let made = arm.management.put(&cx, &identity, wanted).await.unwrap();
    let shown = made.body.unwrap();
    assert_eq!(
        shown["type"], "Microsoft.ManagedIdentity/userAssignedIdentities",
        "words get their documented spelling"
    );
    assert_eq!(shown["systemData"]["createdBy"], "operator");
    assert_eq!(arm.management.get(&cx, &identity).await.unwrap(), shown);
    assert_eq!(arm.management.list_in_group(&group).await.unwrap(), std::slice::from_ref(&identity));
    let listed = arm
        .management
        .list(&cx, &id(&format!("/subscriptions/{SUBSCRIPTION}")), "Microsoft.ManagedIdentity/userAssignedIdentities")
        .await;
    assert_eq!(listed.unwrap(), [shown]);
    assert_eq!(arm.management.delete(&cx, &identity).await.unwrap().status, 204);
    assert!(arm.management.put(&cx, &id("/providers/Microsoft.Planets/x/y"), Map::new()).await.is_err());
    assert!(arm.management.versions_of("microsoft.containerregistry/REGISTRIES").is_some());
}

#[tokio::test]
async fn a_deletion_that_was_cut_off_is_gone_on_with() {
    let arm = Arm::start().await;
    let path = arm.group("g").await;
    let inside = arm.identity(&path, "idt", json!({})).await;
    let cx = arm.operator();
    let group = id(&path);
    let (operation, location) = arm.management.begin_operation(&cx, &group).await.unwrap();
    let marked = group.clone();
    arm.management
        .database()
        .write(move |c| {
            Box::pin(async move {
                let row = wharf_metadata::resources::find(c, &marked).await?.unwrap();
                wharf_metadata::resources::set_deleting(c, row.row).await
            })
        })
        .await
        .unwrap();
    assert_eq!(arm.get(&path).await.body["properties"]["provisioningState"], "Deleting");
    let refused = arm.put(&inside.replace("idt", "new"), json!({"location": "eastus"})).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "ResourceGroupBeingDeleted"));
    assert_eq!(arm.put(&path, json!({"location": "eastus"})).await.code(), "ResourceBeingDeleted");
    let waiting = arm.get(&location).await;
    assert_eq!((waiting.status.as_u16(), waiting.header("retry-after")), (202, "1"));
    assert!(waiting.header("location").ends_with(&location));

    arm.management.resume().await.unwrap();
    assert_eq!(arm.get(&path).await.status, 404);
    assert_eq!(arm.get(&location).await.status, 200);
    let status = location
        .replace("operationResults", "providers/Microsoft.ContainerRegistry/locations/eastus/operationStatuses");
    let status = arm.get(&status).await.body;
    assert_eq!((status["status"].as_str(), &status["name"]), (Some("Succeeded"), &json!(operation)));
    arm.server.advance(std::time::Duration::from_secs(8 * 24 * 3600));
    arm.management.resume().await.unwrap();
    assert!(arm.management.begin_operation(&cx, &group).await.is_ok());
}

#[tokio::test]
async fn an_operation_that_failed_says_why() {
    let arm = Arm::start().await;
    let cx = arm.operator();
    let (operation, location) = arm.management.begin_operation(&cx, &id(&group("g"))).await.unwrap();
    let why = wharf_arm::ArmError::new(wharf_arm::Code::ScopeLocked, "locked");
    arm.management.end_operation(operation, Err(why.into())).await.unwrap();
    let result = arm.get(&location).await;
    assert_eq!((result.status.as_u16(), result.code()), (409, "ScopeLocked"));
}
