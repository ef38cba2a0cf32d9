//! Conditions as trees: decided, decided in part, and printed.

use std::fmt;

use uuid::Uuid;
use wharf_model::Timestamp;

use super::attribute::{Attribute, Attributes, Value};
use super::operator::{Operator, Order, Quantifier};
use super::text::{self, Pattern};
use crate::operation::covers;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// Two or more.
    All(Vec<Self>),
    /// Two or more.
    Any(Vec<Self>),
    Not(Box<Self>),
    /// Whether the operation is covered by a pattern.
    ActionMatches(Box<str>),
    /// Whether the operation has a part that is covered by a pattern. Operations here have no parts.
    SubOperationMatches(Box<str>),
    Exists(Attribute),
    Compare(Attribute, Quantifier, Operator, Right),
}

/// What an attribute is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Attribute(Attribute),
    /// One value.
    Literal(Literal),
    /// Values in braces.
    Set(Vec<Literal>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Text(Pattern),
    Guid(Uuid),
    Boolean(bool),
    DateTime(Timestamp),
}

/// What is left of a condition once the operation is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reduced {
    Decided(bool),
    Open(Expression),
}

impl Expression {
    /// Whether it holds for an operation with these attributes; `None` when that hangs on an attribute that is absent.
    ///
    /// What is unknown stays so when it is negated, and is settled only by a part that settles the whole alone (Kleene's
    /// logic). Otherwise "not one of these roles" would hold of whoever asks about no role at all.
    pub(super) fn decide(&self, operation: &str, attributes: &Attributes<'_>) -> Option<bool> {
        match self {
            Self::All(parts) => settle(parts, false, |part| part.decide(operation, attributes)),
            Self::Any(parts) => settle(parts, true, |part| part.decide(operation, attributes)),
            Self::Not(part) => part.decide(operation, attributes).map(|holds| !holds),
            Self::ActionMatches(pattern) => Some(covers(pattern, operation)),
            Self::SubOperationMatches(_) => Some(false),
            Self::Exists(attribute) => Some(attribute.value(attributes).is_some()),
            Self::Compare(attribute, quantifier, operator, right) => {
                let left = attribute.value(attributes)?;
                match right {
                    Right::Attribute(other) => compares_values(*operator, left, other.value(attributes)?),
                    Right::Literal(literal) => compares(*operator, left, literal),
                    Right::Set(literals) if *operator == Operator::DateTime(Order::InRange) => {
                        is_between(left, literals)
                    }
                    Right::Set(literals) => match quantifier {
                        Quantifier::One | Quantifier::Any { .. } => {
                            settle(literals, true, |literal| compares(*operator, left, literal))
                        }
                        Quantifier::All { .. } => settle(literals, false, |literal| compares(*operator, left, literal)),
                    },
                }
            }
        }
    }

    /// The same without what the operation alone decides.
    pub(super) fn reduce(&self, operation: &str) -> Reduced {
        match self {
            Self::All(parts) => Self::gather(parts, operation, false, Self::All),
            Self::Any(parts) => Self::gather(parts, operation, true, Self::Any),
            Self::Not(part) => match part.reduce(operation) {
                Reduced::Decided(holds) => Reduced::Decided(!holds),
                Reduced::Open(part) => Reduced::Open(Self::Not(Box::new(part))),
            },
            Self::ActionMatches(pattern) => Reduced::Decided(covers(pattern, operation)),
            Self::SubOperationMatches(_) => Reduced::Decided(false),
            Self::Exists(_) | Self::Compare(..) => Reduced::Open(self.clone()),
        }
    }

    /// Reduces parts of which one that is decided as `deciding` decides for all.
    fn gather(parts: &[Self], operation: &str, deciding: bool, whole: fn(Vec<Self>) -> Self) -> Reduced {
        let mut open = Vec::new();
        for part in parts {
            match part.reduce(operation) {
                Reduced::Decided(holds) if holds == deciding => return Reduced::Decided(deciding),
                Reduced::Decided(_) => {}
                Reduced::Open(part) => open.push(part),
            }
        }
        match open.len() {
            0 => Reduced::Decided(!deciding),
            1 => Reduced::Open(open.remove(0)),
            _ => Reduced::Open(whole(open)),
        }
    }

