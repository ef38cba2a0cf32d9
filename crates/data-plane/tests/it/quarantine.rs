//! Quarantine over HTTP: who sees what, who says what, and what it looks like.

use http::{Method, header};
use insta::assert_snapshot;
use serde_json::Value;
use uuid::Uuid;
use wharf_metadata::{RegistrySettings, RoleAssignmentMode};
use wharf_model::{Algorithm, Digest};
use wharf_oci::ROUTES;
use wharf_testkit::{Client, Image, TestResponse, TestServer, image};

use crate::access::path;
use crate::attributes::patch;
use crate::exchange::{caller, robot};

/// The roles that could matter, by name.
const ROLES: [(&str, u128); 9] = [
    ("AcrPull", 0x7f95_1dda_4ed3_4680_a7ca_43fe_172d_538d),
    ("AcrPush", 0x8311_e382_0749_4cb8_b61a_304f_252e_45ec),
    ("AcrQuarantineReader", 0xcdda_3590_29a3_44f6_95f2_9f98_0659_eb04),
    ("AcrQuarantineWriter", 0xc8d4_ff99_41c3_41a8_9f60_21df_dad5_9608),
    ("Reader", 0xacdd_72a7_3385_48ef_bd42_f606_fba8_1ae7),
    ("Contributor", 0xb249_88ac_6180_42a0_ab88_20f7_382d_d24c),
    ("Repository Reader", 0xb93a_a761_3e63_49ed_ac28_beff_a264_f7ac),
    ("Repository Writer", 0x2a1e_307c_b015_4ebd_883e_5b76_98a0_7328),
    ("Repository Contributor", 0x2efd_daa5_3f1f_4df3_97df_af3f_1381_8f4c),
];

const PASS: &str = r#"{"quarantineState":"Passed"}"#;

async fn guarded(mode: RoleAssignmentMode) -> TestServer {
    let server = TestServer::start().await;
    let settings = RegistrySettings { quarantine: true, role_assignment_mode: mode, ..RegistrySettings::default() };
    server.add_registry_with("guarded", settings).await;
    server
}

fn admin(server: &TestServer) -> Client<'_> {
    server.basic("guarded", TestServer::PASSWORD).at("guarded")
}

fn manifest_path(image: &Image) -> String {
    format!("/acr/v1/web/_manifests/{}", image.digest())
}

