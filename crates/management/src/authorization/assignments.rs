//! Role assignments over HTTP.
//!
//! Whoever assigns a role needs the right to at the scope, under the conditions of their own roles; which role they
//! assign is limited by those conditions alone, as with Azure. The last unconditional owner of a subscription, or of
//! everything, stays: nobody could give the role to anybody again. Those count who can sign in.

use uuid::Uuid;
use wharf_access::OWNER;
use wharf_arm::{ArmError, Code};
use wharf_metadata::directory::principals;
use wharf_metadata::{AssignmentFilter, Connection, OwnedScopes, PrincipalRow, RoleAssignmentRow, roles};
use wharf_model::{PrincipalId, PrincipalKind, ResourceId};

use super::assignment::{CONDITION_VERSION, Wanted, attributes, show};
use super::filter::AssignmentsAsked;
use super::scope::{self, id_at};
use super::{ROLE_ASSIGNMENTS, definitions};
use crate::answer::Answer;
use crate::cx::{Actor, Cx};
use crate::failure::Failure;
use crate::locks::{Change, require_unlocked};
use crate::resources::next_link;
use crate::service::Call;

/// `GET …/roleAssignments`: at the scope and above, and below unless `atScope()` is asked for.
pub(super) async fn list(cx: &Cx, call: &Call) -> Result<Answer, Failure> {
    cx.require(READ, &call.scope).await?;
    let asked = AssignmentsAsked::of(call.query.filter())?;
    let principals = principals_of(cx, &asked).await?;
    let after = call.query.get("$skiptoken").filter(|text| !text.is_empty()).map(page_end).transpose()?;
    let (place, includes_below) = (call.scope.clone(), !asked.not_below);
    let rows = cx
        .database()
        .read(move |c| {
            Box::pin(async move {
                scope::require(c, &place).await?;
                let filter = AssignmentFilter {
                    scope: &place,
                    includes_below,
                    principals: principals.as_deref(),
                    after: after.as_ref().map(|(key, id)| (key.as_str(), *id)),
                    limit: MOST_ROWS,
                };
                Ok::<_, Failure>(roles::list_assignments(c, filter).await?)
            })
        })
        .await?;
    let items = rows.iter().map(|row| show(row, &call.scope)).collect::<Result<Vec<_>, _>>()?;
    let mut answer = Answer::list(items);
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == MOST_ROWS);
    if let (true, Some(last), Some(context)) = (is_full, rows.last(), &cx.request) {
        let base = if call.scope == ResourceId::root() { "" } else { call.scope.as_str() };
        let path = format!("{base}/providers/Microsoft.Authorization/{ROLE_ASSIGNMENTS}");
        let link = next_link(context, &path, &call.query, &format!("{}|{}", last.scope.key(), last.id));
        if let Some(body) = answer.body.as_mut() {
            body["nextLink"] = link.into();
        }
    }
    Ok(answer)
}

/// What the page before ended with: the key of a scope and the name of an assignment.
fn page_end(token: &str) -> Result<(String, Uuid), ArmError> {
    let end = token.split_once('|').and_then(|(key, id)| Some((key.to_lowercase(), Uuid::try_parse(id).ok()?)));
    end.ok_or_else(|| {
        ArmError::new(Code::InvalidParameter, "The $skiptoken is none that a list has ended with.")
            .with_target("$skiptoken")
    })
}

/// To whom assignments are asked for; `None` for anybody.
async fn principals_of(cx: &Cx, asked: &AssignmentsAsked) -> Result<Option<Vec<PrincipalId>>, Failure> {
    let Some(id) = asked.counting_for else { return Ok(asked.principal.map(|id| vec![PrincipalId(id)])) };
    let mut ids = vec![PrincipalId(id)];
    if let Some(principal) = cx.identity().find_principal(PrincipalId(id)).await? {
        ids.extend_from_slice(&principal.groups);
    }
    if let Some(only) = asked.principal {
        ids.retain(|id| id.0 == only);
    }
    Ok(Some(ids))
}

