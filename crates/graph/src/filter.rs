//! `$filter`: a condition on objects, of OData's language as much as clients use.
//!
//! ```text
//! or         := and ('or' and)*
//! and        := not ('and' not)*
//! not        := 'not' not | '(' or ')' | predicate
//! predicate  := ('startswith' | 'endswith' | 'contains') '(' path ',' literal ')'
//!             | path '/any(' name ':' or ')'                  the name stands for an element
//!             | path ('eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le') literal
//!             | path 'in' '(' literal (',' literal)* ')'
//! path       := name ('/' name)*
//! literal    := 'text' with '' for ' | true | false | null | a number, an id, a date
//! ```
//!
//! Texts are compared in any case. What a filter says about names and ids also tells where in the database to look
//! ([`Filter::hint`]); the whole of it is then asked of each object that is found there.

use serde_json::{Map, Value};

/// A condition on objects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// One of them.
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare(Path, Comparison, Literal),
    In(Path, Vec<Literal>),
    Text(Path, TextTest, String),
    /// Some element of a list fulfils the condition; inside, paths begin with the name.
    Any(Path, String, Box<Filter>),
}

/// A property, or one of a property.
type Path = Vec<String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Flag(bool),
    Number(f64),
    /// A text, an id or a date.
    Text(String),
}

/// Where the objects are that a filter can let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Under these object ids.
    Ids(Vec<String>),
    /// Under this application id.
    AppId(String),
    /// Under this user principal name.
    UserName(String),
    /// Under this URI of an application.
    IdentifierUri(String),
    /// Under this application id, or URI of the application.
    ServicePrincipalName(String),
    /// Among those whose names begin with this; if it is empty, anywhere.
    NamePrefix(String),
}

/// What is wrong with a filter, or with what it asks of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("Invalid filter clause: {expected} was expected at position {position}.")]
    Syntax { expected: &'static str, position: usize },
    #[error("Invalid filter clause: it is too long or nested too deeply.")]
    TooLarge,
    #[error("Could not find a property named '{name}'.")]
    UnknownProperty { name: String },
}

