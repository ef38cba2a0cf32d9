//! Tags by themselves.

use serde_json::json;

use crate::arm::{Arm, READER, SUBSCRIPTION};

#[tokio::test]
async fn tags_are_changed_without_the_rest() {
    let arm = Arm::start().await;
    let group = arm.group("g").await;
    let identity = arm.identity(&group, "idt", json!({"env": "test"})).await;
    let tags = format!("{identity}/providers/Microsoft.Resources/tags/default?api-version=2024-11-01");
    let shown = arm.get(&tags).await;
    assert_eq!(shown.body["properties"], json!({"tags": {"env": "test"}}));
    let change =
        |operation: &str, tags: serde_json::Value| json!({"operation": operation, "properties": {"tags": tags}});
    let merged = arm.patch(&tags, change("merge", json!({"ENV": "x", "n": "1"}))).await;
    assert_eq!(merged.body["properties"]["tags"], json!({"env": "x", "n": "1"}), "{merged:?}");
    let deleted = arm.patch(&tags, change("Delete", json!({"n": "1"}))).await;
    assert_eq!(deleted.body["properties"]["tags"], json!({"env": "x"}));
    let replaced = arm.put(&tags, json!({"properties": {"tags": {"a": "b"}}})).await;
    assert_eq!(replaced.body["properties"]["tags"], json!({"a": "b"}));
    assert_eq!(arm.get(&identity).await.body["tags"], json!({"a": "b"}));
    assert_eq!(arm.delete(&tags).await.status, 200);
    assert_eq!(arm.get(&identity).await.body["tags"], json!({}));

    let bad = arm.patch(&tags, change("turn", json!({}))).await;
    assert_eq!((bad.code(), &bad.body["error"]["target"]), ("InvalidRequestContent", &json!("operation")));
    let reader = arm.principal("reader", READER, &group).await;
    let refused = arm.send(&reader, http::Method::PUT, &tags, Some(json!({"properties": {"tags": {}}}))).await;
    assert_eq!(refused.status, 403);
    let of_subscription = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/tags/default");
    assert_eq!(arm.get(&of_subscription).await.status, 400);
}
