//! Who calls, and may they. What an endpoint needs is declared in `wharf_oci::ROUTES`; here it is asked for.
//!
//! Every refusal is the same 401 with a challenge (`acr/data-plane.md` 3.1): there is no 403 for a token that is not
//! enough, and so none that would tell whether a repository exists.

use std::sync::Arc;

use http::header;
use http::request::Parts;
use wharf_identity::{AuthError, Caller, may, may_judge, may_scan, may_untag};
use wharf_model::{Action, LocksChange, Reference, RepositoryName, ResourceKind, Scope};
use wharf_oci::{Challenge, Need, OciError, Route};
use wharf_registry::ManifestChange;

use crate::answer;
use crate::credentials::Sent;
use crate::failure::Failure;
use crate::router::{Call, Plane, RequestHost};

/// Lets a request pass that has what its route needs.
///
/// Without credentials nobody passes, not even where anonymous pull is on: clients get an anonymous token first.
///
/// # Errors
/// 401 with a challenge; 503 when the credentials could not be checked.
pub(crate) async fn admit(
    plane: &Plane,
    host: &RequestHost,
    parts: &Parts,
    route: &Route,
) -> Result<Arc<Caller>, Failure> {
    let sent = Sent::with(&parts.headers);
    let Some(credentials) = sent.credentials() else {
        let rejects_credentials = matches!(sent, Sent::Malformed);
        return Err(challenge(host, &scopes(route, parts), rejects_credentials));
    };
    let caller = match plane.identity.authenticate(&host.registry, credentials, Some(host.client)).await {
        Ok(caller) => caller,
        Err(error @ (AuthError::Unavailable(_) | AuthError::Throttled(_))) => return Err(error.into()),
        Err(AuthError::BadCredentials | AuthError::InvalidToken(_)) => {
            return Err(challenge(host, &scopes(route, parts), true));
        }
    };
    let is_enough = match (route.row().need, route) {
        (Need::Nothing | Need::Authentication, _) => true,
        // What is deleted by a tag is the tag, which takes less than deleting what it names.
        (_, Route::DeleteManifest { repository, reference: Reference::Tag(_) } | Route::Untag { repository, .. }) => {
            may_untag(&caller, repository.as_str())
        }
        // Marking a manifest is a right of its own. The body tells which it is to be: [`admit_manifest_change`].
        (_, Route::UpdateManifest { repository, .. }) if may_judge(&caller, repository.as_str()) => true,
        // What is read may be read by scanners too, where there is quarantine.
        (Need::Repository(needed), route) if host.registry.settings.quarantine => {
            route.repository().is_some_and(|repository| {
                let (kind, name) = (ResourceKind::Repository, repository.as_str());
                needed.iter().all(|&action| may(&caller, action, kind, name) || may_scan(&caller, action, name))
            })
        }
        (Need::Catalog | Need::DeletedCatalog | Need::Repository(_) | Need::Charts(_), _) => route
            .required()
            .is_some_and(|(kind, name, actions)| actions.iter().all(|&action| may(&caller, action, kind, name))),
    };
    if is_enough { Ok(caller) } else { Err(challenge(host, &scopes(route, parts), true)) }
}

/// Lets a change of a manifest pass from those who may make it.
///
/// # Errors
/// 401 with a challenge.
pub(crate) fn admit_manifest_change(
    call: &Call<'_>,
    repository: &RepositoryName,
    change: &ManifestChange,
) -> Result<(), Failure> {
    let (kind, name) = (ResourceKind::Repository, repository.as_str());
    let changes_locks = change.quarantine.is_empty() || change.locks != LocksChange::default();
    let is_allowed = (!changes_locks || may(call.caller, Action::MetadataWrite, kind, name))
        && (change.quarantine.is_empty() || may_judge(call.caller, name));
    if is_allowed {
        return Ok(());
    }
    let scope = Scope { kind, name: name.to_owned(), actions: vec![Action::MetadataWrite] };
    Err(challenge(call.host, &[scope], true))
}

/// The 401 that tells the client which token to get.
pub(crate) fn challenge(host: &RequestHost, scopes: &[Scope], rejects_credentials: bool) -> Failure {
    let service = host.base_url.split_once("://").map_or(host.base_url.as_str(), |(_, host)| host);
    let challenge = Challenge { base_url: &host.base_url, service, scopes, rejects_credentials };
    Failure::new(OciError::unauthorized(scopes))
        .with_header(header::WWW_AUTHENTICATE, answer::value(challenge.to_string()))
}

/// Whether the caller may mount blobs from `source`.
///
/// # Errors
/// The challenge that names both repositories, when the client has a token that it got without asking for the source:
/// with another one it may be able to. A token that was asked to cover the source and does not, or a password, ends
/// the matter: `false`, and the client uploads.
pub(crate) fn may_mount_from(call: &Call<'_>, route: &Route, source: &RepositoryName) -> Result<bool, Failure> {
    if may_pull(call.caller, source) {
        return Ok(true);
    }
    if Sent::with(&call.parts.headers).is_token_silent_about(source) {
        return Err(challenge(call.host, &scopes(route, call.parts), true));
    }
    Ok(false)
}

/// Whether the caller may read what is in a repository.
pub(crate) fn may_pull(caller: &Caller, repository: &RepositoryName) -> bool {
    may(caller, Action::Pull, ResourceKind::Repository, repository.as_str())
}

/// Whether the caller may write to a repository.
pub(crate) fn may_push(caller: &Caller, repository: &RepositoryName) -> bool {
    may(caller, Action::Push, ResourceKind::Repository, repository.as_str())
}

/// What a token must list for this request. A mount also reads from its source; one that names none reads from
/// wherever the caller may, so its challenge asks for that.
fn scopes(route: &Route, parts: &Parts) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = route.scope().into_iter().collect();
    if let (Route::StartUpload { .. }, Some(query)) = (route, parts.uri.query()) {
        let parameter = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        if parameter("mount").is_some() {
            let source = match parameter("from") {
                Some((_, name)) => name.parse::<RepositoryName>().ok().map(String::from),
                None => Some("*".to_owned()),
            };
            scopes.extend(source.map(|name| Scope {
                kind: ResourceKind::Repository,
                name,
                actions: vec![Action::Pull],
            }));
        }
    }
    scopes
}
