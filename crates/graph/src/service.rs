//! The door: from a request to its answer.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;
use wharf_identity::{AuthError, Identity, Principal};
use wharf_metadata::Database;
use wharf_model::{AccessNote, Clock, LoginServers, RequestContext};

use crate::call::{Answer, Call, read_body};
use crate::credentials::date;
use crate::error::{Code, GraphError};
use crate::path::Route;
use crate::query::Query;

/// Microsoft Graph, as much of it as there is. Clones share everything.
#[derive(Clone)]
pub struct Graph(Arc<Plane>);

struct Plane {
    identity: Identity,
    database: Database,
    clock: Arc<dyn Clock>,
    login_servers: Arc<LoginServers>,
}

impl Graph {
    /// A handle on the directory of this installation.
    #[must_use]
    pub fn new(
        identity: Identity,
        database: Database,
        clock: Arc<dyn Clock>,
        login_servers: Arc<LoginServers>,
    ) -> Self {
        Self(Arc::new(Plane { identity, database, clock, login_servers }))
    }

    /// Answers a request whose path begins with `/graph` or, on a host of Graph's own, with the version. An
    /// [`AccessNote`] lies in the extensions of every response.
    pub async fn serve(&self, context: RequestContext, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let mut note = AccessNote::of("graph.unknown");
        let outcome = Box::pin(self.answer(&context, &parts, body, &mut note)).await;
        let mut response = match outcome {
            Ok(answer) => respond(answer),
            Err(error) => {
                error.log(context.request_id, note.route);
                self.refuse(&context, &parts.headers, &error)
            }
        };
        add_common_headers(response.headers_mut(), &context, &parts.headers);
        if parts.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response.extensions_mut().insert(note);
        response
    }

    async fn answer(
        &self,
        context: &RequestContext,
        parts: &http::request::Parts,
        body: Body,
        note: &mut AccessNote,
    ) -> Result<Answer, GraphError> {
        let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let route = Route::parse(method, parts.uri.path());
        if let Ok(route) = &route {
            note.route = route.name();
        }
        // Who has no token learns nothing, not even which paths there are.
        let caller = self.admit(context, &parts.headers).await?;
        note.caller = Some(caller.account().into());
        let route = route?;
        let path = parts.uri.path();
        let path = path.strip_prefix("/graph").filter(|rest| rest.starts_with('/')).unwrap_or(path).trim_matches('/');
        let (version, path) = path.split_once('/').unwrap_or((path, ""));
        let call = Call {
            identity: self.0.identity.clone(),
            database: self.0.database.clone(),
            clock: self.0.clock.clone(),
            caller,
            client: context.client,
            base: format!("{}/{}", context.endpoints.graph, version.to_ascii_lowercase()),
            query: Query::parse(parts.uri.query().unwrap_or_default())?,
        };
        run(&call, route, body, path).await
    }

