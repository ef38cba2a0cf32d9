//! Functions on texts. Positions and lengths are in characters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::super::error::Fault;
use super::super::{hash, jsonc, limits};
use super::arguments::{Bounded, array, as_text, expected, integer, kind_of, text};

type Outcome = Result<Value, Fault>;

pub(super) fn base64(arguments: Vec<Value>) -> Outcome {
    bounded(&STANDARD.encode(text(&arguments, 0)?))
}

pub(super) fn base64_to_string(arguments: Vec<Value>) -> Outcome {
    Ok(Value::String(decode(text(&arguments, 0)?)?))
}

pub(super) fn base64_to_json(arguments: Vec<Value>) -> Outcome {
    let decoded = decode(text(&arguments, 0)?)?;
    jsonc::read(decoded.as_bytes()).map_err(|_| Fault::wrong("was given Base64 of a text that is not JSON"))
}

pub(super) fn data_uri(arguments: Vec<Value>) -> Outcome {
    let encoded = STANDARD.encode(as_text(&arguments[0]));
    bounded(&format!("data:text/plain;charset=utf8;base64,{encoded}"))
}

pub(super) fn data_uri_to_string(arguments: Vec<Value>) -> Outcome {
    let wrong = || Fault::wrong("was given what is no data URI");
    let (head, data) =
        text(&arguments, 0)?.strip_prefix("data:").and_then(|uri| uri.split_once(',')).ok_or_else(wrong)?;
    if head.ends_with(";base64") {
        return Ok(Value::String(decode(data)?));
    }
    Ok(Value::String(percent_decode_str(data).decode_utf8().map_err(|_| wrong())?.into_owned()))
}

fn decode(encoded: &str) -> Result<String, Fault> {
    let wrong = || Fault::wrong("was given what is not Base64 of a UTF-8 text");
    String::from_utf8(STANDARD.decode(encoded).map_err(|_| wrong())?).map_err(|_| wrong())
}

pub(super) fn starts_with(arguments: Vec<Value>) -> Outcome {
    let (whole, part) = (text(&arguments, 0)?.to_lowercase(), text(&arguments, 1)?.to_lowercase());
    Ok(whole.starts_with(&part).into())
}

pub(super) fn ends_with(arguments: Vec<Value>) -> Outcome {
    let (whole, part) = (text(&arguments, 0)?.to_lowercase(), text(&arguments, 1)?.to_lowercase());
    Ok(whole.ends_with(&part).into())
}

pub(super) fn index_of(arguments: Vec<Value>) -> Outcome {
    position(arguments, |whole, part| whole.find(part))
}

pub(super) fn last_index_of(arguments: Vec<Value>) -> Outcome {
    position(arguments, |whole, part| whole.rfind(part))
}

/// The place of an element in an array, or of a text in another, whatever the casing; -1 if it is not there.
fn position(arguments: Vec<Value>, find: fn(&str, &str) -> Option<usize>) -> Outcome {
    if let Value::Array(elements) = &arguments[0] {
        let found = elements.iter().position(|element| super::same(element, &arguments[1]));
        return Ok(found.map_or(-1, signed).into());
    }
    let (whole, part) = (text(&arguments, 0)?.to_lowercase(), text(&arguments, 1)?.to_lowercase());
    Ok(find(&whole, &part).map_or(-1, |at| signed(whole[..at].chars().count())).into())
}

pub(super) fn guid(arguments: Vec<Value>) -> Outcome {
    Ok(Value::String(hash::guid(&with_hyphens(&arguments)?).hyphenated().to_string()))
}

pub(super) fn unique_string(arguments: Vec<Value>) -> Outcome {
    Ok(Value::String(hash::unique_string(&with_hyphens(&arguments)?)))
}

fn with_hyphens(arguments: &[Value]) -> Result<String, Fault> {
    let parts: Vec<&str> = (0..arguments.len()).map(|at| text(arguments, at)).collect::<Result<_, _>>()?;
    Ok(parts.join("-"))
}

pub(super) fn join(arguments: Vec<Value>) -> Outcome {
    let (elements, delimiter) = (array(&arguments, 0)?, text(&arguments, 1)?);
    let mut joined = Bounded::default();
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            joined.push(delimiter)?;
        }
        joined.push(&as_text(element))?;
    }
    Ok(joined.finish())
}

pub(super) fn pad_left(arguments: Vec<Value>) -> Outcome {
    let value = match &arguments[0] {
        value @ (Value::String(_) | Value::Number(_)) => as_text(value),
        other => return Err(expected("a string or an integer", 0, Some(other))),
    };
    let width = usize::try_from(integer(&arguments, 1)?).map_err(|_| Fault::wrong("was given a negative length"))?;
    let padding = if arguments.len() > 2 { text(&arguments, 2)? } else { " " };
    let mut characters = padding.chars();
    let (Some(padding), None) = (characters.next(), characters.next()) else {
        return Err(Fault::wrong("expects a single character as argument 3"));
    };
    let missing = width.saturating_sub(value.chars().count());
    if missing > limits::TEXT_BYTES / 4 {
        return Err(Fault::TooLarge("a text is longer than 1 MiB"));
    }
    let padding: String = std::iter::repeat_n(padding, missing).collect();
    bounded(&(padding + &value))
}

