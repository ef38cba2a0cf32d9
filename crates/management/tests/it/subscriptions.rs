//! Tenants and subscriptions.

use serde_json::json;

use crate::arm::{Arm, SUBSCRIPTION, TENANT};

#[tokio::test]
async fn az_finds_what_it_looks_for_after_signing_in() {
    let arm = Arm::start().await;
    let tenants = arm.get("/tenants").await;
    assert_eq!(tenants.body["value"][0]["tenantId"], json!(TENANT));
    let subscriptions = arm.get("/subscriptions").await;
    assert_eq!(subscriptions.body["count"], json!({"type": "Total", "value": 1}));
    let one = arm.get(&format!("/subscriptions/{SUBSCRIPTION}")).await;
    assert_eq!(one.body, subscriptions.body["value"][0]);
    assert_eq!(one.body["state"], "Enabled");
    let locations = arm.get(&format!("/subscriptions/{SUBSCRIPTION}/locations")).await;
    assert!(locations.names().contains(&"eastus"));
}
