//! The bodies of `PATCH`.

use serde::Deserialize;
use wharf_model::LocksChange;
use wharf_oci::{Code, OciError};

use crate::body::{RequestBody, unread};
use crate::failure::Failure;

/// What may be asked for. Members that nobody knows are left alone, as clients send them along from what they read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(flatten)]
    locks: LocksChange,
    #[serde(default)]
    quarantine_state: Option<serde_json::Value>,
    #[serde(default)]
    quarantine_details: Option<serde_json::Value>,
}

/// Reads the change that a request asks for. An empty body asks for none.
///
/// # Errors
/// 400 for what is no such change; 405 for marks of quarantine, which are not kept: a scanner must not believe that they are.
pub(super) async fn read(body: &mut RequestBody) -> Result<LocksChange, Failure> {
    let invalid = |what: String| Failure::new(OciError::new(Code::AttributesInvalid).with_detail(what));
    let bytes = match body.read_to_end(LIMIT_BYTES).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(invalid(format!("the body is longer than {LIMIT_BYTES} bytes"))),
        Err(error) => return Err(unread(error, Code::AttributesInvalid)),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(LocksChange::default());
    }
    let body: Body = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    if body.quarantine_state.is_some() || body.quarantine_details.is_some() {
        return Err(OciError::new(Code::Unsupported).with_message("this registry keeps no state of quarantine").into());
    }
    Ok(body.locks)
}

/// Far more than any client sends.
const LIMIT_BYTES: usize = 64 << 10;
