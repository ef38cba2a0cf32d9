//! The certificate authority that the first start creates, so that HTTPS works without anybody's help: clients trust
//! `tls/ca.pem` once, and every certificate that we issue afterwards is good.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use wharf_model::Timestamp;

use super::set_validity;
use crate::data_dir::{DataDir, Mode, write};

/// Ten years: replacing it means visiting every client.
const VALID_DAYS: i64 = 3650;

/// The authority in a data directory.
#[derive(Debug)]
pub(crate) struct Authority {
    /// Its certificate, PEM.
    pub(crate) certificate: String,
    /// Its key, PEM. Operators may keep it elsewhere; then nothing new can be issued.
    key: Option<KeyPair>,
    path: PathBuf,
}

impl Authority {
    /// Loads the authority, or makes what of it is missing. The key comes first, so that a first start that was cut off
    /// between the two files leaves a key without a certificate, which is completed here, and never the reverse.
    ///
    /// # Errors
    /// When a file cannot be read, written or understood, or the two do not belong together.
    pub(crate) fn load_or_create(data: &DataDir, now: Timestamp) -> Result<Self, anyhow::Error> {
        let path = data.authority();
        let key_path = data.tls().join("ca.key");
        let read = |path: &PathBuf| match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let parse_key = |text: String| {
            KeyPair::from_pem(&text).with_context(|| format!("{} holds no usable private key", key_path.display()))
        };
        let key = read(&key_path)?.map(parse_key).transpose()?;
        let (certificate, key) = match (read(&path)?, key) {
            (Some(certificate), key) => (certificate, key),
            (None, key) => {
                let key = match key {
                    Some(key) => key,
                    None => {
                        let key = KeyPair::generate().context("cannot generate the authority's key")?;
                        write(&key_path, key.serialize_pem().as_bytes(), Mode::Secret)
                            .with_context(|| format!("cannot write {}", key_path.display()))?;
                        key
                    }
                };
                let certificate = certify(&key, now)?;
                write(&path, certificate.as_bytes(), Mode::Public)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                tracing::info!(path = %path.display(), "Created the certificate authority {}", path.display());
                (certificate, Some(key))
            }
        };
        let authority = Self { certificate, key, path };
        authority.check()?;
        Ok(authority)
    }

    /// The authority as the signer of another certificate.
    ///
    /// # Errors
    /// When its key is not in the data directory.
    pub(super) fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, anyhow::Error> {
        let Some(key) = &self.key else {
            bail!(
                "the key of the authority {} is missing, so no certificate can be issued; put ca.key back beside it, \
                 or remove both for a new authority, which clients must then trust anew",
                self.path.display()
            );
        };
        Issuer::from_ca_cert_pem(&self.certificate, key)
            .with_context(|| format!("{} is not the certificate of an authority", self.path.display()))
    }

    fn check(&self) -> Result<(), anyhow::Error> {
        let der = x509_parser::pem::parse_x509_pem(self.certificate.as_bytes())
            .map_err(|_| anyhow::anyhow!("{} holds no certificate", self.path.display()))?
            .1;
        let parsed = der.parse_x509().map_err(|_| anyhow::anyhow!("{} holds no certificate", self.path.display()))?;
        if let Some(key) = &self.key
            && parsed.public_key().subject_public_key.data != key.public_key_raw()
        {
            bail!(
                "{} and the ca.key beside it do not belong together; put the right pair back, \
                     or remove both for a new authority, which clients must then trust anew",
                self.path.display()
            );
        }
        Ok(())
    }
}

fn certify(key: &KeyPair, now: Timestamp) -> Result<String, anyhow::Error> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    // A part of the key's id in the name tells several authorities apart in a list of trusted ones.
    let id = params.key_identifier(key);
    let id: String = id.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    name.push(DnType::CommonName, format!("Wharf authority {id}"));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, VALID_DAYS);
    Ok(params.self_signed(key).context("cannot sign the authority's certificate")?.pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    fn data() -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::at(directory.path());
        data.create().unwrap();
        (directory, data)
    }

    #[test]
    fn it_is_made_once() {
        let (_directory, data) = data();
        let first = Authority::load_or_create(&data, NOW).unwrap();
        let second = Authority::load_or_create(&data, NOW).unwrap();
        assert_eq!(first.certificate, second.certificate);
    }

    #[test]
    fn a_key_without_certificate_is_completed_with_the_same_key() {
        let (_directory, data) = data();
        Authority::load_or_create(&data, NOW).unwrap();
        let key = fs::read(data.tls().join("ca.key")).unwrap();
        fs::remove_file(data.authority()).unwrap();
        Authority::load_or_create(&data, NOW).unwrap();
        assert_eq!(fs::read(data.tls().join("ca.key")).unwrap(), key);
    }

    #[test]
    fn a_certificate_without_its_key_serves_but_does_not_issue() {
        let (_directory, data) = data();
        Authority::load_or_create(&data, NOW).unwrap();
        fs::remove_file(data.tls().join("ca.key")).unwrap();
        let authority = Authority::load_or_create(&data, NOW).unwrap();
        assert!(authority.issuer().unwrap_err().to_string().contains("ca.key"));
    }

    #[test]
    fn a_foreign_key_is_refused() {
        let (_directory, data) = data();
        Authority::load_or_create(&data, NOW).unwrap();
        fs::write(data.tls().join("ca.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let message = Authority::load_or_create(&data, NOW).unwrap_err().to_string();
        assert!(message.contains("do not belong together"), "{message}");
    }
}
