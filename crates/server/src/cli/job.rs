//! `wharf job`: what the server does that somebody asked for and that takes a while.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use wharf_jobs::{Filter, JobId, JobRow, State};
use wharf_metadata::registries;
use wharf_model::{RegistryId, RegistryName};

use super::output::{Output, OutputFlag, print, print_json, print_table};
use crate::app::App;
use crate::config::CommonFlags;

#[derive(Debug, Args)]
pub(super) struct JobArgs {
    #[command(subcommand)]
    pub(super) command: JobCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// List jobs, the newest first
    #[command(after_help = "Examples:\n  \
        wharf job list\n  \
        wharf job list --state failed --limit 10\n  \
        wharf job list --kind import --registry contoso --output json\n\
        \n\
        Jobs that have ended are shown for a week.")]
    List(ListArgs),
    /// Show one job
    #[command(after_help = "Examples:\n  \
        wharf job show 0d6f1a34-9d0c-4f6e-8f53-0a4a3c1f4a52\n  \
        wharf job show 0d6f1a34-9d0c-4f6e-8f53-0a4a3c1f4a52 --output json")]
    Show(ShowArgs),
    /// Call a job off
    #[command(after_help = "Examples:\n  \
        wharf job cancel 0d6f1a34-9d0c-4f6e-8f53-0a4a3c1f4a52\n\
        \n\
        The server that runs it stops it within seconds; what was done stays done. A server must be running.")]
    Cancel(CancelArgs),
}

impl JobCommand {
    pub(super) fn common(&self) -> &CommonFlags {
        match self {
            Self::List(args) => &args.common,
            Self::Show(args) => &args.common,
            Self::Cancel(args) => &args.common,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this state: pending, running, succeeded, failed or canceled
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Option<State>,
    /// Only those of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only those of this registry
    #[arg(long, short, value_name = "NAME", value_parser = RegistryName::parse_any_case)]
    registry: Option<RegistryName>,
    /// How many to list
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Id of the job
    #[arg(value_name = "ID")]
    id: JobId,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// Id of the job
    #[arg(value_name = "ID")]
    id: JobId,
    #[command(flatten)]
    common: CommonFlags,
}

fn parse_state(word: &str) -> Result<State, String> {
    let found = State::EVERY.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(word));
    found.ok_or_else(|| "expected pending, running, succeeded, failed or canceled".to_owned())
}

/// A job as shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    kind: String,
    state: &'static str,
    registry: Option<String>,
    key: Option<String>,
    attempts: i64,
    created_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    /// From when on the next attempt is made.
    next_attempt_at: Option<String>,
    is_canceling: bool,
    payload: Value,
    progress: Option<Value>,
    result: Option<Value>,
    error: Option<Value>,
}

impl Shown {
    fn of(job: JobRow, names: &HashMap<RegistryId, String>) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind,
            state: job.state.as_str(),
            registry: job.registry.and_then(|id| names.get(&id).cloned()),
            key: job.key,
            attempts: job.attempts,
            created_at: job.created_at.to_string(),
            started_at: job.started_at.map(|at| at.to_string()),
            ended_at: job.ended_at.map(|at| at.to_string()),
            next_attempt_at: (job.state == State::Pending).then(|| job.due_at.to_string()),
            is_canceling: job.cancel_requested_at.is_some() && job.ended_at.is_none(),
            payload: job.payload,
            progress: job.progress,
            result: job.result,
            error: job.error,
        }
    }

    /// What matters most about it, in a line.
    fn remark(&self) -> String {
        if self.is_canceling {
            return "is being called off".to_owned();
        }
        let error = self.error.as_ref().and_then(|error| error["message"].as_str());
        match (error, &self.result, &self.progress) {
            (Some(error), _, _) => error.to_owned(),
            (None, Some(result), _) if !result.is_null() => result.to_string(),
            (None, _, Some(progress)) => progress.to_string(),
            _ => String::new(),
        }
    }
}

