//! Lines for `/etc/hosts`.

use std::net::IpAddr;

use wharf_model::{LoginServers, RegistryName};

use crate::config::{Config, ListenAddress};
use crate::hosts::Hosts;

/// One line for all names, at the address that is listened on: the domain's, the services' and the registries'.
pub(super) fn lines(config: &Config, hosts: &Hosts, names: &[RegistryName]) -> String {
    let listening_on = [config.listen.https, config.listen.http].into_iter().find_map(|listen| match listen {
        ListenAddress::At(address) => Some(address.ip()),
        ListenAddress::Off => None,
    });
    let (address, note) = match listening_on {
        Some(address) if !address.is_unspecified() => (address, ""),
        _ => (IpAddr::from([127, 0, 0, 1]), "# On other machines, write this one's address in place of 127.0.0.1.\n"),
    };
    let domain = hosts.domain();
    let names = LoginServers::RESERVED.into_iter().chain(names.iter().map(RegistryName::as_str));
    let names: Vec<String> =
        std::iter::once(domain.to_string()).chain(names.map(|name| format!("{name}.{domain}"))).collect();
    format!("{note}{address} {}\n", names.join(" "))
}
