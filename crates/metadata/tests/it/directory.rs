//! The directory: principals, applications, credentials, groups, owners.

use std::collections::BTreeSet;

use uuid::Uuid;
use wharf_metadata::directory::{Family, Page, Properties, applications, credentials, groups, owners, principals};
use wharf_metadata::{ApplicationId, ApplicationRow, CredentialKind, CredentialRow, Database, PrincipalRow};
use wharf_model::{PrincipalId, PrincipalKind, ResourceId, Timestamp};

all_engines!(
    a_principal_is_found_by_each_of_its_names,
    user_names_and_application_ids_are_unique,
    principals_are_listed_by_name_page_by_page,
    a_deleted_principal_leaves_nothing_behind,
    an_application_and_its_uris_are_kept_together,
    credentials_are_kept_per_owner,
    groups_are_resolved_through_others_and_in_circles,
    many_principals_are_found_at_once,
    changes_that_race_lose_nothing,
);

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
const TENANT: Uuid = Uuid::from_u128(7);

/// `write!(db, c => expression)`: the expression in a transaction; `read!` likewise on a reader.
macro_rules! write {
    ($db:expr, $c:ident => $body:expr) => {
        $db.write(move |$c| Box::pin(async move { $body.await })).await.unwrap()
    };
}
macro_rules! read {
    ($db:expr, $c:ident => $body:expr) => {
        $db.read(move |$c| Box::pin(async move { $body.await })).await.unwrap()
    };
}

