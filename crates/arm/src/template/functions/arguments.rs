//! Arguments of functions: their types, in the template language's words, and how they become texts.

use serde_json::{Map, Value};

use super::super::error::Fault;
use super::super::limits;

/// The type of a value, as messages call it.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    }
}

/// Whether two values are the same. Numbers are, when they are equal, whether or not they are written with a fraction.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// A member of an object, whatever its casing.
pub(crate) fn member<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    let others = || members.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    members.get(name).or_else(others)
}

pub(super) fn text(arguments: &[Value], at: usize) -> Result<&str, Fault> {
    match arguments.get(at) {
        Some(Value::String(text)) => Ok(text),
        other => Err(expected("a string", at, other)),
    }
}

pub(super) fn integer(arguments: &[Value], at: usize) -> Result<i64, Fault> {
    match arguments.get(at) {
        Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64().unwrap_or_default()),
        other => Err(expected("an integer", at, other)),
    }
}

pub(super) fn boolean(arguments: &[Value], at: usize) -> Result<bool, Fault> {
    match arguments.get(at) {
        Some(Value::Bool(value)) => Ok(*value),
        other => Err(expected("a boolean", at, other)),
    }
}

pub(super) fn array(arguments: &[Value], at: usize) -> Result<&[Value], Fault> {
    match arguments.get(at) {
        Some(Value::Array(elements)) => Ok(elements),
        other => Err(expected("an array", at, other)),
    }
}

pub(super) fn object(arguments: &[Value], at: usize) -> Result<&Map<String, Value>, Fault> {
    match arguments.get(at) {
        Some(Value::Object(members)) => Ok(members),
        other => Err(expected("an object", at, other)),
    }
}

/// That another type was expected. Tells the type that was given, not the value: it may be a secret.
pub(super) fn expected(what: &str, at: usize, given: Option<&Value>) -> Fault {
    let given = given.map_or("nothing", kind_of);
    Fault::wrong(format!("expects {what} as argument {} and was given {given}", at + 1))
}

/// A value as part of a text: `True`, `12`, a text as it is, anything else as JSON.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A text that does not grow beyond what is allowed.
#[derive(Debug, Default)]
pub(super) struct Bounded(String);

impl Bounded {
    pub(super) fn push(&mut self, text: &str) -> Result<(), Fault> {
        if self.0.len() + text.len() > limits::TEXT_BYTES {
            return Err(Fault::TooLarge("a text is longer than 1 MiB"));
        }
        self.0.push_str(text);
        Ok(())
    }

    pub(super) fn finish(self) -> Value {
        Value::String(self.0)
    }
}
