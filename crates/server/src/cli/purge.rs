//! `wharf purge`: removes what is old from a registry, with the flags and the output of `acr purge`.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::Context as _;
use async_trait::async_trait;
use clap::Args;
use indicatif::ProgressBar;
use wharf_model::RegistryName;
use wharf_registry::{
    Age, PurgeEvent, PurgeReport, PurgeSpec, PurgeState, PurgeStopped, PurgeWatch, Purged, Skipped, SpecError, Untagged,
};

use super::backup::progress_bar;
use super::output::{Output, OutputFlag, counted, print, print_json};
use crate::app::App;
use crate::config::CommonFlags;
use crate::hosts::DEFAULT_REGISTRY;

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    /// Registry whose content is purged
    #[arg(long, short, value_name = "NAME", default_value = DEFAULT_REGISTRY, value_parser = RegistryName::parse_any_case)]
    registry: RegistryName,
    /// Which repositories and tags: two regular expressions with a colon between; the first matches a whole name, the
    /// second any part of a tag. May be repeated
    #[arg(long = "filter", short, value_name = "REPOSITORY:TAG")]
    filters: Vec<String>,
    /// Only what was last pushed or tagged so long ago, such as 7d or 2d3h6m
    #[arg(long, value_name = "AGE")]
    ago: Option<Age>,
    /// Only what was neither pulled nor pushed for so long
    #[arg(long, value_name = "AGE")]
    last_pulled: Option<Age>,
    /// Spare the newest of what would be removed: so many tags, and so many manifests, of each repository
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    keep: u64,
    /// Also remove the manifests that have no tag then, or had none before
    #[arg(long, conflicts_with = "untagged_only")]
    untagged: bool,
    /// Remove manifests without a tag, and no tags; of a filter, only the repository counts
    #[arg(long)]
    untagged_only: bool,
    /// Tell what would be removed, and leave it
    #[arg(long)]
    dry_run: bool,
    /// Unlock what a lock of its own keeps, and remove it
    #[arg(long)]
    include_locked: bool,
    /// Only manifests of this media type or artifact type, or tags of such; may end in * and be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// How long matching a page of names with the filters may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    filter_timeout_seconds: u64,
    /// Also tell what was looked at and left
    #[arg(long)]
    verbose: bool,
    /// Accepted for the sake of acr purge: here, one transaction removes many
    #[arg(long, value_name = "COUNT", hide = true)]
    concurrency: Option<i64>,
    /// Accepted for the sake of acr purge: pages are read from the database
    #[arg(long, value_name = "COUNT", hide = true)]
    repository_page_size: Option<i64>,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

impl PurgeArgs {
    /// What is to be removed.
    ///
    /// # Errors
    /// When it cannot be carried out.
    pub(super) fn spec(&self) -> Result<PurgeSpec, anyhow::Error> {
        let spec = PurgeSpec {
            filters: self.filters.clone(),
            ago: self.ago,
            last_pulled: self.last_pulled,
            keep: self.keep,
            untagged: match (self.untagged, self.untagged_only) {
                (_, true) => Untagged::Only,
                (true, false) => Untagged::Too,
                (false, false) => Untagged::Stay,
            },
            include_locked: self.include_locked,
            types: self.types.clone(),
            filter_timeout_seconds: self.filter_timeout_seconds,
        };
        match spec.check() {
            Ok(()) => Ok(spec),
            Err(error) => {
                let flag = match error {
                    SpecError::AgeMissing => "--ago or --last-pulled is needed, unless with --untagged-only",
                    SpecError::FiltersMissing => "--filter is needed, unless with --untagged-only",
                    SpecError::Type(_) | SpecError::TooManyTypes(_) => "--type cannot be used",
                    SpecError::Filter(_) | SpecError::TooLong(_) => "--filter cannot be used",
                };
                Err(anyhow::Error::new(error).context(flag))
            }
        }
    }
}

