//! What the first start says to the person who started it.

use std::io::{IsTerminal as _, Write as _};

use secrecy::ExposeSecret as _;

use crate::config::ListenAddress;
use crate::credentials::RegistryCredentials;
use crate::data_dir::{DataDir, ServerFile};

/// Prints how to sign in to standard output: with the password on a terminal, and else where to find it, since what is
/// not a terminal is somebody's log.
pub(crate) fn print(data: &DataDir, addresses: &ServerFile, credentials: &RegistryCredentials) {
    let mut stdout = std::io::stdout().lock();
    let text = greeting(data, addresses, credentials, stdout.is_terminal());
    // Nobody may be there to read it; the same is in credentials.json.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn greeting(data: &DataDir, addresses: &ServerFile, credentials: &RegistryCredentials, is_terminal: bool) -> String {
    let host = match addresses.http {
        ListenAddress::At(address) => format!("localhost:{}", address.port()),
        ListenAddress::Off => credentials.login_server.clone(),
    };
    let RegistryCredentials { name, username, passwords, .. } = credentials;
    let line = if is_terminal {
        format!("docker login {host} --username {username} --password {}", passwords[0].expose_secret())
    } else {
        let data = data.root().display();
        format!(
            "wharf registry credentials show {name} --password --data {data} | \
             docker login {host} --username {username} --password-stdin"
        )
    };
    format!(
        "Wharf is ready. Its registry {name} is at {host}; sign in with\n\
         \n\
         \x20   {line}\n\
         \n\
         The credentials are in {}.\n\
         `wharf connect docker` shows more ways, and those of podman, helm and oras; `wharf connect az` those of the Azure \
         CLI.\n\n",
        data.credentials_file().display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_line_that_works() {
        let addresses = ServerFile {
            http: "127.0.0.1:5000".parse().unwrap(),
            https: "127.0.0.1:5443".parse().unwrap(),
            domain: Default::default(),
            domain_is_set: false,
        };
        let credentials = RegistryCredentials {
            name: "wharf".to_owned(),
            login_server: "localhost:5443".to_owned(),
            username: "wharf".to_owned(),
            passwords: ["s3cret".into(), "other".into()],
        };
        let data = DataDir::at("d".as_ref());
        let text = greeting(&data, &addresses, &credentials, true);
        assert!(text.contains("docker login localhost:5000 --username wharf --password s3cret\n"), "{text}");
        assert!(!greeting(&data, &addresses, &credentials, false).contains("s3cret"));
        let addresses = ServerFile { http: ListenAddress::Off, ..addresses };
        assert!(greeting(&data, &addresses, &credentials, true).contains("docker login localhost:5443 "));
    }
}
