//! What the access log wants to know about a request.

use std::sync::Arc;

use uuid::Uuid;
use wharf_identity::Caller;
use wharf_model::{Digest, Reference, RepositoryName, UploadId};
use wharf_oci::Route;

/// What the data plane found out about a request. It lies in the extensions of every response.
#[derive(Clone, Debug)]
pub struct AccessInfo {
    /// The endpoint's name, such as `manifest.get`; `unknown` when the path leads nowhere, `none` when no registry was
    /// reached. Few values, fit for a label.
    pub route: &'static str,
    /// The request's id, as in `X-Ms-Correlation-Request-Id`.
    pub request_id: Uuid,
    /// The repository in the path.
    pub repository: Option<RepositoryName>,
    /// The digest in the path.
    pub digest: Option<Digest>,
    /// The upload in the path.
    pub upload: Option<UploadId>,
    caller: Option<Arc<Caller>>,
}

impl AccessInfo {
    /// Who called: `anonymous`, a user's name, or `-` when the request did not get as far as that.
    #[must_use]
    pub fn caller(&self) -> &str {
        self.caller.as_ref().map_or("-", |caller| caller.name())
    }

    /// Whether the caller was let in.
    pub(crate) fn is_known(&self) -> bool {
        self.caller.is_some()
    }

    pub(crate) fn of_nothing(request_id: Uuid) -> Self {
        Self { route: "unknown", request_id, repository: None, digest: None, upload: None, caller: None }
    }

    pub(crate) fn set_route(&mut self, route: &Route) {
        self.route = route.row().name;
        self.repository = route.repository().cloned();
        match route {
            Route::GetManifest { reference, .. }
            | Route::PutManifest { reference, .. }
            | Route::DeleteManifest { reference, .. } => {
                if let Reference::Digest(digest) = reference {
                    self.digest = Some(digest.clone());
                }
            }
            Route::GetBlob { digest, .. }
            | Route::DeleteBlob { digest, .. }
            | Route::ListReferrers { digest, .. }
            | Route::DescribeManifest { digest, .. }
            | Route::UpdateManifest { digest, .. }
            | Route::RestoreManifest { digest, .. } => {
                self.digest = Some(digest.clone());
            }
            Route::GetUpload { upload, .. }
            | Route::AppendUpload { upload, .. }
            | Route::CompleteUpload { upload, .. }
            | Route::CancelUpload { upload, .. } => self.upload = Some(*upload),
            Route::Base
            | Route::Token
            | Route::Exchange
            | Route::Catalog
            | Route::StartUpload { .. }
            | Route::ListTags { .. }
            | Route::ListRepositories
            | Route::ListDeletedRepositories
            | Route::ListDeletedManifests { .. }
            | Route::ListDeletedTags { .. }
            | Route::DescribeRepository { .. }
            | Route::UpdateRepository { .. }
            | Route::DeleteRepository { .. }
            | Route::DescribeTags { .. }
            | Route::DescribeTag { .. }
            | Route::UpdateTag { .. }
            | Route::Untag { .. }
            | Route::DescribeManifests { .. }
            | Route::ListMetadata { .. }
            | Route::GetMetadata { .. }
            | Route::PutMetadata { .. }
            | Route::DeleteMetadata { .. }
            | Route::GetChartIndex { .. }
            | Route::ListCharts { .. }
            | Route::ListChartVersions { .. }
            | Route::GetChartVersion { .. }
            | Route::DeleteChart { .. }
            | Route::GetChartFile { .. }
            | Route::PutChartFile { .. }
            | Route::ReplaceChartFile { .. }
            | Route::DeleteChartFile { .. } => {}
        }
    }

    pub(crate) fn set_caller(&mut self, caller: Arc<Caller>) {
        self.caller = Some(caller);
    }
}
