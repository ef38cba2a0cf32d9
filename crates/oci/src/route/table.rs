//! The table of endpoints.

use wharf_model::Action;

use super::parts::Shape;

/// A row of the table of endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its name in access logs and metrics.
    pub name: &'static str,
    /// The methods that lead to it.
    pub methods: &'static [&'static str],
    /// Its path, for people.
    pub path: &'static str,
    /// What the caller needs.
    pub need: Need,
    pub(super) shape: Shape,
}

/// What a caller needs in order to use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the endpoint judges credentials itself.
    Nothing,
    /// To be known, or anonymous with a token; no right in particular.
    Authentication,
    /// The right to list the registry's repositories.
    Catalog,
    /// The right to list the repositories that something was deleted from.
    DeletedCatalog,
    /// These actions on the repository in the path, all of them.
    Repository(&'static [Action]),
    /// These actions on the repository of charts in the path, all of them.
    Charts(&'static [Action]),
}

/// The endpoints, one per row of [`ROUTES`] and in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is described by its row")]
pub enum Endpoint {
    Base,
    Token,
    Exchange,
    Catalog,
    GetManifest,
    PutManifest,
    DeleteManifest,
    GetBlob,
    DeleteBlob,
    StartUpload,
    GetUpload,
    AppendUpload,
    CompleteUpload,
    CancelUpload,
    ListTags,
    ListReferrers,
    ListRepositories,
    DescribeRepository,
    UpdateRepository,
    DeleteRepository,
    DescribeTags,
    DescribeTag,
    UpdateTag,
    Untag,
    DescribeManifests,
    DescribeManifest,
    UpdateManifest,
    ListDeletedRepositories,
    ListDeletedManifests,
    ListDeletedTags,
    RestoreManifest,
    ListMetadata,
    GetMetadata,
    PutMetadata,
    DeleteMetadata,
    GetChartIndex,
    ListCharts,
    ListChartVersions,
    GetChartVersion,
    DeleteChart,
    GetChartFile,
    PutChartFile,
    ReplaceChartFile,
    DeleteChartFile,
}

const PULL: Need = Need::Repository(&[Action::Pull]);
const PUSH: Need = Need::Repository(&[Action::Pull, Action::Push]);
const DELETE: Need = Need::Repository(&[Action::Delete]);
const METADATA_READ: Need = Need::Repository(&[Action::MetadataRead]);
const METADATA_WRITE: Need = Need::Repository(&[Action::MetadataWrite]);
const DELETED_READ: Need = Need::Repository(&[Action::DeletedRead]);
const DELETED_RESTORE: Need = Need::Repository(&[Action::DeletedRead, Action::DeletedRestore]);
const PULL_CHARTS: Need = Need::Charts(&[Action::Pull]);
const PUSH_CHARTS: Need = Need::Charts(&[Action::Pull, Action::Push]);
const DELETE_CHARTS: Need = Need::Charts(&[Action::Delete]);

/// Every endpoint. Source of paths: distribution-spec, "Endpoints", and `acr/data-plane.md` sections 5 and 6; of
/// needs: 3.1 there.
#[rustfmt::skip]
pub static ROUTES: [Row; 44] = [
    row(Endpoint::Base, "base", &["GET", "HEAD"], Shape::Base, "/v2/", Need::Authentication),
    row(Endpoint::Token, "token", &["GET", "POST"], Shape::Token, "/oauth2/token", Need::Nothing),
    row(Endpoint::Exchange, "exchange", &["POST"], Shape::Exchange, "/oauth2/exchange", Need::Nothing),
    row(Endpoint::Catalog, "catalog", &["GET", "HEAD"], Shape::Catalog, "/v2/_catalog", Need::Catalog),
    row(Endpoint::GetManifest, "manifest.get", &["GET", "HEAD"], Shape::Manifest, "/v2/<name>/manifests/<reference>", PULL),
    row(Endpoint::PutManifest, "manifest.put", &["PUT"], Shape::Manifest, "/v2/<name>/manifests/<reference>", PUSH),
    row(Endpoint::DeleteManifest, "manifest.delete", &["DELETE"], Shape::Manifest, "/v2/<name>/manifests/<reference>", DELETE),
    row(Endpoint::GetBlob, "blob.get", &["GET", "HEAD"], Shape::Blob, "/v2/<name>/blobs/<digest>", PULL),
    row(Endpoint::DeleteBlob, "blob.delete", &["DELETE"], Shape::Blob, "/v2/<name>/blobs/<digest>", DELETE),
    row(Endpoint::StartUpload, "upload.start", &["POST"], Shape::Uploads, "/v2/<name>/blobs/uploads/", PUSH),
    row(Endpoint::GetUpload, "upload.get", &["GET", "HEAD"], Shape::Upload, "/v2/<name>/blobs/uploads/<uuid>", PUSH),
    row(Endpoint::AppendUpload, "upload.append", &["PATCH"], Shape::Upload, "/v2/<name>/blobs/uploads/<uuid>", PUSH),
    row(Endpoint::CompleteUpload, "upload.complete", &["PUT"], Shape::Upload, "/v2/<name>/blobs/uploads/<uuid>", PUSH),
    row(Endpoint::CancelUpload, "upload.cancel", &["DELETE"], Shape::Upload, "/v2/<name>/blobs/uploads/<uuid>", PUSH),
    row(Endpoint::ListTags, "tags.list", &["GET", "HEAD"], Shape::Tags, "/v2/<name>/tags/list", PULL),
    row(Endpoint::ListReferrers, "referrers.list", &["GET", "HEAD"], Shape::Referrers, "/v2/<name>/referrers/<digest>", PULL),
    row(Endpoint::ListRepositories, "acr.catalog", &["GET", "HEAD"], Shape::AcrCatalog, "/acr/v1/_catalog", Need::Catalog),
    row(Endpoint::DescribeRepository, "acr.repository.get", &["GET", "HEAD"], Shape::AcrRepository, "/acr/v1/<name>", METADATA_READ),
    row(Endpoint::UpdateRepository, "acr.repository.update", &["PATCH"], Shape::AcrRepository, "/acr/v1/<name>", METADATA_WRITE),
    row(Endpoint::DeleteRepository, "acr.repository.delete", &["DELETE"], Shape::AcrRepository, "/acr/v1/<name>", DELETE),
    row(Endpoint::DescribeTags, "acr.tags.list", &["GET", "HEAD"], Shape::AcrTags, "/acr/v1/<name>/_tags", METADATA_READ),
    row(Endpoint::DescribeTag, "acr.tag.get", &["GET", "HEAD"], Shape::AcrTag, "/acr/v1/<name>/_tags/<tag>", METADATA_READ),
    row(Endpoint::UpdateTag, "acr.tag.update", &["PATCH"], Shape::AcrTag, "/acr/v1/<name>/_tags/<tag>", METADATA_WRITE),
    row(Endpoint::Untag, "acr.tag.delete", &["DELETE"], Shape::AcrTag, "/acr/v1/<name>/_tags/<tag>", DELETE),
    row(Endpoint::DescribeManifests, "acr.manifests.list", &["GET", "HEAD"], Shape::AcrManifests, "/acr/v1/<name>/_manifests", METADATA_READ),
    row(Endpoint::DescribeManifest, "acr.manifest.get", &["GET", "HEAD"], Shape::AcrManifest, "/acr/v1/<name>/_manifests/<digest>", METADATA_READ),
    row(Endpoint::UpdateManifest, "acr.manifest.update", &["PATCH"], Shape::AcrManifest, "/acr/v1/<name>/_manifests/<digest>", METADATA_WRITE),
    row(Endpoint::ListDeletedRepositories, "acr.deleted.catalog", &["GET", "HEAD"], Shape::DeletedCatalog, "/acr/v1/_deleted/_catalog", Need::DeletedCatalog),
    row(Endpoint::ListDeletedManifests, "acr.deleted.manifests", &["GET", "HEAD"], Shape::DeletedManifests, "/acr/v1/_deleted/<name>/_manifests", DELETED_READ),
    row(Endpoint::ListDeletedTags, "acr.deleted.tags", &["GET", "HEAD"], Shape::DeletedTags, "/acr/v1/_deleted/<name>/_tags", DELETED_READ),
    row(Endpoint::RestoreManifest, "acr.deleted.restore", &["POST"], Shape::DeletedManifest, "/acr/v1/_deleted/<name>/_manifests/<digest>", DELETED_RESTORE),
    row(Endpoint::ListMetadata, "acr.metadata.list", &["GET", "HEAD"], Shape::AcrMetadata, "/acr/v1/<name>[/_tags/<tag>|/_manifests/<digest>]/_metadata", METADATA_READ),
    row(Endpoint::GetMetadata, "acr.metadata.get", &["GET", "HEAD"], Shape::AcrMetadataKey, "/acr/v1/<name>[/_tags/<tag>|/_manifests/<digest>]/_metadata/<key>", METADATA_READ),
    row(Endpoint::PutMetadata, "acr.metadata.put", &["PUT"], Shape::AcrMetadataKey, "/acr/v1/<name>[/_tags/<tag>|/_manifests/<digest>]/_metadata/<key>", METADATA_WRITE),
    row(Endpoint::DeleteMetadata, "acr.metadata.delete", &["DELETE"], Shape::AcrMetadataKey, "/acr/v1/<name>[/_tags/<tag>|/_manifests/<digest>]/_metadata/<key>", METADATA_WRITE),
    row(Endpoint::GetChartIndex, "helm.index", &["GET", "HEAD"], Shape::ChartIndex, "/helm/v1/<home>/index.yaml", PULL_CHARTS),
    row(Endpoint::ListCharts, "helm.charts.list", &["GET", "HEAD"], Shape::Charts, "/helm/v1/<home>/_charts", PULL_CHARTS),
    row(Endpoint::ListChartVersions, "helm.chart.list", &["GET", "HEAD"], Shape::Chart, "/helm/v1/<home>/_charts/<chart>", PULL_CHARTS),
    row(Endpoint::GetChartVersion, "helm.chart.get", &["GET", "HEAD"], Shape::ChartVersion, "/helm/v1/<home>/_charts/<chart>/<version>", PULL_CHARTS),
    row(Endpoint::DeleteChart, "helm.chart.delete", &["DELETE"], Shape::Chart, "/helm/v1/<home>/_charts/<chart>", DELETE_CHARTS),
    row(Endpoint::GetChartFile, "helm.file.get", &["GET", "HEAD"], Shape::ChartFile, "/helm/v1/<home>/_blobs/<file>", PULL_CHARTS),
    row(Endpoint::PutChartFile, "helm.file.put", &["PUT"], Shape::ChartFile, "/helm/v1/<home>/_blobs/<file>", PUSH_CHARTS),
    row(Endpoint::ReplaceChartFile, "helm.file.replace", &["PATCH"], Shape::ChartFile, "/helm/v1/<home>/_blobs/<file>", PUSH_CHARTS),
    row(Endpoint::DeleteChartFile, "helm.file.delete", &["DELETE"], Shape::ChartFile, "/helm/v1/<home>/_blobs/<file>", DELETE_CHARTS),
];

const fn row(
    endpoint: Endpoint,
    name: &'static str,
    methods: &'static [&'static str],
    shape: Shape,
    path: &'static str,
    need: Need,
) -> Row {
    Row { endpoint, name, methods, path, need, shape }
}