    /// Whether it asks when or from where a request came.
    pub(super) fn asks_environment(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::asks_environment),
            Self::Not(part) => part.asks_environment(),
            Self::ActionMatches(_) | Self::SubOperationMatches(_) => false,
            Self::Exists(attribute) => attribute.is_of_environment(),
            Self::Compare(attribute, _, _, right) => {
                attribute.is_of_environment()
                    || matches!(right, Right::Attribute(attribute) if attribute.is_of_environment())
            }
        }
    }
}

/// What parts come to of which one that is `deciding` decides for all, whatever is unknown of the others.
fn settle<T>(parts: &[T], deciding: bool, decide: impl Fn(&T) -> Option<bool>) -> Option<bool> {
    let mut whole = Some(!deciding);
    for part in parts {
        match decide(part) {
            Some(holds) if holds == deciding => return Some(deciding),
            Some(_) => {}
            None => whole = None,
        }
    }
    whole
}

fn compares(operator: Operator, left: Value<'_>, right: &Literal) -> Option<bool> {
    Some(match (operator, left, right) {
        (Operator::Text { ignores_case, is_negated, .. }, Value::Text(left), Literal::Text(pattern)) => {
            pattern.matches(left, ignores_case) != is_negated
        }
        (Operator::Guid { is_negated }, Value::Guid(left), Literal::Guid(right)) => (left == *right) != is_negated,
        (Operator::Boolean { is_negated }, Value::Boolean(left), Literal::Boolean(right)) => {
            (left == *right) != is_negated
        }
        (Operator::DateTime(order), Value::DateTime(left), Literal::DateTime(right)) => is_ordered(order, left, *right),
        // The parser lets no other pair pass.
        _ => return None,
    })
}

/// Compares two attributes.
fn compares_values(operator: Operator, left: Value<'_>, right: Value<'_>) -> Option<bool> {
    Some(match (operator, left, right) {
        (Operator::Text { comparison, ignores_case, is_negated }, Value::Text(left), Value::Text(right)) => {
            text::compares(comparison, left, right, ignores_case) != is_negated
        }
        (Operator::Guid { is_negated }, Value::Guid(left), Value::Guid(right)) => (left == right) != is_negated,
        (Operator::Boolean { is_negated }, Value::Boolean(left), Value::Boolean(right)) => {
            (left == right) != is_negated
        }
        (Operator::DateTime(order), Value::DateTime(left), Value::DateTime(right)) => is_ordered(order, left, right),
        _ => return None,
    })
}

fn is_ordered(order: Order, left: Timestamp, right: Timestamp) -> bool {
    match order {
        Order::Equals => left == right,
        Order::NotEquals => left != right,
        Order::GreaterThan => left > right,
        Order::GreaterThanEquals => left >= right,
        Order::LessThan => left < right,
        Order::LessThanEquals => left <= right,
        Order::InRange => false,
    }
}

fn is_between(left: Value<'_>, ends: &[Literal]) -> Option<bool> {
    match (left, ends) {
        (Value::DateTime(left), [Literal::DateTime(from), Literal::DateTime(to)]) => Some(*from <= left && left <= *to),
        _ => None,
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => join(f, parts, " AND "),
            Self::Any(parts) => join(f, parts, " OR "),
            Self::Not(part) => write!(f, "!({part})"),
            Self::ActionMatches(pattern) => write!(f, "ActionMatches{{'{pattern}'}}"),
            Self::SubOperationMatches(pattern) => write!(f, "SubOperationMatches{{'{pattern}'}}"),
            Self::Exists(attribute) => write!(f, "Exists {attribute}"),
            Self::Compare(attribute, quantifier, operator, right) => {
                write!(f, "{attribute} {quantifier}{operator} {right}")
            }
        }
    }
}

/// Parts within each other are put in parentheses, so that what binds tighter does not matter.
fn join(f: &mut fmt::Formatter<'_>, parts: &[Expression], word: &str) -> fmt::Result {
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            f.write_str(word)?;
        }
        match part {
            Expression::All(_) | Expression::Any(_) => write!(f, "({part})")?,
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => attribute.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
            Self::Set(literals) => {
                f.write_str("{")?;
                for (position, literal) in literals.iter().enumerate() {
                    write!(f, "{}{literal}", if position == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(pattern) => write!(f, "'{pattern}'"),
            Self::Guid(id) => id.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::DateTime(time) => write!(f, "'{time}'"),
        }
    }
}
