//! Lists: pages, filters, counts.

use http::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;
use wharf_metadata::PrincipalRow;
use wharf_metadata::directory::{Properties, principals};
use wharf_model::{Clock as _, PrincipalId, PrincipalKind};

use crate::world::{TENANT, World, filter, names};

/// Puts many users into the directory at once.
async fn fill(world: &World, count: u128) {
    let now = world.clock.now();
    world
        .database
        .write_access(move |c| {
            Box::pin(async move {
                for number in 0..count {
                    let mut properties = Properties::new();
                    properties.insert("department".into(), json!(if number % 100 == 7 { "Ops" } else { "Dev" }));
                    let row = PrincipalRow {
                        id: PrincipalId(Uuid::from_u128(number << 64 | 1)),
                        kind: PrincipalKind::User,
                        tenant_id: TENANT,
                        display_name: format!("User {:04}", number % 1_000),
                        user_name: Some(format!("user{number}@example.com")),
                        app_id: None,
                        resource_id: None,
                        is_enabled: number % 2 == 0,
                        generation: 1,
                        properties,
                        created_at: now,
                        updated_at: now,
                    };
                    principals::insert(c, &row).await?;
                }
                Ok::<_, wharf_metadata::Error>(())
            })
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn lists_are_whole_and_in_order_page_by_page() {
    let world = World::start().await;
    fill(&world, 1_500).await;
    let reader = world.application("reader").await;
    let page = reader.get("/users?$count=true").await;
    assert_eq!((page["value"].as_array().unwrap().len(), &page["@odata.count"]), (100, &json!(1_500)));
    for path in ["/users", "/users?$top=999", "/users?$top=7&$select=displayName,id"] {
        let all = reader.list(path).await;
        let mut ids: Vec<&str> = all.iter().map(|user| user["id"].as_str().unwrap()).collect();
        assert!(names(&all).is_sorted(), "{path}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1_500, "{path}");
    }
    let answer = reader.send(Method::GET, "/users/$count", None).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!(1_500)));
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let world = World::start().await;
    fill(&world, 1_500).await;
    let reader = world.application("reader").await;
    let count = async |wanted: &str| reader.list(&format!("/users?{}", filter(wanted))).await.len();
    assert_eq!(count("department eq 'ops'").await, 15, "across pages");
    assert_eq!(count("department eq 'Ops' and accountEnabled eq true").await, 0);
    assert_eq!(count("startswith(displayName,'user 07')").await, 100);
    assert_eq!(count("startswith(displayName,'user 07') and department eq 'Ops'").await, 1);
    assert_eq!(count("displayName eq 'User 0001'").await, 2);
    assert_eq!(count("userPrincipalName eq 'USER7@example.com'").await, 1);
    assert_eq!(count("userPrincipalName eq 'user7@example.com' and department eq 'Dev'").await, 0);
    let id = Uuid::from_u128(5 << 64 | 1);
    assert_eq!(count(&format!("id eq '{id}' or id eq 'x'")).await, 1);
    assert_eq!(count(&format!("id in ('{id}', '{}')", Uuid::from_u128(6 << 64 | 1))).await, 2);
    assert_eq!(count("not startswith(userPrincipalName,'user1')").await, 1_500 - 611);
    let answer = reader.send(Method::GET, &format!("/users/$count?{}", filter("department eq 'Ops'")), None).await;
    assert_eq!(answer.body, json!(15));

    for (bad, code) in [
        (filter("planet eq 'x'"), "BadRequest"),
        (filter("displayName like 'x'"), "BadRequest"),
        ("$orderby=mail".to_owned(), "Request_UnsupportedQuery"),
        ("$top=0".to_owned(), "BadRequest"),
        ("$skiptoken=x".to_owned(), "BadRequest"),
    ] {
        let refused = reader.send(Method::GET, &format!("/users?{bad}"), None).await;
        assert_eq!(refused.refused(StatusCode::BAD_REQUEST), code, "{bad}");
    }
}
