//! The owner of the installation, at the management API of a server.

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::client::{Client, Response};
use crate::server::{Server, Site};

/// Signed in; good for as long as the server runs.
pub(crate) struct Owner {
    address: SocketAddr,
    token: String,
    registry: String,
}

impl Owner {
    /// Signs in with what the first start wrote into `credentials.json`.
    pub(crate) fn of(site: &Site, server: &Server) -> Self {
        let written = fs::read_to_string(site.data().join("credentials.json")).expect("the first start wrote it");
        let credentials: Value = serde_json::from_str(&written).expect("it is JSON");
        let text = |name: &str| credentials[name].as_str().expect("it is there").to_owned();
        let metadata = server.client().get("/metadata/endpoints?api-version=2022-09-01").expect("it answers");
        let metadata: Value = serde_json::from_slice(&metadata.body).expect("it is JSON");
        let audience = metadata["authentication"]["audiences"][0].as_str().expect("there is one");
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &text("clientId"))
            .append_pair("client_secret", &text("clientSecret"))
            .append_pair("scope", &format!("{audience}/.default"))
            .finish();
        let head = format!(
            "POST /adfs/oauth2/token HTTP/1.1\r\nHost: localhost:5000\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            form.len()
        );
        let address = server.address();
        let answer = Client::new(address).exchange("POST", &[head.as_bytes(), form.as_bytes()]).expect("it answers");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let token: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
        let registry = format!(
            "/subscriptions/{}/resourceGroups/default/providers/Microsoft.ContainerRegistry/registries/wharf",
            text("subscriptionId")
        );
        Self { address, token: token["access_token"].as_str().expect("it is there").to_owned(), registry }
    }

    /// Puts a resource below the registry.
    pub(crate) fn put(&self, path: &str, properties: Value) {
        let answer = self.send("PUT", path, &json!({ "properties": properties }));
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", String::from_utf8_lossy(&answer.body));
    }

    /// Changes properties of the registry.
    pub(crate) fn patch(&self, properties: Value) {
        let answer = self.send("PATCH", "", &json!({ "properties": properties }));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// Has something begin that takes a while.
    pub(crate) fn begin(&self, path: &str, body: &Value) {
        let answer = self.send("POST", path, body);
        assert_eq!(answer.status, 202, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        let (body, slash) = (body.to_string(), if path.is_empty() { "" } else { "/" });
        let head = format!(
            "{method} {}{slash}{path}?api-version=2025-11-01 HTTP/1.1\r\nHost: localhost:5000\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.registry,
            self.token,
            body.len()
        );
        Client::new(self.address).exchange(method, &[head.as_bytes(), body.as_bytes()]).expect("it answers")
    }
}
