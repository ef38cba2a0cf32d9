//! An installation with a tenant, a person and an application, and clients that talk to its token service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use uuid::Uuid;
use wharf_identity::directory::{Holder, NewClient, NewSecret, NewUser, SecretEnd};
use wharf_identity::{Egress, Identity, SealingKey, SystemRandom};
use wharf_login::{CameThroughProxy, Login};
use wharf_metadata::subscriptions::{self, TenantRow};
use wharf_metadata::{Database, PrincipalRow};
use wharf_model::{AccessNote, Client, Clock as _, Endpoints, FakeClock, PrincipalId, RequestContext, Timestamp};

pub(crate) const TENANT: Uuid = Uuid::from_u128(0x7e9a_0000_0000_4000_8000_0000_0000_0001);
pub(crate) const AZ: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
pub(crate) const ARM: &str = "https://management.example.com";
pub(crate) const LOGIN: &str = "https://login.example.com";
pub(crate) const ANNA: &str = "anna@example.com";
/// Proxies that the operator trusts.
const PROXIES: [&str; 1] = ["10.1.99.99"];
pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) struct Installation {
    pub(crate) login: Login,
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) database: Database,
    /// Scheme and host that requests come to.
    pub(crate) login_base: Mutex<String>,
    sealing: Arc<SealingKey>,
    pub(crate) anna: PrincipalRow,
    /// An application with a secret.
    pub(crate) app: PrincipalRow,
    pub(crate) application: Uuid,
    pub(crate) secret: String,
    _directory: tempfile::TempDir,
}

impl Installation {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", directory.path().join("wharf.db").display());
        let database = Database::open(&address.parse().unwrap()).await.unwrap();
        let sealing = Arc::new(SealingKey::ephemeral(&SystemRandom));
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        let egress = Egress::new(["127.0.0.0/8".parse().unwrap()]);
        let identity = Identity::with_egress(database.clone(), sealing.clone(), clock.clone(), egress);
        identity.start().await.unwrap();
        let now = clock.now();
        let tenant = TenantRow {
            id: TENANT,
            display_name: "Example".into(),
            default_domain: "example.com".into(),
            created_at: now,
        };
        database.write(move |c| Box::pin(async move { subscriptions::insert_tenant(c, &tenant).await })).await.unwrap();
        let anna = identity
            .create_user(NewUser {
                tenant_id: TENANT,
                user_name: ANNA.into(),
                display_name: "Anna".into(),
                password: Some(PASSWORD.into()),
                must_change_password: false,
                is_enabled: true,
                properties: Default::default(),
            })
            .await
            .unwrap();
        let (app, application, secret) = client(&identity, &database, "builder", now).await;
        let login = Login::new(identity.clone(), "example.com");
        Self {
            login,
            identity,
            clock,
            database,
            login_base: Mutex::new(LOGIN.into()),
            sealing,
            anna,
            app,
            application,
            secret,
            _directory: directory,
        }
    }

    /// Another node of the same installation, whose clock stands at `now`.
    pub(crate) async fn another_node(&self, now: Timestamp) -> Identity {
        let clock = Arc::new(FakeClock::at(now));
        let identity = Identity::new(self.database.clone(), self.sealing.clone(), clock);
        identity.start().await.unwrap();
        identity
    }

    /// Another application, with a secret.
    pub(crate) async fn another_client(&self, name: &'static str) -> (PrincipalRow, Uuid, String) {
        client(&self.identity, &self.database, name, self.clock.now()).await
    }

    pub(crate) fn app_id(&self) -> String {
        self.app.app_id.unwrap().to_string()
    }

    pub(crate) fn holder(&self) -> Holder {
        Holder::ServicePrincipal(self.app.id)
    }

    pub(crate) async fn disable(&self, principal: PrincipalId) {
        let change = |row: &mut PrincipalRow| {
            row.is_enabled = false;
            Ok(())
        };
        self.identity.update_principal(principal, change).await.unwrap();
    }

    pub(crate) async fn send(&self, method: Method, path: &str, form: &str, headers: &[(&str, &str)]) -> Reply {
        self.send_from("203.0.113.7", method, path, form, headers).await
    }

    pub(crate) async fn send_from(
        &self,
        address: &str,
        method: Method,
        path: &str,
        form: &str,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !form.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let mut request = request.body(Body::from(form.to_owned())).unwrap();
        if PROXIES.contains(&address) {
            request.extensions_mut().insert(CameThroughProxy);
        }
        let context = RequestContext {
            request_id: Uuid::from_u128(7),
            client: Client { address: address.parse().unwrap(), is_private: false },
            endpoints: Arc::new(Endpoints {
                management: ARM.into(),
                login: self.login_base.lock().unwrap().clone(),
                graph: format!("{ARM}/graph"),
                portal: "https://portal.example.com".into(),
            }),
        };
        let response = self.login.serve(context, request).await;
        let (parts, body) = response.into_parts();
        let note = parts.extensions.get::<AccessNote>().expect("every response has a note").clone();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap(), note }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, "", &[]).await
    }

    /// Posts a form.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(Method::POST, path, &encode(fields), &[]).await
    }

    /// Asks the token endpoint of version 2.0.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Reply {
        self.post(&format!("/{TENANT}/oauth2/v2.0/token"), fields).await
    }

    /// An access token of the application for ARM.
    pub(crate) async fn app_token(&self) -> String {
        let reply = self
            .token(&[
                ("grant_type", "client_credentials"),
                ("client_id", &self.app_id()),
                ("client_secret", &self.secret),
                ("scope", &format!("{ARM}/.default")),
            ])
            .await;
        reply.ok()["access_token"].as_str().unwrap().to_owned()
    }

    /// Anna's tokens, by her password.
    pub(crate) async fn annas_tokens(&self) -> Value {
        let scope = format!("{ARM}/.default offline_access openid profile");
        let reply = self
            .token(&[
                ("grant_type", "password"),
                ("client_id", AZ),
                ("username", ANNA),
                ("password", PASSWORD),
                ("scope", &scope),
                ("client_info", "1"),
            ])
            .await;
        reply.ok()
    }
}

