//! `wharf restore`: a copy becomes a data directory again.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::backup::{progress_bar, show};
use super::output::{Output, OutputFlag, bytes, counted, print, print_json};
use crate::backup::restore;
use crate::config::{CommonFlags, Config};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The copy: the tar file or directory that `wharf backup` made
    #[arg(value_name = "FILE|DIR")]
    source: PathBuf,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

pub(super) async fn run(args: &RestoreArgs, config: &Config) -> Result<(), anyhow::Error> {
    if config.storage.database.is_some() || config.storage.blobs.is_some() {
        bail!("a copy is restored into a data directory; leave --database and --blobs out (`wharf config` shows them)");
    }
    let progress = progress_bar();
    let saved = restore(&args.source, &config.data, |saved| show(&progress, saved)).await;
    progress.finish_and_clear();
    let saved = saved?;
    match args.output.output {
        Output::Json => print_json(&saved),
        Output::Table => print(&format!(
            "Restored the database and {} ({}) to {}.\n\
             Start it with:  wharf serve --data {2}\n",
            counted(saved.blobs, "blob"),
            bytes(saved.blob_bytes),
            config.data.display()
        )),
    }
}
