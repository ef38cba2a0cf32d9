//! Who counts as inside: listeners that are the private endpoint of every registry, and proxies whose word counts.

use anyhow::bail;

use super::{Cidr, Config, Layers, ListenAddress};

/// Listeners for private networks, and proxies in front of any listener.
#[derive(Clone, Debug)]
pub(crate) struct PrivateConfig {
    /// Where HTTP is served to clients that count as coming over the private endpoint: network rules of registries do not
    /// apply to them. Key `private_http`.
    pub(crate) http: ListenAddress,
    /// The same over HTTPS. Key `private_https`.
    pub(crate) https: ListenAddress,
    /// Proxies that are believed when they say for whom they call. Key `trusted_proxies`.
    pub(crate) trusted_proxies: Vec<Cidr>,
}

impl PrivateConfig {
    pub(super) fn layer(
        layers: &mut Layers<'_>,
        flags: &PrivateFlags,
        (http, https, proxies): (Option<ListenAddress>, Option<ListenAddress>, Option<Vec<Cidr>>),
    ) -> Self {
        let off = || ListenAddress::Off;
        Self {
            http: layers.pick("private_http", "private_http", flags.private_http, http, off),
            https: layers.pick("private_https", "private_https", flags.private_https, https, off),
            trusted_proxies: layers.pick(
                "trusted_proxies",
                "trusted_proxy",
                flags.trusted_proxy.clone(),
                proxies,
                Vec::new,
            ),
        }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        let listeners = [
            ("http", config.listen.http),
            ("https", config.listen.https),
            ("private_http", self.http),
            ("private_https", self.https),
        ];
        for (position, (key, listener)) in listeners.into_iter().enumerate() {
            let ListenAddress::At(address) = listener else { continue };
            let same = listeners[..position].iter().find(|(_, other)| *other == listener && address.port() != 0);
            if let Some((other, _)) = same {
                bail!(
                    "{} and {} are both {address}; give each a port of its own",
                    config.place(other),
                    config.place(key)
                );
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct PrivateFlags {
    /// Where HTTP is served as the private endpoint: network rules do not apply there [default: off]
    #[arg(long, value_name = "ADDR", env = "WHARF_PRIVATE_HTTP")]
    private_http: Option<ListenAddress>,
    /// Where HTTPS is served as the private endpoint [default: off]
    #[arg(long, value_name = "ADDR", env = "WHARF_PRIVATE_HTTPS")]
    private_https: Option<ListenAddress>,
    /// Proxy whose X-Forwarded-For and X-Forwarded-Proto are believed; repeatable
    #[arg(long, value_name = "CIDR", env = "WHARF_TRUSTED_PROXY", value_delimiter = ',')]
    trusted_proxy: Option<Vec<Cidr>>,
}
