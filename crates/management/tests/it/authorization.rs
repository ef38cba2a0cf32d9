//! Role assignments, role definitions and permissions, as `az role …` and the SDKs ask for them.

use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;
use wharf_identity::directory::{NewClient, NewGroup};
use wharf_model::{Clock as _, PrincipalId};

use crate::arm::{ACR_PULL, Arm, HOST, OWNER, READER, Reply, SUBSCRIPTION, TENANT, group};

const RBAC_ADMINISTRATOR: Uuid = Uuid::from_u128(0xf583_10d9_a9f6_439a_9e8d_f62e_7b41_a168);
const TEAM: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWith 'team/'";

impl Arm {
    async fn robot(&self) -> PrincipalId {
        let (identity, now) = (self.server.identity().clone(), self.server.clock().now());
        let new = NewClient { tenant_id: TENANT, display_name: "robot".into(), app_id: None, secret: None, now };
        let made = self
            .management
            .database()
            .write_access(move |c| Box::pin(async move { identity.create_client(c, new).await }));
        made.await.unwrap().principal.id
    }

    async fn crowd(&self, members: &[PrincipalId]) -> PrincipalId {
        let new = NewGroup {
            tenant_id: TENANT,
            display_name: "crowd".into(),
            properties: Default::default(),
            owners: vec![],
            members: members.to_vec(),
        };
        self.server.identity().create_group(new).await.unwrap().id
    }

    /// A request about access at a scope, by whoever has the token.
    async fn ask(&self, token: &str, method: Method, scope: &str, rest: &str, body: Option<Value>) -> Reply {
        let mark = if rest.contains('?') { '&' } else { '?' };
        let scope = scope.trim_end_matches('/');
        let path = format!("{scope}/providers/Microsoft.Authorization/{rest}{mark}api-version=2022-04-01");
        self.send(token, method, &path, body).await
    }

    async fn see(&self, scope: &str, rest: &str) -> Reply {
        self.ask(self.owner(), Method::GET, scope, rest, None).await
    }

    /// The owner gives a role.
    async fn give(&self, scope: &str, name: Uuid, role: Uuid, to: PrincipalId) -> Reply {
        self.ask(self.owner(), Method::PUT, scope, &format!("roleAssignments/{name}"), Some(role_of(role, to))).await
    }
}

fn role_of(role: Uuid, to: PrincipalId) -> Value {
    let role = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}");
    json!({"properties": {"roleDefinitionId": role, "principalId": to}})
}

fn subscription() -> String {
    format!("/subscriptions/{SUBSCRIPTION}")
}

/// A name that no assignment of the installation has.
fn name(number: u128) -> Uuid {
    Uuid::from_u128(NAMES + number)
}

const NAMES: u128 = 0x1_0000;

/// A filter in a query.
fn filter(text: &str) -> String {
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair("$filter", text).finish();
    format!("?{pair}")
}

#[tokio::test]
async fn an_assignment_is_made_shown_changed_and_taken_away() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let robot = arm.robot().await;
    let path = format!("roleAssignments/{}", name(1));
    let mut body = role_of(ACR_PULL, robot);
    body["properties"]["principalType"] = json!("ServicePrincipal");
    body["properties"]["description"] = json!("the build");
    let made = arm.ask(arm.owner(), Method::PUT, &scope, &path, Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let shown = serde_json::to_string_pretty(&made.body).unwrap().replace(&robot.to_string(), "[robot]");
    let owner = made.body["properties"]["createdBy"].as_str().unwrap();
    assert_snapshot!(shown.replace(owner, "[owner]"));
    let seen = arm.see(&scope.to_uppercase(), &path).await;
    assert_eq!((seen.status.as_u16(), &seen.body), (200, &made.body));

    arm.server.advance(std::time::Duration::from_secs(1));
    let mut body = role_of(ACR_PULL, robot);
    body["properties"]["condition"] = json!(TEAM);
    body["properties"]["conditionVersion"] = json!("2.0");
    let changed = arm.ask(arm.owner(), Method::PUT, &scope, &path, Some(body)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["properties"]["condition"], TEAM);
    assert_eq!(changed.body["properties"]["description"], Value::Null);
    assert_eq!(changed.body["properties"]["createdOn"], made.body["properties"]["createdOn"]);
    assert_ne!(changed.body["properties"]["updatedOn"], made.body["properties"]["updatedOn"]);

    let gone = arm.ask(arm.owner(), Method::DELETE, &scope, &path, None).await;
    assert_eq!((gone.status.as_u16(), &gone.body["name"]), (200, &json!(name(1))));
    assert_eq!(arm.ask(arm.owner(), Method::DELETE, &scope, &path, None).await.status, 204);
    let seen = arm.see(&scope, &path).await;
    assert_eq!((seen.status.as_u16(), seen.code()), (404, "RoleAssignmentNotFound"));
}

