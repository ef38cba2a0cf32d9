//! Paging of lists: the parameters `n`, `last` and `orderby`, and the `Link` to the next page.
//!
//! Source: distribution-spec, "Listing Tags"; `acr/data-plane.md` 4.3 for the form of the link.

use std::borrow::Cow;
use std::fmt::Write;

use form_urlencoded::byte_serialize;

/// How many items a page has at most, and how many it has when the caller does not say.
pub const MAX_PAGE_ITEMS: usize = 1000;

/// The longest `last` that can be an item of ours, in bytes: a digest, a tag or a repository's name.
const MAX_LAST_BYTES: usize = 255;

/// Which items a caller wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// How many items; never more than [`MAX_PAGE_ITEMS`], however many were asked for. With 0 nothing is listed.
    pub limit: usize,
    /// The last item of the page before, which is not repeated.
    pub last: Option<String>,
    /// The order.
    pub order: Order,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By the bytes of the names.
    #[default]
    Lexical,
    /// The oldest first; `timeasc`.
    TimeAscending,
    /// The newest first; `timedesc`.
    TimeDescending,
}

/// Why a page cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// `n` is negative or not a number.
    #[error("n is not a number of results")]
    Number,
    /// `last` is nothing that a list could have ended with.
    #[error("last is not an item of a list")]
    Last,
}

impl PageQuery {
    /// Reads the paging parameters out of a query string; others are left alone.
    ///
    /// # Errors
    /// [`PageError`] for an `n` or a `last` that cannot be meant. A number larger than any list is as good as all.
    pub fn parse(query: &str) -> Result<Self, PageError> {
        let mut page = Self { limit: MAX_PAGE_ITEMS, last: None, order: Order::Lexical };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "n" if !value.is_empty() => page.limit = parse_limit(&value)?,
                "last" if !value.is_empty() => page.last = Some(parse_last(value)?),
                "orderby" => page.order = Order::from_word(&value),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The value of the `Link` header that leads to the page after the one that ends with `last`.
    ///
    /// `path` is the request's path as it came; `filters` are further parameters to be kept, such as `artifactType`.
    #[must_use]
    pub fn next_link(&self, path: &str, last: &str, filters: &[(&str, &str)]) -> String {
        let mut link = String::with_capacity(path.len() + last.len() + 64);
        let last: Cow<'_, str> = byte_serialize(last.as_bytes()).collect();
        let _ = write!(link, "<{path}?last={last}&n={}&orderby={}", self.limit, self.order.as_str());
        for (key, value) in filters {
            let _ = write!(link, "&{key}={}", byte_serialize(value.as_bytes()).collect::<Cow<'_, str>>());
        }
        link.push_str(">; rel=\"next\"");
        link
    }
}

impl Order {
    /// The word in the query; unknown words mean the usual order, as an unknown parameter would.
    fn from_word(word: &str) -> Self {
        match word {
            "timeasc" => Self::TimeAscending,
            "timedesc" => Self::TimeDescending,
            _ => Self::Lexical,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Lexical => "",
            Self::TimeAscending => "timeasc",
            Self::TimeDescending => "timedesc",
        }
    }
}

fn parse_limit(text: &str) -> Result<usize, PageError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PageError::Number);
    }
    Ok(text.parse().map_or(MAX_PAGE_ITEMS, |n: usize| n.min(MAX_PAGE_ITEMS)))
}

fn parse_last(text: Cow<'_, str>) -> Result<String, PageError> {
    // Databases refuse NUL in text, and nothing that we list holds blanks or control characters.
    if text.len() > MAX_LAST_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(PageError::Last);
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_bounded() {
        for (query, limit) in [
            ("", 1000),
            ("n=", 1000),
            ("n=0", 0),
            ("n=7", 7),
            ("n=1001", 1000),
            ("n=9223372036854775808", 1000),
            ("n=99999999999999999999999999999", 1000),
        ] {
            assert_eq!(PageQuery::parse(query).unwrap().limit, limit, "{query}");
        }
        for query in ["n=-1", "n=x", "n=1.5", "n=+1", "n=%00", "n=1%202"] {
            assert_eq!(PageQuery::parse(query), Err(PageError::Number), "{query}");
        }
    }

    #[test]
    fn last_is_an_item_or_refused() {
        assert_eq!(PageQuery::parse("last=team%2Fapp").unwrap().last.as_deref(), Some("team/app"));
        assert_eq!(PageQuery::parse("last=").unwrap().last, None);
        let long = format!("last={}", "a".repeat(256));
        for query in ["last=%00", "last=a%20b", "last=%C3%A9", "last=%FF", &long] {
            assert_eq!(PageQuery::parse(query), Err(PageError::Last), "{query}");
        }
    }

    #[test]
    fn links_are_relative_and_name_their_order() {
        let page = PageQuery::parse("n=2&api-version=2021-07-01").unwrap();
        assert_eq!(
            page.next_link("/v2/_catalog", "team/app", &[]),
            "</v2/_catalog?last=team%2Fapp&n=2&orderby=>; rel=\"next\""
        );
        let page = PageQuery::parse("n=2&orderby=timedesc").unwrap();
        assert_eq!(
            page.next_link("/v2/a%2Fb/referrers/d", "sha256:abc", &[("artifactType", "a/b+c")]),
            "</v2/a%2Fb/referrers/d?last=sha256%3Aabc&n=2&orderby=timedesc&artifactType=a%2Fb%2Bc>; rel=\"next\""
        );
    }

    proptest! {
        #[test]
        fn links_parse_as_printed(n in 0usize..2000, last in "[!-~]{1,60}", order in "(timeasc|timedesc|)") {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("n", &n.to_string())
                .append_pair("last", &last)
                .append_pair("orderby", &order)
                .finish();
            let page = PageQuery::parse(&query).unwrap();
            let link = page.next_link("/v2/_catalog", page.last.as_deref().unwrap(), &[]);
            let query = link.strip_prefix("</v2/_catalog?").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            prop_assert_eq!(PageQuery::parse(query).unwrap(), page);
        }

        #[test]
        fn nothing_panics(query in ".{0,100}") {
            let _ = PageQuery::parse(&query);
            let _ = PageQuery::parse(&format!("n={query}&last={query}"));
        }
    }
}
