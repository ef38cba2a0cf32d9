//! The words of a condition and where they stand.

use std::fmt;

use super::error::ConditionError;

/// A word of a condition, borrowed from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// Letters, digits and `-_.:`: a keyword, an operator, a GUID, a number.
    Word(&'t str),
    /// `@Source[name]`.
    Attribute {
        source: &'t str,
        name: &'t str,
    },
    /// What stands between single quotes, with its backslashes.
    Text(&'t str),
    Open,
    Close,
    OpenSet,
    CloseSet,
    Comma,
    Not,
    And,
    Or,
    /// The end of the text.
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{word:?}"),
            Self::Attribute { source, name } => write!(f, "@{source}[{name}]"),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Open => f.write_str("'('"),
            Self::Close => f.write_str("')'"),
            Self::OpenSet => f.write_str("'{'"),
            Self::CloseSet => f.write_str("'}'"),
            Self::Comma => f.write_str("','"),
            Self::Not => f.write_str("'!'"),
            Self::And => f.write_str("'&&'"),
            Self::Or => f.write_str("'||'"),
            Self::End => f.write_str("the end"),
        }
    }
}

/// Reads one token after the other.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'t> {
    rest: &'t str,
    /// Which character `rest` begins with, counted from 1.
    at: usize,
}

impl<'t> Tokens<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { rest: text, at: 1 }
    }

    /// The next token and which character it begins with.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'t>), ConditionError> {
        let blanks = self.rest.len() - self.rest.trim_start().len();
        self.take(blanks);
        let at = self.at;
        let Some(first) = self.rest.chars().next() else { return Ok((at, Token::End)) };
        let token = match first {
            '(' => self.sign(1, Token::Open),
            ')' => self.sign(1, Token::Close),
            '{' => self.sign(1, Token::OpenSet),
            '}' => self.sign(1, Token::CloseSet),
            ',' => self.sign(1, Token::Comma),
            '!' => self.sign(1, Token::Not),
            '&' if self.rest.starts_with("&&") => self.sign(2, Token::And),
            '|' if self.rest.starts_with("||") => self.sign(2, Token::Or),
            '\'' => self.text(at)?,
            '@' => self.attribute(at)?,
            first if is_of_word(first) => {
                let length = self.rest.find(|c: char| !is_of_word(c)).unwrap_or(self.rest.len());
                Token::Word(self.take(length))
            }
            other => return Err(ConditionError::unexpected(at, "a condition", format!("the character {other:?}"))),
        };
        Ok((at, token))
    }

    fn sign(&mut self, length: usize, token: Token<'t>) -> Token<'t> {
        self.take(length);
        token
    }

    fn text(&mut self, at: usize) -> Result<Token<'t>, ConditionError> {
        self.take(1);
        let mut is_escaped = false;
        let end = self.rest.char_indices().find(|&(_, c)| {
            let ends = c == '\'' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let Some((length, _)) = end else { return Err(ConditionError::Unterminated { at }) };
        let text = self.take(length);
        self.take(1);
        Ok(Token::Text(text))
    }

    fn attribute(&mut self, at: usize) -> Result<Token<'t>, ConditionError> {
        let malformed = || ConditionError::unexpected(at, "an attribute, such as @Request[name]", "something else");
        self.take(1);
        let length = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let source = self.take(length);
        if source.is_empty() || !self.rest.starts_with('[') {
            return Err(malformed());
        }
        self.take(1);
        let length = self.rest.find(']').ok_or_else(malformed)?;
        let name = self.take(length).trim();
        self.take(1);
        Ok(Token::Attribute { source, name })
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.:".contains(c)
}
