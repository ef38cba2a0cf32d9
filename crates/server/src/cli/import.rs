//! `wharf import`: copies an artifact of another registry into one of ours.
//!
//! The import is the job that `importImage` enqueues. Where a server runs on the data directory it works the job off;
//! where none does, this process does, and holds the directory meanwhile as a server would.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wharf_jobs::{Runner, RunnerSettings};
use wharf_management::Actor;
use wharf_metadata::operations::{self, OperationRow, Status};
use wharf_model::{RegistryName, ResourceId};
use wharf_replication::import::{ImportProgress, UpstreamAddress};

use super::identity::read_secret;
use super::output::{Output, OutputFlag, bytes, counted, print, print_json};
use crate::app::App;
use crate::config::{Cidr, CommonFlags, Config};
use crate::data_dir::DirLock;
use crate::hosts::DEFAULT_REGISTRY;
use crate::upkeep::importer;

#[allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help of the command line")]
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// What is imported: [HOST[:PORT]/]REPOSITORY[:TAG|@DIGEST]; without a host, from Docker Hub
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Registry that it is imported into
    #[arg(long, short, value_name = "NAME", default_value = DEFAULT_REGISTRY, value_parser = RegistryName::parse_any_case)]
    registry: RegistryName,
    /// What it becomes, REPOSITORY[:TAG]; repeatable [default: as at the source]
    #[arg(long, short, value_name = "IMAGE")]
    target: Vec<String>,
    /// Repository that gets it without a tag; repeatable
    #[arg(long, value_name = "REPOSITORY")]
    untagged: Vec<String>,
    /// The source is in this registry of the installation; SOURCE then has no host
    #[arg(long, value_name = "NAME", value_parser = RegistryName::parse_any_case)]
    from: Option<RegistryName>,
    /// Move tags that are there
    #[arg(long)]
    force: bool,
    /// Leave signatures and whatever else refers to it behind
    #[arg(long)]
    without_referrers: bool,
    /// User name at the source
    #[arg(long, short, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Read the password at the source from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Internal range that the source may be in, if no server runs; repeatable
    #[arg(long, value_name = "CIDR", env = "WHARF_ALLOW_INTERNAL", value_delimiter = ',')]
    allow_internal: Vec<Cidr>,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

