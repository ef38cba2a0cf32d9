//! `wharf registry`: the registries of an installation.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use wharf_identity::PasswordName;
use wharf_metadata::RegistryRow;
use wharf_model::RegistryName;

use super::output::{Output, OutputFlag, print, print_json, print_table};
use crate::app::App;
use crate::config::{CommonFlags, Config};
use crate::credentials::RegistryCredentials;
use crate::hosts::{DEFAULT_REGISTRY, Hosts};
use crate::registries::Sku;

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    #[command(subcommand)]
    pub(super) command: RegistryCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// Create a registry
    #[command(after_help = "Examples:\n  \
        wharf registry create contoso\n  \
        wharf registry create contoso --sku Basic --admin off --output json")]
    Create(CreateArgs),
    /// List all registries
    #[command(after_help = "Examples:\n  wharf registry list\n  wharf registry list --output json")]
    List(ListArgs),
    /// Show one registry
    #[command(after_help = "Examples:\n  wharf registry show contoso\n  wharf registry show contoso --output json")]
    Show(ShowArgs),
    /// Switch a registry's admin user or anonymous pull
    #[command(after_help = "Examples:\n  \
        wharf registry update contoso --admin off\n  \
        wharf registry update contoso --anonymous-pull on\n\
        \n\
        A running server obeys at once; tokens that were issued before are void.")]
    Update(UpdateArgs),
    /// Delete a registry with everything in it
    #[command(after_help = "Examples:\n  wharf registry delete contoso --yes")]
    Delete(DeleteArgs),
    /// Show or replace the admin user's passwords
    #[command(after_help = "Examples:\n  \
        wharf registry credentials show contoso\n  \
        wharf registry credentials regenerate contoso --which password2")]
    Credentials(CredentialsArgs),
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Name of the registry: 5 to 50 letters and digits
    #[arg(value_parser = RegistryName::parse_any_case)]
    name: RegistryName,
    /// Tier
    #[arg(long, value_name = "TIER", default_value = "Premium", ignore_case = true)]
    sku: Sku,
    /// Whether the admin user may sign in
    #[arg(long, value_name = "SWITCH", default_value = "on")]
    admin: Switch,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Name of the registry
    #[arg(value_parser = RegistryName::parse_any_case)]
    name: RegistryName,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(super) struct UpdateArgs {
    /// Name of the registry
    #[arg(value_parser = RegistryName::parse_any_case)]
    name: RegistryName,
    /// Whether the admin user may sign in
    #[arg(long, value_name = "SWITCH", group = "change")]
    admin: Option<Switch>,
    /// Whether everybody may pull
    #[arg(long, value_name = "SWITCH", group = "change")]
    anonymous_pull: Option<Switch>,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Name of the registry
    #[arg(value_parser = RegistryName::parse_any_case)]
    name: RegistryName,
    /// Delete it and everything in it, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct CredentialsArgs {
    #[command(subcommand)]
    command: CredentialsCommand,
}

#[derive(Debug, Subcommand)]
enum CredentialsCommand {
    /// Show the admin user's name and passwords
    #[command(after_help = "Examples:\n  \
        wharf registry credentials show contoso\n  \
        wharf registry credentials show contoso --password | docker login HOST --username contoso --password-stdin")]
    Show(ShowCredentialsArgs),
    /// Replace one of the admin user's passwords by a new one
    #[command(after_help = "Examples:\n  \
        wharf registry credentials regenerate contoso\n  \
        wharf registry credentials regenerate contoso --which password2\n\
        \n\
        The old password and the tokens issued for it are void at once.")]
    Regenerate(RegenerateArgs),
}

