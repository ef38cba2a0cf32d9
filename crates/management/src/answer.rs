//! What a request comes to, before it is a response.

use http::StatusCode;
use serde_json::{Value, json};

/// An answer that is no error.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body; none for 202 and 204.
    pub body: Option<Value>,
    /// The ETag, without quotes.
    pub etag: Option<String>,
    /// Where to look for what becomes of it: a path on the management host with its query. For 202.
    pub location: Option<String>,
    /// Where to look for how it goes: a path on the management host with its query. For 200 and 201, when more goes on.
    pub async_operation: Option<String>,
    /// Whether the same is worth asking again soon. Without being told, clients wait for half a minute between two looks.
    pub is_pending: bool,
}

impl Answer {
    /// 200 with this body.
    #[must_use]
    pub fn ok(body: Value) -> Self {
        Self::of(StatusCode::OK, Some(body))
    }

    /// 201 with this body.
    #[must_use]
    pub fn created(body: Value) -> Self {
        Self::of(StatusCode::CREATED, Some(body))
    }

    /// 200 without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(StatusCode::OK, None)
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        Self::of(StatusCode::NO_CONTENT, None)
    }

    /// 200 with a list that ends here.
    #[must_use]
    pub fn list(items: Vec<Value>) -> Self {
        Self::ok(json!({"value": items}))
    }

    /// The same with an ETag, given without quotes.
    #[must_use]
    pub fn with_etag(self, etag: impl Into<String>) -> Self {
        Self { etag: Some(etag.into()), ..self }
    }

    pub(crate) fn of(status: StatusCode, body: Option<Value>) -> Self {
        Self { status, body, etag: None, location: None, async_operation: None, is_pending: false }
    }
}
