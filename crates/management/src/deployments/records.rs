//! What is kept of deployments: shown, listed, deleted; and runs that were stopped, or that nobody runs any more.

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::{ArmError, Code, Filter};
use wharf_metadata::deployments::{self, DeploymentRow, State};
use wharf_model::ResourceId;

use super::{is_subscription, operation, show};
use crate::answer::Answer;
use crate::cx::{Actor, Cx};
use crate::failure::Failure;
use crate::locks::{self, Change};
use crate::management::Management;
use crate::query::Query;
use crate::resources::{PageQuery, next_link};
use crate::service::Call;

/// `GET …/deployments/{name}`.
pub(super) async fn get(cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
    cx.require(&operation("read"), id).await?;
    Ok(Answer::ok(show::deployment(&find(cx, id).await?)))
}

/// `HEAD …/deployments/{name}`.
pub(super) async fn head(cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
    cx.require(&operation("read"), id).await?;
    find(cx, id).await?;
    Ok(Answer::no_content())
}

/// `GET …/deployments`, with `$top` and `$filter=provisioningState eq 'Failed'`.
pub(super) async fn list(cx: &Cx, call: &Call) -> Result<Answer, Failure> {
    let scope = call.scope.clone();
    cx.require(&operation("read"), &scope).await?;
    require_there(cx, &scope).await?;
    let state = call.query.filter().map(state_of).transpose()?;
    let mut page = PageQuery::of(&call.query)?;
    page.top = page.top.min(PAGE_ITEMS);
    let (limit, after) = (i64::try_from(page.top).unwrap_or(PAGE_ITEMS as i64), page.after);
    let within = scope.clone();
    let rows = cx
        .database()
        .read(move |c| Box::pin(async move { deployments::list(c, &within, state, &after, limit).await }))
        .await?;
    let last = rows.last().filter(|_| rows.len() == page.top).map(|row| row.id.key().to_owned());
    let mut shown = Vec::with_capacity(rows.len());
    for row in rows {
        shown.push(show::deployment(&settle(cx, row).await?));
    }
    let mut body = json!({"value": shown});
    if let (Some(last), Some(context)) = (last, &cx.request) {
        let path = format!("{}/providers/{}/", scope.as_str(), show::TYPE);
        body["nextLink"] = json!(next_link(context, &path, &call.query, &last));
    }
    Ok(Answer::ok(body))
}

fn state_of(filter: &str) -> Result<State, ArmError> {
    let parsed = Filter::parse(filter)?;
    parsed.required("provisioningState").and_then(|word| word.parse().ok()).ok_or_else(|| {
        let text = "Deployments can be filtered by their state only: provisioningState eq 'Failed'.";
        ArmError::new(Code::InvalidFilterInQueryString, text)
    })
}

/// `DELETE …/deployments/{name}`: forgets it. What it deployed stays.
pub(super) async fn delete(cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
    cx.require(&operation("delete"), id).await?;
    if let Some(row) = look(cx, id).await?
        && row.state == State::Running
    {
        return Err(active(&row).into());
    }
    let id = id.clone();
    let remove = cx.management.transact(false, move |c| {
        Box::pin(async move {
            locks::require_unlocked(c, &id, Change::Delete).await?;
            Ok(deployments::delete(c, &id).await?)
        })
    });
    remove.await?;
    Ok(Answer::no_content())
}

/// `POST …/cancel`: stops it before its next resource.
pub(super) async fn cancel(cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
    cx.require(&operation("cancel/action"), id).await?;
    let row = find(cx, id).await?;
    if row.state == State::Running && end(cx, &row, State::Canceled, row.shown.clone()).await? {
        return Ok(Answer::no_content());
    }
    let text = format!(
        "The deployment '{}' cannot be cancelled because it is in state '{}'.",
        id.name().unwrap_or_default(),
        look(cx, id).await?.map_or("deleted", |row| row.state.as_str())
    );
    Err(ArmError::new(Code::DeploymentCannotBeCancelled, text).into())
}

/// `POST …/exportTemplate`.
pub(super) async fn export_template(cx: &Cx, id: &ResourceId) -> Result<Answer, Failure> {
    cx.require(&operation("exportTemplate/action"), id).await?;
    find(cx, id).await?;
    let wanted = id.clone();
    let template =
        cx.database().read(move |c| Box::pin(async move { deployments::find_template(c, &wanted).await })).await?;
    Ok(Answer::ok(json!({"template": template.ok_or_else(|| missing(id))?})))
}

/// `GET …/operations`.
pub(super) async fn list_operations(cx: &Cx, id: &ResourceId, query: &Query) -> Result<Answer, Failure> {
    cx.require(&operation("operations/read"), id).await?;
    let top = PageQuery::of(query)?.top;
    let shown = operations(cx, id).await?;
    Ok(Answer::list(shown.into_iter().take(top).map(|(_, shown)| shown).collect()))
}

