//! `$filter`: the small part of OData's language that ARM's lists know.
//!
//! ```text
//! filter     = term { "or" term }
//! term       = factor { "and" factor }
//! factor     = "not" factor | "(" filter ")" | comparison | call
//! comparison = member ("eq" | "ne") value
//! call       = word "(" [ argument { "," argument } ] ")"          startswith, substringof, contains, atScope, …
//! value      = 'text, with '' for a quote' | word
//! ```
//!
//! What the members and calls mean is up to the list.

use crate::{ArmError, Code};

/// A condition on the items of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them.
    And(Vec<Self>),
    /// One of them.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A member is this value, compared without regard to case.
    Equals {
        /// The member: `resourceType`, `properties/roleName`.
        member: String,
        /// The value; texts without their quotes.
        value: String,
    },
    /// A call that says yes or no.
    Call {
        /// Its word, in lower case: `startswith`.
        name: String,
        /// What stands between the parentheses.
        arguments: Vec<Argument>,
    },
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A member.
    Member(String),
    /// A text.
    Text(String),
}

impl Argument {
    fn as_member(&self) -> Option<&str> {
        match self {
            Self::Member(name) => Some(name),
            Self::Text(_) => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Member(_) => None,
        }
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `InvalidFilterInQueryString`, saying what was expected where.
    pub fn parse(text: &str) -> Result<Self, ArmError> {
        if text.len() > MOST_BYTES {
            return Err(invalid(text, "it is too long"));
        }
        let mut parser = Parser { text, rest: text, depth: 0 };
        let filter = parser.filter()?;
        if parser.skip().is_empty() { Ok(filter) } else { Err(parser.expected("and, or, or the end")) }
    }

    /// The value that a member must have for anything to pass, if the filter says so at its top: what an index can be
    /// asked for.
    #[must_use]
    pub fn required(&self, wanted: &str) -> Option<&str> {
        match self {
            Self::Equals { member, value } if member.eq_ignore_ascii_case(wanted) => Some(value),
            Self::And(parts) => parts.iter().find_map(|part| part.required(wanted)),
            _ => None,
        }
    }

    /// Whether an item passes. `values` gives what a member holds: none, one or several texts, one of which must do.
    ///
    /// # Errors
    /// `InvalidFilterInQueryString`, for a call that is none of `startswith`, `endswith`, `substringof` and `contains`.
    pub fn matches(&self, values: &dyn Fn(&str) -> Vec<String>) -> Result<bool, ArmError> {
        match self {
            Self::And(parts) => {
                for part in parts {
                    if !part.matches(values)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.matches(values)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(part) => Ok(!part.matches(values)?),
            Self::Equals { member, value } => {
                let value = value.to_lowercase();
                Ok(values(member).iter().any(|held| held.to_lowercase() == value))
            }
            Self::Call { name, arguments } => {
                // `substringof` has its arguments the other way round.
                let (member, text) = match (arguments.as_slice(), name.as_str()) {
                    ([text, member], "substringof") => (member.as_member(), text.as_text()),
                    ([member, text], "startswith" | "endswith" | "contains") => (member.as_member(), text.as_text()),
                    _ => (None, None),
                };
                let (Some(member), Some(text)) = (member, text) else {
                    return Err(invalid(
                        name,
                        "there are startswith, endswith, substringof and contains, of a member and a text",
                    ));
                };
                let text = text.to_lowercase();
                Ok(values(member).iter().map(|held| held.to_lowercase()).any(|held| match name.as_str() {
                    "startswith" => held.starts_with(&text),
                    "endswith" => held.ends_with(&text),
                    _ => held.contains(&text),
                }))
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn filter(&mut self) -> Result<Filter, ArmError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(invalid(self.text, "it is nested too deeply"));
        }
        let mut parts = vec![self.term()?];
        while self.take_word("or") {
            parts.push(self.term()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Or(parts) })
    }

    fn term(&mut self) -> Result<Filter, ArmError> {
        let mut parts = vec![self.factor()?];
        while self.take_word("and") {
            parts.push(self.factor()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn factor(&mut self) -> Result<Filter, ArmError> {
        if self.take("(") {
            let inner = self.filter()?;
            return if self.take(")") { Ok(inner) } else { Err(self.expected("a closing parenthesis")) };
        }
        if self.take_word("not") {
            self.depth += 1;
            if self.depth > MOST_DEPTH {
                return Err(invalid(self.text, "it is nested too deeply"));
            }
            let negated = Filter::Not(Box::new(self.factor()?));
            self.depth -= 1;
            return Ok(negated);
        }
        let word = self.word().ok_or_else(|| self.expected("a member"))?;
        if self.take("(") {
            return self.call(word);
        }
        let is_equal = if self.take_word("eq") {
            true
        } else if self.take_word("ne") {
            false
        } else {
            return Err(self.expected("eq or ne"));
        };
        let value = match self.quoted()? {
            Some(text) => text,
            None => self.word().ok_or_else(|| self.expected("a value"))?.to_owned(),
        };
        let equals = Filter::Equals { member: word.to_owned(), value };
        Ok(if is_equal { equals } else { Filter::Not(Box::new(equals)) })
    }

    fn call(&mut self, name: &str) -> Result<Filter, ArmError> {
        let mut arguments = Vec::new();
        while !self.take(")") {
            if !arguments.is_empty() && !self.take(",") {
                return Err(self.expected("a comma or a closing parenthesis"));
            }
            arguments.push(match self.quoted()? {
                Some(text) => Argument::Text(text),
                None => Argument::Member(self.word().ok_or_else(|| self.expected("an argument"))?.to_owned()),
            });
        }
        Ok(Filter::Call { name: name.to_ascii_lowercase(), arguments })
    }

    fn quoted(&mut self) -> Result<Option<String>, ArmError> {
        if !self.take("'") {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            let Some(end) = self.rest.find('\'') else { return Err(self.expected("a closing quote")) };
            text.push_str(&self.rest[..end]);
            self.rest = &self.rest[end + 1..];
            // A quote that is doubled is part of the text.
            match self.rest.strip_prefix('\'') {
                Some(rest) => self.rest = rest,
                None => return Ok(Some(text)),
            }
            text.push('\'');
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        let rest = self.skip();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_/.-:$@".contains(c))).unwrap_or(rest.len());
        let word = &rest[..end];
        self.rest = &rest[end..];
        (!word.is_empty()).then_some(word)
    }

    fn take(&mut self, sign: &str) -> bool {
        let taken = self.skip().strip_prefix(sign);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn take_word(&mut self, word: &str) -> bool {
        let before = self.rest;
        let is_it = self.word().is_some_and(|found| found.eq_ignore_ascii_case(word));
        if !is_it {
            self.rest = before;
        }
        is_it
    }

    fn skip(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn expected(&self, what: &str) -> ArmError {
        let place = self.text.len() - self.rest.len();
        invalid(self.text, &format!("{what} was expected at position {}", place + 1))
    }
}

fn invalid(text: &str, reason: &str) -> ArmError {
    let text: String = text.chars().take(200).collect();
    ArmError::new(Code::InvalidFilterInQueryString, format!("The filter '{text}' cannot be read: {reason}."))
        .with_target("$filter")
}

/// The longest filter, in bytes.
const MOST_BYTES: usize = 8 << 10;
/// How deep parentheses may go.
const MOST_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn equals(member: &str, value: &str) -> Filter {
        Filter::Equals { member: member.into(), value: value.into() }
    }

    #[test]
    fn filters_of_az_are_read() {
        let filter = Filter::parse("resourceType eq 'Microsoft.ContainerRegistry/registries'").unwrap();
        assert_eq!(filter, equals("resourceType", "Microsoft.ContainerRegistry/registries"));
        let filter = Filter::parse("name eq 'a' and (resourceType eq 'x' or resourceType eq 'o''y')").unwrap();
        let types = Filter::Or(vec![equals("resourceType", "x"), equals("resourceType", "o'y")]);
        assert_eq!(filter, Filter::And(vec![equals("name", "a"), types]));
        assert_eq!(filter.required("NAME"), Some("a"));
        assert_eq!(filter.required("resourceType"), None);
        assert_eq!(Filter::parse("atScope()").unwrap(), Filter::Call { name: "atscope".into(), arguments: vec![] });
        let held = Filter::parse("assignedTo('7a1f')").unwrap();
        assert!(matches!(held, Filter::Call { arguments, .. } if arguments[0].as_text() == Some("7a1f")));
    }

    #[test]
    fn items_are_told_apart() {
        let values = |member: &str| match member {
            "name" => vec!["MyReg".to_owned()],
            "tagname" => vec!["env".to_owned(), "owner".to_owned()],
            _ => vec![],
        };
        for (text, expected) in [
            ("name eq 'myreg'", true),
            ("name ne 'myreg'", false),
            ("not name eq 'x' and tagname eq 'Owner'", true),
            ("startswith(name, 'my') and substringof('REG', name)", true),
            ("endswith(name,'x') or contains(tagname,'nv')", true),
            ("absent eq 'x'", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().matches(&values), Ok(expected), "{text}");
        }
        assert!(Filter::parse("round(name, 'x')").unwrap().matches(&values).is_err());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = format!("{}name eq 'a'{}", "(".repeat(500), ")".repeat(500));
        let negated = format!("{}name eq 'a'", "not ".repeat(500));
        for text in [
            "",
            "name",
            "name eq",
            "name eq 'a",
            "name gt 3",
            "(name eq 'a'",
            "name eq 'a' name",
            "f('a' 'b')",
            &deep,
            &negated,
        ] {
            assert_eq!(Filter::parse(text).unwrap_err().code, Code::InvalidFilterInQueryString, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-z '(),ñ]{0,60}") {
            let _ = Filter::parse(&text);
        }
    }
}
