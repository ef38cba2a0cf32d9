//! `wharf secret`: what stands for the secrets that credential sets name.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use wharf_identity::secrets::{SecretId, StoredSecret};
use wharf_upstream::UpstreamAddress;

use super::output::{Output, OutputFlag, print, print_json, print_table};
use crate::app::App;
use crate::config::CommonFlags;

#[derive(Debug, Args)]
pub(super) struct SecretArgs {
    #[command(subcommand)]
    pub(super) command: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Store a secret, whose value is read from standard input or a file
    #[command(after_help = "Examples:\n  \
        printf %s \"$TOKEN\" | wharf secret set hub-password\n  \
        wharf secret set hub-user --file user.txt\n  \
        wharf secret set hub-password --file token.txt --login-server docker.io\n  \
        wharf secret set https://contoso.vault.azure.net/secrets/hub-user --file user.txt\n\
        \n\
        A name alone stands for the secrets of this name in all vaults and versions; an address stands for that secret in \
        that vault. Whoever may write credential sets can have a secret sent to any registry, unless --login-server says \
        which ones it is for.")]
    Set(SetArgs),
    /// List the stored secrets, without their values
    #[command(after_help = "Examples:\n  wharf secret list\n  wharf secret list --output json")]
    List(ListArgs),
    /// Show a stored secret; its value only with --value
    #[command(after_help = "Examples:\n  wharf secret show hub-user\n  wharf secret show hub-user --value")]
    Show(ShowArgs),
    /// Remove a stored secret
    #[command(after_help = "Examples:\n  wharf secret delete hub-user")]
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Name, name/version or address of the secret
    name: SecretId,
    /// File with the value; one line end behind it does not count [default: standard input]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Registry that the secret may be sent to; repeatable [default: any]
    #[arg(long, value_name = "HOST")]
    login_server: Vec<UpstreamAddress>,
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
    /// Name, name/version or address of the secret
    name: SecretId,
    /// Print the value, and nothing else
    #[arg(long)]
    value: bool,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Name, name/version or address of the secret
    name: SecretId,
    #[command(flatten)]
    common: CommonFlags,
}

impl SecretCommand {
    pub(super) fn common(&self) -> &CommonFlags {
        match self {
            Self::Set(args) => &args.common,
            Self::List(args) => &args.common,
            Self::Show(args) => &args.common,
            Self::Delete(args) => &args.common,
        }
    }
}

pub(super) async fn run(command: &SecretCommand, app: &App) -> Result<ExitCode, anyhow::Error> {
    match command {
        SecretCommand::Set(args) => {
            let value = read_value(args.file.as_ref())?;
            let login_servers = args.login_server.iter().map(ToString::to_string).collect();
            app.secrets.set(&args.name, &value, login_servers, app.clock.now()).await?;
        }
        SecretCommand::List(args) => {
            let secrets = app.secrets.list().await?;
            match args.output.output {
                Output::Json => print_json(&secrets.iter().map(Shown::of).collect::<Vec<_>>())?,
                Output::Table => print_table(&HEADING, secrets.iter().map(|secret| Shown::of(secret).cells()))?,
            }
        }
        SecretCommand::Show(args) => {
            let Some((secret, value)) = app.secrets.show(&args.name).await? else { bail!(unknown(&args.name)) };
            match args.output.output {
                _ if args.value => print(&format!("{}\n", value.expose_secret()))?,
                Output::Json => print_json(&Shown::of(&secret))?,
                Output::Table => print_table(&HEADING, [Shown::of(&secret).cells()])?,
            }
        }
        SecretCommand::Delete(args) => {
            if !app.secrets.delete(&args.name).await? {
                bail!(unknown(&args.name));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(name: &SecretId) -> String {
    format!("there is no secret {name}; `wharf secret list` shows those that there are")
}

/// Reads a value, without the line end behind it.
fn read_value(file: Option<&PathBuf>) -> Result<SecretString, anyhow::Error> {
    let mut text = String::new();
    match file {
        Some(path) => {
            let opened = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let read = opened.take(MOST_BYTES).read_to_string(&mut text);
            read.with_context(|| format!("cannot read {}", path.display()))?;
        }
        None => {
            let read = io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text);
            read.context("cannot read the value from standard input")?;
        }
    }
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&text).into())
}

/// A secret as commands print it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    login_servers: Vec<String>,
    updated_at: String,
}

impl Shown {
    fn of(secret: &StoredSecret) -> Self {
        Self {
            name: secret.id.to_string(),
            login_servers: secret.login_servers.clone(),
            updated_at: secret.updated_at.to_string(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let servers = if self.login_servers.is_empty() { "any".to_owned() } else { self.login_servers.join(", ") };
        vec![self.name.clone(), servers, self.updated_at.clone()]
    }
}

const HEADING: [&str; 3] = ["NAME", "FOR", "SET"];
/// More than any secret may have, so that one that is too long is noticed.
const MOST_BYTES: u64 = 64 << 10;
