//! Paths to endpoints and back.

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
        assert_eq!(matches!(row.need, Need::Charts(_)), row.path.contains("<home>"), "{}", row.name);
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
        ("/acr/v1/team%2Fapp", "team/app", "acr.repository.get"),
        ("/acr/v1/team/app/_tags", "team/app", "acr.tags.list"),
        ("/acr/v1/team/app/_tags/_manifests", "team/app", "acr.tag.get"),
        ("/acr/v1/team%2Fapp/_tags/_tags", "team/app", "acr.tag.get"),
        ("/acr/v1/tags/manifests/_manifests", "tags/manifests", "acr.manifests.list"),
        ("/acr/v1/_deleted/team/app/_manifests", "team/app", "acr.deleted.manifests"),
        ("/acr/v1/_deleted/team%2Fapp/_tags", "team/app", "acr.deleted.tags"),
        ("/acr/v1/team/app/_metadata", "team/app", "acr.metadata.list"),
        ("/acr/v1/team%2Fapp/_metadata/a%20b", "team/app", "acr.metadata.get"),
        ("/acr/v1/team/app/_tags/v1/_metadata", "team/app", "acr.metadata.list"),
        ("/acr/v1/team/app/_tags/_metadata", "team/app", "acr.tag.get"),
        ("/acr/v1/team/app/_tags/_metadata/_metadata", "team/app", "acr.metadata.list"),
        ("/acr/v1/team/app/_tags/_metadata/_metadata/_tags", "team/app", "acr.metadata.get"),
        ("/helm/v1/repo/index.yaml", "repo", "helm.index"),
        ("/helm/v1/team%2Frepo/index.yaml", "team/repo", "helm.index"),
        ("/helm/v1/repo/_charts", "repo", "helm.charts.list"),
        ("/helm/v1/repo/_charts/", "repo", "helm.charts.list"),
        ("/helm/v1/team/repo/_charts/web", "team/repo", "helm.chart.list"),
        ("/helm/v1/repo/_charts/web/1.0.0+a", "repo", "helm.chart.get"),
        ("/helm/v1/repo/_charts/web/index.yaml", "repo", "helm.chart.get"),
        ("/helm/v1/repo/_blobs/web-1.0.0.tgz", "repo", "helm.file.get"),
        ("/helm/v1/repo/_blobs/index.yaml", "repo", "helm.file.get"),
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
    for path in [
        "/acr/v1/A",
        "/acr/v1/a//b",
        "/acr/v1/a/",
        "/acr/v1//_tags",
        "/acr/v1/_tags",
        "/acr/v1/a%00b/_manifests",
        "/acr/v1/_metadata",
        "/acr/v1/_metadata/key",
    ] {
        let error = get(path).unwrap_err();
        assert!(matches!(error, RouteError::Unknown | RouteError::Name), "{path}: {error:?}");
    }
    for path in [
        "/helm/v1",
        "/helm/v1/index.yaml",
        "/helm/v1/repo",
        "/helm/v1/repo/_other",
        "/helm/v1/_x/index.yaml",
        "/helm/v1/repo/_charts/a/b/c",
        "/helm/v2/repo/index.yaml",
        "/acr/v1/a/_metadata/a%2Fb",
    ] {
        assert_eq!(get(path), Err(RouteError::Unknown), "{path}");
    }
    for path in ["/helm/v1/A/index.yaml", "/helm/v1/../index.yaml", "/helm/v1//_charts", "/helm/v1/a%00/_blobs/x.tgz"] {
        assert_eq!(get(path), Err(RouteError::Name), "{path}");
    }
    for path in ["/helm/v1/a/_blobs/", "/helm/v1/a/_blobs/%3Cx%3E", "/helm/v1/a/_charts/x/", "/helm/v1/a/_charts/x%20y"]
    {
        assert_eq!(get(path), Err(RouteError::Chart), "{path}");
    }
    for path in ["/acr/v1/a/_metadata/", "/acr/v1/a/_metadata/a%00b"] {
        assert_eq!(get(path), Err(RouteError::Key), "{path}");
    }
    for path in [
        "/acr/v1",
        "/acr/v1/_other",
        "/acr/v1/_deleted",
        "/acr/v1/_deleted/",
        "/acr/v1/_deleted/_tags",
        "/acr/v1/_deleted/a",
        "/acr/v1/_deleted/a/_other",
        "/acr/v1/_deleted/a/_tags/v1",
        "/acr/v1/_deleted/_deleted/_tags",
        "/acr/v1/a/_other/x",
        "/acr/v2/a",
    ] {
        assert_eq!(get(path), Err(RouteError::Unknown), "{path}");
    }
    assert_eq!(get("/acr/v1/a/_tags/.x"), Err(RouteError::NoSuchTag));
    assert_eq!(get("/acr/v1/a/_manifests/v1"), Err(RouteError::Digest));
    for path in ["", "/", "v2/", "/v1/", "/v2/a", "/v2/a/tags", "/v2/a/tags/list/", "/v2x/a/manifests/v1x", "/oauth2/"]
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
    assert_eq!(scope(&Method::GET, "/acr/v1/_catalog").as_deref(), Some("registry:catalog:*"));
    assert_eq!(scope(&Method::GET, "/acr/v1/a/b/_tags").as_deref(), Some("repository:a/b:metadata_read"));
    assert_eq!(scope(&Method::PATCH, "/acr/v1/a").as_deref(), Some("repository:a:metadata_write"));
    assert_eq!(scope(&Method::DELETE, "/acr/v1/a/_tags/v1").as_deref(), Some("repository:a:delete"));
    assert_eq!(scope(&Method::PUT, "/acr/v1/a/_metadata/k").as_deref(), Some("repository:a:metadata_write"));
    assert_eq!(scope(&Method::GET, "/helm/v1/repo/index.yaml").as_deref(), Some("artifact-repository:repo:pull"));
    let file = "/helm/v1/repo/_blobs/web-1.0.0.tgz";
    assert_eq!(scope(&Method::PATCH, file).as_deref(), Some("artifact-repository:repo:pull,push"));
    assert_eq!(scope(&Method::DELETE, file).as_deref(), Some("artifact-repository:repo:delete"));
}

