//! What a path means. Words are compared without regard to case; names stay as they are written.
//!
//! ```text
//! /subscriptions/{s}                                                          ARM itself
//! /subscriptions/{s}/resourceGroups[/{g}]                                     a kind: resource groups
//! {group}/providers/{namespace}/{type}[/{name}[/{type}[/{name}]]]             kinds; also actions, by their words
//! {scope}/providers/{namespace}/{type}[/…]                                    kinds on any scope; services
//! ```
//!
//! A type that we do not have is not at the end of any path, so it is told apart from a resource that is not there.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use uuid::Uuid;
use wharf_arm::versions::Versions;
use wharf_arm::{ArmError, Code, versions};
use wharf_model::ResourceId;

use crate::catalogue::{Catalogue, Entry, ServiceEntry};
use crate::kind::{Action, ActionAt, Place};

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/metadata/endpoints`.
    Metadata,
    /// `/openapi.json`.
    OpenApi,
    /// `/tenants`.
    Tenants,
    /// `/subscriptions`.
    Subscriptions,
    /// `/subscriptions/{s}`.
    Subscription(ResourceId),
    /// `/subscriptions/{s}/locations`.
    Locations(ResourceId),
    /// `{scope}/resources`: whatever is tracked in a subscription or a group.
    Resources(ResourceId),
    /// `{scope}/providers`.
    Providers(ResourceId),
    /// `{scope}/providers/{namespace}`.
    Provider(ResourceId, &'static str),
    /// `{subscription}/providers/{namespace}/register`, and `unregister`.
    Register(ResourceId, &'static str),
    /// `/providers/{namespace}/operations`: what roles may name.
    Operations(&'static str),
    /// An operation that goes on: how it goes, or its result.
    Operation(Uuid, Polled),
    /// A resource.
    Item(Arc<Entry>, ResourceId),
    /// The resources of a kind in a parent, a group or a subscription.
    Collection(Arc<Entry>, ResourceId),
    /// An action at a resource or a subscription, and the segment that followed.
    Action(Arc<Entry>, &'static Action, ResourceId, Option<String>),
    /// Something that a service answers.
    Service(Arc<ServiceEntry>, ResourceId, Vec<String>),
}

/// What one who polls an operation wants to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Its status as a body; always 200.
    Status,
    /// 202 until it has ended, then what came of it.
    Result,
}

impl Route {
    /// Finds out what a path means.
    ///
    /// # Errors
    /// 404 for what is not there, 400 for what cannot be meant.
    pub(crate) fn parse(catalogue: &Catalogue, path: &str) -> Result<Self, ArmError> {
        let segments = decode(path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Self::of_segments(catalogue, &segments, path)
    }

    /// Finds out what an id names.
    ///
    /// # Errors
    /// When it is of a type that we do not have.
    pub(crate) fn of_id(catalogue: &Catalogue, id: &ResourceId) -> Result<Self, ArmError> {
        let segments: Vec<&str> = id.as_str().split('/').filter(|segment| !segment.is_empty()).collect();
        Self::of_segments(catalogue, &segments, id.as_str())
    }

    fn of_segments(catalogue: &Catalogue, segments: &[&str], path: &str) -> Result<Self, ArmError> {
        let is = |at: usize, word: &str| segments.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(word));
        if is(0, "subscriptions") {
            return match segments {
                [_] => Ok(Self::Subscriptions),
                [_, id, rest @ ..] => {
                    let id: Uuid = id.parse().map_err(|_| {
                        let text = format!("The provided subscription identifier '{id}' is malformed or invalid.");
                        ArmError::new(Code::InvalidSubscriptionId, text)
                    })?;
                    in_subscription(catalogue, ResourceId::of_subscription(id), rest, path)
                }
                [] => Err(unknown(path)),
            };
        }
        match segments {
            [_, _] if is(0, "metadata") && is(1, "endpoints") => Ok(Self::Metadata),
            [_] if is(0, "openapi.json") => Ok(Self::OpenApi),
            [_] if is(0, "tenants") => Ok(Self::Tenants),
            [_, rest @ ..] if is(0, "providers") => in_scope(catalogue, ResourceId::root(), rest, path),
            _ => Err(unknown(path)),
        }
    }

    /// The api-versions that it has; `None` where any will do.
    pub(crate) fn versions(&self) -> Option<Versions> {
        match self {
            Self::Metadata | Self::OpenApi | Self::Operation(..) | Self::Operations(_) => None,
            Self::Tenants | Self::Subscriptions | Self::Subscription(_) | Self::Locations(_) => {
                Some(versions::SUBSCRIPTIONS)
            }
            Self::Resources(_) | Self::Providers(_) | Self::Provider(..) | Self::Register(..) => {
                Some(versions::RESOURCES)
            }
            Self::Item(entry, _) | Self::Collection(entry, _) | Self::Action(entry, ..) => Some(entry.about.versions),
            Self::Service(entry, ..) => Some(entry.versions()),
        }
    }

    /// The type that refusals of an api-version name; `None` for ARM's own.
    pub(crate) fn type_path(&self) -> Option<&'static str> {
        match self {
            Self::Item(entry, _) | Self::Collection(entry, _) | Self::Action(entry, ..) => Some(entry.about.path),
            Self::Service(entry, ..) => Some(entry.about.word),
            _ => None,
        }
    }

    /// The subscription that it is in.
    pub(crate) fn subscription(&self) -> Option<&str> {
        match self {
            Self::Subscription(id)
            | Self::Locations(id)
            | Self::Resources(id)
            | Self::Providers(id)
            | Self::Provider(id, _)
            | Self::Register(id, _)
            | Self::Item(_, id)
            | Self::Collection(_, id)
            | Self::Action(_, _, id, _)
            | Self::Service(_, id, _) => id.subscription_id(),
            _ => None,
        }
    }
}

/// What is below `/subscriptions/{s}`.
fn in_subscription(
    catalogue: &Catalogue,
    subscription: ResourceId,
    rest: &[&str],
    path: &str,
) -> Result<Route, ArmError> {
    let is = |at: usize, word: &str| rest.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(word));
    if is(0, "resourceGroups") {
        let groups = catalogue.find_kind(GROUPS).ok_or_else(|| unknown(path))?;
        let [_, name, rest @ ..] = rest else { return Ok(Route::Collection(groups.clone(), subscription)) };
        let group = subscription.child("resourceGroups", name).map_err(|_| invalid_group(name))?;
        return in_group(catalogue, groups, group, rest, path);
    }
    match rest {
        [] => Ok(Route::Subscription(subscription)),
        [_] if is(0, "locations") => Ok(Route::Locations(subscription)),
        [_] if is(0, "resources") => Ok(Route::Resources(subscription)),
        [_, id] if is(0, "operationResults") => operation(id, Polled::Result, path),
        [_, rest @ ..] if is(0, "providers") => in_scope(catalogue, subscription, rest, path),
        _ => Err(unknown(path)),
    }
}

/// What is below a resource group.
fn in_group(
    catalogue: &Catalogue,
    groups: &Arc<Entry>,
    group: ResourceId,
    rest: &[&str],
    path: &str,
) -> Result<Route, ArmError> {
    match rest {
        [] => Ok(Route::Item(groups.clone(), group)),
        [word] if word.eq_ignore_ascii_case("resources") => Ok(Route::Resources(group)),
        [word, rest @ ..] if word.eq_ignore_ascii_case("providers") => in_scope(catalogue, group, rest, path),
        // `az deployment operation group list` leaves the provider out.
        [word, rest @ ..] => match catalogue.find_service("Microsoft.Resources", word) {
            Some(service) => Ok(Route::Service(service.clone(), group, own(rest))),
            None => Err(unknown(path)),
        },
    }
}

/// What is below `{scope}/providers`.
fn in_scope(catalogue: &Catalogue, scope: ResourceId, rest: &[&str], path: &str) -> Result<Route, ArmError> {
    let [namespace, rest @ ..] = rest else { return Ok(Route::Providers(scope)) };
    // The last provider says what is meant; what is before it is its scope.
    if let Some(at) = rest.iter().rposition(|segment| segment.eq_ignore_ascii_case("providers")) {
        let text = format!("{}/providers/{namespace}/{}", scope.as_str().trim_end_matches('/'), rest[..at].join("/"));
        let scope = text.parse().map_err(|_| unknown(path))?;
        return in_provider(catalogue, scope, &rest[at + 1..], path);
    }
    let own: Vec<&str> = std::iter::once(*namespace).chain(rest.iter().copied()).collect();
    in_provider(catalogue, scope, &own, path)
}

/// What is below the last `/providers/`.
fn in_provider(catalogue: &Catalogue, scope: ResourceId, own_path: &[&str], path: &str) -> Result<Route, ArmError> {
    let [namespace, rest @ ..] = own_path else { return Err(unknown(path)) };
    let Some(namespace) = catalogue.find_namespace(namespace) else {
        let text = format!("The resource namespace '{namespace}' is invalid.");
        return Err(ArmError::new(Code::InvalidResourceNamespace, text));
    };
    let [word, after @ ..] = rest else { return Ok(Route::Provider(scope, namespace)) };
    if let Some(service) = catalogue.find_service(namespace, word) {
        return Ok(Route::Service(service.clone(), scope, own(after)));
    }
    let is_subscription = scope.resource_group_name().is_none() && scope.parent() == Some(ResourceId::root());
    let is = |word: &str, wanted: &str| word.eq_ignore_ascii_case(wanted);
    match rest {
        [word] if is_subscription && (is(word, "register") || is(word, "unregister")) => {
            return Ok(Route::Register(scope, namespace));
        }
        [word] if scope == ResourceId::root() && is(word, "operations") => return Ok(Route::Operations(namespace)),
        [locations, _, word, id] if is_subscription && is(locations, "locations") => {
            for (wanted, polled) in [("operationStatuses", Polled::Status), ("operationResults", Polled::Result)] {
                if is(word, wanted) {
                    return operation(id, polled, path);
                }
            }
        }
        [word] if is_subscription => {
            if let Some((entry, action)) = catalogue.find_subscription_action(namespace, word) {
                return Ok(Route::Action(entry.clone(), action, scope, None));
            }
        }
        _ => {}
    }
    in_types(catalogue, scope, namespace, rest, path)
}

/// Types and names, with what may follow: `registries/r/tokens/t`, `registries/r/listCredentials`.
fn in_types(
    catalogue: &Catalogue,
    scope: ResourceId,
    namespace: &str,
    rest: &[&str],
    path: &str,
) -> Result<Route, ArmError> {
    let kind_of = |words: &[&str]| {
        let types: Vec<&str> = words.iter().copied().step_by(2).collect();
        catalogue.find_kind(&format!("{namespace}/{}", types.join("/")))
    };
    let id_of = |pairs: &[&str]| -> Result<ResourceId, ArmError> {
        let scope = scope.as_str().trim_end_matches('/');
        format!("{scope}/providers/{namespace}/{}", pairs.join("/")).parse().map_err(|_| invalid_name(pairs))
    };
    let unknown_type = || {
        let types: Vec<&str> = rest.iter().copied().step_by(2).collect();
        let types = types.join("/");
        let text = format!("The resource type '{types}' could not be found in the namespace '{namespace}'.");
        Err(ArmError::new(Code::InvalidResourceType, text))
    };
    let is_group = scope.resource_group_name().is_some() && scope.resource_type().as_deref() == Some(GROUPS);
    let can_hold = |entry: &Entry| match entry.about.place {
        Place::Group | Place::Parent => is_group,
        Place::Scope => true,
        Place::Subscription => false,
    };
    if rest.len().is_multiple_of(2) {
        if let Some(entry) = kind_of(rest) {
            if !can_hold(entry) {
                return Err(unknown(path));
            }
            return Ok(Route::Item(entry.clone(), entry.spell(&id_of(rest)?)));
        }
        // `privateLinkResources/{group}`: an action with one segment more.
        let (pairs, tail) = rest.split_at(rest.len() - 2);
        if let Some(entry) = kind_of(pairs).filter(|entry| !pairs.is_empty() && can_hold(entry))
            && let Some(action) = entry.find_action(ActionAt::Resource, tail[0]).filter(|action| action.has_tail)
        {
            return Ok(Route::Action(entry.clone(), action, entry.spell(&id_of(pairs)?), Some(tail[1].to_owned())));
        }
        return unknown_type();
    }
    if let Some(entry) = kind_of(rest) {
        let pairs = &rest[..rest.len() - 1];
        let is_subscription = scope.subscription_id().is_some() && scope.parent() == Some(ResourceId::root());
        return match entry.about.place {
            Place::Group if is_group || is_subscription => Ok(Route::Collection(entry.clone(), scope)),
            Place::Parent if is_group => {
                let parent = id_of(pairs)?;
                let parent = kind_of(pairs).map_or_else(|| parent.clone(), |kind| kind.spell(&parent));
                Ok(Route::Collection(entry.clone(), parent))
            }
            Place::Scope => Ok(Route::Collection(entry.clone(), scope)),
            _ => Err(unknown(path)),
        };
    }
    let (pairs, word) = rest.split_at(rest.len() - 1);
    if let Some(entry) = kind_of(pairs).filter(|entry| !pairs.is_empty() && can_hold(entry))
        && let Some(action) = entry.find_action(ActionAt::Resource, word[0])
    {
        return Ok(Route::Action(entry.clone(), action, entry.spell(&id_of(pairs)?), None));
    }
    unknown_type()
}

fn operation(id: &str, polled: Polled, path: &str) -> Result<Route, ArmError> {
    // The real service puts a word before the id: `registries-<guid>`.
    let id = id.len().checked_sub(36).and_then(|at| id.get(at..)).unwrap_or(id);
    Ok(Route::Operation(id.parse().map_err(|_| unknown(path))?, polled))
}

fn own(segments: &[&str]) -> Vec<String> {
    segments.iter().map(|segment| (*segment).to_owned()).collect()
}

/// The segments of a path. Empty ones are left out: `az` and others write a slash too many here and there.
fn decode(path: &str) -> Result<Vec<String>, ArmError> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments
        .map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| invalid_uri(path))?;
            // A slash that was encoded would be another path once it is decoded.
            if decoded.contains('/') || decoded.chars().any(char::is_control) {
                return Err(invalid_uri(path));
            }
            Ok(decoded.into_owned())
        })
        .collect()
}

fn invalid_uri(path: &str) -> ArmError {
    ArmError::new(Code::InvalidRequestUri, format!("The path '{}' is not a resource's.", shorten(path)))
}

fn unknown(path: &str) -> ArmError {
    ArmError::new(Code::NotFound, format!("There is nothing at '{}'.", shorten(path)))
}

fn invalid_name(pairs: &[&str]) -> ArmError {
    let name = pairs.last().copied().unwrap_or_default();
    ArmError::new(Code::InvalidResourceName, format!("'{}' cannot be the name of a resource.", shorten(name)))
}

fn invalid_group(name: &str) -> ArmError {
    ArmError::new(Code::InvalidResourceGroup, format!("'{}' cannot be the name of a resource group.", shorten(name)))
}

/// What a message repeats of what was sent.
fn shorten(text: &str) -> String {
    text.chars().take(300).collect()
}

/// The type of resource groups.
pub(crate) const GROUPS: &str = "Microsoft.Resources/resourceGroups";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{kinds, services};

    const SUB: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001";

    fn catalogue() -> Catalogue {
        Catalogue::new(kinds::all(), services::all())
    }

    fn parse(path: &str) -> String {
        match Route::parse(&catalogue(), path) {
            Ok(Route::Item(entry, id)) => format!("item {} {id}", entry.about.path),
            Ok(Route::Collection(entry, scope)) => format!("list {} {scope}", entry.about.path),
            Ok(Route::Action(entry, action, id, tail)) => {
                format!("{} of {} {id} {}", action.name, entry.about.path, tail.unwrap_or_default())
            }
            Ok(Route::Service(entry, scope, rest)) => format!("{} {scope} {}", entry.about.word, rest.join(" ")),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.code.as_str().to_owned(),
        }
        .replace(SUB, "S")
    }

    #[test]
    fn paths_mean_what_they_say() {
        let registry = format!("{SUB}/resourcegroups/G/PROVIDERS/microsoft.containerregistry/Registries/Reg");
        for (path, meaning) in [
            (format!("{SUB}/ResourceGroups"), "list resourceGroups S"),
            (format!("{SUB}/resourcegroups/G/"), "item resourceGroups S/resourceGroups/G"),
            (
                registry.clone(),
                "item registries S/resourceGroups/G/providers/Microsoft.ContainerRegistry/registries/Reg",
            ),
            (
                format!("{registry}/TOKENS/t"),
                "item registries/tokens S/resourceGroups/G/providers/Microsoft.ContainerRegistry/registries/Reg/tokens/t",
            ),
            (
                format!("{registry}/tokens"),
                "list registries/tokens S/resourceGroups/G/providers/Microsoft.ContainerRegistry/registries/Reg",
            ),
            (
                format!("{registry}/LISTcredentials"),
                "listCredentials of registries S/resourceGroups/G/providers/Microsoft.ContainerRegistry/registries/Reg ",
            ),
            (
                format!("{registry}/privateLinkResources/registry"),
                "privateLinkResources of registries S/resourceGroups/G/providers/Microsoft.ContainerRegistry/registries/Reg registry",
            ),
            (
                format!("{registry}/providers/Microsoft.Authorization/locks/l"),
                "item locks S/resourceGroups/G/providers/microsoft.containerregistry/Registries/Reg/providers/Microsoft.Authorization/locks/l",
            ),
            (format!("{SUB}/providers/Microsoft.ContainerRegistry/registries"), "list registries S"),
            (
                format!("{SUB}/providers/Microsoft.ContainerRegistry/checkNameAvailability"),
                "checkNameAvailability of registries S ",
            ),
            ("/providers/Microsoft.Authorization/roleAssignments/x".to_owned(), "roleAssignments / x"),
            (format!("{SUB}/resourcegroups/G/deployments/d/operations"), "deployments S/resourceGroups/G d operations"),
            (format!("{SUB}/providers/Microsoft.ContainerRegistry/registries/Reg"), "NotFound"),
            (format!("{SUB}/resourceGroups/G/providers/Microsoft.ContainerRegistry/planets"), "InvalidResourceType"),
            (format!("{SUB}/resourceGroups/G/providers/Planets/x"), "InvalidResourceNamespace"),
            (format!("{SUB}/resourceGroups/G%2Fx"), "InvalidRequestUri"),
            ("/subscriptions/x".to_owned(), "InvalidSubscriptionId"),
        ] {
            assert_eq!(parse(&path), meaning, "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(segments in prop::collection::vec(
            prop_oneof![
                Just("subscriptions".to_owned()), Just("7a1f0a52-0000-4000-8000-000000000001".to_owned()), Just("providers".to_owned()),
                Just("resourceGroups".to_owned()), Just("Microsoft.ContainerRegistry".to_owned()), Just("registries".to_owned()),
                Just("Microsoft.Authorization".to_owned()), Just("locks".to_owned()), Just("%2e%2E".to_owned()), ".{0,5}",
            ],
            0..14,
        )) {
            let _ = parse(&format!("/{}", segments.join("/")));
        }
    }
}