async fn client(
    identity: &Identity,
    database: &Database,
    name: &'static str,
    now: Timestamp,
) -> (PrincipalRow, Uuid, String) {
    let maker = identity.clone();
    let created = database
        .write_access(move |c| {
            Box::pin(async move {
                let secret = NewSecret { display_name: None, starts_at: None, ends: SecretEnd::Never, chosen: None };
                let new =
                    NewClient { tenant_id: TENANT, display_name: name.into(), app_id: None, secret: Some(secret), now };
                maker.create_client(c, new).await
            })
        })
        .await
        .unwrap();
    let (_, secret) = created.secret.unwrap();
    (created.principal, created.application.id.0, secret.expose_secret().to_owned())
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) note: AccessNote,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    /// The body of an answer that is no error.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    /// Status, OAuth's word and Entra's code of an answer that is an error.
    pub(crate) fn error(&self) -> (u16, String, u64) {
        let body = self.json();
        let word = body["error"].as_str().unwrap_or_default().to_owned();
        let code = body["error_codes"][0].as_u64().unwrap_or(0);
        assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{code}: ")), "{body}");
        (self.status.as_u16(), word, code)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of a hidden field of a page.
    pub(crate) fn field(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let start = self.text.find(&marker).unwrap_or_else(|| panic!("no field {name}: {} {}", self.status, self.text));
        let rest = &self.text[start + marker.len()..];
        rest[..rest.find('"').unwrap()].replace("&#38;", "&").replace("&amp;", "&")
    }

    /// The parameters of the address that the browser is sent to.
    pub(crate) fn redirected(&self) -> (String, BTreeMap<String, String>) {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        let location = self.header("location");
        let (address, rest) = location.split_once(['?', '#']).unwrap_or((location, ""));
        let parameters = form_urlencoded::parse(rest.as_bytes()).into_owned().collect();
        (address.to_owned(), parameters)
    }
}

/// A browser, with its cookies.
pub(crate) struct Browser<'a> {
    installation: &'a Installation,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub(crate) fn of(installation: &'a Installation) -> Self {
        Self { installation, cookies: Mutex::default() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, "").await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(Method::POST, path, &encode(fields)).await
    }

    /// Gives Anna's password on a page that asks for it.
    pub(crate) async fn give_password(&self, page: &Reply) -> Reply {
        let flow = page.field("flow");
        self.post("/login/password", &[("flow", &flow), ("username", ANNA), ("password", PASSWORD)]).await
    }

    async fn send(&self, method: Method, path: &str, form: &str) -> Reply {
        let cookie = {
            let cookies = self.cookies.lock().unwrap();
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
        };
        let reply = self.installation.send(method, path, form, &[("cookie", &cookie)]).await;
        for set in reply.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            assert!(set.contains("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
            let (name, rest) = set.split_once('=').unwrap();
            assert!(name.starts_with("__Host-"), "{set}");
            let value = rest.split(';').next().unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if set.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }
}

pub(crate) fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What a token claims. Its signature is not looked at.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL.decode(payload).unwrap()).unwrap()
}
