//! `/helm/v1/<home>/_blobs/<file>`: packages of charts, and their provenance.

use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use wharf_model::RepositoryName;
use wharf_oci::{Code, OciError};
use wharf_registry::{ChartError, ChartFile, ChartFileKind, LARGEST_PACKAGE_BYTES, LARGEST_PROVENANCE_BYTES, PutChart};

use crate::answer::{self, Answer};
use crate::blobs;
use crate::body::{RequestBody, unread};
use crate::failure::Failure;
use crate::router::Call;

/// `GET` and `HEAD`. The bytes are a blob's, and answered like one.
pub(crate) async fn get(call: &Call<'_>, home: &RepositoryName, file: &str) -> Answer {
    let unknown = || ChartError::Unknown(file.to_owned(), home.clone());
    let file = ChartFile::parse(file).ok_or_else(unknown)?;
    let content = call.artifacts().find_chart_content(call.charts(home), &file).await?;
    let mut response = blobs::get(call, &content.repository, &content.digest).await?;
    if response.headers().contains_key(header::CONTENT_TYPE) {
        let media_type = match file.kind {
            ChartFileKind::Package => "application/gzip",
            ChartFileKind::Provenance => "text/plain; charset=utf-8",
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    Ok(response)
}

/// `PUT`: the file must be new.
pub(crate) async fn put(call: &Call<'_>, body: &mut RequestBody, home: &RepositoryName, file: &str) -> Answer {
    take(call, body, home, file, false).await
}

/// `PATCH`: the file must be there. Clients that do not know send `PUT` when they are told that it is not.
pub(crate) async fn replace(call: &Call<'_>, body: &mut RequestBody, home: &RepositoryName, file: &str) -> Answer {
    take(call, body, home, file, true).await
}

async fn take(call: &Call<'_>, body: &mut RequestBody, home: &RepositoryName, file: &str, replaces: bool) -> Answer {
    let parsed = ChartFile::parse(file).ok_or_else(|| ChartError::FileName(file.to_owned()))?;
    let limit = match parsed.kind {
        ChartFileKind::Package => LARGEST_PACKAGE_BYTES,
        ChartFileKind::Provenance => LARGEST_PROVENANCE_BYTES,
    };
    // Held until the chart is stored, as manifests are.
    let mut memory = call.plane.manifest_memory.begin();
    let bytes = match body.read_to_end_counted(limit, &mut memory).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(too_large(file, limit)),
        Err(error) => return Err(unread(error, Code::ChartInvalid)),
    };
    let put = PutChart { file: parsed, bytes, replaces, actor: call.caller.name().to_owned() };
    let checked = call.artifacts().check_chart(call.charts(home), put).await?;
    call.refuse_push_into_cache(checked.repository()).await?;
    call.artifacts().put_chart(call.charts(home), checked).await?;
    Ok(answer::json(StatusCode::CREATED, answer::to_json_line(&json!({"saved": true}))))
}

/// `DELETE`: of a package the version of the chart goes, of a provenance the provenance alone.
pub(crate) async fn delete(call: &Call<'_>, home: &RepositoryName, file: &str) -> Answer {
    let unknown = || ChartError::Unknown(file.to_owned(), home.clone());
    let file = ChartFile::parse(file).ok_or_else(unknown)?;
    call.artifacts().delete_chart_file(call.charts(home), &file, call.caller.name()).await?;
    Ok(answer::json(StatusCode::ACCEPTED, answer::to_json_line(&json!({"deleted": true}))))
}

fn too_large(file: &str, limit: usize) -> Failure {
    let error = OciError::new(Code::ChartInvalid).with_status(StatusCode::PAYLOAD_TOO_LARGE);
    error.with_message(format!("{file} is larger than {limit} bytes")).into()
}
