//! Groups and who is in them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Caller, World, filter, names};

async fn group(admin: &Caller<'_>, name: &str) -> String {
    let body = json!({
        "displayName": name, "mailNickname": name, "mailEnabled": false, "securityEnabled": true, "description": "d",
    });
    let created = admin.post("/groups", body).await.expect(StatusCode::CREATED);
    created["id"].as_str().unwrap().to_owned()
}

fn reference(id: impl std::fmt::Display) -> Value {
    json!({"@odata.id": format!("https://localhost:5443/graph/v1.0/directoryObjects/{id}")})
}

/// `az ad group create|show|list|delete`, `az ad group member add|list|check|remove`, `az ad group get-member-groups`.
#[tokio::test]
async fn groups_hold_principals_and_each_other() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let (anna, ci) = (world.user("anna").await, world.application("ci").await);
    let (inner, outer) = (group(&admin, "inner").await, group(&admin, "outer").await);
    let found = admin.list(&format!("/groups?{}", filter("displayName eq 'inner' and mailNickname eq 'inner'"))).await;
    assert_eq!(names(&found), ["inner"]);
    assert_eq!((&found[0]["securityEnabled"], &found[0]["mailEnabled"]), (&json!(true), &json!(false)));

    for (into, id) in [(&inner, anna.id.to_string()), (&inner, ci.id.to_string()), (&outer, inner.clone())] {
        admin.post(&format!("/groups/{into}/members/$ref"), reference(id)).await.expect(StatusCode::NO_CONTENT);
    }
    let again =
        admin.post(&format!("/groups/{inner}/members/$ref"), reference(anna.id)).await.expect(StatusCode::BAD_REQUEST);
    assert!(again["error"]["message"].as_str().unwrap().contains("'members'"));
    let members = admin.list(&format!("/groups/{inner}/members")).await;
    let mut kinds: Vec<&str> = members.iter().map(|member| member["@odata.type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["#microsoft.graph.servicePrincipal", "#microsoft.graph.user"]);
    let users = admin.list(&format!("/groups/{inner}/members/microsoft.graph.user")).await;
    assert_eq!(names(&users), ["anna"]);
    assert_eq!(admin.list(&format!("/groups/{outer}/members")).await.len(), 1);
    assert_eq!(admin.list(&format!("/groups/{outer}/transitiveMembers?$top=1")).await.len(), 3, "page by page");
    let page = admin.get(&format!("/groups/{outer}/transitiveMembers?$count=true&$top=2")).await;
    assert_eq!((&page["@odata.count"], page["value"].as_array().unwrap().len()), (&json!(3), 2));

    let check = async |member: &str| {
        let body = json!({"groupIds": [outer, "00000000-0000-0000-0000-000000000001"]});
        admin.post(&format!("/directoryObjects/{member}/checkMemberGroups"), body).await.expect(StatusCode::OK)["value"]
            .clone()
    };
    assert_eq!(check(&anna.id.to_string()).await, json!([outer]));
    assert_eq!(check(&admin.id.to_string()).await, json!([]));
    let body = json!({"securityEnabledOnly": false});
    let groups = admin.post("/users/anna@example.com/getMemberGroups", body.clone()).await.expect(StatusCode::OK);
    assert_eq!(groups["value"].as_array().unwrap().len(), 2);
    let groups = admin.post(&format!("/groups/{inner}/getMemberGroups"), body).await.expect(StatusCode::OK);
    assert_eq!(groups["value"], json!([outer]));
    assert_eq!(names(&anna.list("/me/memberOf").await), ["inner"]);
    let all = anna.list("/me/transitiveMemberOf").await;
    let mut all = names(&all);
    all.sort_unstable();
    assert_eq!(all, ["inner", "outer"]);

    admin.delete(&format!("/groups/{inner}/members/{}/$ref", anna.id)).await.expect(StatusCode::NO_CONTENT);
    admin.delete(&format!("/groups/{inner}/members/{}/$ref", anna.id)).await.refused(StatusCode::NOT_FOUND);
    assert_eq!(check(&anna.id.to_string()).await, json!([]));
    admin.delete(&format!("/groups/{inner}")).await.expect(StatusCode::NO_CONTENT);
    assert!(admin.list(&format!("/groups/{outer}/members")).await.is_empty());
}

#[tokio::test]
async fn groups_that_cannot_be_are_refused() {
    let world = World::start().await;
    let admin = world.administrator().await;
    let anna = world.user("anna").await;
    let address = format!("https://localhost:5443/graph/v1.0/users/{}", anna.id);
    let body = json!({"displayName": "g", "members@odata.bind": [address], "owners@odata.bind": [address]});
    let created = admin.post("/groups", body).await.expect(StatusCode::CREATED);
    let path = format!("/groups/{}", created["id"].as_str().unwrap());
    assert_eq!(names(&admin.list(&format!("{path}/members")).await), ["anna"]);
    assert_eq!(names(&admin.list(&format!("{path}/owners")).await), ["anna"]);
    for bad in [
        json!({"displayName": "g", "mailEnabled": true}),
        json!({"displayName": "g", "securityEnabled": false}),
        json!({"displayName": "g", "groupTypes": ["Unified"]}),
        json!({"displayName": "g", "members@odata.bind": ["https://example.com/x"]}),
        json!({}),
    ] {
        admin.post("/groups", bad).await.refused(StatusCode::BAD_REQUEST);
    }
    for (bad, status) in [
        (json!({}), StatusCode::BAD_REQUEST),
        (json!({"@odata.id": "x"}), StatusCode::BAD_REQUEST),
        (reference("00000000-0000-0000-0000-000000000001"), StatusCode::NOT_FOUND),
        (reference(created["id"].as_str().unwrap()), StatusCode::BAD_REQUEST),
    ] {
        admin.post(&format!("{path}/members/$ref"), bad).await.refused(status);
    }
    admin.patch(&path, json!({"displayName": "renamed", "description": null})).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&path).await["displayName"], "renamed");
}
