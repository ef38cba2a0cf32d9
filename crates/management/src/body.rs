//! Bodies of requests.

use serde_json::{Map, Value};
use wharf_arm::{ArmError, Code};

/// Reads a body that is to be a JSON object; an empty one counts as `{}`.
///
/// # Errors
/// `InvalidRequestContent`, saying where it stops being one.
pub(crate) fn parse(bytes: &[u8]) -> Result<Map<String, Value>, ArmError> {
    // A byte order mark, which PowerShell's files begin with.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        // az sends `null` for an object without members.
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(ArmError::new(Code::InvalidRequestContent, "The body is not a JSON object.")),
        Err(error) => Err(ArmError::new(Code::InvalidRequestContent, format!("The body is not JSON: {error}."))),
    }
}

/// The most that a body may hold, in bytes.
pub(crate) const MOST_BYTES: usize = 4 << 20;
