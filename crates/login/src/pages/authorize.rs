//! `…/oauth2/authorize`: a program sends the browser here for a code. Source: RFC 6749, 4.1.1; OpenID Connect Core 1.0,
//! section 3.1.2.1; RFC 7636.

use http::StatusCode;

use super::browser::{self, Browser};
use super::flow::{Authorize, Flow, Purpose, ResponseMode, redirect_uri_mismatch};
use super::{Shown, sign_in};
use crate::authority::AuthorityPath;
use crate::clients::SignInClient;
use crate::error::OAuthError;
use crate::form::Form;
use crate::redirect::{self, RedirectKind};
use crate::router::Call;
use crate::scope::Wanted;

/// What a program wants of somebody who is signed in already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// Nothing in particular.
    Unsaid,
    /// No page is to be shown.
    None,
    /// They are to give their credentials.
    Login,
    /// They are to say whether it is them.
    SelectAccount,
}

pub(super) async fn begin(call: &Call<'_>, at: &AuthorityPath, form: &Form) -> Shown {
    // Until the redirect URI is known to be the client's, whatever is wrong is told to the person.
    call.place(at).await?;
    let client_id = form.require("client_id")?;
    let client = SignInClient::find(call.identity, client_id).await?;
    let client = client.ok_or_else(|| OAuthError::unknown_client(client_id))?;
    let redirect_uri = form.require("redirect_uri")?;
    let kind = redirect::kind_of(&client, redirect_uri).ok_or_else(|| redirect_uri_mismatch(redirect_uri))?;
    let (state, nonce) = (form.get("state"), form.get("nonce"));
    if [state, nonce].into_iter().flatten().any(|text| text.len() > LONGEST_STATE) {
        return Err(OAuthError::invalid_request(9_002_313, "The parameters 'state' and 'nonce' are too long."));
    }
    let mut wanted = Authorize {
        client_id: client_id.to_owned(),
        client_name: client.name().to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        response_mode: ResponseMode::Query,
        state: state.map(str::to_owned),
        nonce: nonce.map(str::to_owned),
        code_challenge: form.get("code_challenge").map(str::to_owned),
        scope: String::new(),
        needs_credentials: false,
    };
    let prompt = match check(&mut wanted, kind, form) {
        Ok(prompt) => prompt,
        Err(error) => return Ok((wanted.refuse(&error)?, None)),
    };

    let session = browser::session(call).await?;
    match (prompt, session) {
        (Prompt::None, Some(_)) if client.needs_approval() => {
            let error = OAuthError::invalid_request(
                65_001,
                "The user has to be asked whether the application may act for them. Send an interactive authorization request.",
            );
            Ok((wanted.refuse(&error.with_word("consent_required"))?, None))
        }
        (Prompt::None, None) => {
            let error =
                OAuthError::invalid_request(50_058, "A silent sign-in request was sent but no user is signed in.");
            Ok((wanted.refuse(&error.with_word("login_required"))?, None))
        }
        (Prompt::None | Prompt::Unsaid, Some(session)) => {
            let browser = Browser::of(call);
            let flow = Flow::new(&browser, Purpose::Authorize(Box::new(wanted)));
            let (mut response, caller) = flow.complete(call, &session).await?;
            browser.greet(call, &mut response);
            Ok((response, caller))
        }
        (Prompt::SelectAccount, Some(session)) => {
            let browser = Browser::of(call);
            let flow = Flow::new(&browser, Purpose::Authorize(Box::new(wanted)));
            let mut response = sign_in::account_page(call, &flow, &session);
            browser.greet(call, &mut response);
            Ok((response, Some(session.principal.name.clone())))
        }
        (Prompt::Login, _) | (Prompt::Unsaid | Prompt::SelectAccount, None) => {
            wanted.needs_credentials = true;
            let browser = Browser::of(call);
            let flow = Flow::new(&browser, Purpose::Authorize(Box::new(wanted)));
            let hint = form.get("login_hint").unwrap_or_default();
            let mut response = sign_in::page(call, &flow, hint, None, StatusCode::OK).await?;
            browser.greet(call, &mut response);
            Ok((response, None))
        }
    }
}

/// Reads the rest of what the program asks for. What is wrong is told to the program.
fn check(wanted: &mut Authorize, kind: RedirectKind, form: &Form) -> Result<Prompt, OAuthError> {
    let invalid = |code, message: &str| OAuthError::invalid_request(code, message);
    wanted.response_mode = match form.get("response_mode") {
        None | Some("query") => ResponseMode::Query,
        Some("fragment") => ResponseMode::Fragment,
        Some("form_post") => ResponseMode::FormPost,
        Some(_) => {
            return Err(invalid(
                70_007,
                "The value of 'response_mode' is not supported: use query, fragment or form_post.",
            ));
        }
    };
    if form.get("response_type") != Some("code") {
        let error = invalid(700_051, "The response_type is not supported: only 'code' is.");
        return Err(error.with_word("unsupported_response_type"));
    }
    match (&wanted.code_challenge, form.get("code_challenge_method")) {
        (Some(challenge), Some("S256")) => {
            let fits = challenge.len() == 43
                && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if !fits {
                return Err(invalid(501_491, "The code_challenge must be the SHA-256 of the verifier, in base64url."));
            }
        }
        (Some(_), _) => {
            return Err(invalid(501_491, "The code_challenge_method must be S256; 'plain' proves nothing."));
        }
        (None, Some(_)) => return Err(invalid(501_491, "The code_challenge is missing.")),
        (None, None) if kind == RedirectKind::Public => {
            return Err(invalid(
                9_002_325,
                "Proof Key for Code Exchange is required for clients that hold no secret: send a code_challenge with S256.",
            ));
        }
        (None, None) => {}
    }
    let scope = form.get("scope").unwrap_or_default();
    Wanted::parse(scope, form.get("resource"))?;
    wanted.scope = match form.get("resource") {
        // Kept as the scope that means the same.
        Some(resource) => format!("{resource}/.default openid offline_access"),
        None => scope.to_owned(),
    };
    // `consent` is asked for by programs that want everything to be asked again, which it is where there is anything to ask.
    let prompts: Vec<&str> = form.get("prompt").unwrap_or_default().split_whitespace().collect();
    if prompts == ["none"] {
        return Ok(Prompt::None);
    }
    if prompts.contains(&"none") {
        return Err(invalid(90_023, "The prompt 'none' cannot be combined with others."));
    }
    Ok(if prompts.contains(&"login") || form.get("max_age") == Some("0") {
        Prompt::Login
    } else if prompts.contains(&"select_account") {
        Prompt::SelectAccount
    } else {
        Prompt::Unsaid
    })
}

/// Bytes of the longest `state` and `nonce` that are carried along.
const LONGEST_STATE: usize = 2_048;