impl Filter {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > LONGEST_FILTER {
            return Err(FilterError::TooLarge);
        }
        let mut parser = Parser { text, position: 0, depth: 0 };
        let filter = parser.or()?;
        parser.skip_space();
        if parser.position < text.len() { Err(parser.expected("the end")) } else { Ok(filter) }
    }

    /// Whether an object fulfils the condition. The object has all of its properties, also those that are null.
    pub(crate) fn matches(&self, object: &Map<String, Value>) -> Result<bool, FilterError> {
        self.test(object, None)
    }

    fn test(&self, object: &Map<String, Value>, element: Option<(&str, &Value)>) -> Result<bool, FilterError> {
        Ok(match self {
            Self::And(parts) => {
                for part in parts {
                    if !part.test(object, element)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.test(object, element)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(inner) => !inner.test(object, element)?,
            Self::Compare(path, comparison, literal) => compare(find(path, object, element)?, *comparison, literal),
            Self::In(path, literals) => {
                let value = find(path, object, element)?;
                literals.iter().any(|literal| compare(value, Comparison::Equal, literal))
            }
            Self::Text(path, test, wanted) => {
                let text = find(path, object, element)?.as_str().map(str::to_lowercase);
                text.is_some_and(|text| match test {
                    TextTest::StartsWith => text.starts_with(wanted),
                    TextTest::EndsWith => text.ends_with(wanted),
                    TextTest::Contains => text.contains(wanted),
                })
            }
            Self::Any(path, name, inner) => {
                let list = find(path, object, element)?.as_array().map(Vec::as_slice).unwrap_or_default();
                for value in list {
                    if inner.test(object, Some((name, value)))? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }

    /// Where to look for the objects that this filter can let through.
    pub(crate) fn hint(&self) -> Hint {
        let mut best = Hint::NamePrefix(String::new());
        self.collect_hints(&mut best);
        best
    }

    /// Looks through everything that must hold for the whole to hold.
    fn collect_hints(&self, best: &mut Hint) {
        match self {
            Self::And(parts) => parts.iter().for_each(|part| part.collect_hints(best)),
            Self::Compare(path, Comparison::Equal, Literal::Text(text)) => match path_word(path) {
                "id" => *best = Hint::Ids(vec![text.clone()]),
                "appId" => *best = Hint::AppId(text.clone()),
                "userPrincipalName" => *best = Hint::UserName(text.clone()),
                "displayName" => better_prefix(best, text),
                _ => {}
            },
            Self::In(path, literals) if path_word(path) == "id" => {
                let ids = literals.iter().filter_map(|literal| match literal {
                    Literal::Text(id) => Some(id.clone()),
                    Literal::Null | Literal::Flag(_) | Literal::Number(_) => None,
                });
                *best = Hint::Ids(ids.collect());
            }
            Self::Text(path, TextTest::StartsWith, text) if path_word(path) == "displayName" => {
                better_prefix(best, text)
            }
            Self::Any(path, name, inner) => {
                if let Self::Compare(of, Comparison::Equal, Literal::Text(text)) = &**inner
                    && path_word(of) == name
                {
                    match path_word(path) {
                        "identifierUris" => *best = Hint::IdentifierUri(text.clone()),
                        "servicePrincipalNames" => *best = Hint::ServicePrincipalName(text.clone()),
                        _ => {}
                    }
                }
            }
            Self::Or(..) | Self::Not(_) | Self::Compare(..) | Self::In(..) | Self::Text(..) => {}
        }
    }
}

/// The only part, or all of them put together.
fn one_or(mut parts: Vec<Filter>, all: fn(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 { parts.remove(0) } else { all(parts) }
}

/// A longer prefix finds fewer; anything else that is known finds fewer still.
fn better_prefix(best: &mut Hint, prefix: &str) {
    if let Hint::NamePrefix(known) = best
        && known.len() < prefix.len()
    {
        prefix.clone_into(known);
    }
}

/// The property that a path is, if it is one and not a property of a property.
fn path_word(path: &Path) -> &str {
    match path.as_slice() {
        [word] => word,
        _ => "",
    }
}

fn find<'v>(
    path: &Path,
    object: &'v Map<String, Value>,
    element: Option<(&str, &'v Value)>,
) -> Result<&'v Value, FilterError> {
    let (first, rest) = path.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut value = match element {
        Some((name, value)) if name == first => value,
        _ => object.get(first).ok_or_else(|| FilterError::UnknownProperty { name: first.to_owned() })?,
    };
    for word in rest {
        value = value.get(word).unwrap_or(&Value::Null);
    }
    Ok(value)
}

fn compare(value: &Value, comparison: Comparison, literal: &Literal) -> bool {
    use std::cmp::Ordering;
    let order = match (value, literal) {
        (Value::Null, Literal::Null) => Some(Ordering::Equal),
        (Value::Bool(value), Literal::Flag(flag)) => Some(value.cmp(flag)),
        (Value::Number(value), Literal::Number(number)) => value.as_f64().and_then(|value| value.partial_cmp(number)),
        (Value::String(value), Literal::Text(text)) => Some(value.to_lowercase().cmp(&text.to_lowercase())),
        _ => None,
    };
    match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
    }
}

struct Parser<'t> {
    text: &'t str,
    position: usize,
    depth: usize,
}

impl Parser<'_> {
    fn or(&mut self) -> Result<Filter, FilterError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(FilterError::TooLarge);
        }
        let mut parts = vec![self.and()?];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        self.depth -= 1;
        Ok(one_or(parts, Filter::Or))
    }

    fn and(&mut self) -> Result<Filter, FilterError> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Filter::And))
    }

    fn not(&mut self) -> Result<Filter, FilterError> {
        // No recursion, so that no row of words can be too deep.
        let mut is_negated = false;
        while self.take_word("not") {
            is_negated = !is_negated;
        }
        let filter = if self.take("(") {
            let inner = self.or()?;
            self.expect(")")?;
            inner
        } else {
            self.predicate()?
        };
        Ok(if is_negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    fn predicate(&mut self) -> Result<Filter, FilterError> {
        let name = self.name()?;
        let test = match name.to_ascii_lowercase().as_str() {
            "startswith" => Some(TextTest::StartsWith),
            "endswith" => Some(TextTest::EndsWith),
            "contains" => Some(TextTest::Contains),
            _ => None,
        };
        if let Some(test) = test
            && self.take("(")
        {
            let path = self.path()?;
            self.expect(",")?;
            let Literal::Text(text) = self.literal()? else { return Err(self.expected("a text")) };
            self.expect(")")?;
            return Ok(Filter::Text(path, test, text.to_lowercase()));
        }
        let mut path = vec![name];
        while self.take("/") {
            let word = self.name()?;
            if word.eq_ignore_ascii_case("any") && self.take("(") {
                let name = self.name()?;
                self.expect(":")?;
                let inner = self.or()?;
                self.expect(")")?;
                return Ok(Filter::Any(path, name, Box::new(inner)));
            }
            path.push(word);
        }
        if self.take_word("in") {
            self.expect("(")?;
            let mut literals = vec![self.literal()?];
            while self.take(",") {
                literals.push(self.literal()?);
            }
            self.expect(")")?;
            return Ok(Filter::In(path, literals));
        }
        let comparison = [
            ("eq", Comparison::Equal),
            ("ne", Comparison::NotEqual),
            ("gt", Comparison::Greater),
            ("ge", Comparison::GreaterOrEqual),
            ("lt", Comparison::Less),
            ("le", Comparison::LessOrEqual),
        ]
        .into_iter()
        .find(|(word, _)| self.take_word(word));
        let (_, comparison) = comparison.ok_or_else(|| self.expected("an operator such as eq"))?;
        Ok(Filter::Compare(path, comparison, self.literal()?))
    }

    fn path(&mut self) -> Result<Path, FilterError> {
        let mut path = vec![self.name()?];
        while self.take("/") {
            path.push(self.name()?);
        }
        Ok(path)
    }

    fn name(&mut self) -> Result<String, FilterError> {
        self.skip_space();
        let rest = &self.text[self.position..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '$');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let name = &rest[..length];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '@') {
            return Err(self.expected("a name"));
        }
        self.position += length;
        Ok(name.to_owned())
    }

    fn literal(&mut self) -> Result<Literal, FilterError> {
        self.skip_space();
        let rest = &self.text[self.position..];
        if let Some(quoted) = rest.strip_prefix('\'') {
            let mut text = String::new();
            let mut characters = quoted.char_indices().peekable();
            while let Some((at, character)) = characters.next() {
                if character != '\'' {
                    text.push(character);
                } else if characters.next_if(|&(_, next)| next == '\'').is_some() {
                    text.push('\'');
                } else {
                    self.position += at + 2;
                    return Ok(Literal::Text(text));
                }
            }
            return Err(self.expected("a text that ends with '"));
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '+');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        if word.is_empty() {
            return Err(self.expected("a value"));
        }
        self.position += length;
        Ok(match word {
            "null" => Literal::Null,
            "true" => Literal::Flag(true),
            "false" => Literal::Flag(false),
            word => match word.parse() {
                Ok(number) if word.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.')) => {
                    Literal::Number(number)
                }
                _ => Literal::Text(word.to_owned()),
            },
        })
    }

    /// Takes a word that ends where it ends, in any case.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let rest = &self.text[self.position..];
        let is_it = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/');
        if is_it {
            self.position += word.len();
        }
        is_it
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let is_it = self.text[self.position..].starts_with(symbol);
        if is_it {
            self.position += symbol.len();
        }
        is_it
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), FilterError> {
        if self.take(symbol) { Ok(()) } else { Err(self.expected(symbol)) }
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.position..];
        self.position += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        FilterError::Syntax { expected, position: self.position }
    }
}

