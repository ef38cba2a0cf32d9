//! One request: who asks for what, and what handlers need to answer it.

use std::sync::Arc;

use axum::body::Body;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_identity::{Identity, Principal};
use wharf_metadata::{ApplicationId, Database};
use wharf_model::{Client, Clock, PrincipalId};

use crate::error::{Code, GraphError};
use crate::query::Query;

/// A request whose caller is known.
pub(crate) struct Call {
    pub(crate) identity: Identity,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) caller: Arc<Principal>,
    pub(crate) client: Client,
    /// What every address begins with, such as `https://management.example.com/graph/v1.0`.
    pub(crate) base: String,
    pub(crate) query: Query,
}

/// An answer that is no error.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Json(StatusCode, Value),
    Text(String),
    Nothing,
}

impl Call {
    /// 200 with one object of a kind, such as `users`.
    pub(crate) fn object(&self, kind: &str, object: Map<String, Value>) -> Answer {
        Answer::Json(StatusCode::OK, self.in_context(&format!("{kind}/$entity"), object))
    }

    /// 201 with the object that was created.
    pub(crate) fn created(&self, kind: &str, object: Map<String, Value>) -> Answer {
        Answer::Json(StatusCode::CREATED, self.in_context(&format!("{kind}/$entity"), object))
    }

    /// 200 with all of a list.
    pub(crate) fn list(&self, kind: &str, values: Vec<Value>) -> Answer {
        let mut body = Map::new();
        body.insert("value".to_owned(), values.into());
        Answer::Json(StatusCode::OK, self.in_context(kind, body))
    }

    pub(crate) fn in_context(&self, kind: &str, mut body: Map<String, Value>) -> Value {
        body.insert("@odata.context".to_owned(), json!(format!("{}/$metadata#{kind}", self.base)));
        Value::Object(body)
    }
}

/// Reads a body that is a JSON object.
pub(crate) async fn read_body(body: Body) -> Result<Map<String, Value>, GraphError> {
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, MOST_BODY_BYTES).collect()).await;
    let bytes = match collected {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("The body has more than {MOST_BODY_BYTES} bytes.");
            return Err(GraphError::new(Code::TooLarge, text));
        }
        Ok(Err(_)) => return Err(GraphError::new(Code::BadRequest, "The body ended before it was complete.")),
        Err(_) => return Err(GraphError::new(Code::Timeout, "The body did not arrive in time.")),
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(GraphError::new(Code::BadRequest, "The body is not a JSON object.")),
        Err(error) => Err(GraphError::new(Code::BadRequest, format!("Unable to read JSON request payload: {error}."))),
    }
}

/// A member of a body that is a text.
pub(crate) fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>, GraphError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(GraphError::invalid(format!("Property '{name}' must be a text."))),
    }
}

/// A member of a body that is true or false.
pub(crate) fn flag(body: &Map<String, Value>, name: &str) -> Result<Option<bool>, GraphError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(GraphError::invalid(format!("Property '{name}' must be true or false."))),
    }
}

/// A member of a body that is a list of texts.
pub(crate) fn texts(body: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, GraphError> {
    let wrong = || GraphError::invalid(format!("Property '{name}' must be a list of texts."));
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong));
            texts.collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

/// An object id.
pub(crate) fn uuid(text: &str) -> Result<Uuid, GraphError> {
    text.parse().map_err(|_| GraphError::invalid(format!("Invalid object identifier '{text}'.")))
}

/// The object id of a principal.
pub(crate) fn principal_id(text: &str) -> Result<PrincipalId, GraphError> {
    uuid(text).map(PrincipalId)
}

/// The object id of an application.
pub(crate) fn application_id(text: &str) -> Result<ApplicationId, GraphError> {
    uuid(text).map(ApplicationId)
}

/// The object id that an address such as `https://…/v1.0/directoryObjects/<id>` ends with.
pub(crate) fn id_in_address(address: &str) -> Result<PrincipalId, GraphError> {
    let last = address.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    // Also `users('<id>')`.
    let id = last.split_once("('").and_then(|(_, rest)| rest.strip_suffix("')")).unwrap_or(last);
    id.parse().map_err(|_| GraphError::invalid(format!("Invalid URL format specified in payload: '{address}'.")))
}

/// The most that a body may hold, in bytes.
const MOST_BODY_BYTES: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIME: std::time::Duration = std::time::Duration::from_secs(30);
