//! Resources, subscriptions and operations.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;
use wharf_metadata::operations::{self, Status};
use wharf_metadata::resources::{self, ResourceRow, Stamp, Wanted, Within};
use wharf_metadata::subscriptions::{self, SubscriptionRow, TenantRow};
use wharf_metadata::{Database, Error};
use wharf_model::{ResourceId, Timestamp};

use crate::suite::{NOW, read, write};

const LATER: Timestamp = Timestamp(NOW.0 + 1_000_000);

all_engines!(
    a_resource_is_written_found_and_removed,
    resources_are_listed_by_where_they_are_and_what_they_have,
    what_is_below_comes_with_the_deepest_first,
    locks_are_found_on_what_is_above_and_below,
    nothing_is_put_into_what_is_being_deleted,
    tenants_and_subscriptions_are_kept,
    operations_end_once_and_are_forgotten,
);

const SUB: &str = "/subscriptions/7a1f0a52-0000-4000-8000-00000000000a";

fn id(text: &str) -> ResourceId {
    format!("{SUB}{text}").parse().unwrap()
}

fn row(text: &str) -> ResourceRow {
    let stamp = Stamp { at: NOW, by: "operator".into(), by_type: "Key".into() };
    ResourceRow {
        row: 0,
        id: id(text),
        location: Some("eastus".into()),
        tags: [("Env".to_owned(), "Test".to_owned())].into(),
        sku: Some(json!({"name": "Premium"})),
        identity: None,
        properties: json!({"a": [1, null]}).as_object().unwrap().clone(),
        etag: "1".into(),
        is_deleting: false,
        created: stamp.clone(),
        changed: stamp,
    }
}

async fn insert(db: &Database, text: &str) -> ResourceRow {
    let mut new = row(text);
    let written = new.clone();
    let is_tracked = !text.contains("locks");
    new.row = write!(db, c => resources::insert(c, &written, is_tracked)).unwrap().expect("it is new");
    new
}

async fn find(db: &Database, id: &ResourceId) -> Option<ResourceRow> {
    let id = id.clone();
    db.read(move |c| Box::pin(async move { resources::find(c, &id).await })).await.unwrap()
}

pub(crate) async fn a_resource_is_written_found_and_removed(db: Database) {
    let made = insert(&db, "/resourceGroups/Rg/providers/Ns/kinds/One").await;
    let again = row("/resourceGroups/rg/providers/ns/KINDS/one");
    assert_eq!(write!(db, c => resources::insert(c, &again, true)).unwrap(), None, "casing makes no other");
    let key = id("/resourcegroups/RG/providers/NS/kinds/ONE");
    let found = find(&db, &key).await.unwrap();
    assert_eq!(found, made);
    assert_eq!(found.id.as_str(), made.id.as_str(), "the casing of the first");

    let mut changed = found;
    changed.tags = [("b".to_owned(), "c".to_owned())].into();
    changed.sku = None;
    changed.etag = "2".into();
    changed.changed = Stamp { at: LATER, by: "x".into(), by_type: "User".into() };
    let update = changed.clone();
    write!(db, c => resources::update(c, &update)).unwrap();
    assert_eq!(find(&db, &key).await.unwrap(), changed);
    write!(db, c => resources::delete(c, changed.row)).unwrap();
    assert_eq!(find(&db, &key).await, None);
}