pub(super) async fn run(command: &JobCommand, app: &App) -> Result<ExitCode, anyhow::Error> {
    match command {
        JobCommand::List(args) => list(args, app).await?,
        JobCommand::Show(args) => show(args, app).await?,
        JobCommand::Cancel(args) => cancel(args, app).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ListArgs, app: &App) -> Result<(), anyhow::Error> {
    let registry = match &args.registry {
        None => None,
        Some(name) => {
            let found = app.artifacts.find_registry(name).await?;
            Some(found.with_context(|| format!("there is no registry {name}; `wharf registry list` shows all"))?.id)
        }
    };
    let filter = Filter { kind: args.kind.clone(), state: args.state, registry };
    let jobs = app.artifacts.jobs().list(&filter, None, i64::from(args.limit)).await?;
    let names = registry_names(app, &jobs).await?;
    let shown: Vec<Shown> = jobs.into_iter().map(|job| Shown::of(job, &names)).collect();
    match args.output.output {
        Output::Json => print_json(&shown),
        Output::Table => {
            let rows = shown.iter().map(|job| {
                let registry = job.registry.clone().unwrap_or_default();
                vec![
                    job.id.clone(),
                    job.kind.clone(),
                    job.state.to_owned(),
                    registry,
                    seconds(&job.created_at),
                    shortened(&job.remark()),
                ]
            });
            print_table(&["ID", "KIND", "STATE", "REGISTRY", "CREATED", "REMARK"], rows)
        }
    }
}

async fn show(args: &ShowArgs, app: &App) -> Result<(), anyhow::Error> {
    let Some(job) = app.artifacts.jobs().find(args.id).await? else { bail!(not_there(args.id)) };
    let names = registry_names(app, std::slice::from_ref(&job)).await?;
    let shown = Shown::of(job, &names);
    match args.output.output {
        Output::Json => print_json(&shown),
        Output::Table => {
            let json = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
            let cells = [
                ("id", shown.id.clone()),
                ("kind", shown.kind.clone()),
                ("state", format!("{}{}", shown.state, if shown.is_canceling { ", being called off" } else { "" })),
                ("registry", shown.registry.clone().unwrap_or_default()),
                ("attempts", shown.attempts.to_string()),
                ("created", shown.created_at.clone()),
                ("started", shown.started_at.clone().unwrap_or_default()),
                ("ended", shown.ended_at.clone().unwrap_or_default()),
                ("next attempt", shown.next_attempt_at.clone().unwrap_or_default()),
                ("payload", shown.payload.to_string()),
                ("progress", json(&shown.progress)),
                ("result", json(&shown.result)),
                ("error", json(&shown.error)),
            ];
            let rows = cells.into_iter().filter(|(_, value)| !value.is_empty());
            print_table(&["WHAT", "VALUE"], rows.map(|(what, value)| vec![what.to_owned(), value]))
        }
    }
}

async fn cancel(args: &CancelArgs, app: &App) -> Result<(), anyhow::Error> {
    let (jobs, id) = (app.artifacts.jobs().clone(), args.id);
    let is_open = app.database.write(move |c| Box::pin(async move { jobs.cancel(c, id).await })).await?;
    if is_open {
        return print(&format!("Job {id} is being called off; `wharf job show {id}` shows how it ended\n"));
    }
    match app.artifacts.jobs().find(id).await? {
        Some(job) => bail!("job {id} has ended: it is {}", job.state.as_str()),
        None => bail!(not_there(id)),
    }
}

fn not_there(id: JobId) -> String {
    format!("there is no job {id}; those that ended are forgotten after a week, and `wharf job list` shows the others")
}

async fn registry_names(app: &App, jobs: &[JobRow]) -> Result<HashMap<RegistryId, String>, anyhow::Error> {
    let mut names = HashMap::new();
    for id in jobs.iter().filter_map(|job| job.registry) {
        if !names.contains_key(&id)
            && let Some(registry) = app.database.read(|c| Box::pin(registries::find(c, id))).await?
        {
            names.insert(id, registry.name.to_string());
        }
    }
    Ok(names)
}

/// A time without its fraction.
fn seconds(time: &str) -> String {
    time.split('.').next().map(|text| format!("{text}Z")).unwrap_or_default()
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;
    use wharf_model::Timestamp;

    use super::*;

    fn job(state: State) -> JobRow {
        JobRow {
            id: JobId(Uuid::nil()),
            kind: "import".into(),
            key: None,
            registry: Some(RegistryId(1)),
            state,
            payload: json!({ "source": "a" }),
            checkpoint: None,
            progress: Some(json!({ "bytes": 5 })),
            result: None,
            error: None,
            attempts: 1,
            lease_number: 1,
            due_at: Timestamp(0),
            created_at: Timestamp(0),
            started_at: None,
            ended_at: None,
            cancel_requested_at: None,
        }
    }

    #[test]
    fn a_job_is_summed_up_by_what_matters_most() {
        let names = HashMap::from([(RegistryId(1), "contoso".to_owned())]);
        let remark = |job: JobRow| Shown::of(job, &names).remark();
        assert_eq!(remark(job(State::Running)), r#"{"bytes":5}"#);
        let failed = JobRow { error: Some(json!({ "message": "no route" })), ..job(State::Failed) };
        assert_eq!(remark(failed), "no route");
        let done = JobRow { result: Some(json!({ "copied": 3 })), ..job(State::Succeeded) };
        assert_eq!(remark(done), r#"{"copied":3}"#);
        let canceling = JobRow { cancel_requested_at: Some(Timestamp(1)), ..job(State::Running) };
        assert_eq!(remark(canceling), "is being called off");
        let shown = Shown::of(job(State::Pending), &names);
        assert_eq!((shown.registry.as_deref(), shown.next_attempt_at.is_some()), (Some("contoso"), true));
        assert_eq!(seconds(&Timestamp(1_790_000_000_123_456).to_string()), "2026-09-21T14:13:20Z");
    }

    #[test]
    fn long_remarks_are_cut() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(100)).chars().count(), 81);
    }
}