#[derive(Debug, Args)]
struct ShowCredentialsArgs {
    /// Name of the registry
    #[arg(value_parser = RegistryName::parse_any_case)]
    name: RegistryName,
    /// Print the first password and nothing else
    #[arg(long, conflicts_with = "output")]
    password: bool,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
struct RegenerateArgs {
    /// Name of the registry
    #[arg(value_parser = RegistryName::parse_any_case)]
    name: RegistryName,
    /// Which password: password or password2
    #[arg(long, value_name = "WHICH", default_value = "password", value_parser = parse_password_name)]
    which: PasswordName,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn parse_password_name(text: &str) -> Result<PasswordName, String> {
    PasswordName::from_word(text)
        .ok_or_else(|| "the admin user's passwords are called password and password2".to_owned())
}

impl RegistryCommand {
    /// The flags that say where the data is.
    pub(super) fn common(&self) -> &CommonFlags {
        match self {
            Self::Create(args) => &args.common,
            Self::List(args) => &args.common,
            Self::Show(args) => &args.common,
            Self::Update(args) => &args.common,
            Self::Delete(args) => &args.common,
            Self::Credentials(CredentialsArgs { command: CredentialsCommand::Show(args) }) => &args.common,
            Self::Credentials(CredentialsArgs { command: CredentialsCommand::Regenerate(args) }) => &args.common,
        }
    }
}

pub(super) async fn run(command: &RegistryCommand, config: &Config, app: &App) -> Result<ExitCode, anyhow::Error> {
    let hosts = Hosts::of(config);
    match command {
        RegistryCommand::Create(args) => {
            let row = app.create_registry(&args.name, args.sku, args.admin == Switch::On).await?;
            let shown = Shown::new(&row, &hosts);
            match args.output.output {
                Output::Json => print_json(&shown)?,
                Output::Table => print(&format!(
                    "Created the registry {name}.\n\
                     Login server: {host}\n\
                     Credentials:  wharf registry credentials show {name}\n\
                     Sign in:      wharf connect docker --registry {name}\n",
                    name = shown.name,
                    host = shown.login_server
                ))?,
            }
        }
        RegistryCommand::List(args) => {
            let rows = app.list_registries().await?;
            let shown: Vec<Shown> = rows.iter().map(|row| Shown::new(row, &hosts)).collect();
            match args.output.output {
                Output::Json => print_json(&shown)?,
                Output::Table => print_registries(&shown)?,
            }
        }
        RegistryCommand::Show(args) => {
            let row = app.get_registry(&args.name).await?;
            print_registry(&Shown::new(&row, &hosts), args.output.output)?;
        }
        RegistryCommand::Update(args) => {
            let switch = |switch: Option<Switch>| switch.map(|switch| switch == Switch::On);
            let row = app.update_registry(&args.name, switch(args.admin), switch(args.anonymous_pull)).await?;
            print_registry(&Shown::new(&row, &hosts), args.output.output)?;
        }
        RegistryCommand::Delete(args) => {
            let row = app.get_registry(&args.name).await?;
            if !args.yes {
                bail!(
                    "this would delete the registry {0} with everything in it; if you mean it, run\n  \
                     wharf registry delete {0} --yes",
                    row.name
                );
            }
            app.delete_registry(&args.name).await?;
            print(&format!("Deleted the registry {}. The collector frees its space.\n", args.name))?;
        }
        RegistryCommand::Credentials(CredentialsArgs { command: CredentialsCommand::Show(args) }) => {
            let row = app.get_registry(&args.name).await?;
            let credentials = RegistryCredentials::of(&row, &app.identity, &hosts)?;
            if args.password {
                print(&format!("{}\n", credentials.passwords[0].expose_secret()))?;
            } else {
                print_credentials(&row, &credentials, args.output.output)?;
            }
        }
        RegistryCommand::Credentials(CredentialsArgs { command: CredentialsCommand::Regenerate(args) }) => {
            let row = app.regenerate_password(&args.name, args.which).await?;
            if row.name.as_str() == DEFAULT_REGISTRY {
                app.update_credentials_file().await?;
            }
            print_credentials(&row, &RegistryCredentials::of(&row, &app.identity, &hosts)?, args.output.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A registry as it is shown. The names of the fields are those of the management API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    login_server: String,
    sku: String,
    admin_user_enabled: bool,
    anonymous_pull_enabled: bool,
    creation_date: String,
}

impl Shown {
    fn new(row: &RegistryRow, hosts: &Hosts) -> Self {
        Self {
            name: row.name.to_string(),
            login_server: hosts.login_server(row),
            sku: row.sku.clone(),
            admin_user_enabled: row.admin_user_enabled,
            anonymous_pull_enabled: row.anonymous_pull_enabled,
            creation_date: row.created_at.to_string(),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.login_server.clone(),
            self.sku.clone(),
            on_off(self.admin_user_enabled).to_owned(),
            on_off(self.anonymous_pull_enabled).to_owned(),
            self.creation_date.clone(),
        ]
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn print_registry(shown: &Shown, output: Output) -> Result<(), anyhow::Error> {
    match output {
        Output::Json => print_json(shown),
        Output::Table => print_registries(std::slice::from_ref(shown)),
    }
}

fn print_registries(shown: &[Shown]) -> Result<(), anyhow::Error> {
    let heading = ["NAME", "LOGIN SERVER", "SKU", "ADMIN", "ANONYMOUS PULL", "CREATED"];
    print_table(&heading, shown.iter().map(Shown::cells))
}

fn print_credentials(
    row: &RegistryRow,
    credentials: &RegistryCredentials,
    output: Output,
) -> Result<(), anyhow::Error> {
    match output {
        Output::Json => print_json(credentials),
        Output::Table => {
            let [first, second] = credentials.passwords.each_ref().map(|password| password.expose_secret().to_owned());
            let mut lines = vec![
                vec!["login server".to_owned(), credentials.login_server.clone()],
                vec!["username".to_owned(), credentials.username.clone()],
                vec!["password".to_owned(), first],
                vec!["password2".to_owned(), second],
            ];
            if !row.admin_user_enabled {
                lines.push(vec!["admin user".to_owned(), "off, so these are refused".to_owned()]);
            }
            print_table(&["WHAT", "VALUE"], lines)
        }
    }
}
