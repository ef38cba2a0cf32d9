//! Answers, whole, and printed so that they can stand in a snapshot.

use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use wharf_data_plane::AccessInfo;

/// An answer with its body.
#[derive(Clone, Debug)]
pub struct TestResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What the access log would learn.
    pub access: AccessInfo,
}

impl TestResponse {
    pub(crate) async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let access = parts.extensions.get::<AccessInfo>().expect("every answer tells the access log").clone();
        let body = body.collect().await.expect("the body can be read to its end").to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body, access }
    }

    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers of ours are text"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The code of the first error in the body; empty if it is none.
    #[must_use]
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Status, headers in order, body; whatever differs from run to run is redacted.
impl fmt::Display for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        let mut lines: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| {
                format!("{name}: {}", redact(name.as_str(), &String::from_utf8_lossy(value.as_bytes())))
            })
            .collect();
        lines.sort();
        for line in lines {
            writeln!(f, "{line}")?;
        }
        if !self.body.is_empty() {
            write!(f, "\n{}", String::from_utf8_lossy(&self.body))?;
        }
        Ok(())
    }
}

fn redact(name: &str, value: &str) -> String {
    match name {
        "x-ms-correlation-request-id" | "x-ms-request-id" | "docker-upload-uuid" => "[uuid]".to_owned(),
        "location" => match value.split_once("/blobs/uploads/") {
            Some((before, _)) => format!("{before}/blobs/uploads/[uuid]?_nouploadcache=false&_state=[state]"),
            None => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}
