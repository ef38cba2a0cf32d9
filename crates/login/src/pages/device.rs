//! `/login/device`: somebody types the code that a device shows, signs in, and lets it sign in as them. Source: RFC 8628,
//! section 3.3.

use axum::body::Body;
use http::{Response, StatusCode};
use wharf_identity::oidc::{Authentication, DeviceRequest};
use wharf_model::PrincipalKind;

use super::browser::{self, Browser};
use super::flow::{Flow, Purpose};
use super::{Shown, html, sign_in};
use crate::answer;
use crate::clients::SignInClient;
use crate::error::OAuthError;
use crate::form::Form;
use crate::router::Call;
use crate::scope::Wanted;

/// The page with the form for the code.
pub(super) fn page(
    call: &Call<'_>,
    flow: &Flow,
    user_code: &str,
    problem: Option<&str>,
    status: StatusCode,
) -> Response<Body> {
    let sealed = flow.seal(call);
    let page = html::Device { flow: &sealed, user_code, problem };
    answer::page(status, html::render(&page), &[])
}

/// Shows the form. A code in the address is filled in, and not sent: the person is to compare it with the device's.
pub(super) async fn show(call: &Call<'_>, form: &Form) -> Shown {
    let browser = Browser::of(call);
    let flow = Flow::new(&browser, Purpose::Device { user_code: None });
    let code: String = form.get("user_code").unwrap_or_default().chars().take(20).collect();
    let mut response = page(call, &flow, &code, None, StatusCode::OK);
    browser.greet(call, &mut response);
    Ok((response, None))
}

/// Takes the code.
pub(super) async fn enter(call: &Call<'_>, form: &Form) -> Shown {
    let flow = Flow::of(call, form)?;
    let typed = form.get("user_code").unwrap_or_default();
    let Some(request) = find(call, typed).await? else {
        let problem = "There is no such code, or it has expired. Check it, or start again on your device.";
        return Ok((page(call, &flow, typed, Some(problem), StatusCode::BAD_REQUEST), None));
    };
    let browser = Browser::of(call);
    let flow = Flow::new(&browser, Purpose::Device { user_code: Some(request.user_code) });
    match browser::session(call).await? {
        Some(session) => flow.complete(call, &session).await,
        None => Ok((sign_in::page(call, &flow, "", None, StatusCode::OK).await?, None)),
    }
}

/// Asks whether the device may sign in.
pub(super) async fn confirm(
    call: &Call<'_>,
    flow: &Flow,
    user_code: &str,
    authentication: &Authentication,
) -> Result<Response<Body>, OAuthError> {
    let Some(request) = find(call, user_code).await? else { return Ok(gone()) };
    let client = SignInClient::find(call.identity, &request.client_id).await?;
    let client_id = client.as_ref().filter(|client| client.needs_approval()).map(|_| request.client_id.as_str());
    let client = client.as_ref().map_or("a program that is not known any more", SignInClient::name);
    let wanted = Wanted::parse(&request.scope, None)?;
    let sealed = flow.seal(call);
    let page = html::DeviceConfirm {
        flow: &sealed,
        client,
        client_id,
        resource: wanted.audience.as_deref().unwrap_or(&call.context.endpoints.graph),
        user_code: &request.user_code,
        address: &request.address,
        user_name: &authentication.principal.name,
    };
    Ok(answer::page(StatusCode::OK, html::render(&page), &[]))
}

/// Takes the answer.
pub(super) async fn answer(call: &Call<'_>, form: &Form) -> Shown {
    let flow = Flow::of(call, form)?;
    let Purpose::Device { user_code: Some(code) } = &flow.purpose else {
        return Err(OAuthError::invalid_request(90_014, "This form belongs to another page."));
    };
    let Some(session) = browser::session(call).await? else {
        return Ok((sign_in::page(call, &flow, "", None, StatusCode::OK).await?, None));
    };
    if session.principal.kind != PrincipalKind::User {
        return Err(OAuthError::invalid_request(90_014, "Only people sign in here."));
    }
    let name = session.principal.name.clone();
    let is_approved = match form.get("answer") {
        Some("approve") => true,
        Some("decline") => false,
        _ => return Err(OAuthError::missing("answer")),
    };
    if !call.identity.answer_device(code, is_approved.then_some(&session)).await? {
        return Ok((gone(), Some(name)));
    }
    let page = if is_approved {
        html::message("Done", "You have signed in on your device. You can close this page.", None)
    } else {
        html::message("The device was not let in", "You can close this page.", None)
    };
    Ok((answer::page(StatusCode::OK, page, &[]), Some(name)))
}

/// What a device wants, by a code that somebody typed. Wrong codes are counted, so that nobody tries them all.
async fn find(call: &Call<'_>, user_code: &str) -> Result<Option<DeviceRequest>, OAuthError> {
    let throttle = call.identity.throttle();
    let account = format!("user-codes/{}", call.context.client.address);
    let client = Some(call.context.client);
    throttle.check(&account, client).map_err(|throttled| OAuthError::too_many(throttled.retry_after))?;
    let found = call.identity.find_device_request(user_code).await?;
    if found.is_none() {
        throttle.failed(&account, client);
    }
    Ok(found)
}

fn gone() -> Response<Body> {
    let message = "Its code has expired, or was answered already. Start again on your device.";
    answer::page(StatusCode::BAD_REQUEST, html::message("The device does not wait any more", message, None), &[])
}
