//! `wharf verify`: every row against the bytes it stands for.

use std::process::ExitCode;

use clap::Args;
use indicatif::HumanBytes;

use super::backup::progress_bar;
use super::output::{Output, OutputFlag, bytes, counted, print, print_json};
use crate::app::App;
use crate::config::CommonFlags;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

pub(super) async fn run(args: &VerifyArgs, app: &App) -> Result<ExitCode, anyhow::Error> {
    let progress = progress_bar();
    let bar = progress.clone();
    let report = app
        .artifacts
        .verify(move |blobs, size| bar.set_message(format!("{}, {}", counted(blobs, "blob"), HumanBytes(size))))
        .await;
    progress.finish_and_clear();
    let report = report?;
    match args.output.output {
        Output::Json => print_json(&report)?,
        Output::Table => {
            let mut text = String::new();
            for problem in &report.problems {
                text.push_str(&format!("wrong: {problem}\n"));
            }
            for note in &report.notes {
                text.push_str(&format!("note:  {note}\n"));
            }
            text.push_str(&format!(
                "Verified {} ({}) and {}: {}.\n",
                counted(report.blobs, "blob"),
                bytes(report.blob_bytes),
                counted(report.manifests, "manifest"),
                match report.problems.len() {
                    0 => "all is well".to_owned(),
                    1 => "1 thing is wrong".to_owned(),
                    count => format!("{count} things are wrong"),
                }
            ));
            print(&text)?;
        }
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
