//! Role assignments and the roles that users defined.

use uuid::Uuid;
use wharf_metadata::directory::{groups, principals};
use wharf_metadata::{
    AssignmentFilter, Database, OwnedScopes, PrincipalRow, RoleAssignmentRow, RoleDefinitionRow, roles,
};
use wharf_model::{PrincipalId, PrincipalKind, ResourceId, Timestamp};

use crate::suite::{NOW, read, write};

all_engines!(
    an_assignment_is_inserted_once_found_changed_and_removed,
    held_roles_are_those_of_the_principals_at_the_scopes,
    assignments_are_listed_in_pages_from_the_widest_scope_to_the_narrowest,
    what_is_at_and_below_a_scope_goes_with_it,
    defined_roles_have_names_of_their_own,
    many_principals_are_asked_for_at_once,
    scopes_are_owned_by_those_who_can_sign_in,
);

const SUB: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001";

fn scope(text: &str) -> ResourceId {
    if text.starts_with("~") { text.replacen('~', SUB, 1) } else { text.to_owned() }.parse().unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn principal(number: u128) -> PrincipalId {
    PrincipalId(id(1000 + number))
}

fn assignment(number: u128, at: &str, to: u128, role: u128) -> RoleAssignmentRow {
    RoleAssignmentRow {
        id: id(number),
        scope: scope(at),
        principal_id: principal(to),
        principal_type: "User".into(),
        role_id: id(role),
        condition: None,
        condition_version: None,
        description: Some("why".into()),
        created_at: NOW,
        updated_at: NOW,
        created_by: "somebody".into(),
        updated_by: String::new(),
    }
}

async fn insert(db: &Database, row: RoleAssignmentRow) -> bool {
    write!(db, c => roles::insert_assignment(c, &row)).unwrap()
}

fn definition(number: u128, name: &str) -> RoleDefinitionRow {
    RoleDefinitionRow {
        id: id(number),
        name: name.into(),
        description: "what for".into(),
        permissions: r#"[{"actions":["*/read"]}]"#.into(),
        assignable_scopes: vec![scope("~"), ResourceId::root()],
        created_at: NOW,
        updated_at: NOW,
        created_by: String::new(),
        updated_by: String::new(),
    }
}

async fn put(db: &Database, row: RoleDefinitionRow) -> bool {
    write!(db, c => roles::put_definition(c, &row)).unwrap()
}

pub(crate) async fn an_assignment_is_inserted_once_found_changed_and_removed(db: Database) {
    let row = assignment(1, "~/resourceGroups/Rg", 1, 7);
    assert!(insert(&db, row.clone()).await);
    assert!(!insert(&db, assignment(1, "~", 2, 8)).await, "the name is taken");
    assert!(!insert(&db, assignment(2, "~/resourcegroups/RG", 1, 7)).await, "the principal has the role there");
    assert!(insert(&db, assignment(2, "~/resourceGroups/Rg", 1, 8)).await);

    assert_eq!(read!(db, c => roles::find_assignment(c, id(1))).unwrap(), Some(row.clone()));
    let [at, same] = [scope("~/RESOURCEGROUPS/rg"), scope("~/resourceGroups/rg")];
    let found = read!(db, c => roles::find_assignment_of(c, principal(1), &at, id(7))).unwrap();
    assert_eq!(found.unwrap().id, id(1));
    assert_eq!(read!(db, c => roles::find_assignment_of(c, principal(2), &same, id(7))).unwrap(), None);

    let changed = RoleAssignmentRow {
        condition: Some("x".into()),
        condition_version: Some("2.0".into()),
        description: None,
        updated_at: Timestamp(NOW.0 + 1),
        updated_by: "somebody else".into(),
        ..row
    };
    let expected = changed.clone();
    write!(db, c => roles::update_assignment(c, &changed)).unwrap();
    assert_eq!(read!(db, c => roles::find_assignment(c, id(1))).unwrap(), Some(expected));

    assert!(read!(db, c => roles::is_assigned(c, id(7))).unwrap());
    assert!(write!(db, c => roles::delete_assignment(c, id(1))).unwrap());
    assert!(!write!(db, c => roles::delete_assignment(c, id(1))).unwrap());
    assert!(!read!(db, c => roles::is_assigned(c, id(7))).unwrap());
}

pub(crate) async fn held_roles_are_those_of_the_principals_at_the_scopes(db: Database) {
    put(&db, definition(50, "Mine")).await;
    for row in [
        assignment(1, "/", 1, 7),
        assignment(2, "~", 2, 50),
        assignment(3, "~/resourceGroups/Rg", 1, 8),
        assignment(4, "~/resourceGroups/Other", 1, 9),
        assignment(5, "~/resourceGroups/Rg", 3, 7),
    ] {
        insert(&db, row).await;
    }
    let registry = scope("~/resourceGroups/RG/providers/Microsoft.ContainerRegistry/registries/reg");
    let keys: Vec<String> = registry.scopes().map(|scope| scope.key().to_owned()).collect();
    let held = async |principals: Vec<PrincipalId>| {
        let keys = keys.clone();
        read!(db, c => async move {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            roles::list_held(c, &principals, &keys).await
        })
        .unwrap()
    };
    assert!(held(vec![principal(4)]).await.is_empty() && held(vec![]).await.is_empty());
    let mut held = held(vec![principal(1), principal(2)]).await;
    held.sort_by_key(|row| row.role_id);
    let found: Vec<_> = held.iter().map(|row| (row.role_id, row.permissions.is_some())).collect();
    assert_eq!(found, [(id(7), false), (id(8), false), (id(50), true)]);

    let anywhere = read!(db, c => roles::list_held_anywhere(c, &[principal(1)])).unwrap();
    assert_eq!(anywhere.len(), 3);
    assert!(anywhere.iter().any(|row| row.scope_key == scope("~/resourceGroups/Other").key()));
}

async fn list(db: &Database, at: &str, below: bool, principals: Option<Vec<PrincipalId>>, page: i64) -> Vec<u128> {
    let at = scope(at);
    let mut all: Vec<RoleAssignmentRow> = Vec::new();
    loop {
        let (after, at, principals) = (all.last().cloned(), at.clone(), principals.clone());
        let rows = read!(db, c => async move {
            let filter = AssignmentFilter {
                scope: &at,
                includes_below: below,
                principals: principals.as_deref(),
                after: after.as_ref().map(|row| (row.scope.key(), row.id)),
                limit: page,
            };
            roles::list_assignments(c, filter).await
        })
        .unwrap();
        assert!(rows.len() <= usize::try_from(page).unwrap());
        if rows.is_empty() {
            return all.iter().map(|row| row.id.as_u128()).collect();
        }
        all.extend(rows);
    }
}

pub(crate) async fn assignments_are_listed_in_pages_from_the_widest_scope_to_the_narrowest(db: Database) {
    const OTHER: &str = "/subscriptions/00000000-0000-4000-8000-000000000001";
    for row in [
        assignment(1, "~/resourceGroups/a/providers/ns/type/x", 1, 7),
        assignment(2, "~/resourceGroups/a", 1, 7),
        assignment(3, "~/resourceGroups/a", 2, 7),
        assignment(4, "~", 1, 7),
        assignment(5, "/", 1, 7),
        assignment(6, OTHER, 1, 7),
        assignment(7, "~/resourceGroups/ab", 1, 7),
        assignment(8, "/providers/ns/type/tenantwide", 1, 7),
    ] {
        assert!(insert(&db, row).await);
    }
    for page in [1, 2, 3, 100] {
        assert_eq!(list(&db, "~/resourceGroups/A", false, None, page).await, [5, 4, 2, 3]);
        assert_eq!(list(&db, "~/resourceGroups/A", true, None, page).await, [5, 4, 2, 3, 1]);
        assert_eq!(list(&db, "~", true, None, page).await, [5, 4, 2, 3, 1, 7]);
        assert_eq!(list(&db, "/", true, None, page).await, [5, 8, 6, 4, 2, 3, 1, 7]);
        assert_eq!(list(&db, "/", false, None, page).await, [5]);
        assert_eq!(list(&db, "~", true, Some(vec![principal(2), principal(3)]), page).await, [3]);
        assert_eq!(list(&db, "~", true, Some(vec![]), page).await, [] as [u128; 0]);
    }
}

pub(crate) async fn what_is_at_and_below_a_scope_goes_with_it(db: Database) {
    for row in [
        assignment(1, "~/resourceGroups/a", 1, 7),
        assignment(2, "~/resourceGroups/A/providers/ns/type/x", 1, 7),
        assignment(3, "~/resourceGroups/ab", 1, 7),
        assignment(4, "~", 1, 7),
    ] {
        insert(&db, row).await;
    }
    let group = scope("~/resourceGroups/a");
    let same = group.clone();
    assert_eq!(read!(db, c => roles::count_at_and_below(c, &same)).unwrap(), 2);
    assert_eq!(write!(db, c => roles::delete_at_and_below(c, &group)).unwrap(), 2);
    assert_eq!(list(&db, "/", true, None, 10).await, [4, 3]);
    insert(&db, assignment(5, "~", 2, 7)).await;
    write!(db, c => roles::delete_of_principal(c, principal(2))).unwrap();
    assert_eq!(list(&db, "/", true, None, 10).await, [4, 3]);
    let root = ResourceId::root();
    assert_eq!(write!(db, c => roles::delete_at_and_below(c, &root)).unwrap(), 2);
}

pub(crate) async fn defined_roles_have_names_of_their_own(db: Database) {
    assert!(put(&db, definition(1, "Image Keeper")).await);
    assert!(!put(&db, definition(2, "IMAGE keeper")).await);
    assert!(put(&db, definition(2, "Auditor")).await);
    let again =
        RoleDefinitionRow { created_at: Timestamp(1), updated_at: Timestamp(2), ..definition(1, "image keeper") };
    assert!(put(&db, again).await, "its own name is no other's");
    let found = read!(db, c => roles::find_definition(c, id(1))).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.created_at, found.updated_at), ("image keeper", NOW, Timestamp(2)));
    assert_eq!(found.assignable_scopes, [scope("~"), ResourceId::root()]);
    let names: Vec<_> = read!(db, c => roles::list_definitions(c)).unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["Auditor", "image keeper"]);
    assert!(write!(db, c => roles::delete_definition(c, id(1))).unwrap());
    assert!(!write!(db, c => roles::delete_definition(c, id(1))).unwrap());
    assert_eq!(read!(db, c => roles::find_definition(c, id(1))).unwrap(), None);
}

