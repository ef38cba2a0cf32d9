//! Functions on arrays and objects, and those that take texts too.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::super::error::Fault;
use super::super::limits;
use super::arguments::{Bounded, array as array_at, as_text, expected, integer, kind_of, member, object, same, text};
use super::text::length_of;

type Outcome = Result<Value, Fault>;

pub(super) fn array(mut arguments: Vec<Value>) -> Outcome {
    match arguments.remove(0) {
        elements @ Value::Array(_) => Ok(elements),
        other => Ok(Value::Array(vec![other])),
    }
}

pub(super) fn concat(arguments: Vec<Value>) -> Outcome {
    if arguments.iter().all(Value::is_array) {
        let elements = arguments.into_iter().flat_map(|argument| match argument {
            Value::Array(elements) => elements,
            _ => Vec::new(),
        });
        return Ok(Value::Array(elements.collect()));
    }
    let mut joined = Bounded::default();
    for (at, argument) in arguments.iter().enumerate() {
        if matches!(argument, Value::Array(_) | Value::Object(_) | Value::Null) {
            return Err(expected("either only arrays or only strings; not this", at, Some(argument)));
        }
        joined.push(&as_text(argument))?;
    }
    Ok(joined.finish())
}

pub(super) fn contains(arguments: Vec<Value>) -> Outcome {
    let found = match &arguments[0] {
        Value::String(whole) => match &arguments[1] {
            part @ (Value::String(_) | Value::Number(_)) => whole.contains(&as_text(part)),
            other => return Err(expected("a string", 1, Some(other))),
        },
        Value::Array(elements) => elements.iter().any(|element| same(element, &arguments[1])),
        Value::Object(members) => member(members, text(&arguments, 1)?).is_some(),
        other => return Err(expected("a string, an array or an object", 0, Some(other))),
    };
    Ok(found.into())
}

pub(super) fn create_array(arguments: Vec<Value>) -> Outcome {
    Ok(Value::Array(arguments))
}

pub(super) fn create_object(arguments: Vec<Value>) -> Outcome {
    if !arguments.len().is_multiple_of(2) {
        return Err(Fault::wrong("expects names and values in turn, and the last name has no value"));
    }
    let mut members = Map::new();
    let mut arguments = arguments.into_iter();
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        let Value::String(name) = name else {
            return Err(Fault::wrong(format!("expects strings as names and was given {}", kind_of(&name))));
        };
        members.insert(name, value);
    }
    Ok(Value::Object(members))
}

pub(super) fn empty(arguments: Vec<Value>) -> Outcome {
    match &arguments[0] {
        Value::Null => Ok(true.into()),
        other => Ok((length_of(other)? == 0).into()),
    }
}

pub(super) fn length(arguments: Vec<Value>) -> Outcome {
    Ok(length_of(&arguments[0])?.into())
}

pub(super) fn first(arguments: Vec<Value>) -> Outcome {
    match &arguments[0] {
        Value::String(whole) => Ok(whole.chars().next().map(String::from).unwrap_or_default().into()),
        Value::Array(elements) => Ok(elements.first().cloned().unwrap_or_default()),
        other => Err(expected("a string or an array", 0, Some(other))),
    }
}

pub(super) fn last(arguments: Vec<Value>) -> Outcome {
    match &arguments[0] {
        Value::String(whole) => Ok(whole.chars().next_back().map(String::from).unwrap_or_default().into()),
        Value::Array(elements) => Ok(elements.last().cloned().unwrap_or_default()),
        other => Err(expected("a string or an array", 0, Some(other))),
    }
}

pub(super) fn skip(arguments: Vec<Value>) -> Outcome {
    part(&arguments, |count| (count, usize::MAX))
}

pub(super) fn take(arguments: Vec<Value>) -> Outcome {
    part(&arguments, |count| (0, count))
}

/// A part of a text or an array: how much is left out before it, and how much it holds, from the count that was given.
fn part(arguments: &[Value], bounds: fn(usize) -> (usize, usize)) -> Outcome {
    let (left_out, held) = bounds(usize::try_from(integer(arguments, 1)?).unwrap_or(0));
    match &arguments[0] {
        Value::String(whole) => Ok(whole.chars().skip(left_out).take(held).collect::<String>().into()),
        Value::Array(elements) => Ok(elements.iter().skip(left_out).take(held).cloned().collect()),
        other => Err(expected("a string or an array", 0, Some(other))),
    }
}

pub(super) fn flatten(arguments: Vec<Value>) -> Outcome {
    let mut flat = Vec::new();
    for (i, element) in array_at(&arguments, 0)?.iter().enumerate() {
        match element {
            Value::Array(elements) => flat.extend(elements.iter().cloned()),
            other => {
                let given = kind_of(other);
                return Err(Fault::wrong(format!("expects an array of arrays, and element {i} is {given}")));
            }
        }
    }
    Ok(Value::Array(flat))
}

