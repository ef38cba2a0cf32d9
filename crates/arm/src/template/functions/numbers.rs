//! Functions on numbers.

use serde_json::{Number, Value};

use super::super::error::Fault;
use super::arguments::{expected, integer};

type Outcome = Result<Value, Fault>;

pub(super) fn add(arguments: Vec<Value>) -> Outcome {
    calculate(&arguments, i64::checked_add)
}

pub(super) fn sub(arguments: Vec<Value>) -> Outcome {
    calculate(&arguments, i64::checked_sub)
}

pub(super) fn mul(arguments: Vec<Value>) -> Outcome {
    calculate(&arguments, i64::checked_mul)
}

pub(super) fn div(arguments: Vec<Value>) -> Outcome {
    not_zero(&arguments)?;
    calculate(&arguments, i64::checked_div)
}

pub(super) fn modulo(arguments: Vec<Value>) -> Outcome {
    not_zero(&arguments)?;
    calculate(&arguments, i64::checked_rem)
}

fn calculate(arguments: &[Value], operation: fn(i64, i64) -> Option<i64>) -> Outcome {
    let result = operation(integer(arguments, 0)?, integer(arguments, 1)?);
    Ok(result.ok_or_else(|| Fault::wrong("comes to more than 64 bits hold"))?.into())
}

fn not_zero(arguments: &[Value]) -> Result<(), Fault> {
    match integer(arguments, 1)? {
        0 => Err(Fault::wrong("cannot divide by zero")),
        _ => Ok(()),
    }
}

pub(super) fn min(arguments: Vec<Value>) -> Outcome {
    choose(arguments, |numbers| numbers.min())
}

pub(super) fn max(arguments: Vec<Value>) -> Outcome {
    choose(arguments, |numbers| numbers.max())
}

/// Of integers, or of an array of them.
fn choose(arguments: Vec<Value>, which: fn(std::vec::IntoIter<i64>) -> Option<i64>) -> Outcome {
    let elements = match <[Value; 1]>::try_from(arguments) {
        Ok([Value::Array(elements)]) => elements,
        Ok(one) => one.into(),
        Err(several) => several,
    };
    let numbers: Vec<i64> = (0..elements.len()).map(|at| integer(&elements, at)).collect::<Result<_, _>>()?;
    Ok(which(numbers.into_iter()).ok_or_else(|| Fault::wrong("expects at least one integer"))?.into())
}

pub(super) fn int(arguments: Vec<Value>) -> Outcome {
    let wrong = || Fault::wrong("was given what is no integer");
    match &arguments[0] {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Ok(number.into()),
            #[expect(clippy::cast_possible_truncation, reason = "within the bounds, as asked before")]
            (None, Some(number)) if number.abs() < 9e18 => Ok((number as i64).into()),
            _ => Err(wrong()),
        },
        Value::String(text) => Ok(text.trim().parse::<i64>().map_err(|_| wrong())?.into()),
        other => Err(expected("a string or a number", 0, Some(other))),
    }
}

pub(super) fn float(arguments: Vec<Value>) -> Outcome {
    let wrong = || Fault::wrong("was given what is no number");
    let number = match &arguments[0] {
        Value::Number(number) => number.as_f64().ok_or_else(wrong)?,
        Value::String(text) => text.trim().parse().map_err(|_| wrong())?,
        other => return Err(expected("a string or a number", 0, Some(other))),
    };
    Ok(Value::Number(Number::from_f64(number).ok_or_else(wrong)?))
}
