//! Cookies: which browser this is, and who has signed in in it.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use wharf_identity::oidc::Authentication;

use crate::error::OAuthError;
use crate::router::Call;

/// A browser, known by a word in a cookie.
pub(super) struct Browser {
    pub(super) word: String,
    is_new: bool,
}

impl Browser {
    /// The browser that sent the request; one that is not known yet gets a word.
    pub(super) fn of(call: &Call<'_>) -> Self {
        match cookie(call, "browser") {
            Some(word) => Self { word: word.to_owned(), is_new: false },
            None => Self { word: call.identity.random_word(), is_new: true },
        }
    }

    /// The browser that sent the request, if it is known.
    pub(super) fn known(call: &Call<'_>) -> Option<Self> {
        cookie(call, "browser").map(|word| Self { word: word.to_owned(), is_new: false })
    }

    /// Tells a new browser its word.
    pub(super) fn greet(&self, call: &Call<'_>, response: &mut Response<Body>) {
        if self.is_new {
            set(call, response, "browser", &self.word, None);
        }
    }
}

/// Who has signed in in this browser.
pub(super) async fn session(call: &Call<'_>) -> Result<Option<Authentication>, OAuthError> {
    match cookie(call, "session") {
        Some(sealed) => Ok(call.identity.find_browser_session(sealed).await?),
        None => Ok(None),
    }
}

/// Remembers who has signed in.
pub(super) fn remember_session(call: &Call<'_>, response: &mut Response<Body>, authentication: &Authentication) {
    let sealed = call.identity.new_browser_session(authentication);
    set(call, response, "session", &sealed, None);
}

/// Forgets who has signed in.
pub(super) fn forget_session(call: &Call<'_>, response: &mut Response<Body>) {
    set(call, response, "session", "", Some(0));
}

fn cookie<'a>(call: &'a Call<'_>, name: &str) -> Option<&'a str> {
    let wanted = full_name(call, name);
    let headers = call.parts.headers.get_all(header::COOKIE).iter();
    let pairs = headers.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// Without an age, a cookie ends with the browser.
fn set(call: &Call<'_>, response: &mut Response<Body>, name: &str, value: &str, seconds: Option<u32>) {
    let name = full_name(call, name);
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let secure = if is_secure(call) { "; Secure" } else { "" };
    // `Lax`: the way back from an issuer outside begins elsewhere, and forms from elsewhere come without.
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    let value = HeaderValue::from_str(&cookie).expect("base64url may stand in a header");
    response.headers_mut().append(header::SET_COOKIE, value);
}

/// With a prefix that keeps neighbours on other hosts of the domain from setting it.
fn full_name(call: &Call<'_>, name: &str) -> String {
    if is_secure(call) { format!("__Host-wharf-{name}") } else { format!("wharf-{name}") }
}

fn is_secure(call: &Call<'_>) -> bool {
    call.context.endpoints.login.starts_with("https://")
}
