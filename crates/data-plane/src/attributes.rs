//! `/acr/v1/…`: attributes and locks of repositories, tags and manifests (`acr/data-plane.md` section 5).
//!
//! Members that have no value are left out, never `null`. An `api-version` in the query is not looked at.

mod change;
mod manifests;
mod repository;
mod tags;

pub(crate) use manifests::{get as get_manifest, list as list_manifests, update as update_manifest};
pub(crate) use repository::{delete as delete_repository, get as get_repository, update as update_repository};
pub(crate) use tags::{get as get_tag, list as list_tags, untag, update as update_tag};

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
fn answer<T: Serialize>(call: &Call<'_>, repository: &RepositoryName, content: T) -> Answer {
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
    let mut response = answer(call, repository, content)?;
    if let Some((name, updated_at)) = last.filter(|_| listing.more && query.limit > 0) {
        let link = query.next_link(call.parts.uri.path(), &cursor(query.order, name, updated_at), filters);
        response.headers_mut().insert(header::LINK, answer::value(link));
    }
    Ok(response)
}
