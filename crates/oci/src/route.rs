//! The endpoints: their paths, their methods and what a caller needs for each, declared once in [`ROUTES`].
//!
//! Repository names hold slashes, so a path is read from its tail: `/v2/team/app/manifests/v1` ends in
//! `/manifests/<reference>`, and whatever stands between `/v2/` and that is the name. Azure's clients send the name
//! with `%2F` for its slashes, so a path is percent-decoded (once) before it is read.

mod parts;
mod table;

use std::fmt;

use http::Method;
use percent_encoding::{AsciiSet, CONTROLS, PercentEncode, utf8_percent_encode};
use wharf_model::{Action, Digest, Reference, RepositoryName, ResourceKind, Scope, Tag, UploadId};

use parts::{Parts, Shape, decode};
pub use table::{Endpoint, Need, ROUTES, Row};

/// A request's endpoint together with what its path names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the path of the endpoint's row names")]
pub enum Route {
    /// Tells that this is a registry; docker logs in with it.
    Base,
    /// Exchanges credentials for an access token.
    Token,
    /// Exchanges a token of the token service for a refresh token.
    Exchange,
    /// Lists repositories.
    Catalog,
    /// Answers a manifest, or that it exists.
    GetManifest { repository: RepositoryName, reference: Reference },
    /// Stores a manifest.
    PutManifest { repository: RepositoryName, reference: Reference },
    /// Deletes a manifest or a tag.
    DeleteManifest { repository: RepositoryName, reference: Reference },
    /// Answers a blob, or that it exists.
    GetBlob { repository: RepositoryName, digest: Digest },
    /// Deletes a blob from a repository.
    DeleteBlob { repository: RepositoryName, digest: Digest },
    /// Begins an upload, mounts a blob, or takes a blob whole.
    StartUpload { repository: RepositoryName },
    /// Answers how far an upload has come.
    GetUpload { repository: RepositoryName, upload: UploadId },
    /// Takes the next bytes of an upload.
    AppendUpload { repository: RepositoryName, upload: UploadId },
    /// Turns an upload into a blob.
    CompleteUpload { repository: RepositoryName, upload: UploadId },
    /// Gives an upload up.
    CancelUpload { repository: RepositoryName, upload: UploadId },
    /// Lists tags.
    ListTags { repository: RepositoryName },
    /// Lists the manifests whose subject is this digest.
    ListReferrers { repository: RepositoryName, digest: Digest },
    /// Lists repositories, in the metadata API.
    ListRepositories,
    /// Answers the attributes of a repository.
    DescribeRepository { repository: RepositoryName },
    /// Locks or unlocks a repository.
    UpdateRepository { repository: RepositoryName },
    /// Deletes a repository with everything in it.
    DeleteRepository { repository: RepositoryName },
    /// Lists tags with their attributes.
    DescribeTags { repository: RepositoryName },
    /// Answers the attributes of a tag.
    DescribeTag { repository: RepositoryName, tag: Tag },
    /// Locks or unlocks a tag.
    UpdateTag { repository: RepositoryName, tag: Tag },
    /// Removes a tag; its manifest stays.
    Untag { repository: RepositoryName, tag: Tag },
    /// Lists manifests with their attributes.
    DescribeManifests { repository: RepositoryName },
    /// Answers the attributes of a manifest.
    DescribeManifest { repository: RepositoryName, digest: Digest },
    /// Locks or unlocks a manifest.
    UpdateManifest { repository: RepositoryName, digest: Digest },
    /// Lists the repositories that something was deleted from and can be restored to.
    ListDeletedRepositories,
    /// Lists the manifests that were deleted from a repository.
    ListDeletedManifests { repository: RepositoryName },
    /// Lists the tags that were deleted from a repository.
    ListDeletedTags { repository: RepositoryName },
    /// Restores a manifest that was deleted.
    RestoreManifest { repository: RepositoryName, digest: Digest },
    /// Lists the keys under which values are kept with a repository, a tag or a manifest.
    ListMetadata { repository: RepositoryName, owner: MetadataOwner },
    /// Answers the value of a key.
    GetMetadata { repository: RepositoryName, owner: MetadataOwner, key: String },
    /// Sets the value of a key.
    PutMetadata { repository: RepositoryName, owner: MetadataOwner, key: String },
    /// Removes a key with its value.
    DeleteMetadata { repository: RepositoryName, owner: MetadataOwner, key: String },
    /// Answers the index of a repository of charts, as Helm reads it.
    GetChartIndex { home: RepositoryName },
    /// Lists the charts of a repository of charts, with their versions.
    ListCharts { home: RepositoryName },
    /// Lists the versions of a chart.
    ListChartVersions { home: RepositoryName, chart: String },
    /// Answers a version of a chart.
    GetChartVersion { home: RepositoryName, chart: String, version: String },
    /// Deletes a chart in all its versions.
    DeleteChart { home: RepositoryName, chart: String },
    /// Answers the package of a chart, or its provenance.
    GetChartFile { home: RepositoryName, file: String },
    /// Adds the package of a chart, or its provenance.
    PutChartFile { home: RepositoryName, file: String },
    /// Replaces the package of a chart, or its provenance.
    ReplaceChartFile { home: RepositoryName, file: String },
    /// Deletes a version of a chart, or its provenance.
    DeleteChartFile { home: RepositoryName, file: String },
}