pub(super) fn intersection(mut arguments: Vec<Value>) -> Outcome {
    let first = arguments.remove(0);
    arguments.into_iter().try_fold(first, |common, next| match (common, &next) {
        (Value::Array(elements), Value::Array(others)) => {
            let others: HashSet<String> = others.iter().map(Value::to_string).collect();
            let mut seen = HashSet::new();
            let is_common = |element: &Value| {
                let written = element.to_string();
                others.contains(&written) && seen.insert(written)
            };
            Ok(Value::Array(elements.into_iter().filter(is_common).collect()))
        }
        (Value::Object(members), Value::Object(others)) => {
            let is_common = |(name, value): &(String, Value)| others.get(name).is_some_and(|other| same(other, value));
            Ok(Value::Object(members.into_iter().filter(is_common).collect()))
        }
        _ => Err(Fault::wrong("expects either only arrays or only objects")),
    })
}

pub(super) fn union(mut arguments: Vec<Value>) -> Outcome {
    let first = arguments.remove(0);
    if arguments.iter().any(|argument| kind_of(argument) != kind_of(&first)) {
        return Err(Fault::wrong("expects either only arrays or only objects"));
    }
    match first {
        Value::Array(elements) => {
            let others = arguments.into_iter().flat_map(|other| match other {
                Value::Array(elements) => elements,
                _ => Vec::new(),
            });
            let mut seen = HashSet::new();
            Ok(Value::Array(
                elements.into_iter().chain(others).filter(|element| seen.insert(element.to_string())).collect(),
            ))
        }
        Value::Object(mut members) => {
            for other in arguments {
                if let Value::Object(other) = other {
                    merge(&mut members, other);
                }
            }
            Ok(Value::Object(members))
        }
        other => Err(expected("an array or an object", 0, Some(&other))),
    }
}

/// Puts members over those that are there; objects in objects are merged likewise.
fn merge(members: &mut Map<String, Value>, others: Map<String, Value>) {
    for (name, value) in others {
        match (members.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(others)) => merge(inner, others),
            (_, value) => {
                members.insert(name, value);
            }
        }
    }
}

pub(super) fn shallow_merge(arguments: Vec<Value>) -> Outcome {
    let mut merged = Map::new();
    let objects = array_at(&arguments, 0)?;
    for at in 0..objects.len() {
        merged.extend(object(objects, at)?.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Ok(Value::Object(merged))
}

pub(super) fn items(arguments: Vec<Value>) -> Outcome {
    let members = object(&arguments, 0)?;
    let mut named: Vec<_> = members.iter().collect();
    named.sort_by_key(|(name, _)| name.to_lowercase());
    Ok(named.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect())
}

pub(super) fn object_keys(arguments: Vec<Value>) -> Outcome {
    let mut names: Vec<&String> = object(&arguments, 0)?.keys().collect();
    names.sort_by_key(|name| name.to_lowercase());
    Ok(names.into_iter().cloned().collect())
}

pub(super) fn range(arguments: Vec<Value>) -> Outcome {
    let (start, count) = (integer(&arguments, 0)?, integer(&arguments, 1)?);
    if !(0..=limits::RANGE).contains(&count) {
        return Err(Fault::wrong(format!("expects a count from 0 to {}", limits::RANGE)));
    }
    let end = start.checked_add(count).filter(|end| *end <= i64::from(i32::MAX) + 1);
    let end = end.ok_or_else(|| Fault::wrong("would pass the largest integer of 32 bits"))?;
    Ok((start..end).collect())
}

pub(super) fn try_get(mut arguments: Vec<Value>) -> Outcome {
    let path = arguments.split_off(1);
    let mut at = &arguments[0];
    for (i, step) in path.iter().enumerate() {
        let next = match (at, step) {
            (Value::Null, _) => None,
            (Value::Object(members), Value::String(name)) => member(members, name),
            (Value::Array(elements), Value::Number(_)) => {
                usize::try_from(integer(&path, i)?).ok().and_then(|index| elements.get(index))
            }
            (_, step) => return Err(expected("the name of a member or the index of an element", i + 1, Some(step))),
        };
        match next {
            Some(next) => at = next,
            None => return Ok(Value::Null),
        }
    }
    Ok(at.clone())
}

pub(super) fn index_from_end(arguments: Vec<Value>) -> Outcome {
    from_end(&arguments)?.ok_or_else(|| Fault::wrong("was asked for an element that is not there"))
}

pub(super) fn try_index_from_end(arguments: Vec<Value>) -> Outcome {
    Ok(from_end(&arguments)?.unwrap_or_default())
}

/// The element that is so many places from the end, counted from 1.
fn from_end(arguments: &[Value]) -> Result<Option<Value>, Fault> {
    let elements = array_at(arguments, 0)?;
    let position = usize::try_from(integer(arguments, 1)?).ok().and_then(|back| elements.len().checked_sub(back));
    Ok(position.and_then(|at| elements.get(at)).cloned())
}
