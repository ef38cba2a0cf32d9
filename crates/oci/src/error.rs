//! The protocol's errors: one table of codes, and the body that carries them.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use wharf_model::{Digest, Reference, RepositoryName, Scope, Tag};

use crate::route::RouteError;

/// The codes, each with its status and its message. Sources: distribution-spec, "Error Codes"; `acr/data-plane.md`
/// 4.4; distribution's `errcode/register.go` for those that neither has.
#[rustfmt::skip]
const CODES: [(Code, &str, StatusCode, &str); 27] = [
    (Code::AttributesInvalid,   "ATTRIBUTES_INVALID",    StatusCode::BAD_REQUEST, "the attributes to be changed are invalid"),
    (Code::BlobUnknown,         "BLOB_UNKNOWN",          StatusCode::NOT_FOUND, "blob unknown to registry"),
    (Code::BlobUploadInvalid,   "BLOB_UPLOAD_INVALID",   StatusCode::BAD_REQUEST, "blob upload invalid"),
    (Code::BlobUploadUnknown,   "BLOB_UPLOAD_UNKNOWN",   StatusCode::NOT_FOUND, "blob upload unknown to registry"),
    (Code::ChartExists,         "CHART_EXISTS",          StatusCode::CONFLICT, "the chart is there already"),
    (Code::ChartInvalid,        "CHART_INVALID",         StatusCode::BAD_REQUEST, "the chart is invalid"),
    (Code::ChartUnknown,        "CHART_UNKNOWN",         StatusCode::NOT_FOUND, "chart unknown to registry"),
    (Code::ContentLengthInvalid, "CONTENT_LENGTH_INVALID", StatusCode::BAD_REQUEST, "the Content-Length header is missing or invalid"),
    (Code::Denied,              "DENIED",                StatusCode::FORBIDDEN, "requested access to the resource is denied"),
    (Code::DigestInvalid,       "DIGEST_INVALID",        StatusCode::BAD_REQUEST, "provided digest did not match uploaded content"),
    (Code::ManifestBlobUnknown, "MANIFEST_BLOB_UNKNOWN", StatusCode::BAD_REQUEST, "manifest references a manifest or blob unknown to registry"),
    (Code::ManifestInvalid,     "MANIFEST_INVALID",      StatusCode::BAD_REQUEST, "manifest invalid"),
    (Code::ManifestUnknown,     "MANIFEST_UNKNOWN",      StatusCode::NOT_FOUND, "manifest unknown to registry"),
    (Code::MetadataUnknown,     "METADATA_UNKNOWN",      StatusCode::NOT_FOUND, "metadata unknown to registry"),
    (Code::NameInvalid,         "NAME_INVALID",          StatusCode::BAD_REQUEST, "invalid repository name"),
    (Code::NameUnknown,         "NAME_UNKNOWN",          StatusCode::NOT_FOUND, "repository name not known to registry"),
    (Code::PaginationInvalid,   "PAGINATION_NUMBER_INVALID", StatusCode::BAD_REQUEST, "invalid number of results requested"),
    (Code::RangeInvalid,        "RANGE_INVALID",         StatusCode::RANGE_NOT_SATISFIABLE, "invalid content range"),
    (Code::RegistryDisallowedOperation, "REGISTRY_DISALLOWED_OPERATION", StatusCode::METHOD_NOT_ALLOWED, "The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation"),
    (Code::SizeInvalid,         "SIZE_INVALID",          StatusCode::BAD_REQUEST, "provided length did not match content length"),
    (Code::TagInvalid,          "TAG_INVALID",           StatusCode::BAD_REQUEST, "manifest tag did not match URI"),
    (Code::TagUnknown,          "TAG_UNKNOWN",           StatusCode::NOT_FOUND, "tag unknown to registry"),
    (Code::TooManyRequests,     "TOOMANYREQUESTS",       StatusCode::TOO_MANY_REQUESTS, "too many requests"),
    (Code::Unauthorized,        "UNAUTHORIZED",          StatusCode::UNAUTHORIZED, "authentication required, visit https://aka.ms/acr/authorization for more information."),
    (Code::Unavailable,         "UNAVAILABLE",           StatusCode::SERVICE_UNAVAILABLE, "service unavailable"),
    (Code::Unknown,             "UNKNOWN",               StatusCode::INTERNAL_SERVER_ERROR, "unknown error"),
    (Code::Unsupported,         "UNSUPPORTED",           StatusCode::METHOD_NOT_ALLOWED, "the operation is unsupported"),
];

