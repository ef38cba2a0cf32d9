//! The services beside the registries: hosts and paths, the owner's first steps, what the log tells.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, builder, client};

/// The services of a server over HTTPS, by a host.
pub(crate) struct Services<'a> {
    server: &'a Server,
    client: Client,
    host: &'static str,
}

impl<'a> Services<'a> {
    pub(crate) fn at(server: &'a Server, host: &'static str) -> Self {
        let authority = std::fs::read(server.data.join("tls/ca.pem")).unwrap();
        let authority = reqwest::Certificate::from_pem(&authority).unwrap();
        let client = builder().tls_certs_only([authority]).resolve(host, server.https).build().unwrap();
        Self { server, client, host }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}:{}{path}", self.host, self.server.https.port())
    }

    /// Signs in to the management API as the owner, by what `credentials.json` says.
    pub(crate) async fn sign_in(&self) -> String {
        let audience = self.metadata().await["authentication"]["audiences"][0].as_str().unwrap().to_owned();
        self.sign_in_to(&audience).await
    }

    async fn sign_in_to(&self, audience: &str) -> String {
        let answer = self.ask_for_token(audience, &self.server.credentials()["clientSecret"]).await;
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn ask_for_token(&self, audience: &str, secret: &Value) -> reqwest::Response {
        let credentials = self.server.credentials();
        let scope = format!("{audience}/.default");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", credentials["clientId"].as_str().unwrap()),
            ("client_secret", secret.as_str().unwrap()),
            ("scope", &scope),
        ];
        // Beside the management host the token service has one of its own.
        let authority = self.metadata().await["authentication"]["loginEndpoint"].as_str().unwrap().to_owned();
        let host = if authority.contains("://login.") { "login.wharf.localhost" } else { self.host };
        let login = Self::at(self.server, host);
        assert_eq!(authority, login.url("/adfs"));
        login.client.post(login.url("/adfs/oauth2/token")).form(&form).send().await.unwrap()
    }

    async fn metadata(&self) -> Value {
        let url = self.url("/metadata/endpoints?api-version=2022-09-01");
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }
}

impl Services<'_> {
    pub(crate) async fn patch(&self, token: &str, path: &str, body: &Value) {
        let answer = self.client.patch(self.url(path)).bearer_auth(token).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }
}

const VERSION: &str = "api-version=2025-11-01";

#[tokio::test]
async fn the_owner_signs_in_and_finds_what_the_first_start_made() {
    let server = Server::start();
    let credentials = server.credentials();
    for host in ["localhost", "management.wharf.localhost"] {
        let services = Services::at(&server, host);
        let token = services.sign_in().await;
        let subscriptions = services.get(&token, "/subscriptions?api-version=2022-12-01").await;
        assert_eq!(subscriptions["value"][0]["subscriptionId"], credentials["subscriptionId"], "{host}");
        assert_eq!(subscriptions["value"][0]["tenantId"], credentials["tenantId"]);
        let subscription = subscriptions["value"][0]["id"].as_str().unwrap();
        let group = format!("{subscription}/resourceGroups/default");
        let shown = services.get(&token, &format!("{group}?api-version=2024-11-01")).await;
        assert_eq!(shown["properties"]["provisioningState"], "Succeeded");
        let registry = format!("{group}/providers/Microsoft.ContainerRegistry/registries/wharf?{VERSION}");
        let shown = services.get(&token, &registry).await;
        assert_eq!(shown["sku"]["name"], "Premium");
        assert_eq!(shown["properties"]["adminUserEnabled"], true);
        assert_eq!(shown["properties"]["loginServer"], credentials["registry"]["loginServer"]);
        let graph = services.metadata().await["microsoftGraphResourceId"].as_str().unwrap().to_owned();
        let token = services.sign_in_to(&graph).await;
        let principals = services.get(&token, "/graph/v1.0/servicePrincipals").await;
        assert_eq!(principals["value"][0]["appId"], credentials["clientId"], "{principals}");
    }
}

