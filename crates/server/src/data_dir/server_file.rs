//! Where the server on a data directory listens, told to the commands beside it.

use serde::{Deserialize, Serialize};

use super::{DataDir, Mode, write};
use crate::config::{Domain, ListenAddress};
use crate::hosts::Hosts;

/// `server.json`: the addresses that `wharf serve` got, and the names it answers to. Written at each start, and left
/// there when the server stops, so that `wharf connect` still knows the usual addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerFile {
    /// The HTTP listener, with the port it really has.
    pub(crate) http: ListenAddress,
    /// The HTTPS listener, with the port it really has.
    pub(crate) https: ListenAddress,
    /// The domain of the registries' host names.
    pub(crate) domain: Domain,
    /// Whether somebody chose that domain.
    pub(crate) domain_is_set: bool,
}

impl ServerFile {
    /// The names that follow from the addresses.
    pub(crate) fn hosts(&self) -> Hosts {
        let port = self.https.port().or(self.http.port()).unwrap_or(443);
        Hosts::new(self.domain.clone(), self.domain_is_set, port)
    }

    /// Reads the file; `None` when there is none that we understand, since it is only a help.
    pub(crate) fn read(data: &DataDir) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data.server_file()).ok()?).ok()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn write(&self, data: &DataDir) -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        write(&data.server_file(), &text, Mode::Secret)
    }
}
