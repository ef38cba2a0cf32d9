//! Lists: pages, filters, and what of them one may see.

use http::Method;
use serde_json::json;
use wharf_metadata::resources;

use crate::arm::{ACR_PULL, Arm, HOST, READER, SUBSCRIPTION};

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

#[tokio::test]
async fn who_may_read_nothing_does_not_learn_which_groups_there_are() {
    let arm = filled().await;
    let puller = arm.principal("puller", ACR_PULL, &format!("/subscriptions/{SUBSCRIPTION}")).await;
    for name in ["a", "none"] {
        let group = crate::arm::group(name);
        for path in [format!("{group}/resources"), format!("{group}/providers/{TYPE}")] {
            let refused = arm.send(&puller, Method::GET, &path, None).await;
            assert_eq!((refused.status.as_u16(), refused.code()), (403, "AuthorizationFailed"), "{path}");
        }
    }
}

#[tokio::test]
async fn lists_look_at_so_much_whoever_asks() {
    let arm = Arm::start().await;
    let (many, last) = (crate::arm::id(&arm.group("many").await), arm.group("z").await);
    let writing = arm.management.database().write(move |c| {
        Box::pin(async move {
            for n in 0..=MOST_SCANNED {
                let id = many.resource("Microsoft.ManagedIdentity", "userAssignedIdentities", &format!("{n:06}"));
                resources::insert(c, &crate::arm::bare(id.unwrap()), true).await?;
            }
            Ok::<_, wharf_metadata::Error>(())
        })
    });
    writing.await.unwrap();
    let mine = arm.identity(&last, "mine", json!({})).await;
    let nobody = arm.principal("nobody", ACR_PULL, &format!("/subscriptions/{SUBSCRIPTION}")).await;
    let of_one = arm.principal("one", READER, &mine).await;
    for base in
        [format!("/subscriptions/{SUBSCRIPTION}/resources"), format!("/subscriptions/{SUBSCRIPTION}/providers/{TYPE}")]
    {
        let path = format!("{base}?$top=1");
        let nothing = arm.send(&nobody, Method::GET, &path, None).await;
        assert_eq!((nothing.names(), nothing.body.get("nextLink")), (vec![], None), "{path}");
        let page = arm.send(&of_one, Method::GET, &path, None).await;
        assert_eq!(page.names(), Vec::<&str>::new(), "{path}");
        let link = page.body["nextLink"].as_str().expect("there is more").strip_prefix(HOST).unwrap().to_owned();
        let page = arm.send(&of_one, Method::GET, &link, None).await;
        assert_eq!((page.names(), page.body.get("nextLink")), (vec!["mine"], None), "{path}");
    }
}

/// How many rows one request looks at.
const MOST_SCANNED: usize = 20_000;

fn form(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
