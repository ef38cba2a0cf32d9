//! Text from outside, made harmless for a line of a log.

use std::fmt::{self, Write};

/// Writes `text` as a JSON string, with every control character escaped (also those above ASCII, and the separators
/// of lines and paragraphs, which some viewers obey).
pub(super) fn json_string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    write_escaped(out, text)?;
    out.write_char('"')
}

/// Writes `text` as it is when it is one plain word, else like [`json_string`].
pub(super) fn text_value(out: &mut impl Write, text: &str) -> fmt::Result {
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'=');
    if !text.is_empty() && text.bytes().all(is_plain) { out.write_str(text) } else { json_string(out, text) }
}

/// Writes a message: everything but control characters as it is.
pub(super) fn message(out: &mut impl Write, text: &str) -> fmt::Result {
    for character in text.chars() {
        if needs_escape(character) {
            escape(out, character)?;
        } else {
            out.write_char(character)?;
        }
    }
    Ok(())
}

fn write_escaped(out: &mut impl Write, text: &str) -> fmt::Result {
    // Nearly everything is plain: copy runs, not characters.
    let mut plain_from = 0;
    for (at, character) in text.char_indices() {
        if !(needs_escape(character) || matches!(character, '"' | '\\')) {
            continue;
        }
        out.write_str(&text[plain_from..at])?;
        match character {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(character)?;
            }
            _ => escape(out, character)?,
        }
        plain_from = at + character.len_utf8();
    }
    out.write_str(&text[plain_from..])
}

fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(out: &mut impl Write, character: char) -> fmt::Result {
    match character {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        // All that need it are in the basic plane, so four digits are enough.
        other => write!(out, "\\u{:04x}", u32::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut out = String::new();
        json_string(&mut out, text).unwrap();
        out
    }

    #[test]
    fn a_line_stays_one_line() {
        let hostile = "a\r\nb\u{1b}[31mc\"\\\u{7f}\u{85}\u{2028}\u{202e}é";
        let escaped = json(hostile);
        assert_eq!(escaped, r#""a\r\nb\u001b[31mc\"\\\u007f\u0085\u2028\u202eé""#);
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), hostile);
        let mut out = String::new();
        message(&mut out, "a\nb \"c\"").unwrap();
        assert_eq!(out, r#"a\nb "c""#);
    }

    #[test]
    fn words_stay_as_they_are() {
        for (text, written) in [("team/app", "team/app"), ("", "\"\""), ("a b", "\"a b\""), ("a=b", "\"a=b\"")] {
            let mut out = String::new();
            text_value(&mut out, text).unwrap();
            assert_eq!(out, written);
        }
    }
}