pub(super) async fn run(args: &ImportArgs, mut config: Config, app: &App) -> Result<ExitCode, anyhow::Error> {
    config.allow_internal.extend(&args.allow_internal);
    let body = args.body(app).await?;
    let registry = app.get_registry(&args.registry).await?.resource_id;
    // Before anything is enqueued: a server that starts meanwhile finds the directory taken, or the job.
    let alone = Alone::begin(app, &config)?;
    let ended = async { watch(app, begin(app, &registry, body).await?).await }.await;
    if let Some(alone) = alone {
        alone.end().await;
    }
    let ended = ended?;
    if ended.status != Status::Succeeded {
        let told = ended.error.as_ref().and_then(|error| error["message"].as_str());
        bail!("{}", told.unwrap_or("the import was called off"));
    }
    let done: ImportProgress = ended.result.map(serde_json::from_value).transpose()?.unwrap_or_default();
    match args.output.output {
        Output::Json => print_json(&done)?,
        Output::Table => print(&format!(
            "Imported {} into {}: {} and {} ({}, of which {} were fetched).\n",
            args.source,
            args.registry,
            counted(done.manifests, "manifest"),
            counted(done.total_blobs, "blob"),
            bytes(done.total_bytes),
            bytes(done.fetched_bytes),
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl ImportArgs {
    /// The body of `importImage`.
    async fn body(&self, app: &App) -> Result<Map<String, Value>, anyhow::Error> {
        let mut source = Map::new();
        if let Some(from) = &self.from {
            source.insert("resourceId".to_owned(), json!(app.get_registry(from).await?.resource_id.as_str()));
            source.insert("sourceImage".to_owned(), json!(self.source));
        } else {
            let (host, image) = split_host(&self.source)?;
            source.insert("registryUri".to_owned(), json!(host));
            source.insert("sourceImage".to_owned(), json!(image));
        }
        if self.password_stdin {
            let password = read_secret()?;
            let credentials = json!({"username": self.username, "password": password.expose_secret()});
            source.insert("credentials".to_owned(), credentials);
        }
        let mode = if self.force { "Force" } else { "NoForce" };
        let body = json!({
            "source": source,
            "targetTags": self.target,
            "untaggedTargetRepositories": self.untagged,
            "mode": mode,
            "includeReferrers": !self.without_referrers,
        });
        match body {
            Value::Object(body) => Ok(body),
            _ => Ok(Map::new()),
        }
    }
}

/// Takes the host off an image's name, by docker's rule: what stands before the first slash is a host if it has a dot or a
/// port, or is `localhost`. Without a host, Docker Hub is meant, and its library where the name has no slash.
fn split_host(image: &str) -> Result<(String, String), anyhow::Error> {
    if let Some((host, rest)) = image.split_once('/')
        && (host.contains(['.', ':']) || host == "localhost")
    {
        let address: UpstreamAddress = host.parse().with_context(|| format!("cannot import {image}"))?;
        return Ok((address.to_string(), rest.to_owned()));
    }
    Ok(("docker.io".to_owned(), image.to_owned()))
}

/// Enqueues the import. Returns its operation.
async fn begin(app: &App, registry: &ResourceId, body: Map<String, Value>) -> Result<Uuid, anyhow::Error> {
    let cx = app.management.cx(Actor::Operator);
    let answer = app.management.act(&cx, registry, "importImage", body).await?;
    let location = answer.location.unwrap_or_default();
    let id = location.split('?').next().and_then(|path| path.rsplit('/').next()).and_then(|id| id.parse().ok());
    id.context("the import has no operation")
}

/// Shows how far an import is until it has ended. With Ctrl-C it is called off.
async fn watch(app: &App, id: Uuid) -> Result<OperationRow, anyhow::Error> {
    let bar = progress_bar();
    let mut is_called_off = false;
    loop {
        let found = app.database.read(move |c| Box::pin(operations::find(c, id))).await?;
        let operation = found.context("the import is forgotten")?;
        if operation.status != Status::InProgress {
            bar.finish_and_clear();
            return Ok(operation);
        }
        if let Some(Ok(progress)) = operation.progress.map(serde_json::from_value::<ImportProgress>) {
            show(&bar, &progress);
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
            pressed = tokio::signal::ctrl_c() => {
                pressed.context("cannot wait for Ctrl-C")?;
                if is_called_off {
                    bail!("the import was called off and goes on to its end by itself");
                }
                is_called_off = true;
                bar.set_message("Calling off");
                if let Some(job) = operation.job {
                    let jobs = app.artifacts.jobs().clone();
                    app.database.write(move |c| Box::pin(async move { jobs.cancel(c, job).await })).await?;
                }
            }
        }
    }
}

/// This process as the one that works on the data directory.
struct Alone {
    runner: Runner,
    _lock: DirLock,
}

impl Alone {
    /// Takes the directory and begins to work off imports; `None` when a server has it.
    fn begin(app: &App, config: &Config) -> Result<Option<Self>, anyhow::Error> {
        let Ok(lock) = DirLock::take(&app.data) else { return Ok(None) };
        let settings = RunnerSettings { is_alone: !app.database.is_shared(), ..RunnerSettings::default() };
        let runner = app.artifacts.jobs().start(vec![std::sync::Arc::new(importer(app, config)?)], settings);
        Ok(Some(Self { runner, _lock: lock }))
    }

    async fn end(self) {
        self.runner.stop().await;
    }
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    let bar = ProgressBar::new(0).with_style(style).with_message("Waiting");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, progress: &ImportProgress) {
    bar.set_message(progress.step.clone());
    bar.set_length(progress.total_bytes);
    bar.set_position(progress.bytes);
}

/// How often it is looked how far an import is.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_repositories_as_docker_does() {
        for (image, host, rest) in [
            ("alpine:3.20", "docker.io", "alpine:3.20"),
            ("team/app", "docker.io", "team/app"),
            ("localhost/app", "localhost", "app"),
            ("localhost:5000/team/app:v1", "localhost:5000", "team/app:v1"),
            ("registry.example.com/a/b@sha256:00", "registry.example.com", "a/b@sha256:00"),
        ] {
            assert_eq!(split_host(image).unwrap(), (host.to_owned(), rest.to_owned()), "{image}");
        }
        assert!(split_host("bad host.example/a").is_err());
    }
}
