//! From a request to whoever answers it, and from the answer to the response.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use wharf_arm::versions::{self, Versions};
use wharf_arm::{ArmError, Code};
use wharf_model::{AccessNote, RequestContext};

use crate::answer::Answer;
use crate::body;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::Verb;
use crate::management::Management;
use crate::query::Query;
use crate::resources::{Called, Conditions, ListPage, PageQuery, next_link};
use crate::response;
use crate::route::Route;
use crate::service::Call;
use crate::{metadata_document, openapi, providers, subscriptions};

/// What is known of a request while it is answered.
struct Exchange {
    note: AccessNote,
    versions: Option<Versions>,
}

impl Management {
    /// Answers a request to the management host. An [`AccessNote`] lies in the extensions of every response.
    pub async fn serve(&self, context: RequestContext, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let mut exchange = Exchange { note: AccessNote::of("management.unknown"), versions: None };
        let outcome = Box::pin(self.answer(&context, &parts, body, &mut exchange)).await;
        let mut response = match outcome {
            Ok(answer) => response::of_answer(&context, answer),
            Err(failure) => {
                failure.log(context.request_id, exchange.note.route);
                let tenant = self.tenant_id().await.ok();
                response::of_failure(&context, tenant, &failure)
            }
        };
        if parts.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response::add_common_headers(
            response.headers_mut(),
            &context,
            &parts.method,
            &parts.headers,
            exchange.versions,
        );
        response.extensions_mut().insert(exchange.note);
        response
    }

    async fn answer(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: Body,
        exchange: &mut Exchange,
    ) -> Result<Answer, Failure> {
        let method = &parts.method;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let route = Route::parse(self.catalogue(), parts.uri.path());
        if let Ok(route) = &route {
            exchange.note.route = name(route, method);
            exchange.versions = route.type_path().and_then(|_| route.versions());
        }
        // These are for everybody, before they sign in.
        match &route {
            Ok(Route::Metadata) => {
                only(method, &[Method::GET])?;
                return metadata_document::get(self, context, &query);
            }
            Ok(Route::OpenApi) => {
                only(method, &[Method::GET])?;
                return Ok(Answer::ok(openapi::document(self.catalogue(), &context.endpoints.management)));
            }
            _ => {}
        }
        let actor = self.admit(context, &parts.headers).await?;
        exchange.note.caller = Some(actor.name().into());
        let route = route?;
        let api_version = check_version(&route, &query)?;
        if let Some(subscription) = route.subscription() {
            self.require_subscription(subscription).await?;
        }
        let cx = Cx { api_version, request: Some(context.clone()), ..self.cx(actor) };
        let request = Asked { context, parts, query };
        Box::pin(self.dispatch(&cx, route, request, body)).await
    }

    async fn dispatch(&self, cx: &Cx, route: Route, asked: Asked<'_>, body: Body) -> Result<Answer, Failure> {
        let method = &asked.parts.method;
        let conditions = || Conditions::of(&asked.parts.headers);
        match route {
            Route::Metadata | Route::OpenApi => Err(ArmError::internal().into()),
            Route::Tenants => {
                only(method, &[Method::GET])?;
                subscriptions::list_tenants(cx).await
            }
            Route::Subscriptions => {
                only(method, &[Method::GET])?;
                subscriptions::list(cx).await
            }
            Route::Subscription(id) => {
                only(method, &[Method::GET])?;
                subscriptions::get(cx, &id).await
            }
            Route::Locations(id) => {
                only(method, &[Method::GET])?;
                subscriptions::list_locations(cx, &id).await
            }
            Route::Resources(scope) => {
                only(method, &[Method::GET])?;
                let page = PageQuery::of(&asked.query)?;
                let listed = self.list_everything(cx, &scope, &asked.query, &page).await?;
                Ok(asked.page(listed))
            }
            Route::Providers(scope) => {
                only(method, &[Method::GET])?;
                Ok(providers::list(self.catalogue(), &scope))
            }
            Route::Provider(scope, namespace) => {
                only(method, &[Method::GET])?;
                Ok(providers::get(self.catalogue(), &scope, namespace))
            }
            Route::Register(scope, namespace) => {
                only(method, &[Method::POST])?;
                Ok(providers::get(self.catalogue(), &scope, namespace))
            }
            Route::Operations(namespace) => {
                only(method, &[Method::GET])?;
                Ok(providers::list_operations(self.catalogue(), namespace))
            }
            Route::Operation(id, polled) => {
                only(method, &[Method::GET])?;
                self.poll(id, polled).await
            }
            Route::Collection(entry, scope) => {
                only(method, &[Method::GET])?;
                let page = PageQuery::of(&asked.query)?;
                let listed = self.list_resources(cx, &entry, &scope, &asked.query, &page).await?;
                Ok(asked.page(listed))
            }
            Route::Item(entry, id) => match *method {
                Method::GET => self.read_resource(cx, &entry, &id).await,
                Method::HEAD => {
                    self.read_resource(cx, &entry, &id).await?;
                    Ok(Answer::no_content())
                }
                Method::PUT => {
                    let body = asked.json(body).await?;
                    self.write_resource(cx, &entry, &id, Verb::Put, body, conditions()).await
                }
                Method::PATCH if entry.about.patch => {
                    let body = asked.json(body).await?;
                    self.write_resource(cx, &entry, &id, Verb::Patch, body, conditions()).await
                }
                Method::DELETE => self.delete_resource(cx, &entry, &id, conditions()).await,
                _ => {
                    let patch = entry.about.patch.then_some(&Method::PATCH);
                    let allowed = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE];
                    Err(Failure::method(method, allowed.iter().chain(patch)))
                }
            },
            Route::Action(entry, action, id, tail) => {
                only(method, std::slice::from_ref(&action.method))?;
                let body = asked.json(body).await?;
                let called = Called { tail, body, query: asked.query };
                self.act_on_resource(cx, &entry, action, &id, called).await
            }
            Route::Service(entry, scope, rest) => {
                if *method != Method::HEAD && !entry.methods().any(|has| has == method) {
                    return Err(Failure::method(method, entry.methods()));
                }
                let most = entry.service.most_body_bytes();
                let body = read_body(body, most).await?;
                let word = entry.about.word;
                let call = Call { method: method.clone(), scope, word, rest, query: asked.query, body };
                entry.service.serve(cx, call).await
            }
        }
    }
}