fn principal(number: u128, kind: PrincipalKind, name: &str) -> PrincipalRow {
    let mut properties = Properties::new();
    properties.insert("department".into(), "Ops".into());
    PrincipalRow {
        id: PrincipalId(Uuid::from_u128(number)),
        kind,
        tenant_id: TENANT,
        display_name: name.into(),
        user_name: (kind == PrincipalKind::User).then(|| format!("{name}@Example.com")),
        app_id: (Family::of(kind) == Family::ServicePrincipals).then(|| Uuid::from_u128(number << 32)),
        resource_id: (kind == PrincipalKind::ManagedIdentity).then(|| {
            format!("/subscriptions/7a1f0a52-0000-4000-8000-000000000001/resourceGroups/{name}").parse().unwrap()
        }),
        is_enabled: true,
        generation: 1,
        properties,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn add(db: &Database, number: u128, kind: PrincipalKind, name: &str) -> PrincipalRow {
    let row = principal(number, kind, name);
    let new = row.clone();
    assert!(write!(db, c => principals::insert(c, &new)));
    row
}

async fn a_principal_is_found_by_each_of_its_names(db: Database) {
    let anna = add(&db, 1, PrincipalKind::User, "Änna").await;
    let identity = add(&db, 2, PrincipalKind::ManagedIdentity, "builder").await;
    assert_eq!(read!(db, c => principals::find(c, PrincipalId(Uuid::from_u128(1)))), Some(anna.clone()));
    assert_eq!(read!(db, c => principals::find_by_user_name(c, "äNNA@example.COM")), Some(anna));
    let app = identity.app_id.unwrap();
    assert_eq!(read!(db, c => principals::find_by_app(c, app)), Some(identity.clone()));
    let resource: ResourceId =
        "/SUBSCRIPTIONS/7A1F0A52-0000-4000-8000-000000000001/resourcegroups/BUILDER".parse().unwrap();
    assert_eq!(read!(db, c => principals::find_by_resource(c, &resource)), Some(identity));
    assert_eq!(read!(db, c => principals::find(c, PrincipalId(Uuid::from_u128(9)))), None);
}

async fn user_names_and_application_ids_are_unique(db: Database) {
    let anna = add(&db, 1, PrincipalKind::User, "anna").await;
    let bert = add(&db, 2, PrincipalKind::User, "bert").await;
    let twin = principal(3, PrincipalKind::User, "ANNA");
    assert!(!write!(db, c => principals::insert(c, &twin)), "in any case");
    let rename = PrincipalRow { user_name: Some("Anna@example.com".into()), ..bert.clone() };
    assert!(!write!(db, c => principals::update(c, &rename)));
    let rename = PrincipalRow { user_name: Some("ANNA@example.com".into()), is_enabled: false, ..anna };
    assert!(write!(db, c => principals::update(c, &rename)), "her own");
    let found = read!(db, c => principals::find_by_user_name(c, "anna@example.com")).unwrap();
    assert_eq!((found.user_name.as_deref(), found.is_enabled), (Some("ANNA@example.com"), false));
    let gone = principal(4, PrincipalKind::User, "nobody");
    assert!(!write!(db, c => principals::update(c, &gone)));

    add(&db, 5, PrincipalKind::ServicePrincipal, "ci").await;
    let twin =
        PrincipalRow { app_id: Some(Uuid::from_u128(5 << 32)), ..principal(6, PrincipalKind::ServicePrincipal, "x") };
    assert!(!write!(db, c => principals::insert(c, &twin)));
}

async fn principals_are_listed_by_name_page_by_page(db: Database) {
    for number in 0..10_u128 {
        add(&db, 100 + number, PrincipalKind::User, &format!("User{number}")).await;
    }
    add(&db, 200, PrincipalKind::ServicePrincipal, "user-like").await;
    add(&db, 201, PrincipalKind::ManagedIdentity, "ABC").await;
    for number in 0..15_u128 {
        let row = PrincipalRow {
            user_name: Some(format!("u{number}@b.c")),
            ..principal(300 + number, PrincipalKind::User, "Same")
        };
        assert!(write!(db, c => principals::insert(c, &row)));
    }
    assert_eq!(read!(db, c => principals::count(c, TENANT, Family::Users)), 25);
    let mut seen = Vec::new();
    let mut page = Page { limit: 4, ..Page::default() };
    loop {
        let wanted = page.clone();
        let rows = read!(db, c => principals::list(c, TENANT, Family::Users, &wanted));
        let Some(last) = rows.last() else { break };
        page.after = Some((wharf_metadata::directory::key(&last.display_name), last.id.0));
        seen.extend(rows.into_iter().map(|row| (row.display_name.to_lowercase(), row.id)));
    }
    assert!(seen.is_sorted() && seen.len() == 25);
    let page = Page { prefix: "USER".into(), limit: 100, ..Page::default() };
    assert_eq!(read!(db, c => principals::list(c, TENANT, Family::Users, &page)).len(), 10);
    let page = Page { limit: 100, ..Page::default() };
    let apps = read!(db, c => principals::list(c, TENANT, Family::ServicePrincipals, &page));
    assert_eq!(apps.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["ManagedIdentity", "ServicePrincipal"]);
    let page = Page { limit: 100, ..Page::default() };
    assert!(read!(db, c => principals::list(c, Uuid::nil(), Family::Users, &page)).is_empty(), "of another tenant");
}

async fn a_deleted_principal_leaves_nothing_behind(db: Database) {
    let [user, group] =
        [(1, PrincipalKind::User), (2, PrincipalKind::Group)].map(|(number, kind)| principal(number, kind, "x"));
    for row in [user.clone(), group.clone()] {
        write!(db, c => principals::insert(c, &row));
    }
    let (user, group) = (user.id, group.id);
    write!(db, c => groups::add_member(c, group, user));
    write!(db, c => owners::add(c, group.0, user));
    write!(db, c => owners::add(c, user.0, group));
    let password = credential(user.0, 1, CredentialKind::Password);
    write!(db, c => credentials::put(c, &password));
    assert!(write!(db, c => principals::delete(c, user)));
    assert!(!write!(db, c => principals::delete(c, user)));
    assert!(read!(db, c => groups::list_members(c, group, None, 10)).is_empty());
    assert!(read!(db, c => groups::list_all_group_ids(c, user)).is_empty());
    assert!(read!(db, c => owners::list(c, group.0)).is_empty());
    assert!(read!(db, c => owners::list_owned(c, group)).is_empty());
    assert!(read!(db, c => credentials::list(c, &[user.0])).is_empty());
}

fn application(number: u128, uris: &[&str]) -> ApplicationRow {
    ApplicationRow {
        id: ApplicationId(Uuid::from_u128(number)),
        tenant_id: TENANT,
        app_id: Uuid::from_u128(number << 32),
        display_name: format!("App {number}"),
        identifier_uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
        properties: Properties::new(),
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn an_application_and_its_uris_are_kept_together(db: Database) {
    let first = application(1, &["api://Two", "api://One"]);
    let row = first.clone();
    assert!(write!(db, c => applications::insert(c, &row)));
    let thief = application(2, &["API://one"]);
    assert!(!write!(db, c => applications::insert(c, &thief)));
    let mut second = application(2, &[]);
    let row = second.clone();
    assert!(write!(db, c => applications::insert(c, &row)));
    let row = second.clone();
    assert!(!write!(db, c => applications::insert(c, &row)), "twice");

    assert_eq!(read!(db, c => applications::find_by_uri(c, "api://ONE")), Some(first.clone()));
    let app_id = first.app_id;
    assert_eq!(read!(db, c => applications::find_by_app(c, app_id)), Some(first.clone()), "in the order of its URIs");
    second.identifier_uris = vec!["api://two".into()];
    let row = second.clone();
    assert!(!write!(db, c => applications::update(c, &row)), "it is another's");
    second.identifier_uris = vec!["api://three".into()];
    second.display_name = "Renamed".into();
    let row = second.clone();
    assert!(write!(db, c => applications::update(c, &row)));
    let page = Page { limit: 10, ..Page::default() };
    assert_eq!(read!(db, c => applications::list(c, TENANT, &page)), [first.clone(), second.clone()]);
    assert_eq!(read!(db, c => applications::count(c, TENANT)), 2);

    let secret = credential(first.id.0, 1, CredentialKind::Secret);
    write!(db, c => credentials::put(c, &secret));
    assert!(write!(db, c => applications::delete(c, first.id)));
    assert!(read!(db, c => credentials::list(c, &[first.id.0])).is_empty());
    assert_eq!(read!(db, c => applications::find_by_uri(c, "api://one")), None);
    second.identifier_uris = vec!["api://one".into()];
    assert!(write!(db, c => applications::update(c, &second)), "now it is free");
}

fn credential(owner_id: Uuid, number: u128, kind: CredentialKind) -> CredentialRow {
    CredentialRow {
        owner_id,
        key_id: Uuid::from_u128(number),
        kind,
        display_name: Some("rbac".into()),
        hint: Some("abc".into()),
        is_generated: true,
        value: vec![1, 2, 3],
        starts_at: NOW,
        ends_at: number.is_multiple_of(2).then_some(Timestamp(NOW.0 + 1)),
        created_at: Timestamp(NOW.0 + number as i64),
    }
}

async fn credentials_are_kept_per_owner(db: Database) {
    let [one, other] = [1, 2].map(Uuid::from_u128);
    for row in [
        credential(one, 2, CredentialKind::Secret),
        credential(one, 1, CredentialKind::Certificate),
        credential(other, 1, CredentialKind::Password),
    ] {
        write!(db, c => credentials::put(c, &row));
    }
    let listed = read!(db, c => credentials::list(c, &[one]));
    assert_eq!(listed, [credential(one, 1, CredentialKind::Certificate), credential(one, 2, CredentialKind::Secret)]);
    assert_eq!(read!(db, c => credentials::list(c, &[one, other])).len(), 3);
    let newer = CredentialRow { value: vec![9], ..credential(other, 1, CredentialKind::Password) };
    let row = newer.clone();
    write!(db, c => credentials::put(c, &row));
    assert_eq!(read!(db, c => credentials::list(c, &[other])), [newer]);
    assert!(write!(db, c => credentials::delete(c, one, Uuid::from_u128(1))));
    assert!(!write!(db, c => credentials::delete(c, one, Uuid::from_u128(1))));
    assert_eq!(read!(db, c => credentials::list(c, &[other])).len(), 1, "another's with the same id stays");
    let shown = format!("{:?}", credential(one, 2, CredentialKind::Secret));
    assert!(!shown.contains("[1, 2, 3]") && !shown.contains("abc"), "{shown}");
}

async fn groups_are_resolved_through_others_and_in_circles(db: Database) {
    for (number, kind) in
        [(1, PrincipalKind::User), (10, PrincipalKind::Group), (11, PrincipalKind::Group), (12, PrincipalKind::Group)]
    {
        add(&db, number, kind, &format!("p{number}")).await;
    }
    let id = |number: u128| PrincipalId(Uuid::from_u128(number));
    for (group, member) in [(10, 1), (11, 10), (12, 11), (10, 12)] {
        assert!(write!(db, c => groups::add_member(c, id(group), id(member))));
    }
    assert!(!write!(db, c => groups::add_member(c, id(10), id(1))));
    let ids = |rows: Vec<PrincipalRow>| rows.into_iter().map(|row| row.id.0.as_u128()).collect::<Vec<_>>();
    assert_eq!(read!(db, c => groups::list_all_group_ids(c, id(1))), [id(10), id(11), id(12)]);
    assert_eq!(
        read!(db, c => groups::list_all_group_ids(c, id(10))),
        [id(11), id(12)],
        "not itself, though in a circle"
    );
    assert_eq!(ids(read!(db, c => groups::list_members(c, id(10), None, 10))), [1, 12]);
    assert_eq!(ids(read!(db, c => groups::list_members(c, id(10), Some(id(1)), 10))), [12]);
    assert_eq!(ids(read!(db, c => groups::list_all_members(c, id(12), None, 10))), [1, 10, 11]);
    assert_eq!(ids(read!(db, c => groups::list_all_members(c, id(12), Some(id(1)), 1))), [10]);
    assert_eq!(ids(read!(db, c => groups::list_groups(c, id(1), None, 10))), [10]);
    assert!(write!(db, c => groups::remove_member(c, id(11), id(10))));
    assert!(!write!(db, c => groups::remove_member(c, id(11), id(10))));
    assert_eq!(read!(db, c => groups::list_all_group_ids(c, id(1))), [id(10)]);
}

async fn many_principals_are_found_at_once(db: Database) {
    let rows: Vec<PrincipalRow> =
        (0..1_200).map(|number| principal(number, PrincipalKind::ServicePrincipal, &format!("sp{number}"))).collect();
    let ids: BTreeSet<PrincipalId> = rows.iter().map(|row| row.id).collect();
    db.write(move |c| {
        Box::pin(async move {
            for row in &rows {
                principals::insert(c, row).await?;
            }
            Ok::<_, wharf_metadata::Error>(())
        })
    })
    .await
    .unwrap();
    let wanted: Vec<PrincipalId> = ids.iter().copied().chain([PrincipalId(Uuid::from_u128(99_999))]).collect();
    let found = read!(db, c => principals::find_many(c, &wanted));
    assert_eq!(found.into_iter().map(|row| row.id).collect::<BTreeSet<_>>(), ids);
}

/// Each reads the row and writes it with a change of its own.
async fn changes_that_race_lose_nothing(db: Database) {
    let row = add(&db, 1, PrincipalKind::User, "anna").await;
    let changes: Vec<_> = (0..20)
        .map(|number| {
            let (db, id) = (db.clone(), row.id);
            tokio::spawn(async move {
                db.write(move |c| {
                    Box::pin(async move {
                        principals::lock(c, id).await?;
                        let mut row = principals::find(c, id).await?.expect("she is there");
                        row.properties.insert(format!("p{number}"), true.into());
                        principals::update(c, &row).await
                    })
                })
                .await
                .unwrap()
            })
        })
        .collect();
    for change in changes {
        assert!(change.await.unwrap());
    }
    let found = read!(db, c => principals::find(c, row.id)).unwrap();
    assert_eq!(found.properties.len(), 21);
    let app = application(1, &[]);
    let id = app.id;
    write!(db, c => applications::insert(c, &app));
    write!(db, c => applications::lock(c, id));
}
