//! `wharf identity endpoint`: where programs get tokens without a secret that signs in anywhere else.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use uuid::Uuid;
use wharf_identity::oidc::IdentityEndpoint;

use super::{Flags, confirm, find};
use crate::app::App;
use crate::cli::output::{Output, print, print_json, print_table};
use crate::config::Cidr;

#[derive(Debug, Args)]
pub(in crate::cli) struct EndpointArgs {
    #[command(subcommand)]
    pub(super) command: EndpointCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum EndpointCommand {
    /// Let programs get tokens of a managed identity or application
    #[command(after_help = "Examples:\n  \
        wharf identity endpoint add builder --description \"CI runners\"\n  \
        wharf identity endpoint add builder --addresses 10.20.0.0/16\n\
        \n\
        Without addresses, a value is made and printed this once; programs send it in a header. With addresses, whoever \
        calls from there gets tokens, as from the metadata service of a virtual machine. Then `az login --identity`.")]
    Add(AddArgs),
    /// List all endpoints
    #[command(after_help = "Examples:\n  wharf identity endpoint list\n  wharf identity endpoint list --output json")]
    List(ListArgs),
    /// Remove an endpoint
    #[command(after_help = "Examples:\n  \
        wharf identity endpoint remove 7d0c5e36-8a53-4d7b-9a59-0f6b4ea5a111 --yes\n\
        \n\
        Ends every token of its identity, at once.")]
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Managed identity or application: name, application (client) id or object id
    #[arg(value_name = "IDENTITY")]
    identity: String,
    /// Hand tokens out to whoever calls from these addresses
    #[arg(long, value_name = "CIDR")]
    addresses: Option<Cidr>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The endpoint's id
    id: Uuid,
    /// Remove it, without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: Flags,
}

impl EndpointCommand {
    pub(super) fn flags(&self) -> &Flags {
        match self {
            Self::Add(args) => &args.flags,
            Self::List(args) => &args.flags,
            Self::Remove(args) => &args.flags,
        }
    }
}

pub(super) async fn run(command: &EndpointCommand, app: &App) -> Result<(), anyhow::Error> {
    let output = command.flags().output.output;
    match command {
        EndpointCommand::Add(args) => add(args, app, output).await,
        EndpointCommand::List(_) => {
            let endpoints = app.identity.list_identity_endpoints().await.context("cannot list the endpoints")?;
            let shown: Vec<Shown<'_>> = endpoints.iter().map(|endpoint| Shown::of(endpoint, None)).collect();
            match output {
                Output::Json => print_json(&shown),
                Output::Table => {
                    print_table(&["ENDPOINT", "OBJECT ID", "FOR", "DESCRIPTION"], endpoints.iter().map(cells))
                }
            }
        }
        EndpointCommand::Remove(args) => {
            confirm(args.yes, "this endpoint", &format!("endpoint remove {}", args.id))?;
            let removed = app.identity.remove_identity_endpoint(args.id).await;
            removed.with_context(|| format!("cannot remove the endpoint {}", args.id))?;
            app.let_server_notice().await;
            print("Removed the endpoint.\n")
        }
    }
}

async fn add(args: &AddArgs, app: &App, output: Output) -> Result<(), anyhow::Error> {
    let principal = find::member(app, &args.identity).await?.id;
    let (identity, description) = (&app.identity, args.description.clone());
    let failed = || format!("cannot make an endpoint for {}", args.identity);
    let (endpoint, value) = match args.addresses {
        Some(Cidr(range)) => {
            let endpoint = identity.add_identity_addresses(principal, range, description).await;
            (endpoint.with_context(failed)?, None)
        }
        None => {
            let (endpoint, value) = identity.add_identity_header(principal, description).await.with_context(failed)?;
            (endpoint, Some(value))
        }
    };
    app.let_server_notice().await;
    if output == Output::Json {
        return print_json(&Shown::of(&endpoint, value.as_ref()));
    }
    let login = app.hosts.endpoints().login;
    print(&match &value {
        Some(value) => format!(
            "Made the endpoint {}. Programs find it by these variables:\n\
             \n\
             export IDENTITY_ENDPOINT={login}/msi/token\n\
             export IDENTITY_HEADER={}\n\
             \n\
             The value is not shown again.\n",
            endpoint.id,
            value.expose_secret()
        ),
        None => format!(
            "Made the endpoint {}. Programs that call from there find it by this variable:\n\
             \n\
             export AZURE_POD_IDENTITY_AUTHORITY_HOST={login}\n",
            endpoint.id
        ),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    id: Uuid,
    principal_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<IpNet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    created_at: String,
}

impl<'a> Shown<'a> {
    fn of(endpoint: &'a IdentityEndpoint, value: Option<&'a SecretString>) -> Self {
        Self {
            id: endpoint.id,
            principal_id: endpoint.principal.to_string(),
            addresses: endpoint.addresses,
            header: value.map(|value| value.expose_secret()),
            description: endpoint.description.as_deref(),
            created_at: endpoint.created_at.to_string(),
        }
    }
}

fn cells(endpoint: &IdentityEndpoint) -> Vec<String> {
    vec![
        endpoint.id.to_string(),
        endpoint.principal.to_string(),
        endpoint.addresses.map_or_else(|| "whoever has the header's value".to_owned(), |range| range.to_string()),
        endpoint.description.clone().unwrap_or_default(),
    ]
}
