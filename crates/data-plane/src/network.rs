//! From where a registry may be called: its IP rules and `publicNetworkAccess`.
//!
//! Asked before anything else, credentials included, on every path of a registry: who may not come in learns nothing but
//! that. Rules are about the public network: whoever comes over a listener that counts as the private endpoint is let in.
//!
//! Source: `acr/data-plane.md` section 9, `acr/semantics.md` section 5.

use wharf_oci::{Code, OciError};

use crate::failure::Failure;
use crate::router::RequestHost;

/// Lets a request pass whose client the registry's network rules let in.
///
/// # Errors
/// 403 with the client's address, so that whoever is shut out can say which address to let in.
pub(crate) fn admit(host: &RequestHost) -> Result<(), Failure> {
    let client = host.client;
    if client.is_private || host.registry.settings.allows_address(client.address) {
        return Ok(());
    }
    let address = client.address.to_canonical();
    let denied = OciError::new(Code::Denied).with_message(format!(
        "client with IP '{address}' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
    ));
    Err(denied.into())
}