#[tokio::test]
async fn what_cannot_be_assigned_is_refused() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let [robot, other] = [arm.robot().await, arm.robot().await];
    assert_eq!(arm.give(&scope, name(1), ACR_PULL, robot).await.status, 201);
    let put = async |scope: &str, name: &str, body: Value| {
        let reply = arm.ask(arm.owner(), Method::PUT, scope, &format!("roleAssignments/{name}"), Some(body)).await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    let (first, second) = (name(1).to_string(), name(2).to_string());
    let typed = |word: &str| {
        let mut body = role_of(ACR_PULL, other);
        body["properties"]["principalType"] = json!(word);
        body
    };
    let conditional = |text: &str| {
        let mut body = role_of(ACR_PULL, other);
        body["properties"]["condition"] = json!(text);
        body
    };
    for (scope, name, body, status, code) in [
        (&*scope, &*second, role_of(ACR_PULL, robot), 409, "RoleAssignmentExists"),
        (&scope, &first, role_of(READER, robot), 400, "RoleAssignmentUpdateNotPermitted"),
        (&scope, &first, role_of(ACR_PULL, other), 400, "RoleAssignmentUpdateNotPermitted"),
        (&subscription(), &first, role_of(ACR_PULL, robot), 400, "RoleAssignmentUpdateNotPermitted"),
        (&scope, "x", role_of(ACR_PULL, robot), 400, "InvalidResourceName"),
        (&scope, &second, role_of(name(99), robot), 404, "RoleDefinitionDoesNotExist"),
        (&scope, &second, role_of(ACR_PULL, PrincipalId(self::name(98))), 400, "PrincipalNotFound"),
        (&scope, &second, typed("User"), 400, "UnmatchedPrincipalType"),
        (&scope, &second, typed("Device"), 400, "PrincipalTypeNotSupported"),
        (&scope, &second, conditional("Exists"), 400, "InvalidCondition"),
        (&scope, &second, conditional("@Principal[x:y] StringEquals 'z'"), 400, "InvalidCondition"),
        (&scope, &second, json!({}), 400, "InvalidRequestContent"),
        (&group("none"), &second, role_of(ACR_PULL, other), 404, "ResourceGroupNotFound"),
        (&format!("{scope}/providers/a.b/c/d"), &second, role_of(ACR_PULL, other), 404, "ResourceNotFound"),
    ] {
        assert_eq!(put(scope, name, body.clone()).await, (status, code.to_owned()), "{scope} {name} {body}");
    }
    let told = arm.give(&scope, name(2), ACR_PULL, robot).await;
    let told = told.body["error"]["message"].as_str().unwrap();
    assert!(told.ends_with(&format!("The ID of the existing role assignment is {}.", name(1).simple())), "{told}");
    let told = arm.give(&scope, name(2), ACR_PULL, PrincipalId(name(98))).await;
    assert!(told.body["error"]["message"].as_str().unwrap().contains(" does not exist in the directory "));
    assert_eq!(put(&scope, &second, typed("serviceprincipal")).await.0, 201);
}