/// What went wrong, in the protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table of codes says what each means")]
pub enum Code {
    AttributesInvalid,
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    ChartExists,
    ChartInvalid,
    ChartUnknown,
    ContentLengthInvalid,
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    MetadataUnknown,
    NameInvalid,
    NameUnknown,
    PaginationInvalid,
    RangeInvalid,
    RegistryDisallowedOperation,
    SizeInvalid,
    TagInvalid,
    TagUnknown,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unknown,
    Unsupported,
}

impl Code {
    /// The code's word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        CODES[self as usize].1
    }

    /// The status that goes with it unless the situation asks for another.
    #[must_use]
    pub fn status(self) -> StatusCode {
        CODES[self as usize].2
    }

    /// The message that goes with it unless there is a better one.
    #[must_use]
    pub fn message(self) -> &'static str {
        CODES[self as usize].3
    }
}

/// An error as the caller gets it. What the log keeps is told to the log elsewhere.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{status} {}: {message}", code.as_str())]
pub struct OciError {
    /// The response's status.
    pub status: StatusCode,
    /// The code in the body.
    pub code: Code,
    /// The message in the body.
    pub message: Cow<'static, str>,
    /// The detail in the body: left out when `None`, which is not the same as `null`.
    pub detail: Option<Value>,
}

impl OciError {
    /// The error with the table's status and message, and no detail.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self { status: code.status(), code, message: Cow::Borrowed(code.message()), detail: None }
    }

    /// The same error with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same error with another message.
    #[must_use]
    pub fn with_message(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The same error with a detail.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<Value>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// 404 for a manifest, in the words that Azure's command line prints.
    #[must_use]
    pub fn manifest_unknown(repository: &RepositoryName, reference: &Reference) -> Self {
        let error = Self::new(Code::ManifestUnknown);
        match reference {
            Reference::Tag(tag) => error
                .with_message(format!("manifest tagged by \"{tag}\" is not found"))
                .with_detail(json!({"Tag": tag.as_str()})),
            Reference::Digest(digest) => error
                .with_message(format!("manifest {digest} is not found"))
                .with_detail(json!({"Name": repository.as_str(), "Revision": digest.as_str()})),
        }
    }

    /// 404 for a tag as such.
    #[must_use]
    pub fn tag_unknown(tag: &Tag) -> Self {
        Self::new(Code::TagUnknown)
            .with_message(format!("the tag \"{tag}\" is not found"))
            .with_detail(json!({"Tag": tag.as_str()}))
    }

    /// 405 for what a lock forbids, in the words that Azure's registries have for it.
    #[must_use]
    pub fn disallowed() -> Self {
        Self::new(Code::RegistryDisallowedOperation).with_detail(json!({}))
    }

    /// 404 for a repository.
    #[must_use]
    pub fn name_unknown(repository: &RepositoryName) -> Self {
        Self::new(Code::NameUnknown).with_detail(json!({"name": repository.as_str()}))
    }

    /// 400 for content that has another digest than it was announced with.
    #[must_use]
    pub fn digest_mismatch(announced: &Digest) -> Self {
        Self::new(Code::DigestInvalid).with_detail(json!({"digest": announced.as_str()}))
    }

    /// 401 for a request that needs `scopes`: `null` when it needs none in particular, else an object per action.
    #[must_use]
    pub fn unauthorized(scopes: &[Scope]) -> Self {
        let needed: Vec<Value> = scopes
            .iter()
            .flat_map(|scope| {
                scope
                    .actions
                    .iter()
                    .map(|action| json!({"Type": scope.kind.as_str(), "Name": scope.name, "Action": action.as_str()}))
            })
            .collect();
        Self::new(Code::Unauthorized).with_detail(if needed.is_empty() { Value::Null } else { Value::Array(needed) })
    }

    /// The response's body: JSON that ends with a newline, as Go's encoder leaves one.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            errors: [Item<'a>; 1],
        }
        #[derive(Serialize)]
        struct Item<'a> {
            code: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a Value>,
        }
        let item = Item { code: self.code.as_str(), message: &self.message, detail: self.detail.as_ref() };
        let mut body = serde_json::to_vec(&Body { errors: [item] }).expect("strings and JSON values always serialise");
        body.push(b'\n');
        body
    }
}

