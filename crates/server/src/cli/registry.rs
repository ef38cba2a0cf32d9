//! `wharf registry`: the registries of an installation.

mod options;
mod shown;

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use wharf_identity::PasswordName;
use wharf_model::RegistryName;

use self::options::{Options, Sku, Switch};
use self::shown::{Shown, print_all, print_credentials};
use super::output::{Output, OutputFlag, print};
use crate::app::App;
use crate::config::CommonFlags;
use crate::credentials::RegistryCredentials;
use crate::hosts::DEFAULT_REGISTRY;
use crate::registries::{DEFAULT_GROUP, Registries};

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
        wharf registry create contoso --sku Basic --admin off --output json\n  \
        wharf registry create contoso --resource-group team --tag owner=blue --tag stage=test\n  \
        wharf registry create contoso --default-action deny --ip-rule 203.0.113.0/24 --ip-rule 198.51.100.7")]
    Create(CreateArgs),
    /// List all registries
    #[command(after_help = "Examples:\n  wharf registry list\n  wharf registry list --output json")]
    List(ListArgs),
    /// Show one registry
    #[command(after_help = "Examples:\n  wharf registry show contoso\n  wharf registry show contoso --output json")]
    Show(ShowArgs),
    /// Change a registry's tier and settings
    #[command(after_help = "Examples:\n  \
        wharf registry update contoso --admin off\n  \
        wharf registry update contoso --anonymous-pull on\n  \
        wharf registry update contoso --sku Standard\n  \
        wharf registry update contoso --public-network-access off\n  \
        wharf registry update contoso --default-action deny --ip-rule 203.0.113.0/24\n  \
        wharf registry update contoso --role-assignment-mode rbac-abac\n\
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
#[command(group = clap::ArgGroup::new("change").multiple(true))]
pub(super) struct CreateArgs {
    /// Name of the registry: 5 to 50 letters and digits
    #[arg(value_parser = RegistryName::parse_any_case)]
    name: RegistryName,
    /// Resource group that it will be in; made if it is not there
    #[arg(long, short = 'g', value_name = "GROUP", default_value = DEFAULT_GROUP)]
    resource_group: String,
    /// Tier
    #[arg(long, value_name = "TIER", default_value = "Premium", ignore_case = true)]
    sku: Sku,
    /// Whether the admin user may sign in
    #[arg(long, value_name = "SWITCH", default_value = "on")]
    admin: Switch,
    #[command(flatten)]
    options: Options,
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
    /// Tier
    #[arg(long, value_name = "TIER", group = "change", ignore_case = true)]
    sku: Option<Sku>,
    /// Whether the admin user may sign in
    #[arg(long, value_name = "SWITCH", group = "change")]
    admin: Option<Switch>,
    #[command(flatten)]
    options: Options,
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

pub(super) async fn run(command: &RegistryCommand, app: &App) -> Result<ExitCode, anyhow::Error> {
    let registries = Registries(app);
    match command {
        RegistryCommand::Create(args) => {
            let body = args.options.body(Some(args.sku), Some(args.admin));
            let shown = Shown::of(&registries.create(&args.name, &args.resource_group, body).await?);
            match args.output.output {
                Output::Json => shown.print(Output::Json)?,
                Output::Table => print(&format!(
                    "Created the registry {name}.\n\
                     Login server: {host}\n\
                     Credentials:  wharf registry credentials show {name}\n\
                     Sign in:      wharf connect docker --registry {name}\n",
                    name = shown.text("name"),
                    host = shown.text("loginServer")
                ))?,
            }
        }
        RegistryCommand::List(args) => {
            let shown: Vec<Shown> = registries.list().await?.iter().map(Shown::of).collect();
            print_all(&shown, args.output.output)?;
        }
        RegistryCommand::Show(args) => {
            Shown::of(&registries.show(&args.name).await?).print(args.output.output)?;
        }
        RegistryCommand::Update(args) => {
            let body = args.options.body(args.sku, args.admin);
            Shown::of(&registries.update(&args.name, body).await?).print(args.output.output)?;
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
            registries.delete(&args.name).await?;
            print(&format!("Deleted the registry {}. The server frees its space.\n", args.name))?;
        }
        RegistryCommand::Credentials(CredentialsArgs { command: CredentialsCommand::Show(args) }) => {
            let row = registries.credentials(&args.name).await?;
            let credentials = RegistryCredentials::of(&row, &app.identity, &app.hosts)?;
            if args.password {
                print(&format!("{}\n", credentials.passwords[0].expose_secret()))?;
            } else {
                print_credentials(&credentials, args.output.output)?;
            }
        }
        RegistryCommand::Credentials(CredentialsArgs { command: CredentialsCommand::Regenerate(args) }) => {
            let row = registries.regenerate(&args.name, args.which).await?;
            if row.name.as_str() == DEFAULT_REGISTRY {
                app.update_credentials_file().await?;
            }
            print_credentials(&RegistryCredentials::of(&row, &app.identity, &app.hosts)?, args.output.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
