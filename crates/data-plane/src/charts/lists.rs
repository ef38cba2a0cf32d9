//! The index of a repository of charts, and its lists.

use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use wharf_model::RepositoryName;
use wharf_oci::{Code, OciError};
use wharf_registry::ChartVersion;

use crate::answer::{self, Answer};
use crate::router::Call;

/// `GET /helm/v1/<home>/index.yaml`. Azure's registries redirect to storage here; the index is small enough to be answered.
pub(crate) async fn get_index(call: &Call<'_>, home: &RepositoryName) -> Answer {
    let index = call.artifacts().chart_index(call.charts(home)).await?;
    let etag = answer::etag(&index.digest);
    let is_not_modified = answer::is_not_modified(&call.parts.headers, &etag);
    let mut response = answer::status(if is_not_modified { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.headers_mut().insert(header::ETAG, etag);
    if !is_not_modified {
        response.headers_mut().insert(header::CONTENT_TYPE, YAML);
        answer::bytes_unless_head(call.is_head(), &mut response, &index.document);
    }
    Ok(response)
}

/// `GET /helm/v1/<home>/_charts`: every chart with its versions.
pub(crate) async fn list(call: &Call<'_>, home: &RepositoryName) -> Answer {
    let charts = call.artifacts().list_charts(call.charts(home), None).await?;
    Ok(answer::json(StatusCode::OK, answer::to_json_line(&charts)))
}

/// `GET /helm/v1/<home>/_charts/<chart>`: its versions, the newest first.
pub(crate) async fn list_versions(call: &Call<'_>, home: &RepositoryName, chart: &str) -> Answer {
    let versions = versions(call, home, chart).await?;
    if versions.is_empty() {
        return Err(unknown(home, chart).into());
    }
    Ok(answer::json(StatusCode::OK, answer::to_json_line(&versions)))
}

/// `GET /helm/v1/<home>/_charts/<chart>/<version>`.
pub(crate) async fn get_version(call: &Call<'_>, home: &RepositoryName, chart: &str, version: &str) -> Answer {
    let versions = versions(call, home, chart).await?;
    let found =
        versions.into_iter().find(|found| found.get("version").and_then(|found| found.as_str()) == Some(version));
    let found = found.ok_or_else(|| unknown(home, &format!("{chart}-{version}")))?;
    Ok(answer::json(StatusCode::OK, answer::to_json_line(&found)))
}

/// `DELETE /helm/v1/<home>/_charts/<chart>`: all its versions.
pub(crate) async fn delete(call: &Call<'_>, home: &RepositoryName, chart: &str) -> Answer {
    call.artifacts().delete_chart(call.charts(home), chart, call.caller.name()).await?;
    Ok(answer::json(StatusCode::ACCEPTED, answer::to_json_line(&json!({"deleted": true}))))
}

async fn versions(
    call: &Call<'_>,
    home: &RepositoryName,
    chart: &str,
) -> Result<Vec<ChartVersion>, wharf_registry::Error> {
    let mut charts = call.artifacts().list_charts(call.charts(home), Some(chart)).await?;
    Ok(charts.remove(chart).unwrap_or_default())
}

fn unknown(home: &RepositoryName, what: &str) -> OciError {
    OciError::new(Code::ChartUnknown).with_message(format!("there is no {what} in {home}"))
}

const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
