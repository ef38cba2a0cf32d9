//! A role: read from a body, and shown.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_access::{Permission, RoleDefinition};
use wharf_arm::{ArmError, Code, Members};
use wharf_metadata::RoleDefinitionRow;
use wharf_model::ResourceId;

use super::filter::{BUILT_IN, CUSTOM};
use super::scope::role_definition_id;

/// What the body of a `PUT` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) permissions: Vec<Permission>,
    pub(super) assignable_scopes: Vec<ResourceId>,
}

impl Wanted {
    /// Reads a body.
    ///
    /// # Errors
    /// When something is missing or cannot be.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Self, ArmError> {
        let body = Members::of(body);
        let properties = body.object("properties")?;
        let properties = body.required("properties", properties)?;
        let name = properties.required("roleName", properties.text("roleName")?)?.trim();
        if name.is_empty() || name.chars().count() > MOST_NAME {
            return Err(invalid(&properties, "roleName", "expected a name of 1 to 512 characters"));
        }
        let description = properties.text("description")?.unwrap_or_default();
        if description.chars().count() > MOST_DESCRIPTION {
            return Err(invalid(&properties, "description", "it has more than 2,048 characters"));
        }
        if properties.text("type")?.is_some_and(|word| word.eq_ignore_ascii_case(BUILT_IN)) {
            return Err(invalid(&properties, "type", "only custom roles can be made"));
        }
        Ok(Self {
            name: name.to_owned(),
            description: description.to_owned(),
            permissions: permissions(&properties)?,
            assignable_scopes: assignable_scopes(&properties)?,
        })
    }
}

fn permissions(properties: &Members<'_>) -> Result<Vec<Permission>, ArmError> {
    let entries = properties.objects("permissions")?.unwrap_or_default();
    let mut permissions = Vec::with_capacity(entries.len());
    let mut count = 0;
    for entry in &entries {
        let mut list = |name: &str| -> Result<Vec<Cow<'static, str>>, ArmError> {
            let patterns = entry.texts(name)?.unwrap_or_default();
            count += patterns.len();
            let check = |pattern: &str| {
                let reason =
                    "expected operations such as Microsoft.ContainerRegistry/registries/read, or patterns with *";
                if is_pattern(pattern) { Ok(pattern.to_owned().into()) } else { Err(invalid(entry, name, reason)) }
            };
            patterns.into_iter().map(check).collect()
        };
        permissions.push(Permission {
            actions: list("actions")?,
            not_actions: list("notActions")?,
            data_actions: list("dataActions")?,
            not_data_actions: list("notDataActions")?,
        });
    }
    if count > MOST_PATTERNS {
        return Err(invalid(properties, "permissions", "there are more than 2,000 operations"));
    }
    if permissions.iter().all(|entry| entry.actions.is_empty() && entry.data_actions.is_empty()) {
        return Err(invalid(properties, "permissions", "there is no operation in actions or dataActions"));
    }
    Ok(permissions)
}

/// Whether this reads like an operation of Azure's or a pattern of some.
fn is_pattern(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "*/._-".contains(c);
    text == "*" || (text.len() <= MOST_PATTERN_BYTES && text.contains('/') && text.chars().all(is_plain))
}

fn assignable_scopes(properties: &Members<'_>) -> Result<Vec<ResourceId>, ArmError> {
    let texts = properties.texts("assignableScopes")?.unwrap_or_default();
    if texts.is_empty() {
        return Err(invalid(properties, "assignableScopes", "there is none"));
    }
    if texts.len() > MOST_SCOPES {
        return Err(invalid(properties, "assignableScopes", "there are more than 2,000"));
    }
    let mut scopes: Vec<ResourceId> = Vec::with_capacity(texts.len());
    for text in texts {
        let scope: ResourceId =
            text.parse().map_err(|error| invalid(properties, "assignableScopes", &format!("{error}")))?;
        if scope == ResourceId::root() {
            let reason = "a custom role cannot be for everything (/); name subscriptions or resource groups";
            return Err(invalid(properties, "assignableScopes", reason));
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

fn invalid(members: &Members<'_>, name: &str, reason: &str) -> ArmError {
    let path = members.path(name);
    ArmError::new(Code::InvalidRoleDefinition, format!("The value of '{path}' cannot be taken: {reason}."))
        .with_target(path)
}

/// A built-in role as it is told at `asked_at`.
pub(super) fn show_built_in(role: &RoleDefinition, asked_at: &ResourceId) -> Value {
    let properties = json!({
        "roleName": role.name,
        "type": BUILT_IN,
        "description": role.description,
        "assignableScopes": ["/"],
        "permissions": role.permissions,
        "createdBy": null,
        "updatedBy": null,
    });
    envelope(role.id, asked_at, properties)
}

/// A custom role as it is told at `asked_at`.
pub(super) fn show_custom(row: &RoleDefinitionRow, asked_at: &ResourceId) -> Value {
    let permissions: Value = serde_json::from_str(&row.permissions).unwrap_or_else(|_| json!([]));
    let by = |id: &str| if id.is_empty() { Value::Null } else { json!(id) };
    let properties = json!({
        "roleName": row.name,
        "type": CUSTOM,
        "description": row.description,
        "assignableScopes": row.assignable_scopes,
        "permissions": permissions,
        "createdOn": row.created_at.to_string(),
        "updatedOn": row.updated_at.to_string(),
        "createdBy": by(&row.created_by),
        "updatedBy": by(&row.updated_by),
    });
    envelope(row.id, asked_at, properties)
}

fn envelope(id: Uuid, asked_at: &ResourceId, properties: Value) -> Value {
    json!({
        "id": role_definition_id(asked_at, id),
        "name": id,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": properties,
    })
}

const MOST_NAME: usize = 512;
const MOST_DESCRIPTION: usize = 2048;
const MOST_PATTERNS: usize = 2000;
const MOST_PATTERN_BYTES: usize = 512;
const MOST_SCOPES: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001";

    fn with(member: &str, value: Value) -> Result<Wanted, ArmError> {
        let mut properties = json!({
            "roleName": " Image Keeper ",
            "permissions": [{"actions": ["Microsoft.ContainerRegistry/*/read"], "dataActions": ["*"]}],
            "assignableScopes": [SUB, format!("{SUB}/resourcegroups/g"), SUB.to_uppercase()],
        });
        properties[member] = value;
        let body = json!({ "properties": properties });
        Wanted::read(body.as_object().unwrap())
    }

    #[test]
    fn a_body_is_read_with_defaults() {
        let wanted = with("x", json!(1)).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.description.as_str()), ("Image Keeper", ""));
        assert_eq!(wanted.permissions[0].data_actions, ["*"]);
        assert_eq!(wanted.assignable_scopes.len(), 2, "no scope twice");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let cases = [
            with("roleName", json!(null)),
            with("roleName", json!("  ")),
            with("type", json!("BuiltInRole")),
            with("permissions", json!([])),
            with("permissions", json!([{"notActions": ["*"]}])),
            with("permissions", json!([{"actions": ["read"]}])),
            with("permissions", json!([{"actions": ["a/b c"]}])),
            with("permissions", json!([{"actions": "*"}])),
            with("assignableScopes", json!([])),
            with("assignableScopes", json!(["/"])),
            with("assignableScopes", json!(["x"])),
        ];
        let told: Vec<String> = cases
            .into_iter()
            .map(|case| case.unwrap_err())
            .map(|error| format!("{} {}: {}", error.code.as_str(), error.target.unwrap_or_default(), error.message))
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
