//! Roles over HTTP: those that came with the product, and those that users defined.

use serde_json::json;
use uuid::Uuid;
use wharf_access::{built_in_roles, find_built_in_role};
use wharf_arm::{ArmError, Code};
use wharf_metadata::{Connection, RoleDefinitionRow, roles};
use wharf_model::ResourceId;

use super::definition::{Wanted, show_built_in, show_custom};
use super::filter::DefinitionsAsked;
use super::scope;
use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::service::Call;

/// `GET …/roleDefinitions`: those that can be assigned at the scope, in the order of their names.
pub(super) async fn list(cx: &Cx, call: &Call) -> Result<Answer, Failure> {
    cx.require(READ, &call.scope).await?;
    let asked = DefinitionsAsked::of(call.query.filter())?;
    scope::require_there(cx, &call.scope).await?;
    let custom = cx.database().read(|c| Box::pin(roles::list_definitions(c))).await?;
    let is_asked = |name: &str, is_built_in: bool| {
        asked.name.as_ref().is_none_or(|wanted| wanted.to_lowercase() == name.to_lowercase())
            && asked.is_built_in.is_none_or(|wanted| wanted == is_built_in)
    };
    let built_in = built_in_roles().iter().filter(|role| is_asked(&role.name, true));
    let mut shown: Vec<_> = built_in.map(|role| show_built_in(role, &call.scope)).collect();
    let is_near = |row: &&RoleDefinitionRow| {
        row.assignable_scopes
            .iter()
            .any(|own| own.contains(&call.scope) || (asked.also_below && call.scope.contains(own)))
    };
    let custom = custom.iter().filter(|row| is_asked(&row.name, false)).filter(is_near);
    shown.extend(custom.map(|row| show_custom(row, &call.scope)));
    Ok(Answer::list(shown))
}

/// `GET …/roleDefinitions/{name}`.
pub(super) async fn get(cx: &Cx, call: &Call, name: &str) -> Result<Answer, Failure> {
    cx.require(READ, &call.scope).await?;
    let id = Uuid::try_parse(name).map_err(|_| not_found(name))?;
    if let Some(role) = find_built_in_role(id) {
        return Ok(Answer::ok(show_built_in(role, &call.scope)));
    }
    let found = cx.database().read(move |c| Box::pin(roles::find_definition(c, id))).await?;
    let row = found.filter(|row| is_known_at(row, &call.scope)).ok_or_else(|| not_found(name))?;
    Ok(Answer::ok(show_custom(&row, &call.scope)))
}

/// `PUT …/roleDefinitions/{name}`: creates a custom role or writes it anew. Takes the right to at all scopes where it can
/// be assigned, and could be before.
pub(super) async fn put(cx: &Cx, call: &Call, name: &str) -> Result<Answer, Failure> {
    let id = Uuid::try_parse(name).map_err(|_| {
        let text = format!("The role definition ID '{name}' is not valid. The role definition ID must be a GUID.");
        ArmError::new(Code::InvalidResourceName, text)
    })?;
    cx.require(WRITE, &call.scope).await?;
    if find_built_in_role(id).is_some() {
        return Err(built_in(id).into());
    }
    let wanted = Wanted::read(&call.json()?)?;
    let old = cx.database().read(move |c| Box::pin(roles::find_definition(c, id))).await?;
    let known = old.as_ref().map(|old| old.assignable_scopes.clone());
    require_at_all(cx, WRITE, &wanted.assignable_scopes).await?;
    if let Some(old) = &old {
        require_at_all(cx, WRITE, &old.assignable_scopes).await?;
    }
    let actor = cx.actor.principal().map_or_else(String::new, |principal| principal.id.to_string());
    let row = RoleDefinitionRow {
        id,
        name: wanted.name,
        description: wanted.description,
        permissions: json!(wanted.permissions).to_string(),
        assignable_scopes: wanted.assignable_scopes,
        created_at: cx.now,
        updated_at: cx.now,
        created_by: actor.clone(),
        updated_by: actor,
    };
    let row = cx
        .database()
        .write_access(move |c| {
            Box::pin(async move {
                for place in &row.assignable_scopes {
                    scope::require(c, place).await?;
                }
                write(c, row, known).await
            })
        })
        .await?;
    // Azure answers 201 in both cases, and SDKs know no other.
    Ok(Answer::created(show_custom(&row, &call.scope)))
}