#[tokio::test]
async fn roles_are_handed_out_by_those_who_may_and_within_their_conditions() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let [robot, admin] = [arm.robot().await, arm.robot().await];
    let crowd = arm.crowd(&[robot]).await;
    let [admin_token, robot_token] = [arm.token(admin, HOST).await, arm.token(robot, HOST).await];
    arm.assign(robot, READER, &scope).await;
    let give = async |token: &str, at: &str, number: u128, role: Uuid, to: PrincipalId| {
        let path = format!("roleAssignments/{}", name(number));
        let reply = arm.ask(token, Method::PUT, at, &path, Some(role_of(role, to))).await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    let refused = (403, "AuthorizationFailed".to_owned());
    assert_eq!(give(&robot_token, &scope, 1, OWNER, robot).await, refused, "nobody makes themselves an owner");
    let reads = |token: String, at: String| {
        let arm = &arm;
        async move { arm.ask(&token, Method::GET, &at, "roleAssignments", None).await.status.as_u16() }
    };
    assert_eq!(reads(robot_token.clone(), scope.clone()).await, 200);
    assert_eq!(reads(robot_token.clone(), subscription()).await, 403);
    assert_eq!(reads(admin_token.clone(), scope.clone()).await, 403);

    // An administrator who may give anything but Owner, and only to groups.
    let condition = format!(
        "((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/write'}})) OR
          (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAllValues:GuidNotEquals {{{OWNER}}}
           AND @Request[Microsoft.Authorization/roleAssignments:PrincipalType] StringEqualsIgnoreCase 'Group'))
         AND ((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/delete'}})) OR
          (@Resource[Microsoft.Authorization/roleAssignments:PrincipalType] StringEqualsIgnoreCase 'Group'))"
    );
    let mut body = role_of(RBAC_ADMINISTRATOR, admin);
    body["properties"]["condition"] = json!(condition);
    let path = format!("roleAssignments/{}", name(2));
    assert_eq!(arm.ask(arm.owner(), Method::PUT, &scope, &path, Some(body)).await.status, 201);
    assert_eq!(give(&admin_token, &scope, 3, ACR_PULL, crowd).await.0, 201);
    assert_eq!(give(&admin_token, &scope, 4, OWNER, crowd).await, refused);
    assert_eq!(give(&admin_token, &scope, 4, ACR_PULL, robot).await, refused);
    assert_eq!(give(&admin_token, &subscription(), 4, ACR_PULL, crowd).await, refused);
    assert_eq!(give(&admin_token, &scope, 2, RBAC_ADMINISTRATOR, admin).await, refused, "nor rids itself of the limit");
    let delete = async |number: u128| {
        let path = format!("roleAssignments/{}", name(number));
        arm.ask(&admin_token, Method::DELETE, &scope, &path, None).await.status.as_u16()
    };
    assert_eq!(delete(2).await, 403);
    assert_eq!(delete(3).await, 200);
}