pub(crate) async fn resources_are_listed_by_where_they_are_and_what_they_have(db: Database) {
    for text in ["/resourceGroups/a", "/resourceGroups/ab"] {
        insert(&db, text).await;
    }
    for (group, name) in [("a", "one"), ("A", "two"), ("ab", "one")] {
        insert(&db, &format!("/resourceGroups/{group}/providers/Ns/kinds/{name}")).await;
    }
    insert(&db, "/resourceGroups/a/providers/Ns/kinds/one/parts/p").await;
    insert(&db, "/resourceGroups/a/providers/Ns/others/o").await;
    let (sub, group, one) = (id(""), id("/resourceGroups/A"), id("/resourceGroups/a/providers/Ns/kinds/one"));
    let names = async |within: Within, wanted: Wanted, after: &str, limit: i64| -> Vec<String> {
        let after = after.to_owned();
        let rows = db.read(move |c| Box::pin(async move { resources::list(c, &within, &wanted, &after, limit).await }));
        let rows = rows.await.unwrap();
        rows.iter()
            .map(|row| row.id.key()[SUB.len()..].replace("/resourcegroups/", "").replace("/providers/ns/", ":"))
            .collect()
    };
    let of = |kind: &str| Wanted { kind: Some(kind.into()), ..Wanted::default() };
    assert_eq!(
        names(Within::Subscription(sub.clone()), of("ns/kinds"), "", 9).await,
        ["a:kinds/one", "a:kinds/two", "ab:kinds/one"]
    );
    let after = one.key();
    assert_eq!(names(Within::Subscription(sub.clone()), of("ns/kinds"), after, 1).await, ["a:kinds/two"]);
    assert_eq!(names(Within::Group(group.clone()), of("ns/kinds"), "", 9).await, ["a:kinds/one", "a:kinds/two"]);
    assert_eq!(names(Within::Parent(one.clone()), of("ns/kinds/parts"), "", 9).await, ["a:kinds/one/parts/p"]);
    assert_eq!(
        names(Within::Subscription(sub.clone()), of("microsoft.resources/resourcegroups"), "", 9).await,
        ["a", "ab"]
    );
    let named = Wanted { name: Some("one".into()), is_tracked: true, ..Wanted::default() };
    assert_eq!(names(Within::Subscription(sub.clone()), named, "", 9).await, ["a:kinds/one", "ab:kinds/one"]);
    let tagged = |name: &str, value: Option<&str>| Wanted {
        tag: Some((name.into(), value.map(str::to_owned))),
        ..of("ns/others")
    };
    assert_eq!(names(Within::Group(group.clone()), tagged("env", None), "", 9).await, ["a:others/o"]);
    assert_eq!(names(Within::Group(group.clone()), tagged("env", Some("Test")), "", 9).await, ["a:others/o"]);
    assert_eq!(names(Within::Group(group.clone()), tagged("env", Some("x")), "", 9).await, Vec::<String>::new());
    assert_eq!(read!(db, c => resources::count_in_parent(c, &one, "Ns/kinds/parts")).unwrap(), 1);
}

pub(crate) async fn what_is_below_comes_with_the_deepest_first(db: Database) {
    for text in ["a", "a/providers/Ns/kinds/x", "a/providers/Ns/kinds/x/parts/p", "a/providers/Ns/kinds/x-y", "a-b"] {
        insert(&db, &format!("/resourceGroups/{text}")).await;
    }
    let group = id("/resourceGroups/A");
    let of = group.clone();
    let below = read!(db, c => resources::list_below(c, &of, 10)).unwrap();
    let names: Vec<&str> = below.iter().filter_map(|row| row.id.name()).collect();
    assert_eq!(names, ["p", "x-y", "x"]);
    let one = read!(db, c => resources::list_below(c, &group, 1)).unwrap();
    assert_eq!(one[0].id.name(), Some("p"), "nothing comes before what is in it");
}

pub(crate) async fn locks_are_found_on_what_is_above_and_below(db: Database) {
    let lock = |scope: &str| format!("{scope}/providers/Microsoft.Authorization/locks/keep");
    for scope in ["", "/resourceGroups/a", "/resourceGroups/a/providers/Ns/kinds/x", "/resourceGroups/ab"] {
        insert(&db, &lock(scope)).await;
    }
    let group = id("/resourceGroups/a");
    let scopes: Vec<ResourceId> = group.scopes().collect();
    let found = async |below: Option<&ResourceId>| -> Vec<String> {
        let (scopes, below) = (scopes.clone(), below.cloned());
        let locks = db.read(move |c| Box::pin(async move { resources::list_locks(c, &scopes, below.as_ref()).await }));
        let locks = locks.await.unwrap();
        let mut on: Vec<String> =
            locks.iter().map(|lock| lock.id.parent().unwrap().key()[SUB.len()..].to_owned()).collect();
        on.sort();
        on
    };
    assert_eq!(found(None).await, ["", "/resourcegroups/a"]);
    assert_eq!(found(Some(&group)).await, ["", "/resourcegroups/a", "/resourcegroups/a/providers/ns/kinds/x"]);
}