/// `GET …/roleAssignments/{name}`.
pub(super) async fn get(cx: &Cx, call: &Call, name: &str) -> Result<Answer, Failure> {
    cx.require(READ, &call.scope).await?;
    let missing = || not_found(name);
    let id = Uuid::try_parse(name).map_err(|_| missing())?;
    let found = cx.database().read(move |c| Box::pin(roles::find_assignment(c, id))).await?;
    let row = found.filter(|row| row.scope == call.scope).ok_or_else(missing)?;
    Ok(Answer::ok(show(&row, &call.scope)?))
}

/// `PUT …/roleAssignments/{name}`: the same again changes condition and description, and nothing else.
pub(super) async fn put(cx: &Cx, call: &Call, name: &str) -> Result<Answer, Failure> {
    let id = Uuid::try_parse(name).map_err(|_| {
        let text = format!("The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.");
        ArmError::new(Code::InvalidResourceName, text)
    })?;
    let wanted = Wanted::read(&call.json()?)?;
    let principal_id = wanted.principal_id;
    let (principal, existing) = cx
        .database()
        .read(move |c| {
            Box::pin(async move {
                let principal = principals::find(c, principal_id).await?;
                Ok::<_, Failure>((principal, roles::find_assignment(c, id).await?))
            })
        })
        .await?;
    let row = new_row(cx, call, id, &wanted, principal.as_ref());
    require_assign(cx, WRITE, &call.scope, Some(&row), existing.as_ref()).await?;
    let principal = principal.ok_or_else(|| principal_not_found(cx, principal_id))?;
    require_type(&wanted, &principal)?;

    let (at, assignment) = (call.scope.clone(), id_at(&call.scope, ROLE_ASSIGNMENTS, id)?);
    let (row, is_new) = cx
        .database()
        .write_access(move |c| {
            Box::pin(async move {
                scope::require(c, &at).await?;
                definitions::require_assignable(c, &wanted.role_definition_id, wanted.role_id, &at).await?;
                require_unlocked(c, &assignment, Change::Write).await?;
                write(c, row).await
            })
        })
        .await?;
    let shown = show(&row, &call.scope)?;
    Ok(if is_new { Answer::created(shown) } else { Answer::ok(shown) })
}

/// Writes the assignment, and tells whether it is new.
async fn write(c: &mut Connection, row: RoleAssignmentRow) -> Result<(RoleAssignmentRow, bool), Failure> {
    if roles::insert_assignment(c, &row).await? {
        return Ok((row, true));
    }
    if let Some(own) = roles::find_assignment(c, row.id).await? {
        let is_same = own.scope == row.scope && own.principal_id == row.principal_id && own.role_id == row.role_id;
        if !is_same {
            let text =
                "Principal, role and scope of a role assignment cannot be changed. Delete it and make another one.";
            return Err(ArmError::new(Code::RoleAssignmentUpdateNotPermitted, text).into());
        }
        let changed = RoleAssignmentRow { created_at: own.created_at, created_by: own.created_by, ..row };
        let owned = OwnedScopes::read(c, OWNER).await?;
        roles::update_assignment(c, &changed).await?;
        require_owner_left(c, &owned).await?;
        return Ok((changed, false));
    }
    let other = roles::find_assignment_of(c, row.principal_id, &row.scope, row.role_id).await?;
    let id = other.map(|other| other.id.simple().to_string()).unwrap_or_default();
    let text = format!("The role assignment already exists. The ID of the existing role assignment is {id}.");
    Err(ArmError::new(Code::RoleAssignmentExists, text).into())
}

/// `DELETE …/roleAssignments/{name}`: 204 when there is none.
pub(super) async fn delete(cx: &Cx, call: &Call, name: &str) -> Result<Answer, Failure> {
    let found = match Uuid::try_parse(name) {
        Ok(id) => cx.database().read(move |c| Box::pin(roles::find_assignment(c, id))).await?,
        Err(_) => None,
    };
    let found = found.filter(|row| row.scope == call.scope);
    require_assign(cx, DELETE, &call.scope, None, found.as_ref()).await?;
    let Some(row) = found else { return Ok(Answer::no_content()) };
    let shown = show(&row, &call.scope)?;
    let id = id_at(&row.scope, ROLE_ASSIGNMENTS, row.id)?;
    let deleted = cx
        .database()
        .write_access(move |c| {
            Box::pin(async move {
                require_unlocked(c, &id, Change::Delete).await?;
                let owned = OwnedScopes::read(c, OWNER).await?;
                let deleted = roles::delete_assignment(c, row.id).await?;
                require_owner_left(c, &owned).await?;
                Ok::<_, Failure>(deleted)
            })
        })
        .await?;
    Ok(if deleted { Answer::ok(shown) } else { Answer::no_content() })
}