/// What a request holds beside its body.
struct Asked<'a> {
    context: &'a RequestContext,
    parts: &'a Parts,
    query: Query,
}

impl Asked<'_> {
    fn page(&self, page: ListPage) -> Answer {
        let mut answer = Answer::list(page.items);
        if let (Some(after), Some(serde_json::Value::Object(body))) = (page.next, &mut answer.body) {
            let link = next_link(self.context, self.parts.uri.path(), &self.query, &after);
            body.insert("nextLink".to_owned(), link.into());
        }
        answer
    }

    async fn json(&self, body: Body) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
        Ok(body::parse(&read_body(body, body::MOST_BYTES).await?)?)
    }
}

/// The api-version that is asked for, if it is one that what is asked for has.
fn check_version(route: &Route, query: &Query) -> Result<String, ArmError> {
    let asked = query.get("api-version").unwrap_or_default().trim();
    if asked.is_empty() {
        let text = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(ArmError::new(Code::MissingApiVersionParameter, text));
    }
    let Some(versions) = route.versions() else { return Ok(asked.to_owned()) };
    if let Some(version) = versions.find(asked) {
        return Ok(version);
    }
    let shown: String = asked.chars().take(40).collect();
    let listed = versions.listed.join(", ");
    Err(match route.type_path() {
        Some(kind) if versions::is_version(&asked.to_ascii_lowercase()) => {
            let text = format!(
                "No registered resource provider found for API version '{shown}' for type '{kind}'. The supported api-versions are \
                 '{listed}'."
            );
            ArmError::new(Code::NoRegisteredProviderFound, text)
        }
        _ => {
            let text = format!("The api-version '{shown}' is invalid. The supported versions are '{listed}'.");
            ArmError::new(Code::InvalidApiVersionParameter, text)
        }
    })
}

fn only(method: &Method, allowed: &[Method]) -> Result<(), Failure> {
    let is_head = *method == Method::HEAD && allowed.contains(&Method::GET);
    if is_head || allowed.contains(method) { Ok(()) } else { Err(Failure::method(method, allowed)) }
}

/// Reads a body whole. It has to come within a time, so that nobody holds memory by sending a byte now and then.
async fn read_body(body: Body, most: usize) -> Result<Bytes, Failure> {
    let reading = tokio::time::timeout(BODY_TIME, Limited::new(body, most).collect());
    let Ok(read) = reading.await else {
        return Err(ArmError::new(Code::RequestTimeout, "The body did not come in time; send it again.").into());
    };
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let text = format!("The body is longer than {most} bytes.");
            Err(ArmError::new(Code::RequestContentTooLarge, text).into())
        }
        Err(_) => Err(ArmError::new(Code::InvalidRequestContent, "The body broke off.").into()),
    }
}

/// What a request is called in logs and metrics.
fn name(route: &Route, method: &Method) -> &'static str {
    match route {
        Route::Metadata => "management.metadata",
        Route::OpenApi => "management.openapi",
        Route::Tenants => "management.tenants.list",
        Route::Subscriptions => "management.subscriptions.list",
        Route::Subscription(_) => "management.subscriptions.get",
        Route::Locations(_) => "management.locations.list",
        Route::Resources(_) => "management.resources.list",
        Route::Providers(_) => "management.providers.list",
        Route::Provider(..) => "management.providers.get",
        Route::Register(..) => "management.providers.register",
        Route::Operations(_) => "management.operations.list",
        Route::Operation(..) => "management.operations.poll",
        Route::Collection(entry, _) => entry.route("list"),
        Route::Action(entry, action, ..) => entry.route(action.name),
        Route::Service(entry, ..) => entry.route(),
        Route::Item(entry, _) => entry.route(match *method {
            Method::GET | Method::HEAD => "get",
            Method::PUT => "put",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "other",
        }),
    }
}

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(60);
