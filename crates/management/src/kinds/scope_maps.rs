//! `registries/scopeMaps`: named lists of what the tokens of a registry may do.
//!
//! Five of them belong to the system: every registry has them from its beginning, nobody can change or delete them, and
//! they count in no quota. What the others say is kept in the table `scope_maps` too, which sign-in reads.
//!
//! Source: `acr/control-plane.md` 8; `acr/data-plane.md` 3.6; `acr/semantics.md` 1.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use wharf_access::{SYSTEM_SCOPE_MAPS, ScopeMapAction, SystemScopeMap, find_system_scope_map};
use wharf_arm::{ArmError, Code, Members, versions};
use wharf_metadata::{Connection, RegistryRow, registries, scope_maps, tokens};
use wharf_model::ResourceId;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{About, Access, Ask, Draft, Kind, Place, Property, Removal, Resource, Shape, Verb};
use crate::kinds::registries::sku::Sku;
use crate::resources::insert_within;

/// The kind `Microsoft.ContainerRegistry/registries/scopeMaps`.
#[derive(Debug)]
pub(crate) struct ScopeMaps;

static ABOUT: About = About {
    namespace: "Microsoft.ContainerRegistry",
    path: "registries/scopeMaps",
    summary: "Scope maps: named lists of what tokens of a registry may do.",
    versions: versions::CONTAINER_REGISTRY,
    operations: "Microsoft.ContainerRegistry/registries/scopeMaps",
    place: Place::Parent,
    is_tracked: false,
    patch: true,
    changes_access: true,
    check_name,
    actions: &[],
    properties: &[
        Property { path: "description", shape: Shape::Text, access: Access::Written },
        Property { path: "actions", shape: Shape::Texts, access: Access::Written },
        Property { path: "type", shape: Shape::Word(&[USER_DEFINED, SYSTEM_DEFINED]), access: Access::Shown },
        Property { path: "creationDate", shape: Shape::Time, access: Access::Shown },
        Property { path: "provisioningState", shape: Shape::Word(&["Succeeded"]), access: Access::Shown },
    ],
};

#[async_trait]
impl Kind for ScopeMaps {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn plan(&self, _cx: &Cx, ask: &Ask<'_>, draft: &mut Draft) -> Result<(), ArmError> {
        let given = ask.properties()?;
        let description = given.text("description")?;
        let actions = given.texts("actions")?;
        if let Some(map) = system(ask.id) {
            draft.properties = keep_system(map, description, actions.as_deref(), ask.old)?;
            return Ok(());
        }
        if given.is_null("description") {
            draft.properties.remove("description");
        }
        if let Some(description) = description {
            check_description(&given, description)?;
            draft.properties.insert("description".to_owned(), json!(description));
        }
        match actions {
            Some(actions) => {
                draft.properties.insert("actions".to_owned(), json!(read_actions(&given, &actions)?));
            }
            None if ask.verb == Verb::Put => {
                return Err(given.invalid("actions", "it is missing; an empty list allows nothing"));
            }
            None => {}
        }
        Ok(())
    }

    async fn write(
        &self,
        c: &mut Connection,
        _cx: &Cx,
        old: Option<&Resource>,
        new: &mut Resource,
    ) -> Result<(), Failure> {
        if system(&new.id).is_some() {
            return Ok(());
        }
        let registry = lock_registry(c, &new.id).await?;
        if old.is_none() {
            check_quota(&registry, "scopeMaps", scope_maps::count(c, registry.id).await?)?;
        }
        scope_maps::put(c, registry.id, name_of(&new.id), &stored_actions(new)).await?;
        Ok(())
    }

    async fn release(&self, c: &mut Connection, _cx: &Cx, resource: &Resource) -> Result<(), Failure> {
        let name = name_of(&resource.id);
        if system(&resource.id).is_some() {
            let text = format!("The scope map '{name}' is the system's and cannot be deleted.");
            return Err(ArmError::new(Code::OperationNotAllowed, text).into());
        }
        let registry = lock_registry(c, &resource.id).await?;
        if let Some(token) = tokens::find_user_of_scope_map(c, registry.id, name).await? {
            let text = format!(
                "The scope map '{name}' is in use by the token '{token}'. Give the token another scope map, or delete it, first."
            );
            return Err(ArmError::new(Code::Conflict, text).into());
        }
        Ok(())
    }

    async fn remove(&self, c: &mut Connection, _cx: &Cx, resource: &Resource) -> Result<Removal, Failure> {
        // With the registry, its scope maps go too.
        if let Some(registry) = find_registry(c, &resource.id).await? {
            scope_maps::delete(c, registry.id, name_of(&resource.id)).await?;
        }
        Ok(Removal::Done)
    }

    async fn render(&self, _c: &mut Connection, _cx: &Cx, page: &mut [Resource]) -> Result<(), Failure> {
        for resource in page {
            let system = system(&resource.id);
            if let Some(map) = system {
                resource.properties = system_properties(map);
            }
            let kind = if system.is_some() { SYSTEM_DEFINED } else { USER_DEFINED };
            resource.properties.insert("type".to_owned(), json!(kind));
            resource.properties.insert("creationDate".to_owned(), json!(resource.created.at.to_string()));
        }
        Ok(())
    }
}

/// Gives a new registry the scope maps of the system. To be called in the transaction that creates it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn create_system(c: &mut Connection, cx: &Cx, registry: &Resource) -> Result<(), Failure> {
    for map in &SYSTEM_SCOPE_MAPS {
        let id = registry.id.child("scopeMaps", map.name).map_err(Failure::internal)?;
        let draft = Draft { properties: system_properties(map), ..Draft::default() };
        insert_within(c, cx, &ABOUT, &id, draft).await?;
    }
    Ok(())
}

