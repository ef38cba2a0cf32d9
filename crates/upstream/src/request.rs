//! One request: signed in, sent on where it is redirected to, repeated while that may help.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use wharf_egress::{AnswerStream, Outgoing};
use wharf_model::RepositoryName;

use crate::{UpstreamClient, UpstreamError};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Below the registry's root, with its query.
    pub(crate) path: String,
    /// What a token must open.
    pub(crate) scope: String,
    pub(crate) headers: HeaderMap,
    /// What this is, for messages.
    pub(crate) what: String,
}

impl Ask {
    /// `GET` of something in a repository, or of the registry itself.
    pub(crate) fn get(path: String, repository: Option<&RepositoryName>, what: String) -> Self {
        let scope = repository.map(|repository| format!("repository:{repository}:pull")).unwrap_or_default();
        let mut headers = HeaderMap::new();
        // A digest is that of the bytes as they are.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Self { method: Method::GET, path, scope, headers, what }
    }
}

/// An answer whose body is still to come.
pub(crate) struct Answered<'a> {
    client: &'a UpstreamClient,
    what: String,
    /// Where it came from in the end.
    pub(crate) url: Url,
    /// Whether that is elsewhere than the registry.
    is_elsewhere: bool,
    pub(crate) stream: AnswerStream,
}

impl UpstreamClient {
    /// Asks, and asks again while the answer is that it may succeed later.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answered<'_>, UpstreamError> {
        let mut attempt = 1;
        loop {
            let error = match self.ask_once(ask).await {
                Err(error @ UpstreamError::Unreachable { .. }) => {
                    // It may speak something else by now.
                    self.upstreams.schemes().remove(&self.address);
                    error
                }
                Ok(answer) if may_pass(answer.status(), answer.is_elsewhere) => answer.into_error().await,
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.wait_after(error, attempt).await?;
            attempt += 1;
        }
    }

    /// Waits before an attempt is repeated; returns the error when it is not to be.
    pub(crate) async fn wait_after(&self, error: UpstreamError, attempt: u32) -> Result<(), UpstreamError> {
        let wait = error.retry_after().unwrap_or_else(|| back_off(attempt));
        if !error.is_transient() || attempt >= self.attempts || wait > self.longest_wait {
            return Err(error);
        }
        tracing::debug!(upstream = %self.name, attempt, error = &error as &dyn std::error::Error,
            "Asking {} again in {wait:?}", self.name);
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn ask_once(&self, ask: &Ask) -> Result<Answered<'_>, UpstreamError> {
        let base = self.upstreams.base(&self.address).await?;
        let mut authorization = self.known_authorization(&ask.scope).await;
        let mut signed_in = 0;
        loop {
            let answer = self.follow(ask, &base, authorization.as_ref().map(|found| &found.value)).await?;
            if answer.status() != StatusCode::UNAUTHORIZED || answer.is_elsewhere {
                return Ok(answer);
            }
            // One that was remembered may have expired; a fresh one that is refused is no help.
            if signed_in > 0 {
                return Err(answer.into_refusal().await);
            }
            signed_in += 1;
            let headers = answer.stream.headers.clone();
            authorization = match self.sign_in(&base, &headers, &ask.scope, authorization.as_ref()).await {
                Ok(found) => Some(found),
                // What the registry says of it is more than that it refuses.
                Err(UpstreamError::Unauthorized { message: None, .. }) => return Err(answer.into_refusal().await),
                Err(error) => return Err(error),
            };
        }
    }