impl From<RouteError> for OciError {
    fn from(error: RouteError) -> Self {
        match error {
            // The specification has no code for a path that means nothing; whatever it was to name is not here.
            RouteError::Unknown => Self::new(Code::NameUnknown).with_message("there is nothing at this path"),
            RouteError::Method { .. } => Self::new(Code::Unsupported),
            RouteError::Name => Self::new(Code::NameInvalid),
            RouteError::Digest => Self::new(Code::DigestInvalid).with_message("the digest is invalid or unsupported"),
            RouteError::NoSuchTag => Self::new(Code::ManifestUnknown),
            RouteError::Tag => Self::new(Code::TagInvalid),
            RouteError::NoSuchUpload => Self::new(Code::BlobUploadUnknown),
            RouteError::Chart => Self::new(Code::ChartInvalid).with_message(error.to_string()),
            RouteError::Key => Self::new(Code::AttributesInvalid)
                .with_message("a key has 1 to 256 bytes, none of them a control character"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(error: &OciError) -> String {
        format!("{} {}", error.status.as_u16(), String::from_utf8(error.body()).unwrap())
    }

    #[test]
    fn the_table_stands_in_the_order_of_codes() {
        for (position, (code, ..)) in CODES.iter().enumerate() {
            assert_eq!(*code as usize, position);
        }
    }

    #[test]
    fn bodies_are_what_azure_answers() {
        let repository: RepositoryName = "team/app".parse().unwrap();
        let tag = "v9".parse().unwrap();
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        insta::assert_snapshot!(print(&OciError::manifest_unknown(&repository, &tag)), @r#"404 {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest tagged by \"v9\" is not found","detail":{"Tag":"v9"}}]}"#);
        insta::assert_snapshot!(print(&OciError::manifest_unknown(&repository, &Reference::Digest(digest))), @r#"404 {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest sha256:0000000000000000000000000000000000000000000000000000000000000000 is not found","detail":{"Name":"team/app","Revision":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}}]}"#);
        insta::assert_snapshot!(print(&OciError::new(Code::BlobUnknown)), @r#"404 {"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#);
        insta::assert_snapshot!(print(&OciError::name_unknown(&repository)), @r#"404 {"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"team/app"}}]}"#);
        insta::assert_snapshot!(print(&OciError::unauthorized(&[])), @r#"401 {"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":null}]}"#);
        insta::assert_snapshot!(print(&OciError::unauthorized(&["repository:team/app:pull,push".parse().unwrap()])), @r#"401 {"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":[{"Action":"pull","Name":"team/app","Type":"repository"},{"Action":"push","Name":"team/app","Type":"repository"}]}]}"#);
    }

    #[test]
    fn bodies_end_with_a_newline() {
        assert!(OciError::new(Code::Unknown).body().ends_with(b"}\n"));
    }

    #[test]
    fn codes_are_upper_case_words() {
        for (_, word, status, message) in CODES {
            assert!(word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{word}");
            assert!(status.is_client_error() || status.is_server_error());
            assert!(!message.is_empty());
        }
    }
}
