//! `GET /v2/_catalog` and `/acr/v1/_catalog`: lists the repositories of a registry.

use http::{StatusCode, header};
use serde::Serialize;
use wharf_oci::PageQuery;
use wharf_registry::{Listing, Page};

use crate::answer::{self, Answer};
use crate::router::Call;

#[derive(Serialize)]
struct Repositories {
    repositories: Vec<String>,
}

/// Source: `acr/data-plane.md` 4.3. Always in the order of names: the orders by time are those of tags and manifests.
pub(crate) async fn list(call: &Call<'_>) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let listing = call.artifacts().list_repositories(&call.host.registry, page(&query)).await?;
    answer(call, &query, listing)
}

/// Answers with a page of repositories.
pub(crate) fn answer(call: &Call<'_>, query: &PageQuery, listing: Listing<String>) -> Answer {
    let link = next_link(call, query, &listing, String::as_str, &[]);
    let json = answer::to_json_line(&Repositories { repositories: items(query, listing) });
    let mut response = answer::json(StatusCode::OK, json);
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, answer::value(link));
    }
    Ok(response)
}

/// The use case's idea of a page.
pub(crate) fn page(query: &PageQuery) -> Page {
    Page { limit: query.limit, last: query.last.clone() }
}

/// The items of a page; none when none were asked for.
pub(crate) fn items<T>(query: &PageQuery, listing: Listing<T>) -> Vec<T> {
    if query.limit == 0 { Vec::new() } else { listing.items }
}

/// The link to the next page, if there is one. `name` tells by what an item is found again; `filters` go with the link.
pub(crate) fn next_link<T>(
    call: &Call<'_>,
    query: &PageQuery,
    listing: &Listing<T>,
    name: impl Fn(&T) -> &str,
    filters: &[(&str, &str)],
) -> Option<String> {
    let last = listing.items.last().filter(|_| listing.more && query.limit > 0)?;
    Some(query.next_link(call.parts.uri.path(), name(last), filters))
}
