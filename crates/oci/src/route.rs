//! The endpoints: their paths, their methods and what a caller needs for each, declared once in [`ROUTES`].
//!
//! Repository names hold slashes, so a path is read from its tail: `/v2/team/app/manifests/v1` ends in
//! `/manifests/<reference>`, and whatever stands between `/v2/` and that is the name. Azure's clients send the name
//! with `%2F` for its slashes, so a path is percent-decoded (once) before it is read.

use std::borrow::Cow;
use std::fmt;

use http::Method;
use percent_encoding::percent_decode_str;
use wharf_model::{Action, Digest, Reference, RepositoryName, ResourceKind, Scope, UploadId};

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
    shape: Shape,
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
    /// These actions on the repository in the path, all of them.
    Repository(&'static [Action]),
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
}

const PULL: Need = Need::Repository(&[Action::Pull]);
const PUSH: Need = Need::Repository(&[Action::Pull, Action::Push]);
const DELETE: Need = Need::Repository(&[Action::Delete]);

/// Every endpoint. Source of paths: distribution-spec, "Endpoints"; of needs: `acr/data-plane.md` 3.1.
#[rustfmt::skip]
pub static ROUTES: [Row; 16] = [
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
        })
    }

    /// The route's row in the table.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        &ROUTES[self.endpoint() as usize]
    }

    /// The repository in the path, if the endpoint has one.
    #[must_use]
    pub fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base | Self::Token | Self::Exchange | Self::Catalog => None,
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
            | Self::ListReferrers { repository, .. } => Some(repository),
        }
    }

    /// The kind and name of the resource that the caller needs rights on, and which. `None` if no right is needed.
    #[must_use]
    pub fn required(&self) -> Option<(ResourceKind, &str, &'static [Action])> {
        match (self.row().need, self.repository()) {
            (Need::Nothing | Need::Authentication, _) => None,
            (Need::Catalog, _) => Some((ResourceKind::Registry, "catalog", &[Action::All])),
            (Need::Repository(actions), name) => {
                let name = name.expect("rows that need rights on a repository have one in their path");
                Some((ResourceKind::Repository, name.as_str(), actions))
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
        }
    }
}

/// What kinds of path there are, whatever the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Base,
    Token,
    Exchange,
    Catalog,
    Manifest,
    Blob,
    Uploads,
    Upload,
    Tags,
    Referrers,
}

/// A path taken apart: its kind, what stands in the repository's place and what stands at the end.
struct Parts<'p> {
    shape: Shape,
    name: &'p str,
    last: &'p str,
}

impl<'p> Parts<'p> {
    fn of(path: &'p str) -> Option<Self> {
        match path {
            "/v2/" | "/v2" => return Some(Self { shape: Shape::Base, name: "", last: "" }),
            "/v2/_catalog" => return Some(Self { shape: Shape::Catalog, name: "", last: "" }),
            "/oauth2/token" => return Some(Self { shape: Shape::Token, name: "", last: "" }),
            "/oauth2/exchange" => return Some(Self { shape: Shape::Exchange, name: "", last: "" }),
            _ => {}
        }
        let (head, last) = path.strip_prefix("/v2")?.rsplit_once('/')?;
        let (shape, name) = if let Some(name) = head.strip_suffix("/manifests") {
            (Shape::Manifest, name)
        } else if let Some(name) = head.strip_suffix("/blobs/uploads") {
            (if last.is_empty() { Shape::Uploads } else { Shape::Upload }, name)
        } else if let Some(name) = head.strip_suffix("/blobs") {
            (if last == "uploads" { Shape::Uploads } else { Shape::Blob }, name)
        } else if let Some(name) = head.strip_suffix("/referrers") {
            (Shape::Referrers, name)
        } else if let (Some(name), "list") = (head.strip_suffix("/tags"), last) {
            (Shape::Tags, name)
        } else {
            return None;
        };
        Some(Self { shape, name: name.strip_prefix('/').unwrap_or_default(), last })
    }

    fn repository(&self) -> Result<RepositoryName, RouteError> {
        self.name.parse().map_err(|_| RouteError::Name)
    }

