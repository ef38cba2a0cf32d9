//! `GET /v2/<name>/tags/list`: lists the tags of a repository.

use http::{StatusCode, header};
use serde::Serialize;
use wharf_model::RepositoryName;
use wharf_oci::{OciError, PageQuery};

use crate::answer::{self, Answer};
use crate::catalog::{items, next_link, page};
use crate::router::Call;

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a RepositoryName,
    tags: Vec<String>,
}

/// Source: distribution-spec, "Listing Tags": always in the order of names, whatever `orderby` says.
pub(crate) async fn list(call: &Call<'_>, repository: &RepositoryName) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let listing = call
        .artifacts()
        .list_tags(call.target(repository), page(&query))
        .await?
        .ok_or_else(|| OciError::name_unknown(repository))?;
    let link = next_link(call, &query, &listing, String::as_str, &[]);
    let json = answer::to_json_line(&Tags { name: repository, tags: items(&query, listing) });
    let mut response = answer::json(StatusCode::OK, json);
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, answer::value(link));
    }
    Ok(response)
}