/// The race of "put into a group" with "delete the group": whichever comes second sees what the first did.
pub(crate) async fn nothing_is_put_into_what_is_being_deleted(db: Database) {
    for round in 0..20 {
        let group = insert(&db, &format!("/resourceGroups/g{round}")).await;
        let inside = row(&format!("/resourceGroups/g{round}/providers/Ns/kinds/x"));
        let (scope, new) = (group.id.clone(), inside.clone());
        let putting = db.write(move |c| {
            Box::pin(async move {
                let Some(held) = resources::hold(c, &scope).await? else { return Ok::<_, Error>(false) };
                tokio::time::sleep(Duration::from_millis(2)).await;
                resources::insert(c, &new, true).await?;
                Ok(!held.is_deleting)
            })
        });
        let scope = group.id.clone();
        let deleting = db.write(move |c| {
            Box::pin(async move {
                let Some(found) = resources::find_to_change(c, &scope).await? else { return Ok::<_, Error>(()) };
                for below in resources::list_below(c, &scope, 100).await? {
                    resources::delete(c, below.row).await?;
                }
                resources::delete(c, found.row).await
            })
        });
        let (put, deleted) = tokio::join!(putting, deleting);
        deleted.unwrap();
        put.unwrap();
        assert_eq!(find(&db, &inside.id).await, None, "round {round}");
    }
    let group = insert(&db, "/resourceGroups/last").await;
    write!(db, c => resources::set_deleting(c, group.row)).unwrap();
    let held = write!(db, c => resources::hold(c, &group.id)).unwrap().unwrap();
    assert!(held.is_deleting);
    let marked = read!(db, c => resources::list_deleting(c, 10)).unwrap();
    assert_eq!(marked.len(), 1);
}

pub(crate) async fn tenants_and_subscriptions_are_kept(db: Database) {
    let tenant = TenantRow {
        id: Uuid::from_u128(1),
        display_name: "T".into(),
        default_domain: "t.example".into(),
        created_at: NOW,
    };
    let subscription =
        SubscriptionRow { id: Uuid::from_u128(2), tenant_id: tenant.id, display_name: "S".into(), created_at: NOW };
    for _ in 0..2 {
        let (tenant, subscription) = (tenant.clone(), subscription.clone());
        write!(db, c => subscriptions::insert_tenant(c, &tenant)).unwrap();
        write!(db, c => subscriptions::insert(c, &subscription)).unwrap();
    }
    assert_eq!(read!(db, c => subscriptions::list_tenants(c)).unwrap(), [tenant]);
    assert_eq!(read!(db, c => subscriptions::list(c)).unwrap(), std::slice::from_ref(&subscription));
    assert_eq!(read!(db, c => subscriptions::find(c, subscription.id)).unwrap(), Some(subscription));
    assert_eq!(read!(db, c => subscriptions::find(c, Uuid::from_u128(9))).unwrap(), None);
}

pub(crate) async fn operations_end_once_and_are_forgotten(db: Database) {
    let (operation, scope) = (Uuid::from_u128(5), id("/resourceGroups/g"));
    let on = scope.clone();
    write!(db, c => operations::insert(c, operation, &on, NOW)).unwrap();
    assert_eq!(read!(db, c => operations::find(c, operation)).unwrap().unwrap().status, Status::InProgress);
    let on = scope.clone();
    assert_eq!(read!(db, c => operations::list_open(c, &on)).unwrap(), [operation]);
    let error = json!({"code": "X"});
    let told = error.clone();
    write!(db, c => operations::end(c, operation, Status::Failed, Some(&told), None, LATER)).unwrap();
    write!(db, c => operations::end(c, operation, Status::Succeeded, None, None, LATER)).unwrap();
    let ended = read!(db, c => operations::find(c, operation)).unwrap().unwrap();
    assert_eq!((ended.status, ended.error, ended.ended_at), (Status::Failed, Some(error), Some(LATER)));
    assert!(read!(db, c => operations::list_open(c, &scope)).unwrap().is_empty());
    assert_eq!(write!(db, c => operations::delete_ended(c, LATER)).unwrap(), 0);
    let much_later = Timestamp(LATER.0 + 1);
    assert_eq!(write!(db, c => operations::delete_ended(c, much_later)).unwrap(), 1);
    assert_eq!(read!(db, c => operations::find(c, operation)).unwrap(), None);
}
