//! What a query asks for: `$filter`, `$select`, `$top`, `$skiptoken`, `$count`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{Code, GraphError};
use crate::filter::Filter;

/// The options of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) filter: Option<Filter>,
    /// Names of the properties that are wanted; empty for the usual ones.
    pub(crate) select: Vec<String>,
    /// How many objects a page may have.
    pub(crate) top: usize,
    /// What the page comes after.
    pub(crate) after: Option<Position>,
    /// Whether the number of all is wanted.
    pub(crate) count: bool,
    /// The options as they were sent, without the page's, for the next page's address.
    sent: Vec<(String, String)>,
}

/// A place in a list: the name's key and the id of the object before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) name_key: String,
    pub(crate) id: Uuid,
}

impl Query {
    /// Reads the options.
    ///
    /// # Errors
    /// When one is not supported or cannot be read. What does not begin with `$` is no option and is passed over.
    pub(crate) fn parse(query: &str) -> Result<Self, GraphError> {
        let mut read = Self { top: USUAL_PAGE, ..Self::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let known = name.to_ascii_lowercase();
            match known.as_str() {
                "$filter" if value.trim().is_empty() => {}
                "$filter" => {
                    let filter = Filter::parse(&value);
                    read.filter = Some(filter.map_err(|error| GraphError::new(Code::BadRequest, error.to_string()))?);
                }
                "$select" => {
                    read.select =
                        value.split(',').map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect();
                }
                "$top" => {
                    let top = value.trim().parse().ok().filter(|top| (1..=LARGEST_PAGE).contains(top));
                    read.top =
                        top.ok_or_else(|| invalid("$top", &format!("a number from 1 to {LARGEST_PAGE} is wanted")))?;
                }
                "$skiptoken" => {
                    let position = Position::parse(&value);
                    read.after = Some(position.ok_or_else(|| invalid("$skiptoken", "take it from @odata.nextLink"))?);
                    continue;
                }
                "$count" => {
                    read.count = match value.trim() {
                        "true" => true,
                        "false" => false,
                        _ => return Err(invalid("$count", "it is true or false")),
                    };
                }
                // Lists are in this order anyway.
                "$orderby" if matches!(value.trim(), "displayName" | "displayName asc") => {}
                "$format" | "$expand" if value.trim().is_empty() => {}
                "$orderby" | "$expand" | "$search" | "$skip" | "$apply" | "$compute" => {
                    let text = format!("The query option {name} is not supported here.");
                    return Err(GraphError::new(Code::UnsupportedQuery, text));
                }
                "$format" if value.eq_ignore_ascii_case("json") => {}
                _ if name.starts_with('$') => {
                    let text = format!("Unrecognized query argument specified: '{name}'.");
                    return Err(GraphError::new(Code::BadRequest, text));
                }
                _ => continue,
            }
            read.sent.push((name.into_owned(), value.into_owned()));
        }
        Ok(read)
    }

    /// The query of the page after this position.
    pub(crate) fn next(&self, after: &Position) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.sent).append_pair("$skiptoken", &after.to_string());
        query.finish()
    }

    /// The object with the properties that are wanted; the usual ones if none are named.
    pub(crate) fn select(&self, mut object: Map<String, Value>, usual: Option<&[&str]>) -> Map<String, Value> {
        if !self.select.is_empty() {
            let is_wanted = |name: &str| self.select.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
            object.retain(|name, _| name.starts_with("@odata.") || is_wanted(name));
        } else if let Some(usual) = usual {
            object.retain(|name, _| name.starts_with("@odata.") || usual.contains(&name.as_str()));
        }
        object
    }
}

impl Position {
    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (name_key, id) = serde_json::from_slice(&bytes).ok()?;
        Some(Self { name_key, id })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::json!([self.name_key, self.id]).to_string();
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

fn invalid(option: &str, reason: &str) -> GraphError {
    GraphError::new(Code::BadRequest, format!("Invalid value specified for the query option {option}: {reason}."))
}

/// Objects on a page when nobody says how many.
const USUAL_PAGE: usize = 100;
/// Objects on a page at most.
const LARGEST_PAGE: usize = 999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let query =
            Query::parse("$filter=appId%20eq%20%27x%27&$select=id, displayName&$top=5&$count=true&api-version=1")
                .unwrap();
        assert!(query.filter.is_some() && query.count);
        assert_eq!((query.select.len(), query.top), (2, 5));
        assert_eq!(Query::parse("").unwrap().top, USUAL_PAGE);
        assert!(Query::parse("$orderby=displayName&$filter=").is_ok());
    }

    #[test]
    fn options_that_are_not_supported_are_refused() {
        for bad in [
            "$top=0",
            "$top=1000",
            "$top=x",
            "$skiptoken=x",
            "$count=1",
            "$filter=x",
            "$orderby=mail",
            "$search=x",
            "$expand=owners",
            "$planet=1",
        ] {
            let code = Query::parse(bad).unwrap_err().code();
            assert!(matches!(code, Code::BadRequest | Code::UnsupportedQuery), "{bad}");
        }
    }

    #[test]
    fn the_next_page_is_asked_for_with_the_same_options() {
        let query = Query::parse("$filter=displayName ne 'ü %26'&$top=5&$select=id").unwrap();
        let after = Position { name_key: "änna & co".into(), id: Uuid::from_u128(9) };
        let next = Query::parse(&query.next(&after)).unwrap();
        assert_eq!(next, Query { after: Some(after), ..query });
    }
}