#[tokio::test]
async fn assignments_are_listed_as_az_asks_for_them() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let resource = arm.identity(&scope, "id1", json!({})).await;
    let robot = arm.robot().await;
    let crowd = arm.crowd(&[robot]).await;
    arm.give(&subscription(), name(1), READER, crowd).await;
    arm.give(&scope, name(2), ACR_PULL, robot).await;
    arm.give(&resource, name(3), ACR_PULL, robot).await;
    arm.give("/", name(4), READER, robot).await;
    let list = async |at: &str, query: &str| {
        let reply = arm.see(at, &format!("roleAssignments{query}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let number = |name: &str| name.parse::<Uuid>().unwrap().as_u128().checked_sub(NAMES).filter(|n| *n < 100);
        reply.names().into_iter().filter_map(number).collect::<Vec<_>>()
    };
    assert_eq!(list(&scope, "").await, [4, 1, 2, 3]);
    assert_eq!(list(&scope, &filter("atScope()")).await, [4, 1, 2]);
    assert_eq!(list(&resource, &filter("atScope()")).await, [4, 1, 2, 3]);
    assert_eq!(list(&subscription(), "").await, [4, 1, 2, 3]);
    assert_eq!(list("/", &filter("atScope()")).await, [4]);
    assert_eq!(list(&scope, &filter(&format!("principalId eq '{robot}'"))).await, [4, 2, 3]);
    assert_eq!(list(&scope, &filter(&format!("assignedTo('{robot}')"))).await, [4, 1, 2, 3]);
    assert_eq!(list(&scope, &filter(&format!("atScope() and assignedTo('{robot}')"))).await, [4, 1, 2]);
    assert_eq!(list(&scope, &filter(&format!("assignedTo('{}')", name(77)))).await, [0_u128; 0]);
    let refused = arm.see(&scope, &format!("roleAssignments{}", filter("x eq 'y'"))).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidFilterInQueryString"));
    assert_eq!(arm.see(&group("none"), "roleAssignments").await.status, 404);

    // az looks the names of roles up by these ids, so both lists must tell the same.
    let roles = arm.see(&scope, "roleDefinitions").await;
    let ids: Vec<&Value> = roles.body["value"].as_array().unwrap().iter().map(|role| &role["id"]).collect();
    let assignments = arm.see(&scope, "roleAssignments").await;
    for assignment in assignments.body["value"].as_array().unwrap() {
        assert!(ids.contains(&&assignment["properties"]["roleDefinitionId"]), "{assignment}");
    }
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let rows: Vec<_> = (0..2100_u128)
        .map(|number| wharf_metadata::RoleAssignmentRow {
            id: name(1000 + number),
            scope: scope.parse().unwrap(),
            principal_id: PrincipalId(name(5000 + number)),
            principal_type: "User".into(),
            role_id: ACR_PULL,
            condition: None,
            condition_version: None,
            description: None,
            created_at: arm.server.clock().now(),
            updated_at: arm.server.clock().now(),
            created_by: String::new(),
            updated_by: String::new(),
        })
        .collect();
    let insert = arm.management.database().write_access(move |c| {
        Box::pin(async move {
            for row in &rows {
                wharf_metadata::roles::insert_assignment(c, row).await?;
            }
            Ok::<_, wharf_metadata::Error>(())
        })
    });
    insert.await.unwrap();
    let (mut seen, mut pages) = (0, 0);
    let mut reply = arm.see(&scope, "roleAssignments").await;
    loop {
        seen += reply.names().len();
        pages += 1;
        let Some(next) = reply.body["nextLink"].as_str().map(str::to_owned) else { break };
        let path = next.strip_prefix(HOST).expect("links lead to the host that was asked").to_owned();
        reply = arm.get(&path).await;
    }
    assert_eq!((seen, pages), (2101, 3), "with the owner's own");
    let refused = arm.see(&scope, "roleAssignments?$skiptoken=x").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidParameter"));
}

#[tokio::test]
async fn the_last_owner_stays() {
    let arm = Arm::start().await;
    let list = arm.see("/", &format!("roleAssignments{}", filter("atScope()"))).await;
    let own = list.names()[0].to_owned();
    let take = async |scope: &str, name: &str| {
        let reply = arm.ask(arm.owner(), Method::DELETE, scope, &format!("roleAssignments/{name}"), None).await;
        (reply.status.as_u16(), reply.code().to_owned())
    };
    assert_eq!(take("/", &own).await, (409, "OperationNotAllowed".to_owned()));
    let robot = arm.robot().await;
    arm.give(&subscription(), name(1), OWNER, robot).await;
    assert_eq!(take("/", &own).await.0, 409, "an owner of a part is none of the whole");
    assert_eq!(take(&subscription(), &name(1).to_string()).await.0, 200);
    arm.give("/", name(2), OWNER, robot).await;
    assert_eq!(take("/", &own).await.0, 200);
}

#[tokio::test]
async fn the_last_owner_stays_one_without_a_condition_and_somebody_who_can_sign_in() {
    let arm = Arm::start().await;
    let list = arm.see("/", &format!("roleAssignments{}", filter("atScope()"))).await;
    let own = list.body["value"][0].clone();
    let path = format!("roleAssignments/{}", own["name"].as_str().unwrap());
    let owner: PrincipalId = own["properties"]["principalId"].as_str().unwrap().parse().unwrap();
    let limit = async || {
        let mut body = role_of(OWNER, owner);
        body["properties"]["condition"] = json!("ActionMatches{'*/read'}");
        body["properties"]["conditionVersion"] = json!("2.0");
        arm.ask(arm.owner(), Method::PUT, "/", &path, Some(body)).await.status.as_u16()
    };
    let take = async || arm.ask(arm.owner(), Method::DELETE, "/", &path, None).await.status.as_u16();
    assert_eq!((limit().await, take().await), (409, 409));

    let crowd = arm.crowd(&[]).await;
    assert_eq!(arm.give("/", name(1), OWNER, crowd).await.status, 201);
    assert_eq!((limit().await, take().await), (409, 409), "nobody is in the group");
    let robot = arm.robot().await;
    let identity = arm.server.identity();
    let switch = async |is_enabled: bool| {
        let change = move |row: &mut wharf_metadata::PrincipalRow| {
            row.is_enabled = is_enabled;
            Ok(())
        };
        identity.update_principal(robot, change).await.unwrap();
    };
    switch(false).await;
    identity.add_group_member(crowd, robot).await.unwrap();
    assert_eq!((limit().await, take().await), (409, 409), "nobody in the group can sign in");
    switch(true).await;
    assert_eq!(limit().await, 200);
}

#[tokio::test]
async fn locks_stand_against_changes_of_access() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let robot = arm.robot().await;
    arm.give(&scope, name(1), READER, robot).await;
    let lock = format!("{scope}/providers/Microsoft.Authorization/locks/l");
    assert!(arm.put(&lock, json!({"properties": {"level": "ReadOnly"}})).await.status.is_success());
    let refused = arm.give(&scope, name(2), ACR_PULL, robot).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "ScopeLocked"));
    let path = format!("roleAssignments/{}", name(1));
    let refused = arm.ask(arm.owner(), Method::DELETE, &scope, &path, None).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "ScopeLocked"));
}

