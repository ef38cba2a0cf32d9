//! Chores of the workspace: `cargo run -p xtask -- check`.

mod arrows;

use std::process::ExitCode;

use anyhow::Context as _;
use cargo_metadata::MetadataCommand;

fn main() -> Result<ExitCode, anyhow::Error> {
    match std::env::args().nth(1).as_deref() {
        Some("check") => check(),
        _ => {
            eprintln!("usage: cargo run -p xtask -- check\n\n  check   which crate may know which (see src/arrows.rs)");
            Ok(ExitCode::from(2))
        }
    }
}

fn check() -> Result<ExitCode, anyhow::Error> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cannot ask cargo for the workspace's crates")?;
    let violations = arrows::violations(&arrows::crates_of(&metadata));
    for violation in &violations {
        eprintln!("error: {violation}");
    }
    if violations.is_empty() {
        println!("Every crate knows only those it may know.");
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}
