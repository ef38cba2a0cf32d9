//! The operators that compare attributes, by their names.

use std::fmt;

use super::attribute::Type;
use super::text::Comparison;

/// How an attribute is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Text { comparison: Comparison, ignores_case: bool, is_negated: bool },
    Guid { is_negated: bool },
    Boolean { is_negated: bool },
    DateTime(Order),
}

/// How two times are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equals,
    NotEquals,
    GreaterThan,
    GreaterThanEquals,
    LessThan,
    LessThanEquals,
    InRange,
}

/// What to make of several values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Quantifier {
    /// There is one.
    #[default]
    One,
    /// One of them is enough.
    Any { of_all: bool },
    /// It takes all of them.
    All { of_all: bool },
}

/// What stands in an operator's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Operator(Quantifier, Operator),
    /// An operator that compares what no attribute here is.
    Foreign(&'static str),
}

const TEXTS: [(&str, Comparison); 3] =
    [("Equals", Comparison::Whole), ("StartsWith", Comparison::Start), ("Like", Comparison::Like)];

const ORDERS: [(&str, Order); 7] = [
    ("Equals", Order::Equals),
    ("NotEquals", Order::NotEquals),
    ("GreaterThan", Order::GreaterThan),
    ("GreaterThanEquals", Order::GreaterThanEquals),
    ("LessThan", Order::LessThan),
    ("LessThanEquals", Order::LessThanEquals),
    ("InRange", Order::InRange),
];

/// Attributes here are of one value, so whether one or all of the attribute's values must fit makes no difference; it is
/// kept to print conditions as they were written.
const QUANTIFIERS: [(&str, Quantifier); 4] = [
    ("ForAnyOfAnyValues:", Quantifier::Any { of_all: false }),
    ("ForAllOfAnyValues:", Quantifier::Any { of_all: true }),
    ("ForAnyOfAllValues:", Quantifier::All { of_all: false }),
    ("ForAllOfAllValues:", Quantifier::All { of_all: true }),
];

/// The operator with this name, in any casing.
pub(super) fn find(word: &str) -> Option<Named> {
    let lower = word.to_ascii_lowercase();
    let quantified = QUANTIFIERS.iter().find_map(|(prefix, quantifier)| {
        lower.strip_prefix(&prefix.to_ascii_lowercase()).map(|rest| (*quantifier, rest))
    });
    let (quantifier, name) = quantified.unwrap_or((Quantifier::One, &lower));
    for operator in every() {
        if operator.to_string().eq_ignore_ascii_case(name) {
            return Some(Named::Operator(quantifier, operator));
        }
    }
    let foreign = [("numeric", "numbers"), ("timeofday", "times of the day"), ("ip", "addresses")];
    let known = ["equals", "notequals", "greaterthan", "lessthan", "inrange", "match", "notmatch"];
    foreign.into_iter().find_map(|(kind, compares)| {
        let rest = name.strip_prefix(kind)?;
        known.iter().any(|operator| rest.starts_with(operator)).then_some(Named::Foreign(compares))
    })
}

/// Every operator.
pub(super) fn every() -> impl Iterator<Item = Operator> {
    let both = [false, true];
    let texts = TEXTS.into_iter().flat_map(move |(_, comparison)| {
        both.into_iter().flat_map(move |ignores_case| {
            both.into_iter().map(move |is_negated| Operator::Text { comparison, ignores_case, is_negated })
        })
    });
    let guids = both.into_iter().map(|is_negated| Operator::Guid { is_negated });
    let booleans = both.into_iter().map(|is_negated| Operator::Boolean { is_negated });
    texts.chain(guids).chain(booleans).chain(ORDERS.into_iter().map(|(_, order)| Operator::DateTime(order)))
}

impl Operator {
    /// What it compares.
    pub(super) fn kind(self) -> Type {
        match self {
            Self::Text { .. } => Type::Text,
            Self::Guid { .. } => Type::Guid,
            Self::Boolean { .. } => Type::Boolean,
            Self::DateTime(_) => Type::DateTime,
        }
    }

    /// How many values it takes by itself; a quantifier makes any number of them.
    pub(super) fn takes(self) -> usize {
        if self == Self::DateTime(Order::InRange) { 2 } else { 1 }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |is_negated: bool| if is_negated { "Not" } else { "" };
        match *self {
            Self::Text { comparison, ignores_case, is_negated } => {
                let name = TEXTS.iter().find(|(_, own)| *own == comparison).map_or("", |(name, _)| name);
                let case = if ignores_case { "IgnoreCase" } else { "" };
                write!(f, "String{}{name}{case}", not(is_negated))
            }
            Self::Guid { is_negated } => write!(f, "Guid{}Equals", not(is_negated)),
            Self::Boolean { is_negated } => write!(f, "Bool{}Equals", not(is_negated)),
            Self::DateTime(order) => {
                let name = ORDERS.iter().find(|(_, own)| *own == order).map_or("", |(name, _)| name);
                write!(f, "DateTime{name}")
            }
        }
    }
}

impl fmt::Display for Quantifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(QUANTIFIERS.iter().find(|(_, own)| own == self).map_or("", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_found_by_their_names_in_any_casing() {
        let mut names: Vec<String> = every().map(|operator| operator.to_string()).collect();
        for (operator, name) in every().zip(&names) {
            assert_eq!(find(name), Some(Named::Operator(Quantifier::One, operator)));
            assert_eq!(find(&name.to_uppercase()), Some(Named::Operator(Quantifier::One, operator)));
            let quantified = Named::Operator(Quantifier::All { of_all: false }, operator);
            assert_eq!(find(&format!("ForAnyOfAllValues:{name}")), Some(quantified));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 23);
        for documented in [
            "StringEquals",
            "StringNotEqualsIgnoreCase",
            "StringStartsWithIgnoreCase",
            "StringNotStartsWith",
            "StringNotLikeIgnoreCase",
            "GuidNotEquals",
            "BoolEquals",
            "DateTimeGreaterThanEquals",
        ] {
            assert!(names.iter().any(|name| name == documented), "{documented}");
        }
    }

    #[test]
    fn what_compares_something_else_is_told_from_what_is_no_operator() {
        assert_eq!(find("NumericGreaterThanEquals"), Some(Named::Foreign("numbers")));
        assert_eq!(find("TimeOfDayInRange"), Some(Named::Foreign("times of the day")));
        for word in ["", "Equals", "String", "StringEqual", "ForAnyOfAnyValues:", "ForSome:StringEquals", "AND"] {
            assert_eq!(find(word), None, "{word}");
        }
    }
}
