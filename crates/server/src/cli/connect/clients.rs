//! Lines for the clients of a registry.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::{Endpoint, Scheme, Tool, quoted};
use crate::credentials::RegistryCredentials;

pub(super) fn lines(
    tool: Tool,
    endpoint: &Endpoint,
    credentials: &RegistryCredentials,
    authority: Option<&Path>,
) -> String {
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
        // They have lines of their own.
        (Tool::Az | Tool::Terraform | Tool::Python | Tool::Kubernetes | Tool::Hosts, _) => String::new(),
    }
}

fn docker_examples(program: &str, host: &str, flags: &str) -> String {
    format!(
        "# {program} tag busybox {host}/samples/busybox:v1\n\
         # {program} push{flags} {host}/samples/busybox:v1\n\
         # {program} pull{flags} {host}/samples/busybox:v1\n"
    )
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
