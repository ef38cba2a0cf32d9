//! `/oauth2/exchange`, and what principals may do with what they get there.

use http::Method;
use insta::assert_snapshot;
use uuid::Uuid;
use wharf_identity::directory::NewClient;
use wharf_identity::{PrincipalGrant, TokenStyle};
use wharf_metadata::{RegistrySettings, RoleAssignmentMode, RoleAssignmentRow, roles};
use wharf_model::{Clock as _, PrincipalId, ResourceId};
use wharf_testkit::{Client, TestResponse, TestServer, image};

const ACR: &str = "https://containerregistry.azure.net";
const ARM: &str = "https://management.azure.com/";
const ACR_PULL: Uuid = Uuid::from_u128(0x7f95_1dda_4ed3_4680_a7ca_43fe_172d_538d);
const ACR_PUSH: Uuid = Uuid::from_u128(0x8311_e382_0749_4cb8_b61a_304f_252e_45ec);
const OWNER: Uuid = Uuid::from_u128(0x8e3a_f657_a8ff_443c_a75c_2fe8_c4bc_b635);
const REPOSITORY_WRITER: Uuid = Uuid::from_u128(0x2a1e_307c_b015_4ebd_883e_5b76_98a0_7328);

/// A service principal with a role on a registry, if any.
pub(crate) async fn robot(
    server: &TestServer,
    role: Option<Uuid>,
    registry: &str,
    condition: Option<&str>,
) -> PrincipalId {
    let (identity, now) = (server.identity().clone(), server.clock().now());
    let new =
        NewClient { tenant_id: Uuid::from_u128(7), display_name: "robot".into(), app_id: None, secret: None, now };
    let database = server.artifacts().database();
    let made = database.write_access(move |c| Box::pin(async move { identity.create_client(c, new).await }));
    let id = made.await.unwrap().principal.id;
    if let Some(role) = role {
        assign(server, id, role, &server.registry(registry).await.resource_id, condition).await;
    }
    id
}

async fn assign(server: &TestServer, to: PrincipalId, role: Uuid, scope: &ResourceId, condition: Option<&str>) -> Uuid {
    let now = server.clock().now();
    let row = RoleAssignmentRow {
        id: Uuid::new_v4(),
        scope: scope.clone(),
        principal_id: to,
        principal_type: "ServicePrincipal".into(),
        role_id: role,
        condition: condition.map(str::to_owned),
        condition_version: condition.map(|_| "2.0".to_owned()),
        description: None,
        created_at: now,
        updated_at: now,
        created_by: String::new(),
        updated_by: String::new(),
    };
    let id = row.id;
    let database = server.artifacts().database();
    database.write_access(move |c| Box::pin(async move { roles::insert_assignment(c, &row).await })).await.unwrap();
    id
}

async fn principal_token(server: &TestServer, id: PrincipalId, audience: &str) -> String {
    let signed_in = server.identity().find_signed_in(id).await.unwrap().unwrap();
    let grant = PrincipalGrant {
        principal: &signed_in.principal,
        generation: signed_in.generation,
        audience,
        issuer: "https://login.example.com",
        client_id: "client",
        style: TokenStyle::Secret,
    };
    server.identity().issue_principal_token(&grant).await.unwrap().token
}

async fn exchange(client: &Client<'_>, fields: &[(&str, &str)]) -> TestResponse {
    let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    client.request(Method::POST, "/oauth2/exchange?api-version=2021-07-01").body(form).await
}

async fn exchange_token(client: &Client<'_>, token: &str) -> TestResponse {
    exchange(client, &[("grant_type", "access_token"), ("service", "wharf.example.com"), ("access_token", token)]).await
}

/// A caller with an access token for these scopes, by way of an exchanged token.
pub(crate) async fn caller<'a>(server: &'a TestServer, registry: &str, id: PrincipalId, scopes: &str) -> Client<'a> {
    let token = principal_token(server, id, ACR).await;
    let anonymous = server.anonymous().at(registry);
    let answer = exchange_token(&anonymous, &token).await;
    let refresh = answer.json()["refresh_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("scope", scopes)
        .append_pair("refresh_token", &refresh)
        .finish();
    let answer = anonymous.request(Method::POST, "/oauth2/token").body(form).await;
    let token = answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    server.bearer(&token).at(registry)
}

#[tokio::test]
async fn a_token_of_the_token_service_earns_a_refresh_token() {
    let server = TestServer::start().await;
    let id = robot(&server, Some(ACR_PULL), TestServer::REGISTRY, None).await;
    for audience in [ACR, ARM, "https://management.core.windows.net"] {
        let answer = exchange_token(&server.anonymous(), &principal_token(&server, id, audience).await).await;
        assert_eq!(answer.status, 200, "{audience}: {answer}");
        assert_eq!(answer.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["refresh_token"]);
        assert_eq!(
            (answer.header("cache-control"), answer.header("docker-distribution-api-version")),
            ("no-store", "")
        );
        assert_eq!(answer.access.route, "exchange");
    }
    let nobody = robot(&server, None, TestServer::REGISTRY, None).await;
    let refused = exchange_token(&server.anonymous(), &principal_token(&server, nobody, ACR).await).await;
    let shown = refused.to_string().replace(&nobody.to_string(), "[robot]");
    assert_snapshot!(shown);
}

