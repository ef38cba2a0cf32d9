//! `wharf`: a container registry that speaks Azure Container Registry.
//!
//! This crate is the program: command line, configuration, listeners, and the wiring of everything else.
//!
//! ```text
//! cli ──► config ──► app (stores, use cases) ──► serve: listeners ─► service ─► data plane
//!                     └─► commands: registry, gc, verify, backup …        upkeep, beside
//! ```

mod app;
mod backup;
mod cli;
mod config;
mod credentials;
mod data_dir;
mod greeting;
mod hosts;
mod http;
mod installation;
mod log;
mod metrics;
mod plane;
mod registries;
mod serve;
mod services;
mod tls;
mod upkeep;

use std::process::ExitCode;

/// Gives memory back that was freed, unlike glibc's (docs/decisions/0019-an-allocator-that-gives-back.md). How readily is
/// said in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