#[tokio::test]
async fn a_registry_that_is_put_answers_at_its_host() {
    let server = Server::start();
    let services = Services::at(&server, "localhost");
    let token = services.sign_in().await;
    let subscription = server.credentials()["subscriptionId"].as_str().unwrap().to_owned();
    let id = format!(
        "/subscriptions/{subscription}/resourceGroups/default/providers/Microsoft.ContainerRegistry/registries/contoso"
    );
    let url = services.url(&format!("{id}?{VERSION}"));
    let body = json!({"location": "eastus", "sku": {"name": "Basic"}});
    let made = services.client.put(&url).bearer_auth(&token).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    assert_eq!(server.get_from("contoso.wharf.localhost", "/v2/").await.status(), 401, "reachable at once");
    // The management API is served over HTTP too, for those who trust the way.
    let over_http = client().get(server.url(&format!("{id}?{VERSION}"))).header("host", "localhost");
    assert_eq!(over_http.bearer_auth(&token).send().await.unwrap().status(), 200);
    let gone = services.client.delete(&url).bearer_auth(&token).send().await.unwrap();
    assert!(gone.status().is_success(), "{}", gone.status());
    assert_eq!(server.get_from("contoso.wharf.localhost", "/v2/").await.status(), 404, "gone at once");
}

#[tokio::test]
async fn the_metadata_document_is_about_the_host_that_was_asked() {
    let server = Server::start();
    let port = server.https.port();
    let path = "/metadata/endpoints?api-version=2022-09-01";
    let login = |document: &Value| document["authentication"]["loginEndpoint"].as_str().unwrap().to_owned();
    for (host, wanted) in [("localhost", "localhost"), ("management.wharf.localhost", "login.wharf.localhost")] {
        let services = Services::at(&server, host);
        let document: Value = services.client.get(services.url(path)).send().await.unwrap().json().await.unwrap();
        assert_eq!(login(&document), format!("https://{wanted}:{port}/adfs"));
        assert_eq!(document["resourceManager"], format!("https://{host}:{port}/"));
        assert_eq!(document["suffixes"]["acrLoginServer"], format!("wharf.localhost:{port}"));
    }
    // Whoever asks over HTTP is sent to HTTPS, which clients that sign in insist on.
    let document: Value = client().get(server.url(path)).send().await.unwrap().json().await.unwrap();
    assert_eq!(login(&document), format!("https://127.0.0.1:{port}/adfs"));
    let answer = server.get_from("portal.wharf.localhost", "/").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_service_refuses_in_its_own_words() {
    let server = Server::start();
    let services = Services::at(&server, "localhost");
    for (path, code) in [
        ("/subscriptions?api-version=2022-12-01", "AuthenticationFailed"),
        ("/SUBSCRIPTIONS/x/resourcegroups?api-version=2024-11-01", "AuthenticationFailed"),
        ("/graph/v1.0/users", "InvalidAuthenticationToken"),
    ] {
        let answer = services.client.get(services.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{path}: {body}");
    }
    let answer = services.client.get(services.url("/adfs/nowhere")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let answer: Value = services.ask_for_token("https://localhost", &json!("wrong")).await.json().await.unwrap();
    assert_eq!(answer["error"], "invalid_client", "{answer}");
}

#[tokio::test]
async fn the_log_tells_who_did_what_and_no_secret() {
    let server = Server::start();
    let services = Services::at(&server, "localhost");
    let token = services.sign_in().await;
    services.get(&token, "/subscriptions?api-version=2022-12-01").await;
    let wrong = services.ask_for_token("https://localhost", &json!("a-wrong-secret")).await;
    assert!(wrong.status().is_client_error());
    let url = services.url("/adfs/oauth2/authorize?code=a-secret-code&state=a-secret-state");
    services.client.get(url).send().await.unwrap();
    let signed_in = server.line(|line| line["route"] == "login.token" && line["status"] == 200).await;
    assert_ne!(signed_in["caller"], "-");
    let listed = server.line(|line| line["route"] == "management.subscriptions.list").await;
    assert_eq!(listed["caller"], server.credentials()["clientId"]);
    assert_eq!(listed["request_id"].as_str().unwrap().len(), 36);
    server.line(|line| line["route"] == "login.authorize").await;
    let metrics = client().get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let counted = r#"registry_requests_total{route="management.subscriptions.list",method="GET",status="2xx"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    let secret = server.credentials()["clientSecret"].as_str().unwrap().to_owned();
    let (lines, _) = server.stop();
    for secret in [secret.as_str(), token.as_str(), "a-wrong-secret", "a-secret-code", "a-secret-state"] {
        assert!(!lines.iter().any(|line| line.contains(secret)), "{secret} in the log");
    }
}