#[tokio::test]
async fn what_cannot_be_exchanged_is_refused() {
    let server = TestServer::start().await;
    let id = robot(&server, Some(ACR_PULL), TestServer::REGISTRY, None).await;
    let good = principal_token(&server, id, ACR).await;
    let graph = principal_token(&server, id, "https://graph.microsoft.com").await;
    let own = server.admin_token(TestServer::REGISTRY, &["repository:web:pull"]).await;
    let anonymous = server.anonymous();
    for token in ["garbage", &graph, &own] {
        let refused = exchange_token(&anonymous, token).await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"), "{refused}");
    }
    let tenant = "00000000-0000-0000-0000-000000000008";
    let fields = [("grant_type", "access_token"), ("tenant", tenant), ("access_token", &good)];
    assert_eq!(exchange(&anonymous, &fields).await.status, 401);
    for fields in [&[("grant_type", "password"), ("access_token", &*good)][..], &[("grant_type", "access_token")], &[]]
    {
        assert_eq!(exchange(&anonymous, fields).await.status, 400);
    }
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        assert_eq!(anonymous.request(method.clone(), "/oauth2/exchange").send().await.status, 404, "{method}");
    }
    let long = "x".repeat(100_000);
    assert_eq!(exchange_token(&anonymous, &long).await.status, 413);

    let settings = RegistrySettings { accepts_arm_tokens: false, ..RegistrySettings::default() };
    server.add_registry_with("strict", settings).await;
    let id = robot(&server, Some(ACR_PULL), "strict", None).await;
    let strict = anonymous.at("strict");
    assert_eq!(exchange_token(&strict, &principal_token(&server, id, ARM).await).await.status, 401);
    assert_eq!(exchange_token(&strict, &principal_token(&server, id, ACR).await).await.status, 200);
    assert_eq!(exchange_token(&anonymous, &principal_token(&server, id, ACR).await).await.status, 403, "no role there");
}

#[tokio::test]
async fn roles_open_what_they_are_for() {
    let server = TestServer::start().await;
    server.admin().push("web", "v1", &image("web")).await;
    let scopes = "repository:web:pull,push,delete registry:catalog:*";
    let puller = robot(&server, Some(ACR_PULL), TestServer::REGISTRY, None).await;
    let puller = caller(&server, TestServer::REGISTRY, puller, scopes).await;
    assert_eq!(puller.get("/v2/web/manifests/v1").await.status, 200);
    assert_eq!(puller.get("/v2/_catalog").await.status, 200);
    assert_eq!(puller.post("/v2/web/blobs/uploads/").await.status, 401);
    assert_eq!(puller.delete("/v2/web/manifests/v1").await.status, 401);

    let pusher = robot(&server, Some(ACR_PUSH), TestServer::REGISTRY, None).await;
    let pusher = caller(&server, TestServer::REGISTRY, pusher, scopes).await;
    let digest = pusher.push("web", "v2", &image("web")).await;
    assert_eq!(pusher.delete(&format!("/v2/web/manifests/{digest}")).await.status, 401, "not the manifest");
    assert_eq!(pusher.delete("/v2/web/manifests/v2").await.status, 202, "but the tag");
}

#[tokio::test]
async fn conditions_limit_by_repository_and_owners_manage() {
    let server = TestServer::start().await;
    let settings = RegistrySettings {
        role_assignment_mode: RoleAssignmentMode::AbacRepositoryPermissions,
        ..RegistrySettings::default()
    };
    server.add_registry_with("byrepo", settings).await;
    let condition = "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWith 'team/'";
    let writer = robot(&server, Some(REPOSITORY_WRITER), "byrepo", Some(condition)).await;
    let scopes = "repository:team/app:pull,push repository:other:pull,push repository:*:* registry:catalog:*";
    let writer = caller(&server, "byrepo", writer, scopes).await;
    writer.push("team/app", "v1", &image("app")).await;
    assert_eq!(writer.post("/v2/other/blobs/uploads/").await.status, 401);
    assert_eq!(writer.get("/v2/team/b/tags/list").await.status, 401, "the wildcard was dropped");
    assert_eq!(writer.get("/v2/_catalog").await.status, 401);

    let owner = robot(&server, Some(OWNER), "byrepo", None).await;
    let owner = caller(&server, "byrepo", owner, scopes).await;
    assert_eq!(owner.get("/v2/").await.status, 200);
    assert_eq!(owner.get("/v2/team/app/manifests/v1").await.status, 401);
    let admin = server.basic("byrepo", TestServer::PASSWORD).at("byrepo");
    assert_eq!(admin.get("/v2/team/app/manifests/v1").await.status, 200, "the admin user has no roles");
}
