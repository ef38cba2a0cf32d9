//! Signing in with a password, changing one that was given, and going on as whoever is signed in.

use axum::body::Body;
use http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use wharf_identity::SignInError;
use wharf_identity::directory::ChangePasswordError;
use wharf_identity::oidc::Authentication;

use super::Shown;
use super::browser;
use super::flow::Flow;
use super::html::{self, IssuerLink};
use crate::answer;
use crate::error::{OAuthError, of_password};
use crate::form::Form;
use crate::router::Call;

/// The page with the forms.
pub(super) async fn page(
    call: &Call<'_>,
    flow: &Flow,
    user_name: &str,
    problem: Option<&str>,
    status: StatusCode,
) -> Result<Response<Body>, OAuthError> {
    let sealed = flow.seal(call);
    let issuers = call.identity.external_issuers().await?;
    let link =
        |name: &str| format!("/login/external?issuer={}&flow={sealed}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let page = html::SignIn {
        flow: &sealed,
        purpose: flow.sentence(),
        problem,
        user_name,
        issuers: issuers
            .into_iter()
            .map(|issuer| IssuerLink { href: link(&issuer.name), name: issuer.display_name })
            .collect(),
    };
    Ok(answer::page(status, html::render(&page), &flow.form_targets()))
}

/// The page for somebody who is signed in already.
pub(super) fn account_page(call: &Call<'_>, flow: &Flow, session: &Authentication) -> Response<Body> {
    let sealed = flow.seal(call);
    let page = html::Account { flow: &sealed, purpose: flow.sentence(), user_name: &session.principal.name };
    answer::page(StatusCode::OK, html::render(&page), &flow.form_targets())
}

/// `/login/password`: the form with user name and password.
pub(super) async fn password(call: &Call<'_>, form: &Form) -> Shown {
    let flow = Flow::of(call, form)?;
    let (user_name, password) = (form.get("username").unwrap_or_default(), form.get("password").unwrap_or_default());
    let user_name = user_name.trim();
    match call.identity.check_user_password(user_name, password, Some(call.context.client)).await {
        Ok(signed_in) => {
            let authentication = call.identity.authenticated_now(signed_in.principal, signed_in.generation);
            signed_in_as(call, &flow, &authentication).await
        }
        Err(SignInError::PasswordChangeRequired) => {
            Ok((change_page(call, &flow, user_name, None, StatusCode::OK), None))
        }
        Err(error) => {
            let error = of_password(error);
            if error.cause.is_some() {
                return Err(error);
            }
            Ok((page(call, &flow, user_name, Some(&error.message), status_of(&error)).await?, None))
        }
    }
}

/// `/login/change-password`: the form with the present password and a new one.
pub(super) async fn change_password(call: &Call<'_>, form: &Form) -> Shown {
    let flow = Flow::of(call, form)?;
    let field = |name| form.get(name).unwrap_or_default();
    let (user_name, present, new) = (field("username"), field("password"), field("new"));
    let again = |problem: &str, status| Ok((change_page(call, &flow, user_name, Some(problem), status), None));
    if new != field("again") {
        return again("The new passwords differ.", StatusCode::BAD_REQUEST);
    }
    let changed = call.identity.change_user_password(user_name, present, &new.into(), Some(call.context.client)).await;
    match changed {
        Ok(signed_in) => {
            let authentication = call.identity.authenticated_now(signed_in.principal, signed_in.generation);
            signed_in_as(call, &flow, &authentication).await
        }
        Err(ChangePasswordError::SignIn(error)) => {
            let error = of_password(error);
            if error.cause.is_some() {
                return Err(error);
            }
            again(&error.message, status_of(&error))
        }
        Err(ChangePasswordError::Refused(wharf_identity::DirectoryError::Unavailable(error))) => Err(error.into()),
        Err(ChangePasswordError::Refused(error)) => {
            let told = error.to_string();
            let mut letters = told.chars();
            let sentence: String =
                letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).chain(['.']).collect();
            again(&sentence, StatusCode::BAD_REQUEST)
        }
    }
}

/// `/login/continue`: as whoever is signed in, or as somebody else.
pub(super) async fn go_on(call: &Call<'_>, form: &Form) -> Shown {
    let flow = Flow::of(call, form)?;
    let session = browser::session(call).await?;
    let needs_credentials = flow.wanted().is_some_and(|wanted| wanted.needs_credentials);
    match session {
        Some(session) if form.get("account") == Some("same") && !needs_credentials => {
            flow.complete(call, &session).await
        }
        _ => Ok((page(call, &flow, "", None, StatusCode::OK).await?, None)),
    }
}

/// Goes on as somebody who has just given their credentials.
pub(super) async fn signed_in_as(call: &Call<'_>, flow: &Flow, authentication: &Authentication) -> Shown {
    let (mut response, caller) = flow.complete(call, authentication).await?;
    browser::remember_session(call, &mut response, authentication);
    Ok((response, caller))
}

fn change_page(
    call: &Call<'_>,
    flow: &Flow,
    user_name: &str,
    problem: Option<&str>,
    status: StatusCode,
) -> Response<Body> {
    let sealed = flow.seal(call);
    let page = html::ChangePassword { flow: &sealed, user_name, problem };
    answer::page(status, html::render(&page), &flow.form_targets())
}

/// The status of a page that asks again. Not 401: there is no scheme that a browser could answer it by.
fn status_of(error: &OAuthError) -> StatusCode {
    if error.status == StatusCode::UNAUTHORIZED { StatusCode::BAD_REQUEST } else { error.status }
}