pub(super) async fn run(args: &PurgeArgs, spec: &PurgeSpec, app: &App) -> Result<ExitCode, anyhow::Error> {
    let registry = app.get_registry(&args.registry).await?;
    let shows_items = args.output.output == Output::Table;
    let mut printer = Printer {
        host: app.hosts.login_server(&registry),
        dry_run: args.dry_run,
        verbose: args.verbose,
        shows_items,
        bar: progress_bar(),
        text: String::new(),
        failed: None,
    };
    if shows_items && args.dry_run {
        print(
            "DRY RUN: The following output shows what WOULD be deleted if the purge command was executed. Nothing is deleted.\n",
        )?;
    }
    let state = PurgeState::begin(app.clock.now(), args.dry_run);
    let done = app.artifacts.purge(&registry, spec, "operator", state, &mut printer).await;
    printer.flush();
    printer.bar.finish_and_clear();
    if let Some(error) = printer.failed {
        return Err(error);
    }
    let report = done.with_context(|| format!("cannot purge the registry {}", registry.name))?.report;
    match args.output.output {
        Output::Json => print_json(&report)?,
        Output::Table => print(&summary(&report))?,
    }
    for note in notes(&report, args) {
        eprintln!("{note}");
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(report: &PurgeReport) -> String {
    let (tags, manifests) = (report.deleted_tags, report.deleted_manifests);
    if report.dry_run {
        format!("\nNumber of tags to be deleted: {tags}\nNumber of manifests to be deleted: {manifests}\n")
    } else {
        format!("\nNumber of deleted tags: {tags}\nNumber of deleted manifests: {manifests}\n")
    }
}

/// What acr purge would not say.
fn notes(report: &PurgeReport, args: &PurgeArgs) -> Vec<String> {
    let mut notes = Vec::new();
    let skipped = &report.skipped;
    if skipped.locked > 0 {
        let hint = if args.include_locked { "" } else { "; --include-locked unlocks and removes them" };
        notes.push(format!("Skipped {} that locks keep{hint}.", things(skipped.locked)));
    }
    if skipped.locked_repositories > 0 {
        let noun = if skipped.locked_repositories == 1 { "repository that is" } else { "repositories that are" };
        notes.push(format!("Skipped {} {noun} locked as a whole.", skipped.locked_repositories));
    }
    if skipped.changed > 0 {
        notes.push(format!("Skipped {} that somebody changed or used meanwhile.", things(skipped.changed)));
    }
    if report.repositories == 0 {
        notes.push("No repository matches the filters.".to_owned());
    }
    notes
}

fn things(count: u64) -> String {
    if count == 1 { "1 tag or manifest".to_owned() } else { format!("{count} tags and manifests") }
}

/// Prints what happens, as acr purge does.
struct Printer {
    host: String,
    dry_run: bool,
    verbose: bool,
    shows_items: bool,
    bar: ProgressBar,
    /// What is still to be printed: a line at a time would be slow.
    text: String,
    /// Why nothing more can be printed.
    failed: Option<anyhow::Error>,
}

impl Printer {
    fn line(&mut self, line: &str) {
        if self.shows_items {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return;
        }
        // The bar would be drawn into the lines.
        let printed = if io::stdout().is_terminal() { self.bar.suspend(|| print(&text)) } else { print(&text) };
        if let Err(error) = printed {
            self.failed = Some(error);
        }
    }

    fn tell(&mut self, event: PurgeEvent<'_>) {
        match event {
            PurgeEvent::Begins { repository, what } => {
                let what = if what == Purged::Tags { "tags" } else { "manifests" };
                let verb = if self.dry_run { "Would delete" } else { "Deleting" };
                self.line(&format!("{verb} {what} for repository: {repository}"));
            }
            PurgeEvent::RepositoryLocked { repository } => {
                self.line(&format!("Skipped {}/{repository}, operation not allowed: it is locked", self.host));
            }
            PurgeEvent::Removed { repository, item, .. } if self.dry_run => {
                self.line(&format!("Would delete: {}/{repository}{item}", self.host));
            }
            PurgeEvent::Removed { repository, item, was_locked } => {
                if was_locked {
                    self.line(&format!("Unlocked {}/{repository}{item}", self.host));
                }
                self.line(&format!("Deleted {}/{repository}{item}", self.host));
            }
            // What is locked does not even count as old, for acr purge; it says nothing of it.
            PurgeEvent::Skipped { reason: Skipped::Locked, .. } if !self.verbose => {}
            PurgeEvent::Skipped { repository, item, reason } => {
                self.line(&format!("Skipped {}/{repository}{item}: {reason}", self.host));
            }
            PurgeEvent::Kept(state) => {
                let report = &state.report;
                self.bar.set_message(format!(
                    "{}, {}",
                    counted(report.deleted_tags, "tag"),
                    counted(report.deleted_manifests, "manifest")
                ));
                self.flush();
            }
        }
    }
}

#[async_trait]
impl PurgeWatch for Printer {
    async fn told(&mut self, event: PurgeEvent<'_>) -> Result<(), PurgeStopped> {
        self.tell(event);
        if self.failed.is_some() { Err(PurgeStopped) } else { Ok(()) }
    }
}