/// Refuses to have taken the last owner away of a subscription or of everything. `owned` is what had an owner before.
async fn require_owner_left(c: &mut Connection, owned: &OwnedScopes) -> Result<(), Failure> {
    let left = OwnedScopes::read(c, OWNER).await?;
    let Some(scope) = owned.lost_by(&left) else { return Ok(()) };
    let text = format!(
        "Cannot delete or limit the last RBAC admin assignment: nobody else who can sign in is Owner of '{scope}' \
         without a condition. Make somebody else Owner first."
    );
    Err(ArmError::new(Code::OperationNotAllowed, text).into())
}

/// Refuses the actor unless they may make, change or delete this assignment.
async fn require_assign(
    cx: &Cx,
    operation: &str,
    scope: &ResourceId,
    requested: Option<&RoleAssignmentRow>,
    existing: Option<&RoleAssignmentRow>,
) -> Result<(), Failure> {
    let Actor::Principal(actor) = &cx.actor else { return Ok(()) };
    let (requested, existing) = (requested.map(attributes), existing.map(attributes));
    if cx.identity().may_assign(actor, operation, scope, requested, existing).await? {
        return Ok(());
    }
    Err(ArmError::authorization_failed(&cx.actor.name(), &actor.id.to_string(), operation, scope).into())
}

fn new_row(cx: &Cx, call: &Call, id: Uuid, wanted: &Wanted, principal: Option<&PrincipalRow>) -> RoleAssignmentRow {
    let actor = cx.actor.principal().map_or_else(String::new, |principal| principal.id.to_string());
    let kind = principal.map(|row| row.kind.assignment_word());
    RoleAssignmentRow {
        id,
        scope: call.scope.clone(),
        principal_id: wanted.principal_id,
        principal_type: kind.or(wanted.principal_type).unwrap_or("Unknown").to_owned(),
        role_id: wanted.role_id,
        condition: wanted.condition.clone(),
        condition_version: wanted.condition.as_ref().map(|_| CONDITION_VERSION.to_owned()),
        description: wanted.description.clone(),
        created_at: cx.now,
        updated_at: cx.now,
        created_by: actor.clone(),
        updated_by: actor,
    }
}

fn require_type(wanted: &Wanted, principal: &PrincipalRow) -> Result<(), Failure> {
    let kind: PrincipalKind = principal.kind;
    match wanted.principal_type {
        Some(said) if said != kind.assignment_word() => {
            let text = format!(
                "The PrincipalId '{}' has type '{}', which is different from the specified PrincipalType '{said}'.",
                principal.id,
                kind.assignment_word()
            );
            Err(ArmError::new(Code::UnmatchedPrincipalType, text).into())
        }
        _ => Ok(()),
    }
}

/// In these words `az` recognises that the principal is not there yet.
fn principal_not_found(cx: &Cx, id: PrincipalId) -> ArmError {
    let tenant = cx.actor.principal().map(|actor| format!(" {}", actor.tenant_id)).unwrap_or_default();
    let text = format!(
        "Principal {} does not exist in the directory{tenant}. Check that you have the object id of a user, a group, a \
         service principal or a managed identity, and not the id of an application.",
        id.0.simple()
    );
    ArmError::new(Code::PrincipalNotFound, text)
}

fn not_found(name: &str) -> ArmError {
    ArmError::new(Code::RoleAssignmentNotFound, format!("The role assignment '{name}' is not found."))
}

const READ: &str = "Microsoft.Authorization/roleAssignments/read";
const WRITE: &str = "Microsoft.Authorization/roleAssignments/write";
const DELETE: &str = "Microsoft.Authorization/roleAssignments/delete";
/// Assignments on a page of a list.
const MOST_ROWS: i64 = 1000;
