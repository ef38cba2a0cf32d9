//! `/login/consent`: whether an application that somebody registered may act for whoever is signed in.
//!
//! It is asked each time, for one resource, and nothing is remembered: a code is worth as much as its owner, and whoever
//! registers an application chooses its name and where its codes go.

use axum::body::Body;
use http::{Response, StatusCode};
use wharf_identity::oidc::Authentication;

use super::flow::{Authorize, Flow, Purpose, redirect_uri_mismatch};
use super::{Shown, browser, html, sign_in};
use crate::answer;
use crate::clients::SignInClient;
use crate::error::OAuthError;
use crate::form::Form;
use crate::redirect;
use crate::router::Call;
use crate::scope::Wanted;

/// Asks.
pub(super) fn page(
    call: &Call<'_>,
    flow: &Flow,
    wanted: &Authorize,
    authentication: &Authentication,
) -> Result<Response<Body>, OAuthError> {
    let approver = authentication.principal.id;
    let flow = flow.with(Purpose::Consent { wanted: Box::new(wanted.clone()), approver });
    let asked = Wanted::parse(&wanted.scope, None)?;
    let host = redirect::origin_of(&wanted.redirect_uri);
    let sealed = flow.seal(call);
    let page = html::Consent {
        flow: &sealed,
        client: &wanted.client_name,
        client_id: &wanted.client_id,
        host: host.as_deref().unwrap_or(&wanted.redirect_uri),
        resource: asked.audience.as_deref().unwrap_or(&call.context.endpoints.graph),
        is_lasting: asked.offline,
        user_name: &authentication.principal.name,
    };
    Ok(answer::page(StatusCode::OK, html::render(&page), &flow.form_targets()))
}

/// Takes the answer, of whoever was asked.
pub(super) async fn answer(call: &Call<'_>, form: &Form) -> Shown {
    let flow = Flow::of(call, form)?;
    let Purpose::Consent { wanted, approver } = &flow.purpose else {
        return Err(OAuthError::invalid_request(90_014, "This form belongs to another page."));
    };
    let session = browser::session(call).await?.filter(|session| session.principal.id == *approver);
    let Some(session) = session else {
        return Ok((sign_in::page(call, &flow, "", None, StatusCode::OK).await?, None));
    };
    let client = SignInClient::find(call.identity, &wanted.client_id).await?;
    let client = client.ok_or_else(|| OAuthError::unknown_client(&wanted.client_id))?;
    redirect::kind_of(&client, &wanted.redirect_uri).ok_or_else(|| redirect_uri_mismatch(&wanted.redirect_uri))?;
    let response = match form.get("answer") {
        Some("approve") => wanted.give_code(call, &session).await?,
        Some("decline") => {
            let error = OAuthError::invalid_request(65_004, "The user declined to consent to access the app.");
            wanted.refuse(&error.with_word("access_denied"))?
        }
        _ => return Err(OAuthError::missing("answer")),
    };
    Ok((response, Some(session.principal.name.clone())))
}