    /// Finds out who calls, by a token for Graph.
    async fn admit(&self, context: &RequestContext, headers: &HeaderMap) -> Result<Arc<Principal>, GraphError> {
        let refuse = |text: &str| GraphError::new(Code::InvalidAuthenticationToken, text);
        let value = headers.get(header::AUTHORIZATION).ok_or_else(|| refuse("Access token is empty."))?;
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .ok_or_else(|| refuse("Access token is malformed."))?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(refuse("Access token is malformed."));
        }
        let verified = match self.0.identity.verify_principal_token(token.trim()).await {
            Ok(verified) => verified,
            Err(AuthError::Unavailable(error)) => return Err(error.into()),
            Err(AuthError::InvalidToken(problem)) => {
                return Err(refuse(&format!("Access token validation failure: {problem}.")));
            }
            Err(AuthError::BadCredentials | AuthError::Throttled(_)) => {
                return Err(refuse("Access token validation failure."));
            }
        };
        if !self.is_audience(context, &verified.audience) {
            return Err(refuse("Access token validation failure. Invalid audience."));
        }
        Ok(verified.principal.clone())
    }

    /// Whether a token for this audience is for us: by the host that the request came to, if that is certain to be ours, by
    /// the host of the domain, or by the names that SDKs use when nobody told them another.
    fn is_audience(&self, context: &RequestContext, audience: &str) -> bool {
        let audience = audience.trim_end_matches('/');
        let of_domain = format!("https://management.{}/graph", self.0.login_servers.suffix());
        let of_host = context.endpoints.graph.as_str();
        let of_host = self.0.login_servers.is_own(of_host).then_some(of_host);
        of_host.into_iter().chain([of_domain.as_str()]).chain(AZURE).any(|ours| ours.eq_ignore_ascii_case(audience))
    }

    fn refuse(&self, context: &RequestContext, headers: &HeaderMap, error: &GraphError) -> Response<Body> {
        let id = context.request_id.to_string();
        let client_id = headers.get(CLIENT_REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or(&id);
        let body = json!({"error": {
            "code": error.word(),
            "message": error.message(),
            "innerError": {"date": date(self.0.clock.now()), "request-id": id, "client-request-id": client_id},
        }});
        let mut response = respond(Answer::Json(error.status(), body));
        if let Some(seconds) = error.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if error.code() == Code::InvalidAuthenticationToken {
            let text = format!(
                "Bearer authorization_uri=\"{}/organizations\", error=\"invalid_token\"",
                context.endpoints.login
            );
            let value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"));
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// Does what a route asks for. `path` is the request's, behind the version.
async fn run(call: &Call, route: Route, body: Body, path: &str) -> Result<Answer, GraphError> {
    match route {
        Route::List(collection) => call.list_objects(collection).await,
        Route::Count(collection) => call.count_objects(collection).await,
        Route::Get(collection, key) => {
            let row = call.get(collection, &key).await?;
            let kind = row.collection();
            let object = call.render_one(row).await?;
            Ok(call.object(kind.word(), call.select(kind, object)))
        }
        Route::Create(collection) => call.create(collection, read_body(body).await?).await,
        Route::Update(collection, key) => {
            let row = call.get(collection, &key).await?;
            call.update(row, read_body(body).await?).await
        }
        Route::Delete(collection, key) => call.delete(call.get(collection, &key).await?).await,
        Route::ListLinked { of, key, link, only, ids_only } => {
            call.list_linked(call.get(of, &key).await?, link, only, ids_only, path).await
        }
        Route::AddLinked { of, key, link } => {
            let row = call.get(of, &key).await?;
            call.add_linked(row, link, &read_body(body).await?).await
        }
        Route::RemoveLinked { of, key, link, id } => call.remove_linked(call.get(of, &key).await?, link, &id).await,
        Route::AddPassword(collection, key) => {
            let row = call.get(collection, &key).await?;
            call.add_password(row, &read_body(body).await?).await
        }
        Route::RemovePassword(collection, key) => {
            let row = call.get(collection, &key).await?;
            call.remove_password(row, &read_body(body).await?).await
        }
        Route::GetMemberGroups(collection, key) => call.member_groups(call.get(collection, &key).await?).await,
        Route::CheckMemberGroups(collection, key) => {
            let row = call.get(collection, &key).await?;
            call.check_member_groups(row, &read_body(body).await?).await
        }
        Route::GetByIds => call.get_by_ids(&read_body(body).await?).await,
        Route::ChangePassword(key) => {
            let row = call.get(crate::path::Collection::Users, &key).await?;
            call.change_password(row, &read_body(body).await?).await
        }
    }
}

fn respond(answer: Answer) -> Response<Body> {
    let (status, kind, text) = match answer {
        Answer::Json(status, body) => (status, JSON, body.to_string()),
        Answer::Text(text) => (StatusCode::OK, TEXT, text),
        Answer::Nothing => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::from(text);
    response
}

/// Adds the headers of every answer.
fn add_common_headers(headers: &mut HeaderMap, context: &RequestContext, sent: &HeaderMap) {
    let id = HeaderValue::try_from(context.request_id.to_string()).unwrap_or(HeaderValue::from_static("-"));
    let is_id = |value: &&HeaderValue| value.len() <= 128 && value.as_bytes().iter().all(u8::is_ascii_graphic);
    let client_id = sent.get(CLIENT_REQUEST_ID).filter(is_id).unwrap_or(&id).clone();
    headers.insert(REQUEST_ID, id);
    headers.insert(CLIENT_REQUEST_ID, client_id);
    headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
    headers.insert(header::SERVER, HeaderValue::from_static("Wharf"));
    // Answers name secrets, once.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").finish_non_exhaustive()
    }
}

/// What Azure's own Graph is called, by its addresses and by its application id.
const AZURE: [&str; 2] = ["https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"];
const JSON: HeaderValue = HeaderValue::from_static(
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