    /// Sends the request, and again to wherever it is redirected. Only the registry itself is shown the authorization.
    async fn follow<'a>(
        &'a self,
        ask: &Ask,
        base: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answered<'a>, UpstreamError> {
        let lost = |reason| {
            let (registry, what) = (self.name.to_string(), ask.what.clone());
            UpstreamError::Redirect { registry, what, reason }
        };
        let mut url = base.join(&ask.path).map_err(|_| lost("to something that is no URL"))?;
        let mut visited = Vec::new();
        loop {
            let is_elsewhere = url.origin() != base.origin();
            let mut headers = ask.headers.clone();
            if let Some(value) = authorization.filter(|_| !is_elsewhere) {
                headers.insert(header::AUTHORIZATION, value.clone());
            }
            let (method, body) = (ask.method.clone(), Bytes::new());
            let request = Outgoing { method, url: &url, headers, body, most_bytes: usize::MAX };
            let stream = self.upstreams.inner.http.open(request).await;
            let stream = stream.map_err(|error| UpstreamError::network(&self.name, error))?;
            let location = match stream.status.as_u16() {
                301 | 302 | 303 | 307 | 308 => stream.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()),
                _ => None,
            };
            let Some(location) = location else {
                return Ok(Answered { client: self, what: ask.what.clone(), url, is_elsewhere, stream });
            };
            let next = url.join(location).map_err(|_| lost("to something that is no URL"))?;
            if !matches!(next.scheme(), "http" | "https") {
                return Err(lost("to something that is no http or https URL"));
            }
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(lost("from HTTPS to plain HTTP"));
            }
            visited.push(url);
            if visited.contains(&next) {
                return Err(lost("in a circle"));
            }
            if visited.len() > MOST_REDIRECTS {
                return Err(lost("too many times"));
            }
            url = next;
        }
    }

    pub(crate) fn lied(&self, what: &str, reason: impl Into<String>) -> UpstreamError {
        UpstreamError::Lied { registry: self.name.to_string(), what: what.to_owned(), reason: reason.into() }
    }

    /// What an answer other than the one that was hoped for means.
    pub(crate) fn status_error(
        &self,
        what: &str,
        status: StatusCode,
        headers: &HeaderMap,
        message: Option<String>,
    ) -> UpstreamError {
        let (registry, what) = (self.name.to_string(), what.to_owned());
        match status {
            StatusCode::NOT_FOUND => UpstreamError::NotFound { registry, what },
            StatusCode::UNAUTHORIZED => self.unauthorized(message),
            StatusCode::FORBIDDEN => UpstreamError::Denied { registry, what, message },
            StatusCode::TOO_MANY_REQUESTS => UpstreamError::Throttled { registry, retry_after: retry_after(headers) },
            status if status.is_server_error() => {
                UpstreamError::Unavailable { registry, status: status.as_u16(), message }
            }
            status => UpstreamError::Unexpected { registry, what, status: status.as_u16(), message },
        }
    }
}

impl Answered<'_> {
    pub(crate) fn status(&self) -> StatusCode {
        self.stream.status
    }

    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.stream.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body, whole.
    pub(crate) async fn read(mut self, limit_bytes: usize) -> Result<Bytes, UpstreamError> {
        let too_large = || UpstreamError::TooLarge {
            registry: self.client.name.to_string(),
            what: self.what.clone(),
            limit_bytes: limit_bytes as u64,
        };
        if self.stream.content_length().is_some_and(|length| length > limit_bytes as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        loop {
            let piece = self.stream.next_piece().await;
            let Some(piece) = piece.map_err(|error| UpstreamError::network(&self.client.name, error))? else {
                return Ok(body.freeze());
            };
            if body.len() + piece.len() > limit_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
    }

    /// The body, whole, as JSON.
    pub(crate) async fn read_json<T: DeserializeOwned>(self, limit_bytes: usize) -> Result<T, UpstreamError> {
        let (client, what) = (self.client, self.what.clone());
        let body = self.read(limit_bytes).await?;
        serde_json::from_slice(&body).map_err(|_| client.lied(&what, "it is not the JSON that it should be"))
    }

    /// What the answer says went wrong.
    pub(crate) async fn into_error(mut self) -> UpstreamError {
        let message = self.read_message().await;
        let status = self.status();
        if self.is_elsewhere && is_refusal(status) {
            // The registry signed the address; a new one is had by asking it again.
            let message = Some("the storage that it redirects to refuses".to_owned());
            let registry = self.client.name.to_string();
            return UpstreamError::Unavailable { registry, status: status.as_u16(), message };
        }
        self.client.status_error(&self.what, status, &self.stream.headers, message)
    }

    /// The same for a 401 in spite of having signed in: with credentials, these are good but not enough.
    async fn into_refusal(mut self) -> UpstreamError {
        let message = self.read_message().await;
        let is_basic = || !self.client.tokens_are_used(&self.stream.headers);
        if self.client.credentials.is_none() || is_basic() {
            return self.client.unauthorized(message);
        }
        UpstreamError::Denied { registry: self.client.name.to_string(), what: self.what, message }
    }

    async fn read_message(&mut self) -> Option<String> {
        let mut body = BytesMut::new();
        while body.len() < MESSAGE_BYTES
            && let Ok(Some(piece)) = self.stream.next_piece().await
        {
            body.extend_from_slice(&piece[..piece.len().min(MESSAGE_BYTES - body.len())]);
        }
        message_of(&self.stream.headers, &body)
    }
}

impl UpstreamClient {
    /// Whether a refusal speaks of tokens, so that the credentials themselves were taken by a realm.
    fn tokens_are_used(&self, headers: &HeaderMap) -> bool {
        let challenges = headers.get_all(header::WWW_AUTHENTICATE);
        let found = crate::challenge::Challenge::of(challenges.iter().filter_map(|value| value.to_str().ok()));
        matches!(found, Some(crate::challenge::Challenge::Bearer { .. }))
    }
}

/// Whether the same request may well get another answer later.
fn may_pass(status: StatusCode, is_elsewhere: bool) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || (is_elsewhere && is_refusal(status))
}