/// What the caller gets of the image `web:v1`: the status of each request.
async fn statuses(client: &Client<'_>, image: &Image) -> String {
    let (digest, layer) = (image.digest(), Digest::of(Algorithm::Sha256, &image.blobs[1]));
    let mut line = Vec::new();
    for (word, method, path) in [
        ("tag", Method::GET, "/v2/web/manifests/v1".to_owned()),
        ("head-tag", Method::HEAD, "/v2/web/manifests/v1".to_owned()),
        ("digest", Method::GET, format!("/v2/web/manifests/{digest}")),
        ("head-digest", Method::HEAD, format!("/v2/web/manifests/{digest}")),
        ("blob", Method::GET, format!("/v2/web/blobs/{layer}")),
        ("head-blob", Method::HEAD, format!("/v2/web/blobs/{layer}")),
        ("tags", Method::GET, "/v2/web/tags/list".to_owned()),
        ("attributes", Method::GET, manifest_path(image)),
    ] {
        let answer = client.request(method, &path).send().await;
        line.push(format!("{word} {}", answer.status));
    }
    // The answer to one that changes nothing, so that the next caller finds all as it was.
    let lock = patch(client, &manifest_path(image), r#"{"listEnabled":true}"#).await.status;
    let judge = patch(client, &manifest_path(image), r#"{"quarantineState":"Failed"}"#).await.status;
    line.push(format!("lock {lock}"));
    line.push(format!("judge {judge}"));
    line.join(", ")
}

/// Role × request, in both modes, and those who have rights without roles.
#[tokio::test]
async fn the_table_of_who_sees_and_judges_what_is_in_quarantine() {
    let image = image("web");
    let scopes = "repository:web:pull,push,metadata_read,metadata_write";
    let mut table = String::new();
    for mode in [RoleAssignmentMode::LegacyRegistryPermissions, RoleAssignmentMode::AbacRepositoryPermissions] {
        table += &format!("# {mode:?}\n");
        let server = guarded(mode).await;
        admin(&server).push("web", "v1", &image).await;
        for (role, id) in ROLES {
            let robot = robot(&server, Some(Uuid::from_u128(id)), "guarded", None).await;
            let is_for_other_mode =
                role.starts_with("Repository") != (mode == RoleAssignmentMode::AbacRepositoryPermissions);
            if is_for_other_mode && !role.starts_with("AcrQuarantine") {
                continue;
            }
            let client = caller(&server, "guarded", robot, scopes).await;
            table += &format!("{role}: {}\n", statuses(&client, &image).await);
        }
        table += &format!("the admin user: {}\n\n", statuses(&admin(&server), &image).await);
    }
    assert_snapshot!(table);
}

/// Every route, asked by somebody who may pull, push and read attributes: nothing of what is in quarantine comes out.
#[tokio::test]
async fn no_route_hands_out_what_is_in_quarantine() {
    let server = guarded(RoleAssignmentMode::LegacyRegistryPermissions).await;
    let (secret, signature) =
        (image("classified"), image("classified too").about(&image("classified"), "application/x"));
    let admin = admin(&server);
    admin.push("web", "v1", &secret).await;
    admin.push("web", "signature", &signature).await;
    let pusher = robot(&server, Some(Uuid::from_u128(ROLES[1].1)), "guarded", None).await;
    let scopes = "repository:web:pull,push,metadata_read,deleted_read registry:catalog:* artifact-repository:web:pull";
    let client = caller(&server, "guarded", pusher, scopes).await;
    let scanner = robot(&server, Some(Uuid::from_u128(ROLES[2].1)), "guarded", None).await;
    let scanner = caller(&server, "guarded", scanner, scopes).await;

    let mut digests = vec![secret.digest(), signature.digest()];
    digests.extend(secret.blobs.iter().map(|blob| Digest::of(Algorithm::Sha256, blob)));
    let mut seen_by_scanner = 0;
    for row in ROUTES.iter().filter(|row| row.methods.contains(&"GET")) {
        for digest in &digests {
            let path = path(row.endpoint, digest);
            for path in [path.clone(), path.replace("/manifests/v1", &format!("/manifests/{digest}"))] {
                let answer = client.get(&path).await;
                let is_told = leaks(&answer, &secret, &signature);
                assert!(!is_told, "{path}: {answer}");
                seen_by_scanner += u32::from(leaks(&scanner.get(&path).await, &secret, &signature));
            }
        }
    }
    assert!(seen_by_scanner >= 8, "manifests and blobs are there: {seen_by_scanner}");
    for image in [&secret, &signature] {
        assert_eq!(patch(&admin, &manifest_path(image), PASS).await.status, 200);
    }
    let answer = client.get("/v2/web/manifests/v1").await;
    assert!(leaks(&answer, &secret, &signature), "what passed is handed out: {answer}");
}

/// Whether an answer holds what is in the image or is said in the statement about it.
fn leaks(answer: &TestResponse, secret: &Image, signature: &Image) -> bool {
    let holds = |part: &[u8]| !part.is_empty() && answer.body.windows(part.len()).any(|window| window == part);
    [&secret.manifest, &signature.manifest]
        .into_iter()
        .chain(&secret.blobs)
        .chain(&signature.blobs)
        .any(|part| holds(part))
        || holds(br#""artifactType":"application/x""#)
}

#[tokio::test]
async fn those_who_do_not_see_it_are_told_what_azure_tells_them() {
    let server = guarded(RoleAssignmentMode::LegacyRegistryPermissions).await;
    let image = image("web");
    admin(&server).push("web", "v1", &image).await;
    let id = robot(&server, Some(Uuid::from_u128(ROLES[0].1)), "guarded", None).await;
    let client = caller(&server, "guarded", id, "repository:web:pull").await;
    let by_tag = client.get("/v2/web/manifests/v1").await;
    assert_snapshot!(by_tag.text().trim_end(), @r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest tagged by \"v1\" is not found","detail":{"Tag":"v1"}}]}"#);
    let by_digest = client.get(&format!("/v2/web/manifests/{}", image.digest())).await;
    assert_eq!(by_digest.status, 405);
    assert_snapshot!(by_digest.text().trim_end(), @r#"{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation","detail":{}}]}"#);
    // What a cache of theirs holds is not confirmed either.
    let etag = format!("\"{}\"", image.digest());
    let request = client.request(Method::GET, "/v2/web/manifests/v1").header(header::IF_NONE_MATCH, etag);
    assert_eq!(request.send().await.status, 404);
}

#[tokio::test]
async fn a_scanner_needs_no_other_role_and_a_token_as_documented() {
    let server = guarded(RoleAssignmentMode::LegacyRegistryPermissions).await;
    let image = image("web");
    admin(&server).push("web", "v1", &image).await;
    let id = robot(&server, Some(Uuid::from_u128(ROLES[3].1)), "guarded", None).await;
    let scanner = caller(&server, "guarded", id, "repository:web:pull,push").await;
    assert_eq!(scanner.get("/v2/web/manifests/v1").await.status, 200);
    assert_eq!(scanner.post("/v2/web/blobs/uploads/").await.status, 401, "it may not push");
    let reader = caller(&server, "guarded", id, "repository:web:pull").await;
    let refused = patch(&reader, &manifest_path(&image), PASS).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"), "its token says pull alone");
    let elsewhere = caller(&server, "guarded", id, "repository:other:pull,push").await;
    assert_eq!(patch(&elsewhere, &manifest_path(&image), PASS).await.status, 401);

    let body = r#"{"quarantineState":"passed","quarantineDetails":"{\"state\":\"Scan Passed\",\"link\":\"https://scan.example/1\"}"}"#;
    let answer = patch(&scanner, &manifest_path(&image), body).await;
    assert_eq!(answer.status, 200, "{answer}");
    let exactly = r#""changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true,"quarantineState":"Passed","quarantineDetails":"{\"state\":\"Scan Passed\",\"link\":\"https://scan.example/1\"}"},"quarantineTag":"v1""#;
    assert!(answer.text().contains(exactly), "{answer}");
    let shown = &answer.json()["manifest"];
    let listed = admin(&server).get("/acr/v1/web/_manifests").await.json();
    assert_eq!(listed["manifests"][0]["changeableAttributes"], shown["changeableAttributes"]);
    let puller = robot(&server, Some(Uuid::from_u128(ROLES[0].1)), "guarded", None).await;
    let puller = caller(&server, "guarded", puller, "repository:web:pull").await;
    assert_eq!(puller.get("/v2/web/manifests/v1").await.status, 200);
    let again = patch(&scanner, &manifest_path(&image), r#"{"quarantineState":"Failed"}"#).await;
    assert_eq!(again.json()["manifest"]["changeableAttributes"]["quarantineState"], "Failed");
    assert_eq!(puller.get("/v2/web/manifests/v1").await.status, 404);
}

#[tokio::test]
async fn marks_that_make_no_sense_are_refused() {
    let server = guarded(RoleAssignmentMode::LegacyRegistryPermissions).await;
    let image = image("web");
    admin(&server).push("web", "v1", &image).await;
    let admin = admin(&server);
    let long = format!(r#"{{"quarantineState":"Passed","quarantineDetails":"{}"}}"#, "x".repeat(9000));
    for body in [
        r#"{"quarantineState":"Quarantined"}"#,
        r#"{"quarantineState":""}"#,
        r#"{"quarantineState":true}"#,
        r#"{"quarantineState":"Passed","quarantineDetails":{"state":"x"}}"#,
        r#"{"quarantineState":"Passed","writeOnceTags":["*"]}"#,
        &long,
    ] {
        let answer = patch(&admin, &manifest_path(&image), body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "ATTRIBUTES_INVALID"), "{body}: {answer}");
    }
    let unknown = manifest_path(&wharf_testkit::image("other"));
    assert_eq!(patch(&admin, &unknown, PASS).await.status, 404);
    let state = |answer: &TestResponse| answer.json()["manifest"]["changeableAttributes"]["quarantineState"].clone();
    assert_eq!(state(&admin.get(&manifest_path(&image)).await), "Quarantined");
    let answer = patch(&admin, &manifest_path(&image), r#"{"quarantineState":null,"quarantineDetails":null}"#).await;
    assert_eq!((answer.status, state(&answer)), (200, Value::from("Quarantined")));
    // Without the policy, a manifest without a mark has none.
    let plain = server.admin();
    plain.push("web", "v1", &image).await;
    let shown = plain.get(&manifest_path(&image)).await;
    assert!(!shown.text().contains("quarantine"), "{shown}");
    assert_eq!(patch(&plain, &manifest_path(&image), r#"{"quarantineDetails":"x"}"#).await.status, 400);
    assert_eq!(state(&patch(&plain, &manifest_path(&image), PASS).await), "Passed");
}

/// Clients ask what is there before they push it, and must not stumble over what waits.
#[tokio::test]
async fn what_waits_can_be_pushed_again() {
    let server = guarded(RoleAssignmentMode::LegacyRegistryPermissions).await;
    let image = image("web");
    let id = robot(&server, Some(Uuid::from_u128(ROLES[1].1)), "guarded", None).await;
    let pusher = caller(&server, "guarded", id, "repository:web:pull,push").await;
    pusher.push("web", "v1", &image).await;
    let digest = image.digest();
    for blob in &image.blobs {
        let blob = Digest::of(Algorithm::Sha256, blob);
        assert_eq!(pusher.head(&format!("/v2/web/blobs/{blob}")).await.status, 200);
    }
    assert_eq!(pusher.head(&format!("/v2/web/manifests/{digest}")).await.status, 200);
    assert_eq!(pusher.head("/v2/web/manifests/v1").await.status, 404);
    assert_eq!(pusher.push_manifest("web", "v1", &image).await.status, 201);
    assert_eq!(pusher.push_manifest("web", "v2", &image).await.status, 201);
    let index = wharf_testkit::index(&[&image]);
    assert_eq!(pusher.push_manifest("web", "multi", &index).await.status, 201);
    let reader = server.bearer(&server.admin_token("guarded", &["repository:web:pull"]).await).at("guarded");
    assert_eq!(reader.get("/v2/web/manifests/multi").await.status, 200, "the admin user sees everything");
}
