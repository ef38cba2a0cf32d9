//! Pages for people: signing in, for a program on the same machine or for a device elsewhere.
//!
//! ```text
//! …/oauth2/authorize ─┐                          ┌─► password ─► (change-password) ─┐
//!                     ├─► signed in already? no ─┤                                  ├─► back to the program, with a code
//! /login/device ──────┘          yes │           └─► external ─► callback ──────────┤
//!                                    └─► continue as …, or another account ─────────┴─► let this device sign in? answer
//! ```
//!
//! An application that somebody registered gets its code only after one more page, which asks whether it may act for whoever
//! is signed in.
//!
//! What a page is for travels in its forms, sealed (`flow`): it cannot be changed, it ends, and it is good only in the
//! browser that the page was made for, which is known by a cookie. So no page elsewhere can send a form in somebody's name.

mod authorize;
mod browser;
mod consent;
mod device;
mod external;
mod flow;
mod html;
mod sign_in;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

use crate::answer;
use crate::authority::AuthorityPath;
use crate::error::OAuthError;
use crate::form::Form;
use crate::route::Page;
use crate::router::Call;

/// What comes of a request for a page: the page, and who is signed in.
type Shown = Result<(Response<Body>, Option<String>), OAuthError>;

/// `…/oauth2/authorize`.
pub(crate) async fn authorize(call: &Call<'_>, at: &AuthorityPath, form: &Form) -> Shown {
    authorize::begin(call, at, form).await
}

/// A page below `/login`.
pub(crate) async fn answer(call: &Call<'_>, page: Page, form: &Form) -> Shown {
    let is_post = call.parts.method == http::Method::POST;
    match page {
        Page::Style => Ok((style(), None)),
        Page::Device if is_post => device::enter(call, form).await,
        Page::Device => device::show(call, form).await,
        Page::DeviceAnswer => device::answer(call, form).await,
        Page::Password => sign_in::password(call, form).await,
        Page::ChangePassword => sign_in::change_password(call, form).await,
        Page::Consent => consent::answer(call, form).await,
        Page::Continue => sign_in::go_on(call, form).await,
        Page::External => external::begin(call, form).await,
        Page::ExternalCallback => external::finish(call, form).await,
    }
}

/// Forgets who signed in in this browser. The way back that a client may name is not taken: nobody is to be sent anywhere.
pub(crate) fn sign_out(call: &Call<'_>) -> Response<Body> {
    let page = html::message("You are signed out", "You can close this page.", None);
    let mut response = answer::page(StatusCode::OK, page, &[]);
    browser::forget_session(call, &mut response);
    response
}

/// A page that tells what is wrong.
pub(crate) fn error(call: &Call<'_>, error: &OAuthError) -> Response<Body> {
    let detail = format!("AADSTS{} · request {}", error.code, call.context.request_id);
    answer::page(error.status, html::message("That did not work", &error.message, Some(&detail)), &[])
}

/// The style of all pages.
pub(crate) fn style() -> Response<Body> {
    let mut response = Response::new(Body::from(include_str!("../templates/style.css")));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}
