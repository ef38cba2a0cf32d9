//! Lists: pages, filters, and what of them one may see.

use http::Method;
use serde_json::json;

use crate::arm::{Arm, HOST, READER, SUBSCRIPTION};

const TYPE: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

async fn filled() -> Arm {
    let arm = Arm::start().await;
    for (group, names) in [("a", ["one", "two"]), ("b", ["three", "four"])] {
        let group = arm.group(group).await;
        for name in names {
            arm.identity(&group, name, json!({"env": name, "shared": "yes"})).await;
        }
    }
    arm
}

#[tokio::test]
async fn lists_are_paged_and_lose_nothing() {
    let arm = filled().await;
    for base in
        [format!("/subscriptions/{SUBSCRIPTION}/providers/{TYPE}"), format!("/subscriptions/{SUBSCRIPTION}/resources")]
    {
        let mut path = format!("{base}?$top=1");
        let mut names = Vec::new();
        loop {
            let page = arm.get(&path).await;
            assert_eq!(page.status, 200, "{page:?}");
            names.extend(page.names().into_iter().map(str::to_owned));
            match page.body["nextLink"].as_str() {
                Some(link) => path = link.strip_prefix(HOST).expect("links are absolute").to_owned(),
                None => break,
            }
        }
        assert_eq!(names, ["one", "two", "four", "three"], "{base}");
    }
    assert_eq!(arm.get(&format!("/subscriptions/{SUBSCRIPTION}/resources?$top=0")).await.code(), "InvalidParameter");
}

#[tokio::test]
async fn the_generic_list_is_filtered_as_az_asks() {
    let arm = filled().await;
    let list = async |filter: &str| {
        let filter: String = form(filter);
        let reply = arm.get(&format!("/subscriptions/{SUBSCRIPTION}/resources?$filter={filter}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut names: Vec<String> = reply.names().into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(list(&format!("resourceType eq '{TYPE}'")).await, "four one three two");
    assert_eq!(list(&format!("resourceType eq '{}'", TYPE.to_uppercase())).await, "four one three two");
    assert_eq!(list("resourceType eq 'Microsoft.ContainerRegistry/registries'").await, "");
    assert_eq!(list("name eq 'ONE'").await, "one");
    assert_eq!(list("resourceGroup eq 'B'").await, "four three");
    assert_eq!(list("tagName eq 'env' and tagValue eq 'two'").await, "two");
    assert_eq!(list("tagname eq 'shared' and tagvalue eq 'two'").await, "", "the value is of that tag");
    assert_eq!(list("startswith(tagname, 'sha') and name ne 'one'").await, "four three two");
    assert_eq!(list("substringof('o', name) and resourceGroup eq 'a'").await, "one two");
    assert_eq!(list("location eq 'westus'").await, "");
    let bad = arm.get(&format!("/subscriptions/{SUBSCRIPTION}/resources?$filter=name%20gt%201")).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (400, "InvalidFilterInQueryString"));
    let groups =
        arm.get(&format!("/subscriptions/{SUBSCRIPTION}/resourcegroups?$filter={}", form("name eq 'a'"))).await;
    assert_eq!(groups.names(), ["a"]);
}

#[tokio::test]
async fn the_generic_list_shows_what_it_is_asked_to() {
    let arm = filled().await;
    let reply = arm.get(&format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/a/resources?$top=1&$expand=createdTime,changedTime,provisioningState")).await;
    let item = reply.body["value"][0].as_object().unwrap();
    let members: Vec<&str> = item.keys().map(String::as_str).collect();
    assert_eq!(
        members,
        ["changedTime", "createdTime", "id", "location", "name", "provisioningState", "systemData", "tags", "type"]
    );
    let missing = arm.get(&format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/none/resources")).await;
    assert_eq!(missing.code(), "ResourceGroupNotFound");
}

#[tokio::test]
async fn one_sees_what_one_may_read() {
    let arm = filled().await;
    let group = crate::arm::group("b");
    let of_group = arm.principal("group", READER, &group).await;
    let of_one = arm.principal("one", READER, &format!("{group}/providers/{TYPE}/three")).await;
    let list = async |token: &str, path: &str| arm.send(token, Method::GET, path, None).await;
    for base in
        [format!("/subscriptions/{SUBSCRIPTION}/resources"), format!("/subscriptions/{SUBSCRIPTION}/providers/{TYPE}")]
    {
        assert_eq!(list(&of_group, &base).await.names(), ["four", "three"]);
        assert_eq!(list(&of_one, &format!("{base}?$top=1")).await.names(), ["three"]);
    }
    assert_eq!(list(&of_one, &format!("{group}/providers/{TYPE}")).await.names(), ["three"]);
    let elsewhere = list(&of_one, &format!("{}/providers/{TYPE}", crate::arm::group("a"))).await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.code()), (403, "AuthorizationFailed"));
    assert_eq!(list(&of_group, &format!("/subscriptions/{SUBSCRIPTION}/resourcegroups")).await.names(), ["b"]);
}

fn form(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
