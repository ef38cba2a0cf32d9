//! `format('{0}-{1:D3}', …)`: .NET's composite formatting, as far as templates use it.

use serde_json::Value;

use super::super::error::Fault;
use super::super::limits;
use super::arguments::{Bounded, as_text, text};

/// Fills the places in braces.
pub(super) fn format(arguments: Vec<Value>) -> Result<Value, Fault> {
    let wrong = || Fault::wrong("was given a format in which a brace is alone; write '{{' or '}}' for one that stays");
    let mut filled = Bounded::default();
    let mut rest = text(&arguments, 0)?;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push(&rest[..at])?;
        let (brace, after) = rest[at..].split_at(1);
        if after.starts_with(brace) {
            filled.push(brace)?;
            rest = &after[1..];
            continue;
        }
        if brace == "}" {
            return Err(wrong());
        }
        let (place, after) = after.split_once('}').ok_or_else(wrong)?;
        filled.push(&fill(place, &arguments[1..])?)?;
        rest = after;
    }
    filled.push(rest)?;
    Ok(filled.finish())
}

/// What stands for `index[,width][:style]`.
fn fill(place: &str, values: &[Value]) -> Result<String, Fault> {
    let wrong = || Fault::wrong(format!("was given a format with '{{{place}}}', for which there is no argument"));
    let (place_and_width, style) = match place.split_once(':') {
        Some((before, style)) => (before, Some(style)),
        None => (place, None),
    };
    let (index, width) = match place_and_width.split_once(',') {
        Some((index, width)) => (index, width.trim().parse::<i64>().map_err(|_| wrong())?),
        None => (place_and_width, 0),
    };
    let value = index.trim().parse::<usize>().ok().and_then(|index| values.get(index)).ok_or_else(wrong)?;
    let text = match (style, value) {
        (None | Some(""), value) => as_text(value),
        (Some(style), Value::Number(number)) if number.is_i64() => styled(number.as_i64().unwrap_or_default(), style)?,
        (Some(style), _) => return Err(Fault::Unsupported(format!("the format '{style}' for other than integers"))),
    };
    let wide = usize::try_from(width.unsigned_abs()).ok().filter(|width| *width <= limits::TEXT_BYTES / 4);
    let padding =
        " ".repeat(wide.ok_or(Fault::TooLarge("a text is longer than 1 MiB"))?.saturating_sub(text.chars().count()));
    Ok(if width < 0 { text + &padding } else { padding + &text })
}

/// An integer in one of .NET's standard styles, or in a row of zeros.
fn styled(number: i64, style: &str) -> Result<String, Fault> {
    let unsupported = || Fault::Unsupported(format!("the format '{style}'"));
    if style.chars().all(|c| c == '0') && style.len() <= 64 {
        return Ok(with_sign(number, &format!("{:0width$}", number.unsigned_abs(), width = style.len())));
    }
    let mut characters = style.chars();
    let letter = characters.next().ok_or_else(unsupported)?;
    let digits: Option<usize> = match characters.as_str() {
        "" => None,
        digits => Some(digits.parse().ok().filter(|digits| *digits <= 64).ok_or_else(unsupported)?),
    };
    let fewest = digits.unwrap_or(1).max(1);
    let fraction = match digits.unwrap_or(2) {
        0 => String::new(),
        decimals => format!(".{}", "0".repeat(decimals)),
    };
    match letter {
        'D' | 'd' => Ok(with_sign(number, &format!("{:0fewest$}", number.unsigned_abs()))),
        'X' => Ok(format!("{number:0fewest$X}")),
        'x' => Ok(format!("{number:0fewest$x}")),
        'F' | 'f' => Ok(with_sign(number, &format!("{}{fraction}", number.unsigned_abs()))),
        'N' | 'n' => Ok(with_sign(number, &format!("{}{fraction}", in_thousands(number.unsigned_abs())))),
        'G' | 'g' if digits.is_none() => Ok(number.to_string()),
        _ => Err(unsupported()),
    }
}

fn with_sign(number: i64, digits: &str) -> String {
    if number < 0 { format!("-{digits}") } else { digits.to_owned() }
}

fn in_thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}
