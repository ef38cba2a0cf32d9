//! Functions on truth, and `json`.

use serde_json::Value;

use super::super::error::Fault;
use super::super::jsonc;
use super::arguments::{boolean, expected, text};

type Outcome = Result<Value, Fault>;

pub(super) fn bool(arguments: Vec<Value>) -> Outcome {
    match &arguments[0] {
        Value::Bool(value) => Ok((*value).into()),
        Value::Number(number) if number.is_i64() => Ok((number.as_i64() != Some(0)).into()),
        Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(true.into()),
        Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => Ok(false.into()),
        Value::String(_) => Err(Fault::wrong("expects 'true' or 'false'")),
        other => Err(expected("a string, an integer or a boolean", 0, Some(other))),
    }
}

pub(super) fn not(arguments: Vec<Value>) -> Outcome {
    Ok((!boolean(&arguments, 0)?).into())
}

pub(super) fn json(arguments: Vec<Value>) -> Outcome {
    let wrong = |_| Fault::wrong("was given a text that is not JSON");
    jsonc::read(text(&arguments, 0)?.as_bytes()).map_err(wrong)
}
