//! `/oauth2/token`: exchanges credentials for an access token (`acr/data-plane.md` 3.3).
//!
//! | request | credentials |
//! | --- | --- |
//! | `GET` with `Authorization: Basic` | user and password, or a token as the password |
//! | `GET` without | anonymous |
//! | `POST`, `grant_type=refresh_token` | the refresh token |
//! | `POST`, `grant_type=password` | user and password; anonymous without a user |
//!
//! A token lists of what was asked for what the caller may do; asking for too much is no error. `service` is not looked
//! at: the host already says which registry is meant, and a token for another one would be of no use here.

use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use wharf_identity::{AuthError, Caller, Credentials, IssueError};
use wharf_model::Scope;
use wharf_oci::{Code, OciError};

use crate::access::AccessInfo;
use crate::answer::{self, Answer};
use crate::body::{RequestBody, unread};
use crate::credentials::Sent;
use crate::failure::Failure;
use crate::guard::challenge;
use crate::router::{Plane, RequestHost};

/// The largest form, in bytes: a refresh token and scopes are a few KiB.
const FORM_LIMIT_BYTES: usize = 64 << 10;

#[derive(Serialize)]
struct Tokens {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

pub(crate) async fn answer(
    plane: &Plane,
    host: &RequestHost,
    parts: &Parts,
    body: &mut RequestBody,
    access: &mut AccessInfo,
) -> Answer {
    let (form, caller) = if parts.method == Method::POST {
        let form = Form::parse(&read(body).await?);
        let caller = authenticate(plane, host, form.credentials()?).await?;
        (form, caller)
    } else {
        let sent = Sent::with(&parts.headers);
        if matches!(sent, Sent::Malformed) {
            return Err(challenge(host, &[], true));
        }
        let form = Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
        (form, authenticate(plane, host, sent.credentials()).await?)
    };
    access.set_caller(caller.clone());
    let access_token = plane
        .identity
        .access_token(&host.registry, &host.login_server, &caller, &form.scopes)
        .await
        .map_err(|error| refuse(host, error))?;
    let refresh_token = if form.wants_refresh_token {
        match plane.identity.refresh_token(&host.registry, &host.login_server, &caller).await {
            Ok(token) => Some(token),
            Err(IssueError::PasswordNeeded) => None,
            Err(error) => return Err(refuse(host, error)),
        }
    } else {
        None
    };
    Ok(handed_out(&Tokens { access_token, refresh_token }))
}

/// An answer that holds tokens, which nobody may keep.
pub(crate) fn handed_out(tokens: &impl Serialize) -> Response<Body> {
    let mut response = answer::json(StatusCode::OK, answer::to_json_line(tokens));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn authenticate(
    plane: &Plane,
    host: &RequestHost,
    credentials: Option<Credentials<'_>>,
) -> Result<Arc<Caller>, Failure> {
    let Some(credentials) = credentials else { return Ok(Arc::new(Caller::anonymous(&host.registry))) };
    match plane.identity.authenticate(&host.registry, credentials, Some(host.client)).await {
        Ok(caller) => Ok(caller),
        Err(error @ (AuthError::Unavailable(_) | AuthError::Throttled(_))) => Err(error.into()),
        Err(AuthError::BadCredentials | AuthError::InvalidToken(_)) => Err(challenge(host, &[], true)),
    }
}

fn refuse(host: &RequestHost, error: IssueError) -> Failure {
    match error {
        IssueError::AnonymousPullDisabled => challenge(host, &[], false),
        IssueError::OtherRegistry | IssueError::PasswordNeeded => challenge(host, &[], true),
        IssueError::TooManyScopes(reason) => OciError::new(Code::Unsupported)
            .with_status(StatusCode::BAD_REQUEST)
            .with_message(reason.to_string())
            .into(),
        IssueError::Unavailable(error) => Failure::of_ours(OciError::new(Code::Unavailable), error),
    }
}

/// Reads a form of the token protocol.
pub(crate) async fn read(body: &mut RequestBody) -> Result<bytes::Bytes, Failure> {
    match body.read_to_end(FORM_LIMIT_BYTES).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(OciError::new(Code::SizeInvalid).with_status(StatusCode::PAYLOAD_TOO_LARGE).into()),
        Err(error) => Err(unread(error, Code::SizeInvalid)),
    }
}

/// The fields of a form or a query, as far as they matter.
#[derive(Default)]
struct Form {
    grant_type: String,
    username: String,
    password: String,
    refresh_token: String,
    scopes: Vec<Scope>,
    wants_refresh_token: bool,
}

impl Form {
    /// Several scopes come as several fields, or in one with blanks between them. Those that mean nothing to us are
    /// left out, as if they had not been granted.
    fn parse(form: &[u8]) -> Self {
        let mut fields = Self::default();
        for (key, value) in form_urlencoded::parse(form) {
            match &*key {
                "grant_type" => fields.grant_type = value.into_owned(),
                "username" => fields.username = value.into_owned(),
                "password" => fields.password = value.into_owned(),
                "refresh_token" => fields.refresh_token = value.into_owned(),
                "scope" => {
                    fields.scopes.extend(value.split_whitespace().filter_map(|scope| scope.parse::<Scope>().ok()))
                }
                // Not docker's `offline_token`: it would store the refresh token in the password's stead, and a login
                // would last three hours.
                "access_type" => fields.wants_refresh_token = value == "offline",
                _ => {}
            }
        }
        fields
    }

    fn credentials(&self) -> Result<Option<Credentials<'_>>, Failure> {
        match self.grant_type.as_str() {
            // azure-containerregistry for Python names no grant when it refreshes (`acr/control-plane.md` section 11).
            "" if !self.refresh_token.is_empty() => Ok(Some(Credentials::RefreshToken(&self.refresh_token))),
            "refresh_token" => Ok(Some(Credentials::RefreshToken(&self.refresh_token))),
            "password" if self.username.is_empty() => Ok(None),
            "password" => Ok(Some(Credentials::Basic { username: &self.username, password: &self.password })),
            _ => Err(OciError::new(Code::Unsupported)
                .with_status(StatusCode::BAD_REQUEST)
                .with_message("grant_type must be refresh_token or password")
                .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_come_apart_or_together() {
        let form = Form::parse(b"scope=registry%3Acatalog%3A*+repository:*:*&scope=nonsense&scope=repository:a:pull");
        let scopes: Vec<String> = form.scopes.iter().map(ToString::to_string).collect();
        assert_eq!(scopes, ["registry:catalog:*", "repository:*:*", "repository:a:pull"]);
    }

    #[test]
    fn grants_tell_which_credentials_count() {
        let read = |form: &str| Form::parse(form.as_bytes()).credentials().map(|found| format!("{found:?}"));
        assert_eq!(read("grant_type=refresh_token&refresh_token=x").unwrap(), "Some(RefreshToken(..))");
        assert_eq!(read("refresh_token=x").unwrap(), "Some(RefreshToken(..))");
        assert_eq!(read("grant_type=refresh_token").unwrap(), "Some(RefreshToken(..))");
        assert_eq!(read("grant_type=password&username=u&password=p").unwrap(), "Some(Basic(..))");
        assert_eq!(read("grant_type=password&refresh_token=").unwrap(), "None");
        assert_eq!(read("grant_type=client_credentials").unwrap_err().error().status, StatusCode::BAD_REQUEST);
        assert_eq!(read("").unwrap_err().error().status, StatusCode::BAD_REQUEST);
    }
}