/// What a value in the metadata API belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataOwner {
    /// The repository itself.
    Repository,
    /// A tag of it.
    Tag(Tag),
    /// A manifest in it.
    Manifest(Digest),
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No endpoint has a path of this shape.
    #[error("there is nothing at this path")]
    Unknown,
    /// Endpoints have this path, but none this method.
    #[error("this path does not take that method")]
    Method {
        /// The methods that it does take.
        allowed: Vec<&'static str>,
    },
    /// What stands in the repository's place is none.
    #[error("the repository's name is invalid")]
    Name,
    /// What stands in the digest's place is none.
    #[error("the digest is invalid")]
    Digest,
    /// A tag that cannot exist is to be read or deleted.
    #[error("no manifest can have that tag")]
    NoSuchTag,
    /// A tag that cannot exist is to be written.
    #[error("the tag is invalid")]
    Tag,
    /// No upload can have this id.
    #[error("no upload can have that id")]
    NoSuchUpload,
    /// What stands in the place of a chart's name, version or file is none.
    #[error("the name is none of a chart, of its version or of a file of it")]
    Chart,
    /// What stands in the key's place is none.
    #[error("the key is invalid")]
    Key,
}

impl Route {
    /// Reads a request's method and its path, as it came over the wire and without the query.
    ///
    /// # Errors
    /// [`RouteError`]; never panics, whatever the path holds.
    pub fn parse(method: &Method, path: &str) -> Result<Self, RouteError> {
        let path = decode(path)?;
        let parts = Parts::of(&path).ok_or(RouteError::Unknown)?;
        if parts.shape == Shape::Exchange && method != Method::POST {
            // Azure's registries know this path with this method only (`acr/data-plane.md` 3.2).
            return Err(RouteError::Unknown);
        }
        let of_this_shape = || ROUTES.iter().filter(|row| row.shape == parts.shape);
        let Some(row) = of_this_shape().find(|row| row.methods.contains(&method.as_str())) else {
            return Err(RouteError::Method { allowed: of_this_shape().flat_map(|row| row.methods).copied().collect() });
        };
        Ok(match row.endpoint {
            Endpoint::Base => Self::Base,
            Endpoint::Token => Self::Token,
            Endpoint::Exchange => Self::Exchange,
            Endpoint::Catalog => Self::Catalog,
            Endpoint::GetManifest => Self::GetManifest {
                repository: parts.repository()?,
                reference: parts.reference(RouteError::NoSuchTag)?,
            },
            Endpoint::PutManifest => {
                Self::PutManifest { repository: parts.repository()?, reference: parts.reference(RouteError::Tag)? }
            }
            Endpoint::DeleteManifest => Self::DeleteManifest {
                repository: parts.repository()?,
                reference: parts.reference(RouteError::NoSuchTag)?,
            },
            Endpoint::GetBlob => Self::GetBlob { repository: parts.repository()?, digest: parts.digest()? },
            Endpoint::DeleteBlob => Self::DeleteBlob { repository: parts.repository()?, digest: parts.digest()? },
            Endpoint::StartUpload => Self::StartUpload { repository: parts.repository()? },
            Endpoint::GetUpload => Self::GetUpload { repository: parts.repository()?, upload: parts.upload()? },
            Endpoint::AppendUpload => Self::AppendUpload { repository: parts.repository()?, upload: parts.upload()? },
            Endpoint::CompleteUpload => {
                Self::CompleteUpload { repository: parts.repository()?, upload: parts.upload()? }
            }
            Endpoint::CancelUpload => Self::CancelUpload { repository: parts.repository()?, upload: parts.upload()? },
            Endpoint::ListTags => Self::ListTags { repository: parts.repository()? },
            Endpoint::ListReferrers => Self::ListReferrers { repository: parts.repository()?, digest: parts.digest()? },
            Endpoint::ListRepositories => Self::ListRepositories,
            Endpoint::DescribeRepository => Self::DescribeRepository { repository: parts.repository()? },
            Endpoint::UpdateRepository => Self::UpdateRepository { repository: parts.repository()? },
            Endpoint::DeleteRepository => Self::DeleteRepository { repository: parts.repository()? },
            Endpoint::DescribeTags => Self::DescribeTags { repository: parts.repository()? },
            Endpoint::DescribeTag => Self::DescribeTag { repository: parts.repository()?, tag: parts.tag()? },
            Endpoint::UpdateTag => Self::UpdateTag { repository: parts.repository()?, tag: parts.tag()? },
            Endpoint::Untag => Self::Untag { repository: parts.repository()?, tag: parts.tag()? },
            Endpoint::DescribeManifests => Self::DescribeManifests { repository: parts.repository()? },
            Endpoint::DescribeManifest => {
                Self::DescribeManifest { repository: parts.repository()?, digest: parts.digest()? }
            }
            Endpoint::UpdateManifest => {
                Self::UpdateManifest { repository: parts.repository()?, digest: parts.digest()? }
            }
            Endpoint::ListDeletedRepositories => Self::ListDeletedRepositories,
            Endpoint::ListDeletedManifests => Self::ListDeletedManifests { repository: parts.repository()? },
            Endpoint::ListDeletedTags => Self::ListDeletedTags { repository: parts.repository()? },
            Endpoint::RestoreManifest => {
                Self::RestoreManifest { repository: parts.repository()?, digest: parts.digest()? }
            }
            Endpoint::ListMetadata => {
                Self::ListMetadata { repository: parts.repository()?, owner: parts.metadata_owner()? }
            }
            Endpoint::GetMetadata => {
                let (owner, key) = (parts.metadata_owner()?, parts.key()?);
                Self::GetMetadata { repository: parts.repository()?, owner, key }
            }
            Endpoint::PutMetadata => {
                let (owner, key) = (parts.metadata_owner()?, parts.key()?);
                Self::PutMetadata { repository: parts.repository()?, owner, key }
            }
            Endpoint::DeleteMetadata => {
                let (owner, key) = (parts.metadata_owner()?, parts.key()?);
                Self::DeleteMetadata { repository: parts.repository()?, owner, key }
            }
            Endpoint::GetChartIndex => Self::GetChartIndex { home: parts.repository()? },
            Endpoint::ListCharts => Self::ListCharts { home: parts.repository()? },
            Endpoint::ListChartVersions => Self::ListChartVersions { home: parts.repository()?, chart: parts.chart()? },
            Endpoint::GetChartVersion => {
                Self::GetChartVersion { home: parts.repository()?, chart: parts.chart()?, version: parts.version()? }
            }
            Endpoint::DeleteChart => Self::DeleteChart { home: parts.repository()?, chart: parts.chart()? },
            Endpoint::GetChartFile => Self::GetChartFile { home: parts.repository()?, file: parts.file()? },
            Endpoint::PutChartFile => Self::PutChartFile { home: parts.repository()?, file: parts.file()? },
            Endpoint::ReplaceChartFile => Self::ReplaceChartFile { home: parts.repository()?, file: parts.file()? },
            Endpoint::DeleteChartFile => Self::DeleteChartFile { home: parts.repository()?, file: parts.file()? },
        })
    }

