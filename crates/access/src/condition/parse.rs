//! From text to tree.
//!
//! ```text
//! any     := all { (OR | ||) all }
//! all     := not { (AND | &&) not }
//! not     := (NOT | !) not | term
//! term    := '(' any ')'
//!          | (ActionMatches | SubOperationMatches) '{' 'pattern' '}'
//!          | (Exists | NotExists) attribute
//!          | attribute operator (attribute | value | '{' value { ',' value } '}')
//! ```
//!
//! Keywords, operators and the names of attributes may be written in any casing.

use chrono::DateTime;
use uuid::Uuid;
use wharf_model::Timestamp;

use super::attribute::{Attribute, Type};
use super::error::ConditionError;
use super::expression::{Expression, Literal, Right};
use super::operator::{self, Named, Operator, Order, Quantifier};
use super::text::{Comparison, Pattern};
use super::token::{Token, Tokens};
use super::{MOST_BYTES, MOST_LEVELS};

pub(super) fn parse(text: &str) -> Result<Expression, ConditionError> {
    if text.len() > MOST_BYTES {
        return Err(ConditionError::TooLong);
    }
    let mut tokens = Tokens::of(text);
    let (at, token) = tokens.next()?;
    let mut parser = Parser { tokens, at, token, levels: 0 };
    let expression = parser.any()?;
    match parser.token {
        Token::End => Ok(expression),
        _ => Err(parser.expected("AND, OR or the end")),
    }
}

struct Parser<'t> {
    tokens: Tokens<'t>,
    /// The token that comes next, and where it stands.
    token: Token<'t>,
    at: usize,
    /// Parentheses and negations that are open.
    levels: usize,
}

impl<'t> Parser<'t> {
    fn any(&mut self) -> Result<Expression, ConditionError> {
        self.list(Self::all, |parser| parser.token == Token::Or || parser.is_word("OR"), Expression::Any)
    }

    fn all(&mut self) -> Result<Expression, ConditionError> {
        self.list(Self::not, |parser| parser.token == Token::And || parser.is_word("AND"), Expression::All)
    }

