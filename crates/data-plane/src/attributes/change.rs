//! The bodies of `PATCH`.

use serde::Deserialize;
use wharf_model::LocksChange;
use wharf_oci::{Code, OciError};
use wharf_registry::{ManifestChange, QuarantineChange, RepositoryChange, Verdict, parse_patterns};

use crate::body::{RequestBody, unread};
use crate::failure::Failure;

/// What may be asked for. Members that nobody knows are left alone, as clients send them along from what they read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(flatten)]
    locks: LocksChange,
    #[serde(default)]
    quarantine_state: Option<String>,
    #[serde(default)]
    quarantine_details: Option<String>,
    #[serde(default)]
    write_once_tags: Option<Vec<String>>,
}

/// Reads the change of a repository that a request asks for. An empty body asks for none, here and below.
///
/// # Errors
/// 400 for what is no such change.
pub(super) async fn of_repository(body: &mut RequestBody) -> Result<RepositoryChange, Failure> {
    let body = read(body).await?;
    body.refuse_quarantine()?;
    let patterns = |texts: Vec<String>| parse_patterns(texts.iter().map(String::as_str));
    let write_once_tags = body.write_once_tags.map(patterns).transpose().map_err(|error| invalid(error.to_string()))?;
    Ok(RepositoryChange { locks: body.locks, write_once_tags })
}

/// Reads the change of a tag.
///
/// # Errors
/// As above.
pub(super) async fn of_tag(body: &mut RequestBody) -> Result<LocksChange, Failure> {
    let body = read(body).await?;
    body.refuse_quarantine()?;
    body.refuse_patterns()?;
    Ok(body.locks)
}

/// Reads the change of a manifest.
///
/// # Errors
/// As above.
pub(super) async fn of_manifest(body: &mut RequestBody) -> Result<ManifestChange, Failure> {
    let body = read(body).await?;
    body.refuse_patterns()?;
    let verdict = |word: String| {
        Verdict::from_word(&word).ok_or_else(|| invalid("quarantineState is either Passed or Failed".to_owned()))
    };
    let state = body.quarantine_state.map(verdict).transpose()?;
    if body.quarantine_details.as_ref().is_some_and(|details| details.len() > DETAILS_BYTES) {
        return Err(invalid(format!("quarantineDetails are longer than {DETAILS_BYTES} bytes")));
    }
    Ok(ManifestChange { locks: body.locks, quarantine: QuarantineChange { state, details: body.quarantine_details } })
}

impl Body {
    /// What has no such state keeps none: a scanner must not believe that it does.
    fn refuse_quarantine(&self) -> Result<(), Failure> {
        match (&self.quarantine_state, &self.quarantine_details) {
            (None, None) => Ok(()),
            _ => Err(invalid("only a manifest has a state of quarantine; send it to _manifests/<digest>".to_owned())),
        }
    }

    fn refuse_patterns(&self) -> Result<(), Failure> {
        match self.write_once_tags {
            None => Ok(()),
            Some(_) => Err(invalid("only a repository has writeOnceTags".to_owned())),
        }
    }
}

async fn read(body: &mut RequestBody) -> Result<Body, Failure> {
    let bytes = match body.read_to_end(LIMIT_BYTES).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(invalid(format!("the body is longer than {LIMIT_BYTES} bytes"))),
        Err(error) => return Err(unread(error, Code::AttributesInvalid)),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Body::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
}

fn invalid(what: String) -> Failure {
    Failure::new(OciError::new(Code::AttributesInvalid).with_detail(what))
}

/// Far more than any client sends.
const LIMIT_BYTES: usize = 64 << 10;

/// How much a scanner may tell of a manifest. Lists show it with each one.
const DETAILS_BYTES: usize = 8 << 10;
