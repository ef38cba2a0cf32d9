//! What the caller may do, and the lists of what does not exist here.

use serde_json::{Value, json};
use wharf_arm::ArmError;

use super::scope;
use crate::answer::Answer;
use crate::cx::{Actor, Cx};
use crate::failure::Failure;
use crate::service::Call;

/// `GET …/permissions`: the permissions of all roles that the caller has at the scope. Asking for one's own takes no
/// right.
pub(super) async fn list(cx: &Cx, call: &Call) -> Result<Answer, Failure> {
    let Actor::Principal(principal) = &cx.actor else {
        let everything = json!({"actions": ["*"], "notActions": [], "dataActions": ["*"], "notDataActions": []});
        return Ok(Answer::list(vec![everything]));
    };
    let roles = cx.identity().list_roles(principal, &call.scope).await?;
    let permissions = roles.iter().flat_map(|role| &role.permissions).map(|permission| json!(permission));
    Ok(Answer::list(permissions.collect()))
}

/// `GET …/denyAssignments` and `…/classicAdministrators`: there are none.
pub(super) async fn list_nothing(cx: &Cx, call: &Call) -> Result<Answer, Failure> {
    cx.require(&format!("Microsoft.Authorization/{}/read", call.word), &call.scope).await?;
    scope::require_there(cx, &call.scope).await?;
    Ok(Answer::list(Vec::<Value>::new()))
}

/// `GET …/denyAssignments/{name}`: there is none.
pub(super) async fn get_deny_assignment(cx: &Cx, call: &Call, name: &str) -> Result<Answer, Failure> {
    cx.require(&format!("Microsoft.Authorization/{}/read", call.word), &call.scope).await?;
    let text = format!("The deny assignment '{name}' was not found.");
    Err(ArmError::new(wharf_arm::Code::NotFound, text).into())
}