/// The scope map of the system that this id names.
pub(crate) fn system(id: &ResourceId) -> Option<&'static SystemScopeMap> {
    find_system_scope_map(name_of(id))
}

/// The registry that a scope map or a token is in. Its scope maps and tokens stay as they are until the transaction ends.
pub(crate) async fn lock_registry(c: &mut Connection, id: &ResourceId) -> Result<RegistryRow, Failure> {
    let found = find_registry(c, id).await?;
    let parent = id.parent().unwrap_or_else(ResourceId::root);
    found.ok_or_else(|| ArmError::parent_not_found(&parent, id).into())
}

/// Like [`lock_registry`], when the registry may be gone.
pub(crate) async fn find_registry(c: &mut Connection, id: &ResourceId) -> Result<Option<RegistryRow>, Failure> {
    let Some(parent) = id.parent() else { return Ok(None) };
    Ok(registries::lock(c, &parent).await?)
}

/// The last segment of an id: a name.
pub(crate) fn name_of(id: &ResourceId) -> &str {
    id.name().unwrap_or_default()
}

/// Refuses one more token or scope map than the registry's tier allows. Source: `acr/semantics.md` 1.
pub(crate) fn check_quota(registry: &RegistryRow, what: &str, count: i64) -> Result<(), ArmError> {
    let sku = Sku::parse("sku.name", &registry.sku)?;
    if count < sku.limits().tokens {
        return Ok(());
    }
    let text = format!(
        "Quota exceeded for resource type {what} for the registry SKU {}. The registry '{}' has {count} of them. \
         Delete some, or move the registry to a larger SKU.",
        registry.sku, registry.name
    );
    Err(ArmError::new(Code::QuotaExceeded, text))
}

/// What a request on a scope map of the system may be: one that changes nothing, as templates that were exported from a
/// registry contain.
fn keep_system(
    map: &SystemScopeMap,
    description: Option<&str>,
    actions: Option<&[&str]>,
    old: Option<&Resource>,
) -> Result<Map<String, Value>, ArmError> {
    let set = |actions: &[&str]| actions.iter().map(|action| action.to_ascii_lowercase()).collect::<BTreeSet<_>>();
    let same = description.is_none_or(|given| given == map.description)
        && actions.is_none_or(|given| set(given) == set(map.actions));
    match old {
        Some(old) if same => Ok(old.properties.clone()),
        _ => {
            let text =
                format!("The scope map '{}' is the system's and cannot be changed. Create one of your own.", map.name);
            Err(ArmError::new(Code::OperationNotAllowed, text))
        }
    }
}

fn system_properties(map: &SystemScopeMap) -> Map<String, Value> {
    let mut properties = Map::new();
    properties.insert("description".to_owned(), json!(map.description));
    properties.insert("actions".to_owned(), json!(map.actions));
    properties
}

fn stored_actions(resource: &Resource) -> Vec<String> {
    let actions = resource.properties.get("actions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    actions.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Reads the actions, each once and in the order in which they came up.
fn read_actions(given: &Members<'_>, actions: &[&str]) -> Result<Vec<String>, ArmError> {
    let mut read: Vec<String> = Vec::with_capacity(actions.len().min(MOST_ACTIONS));
    let mut seen = BTreeSet::new();
    let mut repositories = BTreeSet::new();
    for (position, text) in actions.iter().enumerate() {
        let action: ScopeMapAction = text
            .parse()
            .map_err(|error| ArmError::invalid_member(&format!("{}[{position}]", given.path("actions")), error))?;
        if let Some(repository) = action.repository() {
            repositories.insert(repository.to_owned());
        }
        let text = action.to_string();
        if seen.insert(text.clone()) {
            read.push(text);
        }
        if read.len() > MOST_ACTIONS {
            return Err(given.invalid("actions", format!("a scope map has {MOST_ACTIONS} actions at most")));
        }
        if repositories.len() > MOST_REPOSITORIES {
            let text = format!(
                "a scope map names {MOST_REPOSITORIES} repositories at most; 'team/*' names all that begin with 'team/'"
            );
            return Err(given.invalid("actions", text));
        }
    }
    Ok(read)
}

fn check_description(given: &Members<'_>, description: &str) -> Result<(), ArmError> {
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(given.invalid("description", format!("it has {LONGEST_DESCRIPTION} characters at most")));
    }
    Ok(())
}

/// Source: the published specification, `ScopeMapNameParameter`. Names that begin with `_` are the system's.
fn check_name(name: &str) -> Result<(), ArmError> {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let is_ours = !name.starts_with('_') || find_system_scope_map(name).is_some();
    if (5..=50).contains(&name.len()) && is_word && is_ours {
        return Ok(());
    }
    let text =
        "A scope map's name has 5 to 50 letters, digits, hyphens and underscores, and begins with no underscore.";
    Err(ArmError::new(Code::InvalidResourceName, text))
}

const USER_DEFINED: &str = "UserDefined";
const SYSTEM_DEFINED: &str = "SystemDefined";
/// Source: `acr/semantics.md` 1.
const MOST_ACTIONS: usize = 500;
/// Source: `acr/semantics.md` 1.
const MOST_REPOSITORIES: usize = 500;
/// Source: `az acr scope-map create --help`.
const LONGEST_DESCRIPTION: usize = 256;