proptest! {
    #[test]
    fn routes_print_as_parsed(
        name in "[a-z0-9]{1,5}([._-][a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,5}){0,3}",
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
        key in "[ -.0-~]{1,20}",
        file in "[A-Za-z0-9._+-]{1,20}",
        content: u64,
        id: u128,
        which in 0..ROUTES.len(),
    ) {
        let repository: RepositoryName = name.parse().unwrap();
        let digest = Digest::of(Algorithm::Sha512, &content.to_be_bytes());
        let reference: Reference = if content.is_multiple_of(2) { tag.parse().unwrap() } else { Reference::Digest(digest.clone()) };
        let text = format!("{:032x}", id);
        let upload: UploadId = text.parse().unwrap();
        let home = repository.clone();
        let owner = match content % 3 {
            0 => MetadataOwner::Repository,
            1 => MetadataOwner::Tag(tag.parse().unwrap()),
            _ => MetadataOwner::Manifest(digest.clone()),
        };
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
            Endpoint::ListRepositories => Route::ListRepositories,
            Endpoint::DescribeRepository => Route::DescribeRepository { repository },
            Endpoint::UpdateRepository => Route::UpdateRepository { repository },
            Endpoint::DeleteRepository => Route::DeleteRepository { repository },
            Endpoint::DescribeTags => Route::DescribeTags { repository },
            Endpoint::DescribeTag => Route::DescribeTag { repository, tag: tag.parse().unwrap() },
            Endpoint::UpdateTag => Route::UpdateTag { repository, tag: tag.parse().unwrap() },
            Endpoint::Untag => Route::Untag { repository, tag: tag.parse().unwrap() },
            Endpoint::DescribeManifests => Route::DescribeManifests { repository },
            Endpoint::DescribeManifest => Route::DescribeManifest { repository, digest },
            Endpoint::UpdateManifest => Route::UpdateManifest { repository, digest },
            Endpoint::ListDeletedRepositories => Route::ListDeletedRepositories,
            Endpoint::ListDeletedManifests => Route::ListDeletedManifests { repository },
            Endpoint::ListDeletedTags => Route::ListDeletedTags { repository },
            Endpoint::RestoreManifest => Route::RestoreManifest { repository, digest },
            Endpoint::ListMetadata => Route::ListMetadata { repository, owner },
            Endpoint::GetMetadata => Route::GetMetadata { repository, owner, key },
            Endpoint::PutMetadata => Route::PutMetadata { repository, owner, key },
            Endpoint::DeleteMetadata => Route::DeleteMetadata { repository, owner, key },
            Endpoint::GetChartIndex => Route::GetChartIndex { home },
            Endpoint::ListCharts => Route::ListCharts { home },
            Endpoint::ListChartVersions => Route::ListChartVersions { home, chart: tag },
            Endpoint::GetChartVersion => Route::GetChartVersion { home, chart: tag, version: file },
            Endpoint::DeleteChart => Route::DeleteChart { home, chart: tag },
            Endpoint::GetChartFile => Route::GetChartFile { home, file },
            Endpoint::PutChartFile => Route::PutChartFile { home, file },
            Endpoint::ReplaceChartFile => Route::ReplaceChartFile { home, file },
            Endpoint::DeleteChartFile => Route::DeleteChartFile { home, file },
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
            let _ = Route::parse(&method, &format!("/acr/v1/{tail}"));
            let _ = Route::parse(&method, &format!("/helm/v1/{tail}"));
        }
    }
}