/// Bytes of the longest filter that is read.
const LONGEST_FILTER: usize = 16 * 1024;
/// Brackets within brackets.
const MOST_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object() -> Map<String, Value> {
        let value = json!({
            "id": "4F0D6F0E-1111-4222-8333-9A9B9C9D9E9F", "displayName": "Anna O'Hara", "accountEnabled": true,
            "mail": null, "count": 3, "createdDateTime": "2026-11-21T10:00:00Z",
            "servicePrincipalNames": ["api://x", "4f0d"],
            "web": {"homePageUrl": "https://x"},
            "keyCredentials": [{"keyId": "k1", "displayName": "CN=ci"}],
        });
        let Value::Object(object) = value else { unreachable!() };
        object
    }

    fn holds(filter: &str) -> bool {
        Filter::parse(filter)
            .and_then(|filter| filter.matches(&object()))
            .unwrap_or_else(|error| panic!("{filter}: {error}"))
    }

    #[test]
    fn what_holds_and_what_does_not() {
        for filter in [
            "displayName eq 'anna o''hara'",
            "startswith(displayName,'ANNA')",
            "startsWith( displayName , 'a' ) and accountEnabled eq true",
            "endswith(displayName,'hara') or contains(displayName,'zzz')",
            "servicePrincipalNames/any(c:c eq 'API://X')",
            "servicePrincipalNames/any(c: c eq 'no' or c eq '4f0d')",
            "keyCredentials/any(k:k/keyId eq 'k1' and k/displayName eq 'cn=ci')",
            "not (displayName eq 'Bert')",
            "NOT displayName eq 'Bert' AND NOT (mail ne null)",
            "mail eq null",
            "id eq 4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f",
            "id in ('x', '4f0d6f0e-1111-4222-8333-9a9b9c9d9e9f')",
            "count ge 3 and count lt 4 and count ne 5",
            "createdDateTime ge 2026-11-21T00:00:00Z and createdDateTime lt 2026-11-22T00:00:00Z",
            "web/homePageUrl eq 'https://x'",
            "web/nothing eq null",
            "(((displayName ne 'x')))",
        ] {
            assert!(holds(filter), "{filter}");
        }
        for filter in [
            "displayName eq 'Anna'",
            "displayName eq true",
            "accountEnabled eq 'true'",
            "mail ne null",
            "servicePrincipalNames/any(c:startswith(c,'zzz'))",
            "displayName eq 'a' or displayName eq 'b' and accountEnabled eq true",
            "displayName in ('a','b')",
            "mail gt 'a'",
        ] {
            assert!(!holds(filter), "{filter}");
        }
    }

    #[test]
    fn filters_that_cannot_be_read_are_refused() {
        for filter in [
            "",
            "displayName",
            "displayName eq",
            "displayName eq 'open",
            "displayName like 'x'",
            "displayName eq 'x' and",
            "(displayName eq 'x'",
            "displayName eq 'x')",
            "startswith(displayName)",
            "startswith(displayName, 3)",
            "names/any(c c eq 'x')",
            "id in ()",
            "'x' eq displayName",
            "displayName eq 'x' displayName eq 'y'",
        ] {
            assert!(matches!(Filter::parse(filter), Err(FilterError::Syntax { .. })), "{filter}");
        }
        for filter in [format!("{}a eq 1{}", "(".repeat(100), ")".repeat(100)), " ".repeat(20_000)] {
            assert_eq!(Filter::parse(&filter), Err(FilterError::TooLarge));
        }
        assert!(Filter::parse(&format!("{}a eq 1", "not ".repeat(3_000))).is_ok());
        let unknown = Filter::parse("planet eq 'x'").unwrap().matches(&object());
        assert_eq!(unknown, Err(FilterError::UnknownProperty { name: "planet".into() }));
    }

    #[test]
    fn hints_say_where_to_look() {
        let hint = |filter: &str| Filter::parse(filter).unwrap().hint();
        assert_eq!(hint("appId eq 'x'"), Hint::AppId("x".into()));
        assert_eq!(hint("servicePrincipalNames/any(c:c eq 'x')"), Hint::ServicePrincipalName("x".into()));
        assert_eq!(hint("identifierUris/any(s:s eq 'api://x')"), Hint::IdentifierUri("api://x".into()));
        assert_eq!(hint("userPrincipalName eq 'a@b.c' and accountEnabled eq true"), Hint::UserName("a@b.c".into()));
        assert_eq!(hint("displayName eq 'ab' and startswith(displayName,'a')"), Hint::NamePrefix("ab".into()));
        assert_eq!(hint("id in ('a','b')"), Hint::Ids(vec!["a".into(), "b".into()]));
        for anywhere in [
            "displayName eq 'a' or displayName eq 'b'",
            "not displayName eq 'a'",
            "displayName ne 'a'",
            "servicePrincipalNames/any(c:c ne 'x')",
            "servicePrincipalNames/any(c:appId eq 'x')",
            "web/id eq 'x'",
        ] {
            assert_eq!(hint(anywhere), Hint::NamePrefix(String::new()), "{anywhere}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(filter in "[a-z'()/:, é]{0,60}|(not |\\(|a eq 1|and |or |any\\(c:){0,12}") {
            if let Ok(filter) = Filter::parse(&filter) {
                let _ = filter.matches(&object());
                let _ = filter.hint();
            }
        }
    }
}
