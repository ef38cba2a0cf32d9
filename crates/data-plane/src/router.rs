//! From a request to its handler, and from the handler's result to the response.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use http::request::Parts;
use http::{Method, Request, Response};
use uuid::Uuid;
use wharf_identity::{Caller, Identity, may_scan};
use wharf_metadata::RegistryRow;
use wharf_model::{Action, Client, RepositoryName};
use wharf_oci::{Code, OciError, Route};
use wharf_registry::{Artifacts, Sight, Target};
use wharf_replication::cache::Cache;

use crate::access::AccessInfo;
use crate::answer::{self, Answer, Family};
use crate::body::RequestBody;
use crate::config::DataPlaneConfig;
use crate::failure::Failure;
use crate::memory::Memory;
use crate::request_id::RequestId;
use crate::{
    attributes, base, blobs, catalog, charts, cors, deleted, exchange, guard, manifests, network, referrers, tags,
    token, uploads,
};

/// The registry protocol, for all registries. Clones share everything.
#[derive(Clone)]
pub struct DataPlane(Arc<Plane>);

/// What all requests share.
pub(crate) struct Plane {
    pub(crate) artifacts: Artifacts,
    pub(crate) identity: Identity,
    pub(crate) cache: Cache,
    pub(crate) config: DataPlaneConfig,
    /// What manifests on their way in may take.
    pub(crate) manifest_memory: Memory,
}

/// The registry that a request is for, as its host named it.
#[derive(Clone, Debug)]
pub struct RequestHost {
    /// The registry.
    pub registry: Arc<RegistryRow>,
    /// The registry's login server, which becomes the audience of its tokens.
    pub login_server: String,
    /// Scheme and host as the client used them, such as `http://localhost:5000`; without a slash at the end.
    pub base_url: String,
    /// Where the request came from.
    pub client: Client,
}

/// What a handler knows of the request, its body apart.
pub(crate) struct Call<'a> {
    pub(crate) plane: &'a Plane,
    pub(crate) host: &'a RequestHost,
    pub(crate) parts: &'a Parts,
    pub(crate) caller: &'a Caller,
    /// The request's id, as its answer tells it.
    pub(crate) request_id: Uuid,
}

impl DataPlane {
    /// Puts the use cases behind HTTP.
    #[must_use]
    pub fn new(artifacts: Artifacts, identity: Identity, cache: Cache, config: DataPlaneConfig) -> Self {
        let manifest_memory = Memory::new(config.manifests_in_flight_bytes);
        Self(Arc::new(Plane { artifacts, identity, cache, config, manifest_memory }))
    }

    /// Answers a request for a registry. Paths that are none of the protocol's are answered by 404.
    ///
    /// An [`AccessInfo`] lies in the extensions of every response.
    ///
    /// A request that changes something goes on to its end even when its client leaves and nobody waits for the answer:
    /// what follows a commit (sessions that end, caches that forget) must not depend on who is there to hear of it.
    ///
    /// # Panics
    /// When the handler does.
    pub fn serve(&self, host: RequestHost, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send {
        let plane = self.clone();
        async move {
            if request.method().is_safe() {
                return plane.answer(host, request).await;
            }
            match tokio::spawn(async move { plane.answer(host, request).await }).await {
                Ok(response) => response,
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The server ends, and the connection with it.
                    Err(_) => refuse(OciError::new(Code::Unavailable), ""),
                },
            }
        }
    }

    async fn answer(&self, host: RequestHost, request: Request<Body>) -> Response<Body> {
        let plane = &*self.0;
        let (parts, body) = request.into_parts();
        let request_id = RequestId::new();
        let mut access = AccessInfo::of_nothing(request_id.uuid());
        let mut body = RequestBody::new(body, &parts.headers, plane.config.idle_timeout);

        let outcome = match network::admit(&host) {
            Err(denied) => {
                // The log tells what was wanted; the client is not told whether it would have been right.
                if let Ok(route) = Route::parse(&parts.method, parts.uri.path()) {
                    access.set_route(&route);
                }
                Err(denied)
            }
            Ok(()) if parts.method == Method::OPTIONS => cors::preflight(plane, &parts),
            Ok(()) => answer(plane, &host, &parts, &mut body, &mut access).await,
        };
        let mut response = match outcome {
            Ok(response) => response,
            Err(failure) => {
                failure.log(request_id, access.route);
                body.drain().await;
                answer::failure(&failure)
            }
        };

        let family = if matches!(access.route, "token" | "exchange") { Family::TokenService } else { Family::Registry };
        let client_request_id =
            access.is_known().then(|| parts.headers.get(&wharf_oci::header::X_MS_CLIENT_REQUEST_ID)).flatten();
        answer::add_common_headers(response.headers_mut(), family, &host.base_url, request_id, client_request_id);
        cors::allow_origin(plane, &parts.headers, response.headers_mut());
        response.extensions_mut().insert(access);
        response
    }
}