#[tokio::test]
async fn built_in_roles_are_listed_found_by_name_and_fixed() {
    let arm = Arm::start().await;
    let all = arm.see(&subscription(), "roleDefinitions").await;
    let names: Vec<&str> = all.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["properties"]["roleName"].as_str().unwrap())
        .collect();
    assert!(names.is_sorted() && names.contains(&"AcrPull") && names.contains(&"Owner"), "{names:?}");
    let found = arm.see(&subscription(), &format!("roleDefinitions{}", filter("roleName eq 'acrpull'"))).await;
    assert_snapshot!(serde_json::to_string_pretty(&found.body).unwrap());
    let one = arm.see(&subscription(), &format!("roleDefinitions/{ACR_PULL}")).await;
    assert_eq!(one.body, found.body["value"][0]);
    // As az asks by id.
    let one = arm.see("/", &format!("roleDefinitions/{ACR_PULL}?disambiguation_dummy")).await;
    let id = format!("/providers/Microsoft.Authorization/roleDefinitions/{ACR_PULL}");
    assert_eq!(one.body["id"], json!(id));
    let custom = arm.see(&subscription(), &format!("roleDefinitions{}", filter("type eq 'CustomRole'"))).await;
    assert_eq!(custom.names(), [] as [&str; 0]);

    let path = format!("roleDefinitions/{ACR_PULL}");
    let body = json!({"properties": {"roleName": "x", "permissions": [{"actions": ["*"]}], "assignableScopes": [subscription()]}});
    for (method, body) in [(Method::PUT, Some(body)), (Method::DELETE, None)] {
        let refused = arm.ask(arm.owner(), method, &subscription(), &path, body).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidRoleDefinition"));
    }
    let missing = arm.see(&subscription(), &format!("roleDefinitions/{}", name(1))).await;
    assert_eq!((missing.status.as_u16(), missing.code()), (404, "RoleDefinitionDoesNotExist"));
}

#[tokio::test]
async fn custom_roles_are_made_assigned_changed_and_deleted() {
    let arm = Arm::start().await;
    let [scope, other] = [arm.group("g").await, arm.group("h").await];
    let path = format!("roleDefinitions/{}", name(1));
    let body = |role_name: &str, actions: &[&str]| {
        json!({"properties": {
            "roleName": role_name, "description": "keeps", "type": "CustomRole",
            "permissions": [{"actions": actions, "notActions": []}], "assignableScopes": [scope],
        }})
    };
    let put = async |body: Value| arm.ask(arm.owner(), Method::PUT, &subscription(), &path, Some(body)).await;
    let read_groups = "Microsoft.Resources/subscriptions/resourceGroups/read";
    let made = put(body("Keeper", &[read_groups])).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["properties"]["permissions"][0]["dataActions"], json!([]));
    let refused = put(body("acrpull", &["*"])).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "RoleDefinitionWithSameNameExists"));
    let elsewhere = format!("roleDefinitions/{}", name(2));
    let refused = arm.ask(arm.owner(), Method::PUT, &scope, &elsewhere, Some(body("KEEPER", &["*"]))).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "RoleDefinitionWithSameNameExists"));

    let query = |text: &str| format!("roleDefinitions{}", filter(text));
    let names = async |at: &str, text: &str| arm.see(at, &query(text)).await.names().len();
    assert_eq!(names(&scope, "roleName eq 'Keeper'").await, 1);
    assert_eq!(names(&other, "roleName eq 'Keeper'").await, 0);
    assert_eq!(names(&subscription(), "type eq 'CustomRole'").await, 0);
    assert_eq!(names(&subscription(), "type eq 'CustomRole' and atScopeAndBelow()").await, 1);

    let robot = arm.robot().await;
    let token = arm.token(robot, HOST).await;
    let refused = arm.give(&other, name(3), name(1), robot).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidRoleDefinition"), "not assignable there");
    assert_eq!(arm.give(&scope, name(3), name(1), robot).await.status, 201);
    let sees = async || arm.send(&token, Method::GET, &scope, None).await.status.as_u16();
    assert_eq!(sees().await, 200);
    assert_eq!(put(body("Keeper", &["Microsoft.ContainerRegistry/*"])).await.status, 201);
    assert_eq!(sees().await, 403, "a changed role counts at once");

    let delete = async || arm.ask(arm.owner(), Method::DELETE, &subscription(), &path, None).await;
    let refused = delete().await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "RoleDefinitionHasAssignments"));
    arm.ask(arm.owner(), Method::DELETE, &scope, &format!("roleAssignments/{}", name(3)), None).await;
    assert_eq!(delete().await.status, 200);
    assert_eq!(delete().await.status, 204);
}

