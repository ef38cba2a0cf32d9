//! Functions that compare.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::error::Fault;
use super::arguments::{kind_of, same};

type Outcome = Result<Value, Fault>;

pub(super) fn equals(arguments: Vec<Value>) -> Outcome {
    Ok(same(&arguments[0], &arguments[1]).into())
}

pub(super) fn less(arguments: Vec<Value>) -> Outcome {
    Ok(compare(&arguments)?.is_lt().into())
}

pub(super) fn less_or_equals(arguments: Vec<Value>) -> Outcome {
    Ok(compare(&arguments)?.is_le().into())
}

pub(super) fn greater(arguments: Vec<Value>) -> Outcome {
    Ok(compare(&arguments)?.is_gt().into())
}

pub(super) fn greater_or_equals(arguments: Vec<Value>) -> Outcome {
    Ok(compare(&arguments)?.is_ge().into())
}

fn compare(arguments: &[Value]) -> Result<Ordering, Fault> {
    let order = match (&arguments[0], &arguments[1]) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64().partial_cmp(&other.as_f64()),
        },
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        _ => None,
    };
    order.ok_or_else(|| {
        let (one, other) = (kind_of(&arguments[0]), kind_of(&arguments[1]));
        Fault::wrong(format!("expects two integers or two strings and was given {one} and {other}"))
    })
}
