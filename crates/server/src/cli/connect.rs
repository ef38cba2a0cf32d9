//! `wharf connect`: the exact lines that connect a tool to this server.
//!
//! Every line that is printed can be pasted into a shell, or piped into one; what is to be read stands behind `#`.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret as _;
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
    if args.tool == Tool::Hosts {
        let names: Vec<RegistryName> = app.list_registries().await?.into_iter().map(|row| row.name).collect();
        print(&hosts_lines(config, &hosts, &names))?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = app.get_registry(&args.registry).await?;
    let credentials = RegistryCredentials::of(&row, &app.identity, &hosts)?;
    let authority = std::fs::canonicalize(app.data.authority())
        .with_context(|| format!("cannot find the authority's certificate {}", app.data.authority().display()))?;
    let authority = if config.tls.cert.is_some() { None } else { Some(authority) };
    let endpoints = endpoints(args, config, &hosts, &row)?;
    let mut text = String::new();
    if !row.admin_user_enabled {
        text.push_str(&format!(
            "# The admin user of {0} is off, so these would be refused; switch it on first:\n\
             # wharf registry update {0} --admin on\n\n",
            row.name
        ));
    }
    for (position, endpoint) in endpoints.iter().enumerate() {
        if position > 0 {
            text.push('\n');
        }
        text.push_str(&lines(args.tool, endpoint, &credentials, authority.as_deref()));
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
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

fn lines(tool: Tool, endpoint: &Endpoint, credentials: &RegistryCredentials, authority: Option<&Path>) -> String {
    let host = &endpoint.host;
    let user = &credentials.username;
    let password = quoted(credentials.passwords[0].expose_secret());
    let authority = authority.map(|path| quoted(&path.display().to_string()));
    let is_local = host.starts_with("localhost:") || host.starts_with("127.");
    // How to trust the authority: docker and podman by a file, helm and oras by a flag. A certificate of the operator's
    // own needs neither.
    let trust_file = |directory: &str| {
        authority.as_ref().map_or_else(String::new, |authority| {
            format!("sudo install -D -m 644 {authority} {directory}/{host}/ca.crt\n")
        })
    };
    let trust_flag = authority.as_ref().map_or_else(String::new, |authority| format!(" --ca-file {authority}"));
    let login = |command: &str, flags: &str| {
        format!("printf '%s' {password} | {command} {host} --username {user} --password-stdin{flags}\n")
    };
    match (tool, endpoint.scheme) {
        (Tool::Docker, Scheme::Http) => {
            let note = if is_local {
                "docker over HTTP; it needs no certificate for this machine"
            } else {
                "docker over HTTP; unless the name leads to this machine, list it under insecure-registries in /etc/docker/daemon.json"
            };
            format!("# {note}.\n{}{}", login("docker login", ""), docker_examples("docker", host, ""))
        }
        (Tool::Docker, Scheme::Https) => {
            let trust = trust_file("/etc/docker/certs.d");
            format!("# docker over HTTPS.\n{trust}{}{}", login("docker login", ""), docker_examples("docker", host, ""))
        }
        (Tool::Podman, Scheme::Http) => {
            let flag = " --tls-verify=false";
            format!("# podman over HTTP.\n{}{}", login("podman login", flag), docker_examples("podman", host, flag))
        }
        (Tool::Podman, Scheme::Https) => {
            let trust = trust_file("/etc/containers/certs.d");
            format!("# podman over HTTPS.\n{trust}{}{}", login("podman login", ""), docker_examples("podman", host, ""))
        }
        (Tool::Helm, scheme) => {
            let (name, flag) =
                if scheme == Scheme::Http { ("HTTP", " --plain-http".to_owned()) } else { ("HTTPS", trust_flag) };
            format!(
                "# helm over {name}.\n{}\
                 # helm push mychart-0.1.0.tgz oci://{host}/charts{flag}\n\
                 # helm pull oci://{host}/charts/mychart --version 0.1.0{flag}\n",
                login("helm registry login", &flag)
            )
        }
        (Tool::Oras, scheme) => {
            let (name, flag) = match scheme {
                Scheme::Http => ("HTTP", " --plain-http".to_owned()),
                // oras takes plain HTTP for granted where the host is this machine.
                Scheme::Https if is_local => ("HTTPS", format!(" --plain-http=false{trust_flag}")),
                Scheme::Https => ("HTTPS", trust_flag),
            };
            format!(
                "# oras over {name}.\n{}\
                 # oras push{flag} {host}/samples/note:v1 note.txt:text/plain\n\
                 # oras pull{flag} {host}/samples/note:v1\n",
                login("oras login", &flag)
            )
        }
        (Tool::Hosts, _) => String::new(),
    }
}

fn docker_examples(program: &str, host: &str, flags: &str) -> String {
    format!(
        "# {program} tag busybox {host}/samples/busybox:v1\n\
         # {program} push{flags} {host}/samples/busybox:v1\n\
         # {program} pull{flags} {host}/samples/busybox:v1\n"
    )
}

/// One line for all names, at the address that is listened on.
fn hosts_lines(config: &Config, hosts: &Hosts, names: &[RegistryName]) -> String {
    let listening_on = [config.listen.https, config.listen.http].into_iter().find_map(|listen| match listen {
        ListenAddress::At(address) => Some(address.ip()),
        ListenAddress::Off => None,
    });
    let (address, note) = match listening_on {
        Some(address) if !address.is_unspecified() => (address, ""),
        _ => (IpAddr::from([127, 0, 0, 1]), "# On other machines, write this one's address in place of 127.0.0.1.\n"),
    };
    let domain = hosts.domain();
    let names: Vec<String> =
        std::iter::once(domain.to_string()).chain(names.iter().map(|name| format!("{name}.{domain}"))).collect();
    format!("{note}{address} {}\n", names.join(" "))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> RegistryCredentials {
        RegistryCredentials {
            name: "wharf".to_owned(),
            login_server: "localhost:5443".to_owned(),
            username: "wharf".to_owned(),
            passwords: ["it's".into(), "second".into()],
        }
    }

    fn of(tool: Tool, scheme: Scheme, authority: Option<&str>) -> String {
        let endpoint = Endpoint { scheme, host: "localhost:5443".to_owned() };
        lines(tool, &endpoint, &credentials(), authority.map(Path::new))
    }

    #[test]
    fn lines_can_be_pasted() {
        let docker = of(Tool::Docker, Scheme::Https, Some("/data dir/tls/ca.pem"));
        assert!(
            docker
                .contains("sudo install -D -m 644 '/data dir/tls/ca.pem' /etc/docker/certs.d/localhost:5443/ca.crt\n")
        );
        assert!(
            docker.contains(r"printf '%s' 'it'\''s' | docker login localhost:5443 --username wharf --password-stdin")
        );
        let helm = of(Tool::Helm, Scheme::Https, Some("/d/tls/ca.pem"));
        assert!(helm.contains(
            "helm registry login localhost:5443 --username wharf --password-stdin --ca-file /d/tls/ca.pem\n"
        ));
        assert!(of(Tool::Oras, Scheme::Http, None).contains("--password-stdin --plain-http\n"));
        let oras = of(Tool::Oras, Scheme::Https, Some("/d/tls/ca.pem"));
        assert_eq!(oras.matches(" --plain-http=false --ca-file /d/tls/ca.pem").count(), 3, "{oras}");
        assert!(of(Tool::Oras, Scheme::Https, None).contains(" --plain-http=false\n"));
    }

    #[test]
    fn a_certificate_of_the_operators_needs_no_trust() {
        for tool in [Tool::Docker, Tool::Podman, Tool::Helm, Tool::Oras] {
            let text = of(tool, Scheme::Https, None);
            assert!(!text.contains("install") && !text.contains("ca-file"), "{text}");
        }
    }
}
