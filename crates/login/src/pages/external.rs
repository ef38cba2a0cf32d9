//! Signing in by an issuer outside: the way there and the way back.

use http::StatusCode;
use tracing::warn;
use wharf_identity::federation::ExternalSignInError;
use wharf_model::error_chain;

use super::Shown;
use super::browser::Browser;
use super::flow::Flow;
use super::sign_in::{self, signed_in_as};
use crate::answer;
use crate::error::OAuthError;
use crate::form::Form;
use crate::router::Call;

/// `/login/external`: sends the browser to an issuer.
pub(super) async fn begin(call: &Call<'_>, form: &Form) -> Shown {
    let sealed = form.get("flow").unwrap_or_default();
    let flow = Flow::open(call, sealed)?;
    let browser = Browser::of(call);
    let name = form.require("issuer")?;
    let there = call.identity.begin_external_sign_in(name, &redirect_uri(call), &browser.word, sealed).await;
    match there {
        Ok(url) => Ok((answer::see_other(url.as_str())?, None)),
        Err(error) => failed(call, &flow, error).await,
    }
}

/// `/login/external/callback`: the browser is back.
pub(super) async fn finish(call: &Call<'_>, form: &Form) -> Shown {
    let state = form.require("state")?;
    let code = match (form.get("code"), form.get("error")) {
        (_, Some(error)) => Err(form.get("error_description").unwrap_or(error)),
        (Some(code), None) => Ok(code),
        (None, None) => return Err(OAuthError::missing("code")),
    };
    let browser = Browser::of(call);
    let finished = call.identity.finish_external_sign_in(state, code, &redirect_uri(call), &browser.word).await;
    match finished {
        Ok(signed_in) => {
            let flow = Flow::open(call, &signed_in.purpose)?;
            signed_in_as(call, &flow, &signed_in.authentication).await
        }
        Err(error) => Err(told(call, error)),
    }
}

/// The page once more, with what is wrong.
async fn failed(call: &Call<'_>, flow: &Flow, error: ExternalSignInError) -> Shown {
    let error = told(call, error);
    if error.cause.is_some() {
        return Err(error);
    }
    Ok((sign_in::page(call, flow, "", Some(&error.message), StatusCode::BAD_REQUEST).await?, None))
}

/// What somebody is told. What is the operator's to put right goes into the log.
fn told(call: &Call<'_>, error: ExternalSignInError) -> OAuthError {
    let request_id = call.context.request_id;
    let outside = |message: &str| OAuthError::new(StatusCode::BAD_GATEWAY, "temporarily_unavailable", 50_107, message);
    match error {
        ExternalSignInError::Unavailable(error) => error.into(),
        ExternalSignInError::NoIssuer { .. } => OAuthError::invalid_request(50_107, "There is no such way to sign in."),
        ExternalSignInError::State => OAuthError::invalid_request(
            50_107,
            "Signing in took too long, or began in another browser. Go back to where you came from, and start again.",
        ),
        ExternalSignInError::Refused { reason } => {
            OAuthError::invalid_request(50_107, format!("The other side refused: {reason}")).with_word("access_denied")
        }
        ExternalSignInError::Nobody => OAuthError::new(
            StatusCode::FORBIDDEN,
            "access_denied",
            50_020,
            "You have signed in there, but your account is not known here. Ask the operator to let it in.",
        ),
        error @ (ExternalSignInError::Exchange(_)
        | ExternalSignInError::Answer { .. }
        | ExternalSignInError::Token(_)
        | ExternalSignInError::Create(_)
        | ExternalSignInError::Discovery(_)) => {
            warn!(%request_id, "A sign-in by an issuer outside failed: {}", error_chain(&error));
            outside("The other side's answer was of no use. Try again later, or ask the operator.")
        }
    }
}

fn redirect_uri(call: &Call<'_>) -> String {
    format!("{}/login/external/callback", call.context.endpoints.login)
}