/// Writes the role. `known` is where it could be assigned when the actor was found to have the right to there.
async fn write(
    c: &mut Connection,
    row: RoleDefinitionRow,
    known: Option<Vec<ResourceId>>,
) -> Result<RoleDefinitionRow, Failure> {
    let old = roles::find_definition(c, row.id).await?;
    if old.as_ref().map(|old| &old.assignable_scopes) != known.as_ref() {
        let text = format!("The role definition '{}' was changed at the same time. Try again.", row.id);
        return Err(ArmError::new(Code::Conflict, text).into());
    }
    require_no_assignments_outside(c, &row).await?;
    let is_taken = built_in_roles().iter().any(|role| role.name.eq_ignore_ascii_case(&row.name));
    if is_taken || !roles::put_definition(c, &row).await? {
        let text = format!("A role definition cannot be named '{}': another one is. Names are unique.", row.name);
        return Err(ArmError::new(Code::RoleDefinitionWithSameNameExists, text).into());
    }
    let (created_at, created_by) =
        old.map_or((row.created_at, row.created_by.clone()), |old| (old.created_at, old.created_by));
    Ok(RoleDefinitionRow { created_at, created_by, ..row })
}

/// `DELETE …/roleDefinitions/{name}`: 204 when there is none.
pub(super) async fn delete(cx: &Cx, call: &Call, name: &str) -> Result<Answer, Failure> {
    cx.require(DELETE, &call.scope).await?;
    let Ok(id) = Uuid::try_parse(name) else { return Ok(Answer::no_content()) };
    if find_built_in_role(id).is_some() {
        return Err(built_in(id).into());
    }
    let found = cx.database().read(move |c| Box::pin(roles::find_definition(c, id))).await?;
    let Some(row) = found else { return Ok(Answer::no_content()) };
    require_at_all(cx, DELETE, &row.assignable_scopes).await?;
    let shown = show_custom(&row, &call.scope);
    let deleted = cx
        .database()
        .write_access(move |c| {
            Box::pin(async move {
                if roles::is_assigned(c, id).await? {
                    let text = format!(
                        "There are existing role assignments referencing role '{}'. Delete them first.",
                        row.name
                    );
                    return Err(ArmError::new(Code::RoleDefinitionHasAssignments, text).into());
                }
                Ok::<_, Failure>(roles::delete_definition(c, id).await?)
            })
        })
        .await?;
    Ok(if deleted { Answer::ok(shown) } else { Answer::no_content() })
}

/// Refuses to leave assignments where the role is not for any more: what they allow would be decided by those who
/// administer the scopes that are left.
async fn require_no_assignments_outside(c: &mut Connection, row: &RoleDefinitionRow) -> Result<(), Failure> {
    let assigned = roles::list_scopes_of_role(c, row.id).await?;
    let outside = assigned.iter().find(|at| !row.assignable_scopes.iter().any(|own| own.contains(at)));
    let Some(at) = outside else { return Ok(()) };
    let text = format!(
        "There are existing role assignments referencing role '{}' at '{at}', which is not in the new assignableScopes. \
         Delete them first.",
        row.name
    );
    Err(ArmError::new(Code::RoleDefinitionHasAssignments, text).into())
}

/// Refuses unless there is such a role and it can be assigned at the scope.
///
/// # Errors
/// `RoleDefinitionDoesNotExist`; `InvalidRoleDefinition` for a custom role that is for other scopes.
pub(super) async fn require_assignable(
    c: &mut Connection,
    written: &str,
    id: Uuid,
    at: &ResourceId,
) -> Result<(), Failure> {
    if find_built_in_role(id).is_some() {
        return Ok(());
    }
    let Some(row) = roles::find_definition(c, id).await? else {
        let shown: String = written.chars().take(300).collect();
        let text = format!("The specified role definition with ID '{shown}' does not exist.");
        return Err(ArmError::new(Code::RoleDefinitionDoesNotExist, text).into());
    };
    if row.assignable_scopes.iter().any(|own| own.contains(at)) {
        return Ok(());
    }
    let text = format!(
        "The role '{}' cannot be assigned at '{at}'; its assignableScopes do not contain that scope.",
        row.name
    );
    Err(ArmError::new(Code::InvalidRoleDefinition, text).into())
}

/// Whether a custom role is told of at a scope: where it can be assigned, above that and below.
fn is_known_at(row: &RoleDefinitionRow, at: &ResourceId) -> bool {
    row.assignable_scopes.iter().any(|own| own.contains(at) || at.contains(own))
}

async fn require_at_all(cx: &Cx, operation: &str, scopes: &[ResourceId]) -> Result<(), Failure> {
    for scope in scopes {
        cx.require(operation, scope).await?;
    }
    Ok(())
}

fn built_in(id: Uuid) -> ArmError {
    let text = format!("The role '{id}' came with the product and cannot be changed or deleted; make a custom role.");
    ArmError::new(Code::InvalidRoleDefinition, text)
}

fn not_found(name: &str) -> ArmError {
    let text = format!("The specified role definition with ID '{name}' does not exist.");
    ArmError::new(Code::RoleDefinitionDoesNotExist, text)
}

const READ: &str = "Microsoft.Authorization/roleDefinitions/read";
const WRITE: &str = "Microsoft.Authorization/roleDefinitions/write";
const DELETE: &str = "Microsoft.Authorization/roleDefinitions/delete";
