//! Programs that hold no secret of their own.

use http::Method;
use secrecy::ExposeSecret as _;

use crate::setup::{ARM, Installation, Reply, TENANT, claims, encode};

async fn by_header(server: &Installation, value: &str, parameters: &[(&str, &str)]) -> Reply {
    let path = format!("/msi/token?{}", encode(parameters));
    server.send(Method::GET, &path, "", &[("x-identity-header", value), ("metadata", "true")]).await
}

async fn by_address(server: &Installation, address: &str, headers: &[(&str, &str)], more: &[(&str, &str)]) -> Reply {
    let parameters = [&[("api-version", "2018-02-01"), ("resource", ARM)], more].concat();
    let path = format!("/metadata/identity/oauth2/token?{}", encode(&parameters));
    server.send_from(address, Method::GET, &path, "", headers).await
}

#[tokio::test]
async fn a_header_is_a_principals_key() {
    let server = Installation::start().await;
    let (endpoint, value) = server.identity.add_identity_header(server.app.id, Some("CI".into())).await.unwrap();
    let asked = [("api-version", "2019-08-01"), ("resource", ARM)];
    let body = by_header(&server, value.expose_secret(), &asked).await.ok();
    let access = claims(body["access_token"].as_str().unwrap());
    assert_eq!((&access["aud"], &access["tid"]), (&ARM.into(), &TENANT.to_string().into()));
    assert_eq!(access["oid"], server.app.id.to_string());
    let expires: i64 = body["expires_on"].as_str().unwrap().parse().unwrap();
    assert_eq!(access["exp"], expires);
    assert_eq!((&body["resource"], &body["client_id"]), (&ARM.into(), &server.app_id().into()));
    server.identity.verify_principal_token(body["access_token"].as_str().unwrap()).await.unwrap();

    // By name, if it is the same.
    let id = server.app_id();
    by_header(&server, value.expose_secret(), &[asked[1], ("client_id", &id)]).await.ok();
    let object = server.app.id.to_string();
    by_header(&server, value.expose_secret(), &[asked[1], ("object_id", &object)]).await.ok();
    let (other, _, _) = server.another_client("other").await;
    let other = other.app_id.unwrap().to_string();
    for wrong in [("client_id", other.as_str()), ("client_id", "x"), ("mi_res_id", "/subscriptions/x")] {
        let reply = by_header(&server, value.expose_secret(), &[wrong, ("resource", ARM)]).await;
        assert_eq!(reply.status, 400, "{wrong:?} {}", reply.text);
    }
    let wrong = by_header(&server, "made-up", &asked).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["statusCode"]), (401, &401.into()));
    assert_eq!(server.get("/msi/token?resource=x").await.status, 401);
    assert_eq!(by_header(&server, value.expose_secret(), &[]).await.status, 400);

    // The end of the endpoint is the end of its tokens.
    server.identity.remove_identity_endpoint(endpoint.id).await.unwrap();
    assert_eq!(by_header(&server, value.expose_secret(), &asked).await.status, 401);
    assert!(server.identity.verify_principal_token(body["access_token"].as_str().unwrap()).await.is_err());
}

#[tokio::test]
async fn addresses_get_tokens_only_if_the_operator_said_so() {
    let server = Installation::start().await;
    let metadata = [("metadata", "true")];
    assert_eq!(by_address(&server, "10.1.2.3", &metadata, &[]).await.status, 404);
    let (other, _, _) = server.another_client("other").await;
    let range = "10.1.0.0/16".parse().unwrap();
    server.identity.add_identity_addresses(server.app.id, range, None).await.unwrap();
    let body = by_address(&server, "10.1.2.3", &metadata, &[]).await.ok();
    assert_eq!(claims(body["access_token"].as_str().unwrap())["oid"], server.app.id.to_string());
    by_address(&server, "::ffff:10.1.2.3", &metadata, &[]).await.ok();
    assert_eq!(by_address(&server, "10.2.2.3", &metadata, &[]).await.status, 404);
    // What only a forwarded request lacks or has.
    assert_eq!(by_address(&server, "10.1.2.3", &[], &[]).await.status, 400);
    let forwarded = [("metadata", "true"), ("x-forwarded-for", "10.1.2.3")];
    assert_eq!(by_address(&server, "10.1.2.3", &forwarded, &[]).await.status, 400);
    for header in ["forwarded", "x-real-ip", "via"] {
        let forwarded = [("metadata", "true"), (header, "10.1.2.3")];
        assert_eq!(by_address(&server, "10.1.2.3", &forwarded, &[]).await.status, 400, "{header}");
    }
    assert_eq!(by_address(&server, "10.1.99.99", &metadata, &[]).await.status, 400, "a proxy that says for nobody");
    // Of several, one is named.
    server.identity.add_identity_addresses(other.id, range, None).await.unwrap();
    assert_eq!(by_address(&server, "10.1.2.3", &metadata, &[]).await.status, 400);
    let id = other.app_id.unwrap().to_string();
    let body = by_address(&server, "10.1.2.3", &metadata, &[("client_id", &id)]).await.ok();
    assert_eq!(claims(body["access_token"].as_str().unwrap())["oid"], other.id.to_string());
}

#[tokio::test]
async fn people_have_no_such_endpoints() {
    let server = Installation::start().await;
    assert!(server.identity.add_identity_header(server.anna.id, None).await.is_err());
    let nobody = wharf_model::PrincipalId(uuid::Uuid::nil());
    assert!(server.identity.add_identity_header(nobody, None).await.is_err());
    let long = Some("x".repeat(501));
    assert!(server.identity.add_identity_header(server.app.id, long).await.is_err());
}
