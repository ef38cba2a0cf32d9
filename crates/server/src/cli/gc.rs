//! `wharf gc`: one run of the collector.

use std::process::ExitCode;

use clap::Args;

use super::output::{Output, OutputFlag, bytes, print_json, print_table};
use crate::app::App;
use crate::config::CommonFlags;

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Tell what could go, and leave it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

pub(super) async fn run(args: &GcArgs, app: &App) -> Result<ExitCode, anyhow::Error> {
    let report = app.artifacts.collect(args.dry_run).await?;
    match args.output.output {
        Output::Json => print_json(&report)?,
        Output::Table => {
            let row = |what: &str, count: u64, size: Option<u64>| {
                vec![what.to_owned(), count.to_string(), size.map(bytes).unwrap_or_default()]
            };
            let rows = [
                row("uploads given up", report.expired_uploads, None),
                row("blobs taken out of repositories", report.cut_links, None),
                row("blobs forgotten", report.removed_blobs, Some(report.removed_blob_bytes)),
                row("files removed", report.removed_objects, Some(report.freed_bytes)),
                row("files unknown to the database, removed after a while", report.orphans, None),
                row("repositories removed, being empty", report.removed_repositories, None),
                row("files that could not be removed", report.failed_objects, None),
            ];
            let heading = if args.dry_run { "WOULD BE DONE" } else { "DONE" };
            print_table(&[heading, "COUNT", "SIZE"], rows)?;
        }
    }
    Ok(if report.failed_objects > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