    /// The route's row in the table.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        &ROUTES[self.endpoint() as usize]
    }

    /// The repository in the path, if the endpoint has one; for charts the one that they are in.
    #[must_use]
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base
            | Self::Token
            | Self::Exchange
            | Self::Catalog
            | Self::ListRepositories
            | Self::ListDeletedRepositories => None,
            Self::GetManifest { repository, .. }
            | Self::PutManifest { repository, .. }
            | Self::DeleteManifest { repository, .. }
            | Self::GetBlob { repository, .. }
            | Self::DeleteBlob { repository, .. }
            | Self::StartUpload { repository }
            | Self::GetUpload { repository, .. }
            | Self::AppendUpload { repository, .. }
            | Self::CompleteUpload { repository, .. }
            | Self::CancelUpload { repository, .. }
            | Self::ListTags { repository }
            | Self::ListReferrers { repository, .. }
            | Self::DescribeRepository { repository }
            | Self::UpdateRepository { repository }
            | Self::DeleteRepository { repository }
            | Self::DescribeTags { repository }
            | Self::DescribeTag { repository, .. }
            | Self::UpdateTag { repository, .. }
            | Self::Untag { repository, .. }
            | Self::DescribeManifests { repository }
            | Self::DescribeManifest { repository, .. }
            | Self::UpdateManifest { repository, .. }
            | Self::ListDeletedManifests { repository }
            | Self::ListDeletedTags { repository }
            | Self::RestoreManifest { repository, .. }
            | Self::ListMetadata { repository, .. }
            | Self::GetMetadata { repository, .. }
            | Self::PutMetadata { repository, .. }
            | Self::DeleteMetadata { repository, .. } => Some(repository),
            Self::GetChartIndex { home }
            | Self::ListCharts { home }
            | Self::ListChartVersions { home, .. }
            | Self::GetChartVersion { home, .. }
            | Self::DeleteChart { home, .. }
            | Self::GetChartFile { home, .. }
            | Self::PutChartFile { home, .. }
            | Self::ReplaceChartFile { home, .. }
            | Self::DeleteChartFile { home, .. } => Some(home),
        }
    }

    /// The kind and name of the resource that the caller needs rights on, and which. `None` if no right is needed.
    #[must_use]
    pub fn required(&self) -> Option<(ResourceKind, &str, &'static [Action])> {
        match (self.row().need, self.repository()) {
            (Need::Nothing | Need::Authentication, _) => None,
            (Need::Catalog, _) => Some((ResourceKind::Registry, "catalog", &[Action::All])),
            (Need::DeletedCatalog, _) => Some((ResourceKind::Registry, "deleted_catalog", &[Action::All])),
            (Need::Repository(actions), name) => {
                let name = name.expect("rows that need rights on a repository have one in their path");
                Some((ResourceKind::Repository, name.as_str(), actions))
            }
            (Need::Charts(actions), name) => {
                let name = name.expect("rows that need rights on charts have their repository in their path");
                Some((ResourceKind::ArtifactRepository, name.as_str(), actions))
            }
        }
    }

    /// [`Route::required`] as the scope that the challenge asks for.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        self.required().map(|(kind, name, actions)| Scope { kind, name: name.to_owned(), actions: actions.to_vec() })
    }

    fn endpoint(&self) -> Endpoint {
        match self {
            Self::Base => Endpoint::Base,
            Self::Token => Endpoint::Token,
            Self::Exchange => Endpoint::Exchange,
            Self::Catalog => Endpoint::Catalog,
            Self::GetManifest { .. } => Endpoint::GetManifest,
            Self::PutManifest { .. } => Endpoint::PutManifest,
            Self::DeleteManifest { .. } => Endpoint::DeleteManifest,
            Self::GetBlob { .. } => Endpoint::GetBlob,
            Self::DeleteBlob { .. } => Endpoint::DeleteBlob,
            Self::StartUpload { .. } => Endpoint::StartUpload,
            Self::GetUpload { .. } => Endpoint::GetUpload,
            Self::AppendUpload { .. } => Endpoint::AppendUpload,
            Self::CompleteUpload { .. } => Endpoint::CompleteUpload,
            Self::CancelUpload { .. } => Endpoint::CancelUpload,
            Self::ListTags { .. } => Endpoint::ListTags,
            Self::ListReferrers { .. } => Endpoint::ListReferrers,
            Self::ListRepositories => Endpoint::ListRepositories,
            Self::DescribeRepository { .. } => Endpoint::DescribeRepository,
            Self::UpdateRepository { .. } => Endpoint::UpdateRepository,
            Self::DeleteRepository { .. } => Endpoint::DeleteRepository,
            Self::DescribeTags { .. } => Endpoint::DescribeTags,
            Self::DescribeTag { .. } => Endpoint::DescribeTag,
            Self::UpdateTag { .. } => Endpoint::UpdateTag,
            Self::Untag { .. } => Endpoint::Untag,
            Self::DescribeManifests { .. } => Endpoint::DescribeManifests,
            Self::DescribeManifest { .. } => Endpoint::DescribeManifest,
            Self::UpdateManifest { .. } => Endpoint::UpdateManifest,
            Self::ListDeletedRepositories => Endpoint::ListDeletedRepositories,
            Self::ListDeletedManifests { .. } => Endpoint::ListDeletedManifests,
            Self::ListDeletedTags { .. } => Endpoint::ListDeletedTags,
            Self::RestoreManifest { .. } => Endpoint::RestoreManifest,
            Self::ListMetadata { .. } => Endpoint::ListMetadata,
            Self::GetMetadata { .. } => Endpoint::GetMetadata,
            Self::PutMetadata { .. } => Endpoint::PutMetadata,
            Self::DeleteMetadata { .. } => Endpoint::DeleteMetadata,
            Self::GetChartIndex { .. } => Endpoint::GetChartIndex,
            Self::ListCharts { .. } => Endpoint::ListCharts,
            Self::ListChartVersions { .. } => Endpoint::ListChartVersions,
            Self::GetChartVersion { .. } => Endpoint::GetChartVersion,
            Self::DeleteChart { .. } => Endpoint::DeleteChart,
            Self::GetChartFile { .. } => Endpoint::GetChartFile,
            Self::PutChartFile { .. } => Endpoint::PutChartFile,
            Self::ReplaceChartFile { .. } => Endpoint::ReplaceChartFile,
            Self::DeleteChartFile { .. } => Endpoint::DeleteChartFile,
        }
    }
}

