//! `GET /v2/<name>/referrers/<digest>`: lists the manifests that have this one as their subject.

use http::{HeaderValue, StatusCode, header};
use wharf_model::{Digest, RepositoryName};
use wharf_oci::{Descriptor, Index, PageQuery, media_type};

use crate::answer::{self, Answer};
use crate::catalog::{items, next_link, page};
use crate::failure::Failure;
use crate::router::Call;

/// A subject, or a repository, that does not exist has no referrers: that is 200 with an empty index, since 404 would mean
/// that this registry does not know the endpoint. Source: distribution-spec, "Listing Referrers".
pub(crate) async fn list(call: &Call<'_>, repository: &RepositoryName, subject: &Digest) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let wanted = call.parameter("artifactType").filter(|text| !text.is_empty());
    let listing = match &wanted {
        // No artifact has such a type, and a database may refuse to look for it.
        Some(wanted) if wanted.bytes().any(|b| b.is_ascii_control()) => {
            wharf_registry::Listing { items: Vec::new(), more: false }
        }
        _ => {
            let (sight, registry) = (call.sight(repository), &call.host.registry);
            let listed =
                call.cache().list_referrers(registry, repository, subject, wanted.as_deref(), page(&query), sight);
            listed.await.map_err(|error| Failure::of_cache(error, call.request_id))?
        }
    };
    let filters: Vec<(&str, &str)> = wanted.iter().map(|wanted| ("artifactType", wanted.as_str())).collect();
    let link = next_link(call, &query, &listing, |found: &Descriptor| found.digest.as_str(), &filters);
    let mut response = answer::json(StatusCode::OK, Index::of(items(&query, listing)).to_json());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::OCI_INDEX));
    if wanted.is_some() {
        headers.insert(&wharf_oci::header::OCI_FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some(link) = link {
        headers.insert(header::LINK, answer::value(link));
    }
    Ok(response)
}
