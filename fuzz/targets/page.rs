//! Paging parameters, and the `Link` to the next page: it stands in a header and leads to the same kind of page.

#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use wharf_oci::{MAX_PAGE_ITEMS, PageQuery};

const PATH: &str = "/v2/team%2Fapp/referrers/sha256:0";

fuzz_target!(|query: &str| {
    let Ok(page) = PageQuery::parse(query) else { return };
    assert!(page.limit <= MAX_PAGE_ITEMS);
    let last = page.last.clone().unwrap_or_else(|| "z".to_owned());
    // The filter is whatever the client sent.
    let link = page.next_link(PATH, &last, &[("artifactType", query)]);
    HeaderValue::from_str(&link).expect("a link can stand in a header");
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect("it is in brackets");
    assert!(!next.contains(['<', '>', '"', ' ']));
    let next = next.strip_prefix(PATH).and_then(|next| next.strip_prefix('?')).expect("it leads to the same path");
    assert_eq!(PageQuery::parse(next), Ok(PageQuery { last: Some(last), ..page }));
});
