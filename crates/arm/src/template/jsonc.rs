//! JSON as Azure Resource Manager reads it.
//!
//! Beside strict JSON it takes what template files hold and what `az` sends: comments (`//` and `/* */`), names without
//! quotes (`az` writes `template:{…}` into the request's body), strings in single quotes, line ends inside strings, a
//! comma after the last element, and a byte order mark. Names that stand twice in one object are refused: two readers
//! could take different ones.
//!
//! Source: `acr/control-plane.md` 5; "Multi-line strings" and "Comments" of the ARM template syntax.

use serde_json::{Map, Number, Value};

use super::error::TemplateError;
use super::limits;

/// Reads a document.
///
/// # Errors
/// [`TemplateError::Syntax`] for anything else, and for documents that nest deeper or hold more values than a template
/// may.
pub fn read(text: &[u8]) -> Result<Value, TemplateError> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(e) => return Err(syntax(&String::from_utf8_lossy(&text[..e.valid_up_to()]), None, "not UTF-8")),
    };
    let mut reader = Reader { text, rest: text.strip_prefix('\u{feff}').unwrap_or(text), values: 0 };
    let value = reader.document();
    value.map_err(|reason| syntax(text, Some(reader.rest.len()), &reason))
}

fn syntax(text: &str, left_bytes: Option<usize>, reason: &str) -> TemplateError {
    let before = &text[..text.len() - left_bytes.unwrap_or(0)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    TemplateError::Syntax { reason: reason.to_owned(), line, column }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    values: usize,
}

type Read<T> = Result<T, String>;

impl<'t> Reader<'t> {
    fn document(&mut self) -> Read<Value> {
        self.skip()?;
        let value = self.value(0)?;
        self.skip()?;
        if self.rest.is_empty() { Ok(value) } else { Err("expected the end".to_owned()) }
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        if depth > limits::DEPTH {
            return Err(format!("values nest deeper than {}", limits::DEPTH));
        }
        self.values += 1;
        if self.values > limits::VALUES {
            return Err(format!("more than {} values", limits::VALUES));
        }
        match self.rest.as_bytes().first() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"' | b'\'') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => match self.word() {
                Some("true") => Ok(Value::Bool(true)),
                Some("false") => Ok(Value::Bool(false)),
                Some("null") => Ok(Value::Null),
                _ => Err("expected a value".to_owned()),
            },
            None => Err("expected a value, and found the end".to_owned()),
        }
    }

    fn object(&mut self, depth: usize) -> Read<Value> {
        let mut members = Map::new();
        self.bump(1);
        loop {
            self.skip()?;
            if self.take('}') {
                return Ok(Value::Object(members));
            }
            let name = match self.rest.as_bytes().first() {
                Some(b'"' | b'\'') => self.string()?,
                _ => self.word().ok_or("expected the name of a member or '}'")?.to_owned(),
            };
            self.skip()?;
            if !self.take(':') {
                return Err(format!("expected ':' after the name '{}'", short(&name)));
            }
            self.skip()?;
            let value = self.value(depth + 1)?;
            if members.contains_key(&name) {
                return Err(format!("the member '{}' is there twice", short(&name)));
            }
            members.insert(name, value);
            self.skip()?;
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err("expected ',' or '}'".to_owned());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Read<Value> {
        let mut elements = Vec::new();
        self.bump(1);
        loop {
            self.skip()?;
            if self.take(']') {
                return Ok(Value::Array(elements));
            }
            elements.push(self.value(depth + 1)?);
            self.skip()?;
            if !self.take(',') && !self.rest.starts_with(']') {
                return Err("expected ',' or ']'".to_owned());
            }
        }
    }

    fn string(&mut self) -> Read<String> {
        let quote = if self.take('"') {
            '"'
        } else {
            self.bump(1);
            '\''
        };
        let mut read = String::new();
        loop {
            let end = self.rest.find([quote, '\\']).ok_or("a string does not end")?;
            read.push_str(&self.rest[..end]);
            self.bump(end);
            if self.take(quote) {
                return Ok(read);
            }
            self.bump(1);
            let escaped = self.rest.chars().next().ok_or("a string does not end")?;
            self.bump(escaped.len_utf8());
            read.push(match escaped {
                '"' | '\'' | '\\' | '/' => escaped,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => self.unicode()?,
                _ => return Err(format!("'\\{escaped}' is no escape")),
            });
        }
    }

    /// What follows `\u`, with the second half of a pair.
    fn unicode(&mut self) -> Read<char> {
        let first = self.hexadecimal()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
            self.bump(2);
            let second = self.hexadecimal()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err("half of a surrogate pair is missing".to_owned());
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| "half of a surrogate pair is missing".to_owned())
    }

    fn hexadecimal(&mut self) -> Read<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits = digits.ok_or("expected four hexadecimal digits after '\\u'")?;
        self.bump(4);
        u32::from_str_radix(digits, 16).map_err(|e| e.to_string())
    }

    fn number(&mut self) -> Read<Value> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        let text = &self.rest[..end.unwrap_or(self.rest.len())];
        let number: Number = serde_json::from_str(text).map_err(|_| format!("'{}' is no number", short(text)))?;
        self.bump(text.len());
        Ok(Value::Number(number))
    }

    /// A name without quotes.
    fn word(&mut self) -> Option<&'t str> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '-';
        let end = self.rest.find(|c: char| !is_part(c)).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return None;
        }
        self.bump(end);
        Some(word)
    }

    /// Goes over blanks and comments.
    fn skip(&mut self) -> Read<()> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(after) = self.rest.strip_prefix("//") {
                self.bump(2 + after.find('\n').unwrap_or(after.len()));
            } else if let Some(after) = self.rest.strip_prefix("/*") {
                let end = after.find("*/").ok_or("a comment does not end")?;
                self.bump(2 + end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn take(&mut self, expected: char) -> bool {
        let is_there = self.rest.starts_with(expected);
        if is_there {
            self.bump(expected.len_utf8());
        }
        is_there
    }

    fn bump(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        debug_assert!(self.text.ends_with(self.rest));
    }
}

/// So much of a text as fits into a message.
fn short(text: &str) -> &str {
    text.char_indices().nth(60).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_az_sends_is_read() {
        let body = "\u{feff}{\"properties\": {\"mode\": \"Incremental\", template:{\r\n  // a comment, with \"quotes\"\r\n  \"$schema\": \"x\", /* another\n one */ 'contentVersion': '1.0.0.0',\n \"text\": \"two\nlines\", \"list\": [1, -2.5, [], {},], }}}";
        let expected = json!({"properties": {"mode": "Incremental", "template": {
            "$schema": "x", "contentVersion": "1.0.0.0", "text": "two\nlines", "list": [1, -2.5, [], {}],
        }}});
        assert_eq!(read(body.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases = [
            ("", "expected a value, and found the end at line 1, column 1"),
            ("{\n \"a\": 1\n \"b\": 2}", "expected ',' or '}' at line 3, column 2"),
            ("{\"a\":1,\"a\":2}", "the member 'a' is there twice at line 1, column 13"),
            ("{a:01}", "'01' is no number at line 1, column 4"),
            ("[1] 2", "expected the end at line 1, column 5"),
            ("'x", "a string does not end at line 1, column 2"),
            ("/* x", "a comment does not end at line 1, column 1"),
            ("\"\\ud800\"", "half of a surrogate pair is missing at line 1, column 8"),
            ("1e999", "'1e999' is no number at line 1, column 1"),
        ];
        for (text, expected) in cases {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        assert!(read(b"[\"\xff\"]").unwrap_err().to_string().contains("not UTF-8 at line 1, column 3"));
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let deep = "[".repeat(1_000_000);
        assert!(read(deep.as_bytes()).unwrap_err().to_string().contains("nest deeper"));
        let wide = format!("[{}0]", "0,".repeat(limits::VALUES));
        assert!(read(wide.as_bytes()).unwrap_err().to_string().contains("values"));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn strict_json_is_read_as_such(value in any_value(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            prop_assert_eq!(read(text.unwrap().as_bytes()).unwrap(), value);
        }

        #[test]
        fn no_text_is_too_odd(text in "[\\[\\]{}:,'\"\\\\/*a-c0-9u\n .-]{0,60}") {
            let _ = read(text.as_bytes());
        }
    }
}