/// How storage says that a signed address is not good any more.
fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// What an error's body says, in a form that fits a line: the first message of the registry protocol's errors, or what
/// token services say. `None` when there is nothing of the kind.
pub(crate) fn message_of(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let first = body.pointer("/errors/0");
    let message = first.and_then(|error| error.get("message")).and_then(text).filter(|message| !message.is_empty());
    let message = message.or_else(|| first.and_then(|error| error.get("code")).and_then(text));
    let message = message
        .or_else(|| ["message", "details", "error_description", "error"].iter().find_map(|name| text(&body[*name])));
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let message: String = message?.chars().take(MESSAGE_CHARACTERS).map(plain).collect();
    (!message.trim().is_empty()).then(|| message.trim().to_owned())
}

/// `Retry-After` in seconds; as a date it is not read, since nobody's clock but ours counts here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(24 * 3600)))
}

/// Longer from attempt to attempt, and never the same for all who wait.
fn back_off(attempt: u32) -> Duration {
    FIRST_WAIT.mul_f64(f64::from(2_u32.saturating_pow(attempt.saturating_sub(1).min(10))) * (0.5 + fastrand::f64()))
}

/// How long is waited before the second attempt, about.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// How often a request may be sent elsewhere.
const MOST_REDIRECTS: usize = 5;
/// How much of an error's body is read, in bytes.
const MESSAGE_BYTES: usize = 16 << 10;
/// How much of what it says is passed on.
const MESSAGE_CHARACTERS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_and_kept_to_a_line() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
                Some("authentication required"),
            ),
            (r#"{"errors":[{"code":"DENIED"}]}"#, Some("DENIED")),
            (r#"{"details":"incorrect username or password"}"#, Some("incorrect username or password")),
            (r#"{"errors":[{"message":"a\r\nb\u001b[0m"}]}"#, Some("a  b [0m")),
            ("<html>", None),
            ("", None),
            (r#"{"errors":[]}"#, None),
        ] {
            assert_eq!(message_of(&HeaderMap::new(), body.as_bytes()).as_deref(), expected, "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "é".repeat(5_000));
        assert_eq!(message_of(&HeaderMap::new(), long.as_bytes()).unwrap().chars().count(), MESSAGE_CHARACTERS);
        let mut encoded = HeaderMap::new();
        encoded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(message_of(&encoded, br#"{"message":"x"}"#), None);
    }

    #[test]
    fn waits_grow_and_differ() {
        assert!(back_off(1) < Duration::from_millis(400));
        assert!(back_off(4) >= Duration::from_millis(1_000));
        assert!(back_off(1) != back_off(1) || back_off(1) != back_off(1));
        assert!(back_off(u32::MAX) < Duration::from_secs(600));
    }
}