/// Prints the path, as it stands in `Location` headers.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("/v2/"),
            Self::Token => f.write_str("/oauth2/token"),
            Self::Exchange => f.write_str("/oauth2/exchange"),
            Self::Catalog => f.write_str("/v2/_catalog"),
            Self::GetManifest { repository, reference }
            | Self::PutManifest { repository, reference }
            | Self::DeleteManifest { repository, reference } => write!(f, "/v2/{repository}/manifests/{reference}"),
            Self::GetBlob { repository, digest } | Self::DeleteBlob { repository, digest } => {
                write!(f, "/v2/{repository}/blobs/{digest}")
            }
            Self::StartUpload { repository } => write!(f, "/v2/{repository}/blobs/uploads/"),
            Self::GetUpload { repository, upload }
            | Self::AppendUpload { repository, upload }
            | Self::CompleteUpload { repository, upload }
            | Self::CancelUpload { repository, upload } => write!(f, "/v2/{repository}/blobs/uploads/{upload}"),
            Self::ListTags { repository } => write!(f, "/v2/{repository}/tags/list"),
            Self::ListReferrers { repository, digest } => write!(f, "/v2/{repository}/referrers/{digest}"),
            Self::ListRepositories => f.write_str("/acr/v1/_catalog"),
            Self::DescribeRepository { repository }
            | Self::UpdateRepository { repository }
            | Self::DeleteRepository { repository } => write!(f, "/acr/v1/{repository}"),
            Self::DescribeTags { repository } => write!(f, "/acr/v1/{repository}/_tags"),
            Self::DescribeTag { repository, tag }
            | Self::UpdateTag { repository, tag }
            | Self::Untag { repository, tag } => write!(f, "/acr/v1/{repository}/_tags/{tag}"),
            Self::DescribeManifests { repository } => write!(f, "/acr/v1/{repository}/_manifests"),
            Self::DescribeManifest { repository, digest } | Self::UpdateManifest { repository, digest } => {
                write!(f, "/acr/v1/{repository}/_manifests/{digest}")
            }
            Self::ListDeletedRepositories => f.write_str("/acr/v1/_deleted/_catalog"),
            Self::ListDeletedManifests { repository } => write!(f, "/acr/v1/_deleted/{repository}/_manifests"),
            Self::ListDeletedTags { repository } => write!(f, "/acr/v1/_deleted/{repository}/_tags"),
            Self::RestoreManifest { repository, digest } => {
                write!(f, "/acr/v1/_deleted/{repository}/_manifests/{digest}")
            }
            Self::ListMetadata { repository, owner } => write!(f, "/acr/v1/{repository}{owner}/_metadata"),
            Self::GetMetadata { repository, owner, key }
            | Self::PutMetadata { repository, owner, key }
            | Self::DeleteMetadata { repository, owner, key } => {
                write!(f, "/acr/v1/{repository}{owner}/_metadata/{}", encoded(key))
            }
            Self::GetChartIndex { home } => write!(f, "/helm/v1/{home}/index.yaml"),
            Self::ListCharts { home } => write!(f, "/helm/v1/{home}/_charts"),
            Self::ListChartVersions { home, chart } | Self::DeleteChart { home, chart } => {
                write!(f, "/helm/v1/{home}/_charts/{}", encoded(chart))
            }
            Self::GetChartVersion { home, chart, version } => {
                write!(f, "/helm/v1/{home}/_charts/{}/{}", encoded(chart), encoded(version))
            }
            Self::GetChartFile { home, file }
            | Self::PutChartFile { home, file }
            | Self::ReplaceChartFile { home, file }
            | Self::DeleteChartFile { home, file } => write!(f, "/helm/v1/{home}/_blobs/{}", encoded(file)),
        }
    }
}

/// Prints as it stands in paths, between the repository's name and `/_metadata`.
impl fmt::Display for MetadataOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository => Ok(()),
            Self::Tag(tag) => write!(f, "/_tags/{tag}"),
            Self::Manifest(digest) => write!(f, "/_manifests/{digest}"),
        }
    }
}

/// One component of a path.
fn encoded(component: &str) -> PercentEncode<'_> {
    utf8_percent_encode(component, COMPONENT)
}

/// What is escaped in a component (RFC 3986, `pchar`).
const COMPONENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

#[cfg(test)]
mod tests;