    fn reference(&self, bad_tag: RouteError) -> Result<Reference, RouteError> {
        self.last.parse().map_err(|_| if self.last.contains(':') { RouteError::Digest } else { bad_tag })
    }

    fn digest(&self) -> Result<Digest, RouteError> {
        self.last.parse().map_err(|_| RouteError::Digest)
    }

    fn upload(&self) -> Result<UploadId, RouteError> {
        self.last.parse().map_err(|_| RouteError::NoSuchUpload)
    }
}

fn decode(path: &str) -> Result<Cow<'_, str>, RouteError> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    percent_decode_str(path).decode_utf8().map_err(|_| RouteError::Name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wharf_model::Algorithm;

    use super::*;

    fn get(path: &str) -> Result<Route, RouteError> {
        Route::parse(&Method::GET, path)
    }

    fn digest() -> Digest {
        Digest::of(Algorithm::Sha256, b"")
    }

    #[test]
    fn rows_stand_in_the_order_of_endpoints() {
        for (position, row) in ROUTES.iter().enumerate() {
            assert_eq!(row.endpoint as usize, position, "{}", row.name);
            assert_eq!(matches!(row.need, Need::Repository(_)), row.path.contains("<name>"), "{}", row.name);
        }
    }

    #[test]
    fn names_are_read_from_the_tail() {
        let cases = [
            ("/v2/a/manifests/v1", "a", "manifest.get"),
            ("/v2/manifests/manifests/manifests", "manifests", "manifest.get"),
            ("/v2/a/blobs/uploads/manifests/v1", "a/blobs/uploads", "manifest.get"),
            ("/v2/a/manifests/tags/list", "a/manifests", "tags.list"),
            ("/v2/a/tags/manifests/list", "a/tags", "manifest.get"),
            ("/v2/team%2Fapp/tags/list", "team/app", "tags.list"),
            ("/v2/team%2fapp/manifests/v1", "team/app", "manifest.get"),
        ];
        for (path, name, row) in cases {
            let route = get(path).unwrap();
            assert_eq!((route.repository().unwrap().as_str(), route.row().name), (name, row), "{path}");
        }
        let encoded = format!("/v2/a/blobs/{}", digest().as_str().replace(':', "%3A"));
        assert_eq!(get(&encoded), Ok(Route::GetBlob { repository: "a".parse().unwrap(), digest: digest() }));
    }

    #[test]
    fn uploads_begin_with_and_without_a_slash() {
        for path in ["/v2/a/blobs/uploads/", "/v2/a/blobs/uploads"] {
            let route = Route::parse(&Method::POST, path).unwrap();
            assert_eq!(route, Route::StartUpload { repository: "a".parse().unwrap() });
        }
    }

    #[test]
    fn tricks_with_paths_end_in_an_error() {
        let long = format!("/v2/{}/manifests/v1", "a".repeat(10_000));
        let deep = format!("/v2/{}manifests/v1", "a/".repeat(10_000));
        for path in [
            "/v2/../manifests/v1",
            "/v2/a/../b/manifests/v1",
            "/v2/..%2F..%2Fetc/manifests/v1",
            "/v2/a%00b/manifests/v1",
            "/v2/a\0/manifests/v1",
            "/v2//manifests/v1",
            "/v2/a//b/manifests/v1",
            "/v2/A/manifests/v1",
            "/v2/manifests/v1",
            "/v2/a%252Fb/manifests/v1",
            "/v2/a%FF/manifests/v1",
            "/v2/%2F/manifests/v1",
            "/v2/tags/list",
            &long,
            &deep,
        ] {
            assert_eq!(get(path), Err(RouteError::Name), "{path}");
        }
        for path in
            ["", "/", "v2/", "/v1/", "/v2/a", "/v2/a/tags", "/v2/a/tags/list/", "/v2x/a/manifests/v1x", "/oauth2/"]
        {
            let error = get(path).unwrap_err();
            assert!(matches!(error, RouteError::Unknown | RouteError::Name), "{path}: {error:?}");
        }
        assert_eq!(get("/v2/a/manifests/.x"), Err(RouteError::NoSuchTag));
        assert_eq!(Route::parse(&Method::PUT, "/v2/a/manifests/"), Err(RouteError::Tag));
        assert_eq!(get("/v2/a/manifests/sha256:baddigeststring"), Err(RouteError::Digest));
        assert_eq!(get("/v2/a/blobs/sha256:..%2F..%2F"), Err(RouteError::Unknown));
        assert_eq!(get("/v2/a/blobs/uploads/..%2Fx"), Err(RouteError::Unknown));
        assert_eq!(get("/v2/a/blobs/uploads/x"), Err(RouteError::NoSuchUpload));
    }

    #[test]
    fn a_method_too_many_is_told_which_there_are() {
        let error = Route::parse(&Method::PATCH, "/v2/a/manifests/v1").unwrap_err();
        assert_eq!(error, RouteError::Method { allowed: vec!["GET", "HEAD", "PUT", "DELETE"] });
        assert_eq!(get("/oauth2/exchange"), Err(RouteError::Unknown), "no method too many where there is none");
    }

    #[test]
    fn needs_are_those_of_the_challenge_table() {
        let scope = |method: &Method, path: &str| Route::parse(method, path).unwrap().scope().map(|s| s.to_string());
        assert_eq!(scope(&Method::GET, "/v2/"), None);
        assert_eq!(scope(&Method::GET, "/v2/_catalog").as_deref(), Some("registry:catalog:*"));
        assert_eq!(scope(&Method::HEAD, "/v2/a/b/manifests/v1").as_deref(), Some("repository:a/b:pull"));
        assert_eq!(scope(&Method::PUT, "/v2/a/manifests/v1").as_deref(), Some("repository:a:pull,push"));
        assert_eq!(scope(&Method::DELETE, "/v2/a/manifests/v1").as_deref(), Some("repository:a:delete"));
        assert_eq!(scope(&Method::POST, "/v2/a/blobs/uploads/").as_deref(), Some("repository:a:pull,push"));
    }

    proptest! {
        #[test]
        fn routes_print_as_parsed(
            name in "[a-z0-9]{1,5}([._-][a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,5}){0,3}",
            tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
            content: u64,
            id: u128,
            which in 0..ROUTES.len(),
        ) {
            let repository: RepositoryName = name.parse().unwrap();
            let digest = Digest::of(Algorithm::Sha512, &content.to_be_bytes());
            let reference: Reference = if content.is_multiple_of(2) { tag.parse().unwrap() } else { Reference::Digest(digest.clone()) };
            let text = format!("{:032x}", id);
            let upload: UploadId = text.parse().unwrap();
            let route = match ROUTES[which].endpoint {
                Endpoint::Base => Route::Base,
                Endpoint::Token => Route::Token,
                Endpoint::Exchange => Route::Exchange,
                Endpoint::Catalog => Route::Catalog,
                Endpoint::GetManifest => Route::GetManifest { repository, reference },
                Endpoint::PutManifest => Route::PutManifest { repository, reference },
                Endpoint::DeleteManifest => Route::DeleteManifest { repository, reference },
                Endpoint::GetBlob => Route::GetBlob { repository, digest },
                Endpoint::DeleteBlob => Route::DeleteBlob { repository, digest },
                Endpoint::StartUpload => Route::StartUpload { repository },
                Endpoint::GetUpload => Route::GetUpload { repository, upload },
                Endpoint::AppendUpload => Route::AppendUpload { repository, upload },
                Endpoint::CompleteUpload => Route::CompleteUpload { repository, upload },
                Endpoint::CancelUpload => Route::CancelUpload { repository, upload },
                Endpoint::ListTags => Route::ListTags { repository },
                Endpoint::ListReferrers => Route::ListReferrers { repository, digest },
            };
            for method in ROUTES[which].methods {
                let method: Method = method.parse().unwrap();
                prop_assert_eq!(Route::parse(&method, &route.to_string()), Ok(route.clone()));
            }
        }

        #[test]
        fn nothing_panics(tail in ".{0,200}") {
            for method in [Method::GET, Method::PUT, Method::POST, Method::OPTIONS] {
                let _ = Route::parse(&method, &tail);
                let _ = Route::parse(&method, &format!("/v2/{tail}"));
                let _ = Route::parse(&method, &format!("/v2/a/manifests/{tail}"));
            }
        }
    }
}
