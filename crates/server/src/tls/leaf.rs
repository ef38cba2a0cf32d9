//! The server's own certificate, issued by the authority.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use wharf_model::Timestamp;
use x509_parser::extensions::GeneralName;

use super::{Authority, set_validity};
use crate::config::Domain;
use crate::data_dir::{DataDir, Mode, write};

/// Public authorities may issue for 398 days at most, and some clients refuse more from any authority.
const VALID_DAYS: i64 = 397;

/// A certificate is replaced when less than this is left: time enough to notice when that fails.
const RENEW_BEFORE: Duration = Duration::from_secs(90 * 86_400);

/// What the certificate is issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafNames {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl LeafNames {
    /// The domain, every name in it (those of the services too), `localhost`, the loopback addresses, and the addresses that
    /// are listened on.
    pub(crate) fn new(domain: &Domain, listening_on: impl IntoIterator<Item = IpAddr>) -> Self {
        let dns = vec![domain.to_string(), format!("*.{domain}"), "localhost".to_owned()];
        let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        for address in listening_on {
            if !address.is_unspecified() && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Self { dns, addresses }
    }
}

/// Where the certificate and its key are: one file for both, so that they cannot be a mixed pair.
pub(super) fn path(data: &DataDir) -> PathBuf {
    data.tls().join("server.pem")
}

/// Issues a new certificate unless the one in the data directory will do. Returns whether it did.
///
/// # Errors
/// When the authority cannot sign or the file cannot be written.
pub(super) fn ensure(
    data: &DataDir,
    authority: &Authority,
    names: &LeafNames,
    now: Timestamp,
) -> Result<bool, anyhow::Error> {
    let path = path(data);
    if let Ok(pem) = fs::read_to_string(&path)
        && suffices(&pem, authority, names, now)
    {
        return Ok(false);
    }
    let pem = issue(authority, names, now)?;
    write(&path, pem.as_bytes(), Mode::Secret).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

fn issue(authority: &Authority, names: &LeafNames, now: Timestamp) -> Result<String, anyhow::Error> {
    let issuer = authority.issuer()?;
    let key = KeyPair::generate().context("cannot generate the server's key")?;
    let mut params = CertificateParams::new(names.dns.clone()).context("cannot put the domain into a certificate")?;
    params.subject_alt_names.extend(names.addresses.iter().map(|address| SanType::IpAddress(*address)));
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Wharf");
    params.distinguished_name = name;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, VALID_DAYS);
    let certificate = params.signed_by(&key, &issuer).context("the authority cannot sign the server's certificate")?;
    Ok(format!("{}{}{}", certificate.pem(), authority.certificate, key.serialize_pem()))
}

/// Whether a certificate was issued by this authority, for these names, and for long enough.
fn suffices(pem: &str, authority: &Authority, names: &LeafNames, now: Timestamp) -> bool {
    let certificates: Vec<_> = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).filter_map(Result::ok).collect();
    let Some(leaf) = certificates.first().and_then(|pem| pem.parse_x509().ok()) else { return false };
    let Ok((_, authority)) = x509_parser::pem::parse_x509_pem(authority.certificate.as_bytes()) else { return false };
    let by_authority = certificates.get(1).is_some_and(|second| second.contents == authority.contents);
    let held = leaf.subject_alternative_name().ok().flatten().map(|san| &san.value.general_names);
    let for_names = held.is_some_and(|held| {
        let dns: Vec<_> = held
            .iter()
            .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None })
            .collect();
        let addresses: Vec<_> = held
            .iter()
            .filter_map(|name| if let GeneralName::IPAddress(octets) = name { Some(*octets) } else { None })
            .collect();
        names.dns.iter().all(|name| dns.contains(&name.as_str()))
            && names.addresses.iter().all(|address| match address {
                IpAddr::V4(address) => addresses.contains(&&address.octets()[..]),
                IpAddr::V6(address) => addresses.contains(&&address.octets()[..]),
            })
    });
    let renew_at = (now + RENEW_BEFORE).unix_seconds();
    by_authority && for_names && leaf.validity().not_after.timestamp() > renew_at
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn names(domain: &str) -> LeafNames {
        LeafNames::new(&domain.parse().unwrap(), None)
    }

    #[test]
    fn it_is_issued_again_when_it_nears_its_end_or_its_names_change() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::at(directory.path());
        data.create().unwrap();
        let authority = Authority::load_or_create(&data, NOW).unwrap();
        let ensure = |domain: &str, now| ensure(&data, &authority, &names(domain), now).unwrap();
        assert!(ensure("a.example", NOW));
        assert!(!ensure("a.example", NOW));
        assert!(!ensure("a.example", NOW + DAY * 300));
        assert!(ensure("a.example", NOW + DAY * 308));
        assert!(!ensure("a.example", NOW + DAY * 308));
        assert!(ensure("b.example", NOW + DAY * 308));
        fs::write(path(&data), "-----BEGIN CERT").unwrap();
        assert!(ensure("b.example", NOW + DAY * 308));
    }

    #[test]
    fn a_public_address_that_is_listened_on_is_named() {
        let names = LeafNames::new(&Domain::default(), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(names.addresses.len(), 3);
        assert_eq!(LeafNames::new(&Domain::default(), Some("0.0.0.0".parse().unwrap())).addresses.len(), 2);
    }
}
