//! `wharf connect`: the exact lines that connect a tool to this server.
//!
//! Every line that is printed can be pasted into a shell, or piped into one; what is to be read stands behind `#`.

mod azure;
mod clients;
mod hosts;
mod kubernetes;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use wharf_metadata::RegistryRow;
use wharf_model::RegistryName;

use super::output::print;
use crate::app::App;
use crate::config::{CommonFlags, Config, ListenAddress};
use crate::credentials::RegistryCredentials;
use crate::hosts::{DEFAULT_REGISTRY, Hosts};

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// What to connect
    #[arg(value_name = "TOOL")]
    tool: Tool,
    /// The registry to sign in to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_REGISTRY, value_parser = RegistryName::parse_any_case)]
    registry: RegistryName,
    /// Only the lines for http or for https
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<Scheme>,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// Docker engine and command line
    Docker,
    /// podman, buildah and skopeo
    Podman,
    /// Helm charts as OCI artifacts
    Helm,
    /// OCI artifacts of any kind
    Oras,
    /// Azure CLI
    Az,
    /// Terraform's azurerm provider
    Terraform,
    /// Azure SDK for Python
    Python,
    /// A cluster that pulls
    Kubernetes,
    /// Lines for /etc/hosts, where no DNS knows the domain
    Hosts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scheme {
    Http,
    Https,
}

pub(super) async fn run(args: &ConnectArgs, config: &Config, app: &App) -> Result<ExitCode, anyhow::Error> {
    let hosts = Hosts::of(config);
    let text = match args.tool {
        Tool::Hosts => {
            let names: Vec<RegistryName> = app.list_registries().await?.into_iter().map(|row| row.name).collect();
            hosts::lines(config, &hosts, &names)
        }
        Tool::Az | Tool::Terraform | Tool::Python => {
            if config.listen.https == ListenAddress::Off || args.scheme == Some(Scheme::Http) {
                bail!(
                    "clients of the management API insist on HTTPS; start the server with --https, and leave out --scheme"
                );
            }
            let account = azure::Account {
                ids: &app.installation.ids,
                secret: &app.installation.owner_secret,
                management: &hosts.endpoints().management,
                authority: authority(config, app)?,
                registry: &args.registry,
            };
            azure::lines(args.tool, &account)
        }
        Tool::Docker | Tool::Podman | Tool::Helm | Tool::Oras | Tool::Kubernetes => {
            registry_lines(args, config, app, &hosts).await?
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Lines for those who sign in to a registry as its admin user.
async fn registry_lines(
    args: &ConnectArgs,
    config: &Config,
    app: &App,
    hosts: &Hosts,
) -> Result<String, anyhow::Error> {
    let row = app.get_registry(&args.registry).await?;
    let credentials = RegistryCredentials::of(&row, &app.identity, hosts)?;
    let authority = authority(config, app)?;
    let mut endpoints = endpoints(args, config, hosts, &row)?;
    let mut text = String::new();
    if !row.admin_user_enabled {
        text.push_str(&format!(
            "# The admin user of {0} is off, so these would be refused; switch it on first:\n\
             # wharf registry update {0} --admin on\n\n",
            row.name
        ));
    }
    if args.tool == Tool::Kubernetes {
        // A cluster pulls from one of them; HTTPS is the last.
        let endpoint = endpoints.pop().context("the server serves nothing")?;
        return Ok(text + &kubernetes::lines(&endpoint, &credentials, authority.as_deref()));
    }
    for (position, endpoint) in endpoints.iter().enumerate() {
        if position > 0 {
            text.push('\n');
        }
        text.push_str(&clients::lines(args.tool, endpoint, &credentials, authority.as_deref()));
    }
    Ok(text)
}

/// The certificate that clients must trust; `None` when the server shows one of the operator's own.
fn authority(config: &Config, app: &App) -> Result<Option<PathBuf>, anyhow::Error> {
    if config.tls.cert.is_some() {
        return Ok(None);
    }
    let path = app.data.authority();
    let path = std::fs::canonicalize(&path)
        .with_context(|| format!("cannot find the authority's certificate {}", path.display()))?;
    Ok(Some(path))
}

/// A way to reach the registry.
struct Endpoint {
    scheme: Scheme,
    host: String,
}

fn endpoints(
    args: &ConnectArgs,
    config: &Config,
    hosts: &Hosts,
    row: &RegistryRow,
) -> Result<Vec<Endpoint>, anyhow::Error> {
    let is_default = args.registry.as_str() == DEFAULT_REGISTRY;
    let mut endpoints = Vec::new();
    if let ListenAddress::At(address) = config.listen.http {
        let host = if !is_default {
            format!("{}.{}:{}", args.registry, hosts.domain(), address.port())
        } else if address.ip().is_loopback() || address.ip().is_unspecified() {
            format!("localhost:{}", address.port())
        } else {
            address.to_string()
        };
        endpoints.push(Endpoint { scheme: Scheme::Http, host });
    }
    if config.listen.https != ListenAddress::Off {
        endpoints.push(Endpoint { scheme: Scheme::Https, host: hosts.login_server(row) });
    }
    endpoints.retain(|endpoint| args.scheme.is_none_or(|scheme| endpoint.scheme == scheme));
    if endpoints.is_empty() {
        bail!("the server does not serve that scheme; `wharf config` shows what it serves");
    }
    Ok(endpoints)
}

/// A word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b':' | b'@');
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
