//! `wharf identity`: who can sign in, and with what.

mod app;
mod endpoint;
mod federation;
mod find;
mod group;
mod managed;
mod shown;
mod user;

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use secrecy::SecretString;

use super::output::OutputFlag;
use crate::app::App;
use crate::config::CommonFlags;

#[derive(Debug, Args)]
pub(super) struct IdentityArgs {
    #[command(subcommand)]
    pub(super) command: IdentityCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum IdentityCommand {
    /// People: create, list, show, change, delete
    #[command(after_help = "Examples:\n  \
        wharf identity user create anna@example.com --display-name Anna\n  \
        wharf identity user list\n  \
        wharf identity user password anna@example.com --must-change")]
    User(user::UserArgs),
    /// Groups, and who is in them
    #[command(after_help = "Examples:\n  \
        wharf identity group create developers\n  \
        wharf identity group add developers anna@example.com")]
    Group(group::GroupArgs),
    /// Applications that sign in with secrets and certificates of their own (service principals)
    #[command(after_help = "Examples:\n  \
        wharf identity app create ci\n  \
        wharf identity app secret create ci --days 90\n  \
        wharf identity app certificate add ci ci.pem")]
    App(app::AppArgs),
    /// Managed identities, which belong to resources
    #[command(after_help = "Examples:\n  wharf identity managed list\n  wharf identity managed show builder")]
    Managed(managed::ManagedArgs),
    /// Issuers outside (Entra ID, Keycloak, Dex, GitHub Actions, Kubernetes) that vouch for people and programs
    #[command(after_help = "Examples:\n  \
        wharf identity federation issuer add github --issuer https://token.actions.githubusercontent.com\n  \
        wharf identity federation rule add --issuer github --audience api://wharf \
        --subject repo:contoso/app:ref:refs/heads/main --principal ci")]
    Federation(federation::FederationArgs),
    /// Endpoints at which programs get tokens without a secret that signs in anywhere else
    #[command(after_help = "Examples:\n  \
        wharf identity endpoint add builder\n  \
        wharf identity endpoint list")]
    Endpoint(endpoint::EndpointArgs),
}

/// What every command takes.
#[derive(Debug, Args)]
struct Flags {
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    #[value(alias = "true", alias = "enabled")]
    On,
    #[value(alias = "false", alias = "disabled")]
    Off,
}

impl IdentityCommand {
    /// The flags that say where the data is.
    pub(super) fn common(&self) -> &CommonFlags {
        match self {
            Self::User(args) => &args.command.flags().common,
            Self::Group(args) => &args.command.flags().common,
            Self::App(args) => &args.command.flags().common,
            Self::Managed(args) => &args.command.flags().common,
            Self::Federation(args) => &args.command.flags().common,
            Self::Endpoint(args) => &args.command.flags().common,
        }
    }
}

pub(super) async fn run(command: &IdentityCommand, app: &App) -> Result<ExitCode, anyhow::Error> {
    match command {
        IdentityCommand::User(args) => user::run(&args.command, app).await?,
        IdentityCommand::Group(args) => group::run(&args.command, app).await?,
        IdentityCommand::App(args) => app::run(&args.command, app).await?,
        IdentityCommand::Managed(args) => managed::run(&args.command, app).await?,
        IdentityCommand::Federation(args) => federation::run(&args.command, app).await?,
        IdentityCommand::Endpoint(args) => endpoint::run(&args.command, app).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a secret from standard input: all of it, without the end of its line.
pub(super) fn read_secret() -> Result<SecretString, anyhow::Error> {
    let mut text = String::new();
    std::io::stdin().lock().take(LONGEST_SECRET).read_to_string(&mut text).context("cannot read standard input")?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        bail!("standard input is empty; pipe the secret into the command");
    }
    Ok(text.into())
}

/// Stops unless the operator said that they mean it.
fn confirm(yes: bool, what: &str, command: &str) -> Result<(), anyhow::Error> {
    if !yes {
        bail!("this would delete {what}; if you mean it, run\n  wharf identity {command} --yes");
    }
    Ok(())
}

/// More than any secret that is taken.
const LONGEST_SECRET: u64 = 64 << 10;