/// An answer that is an error, for requests that never get as far as [`DataPlane::serve`]: with the headers that every
/// answer has, and an [`AccessInfo`] in its extensions. `base_url` as in [`RequestHost`]; empty when it is not known.
#[must_use]
pub fn refuse(error: OciError, base_url: &str) -> Response<Body> {
    let request_id = RequestId::new();
    let mut response = answer::failure(&error.into());
    answer::add_common_headers(response.headers_mut(), Family::Registry, base_url, request_id, None);
    let mut access = AccessInfo::of_nothing(request_id.uuid());
    access.route = "none";
    response.extensions_mut().insert(access);
    response
}

/// Finds out what is wanted and by whom, and lets the handler answer.
async fn answer(
    plane: &Plane,
    host: &RequestHost,
    parts: &Parts,
    body: &mut RequestBody,
    access: &mut AccessInfo,
) -> Answer {
    let route = Route::parse(&parts.method, parts.uri.path())?;
    access.set_route(&route);
    match route {
        Route::Token => return Box::pin(token::answer(plane, host, parts, body, access)).await,
        Route::Exchange => return Box::pin(exchange::answer(plane, host, body, access)).await,
        _ => {}
    }
    let caller = guard::admit(plane, host, parts, &route).await?;
    access.set_caller(caller.clone());
    let call = Call { plane, host, parts, caller: &caller, request_id: access.request_id };
    match route {
        Route::Base | Route::Token | Route::Exchange => Ok(base::get()),
        Route::Catalog | Route::ListRepositories => catalog::list(&call).await,
        Route::GetManifest { repository, reference } => manifests::get(&call, &repository, &reference).await,
        Route::PutManifest { repository, reference } => {
            Box::pin(manifests::put(&call, body, &repository, reference)).await
        }
        Route::DeleteManifest { repository, reference } => {
            Box::pin(manifests::delete(&call, &repository, &reference)).await
        }
        Route::GetBlob { repository, digest } => blobs::get(&call, &repository, &digest).await,
        Route::DeleteBlob { repository, digest } => Box::pin(blobs::delete(&call, &repository, &digest)).await,
        Route::StartUpload { repository } => Box::pin(uploads::start(&call, body, &repository)).await,
        Route::GetUpload { repository, upload } => Box::pin(uploads::get(&call, &repository, upload)).await,
        Route::AppendUpload { repository, upload } => Box::pin(uploads::append(&call, body, &repository, upload)).await,
        Route::CompleteUpload { repository, upload } => {
            Box::pin(uploads::complete(&call, body, &repository, upload)).await
        }
        Route::CancelUpload { repository, upload } => Box::pin(uploads::cancel(&call, &repository, upload)).await,
        Route::ListTags { repository } => tags::list(&call, &repository).await,
        Route::ListReferrers { repository, digest } => Box::pin(referrers::list(&call, &repository, &digest)).await,
        Route::DescribeRepository { repository } => Box::pin(attributes::get_repository(&call, &repository)).await,
        Route::UpdateRepository { repository } => {
            Box::pin(attributes::update_repository(&call, body, &repository)).await
        }
        Route::DeleteRepository { repository } => Box::pin(attributes::delete_repository(&call, &repository)).await,
        Route::DescribeTags { repository } => Box::pin(attributes::list_tags(&call, &repository)).await,
        Route::DescribeTag { repository, tag } => Box::pin(attributes::get_tag(&call, &repository, &tag)).await,
        Route::UpdateTag { repository, tag } => Box::pin(attributes::update_tag(&call, body, &repository, &tag)).await,
        Route::Untag { repository, tag } => Box::pin(attributes::untag(&call, &repository, &tag)).await,
        Route::DescribeManifests { repository } => Box::pin(attributes::list_manifests(&call, &repository)).await,
        Route::DescribeManifest { repository, digest } => {
            Box::pin(attributes::get_manifest(&call, &repository, &digest)).await
        }
        Route::UpdateManifest { repository, digest } => {
            Box::pin(attributes::update_manifest(&call, body, &repository, &digest)).await
        }
        Route::ListDeletedRepositories => Box::pin(deleted::list_repositories(&call)).await,
        Route::ListDeletedManifests { repository } => Box::pin(deleted::list_manifests(&call, &repository)).await,
        Route::ListDeletedTags { repository } => Box::pin(deleted::list_tags(&call, &repository)).await,
        Route::RestoreManifest { repository, digest } => {
            Box::pin(deleted::restore(&call, body, &repository, &digest)).await
        }
        Route::ListMetadata { repository, owner } => Box::pin(attributes::list_keys(&call, &repository, owner)).await,
        Route::GetMetadata { repository, owner, key } => {
            Box::pin(attributes::get_value(&call, &repository, owner, &key)).await
        }
        Route::PutMetadata { repository, owner, key } => {
            Box::pin(attributes::put_value(&call, body, &repository, owner, &key)).await
        }
        Route::DeleteMetadata { repository, owner, key } => {
            Box::pin(attributes::delete_value(&call, &repository, owner, &key)).await
        }
        Route::GetChartIndex { home } => Box::pin(charts::get_index(&call, &home)).await,
        Route::ListCharts { home } => Box::pin(charts::list(&call, &home)).await,
        Route::ListChartVersions { home, chart } => Box::pin(charts::list_versions(&call, &home, &chart)).await,
        Route::GetChartVersion { home, chart, version } => {
            Box::pin(charts::get_version(&call, &home, &chart, &version)).await
        }
        Route::DeleteChart { home, chart } => Box::pin(charts::delete(&call, &home, &chart)).await,
        Route::GetChartFile { home, file } => Box::pin(charts::get_file(&call, &home, &file)).await,
        Route::PutChartFile { home, file } => Box::pin(charts::put_file(&call, body, &home, &file)).await,
        Route::ReplaceChartFile { home, file } => Box::pin(charts::replace_file(&call, body, &home, &file)).await,
        Route::DeleteChartFile { home, file } => Box::pin(charts::delete_file(&call, &home, &file)).await,
    }
}

