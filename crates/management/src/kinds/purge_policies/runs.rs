//! Runs of a policy: starting one, calling it off, showing them.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_arm::{ArmError, Code, Members};
use wharf_jobs::JobId;
use wharf_metadata::purge::{self, PurgeRunRow};
use wharf_metadata::{Connection, operations};

use crate::answer::Answer;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::kind::{ActionCall, Resource};
use crate::operations::result_path;

/// Begins a run: 202, and what is polled answers with the report at the end.
pub(super) async fn start(cx: &Cx, call: &ActionCall) -> Result<Answer, Failure> {
    let resource = call.resource()?.clone();
    let is_dry_run = Members::of(&call.body).boolean("dryRun")?.unwrap_or(false);
    let (artifacts, operation, now) = (cx.artifacts().clone(), Uuid::new_v4(), cx.now);
    let id = resource.id.clone();
    let write = cx.database().write(move |c| {
        Box::pin(async move {
            let found = purge::find_policy(c, resource.id.key()).await?;
            let policy = found.ok_or_else(|| ArmError::resource_not_found(&resource.id))?;
            operations::insert(c, operation, &resource.id, now).await?;
            let started = artifacts.start_purge(c, &policy, is_dry_run, Some(operation)).await?;
            if !started.is_new {
                let text = format!(
                    "The purge policy '{}' is running: run {}. Wait for its end, or call it off, and try again.",
                    policy.name, started.id
                );
                return Err(ArmError::new(Code::Conflict, text).into());
            }
            operations::attach_job(c, operation, JobId(started.id)).await?;
            Ok::<_, Failure>(())
        })
    });
    write.await?;
    Ok(Answer { location: Some(result_path(&id, operation)), ..Answer::of(StatusCode::ACCEPTED, None) })
}

/// Calls off the run that is under way: 202, or 204 when none is.
pub(super) async fn call_off(cx: &Cx, resource: &Resource) -> Result<Answer, Failure> {
    let (this, resource) = (cx.clone(), resource.clone());
    let write = cx.database().write(move |c| Box::pin(async move { cancel(c, &this, &resource).await }));
    Ok(if write.await? { Answer::of(StatusCode::ACCEPTED, None) } else { Answer::no_content() })
}

/// Calls off the run of a policy that is under way, if one is.
pub(super) async fn cancel(c: &mut Connection, cx: &Cx, resource: &Resource) -> Result<bool, Failure> {
    let newest = purge::list_runs(c, resource.id.key(), 1).await?.pop();
    match newest.filter(|run| run.ended_at.is_none()) {
        Some(run) => Ok(cx.artifacts().jobs().cancel(c, JobId(run.id)).await?),
        None => Ok(false),
    }
}

/// The newest runs, or the one that the path names, with its report.
pub(super) async fn show(cx: &Cx, call: &ActionCall) -> Result<Answer, Failure> {
    let key = call.resource()?.id.key().to_owned();
    let Some(name) = &call.tail else {
        let read = cx
            .database()
            .read(move |c| Box::pin(async move { Ok::<_, Failure>(purge::list_runs(c, &key, MOST_SHOWN).await?) }));
        return Ok(Answer::list(read.await?.iter().map(describe).collect()));
    };
    let unknown = || {
        let text = format!("There is no run '{name}' of this policy; the newest 100 are remembered.");
        ArmError::new(Code::NotFound, text)
    };
    let id: Uuid = name.parse().map_err(|_| unknown())?;
    let read = cx.database().read(move |c| Box::pin(async move { Ok::<_, Failure>(purge::find_run(c, id).await?) }));
    let run = read.await?.filter(|run| run.resource_key == key).ok_or_else(unknown)?;
    let mut shown = describe(&run);
    if let Some(report) = run.report {
        shown["report"] = report;
    }
    Ok(Answer::ok(shown))
}

/// Shows the newest run of each policy, and when each runs next.
pub(super) async fn render(c: &mut Connection, page: &mut [Resource]) -> Result<(), Failure> {
    let keys: Vec<&str> = page.iter().map(|resource| resource.id.key()).collect();
    let runs = purge::list_last_runs(c, &keys).await?;
    let runs: HashMap<String, Value> = runs.iter().map(|run| (run.resource_key.clone(), describe(run))).collect();
    let times: HashMap<_, _> = purge::list_next_runs(c, &keys).await?.into_iter().collect();
    for resource in page {
        let key = resource.id.key().to_owned();
        if let Some(run) = runs.get(&key) {
            resource.properties.insert("lastRun".to_owned(), run.clone());
        }
        if let Some(time) = times.get(&key) {
            resource.properties.insert("nextRunTime".to_owned(), json!(time.to_string()));
        }
    }
    Ok(())
}

fn describe(run: &PurgeRunRow) -> Value {
    let mut shown = Map::new();
    shown.insert("name".to_owned(), json!(run.id));
    shown.insert("status".to_owned(), json!(run.status));
    shown.insert("startTime".to_owned(), json!(run.started_at.to_string()));
    if let Some(ended) = run.ended_at {
        shown.insert("endTime".to_owned(), json!(ended.to_string()));
    }
    shown.insert("dryRun".to_owned(), json!(run.is_dry_run));
    shown.extend(run.totals.as_object().cloned().unwrap_or_default());
    if let Some(error) = &run.error {
        shown.insert("error".to_owned(), json!(error));
    }
    Value::Object(shown)
}

/// How a run goes.
pub(super) const STATUSES: &[&str] = &["Pending", "Running", "Succeeded", "Failed", "Canceled"];

/// How many runs are listed: as many as are remembered.
const MOST_SHOWN: i64 = 100;
