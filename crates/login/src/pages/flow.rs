//! What a sign-in on our pages is for, and how it ends.

use std::time::Duration;

use axum::body::Body;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use url::Url;
use wharf_identity::oidc::{Authentication, NewAuthorizationCode};
use wharf_model::{PrincipalId, PrincipalKind};

use super::browser::Browser;
use super::{Shown, consent, device, html};
use crate::answer;
use crate::clients::SignInClient;
use crate::error::OAuthError;
use crate::form::Form;
use crate::redirect;
use crate::router::Call;

/// What a sign-in is for, and in which browser.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Flow {
    browser: String,
    pub(super) purpose: Purpose,
}

/// What a sign-in is for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// A program wants a code.
    Authorize(Box<Authorize>),
    /// An application that somebody registered wants a code; whether it may have one was asked of this user.
    Consent { wanted: Box<Authorize>, approver: PrincipalId },
    /// A device waits; the code is that which somebody typed.
    Device { user_code: Option<String> },
}

/// What a program asked for, once that was checked.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Authorize {
    pub(super) client_id: String,
    pub(super) client_name: String,
    pub(super) redirect_uri: String,
    pub(super) response_mode: ResponseMode,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) scope: String,
    /// Whether somebody must give their credentials, though they are signed in.
    pub(super) needs_credentials: bool,
}

/// How a program gets its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ResponseMode {
    Query,
    Fragment,
    FormPost,
}

impl Flow {
    pub(super) fn new(browser: &Browser, purpose: Purpose) -> Self {
        Self { browser: browser.word.clone(), purpose }
    }

    /// The same browser's, for something else.
    pub(super) fn with(&self, purpose: Purpose) -> Self {
        Self { browser: self.browser.clone(), purpose }
    }

    /// What a program asked for.
    pub(super) fn wanted(&self) -> Option<&Authorize> {
        match &self.purpose {
            Purpose::Authorize(wanted) | Purpose::Consent { wanted, .. } => Some(wanted),
            Purpose::Device { .. } => None,
        }
    }

    /// The flow of a form that was sent: sealed by us lately, for this browser.
    pub(super) fn of(call: &Call<'_>, form: &Form) -> Result<Self, OAuthError> {
        Self::open(call, form.get("flow").unwrap_or_default())
    }

    pub(super) fn open(call: &Call<'_>, sealed: &str) -> Result<Self, OAuthError> {
        let flow: Option<Self> = call.identity.open_from_browser(SEALED_FOR, sealed);
        let is_here = |flow: &Self| {
            Browser::known(call).is_some_and(|browser| browser.word.as_bytes().ct_eq(flow.browser.as_bytes()).into())
        };
        flow.filter(is_here).ok_or_else(|| {
            OAuthError::invalid_request(
                90_014,
                "This page has expired, or your browser does not keep cookies. Go back to the program or page that you came from, and start again.",
            )
        })
    }

    pub(super) fn seal(&self, call: &Call<'_>) -> String {
        call.identity.seal_for_browser(SEALED_FOR, self, LIFETIME)
    }

    /// What it is for, as a sentence for people.
    pub(super) fn sentence(&self) -> Option<String> {
        match &self.purpose {
            Purpose::Authorize(wanted) | Purpose::Consent { wanted, .. } => {
                Some(format!("to go on to {}", wanted.client_name))
            }
            Purpose::Device { user_code: Some(code) } => {
                Some(format!("to let the device with the code {code} sign in"))
            }
            Purpose::Device { user_code: None } => None,
        }
    }

    /// Where its forms may lead beside us.
    pub(super) fn form_targets(&self) -> Vec<String> {
        self.wanted().and_then(|wanted| redirect::origin_of(&wanted.redirect_uri)).into_iter().collect()
    }

    /// Goes on, as whoever has signed in.
    pub(super) async fn complete(&self, call: &Call<'_>, authentication: &Authentication) -> Shown {
        let name = authentication.principal.name.clone();
        let response = match &self.purpose {
            Purpose::Authorize(wanted) | Purpose::Consent { wanted, .. } => {
                wanted.complete(call, self, authentication).await?
            }
            Purpose::Device { user_code: Some(code) } => device::confirm(call, self, code, authentication).await?,
            Purpose::Device { user_code: None } => device::page(call, self, "", None, StatusCode::OK),
        };
        Ok((response, Some(name)))
    }
}

impl Authorize {
    /// Gives the code, or asks whether it may be given.
    async fn complete(
        &self,
        call: &Call<'_>,
        flow: &Flow,
        authentication: &Authentication,
    ) -> Result<Response<Body>, OAuthError> {
        let client = SignInClient::find(call.identity, &self.client_id).await?;
        let client = client.ok_or_else(|| OAuthError::unknown_client(&self.client_id))?;
        if client.needs_approval() {
            consent::page(call, flow, self, authentication)
        } else {
            self.give_code(call, authentication).await
        }
    }

    /// Sends the browser back with a code.
    pub(super) async fn give_code(
        &self,
        call: &Call<'_>,
        authentication: &Authentication,
    ) -> Result<Response<Body>, OAuthError> {
        if authentication.principal.kind != PrincipalKind::User {
            return Err(OAuthError::invalid_request(90_014, "Only people sign in here."));
        }
        let new = NewAuthorizationCode {
            authentication,
            client_id: &self.client_id,
            redirect_uri: &self.redirect_uri,
            code_challenge: self.code_challenge.as_deref(),
            scope: &self.scope,
            nonce: self.nonce.as_deref(),
        };
        let code = call.identity.new_authorization_code(&new).await?;
        self.respond("You are signed in", &[("code", &code)])
    }

    /// Tells the program that nothing comes of it.
    pub(super) fn refuse(&self, error: &OAuthError) -> Result<Response<Body>, OAuthError> {
        self.respond("You are not signed in", &[("error", error.error), ("error_description", &error.description())])
    }

    /// Sends the browser back to the program.
    fn respond(&self, heading: &str, answer: &[(&'static str, &str)]) -> Result<Response<Body>, OAuthError> {
        let mut parameters = answer.to_vec();
        parameters.extend(self.state.as_deref().map(|state| ("state", state)));
        if self.response_mode == ResponseMode::FormPost {
            let page =
                html::FormPost { heading, client: &self.client_name, redirect_uri: &self.redirect_uri, parameters };
            let targets: Vec<String> = redirect::origin_of(&self.redirect_uri).into_iter().collect();
            return Ok(answer::page(StatusCode::OK, html::render(&page), &targets));
        }
        let mut url: Url = self.redirect_uri.parse().map_err(|_| redirect_uri_mismatch(&self.redirect_uri))?;
        if self.response_mode == ResponseMode::Query {
            url.query_pairs_mut().extend_pairs(&parameters);
        } else {
            let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
            url.set_fragment(Some(&encoded));
        }
        answer::see_other(url.as_str())
    }
}

/// The answer to a redirect URI that the client has not registered. It is shown to the person: nobody is sent there.
pub(super) fn redirect_uri_mismatch(redirect_uri: &str) -> OAuthError {
    let shown: String = redirect_uri.chars().filter(|c| !c.is_control()).take(200).collect();
    OAuthError::invalid_request(
        50_011,
        format!(
            "The redirect URI '{shown}' specified in the request does not match the redirect URIs configured for the application."
        ),
    )
}

const SEALED_FOR: &str = "flow";
/// How long somebody may take to sign in.
const LIFETIME: Duration = Duration::from_mins(30);
