//! The expressions that template texts hold in brackets: `[concat('a', parameters('b').c[0])]`.
//!
//! ```text
//! expression = ( 'text' | integer | name "(" arguments ")" | namespace "." name "(" arguments ")" ) access*
//! access     = "." name | "[" expression "]"
//! ```
//!
//! Printing an expression and parsing what was printed yields the same expression.
//!
//! Source: "Syntax and expressions in ARM templates".

use std::fmt;

use super::limits;

/// What a text in a template is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text<'t> {
    /// Itself; without the bracket that escapes another one.
    Literal(&'t str),
    /// An expression, without the brackets around it.
    Expression(&'t str),
}

impl<'t> Text<'t> {
    /// Tells expressions from other texts: they begin with one bracket, and end with one.
    pub(crate) fn of(text: &'t str) -> Self {
        match text.strip_prefix('[') {
            Some(inner) if text.len() > 1 && text.ends_with(']') => match inner.starts_with('[') {
                true => Self::Literal(inner),
                false => Self::Expression(&inner[..inner.len() - 1]),
            },
            _ => Self::Literal(text),
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// `'text'`.
    Text(String),
    /// `12`.
    Integer(i64),
    /// `concat('a', 'b')`; functions of the template have a namespace: `contoso.name('a')`.
    Call {
        /// The function's name as written, with its namespace.
        name: String,
        /// What it is given.
        arguments: Vec<Expression>,
    },
    /// `….name`.
    Member {
        /// What has the member.
        of: Box<Expression>,
        /// The member's name.
        name: String,
    },
    /// `…[0]`, `…['name']`.
    Index {
        /// What has the element.
        of: Box<Expression>,
        /// Which element or member.
        index: Box<Expression>,
    },
}

impl Expression {
    /// Parses an expression, given without the brackets around it.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &str) -> Result<Self, ParseExpressionError> {
        let mut parser = Parser { text, at: 0 };
        if text.chars().count() > limits::EXPRESSION_CHARACTERS {
            return Err(
                parser.error(format!("the expression is longer than {} characters", limits::EXPRESSION_CHARACTERS))
            );
        }
        let expression = parser.expression(0)?;
        parser.skip();
        if parser.rest().is_empty() { Ok(expression) } else { Err(parser.error("expected the end of the expression")) }
    }

    /// Visits this and everything in it, from the outside to the inside.
    pub(crate) fn visit(&self, visitor: &mut impl FnMut(&Self)) {
        visitor(self);
        match self {
            Self::Text(_) | Self::Integer(_) => {}
            Self::Call { arguments, .. } => arguments.iter().for_each(|argument| argument.visit(visitor)),
            Self::Member { of, .. } => of.visit(visitor),
            Self::Index { of, index, .. } => {
                of.visit(visitor);
                index.visit(visitor);
            }
        }
    }
}

/// A text in brackets that is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at character {position}")]
pub struct ParseExpressionError {
    /// What was expected.
    pub reason: String,
    /// Where, in characters from 1, counted without the outer bracket.
    pub position: usize,
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

type Parsed<T> = Result<T, ParseExpressionError>;

impl<'t> Parser<'t> {
    fn expression(&mut self, depth: usize) -> Parsed<Expression> {
        if depth > limits::EXPRESSION_DEPTH {
            return Err(self.error(format!("the expression nests deeper than {}", limits::EXPRESSION_DEPTH)));
        }
        self.skip();
        let mut expression = match self.rest().chars().next() {
            Some('\'') => Expression::Text(self.quoted()?),
            Some('-' | '+' | '0'..='9') => Expression::Integer(self.integer()?),
            Some(c) if is_name_start(c) => self.call(depth)?,
            Some(c) => return Err(self.error(format!("expected a function, a text or a number, and found '{c}'"))),
            None => return Err(self.error("expected a function, a text or a number")),
        };
        // Each access makes the expression one level deeper for whoever walks over it.
        for level in depth.. {
            self.skip();
            if level > limits::EXPRESSION_DEPTH {
                return Err(self.error(format!("the expression nests deeper than {}", limits::EXPRESSION_DEPTH)));
            }
            if self.take(".") {
                self.skip();
                let name = self.name().ok_or_else(|| self.error("expected the name of a member after '.'"))?.to_owned();
                expression = Expression::Member { of: Box::new(expression), name };
            } else if self.take("[") {
                let index = Box::new(self.expression(level + 1)?);
                self.skip();
                if !self.take("]") {
                    return Err(self.error("expected ']'"));
                }
                expression = Expression::Index { of: Box::new(expression), index };
            } else {
                break;
            }
        }
        Ok(expression)
    }

    fn call(&mut self, depth: usize) -> Parsed<Expression> {
        let mut name = self.name().unwrap_or_default().to_owned();
        if self.take(".") {
            let second = self.name().ok_or_else(|| self.error("expected the name of a function after '.'"))?;
            name = format!("{name}.{second}");
        }
        self.skip();
        if !self.take("(") {
            return Err(self.error(format!("expected '(' after '{name}'; only functions can be named here")));
        }
        let mut arguments = Vec::new();
        self.skip();
        if self.take(")") {
            return Ok(Expression::Call { name, arguments });
        }
        loop {
            arguments.push(self.expression(depth + 1)?);
            self.skip();
            if self.take(")") {
                return Ok(Expression::Call { name, arguments });
            }
            if !self.take(",") {
                return Err(self.error("expected ',' or ')'"));
            }
        }
    }

    fn quoted(&mut self) -> Parsed<String> {
        let mut text = String::new();
        let start = self.at;
        self.at += 1;
        loop {
            let Some(end) = self.rest().find('\'') else {
                self.at = start;
                return Err(self.error("the text that begins here does not end"));
            };
            text.push_str(&self.rest()[..end]);
            self.at += end + 1;
            if !self.take("'") {
                return Ok(text);
            }
            text.push('\'');
        }
    }

    fn integer(&mut self) -> Parsed<i64> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['-', '+']));
        let digits = rest[sign..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - sign);
        let end = sign + digits;
        let parsed = rest[..end].parse();
        let number = parsed.map_err(|_| self.error("expected a whole number that 64 bits hold"))?;
        self.at += end;
        if self.rest().starts_with(|c: char| c == '.' || is_name_start(c)) {
            return Err(self.error("expected a whole number; others can be had with json('1.5')"));
        }
        Ok(number)
    }

    fn name(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_name_start(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
        let name = Some(&rest[..end]).filter(|name| name.starts_with(is_name_start))?;
        self.at += end;
        Some(name)
    }

    fn take(&mut self, expected: &str) -> bool {
        let is_there = self.rest().starts_with(expected);
        self.at += if is_there { expected.len() } else { 0 };
        is_there
    }

    fn skip(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error(&self, reason: impl Into<String>) -> ParseExpressionError {
        ParseExpressionError { reason: reason.into(), position: self.text[..self.at].chars().count() + 1 }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$'
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Call { name, arguments } => {
                write!(f, "{name}(")?;
                for (i, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{argument}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            // The blank keeps `1 .name` from being read as a fraction.
            Self::Member { of, name } => {
                write!(f, "{of}{}.{name}", if matches!(**of, Self::Integer(_)) { " " } else { "" })
            }
            Self::Index { of, index } => write!(f, "{of}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_and_expressions_are_told_apart() {
        let cases = [
            ("plain", Text::Literal("plain")),
            ("[concat('a')]", Text::Expression("concat('a')")),
            ("[[concat('a')]", Text::Literal("[concat('a')]")),
            ("[not closed", Text::Literal("[not closed")),
            ("[[not closed", Text::Literal("[[not closed")),
            (" [x()]", Text::Literal(" [x()]")),
            ("[", Text::Literal("[")),
            ("[]", Text::Expression("")),
            ("", Text::Literal("")),
        ];
        for (text, expected) in cases {
            assert_eq!(Text::of(text), expected, "{text}");
        }
    }

    #[test]
    fn expressions_print_as_they_were_written() {
        for text in
            ["concat('it''s', parameters('a').b[0].c)", "contoso.unique('x')[-1]", "f(1, -2, '', g())[add(1, 2)]"]
        {
            assert_eq!(Expression::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Expression::parse("  concat ( 'a' ,\n'b' ) . c [ 0 ] ").unwrap(),
            Expression::parse("concat('a','b').c[0]").unwrap()
        );
    }

    #[test]
    fn what_is_no_expression_is_told_with_its_place() {
        let cases = [
            ("", "expected a function, a text or a number at character 1"),
            ("concat('a'", "expected ',' or ')' at character 11"),
            ("concat('a)", "the text that begins here does not end at character 8"),
            ("parameters", "expected '(' after 'parameters'; only functions can be named here at character 11"),
            ("f() g()", "expected the end of the expression at character 5"),
            ("f().", "expected the name of a member after '.' at character 5"),
            ("1.5", "expected a whole number; others can be had with json('1.5') at character 2"),
            ("99999999999999999999", "expected a whole number that 64 bits hold at character 1"),
            ("f(ä)", "expected a function, a text or a number, and found 'ä' at character 3"),
        ];
        for (text, expected) in cases {
            assert_eq!(Expression::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let nested = format!("{}'x'{}", "f(".repeat(5000), ")".repeat(5000));
        assert!(Expression::parse(&nested).unwrap_err().reason.contains("nests deeper"));
        let accesses = format!("f(){}", ".a".repeat(5000));
        assert!(Expression::parse(&accesses).unwrap_err().reason.contains("nests deeper"));
        let indexes = format!("f(){}", "[0]".repeat(5000));
        assert!(Expression::parse(&indexes).unwrap_err().reason.contains("nests deeper"));
        let long = format!("'{}'", "x".repeat(limits::EXPRESSION_CHARACTERS));
        assert!(Expression::parse(&long).unwrap_err().reason.contains("longer"));
    }

    fn any_expression() -> impl Strategy<Value = Expression> {
        let name = "[a-zA-Z_$][a-zA-Z0-9_$]{0,6}";
        let leaf = prop_oneof![any::<String>().prop_map(Expression::Text), any::<i64>().prop_map(Expression::Integer),];
        leaf.prop_recursive(5, 30, 4, move |inner| {
            let call = prop::string::string_regex(&format!(r"{name}(\.{name})?")).unwrap();
            prop_oneof![
                (call, prop::collection::vec(inner.clone(), 0..4))
                    .prop_map(|(name, arguments)| Expression::Call { name, arguments }),
                (inner.clone(), name).prop_map(|(of, name)| Expression::Member { of: Box::new(of), name }),
                (inner.clone(), inner)
                    .prop_map(|(of, index)| Expression::Index { of: Box::new(of), index: Box::new(index) }),
            ]
        })
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(expression in any_expression()) {
            prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
        }

        #[test]
        fn no_text_is_too_odd(text in "[\\[\\]().,?'a-c0-9 ä-]{0,40}") {
            let _ = Expression::parse(&text);
        }
    }
}
