//! `wharf backup`: a consistent copy, also while the server runs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::output::{Output, OutputFlag, bytes, counted, print, print_json};
use crate::app::App;
use crate::backup::{Saved, save};
use crate::config::CommonFlags;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Where the copy goes: a tar file if the name ends in .tar, else a directory; neither may exist yet
    #[arg(value_name = "FILE|DIR")]
    target: PathBuf,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

pub(super) async fn run(args: &BackupArgs, app: &App) -> Result<ExitCode, anyhow::Error> {
    let progress = progress_bar();
    let saved = save(app, &args.target, |saved| show(&progress, saved)).await;
    progress.finish_and_clear();
    let saved = saved?;
    match args.output.output {
        Output::Json => print_json(&saved)?,
        Output::Table => print(&format!(
            "Copied the database and {} ({}) to {}.\n",
            counted(saved.blobs, "blob"),
            bytes(saved.blob_bytes),
            args.target.display()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of progress on standard error, drawn only if that is a terminal.
pub(super) fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Shows how far a copy is.
pub(super) fn show(progress: &ProgressBar, saved: &Saved) {
    progress.set_message(format!("{}, {}", counted(saved.blobs, "blob"), HumanBytes(saved.blob_bytes)));
}