pub(crate) async fn many_principals_are_asked_for_at_once(db: Database) {
    insert(&db, assignment(1, "~", 1200, 7)).await;
    let everybody: Vec<PrincipalId> = (0..1500).map(principal).collect();
    let key = scope("~").key().to_owned();
    let same = everybody.clone();
    assert_eq!(read!(db, c => async move { roles::list_held(c, &same, &[&key]).await }).unwrap().len(), 1);
    assert_eq!(read!(db, c => roles::list_held_anywhere(c, &everybody)).unwrap().len(), 1);
}

pub(crate) async fn scopes_are_owned_by_those_who_can_sign_in(db: Database) {
    for (number, kind, is_enabled) in [
        (1, PrincipalKind::ServicePrincipal, true),
        (2, PrincipalKind::User, false),
        (3, PrincipalKind::ManagedIdentity, true),
        (4, PrincipalKind::Group, true),
        (5, PrincipalKind::Group, true),
        (6, PrincipalKind::User, true),
    ] {
        let row = PrincipalRow {
            id: principal(number),
            kind,
            tenant_id: id(1),
            display_name: "x".into(),
            user_name: None,
            app_id: None,
            resource_id: None,
            is_enabled,
            generation: 1,
            properties: Default::default(),
            created_at: NOW,
            updated_at: NOW,
        };
        assert!(write!(db, c => principals::insert(c, &row)).unwrap());
    }
    let owned = async || write!(db, c => OwnedScopes::read(c, id(7))).unwrap();
    let nobody = owned().await;
    let limited = RoleAssignmentRow { condition: Some("x".into()), ..assignment(10, "/", 1, 7) };
    for row in [
        limited,
        assignment(11, "~", 1, 8),
        assignment(12, "~/resourceGroups/Rg", 1, 7),
        assignment(13, "/", 2, 7),
        assignment(14, "/", 3, 7),
        assignment(15, "/", 4, 7),
    ] {
        assert!(insert(&db, row).await);
        assert_eq!(owned().await, nobody);
    }
    assert!(insert(&db, assignment(16, "~", 1, 7)).await);
    let of_subscription = owned().await;
    assert_eq!((of_subscription.lost_by(&nobody), nobody.lost_by(&of_subscription)), (Some(SUB), None));
    // The group has another in it, and that the first again and a user.
    for (group, member) in [(4, 5), (5, 4), (5, 6)] {
        assert!(write!(db, c => groups::add_member(c, principal(group), principal(member))).unwrap());
    }
    assert!(write!(db, c => roles::delete_assignment(c, id(16))).unwrap());
    let of_everything = owned().await;
    assert_eq!(of_subscription.lost_by(&of_everything), None, "who owns everything owns the subscription");
    assert_eq!(of_everything.lost_by(&of_subscription), Some("/"));

    let at = write!(db, c => roles::list_scopes_of_role(c, id(7))).unwrap();
    assert_eq!(at, [ResourceId::root(), scope("~/resourceGroups/Rg")]);
}