pub(super) fn replace(arguments: Vec<Value>) -> Outcome {
    let (whole, old, new) = (text(&arguments, 0)?, text(&arguments, 1)?, text(&arguments, 2)?);
    if old.is_empty() {
        return Err(Fault::wrong("cannot look for an empty text"));
    }
    let mut replaced = Bounded::default();
    for (i, part) in whole.split(old).enumerate() {
        if i > 0 {
            replaced.push(new)?;
        }
        replaced.push(part)?;
    }
    Ok(replaced.finish())
}

pub(super) fn split(arguments: Vec<Value>) -> Outcome {
    let whole = text(&arguments, 0)?;
    let delimiters: Vec<&str> = match &arguments[1] {
        Value::String(delimiter) => vec![delimiter],
        Value::Array(elements) => (0..elements.len()).map(|at| text(elements, at)).collect::<Result<_, _>>()?,
        other => return Err(expected("a string or an array of strings", 1, Some(other))),
    };
    let delimiters: Vec<&str> = delimiters.into_iter().filter(|delimiter| !delimiter.is_empty()).collect();
    if delimiters.len() > 100 {
        return Err(Fault::TooLarge("a text is split at more than 100 delimiters"));
    }
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < whole.len() {
        // Of delimiters that begin at the same place, the one named first counts.
        match delimiters.iter().find(|delimiter| whole[at..].starts_with(**delimiter)) {
            Some(delimiter) => {
                parts.push(Value::from(&whole[start..at]));
                at += delimiter.len();
                start = at;
            }
            None => at += whole[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    parts.push(Value::from(&whole[start..]));
    Ok(Value::Array(parts))
}

pub(super) fn string(arguments: Vec<Value>) -> Outcome {
    bounded(&as_text(&arguments[0]))
}

pub(super) fn substring(arguments: Vec<Value>) -> Outcome {
    let whole = text(&arguments, 0)?;
    let all = whole.chars().count();
    let outside = || Fault::wrong(format!("was asked for a part that is not within the text's {all} characters"));
    let start = usize::try_from(integer(&arguments, 1)?).map_err(|_| outside())?;
    let left = all.checked_sub(start).ok_or_else(outside)?;
    let length = match arguments.len() {
        2 => left,
        _ => usize::try_from(integer(&arguments, 2)?).ok().filter(|length| *length <= left).ok_or_else(outside)?,
    };
    Ok(whole.chars().skip(start).take(length).collect::<String>().into())
}

pub(super) fn to_lower(arguments: Vec<Value>) -> Outcome {
    bounded(&text(&arguments, 0)?.to_lowercase())
}

pub(super) fn to_upper(arguments: Vec<Value>) -> Outcome {
    bounded(&text(&arguments, 0)?.to_uppercase())
}

pub(super) fn trim(arguments: Vec<Value>) -> Outcome {
    Ok(text(&arguments, 0)?.trim().into())
}

pub(super) fn uri(arguments: Vec<Value>) -> Outcome {
    let base =
        Url::parse(text(&arguments, 0)?).map_err(|e| Fault::wrong(format!("was given no absolute URI ({e})")))?;
    let joined = base.join(text(&arguments, 1)?).map_err(|e| Fault::wrong(format!("cannot combine the URIs ({e})")))?;
    bounded(joined.as_str())
}

pub(super) fn uri_component(arguments: Vec<Value>) -> Outcome {
    /// What RFC 3986 calls unreserved stays.
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    bounded(&utf8_percent_encode(text(&arguments, 0)?, RESERVED).to_string())
}

pub(super) fn uri_component_to_string(arguments: Vec<Value>) -> Outcome {
    let decoded = percent_decode_str(text(&arguments, 0)?).decode_utf8();
    Ok(decoded.map_err(|_| Fault::wrong("was given what does not decode to UTF-8"))?.into())
}

/// The characters of a text, or the elements of an array: how many there are.
pub(super) fn length_of(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::String(text) => Ok(signed(text.chars().count())),
        Value::Array(elements) => Ok(signed(elements.len())),
        Value::Object(members) => Ok(signed(members.len())),
        other => Err(Fault::wrong(format!("expects a string, an array or an object and was given {}", kind_of(other)))),
    }
}

pub(super) fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn bounded(text: &str) -> Outcome {
    let mut bounded = Bounded::default();
    bounded.push(text)?;
    Ok(bounded.finish())
}