impl Call<'_> {
    pub(crate) fn artifacts(&self) -> &Artifacts {
        &self.plane.artifacts
    }

    /// Whether the caller may push, also into what the artifact cache fills.
    pub(crate) fn may_push_into_cache(&self, repository: &RepositoryName) -> bool {
        self.host.registry.settings.writable_cache_repositories && guard::may_push(self.caller, repository)
    }

    /// Refuses a push into what the artifact cache fills.
    pub(crate) async fn refuse_push_into_cache(&self, repository: &RepositoryName) -> Result<(), Failure> {
        let found = self.cache().find_rule_against_push(&self.host.registry, repository).await;
        match found.map_err(|error| Failure::of_cache(error, self.request_id))? {
            None => Ok(()),
            Some(rule) => Err(Failure::new(OciError::disallowed().with_message(format!(
                "the repository {repository} is filled by the cache rule '{rule}' and takes no pushes; the registry's \
                 writableCacheRepos can allow them"
            )))),
        }
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.plane.cache
    }

    pub(crate) fn target<'r>(&'r self, repository: &'r RepositoryName) -> Target<'r> {
        Target { registry: &self.host.registry, repository }
    }

    /// What of a repository the caller gets to see where quarantine is on.
    pub(crate) fn sight(&self, repository: &RepositoryName) -> Sight {
        let is_on = self.host.registry.settings.quarantine;
        match is_on && !may_scan(self.caller, Action::Pull, repository.as_str()) {
            true => Sight::Passed,
            false => Sight::Everything,
        }
    }

    pub(crate) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    pub(crate) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The first value of a parameter in the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query().as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataPlane").field("config", &self.0.config).finish_non_exhaustive()
    }
}
