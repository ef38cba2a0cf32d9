//! From a request to its answer.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tracing::error;
use uuid::Uuid;
use wharf_identity::Identity;
use wharf_model::{AccessNote, RequestContext, error_chain};

use crate::authority::{AuthorityPath, Place};
use crate::error::OAuthError;
use crate::form::Form;
use crate::route::{Page, Route, RouteError};
use crate::{answer, device, discovery, managed, pages, token};

/// The token service and its pages. Clones share everything.
#[derive(Clone)]
pub struct Login {
    identity: Identity,
    domain: Arc<str>,
}

/// What a handler knows of the request, its body apart.
pub(crate) struct Call<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) domain: &'a str,
    pub(crate) context: &'a RequestContext,
    pub(crate) parts: &'a Parts,
}

/// What comes of a request: the answer, and who it was for.
struct Outcome {
    response: Response<Body>,
    caller: Option<String>,
}

impl Login {
    /// Puts `identity` behind HTTP. `domain` is what the installation's own hosts are under: a host that a request names may
    /// be anything, and what a client signed for another host must not do here.
    #[must_use]
    pub fn new(identity: Identity, domain: impl Into<Arc<str>>) -> Self {
        Self { identity, domain: domain.into() }
    }

    /// Answers a request. Paths that lead nowhere are answered by 404.
    ///
    /// An [`AccessNote`] lies in the extensions of every response.
    pub async fn serve(&self, context: RequestContext, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let call = Call { identity: &self.identity, domain: &self.domain, context: &context, parts: &parts };
        let route = Route::parse(&parts.method, parts.uri.path());
        let name = route.as_ref().map_or("login.unknown", Route::name);
        // Boxed, since the longest of the ways is far longer than the others.
        let (mut response, caller) = match Box::pin(call.answer(route, body)).await {
            Ok(Outcome { response, caller }) => (response, caller),
            Err(response) => (response, None),
        };
        let correlation = parts.headers.get(answer::CLIENT_REQUEST_ID);
        answer::add_common_headers(response.headers_mut(), context.request_id, correlation);
        if parts.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        let note = AccessNote { route: name, caller: caller.map(Arc::from) };
        response.extensions_mut().insert(note);
        response
    }
}

impl Call<'_> {
    /// The answer, or one that is an error.
    async fn answer(&self, route: Result<Route, RouteError>, body: Body) -> Result<Outcome, Response<Body>> {
        let route = route.map_err(|error| self.no_route(&error))?;
        let for_people = route.is_for_people();
        match self.dispatch(route, body).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                self.log(&error);
                Err(if for_people { pages::error(self, &error) } else { self.error(&error) })
            }
        }
    }

    async fn dispatch(&self, route: Route, body: Body) -> Result<Outcome, OAuthError> {
        let response = match route {
            Route::Configuration(at) => discovery::configuration(self, &at).await?,
            Route::Keys => discovery::keys(self).await?,
            Route::InstanceDiscovery => discovery::instance(self).await?,
            Route::UserRealm => discovery::user_realm(),
            Route::DeviceCode(at) => device::start(self, &at, &Form::read(body).await?).await?,
            Route::Token(at) => {
                let form = Form::read(body).await?;
                let (response, caller) = token::answer(self, &at, &form, &self.parts.headers).await?;
                return Ok(Outcome { response, caller: Some(caller) });
            }
            Route::ManagedIdentityHeader | Route::ManagedIdentityAddress => {
                let form = self.parameters(body).await?;
                let handed = if route == Route::ManagedIdentityHeader {
                    managed::by_header(self, &form, &self.parts.headers).await
                } else {
                    managed::by_address(self, &form, &self.parts.headers).await
                };
                if let Some(cause) = handed.cause {
                    self.log(&cause.into());
                }
                return Ok(Outcome { response: handed.response, caller: handed.caller });
            }
            Route::Authorize(at) => {
                let form = self.parameters(body).await?;
                let (response, caller) = pages::authorize(self, &at, &form).await?;
                return Ok(Outcome { response, caller });
            }
            Route::SignOut => pages::sign_out(self),
            Route::Page(Page::Style) => pages::style(),
            Route::Page(page) => {
                let form = self.parameters(body).await?;
                let (response, caller) = pages::answer(self, page, &form).await?;
                return Ok(Outcome { response, caller });
            }
        };
        Ok(Outcome { response, caller: None })
    }

    /// The parameters of the form that was posted, or of the query.
    async fn parameters(&self, body: Body) -> Result<Form, OAuthError> {
        let query = Form::parse(self.query().as_bytes());
        if self.parts.method == Method::POST { Ok(Form::read(body).await?.or(query)) } else { Ok(query) }
    }

    /// Whether the client is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.context.client.address.to_canonical().is_loopback()
    }

    pub(crate) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The authority that a path names, if there is such a tenant.
    pub(crate) async fn place(&self, at: &AuthorityPath) -> Result<Place, OAuthError> {
        let tenant = self.identity.tenant().await?;
        at.place(&self.context.endpoints.login, &tenant).ok_or_else(|| OAuthError::unknown_tenant(at.tenant_name()))
    }

    /// What the client calls the request; else what we do.
    fn correlation(&self) -> Uuid {
        let sent = self.parts.headers.get(answer::CLIENT_REQUEST_ID).and_then(|value| value.to_str().ok());
        sent.and_then(|text| text.parse().ok()).unwrap_or(self.context.request_id)
    }

    pub(crate) fn error(&self, error: &OAuthError) -> Response<Body> {
        answer::error(error, self.context.request_id, self.correlation(), self.identity.now())
    }

    fn no_route(&self, error: &RouteError) -> Response<Body> {
        match error {
            RouteError::Unknown => {
                let message = "There is nothing at this address.";
                self.error(&OAuthError::new(StatusCode::NOT_FOUND, "not_found", 90_019, message))
            }
            RouteError::Method(allowed) => {
                let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
                let message =
                    format!("The endpoint only accepts {allowed} requests. Received a {} request.", self.parts.method);
                let error = OAuthError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", 900_561, message);
                let mut response = self.error(&error);
                if let Ok(value) = HeaderValue::from_str(&allowed) {
                    response.headers_mut().insert(header::ALLOW, value);
                }
                response
            }
        }
    }

    /// Tells the log, if this is something that the operator must know.
    fn log(&self, error: &OAuthError) {
        if let Some(cause) = &error.cause {
            error!(request_id = %self.context.request_id, status = error.status.as_u16(), "Request failed: {}", error_chain(cause));
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}
