//! Scopes: whether what they name is there, and the ids of what is at them.

use uuid::Uuid;
use wharf_arm::ArmError;
use wharf_metadata::{Connection, resources, subscriptions};
use wharf_model::ResourceId;

use super::ROLE_DEFINITIONS;
use crate::cx::Cx;
use crate::failure::Failure;

/// Refuses unless there is what the scope names.
///
/// # Errors
/// 404, in the words for what it is.
pub(super) async fn require(c: &mut Connection, scope: &ResourceId) -> Result<(), Failure> {
    if scope == &ResourceId::root() {
        return Ok(());
    }
    if let Some(text) = scope.subscription_id() {
        let missing = || ArmError::subscription_not_found(text);
        let id: Uuid = text.parse().map_err(|_| missing())?;
        if subscriptions::find(c, id).await?.is_none() {
            return Err(missing().into());
        }
        if *scope == ResourceId::of_subscription(id) {
            return Ok(());
        }
    }
    if resources::find(c, scope).await?.is_some() {
        return Ok(());
    }
    let is_group = scope.resource_type().is_some_and(|kind| kind.eq_ignore_ascii_case(crate::route::GROUPS));
    Err(match scope.name() {
        Some(name) if is_group => ArmError::group_not_found(name).into(),
        _ => ArmError::resource_not_found(scope).into(),
    })
}

/// The same on a connection of its own.
pub(super) async fn require_there(cx: &Cx, scope: &ResourceId) -> Result<(), Failure> {
    let scope = scope.clone();
    cx.database().read(move |c| Box::pin(async move { require(c, &scope).await })).await
}

/// The id of a role as it is told at a scope: below the scope's subscription, so that it is the same in every list there.
pub(super) fn role_definition_id(scope: &ResourceId, role: Uuid) -> String {
    let subscription = scope.subscription_id().map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
    format!("{subscription}/providers/Microsoft.Authorization/{ROLE_DEFINITIONS}/{role}")
}

/// What is at a scope: `{scope}/providers/Microsoft.Authorization/{word}/{name}`.
///
/// # Errors
/// Never for ids, which can be segments.
pub(super) fn id_at(scope: &ResourceId, word: &str, name: Uuid) -> Result<ResourceId, Failure> {
    scope.resource("Microsoft.Authorization", word, &name.to_string()).map_err(Failure::internal)
}

/// The role that an id names: `…/roleDefinitions/{guid}`, or the GUID alone.
pub(super) fn role_of(text: &str) -> Option<Uuid> {
    let (before, name) = text.rsplit_once('/').unwrap_or(("", text));
    let is_of_role = before.is_empty()
        || before.to_ascii_lowercase().ends_with("/providers/microsoft.authorization/roledefinitions");
    if is_of_role { Uuid::try_parse(name).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_by_their_ids() {
        let id = Uuid::from_u128(7);
        let sub = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001";
        for text in [
            id.to_string(),
            format!("/providers/Microsoft.Authorization/roleDefinitions/{id}"),
            format!("{sub}/PROVIDERS/microsoft.authorization/ROLEDEFINITIONS/{id}"),
        ] {
            assert_eq!(role_of(&text), Some(id), "{text}");
        }
        for text in ["", "/", "AcrPull", &format!("{sub}/{id}"), &format!("x/roleAssignments/{id}")] {
            assert_eq!(role_of(text), None, "{text}");
        }
        let registry: ResourceId =
            format!("{sub}/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r").parse().unwrap();
        let path = format!("/providers/Microsoft.Authorization/roleDefinitions/{id}");
        assert_eq!(role_definition_id(&registry, id), format!("{sub}{path}"));
        assert_eq!(role_definition_id(&ResourceId::root(), id), path);
    }
}
