//! Conditions of role assignments: Azure's language, version 2.0.
//!
//! ```text
//! (
//!   ( !(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'}) )
//!   OR
//!   ( @Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'team/' )
//! )
//! ```
//!
//! The attributes are those that requests here have: the repository's name on the data plane; the role, the principal and
//! its kind where access is handed out; the time and whether the request came over the private endpoint. Others are
//! refused when a condition is written, with the place where they stand, and so is every comparison that can never hold.
//!
//! Of an absent attribute nothing is known: a comparison with it holds as little as its negation, and a condition that
//! hangs on it does not hold. Deciding takes no memory.
//!
//! Source: `acr/semantics.md` 3.2; Azure's description of the format of conditions.

mod attribute;
mod error;
mod expression;
mod operator;
mod parse;
mod text;
mod token;

use std::fmt;
use std::str::FromStr;

pub use attribute::{AssignmentAttributes, Attributes, Environment};
pub use error::ConditionError;
use expression::{Expression, Reduced};

/// A condition that can be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(Expression);

/// What a condition says of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It always holds.
    Always,
    /// It never holds.
    Never,
    /// It depends on the request.
    If(Condition),
}

impl Condition {
    /// Whether it holds for an operation with these attributes. What is not known does not hold.
    #[must_use]
    pub fn holds(&self, operation: &str, attributes: &Attributes<'_>) -> bool {
        self.0.decide(operation, attributes) == Some(true)
    }

    /// What it says of one operation, whatever the request.
    #[must_use]
    pub fn reduce(&self, operation: &str) -> Verdict {
        match self.0.reduce(operation) {
            Reduced::Decided(true) => Verdict::Always,
            Reduced::Decided(false) => Verdict::Never,
            Reduced::Open(expression) => Verdict::If(Self(expression)),
        }
    }

    /// Whether it asks when or from where a request came.
    #[must_use]
    pub fn asks_environment(&self) -> bool {
        self.0.asks_environment()
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::parse(text).map(Self)
    }
}

/// Prints the condition with its own parentheses; what is printed reads the same.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes of the longest condition. Source: Azure's limit of 8 KB.
const MOST_BYTES: usize = 8 * 1024;
/// Parentheses and negations that may be open at once.
const MOST_LEVELS: usize = 50;

#[cfg(test)]
mod tests;