    /// Parts with a word between them; a single one stands for itself.
    fn list(
        &mut self,
        part: fn(&mut Self) -> Result<Expression, ConditionError>,
        goes_on: fn(&Self) -> bool,
        whole: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, ConditionError> {
        let first = part(self)?;
        if !goes_on(self) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while goes_on(self) {
            self.step()?;
            parts.push(part(self)?);
        }
        Ok(whole(parts))
    }

    fn not(&mut self) -> Result<Expression, ConditionError> {
        if self.token != Token::Not && !self.is_word("NOT") {
            return self.term();
        }
        self.enter()?;
        self.step()?;
        let negated = self.not()?;
        self.levels -= 1;
        Ok(Expression::Not(Box::new(negated)))
    }

    fn term(&mut self) -> Result<Expression, ConditionError> {
        match self.token {
            Token::Open => {
                self.enter()?;
                self.step()?;
                let inner = self.any()?;
                self.expect(Token::Close, "AND, OR or ')'")?;
                self.levels -= 1;
                Ok(inner)
            }
            Token::Attribute { source, name } => {
                let attribute = self.attribute(source, name)?;
                self.comparison(attribute)
            }
            Token::Word(_) if self.is_word("ActionMatches") => Ok(Expression::ActionMatches(self.pattern()?)),
            Token::Word(_) if self.is_word("SubOperationMatches") => {
                Ok(Expression::SubOperationMatches(self.pattern()?))
            }
            Token::Word(_) if self.is_word("Exists") => Ok(Expression::Exists(self.existing()?)),
            Token::Word(_) if self.is_word("NotExists") => {
                Ok(Expression::Not(Box::new(Expression::Exists(self.existing()?))))
            }
            _ => Err(self.expected(
                "'(', '!', ActionMatches, SubOperationMatches, Exists or an attribute such as @Request[name]",
            )),
        }
    }

    /// What follows `ActionMatches`.
    fn pattern(&mut self) -> Result<Box<str>, ConditionError> {
        self.step()?;
        self.expect(Token::OpenSet, "'{'")?;
        let Token::Text(pattern) = self.token else { return Err(self.expected("an operation between quotes")) };
        let is_plain = !pattern.is_empty() && pattern.chars().all(|c| c.is_ascii_graphic() && !"'\\".contains(c));
        if !is_plain {
            return Err(self.expected("an operation between quotes"));
        }
        self.step()?;
        self.expect(Token::CloseSet, "'}'")?;
        Ok(pattern.into())
    }

    /// What follows `Exists`.
    fn existing(&mut self) -> Result<Attribute, ConditionError> {
        self.step()?;
        let Token::Attribute { source, name } = self.token else {
            return Err(self.expected("an attribute such as @Request[name]"));
        };
        self.attribute(source, name)
    }

    fn attribute(&mut self, source: &str, name: &str) -> Result<Attribute, ConditionError> {
        let found = Attribute::find(source, name)
            .ok_or_else(|| ConditionError::UnsupportedAttribute { at: self.at, attribute: self.token.to_string() })?;
        self.step()?;
        Ok(found)
    }

    fn comparison(&mut self, attribute: Attribute) -> Result<Expression, ConditionError> {
        let (at, Token::Word(word)) = (self.at, self.token) else {
            return Err(self.expected("an operator such as StringEqualsIgnoreCase"));
        };
        let (quantifier, operator) = match operator::find(word) {
            Some(Named::Operator(quantifier, operator)) => (quantifier, operator),
            Some(Named::Foreign(compares)) => {
                let (attribute, is) = (attribute.to_string(), attribute.kind().one());
                return Err(ConditionError::Mismatch { at, operator: word.to_owned(), compares, attribute, is });
            }
            None => return Err(ConditionError::UnknownOperator { at, word: word.to_owned() }),
        };
        if operator.kind() != attribute.kind() {
            return Err(mismatch(at, operator, attribute));
        }
        let takes_two = operator == Operator::DateTime(Order::InRange);
        if takes_two && quantifier != Quantifier::One {
            return Err(self.expected("DateTimeInRange without a quantifier"));
        }
        self.step()?;
        let right = self.right(quantifier, operator)?;
        Ok(Expression::Compare(attribute, quantifier, operator, right))
    }

    fn right(&mut self, quantifier: Quantifier, operator: Operator) -> Result<Right, ConditionError> {
        let is_range = operator.takes() == 2;
        match self.token {
            Token::OpenSet => {
                let at = self.at;
                self.step()?;
                let mut literals = vec![self.literal(operator)?];
                while self.token == Token::Comma {
                    self.step()?;
                    literals.push(self.literal(operator)?);
                }
                let closed_at = self.at;
                self.expect(Token::CloseSet, "',' or '}'")?;
                if is_range && literals.len() != 2 {
                    return Err(ConditionError::unexpected(closed_at, "two values", format!("{}", literals.len())));
                }
                if !is_range && quantifier == Quantifier::One && literals.len() > 1 {
                    return Err(ConditionError::SeveralValues { at, operator: operator.to_string() });
                }
                Ok(Right::Set(literals))
            }
            _ if is_range => Err(self.expected("two values in braces")),
            Token::Attribute { source, name } => {
                if matches!(operator, Operator::Text { comparison: Comparison::Like, .. }) {
                    return Err(self.expected("a pattern between quotes"));
                }
                let at = self.at;
                let other = self.attribute(source, name)?;
                if other.kind() != operator.kind() {
                    return Err(mismatch(at, operator, other));
                }
                Ok(Right::Attribute(other))
            }
            _ => Ok(Right::Literal(self.literal(operator)?)),
        }
    }

    /// A value of the type that the operator compares. Only texts and times need quotes.
    fn literal(&mut self, operator: Operator) -> Result<Literal, ConditionError> {
        let written = match self.token {
            Token::Text(text) => text,
            Token::Word(word) if operator.kind() != Type::Text => word,
            _ if operator.kind() == Type::Text => return Err(self.expected("a text between quotes")),
            _ => return Err(self.expected(operator.kind().one())),
        };
        let bad =
            || ConditionError::BadValue { at: self.at, expected: operator.kind().one(), value: written.to_owned() };
        let literal = match operator {
            Operator::Text { comparison, .. } => Literal::Text(Pattern::read(comparison, written)),
            Operator::Guid { .. } => Literal::Guid(Uuid::try_parse(written).map_err(|_| bad())?),
            Operator::Boolean { .. } if written.eq_ignore_ascii_case("true") => Literal::Boolean(true),
            Operator::Boolean { .. } if written.eq_ignore_ascii_case("false") => Literal::Boolean(false),
            Operator::Boolean { .. } => return Err(bad()),
            Operator::DateTime(_) => {
                let time = DateTime::parse_from_rfc3339(written).map_err(|_| bad())?;
                Literal::DateTime(Timestamp(time.timestamp_micros()))
            }
        };
        self.step()?;
        Ok(literal)
    }

    fn enter(&mut self) -> Result<(), ConditionError> {
        self.levels += 1;
        if self.levels > MOST_LEVELS { Err(ConditionError::TooDeep { at: self.at }) } else { Ok(()) }
    }

    fn is_word(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn expect(&mut self, token: Token<'static>, expected: &str) -> Result<(), ConditionError> {
        if self.token == token { self.step() } else { Err(self.expected(expected)) }
    }

    fn expected(&self, expected: &str) -> ConditionError {
        ConditionError::unexpected(self.at, expected, self.token.to_string())
    }

    fn step(&mut self) -> Result<(), ConditionError> {
        (self.at, self.token) = self.tokens.next()?;
        Ok(())
    }
}

fn mismatch(at: usize, operator: Operator, attribute: Attribute) -> ConditionError {
    ConditionError::Mismatch {
        at,
        operator: operator.to_string(),
        compares: operator.kind().many(),
        attribute: attribute.to_string(),
        is: attribute.kind().one(),
    }
}
