//! `/acr/v1/…`: attributes and locks of repositories, tags and manifests (`acr/data-plane.md` section 5).
//!
//! Members that have no value are left out, never `null`. An `api-version` in the query is not looked at.

mod change;
mod manifests;
mod repository;
mod tags;
mod values;

pub(crate) use manifests::{get as get_manifest, list as list_manifests, update as update_manifest};
pub(crate) use repository::{delete as delete_repository, get as get_repository, update as update_repository};
pub(crate) use tags::{get as get_tag, list as list_tags, untag, update as update_tag};
pub(crate) use values::{delete as delete_value, get as get_value, list as list_keys, put as put_value};

use http::{StatusCode, header};
use serde::Serialize;
use wharf_model::{RepositoryName, Timestamp};
use wharf_oci::PageQuery;
use wharf_registry::{Listing, cursor};

use crate::answer::{self, Answer};
use crate::router::Call;

/// What every answer but the repository's own has around it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    registry: &'a str,
    image_name: &'a RepositoryName,
    #[serde(flatten)]
    content: T,
}

/// Answers with content in its envelope.
pub(crate) fn answer<T: Serialize>(call: &Call<'_>, repository: &RepositoryName, content: T) -> Answer {
    let envelope = Envelope { registry: &call.host.login_server, image_name: repository, content };
    Ok(answer::json(StatusCode::OK, answer::to_json_line(&envelope)))
}

/// Answers with a page of a list and, when more follow, the link to the next one. `last` is the name and the time of the
/// last item.
fn answer_page<T, S: Serialize>(
    call: &Call<'_>,
    repository: &RepositoryName,
    query: &PageQuery,
    listing: &Listing<T>,
    last: Option<(&str, Timestamp)>,
    filters: &[(&str, &str)],
    content: S,
) -> Answer {
    let last = last.map(|(name, updated_at)| cursor(query.order, name, updated_at));
    answer_linked(call, repository, Linked { query, more: listing.more, last, filters }, content)
}

/// What the link to the next page is made of.
pub(crate) struct Linked<'a> {
    /// The page that was asked for.
    pub(crate) query: &'a PageQuery,
    /// Whether another one follows.
    pub(crate) more: bool,
    /// Where this one ends.
    pub(crate) last: Option<String>,
    /// Parameters that go with the link.
    pub(crate) filters: &'a [(&'a str, &'a str)],
}

/// Answers with a page whose end is known by a cursor of its own.
pub(crate) fn answer_linked<S: Serialize>(
    call: &Call<'_>,
    repository: &RepositoryName,
    linked: Linked<'_>,
    content: S,
) -> Answer {
    let mut response = answer(call, repository, content)?;
    let Linked { query, more, last, filters } = linked;
    if let Some(last) = last.filter(|_| more && query.limit > 0) {
        let link = query.next_link(call.parts.uri.path(), &last, filters);
        response.headers_mut().insert(header::LINK, answer::value(link));
    }
    Ok(response)
}