#[tokio::test]
async fn a_role_is_not_withdrawn_from_where_it_is_assigned() {
    let arm = Arm::start().await;
    let [scope, other] = [arm.group("g").await, arm.group("h").await];
    let path = format!("roleDefinitions/{}", name(1));
    let put = async |token: &str, action: &str, scopes: &[&str]| {
        let body = json!({"properties": {
            "roleName": "Keeper", "permissions": [{"actions": [action]}], "assignableScopes": scopes}});
        let reply = arm.ask(token, Method::PUT, &scope, &path, Some(body)).await;
        (reply.status.as_u16(), reply.body)
    };
    let read = "Microsoft.Resources/subscriptions/resourceGroups/read";
    assert_eq!(put(arm.owner(), read, &[&scope, &other]).await.0, 201);
    let robot = arm.robot().await;
    assert_eq!(arm.give(&other, name(3), name(1), robot).await.status, 201);

    let (status, body) = put(arm.owner(), read, &[&scope]).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("RoleDefinitionHasAssignments")), "{body}");
    // Who administers one of its scopes rewrites it for none.
    arm.assign(robot, OWNER, &scope).await;
    let team = arm.token(robot, HOST).await;
    assert_eq!(put(&team, "*", &[&scope]).await.0, 403);
    assert_eq!(put(arm.owner(), read, &[&scope, &subscription()]).await.0, 201, "what contains a scope will do");

    let taken = arm.ask(arm.owner(), Method::DELETE, &other, &format!("roleAssignments/{}", name(3)), None).await;
    assert_eq!(taken.status, 200);
    assert_eq!(put(arm.owner(), read, &[&scope]).await.0, 201);
    assert_eq!(put(&team, "*", &[&scope]).await.0, 201);
}

#[tokio::test]
async fn roles_are_defined_by_those_who_may_wherever_they_can_be_assigned() {
    let arm = Arm::start().await;
    let [scope, other] = [arm.group("g").await, arm.group("h").await];
    let robot = arm.robot().await;
    arm.assign(robot, OWNER, &scope).await;
    let token = arm.token(robot, HOST).await;
    let put = async |scopes: &[&str]| {
        let body = json!({"properties": {
            "roleName": "Mine", "permissions": [{"actions": ["*"]}], "assignableScopes": scopes}});
        let path = format!("roleDefinitions/{}", name(1));
        arm.ask(&token, Method::PUT, &scope, &path, Some(body)).await.status.as_u16()
    };
    assert_eq!(put(&[&scope, &other]).await, 403);
    assert_eq!(put(&[&subscription()]).await, 403);
    assert_eq!(put(&["/"]).await, 400);
    assert_eq!(put(&[&scope]).await, 201);
}

#[tokio::test]
async fn everybody_may_ask_for_their_own_permissions() {
    let arm = Arm::start().await;
    let scope = arm.group("g").await;
    let robot = arm.robot().await;
    let token = arm.token(robot, HOST).await;
    let own = async || arm.ask(&token, Method::GET, &scope, "permissions", None).await.body["value"].clone();
    assert_eq!(own().await, json!([]));
    arm.assign(robot, READER, &scope).await;
    assert_eq!(
        own().await,
        json!([{"actions": ["*/read"], "notActions": [], "dataActions": [], "notDataActions": []}])
    );
    assert_eq!(arm.see(&scope, "denyAssignments").await.body, json!({"value": []}));
    assert_eq!(arm.see(&scope, &format!("denyAssignments/{}", name(1))).await.status, 404);
    assert_eq!(arm.see(&subscription(), "classicAdministrators").await.body, json!({"value": []}));
    let refused = arm.ask(arm.owner(), Method::PUT, &scope, &format!("denyAssignments/{}", name(1)), None).await;
    assert_eq!(refused.status, 405);
}
