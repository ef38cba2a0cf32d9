//! Lines for a cluster that pulls from a registry.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::{Endpoint, Scheme, quoted};
use crate::credentials::RegistryCredentials;

/// A pull secret, and what the nodes need.
pub(super) fn lines(endpoint: &Endpoint, credentials: &RegistryCredentials, authority: Option<&Path>) -> String {
    let host = &endpoint.host;
    let name = &credentials.name;
    let password = credentials.passwords[0].expose_secret();
    let config = serde_json::json!({"auths": {host: {"username": credentials.username, "password": password}}});
    // Through standard input, since arguments can be read by others on the machine.
    let secret = format!(
        "# A pull secret, in the current namespace.\n\
         printf '%s' {config} | kubectl create secret generic {name} --type kubernetes.io/dockerconfigjson \
         --from-file .dockerconfigjson=/dev/stdin --dry-run=client --output yaml | kubectl apply --filename -\n\
         # In pods: imagePullSecrets: [{{name: {name}}}] and image: {host}/samples/hello:v1\n",
        config = quoted(&config.to_string())
    );
    let is_local = host.starts_with("localhost:") || host.starts_with("127.");
    let reach = if is_local {
        format!("#\n# {host} is each node itself: give the server a domain and addresses that the nodes can reach.\n")
    } else {
        String::new()
    };
    let directory = format!("/etc/containerd/certs.d/{host}");
    let nodes = match (endpoint.scheme, authority) {
        (Scheme::Https, None) => String::new(),
        (Scheme::Https, Some(authority)) => format!(
            "#\n# On each node, as root, so that containerd trusts the server (the file is {}):\n\
             # install -D -m 644 ca.pem {directory}/ca.crt\n\
             # printf '[host.\"https://{host}\"]\\n  ca = \"{directory}/ca.crt\"\\n' > {directory}/hosts.toml\n",
            quoted(&authority.display().to_string())
        ),
        (Scheme::Http, _) => format!(
            "#\n# On each node, as root, so that containerd calls the server over HTTP:\n\
             # mkdir -p {directory}\n\
             # printf '[host.\"http://{host}\"]\\n' > {directory}/hosts.toml\n"
        ),
    };
    format!("{secret}{reach}{nodes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scheme: Scheme, host: &str, authority: Option<&str>) -> String {
        let credentials = RegistryCredentials {
            name: "contoso".to_owned(),
            login_server: host.to_owned(),
            username: "contoso".to_owned(),
            passwords: ["it's".into(), "second".into()],
        };
        lines(&Endpoint { scheme, host: host.to_owned() }, &credentials, authority.map(Path::new))
    }

    #[test]
    fn the_secret_is_quoted_and_in_no_argument_of_a_program() {
        let text = of(Scheme::Https, "contoso.example.com", None);
        assert!(
            text.contains(
                r#"printf '%s' '{"auths":{"contoso.example.com":{"password":"it'\''s","username":"contoso"}}}' | kubectl "#
            ),
            "{text}"
        );
        assert_eq!(text.matches("it'").count(), 1);
        assert!(!text.contains("hosts.toml"), "{text}");
    }

    #[test]
    fn nodes_are_told_what_they_need() {
        let text = of(Scheme::Https, "contoso.example.com", Some("/d/tls/ca.pem"));
        assert!(text.contains("ca = \"/etc/containerd/certs.d/contoso.example.com/ca.crt\""), "{text}");
        let text = of(Scheme::Http, "localhost:5000", Some("/d/tls/ca.pem"));
        assert!(
            text.contains("localhost:5000 is each node itself") && text.contains("http://localhost:5000"),
            "{text}"
        );
        assert!(text.lines().skip(2).all(|line| line.starts_with('#')), "{text}");
    }
}
