//! `wharf identity managed`: managed identities. They come and go with the resources that they belong to.

use clap::{Args, Subcommand};
use wharf_metadata::directory::Family;

use super::shown::ShownPrincipal;
use super::{Flags, find};
use crate::app::App;
use crate::cli::output::{Output, print_json, print_table};

#[derive(Debug, Args)]
pub(in crate::cli) struct ManagedArgs {
    #[command(subcommand)]
    pub(super) command: ManagedCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum ManagedCommand {
    /// List all managed identities
    #[command(after_help = "Examples:\n  wharf identity managed list\n\
        \n\
        They are created with `az identity create` and `az acr identity assign`.")]
    List(ListArgs),
    /// Show one managed identity
    #[command(after_help = "Examples:\n  wharf identity managed show builder --output json")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name, application (client) id or object id
    #[arg(value_name = "IDENTITY")]
    identity: String,
    #[command(flatten)]
    flags: Flags,
}

impl ManagedCommand {
    pub(super) fn flags(&self) -> &Flags {
        match self {
            Self::List(args) => &args.flags,
            Self::Show(args) => &args.flags,
        }
    }
}

pub(super) async fn run(command: &ManagedCommand, app: &App) -> Result<(), anyhow::Error> {
    let output = command.flags().output.output;
    match command {
        ManagedCommand::List(_) => {
            let rows = find::all(app, Family::ServicePrincipals).await?;
            let managed = rows.iter().filter(|row| row.resource_id.is_some());
            let shown: Vec<ShownPrincipal> = managed.map(Into::into).collect();
            match output {
                Output::Json => print_json(&shown),
                Output::Table => print_all(shown),
            }
        }
        ManagedCommand::Show(args) => {
            let shown = ShownPrincipal::from(&find::managed(app, &args.identity).await?);
            match output {
                Output::Json => print_json(&shown),
                Output::Table => print_all(vec![shown]),
            }
        }
    }
}

fn print_all(shown: Vec<ShownPrincipal>) -> Result<(), anyhow::Error> {
    let cells = shown.into_iter().map(|row| {
        vec![
            row.display_name,
            row.app_id.map(|id| id.to_string()).unwrap_or_default(),
            row.id.to_string(),
            row.resource_id.unwrap_or_default(),
        ]
    });
    print_table(&["IDENTITY", "CLIENT ID", "OBJECT ID", "RESOURCE"], cells)
}
