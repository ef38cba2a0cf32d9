//! What is wrong with a condition, and where.

/// Why a text is not a condition that can be decided here. Places are counted in characters, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// More text than any condition needs.
    #[error("it has more than {most} bytes", most = super::MOST_BYTES)]
    TooLong,
    /// Parentheses and negations within each other, more than anybody reads.
    #[error("at character {at}: more than {most} levels of parentheses and negations", most = super::MOST_LEVELS)]
    TooDeep {
        /// Where one was too many.
        at: usize,
    },
    /// Something else stands where something was expected.
    #[error("at character {at}: expected {expected}, but found {found}")]
    Unexpected {
        /// Where it stands.
        at: usize,
        /// What should stand there.
        expected: String,
        /// What does.
        found: String,
    },
    /// A quoted text has no end.
    #[error("at character {at}: the quoted text has no closing quote")]
    Unterminated {
        /// Where it begins.
        at: usize,
    },
    /// An attribute that no request here has.
    #[error("at character {at}: the attribute {attribute} is not supported; those that are: {known}", known = super::attribute::known())]
    UnsupportedAttribute {
        /// Where it stands.
        at: usize,
        /// As written.
        attribute: String,
    },
    /// No operator has this name.
    #[error(
        "at character {at}: {word:?} is no operator; expected one such as StringEqualsIgnoreCase or ForAnyOfAnyValues:StringEquals"
    )]
    UnknownOperator {
        /// Where it stands.
        at: usize,
        /// What stands there.
        word: String,
    },
    /// An operator that cannot compare the attribute.
    #[error("at character {at}: {operator} compares {compares}, but {attribute} is {is}")]
    Mismatch {
        /// Where the operator stands.
        at: usize,
        /// The operator.
        operator: String,
        /// What it compares.
        compares: &'static str,
        /// The attribute.
        attribute: String,
        /// What that is.
        is: &'static str,
    },
    /// A value that is not of the operator's type.
    #[error("at character {at}: expected {expected}, but {value:?} is none")]
    BadValue {
        /// Where it stands.
        at: usize,
        /// What it should be.
        expected: &'static str,
        /// As written.
        value: String,
    },
    /// Several values, for an operator that takes one.
    #[error("at character {at}: {operator} takes one value; for several write ForAnyOfAnyValues:{operator}")]
    SeveralValues {
        /// Where the set begins.
        at: usize,
        /// The operator.
        operator: String,
    },
}

impl ConditionError {
    pub(super) fn unexpected(at: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unexpected { at, expected: expected.into(), found: found.into() }
    }
}