/// `GET …/operations/{id}`.
pub(super) async fn get_operation(cx: &Cx, id: &ResourceId, wanted: &str) -> Result<Answer, Failure> {
    cx.require(&operation("operations/read"), id).await?;
    let found = operations(cx, id).await?.into_iter().find(|(operation, _)| operation.eq_ignore_ascii_case(wanted));
    let (_, shown) = found.ok_or_else(|| {
        let shown: String = wanted.chars().take(60).collect();
        let text = format!("The deployment '{}' has no operation '{shown}'.", id.name().unwrap_or_default());
        ArmError::new(Code::NotFound, text)
    })?;
    Ok(Answer::ok(shown))
}

async fn operations(cx: &Cx, id: &ResourceId) -> Result<Vec<(String, Value)>, Failure> {
    let row = find(cx, id).await?.row;
    let rows = cx.database().read(move |c| Box::pin(deployments::list_operations(c, row))).await?;
    Ok(rows.into_iter().map(|row| (row.operation_id.clone(), show::operation(id, &row))).collect())
}

/// `GET …/operationStatuses/{run}`: what is polled while it goes on.
pub(super) async fn get_status(cx: &Cx, id: &ResourceId, run: &str) -> Result<Answer, Failure> {
    cx.require(&operation("operationstatuses/read"), id).await?;
    let row = find(cx, id).await?;
    if run.parse::<Uuid>().ok() != Some(row.run_id) {
        let text =
            format!("'{}' was deployed again since; look at the deployment itself.", id.name().unwrap_or_default());
        return Err(ArmError::new(Code::NotFound, text).into());
    }
    Ok(Answer::ok(show::status(&row)))
}

/// Ends the runs that nobody runs any more. Upkeep.
///
/// # Errors
/// When the database fails.
pub(crate) async fn recover(management: &Management) -> Result<(), Failure> {
    let cx = management.cx(Actor::Operator);
    let now = cx.now;
    let abandoned = cx.database().read(move |c| Box::pin(deployments::list_abandoned(c, now, 100))).await?;
    for row in abandoned {
        settle(&cx, row).await?;
    }
    Ok(())
}

/// The deployment as it is, if there is one.
pub(super) async fn look(cx: &Cx, id: &ResourceId) -> Result<Option<DeploymentRow>, Failure> {
    let wanted = id.clone();
    let found = cx.database().read(move |c| Box::pin(async move { deployments::find(c, &wanted).await })).await?;
    match found {
        Some(row) => settle(cx, row).await.map(Some),
        None => Ok(None),
    }
}

async fn find(cx: &Cx, id: &ResourceId) -> Result<DeploymentRow, Failure> {
    if let Some(row) = look(cx, id).await? {
        return Ok(row);
    }
    require_there(cx, &id.parent().unwrap_or_else(ResourceId::root)).await?;
    Err(missing(id).into())
}

/// A run whose lease is over ended with the process that ran it: says so.
async fn settle(cx: &Cx, row: DeploymentRow) -> Result<DeploymentRow, Failure> {
    if row.state != State::Running || row.lease_until >= cx.now {
        return Ok(row);
    }
    let text = "The server stopped while the deployment was running. What was deployed until then stays; deploy again to go on.";
    let error = ArmError::new(Code::DeploymentFailed, text).with_target(row.id.to_string());
    let mut shown = row.shown.clone();
    shown.insert("error".to_owned(), error.to_value());
    end(cx, &row, State::Failed, shown).await?;
    let id = row.id.clone();
    let found = cx.database().read(move |c| Box::pin(async move { deployments::find(c, &id).await })).await?;
    Ok(found.unwrap_or(row))
}

async fn end(cx: &Cx, row: &DeploymentRow, state: State, shown: Map<String, Value>) -> Result<bool, Failure> {
    let (id, run_id, now) = (row.row, row.run_id, cx.now);
    Ok(cx
        .database()
        .write(move |c| Box::pin(async move { deployments::end(c, id, run_id, state, &shown, now).await }))
        .await?)
}

/// Refuses groups that are not there.
async fn require_there(cx: &Cx, scope: &ResourceId) -> Result<(), Failure> {
    if is_subscription(scope) {
        return Ok(());
    }
    let wanted = scope.clone();
    let found =
        cx.database().read(move |c| Box::pin(async move { wharf_metadata::resources::find(c, &wanted).await })).await?;
    match found {
        Some(_) => Ok(()),
        None => Err(ArmError::group_not_found(scope.name().unwrap_or_default()).into()),
    }
}

pub(super) fn active(row: &DeploymentRow) -> ArmError {
    let text = format!(
        "The deployment with resource id '{}' cannot be saved or deleted, because it is still active; wait for its end or cancel it.",
        row.id
    );
    ArmError::new(Code::DeploymentActive, text)
}

fn missing(id: &ResourceId) -> ArmError {
    let text = format!("Deployment '{}' could not be found.", id.name().unwrap_or_default());
    ArmError::new(Code::DeploymentNotFound, text)
}

/// How many deployments stand on a page: each may be long.
const PAGE_ITEMS: usize = 100;
