//! Certificates of applications. Their keys sign what an application proves itself with; nothing else of them counts:
//! not who issued them, and of their dates only those that the application was given them for.

use std::fmt;

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;
use wharf_metadata::CredentialRow;
use wharf_model::Timestamp;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::DirectoryError;

/// A certificate whose key may sign an application's assertions.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its id among the application's credentials.
    pub key_id: Uuid,
    /// The certificate, as DER.
    pub der: Vec<u8>,
    /// When it begins to count.
    pub starts_at: Timestamp,
    /// When it counts no more.
    pub ends_at: Option<Timestamp>,
}

impl ClientCertificate {
    pub(crate) fn of(row: CredentialRow) -> Self {
        Self { key_id: row.key_id, der: row.value, starts_at: row.starts_at, ends_at: row.ends_at }
    }

    /// Whether it counts now.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        self.starts_at <= now && self.ends_at.is_none_or(|end| now < end)
    }

    /// Its SHA-1 thumbprint, as `x5t` in the header of an assertion says it (base64url of these bytes).
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 20] {
        thumbprint(&self.der)
    }

    /// Its SHA-256 thumbprint, as `x5t#S256` says it.
    #[must_use]
    pub fn thumbprint_sha256(&self) -> [u8; 32] {
        digest::digest(&SHA256, &self.der).as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// The subject's public key, as DER (`SubjectPublicKeyInfo`).
    ///
    /// # Errors
    /// When the certificate cannot be read, which was checked when it was added.
    pub fn public_key(&self) -> Result<Vec<u8>, DirectoryError> {
        let (_, certificate) = X509Certificate::from_der(&self.der).map_err(|_| unreadable())?;
        Ok(certificate.public_key().raw.to_vec())
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A certificate that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedCertificate {
    /// The certificate, as DER.
    pub der: Vec<u8>,
    /// When it begins to be valid by its own word.
    pub not_before: Timestamp,
    /// When it ends to be valid by its own word.
    pub not_after: Timestamp,
    /// Whom it names.
    pub subject: String,
}

impl ParsedCertificate {
    /// Reads a certificate: DER, PEM, or either of them as base64.
    ///
    /// # Errors
    /// When it is none, or its key is neither RSA of at least 2048 bits nor of an elliptic curve.
    pub fn parse(bytes: &[u8]) -> Result<Self, DirectoryError> {
        let der = to_der(bytes).ok_or_else(unreadable)?;
        let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| unreadable())?;
        if !rest.is_empty() {
            return Err(unreadable());
        }
        use x509_parser::public_key::PublicKey;
        match certificate.public_key().parsed() {
            Ok(PublicKey::RSA(key)) if key.key_size() >= 2048 => {}
            Ok(PublicKey::EC(_)) => {}
            Ok(PublicKey::RSA(_)) => {
                return Err(DirectoryError::invalid("certificate", "has a key of fewer than 2048 bits"));
            }
            _ => {
                return Err(DirectoryError::invalid(
                    "certificate",
                    "has a key that is neither RSA nor of an elliptic curve",
                ));
            }
        }
        let validity = certificate.validity();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let subject = certificate.subject().to_string();
        Ok(Self {
            not_before: Timestamp::from_unix_seconds(not_before),
            not_after: Timestamp::from_unix_seconds(not_after),
            subject,
            der,
        })
    }
}

/// The SHA-1 thumbprint of a certificate (DER), by which people and programs tell certificates apart.
#[must_use]
pub fn thumbprint(der: &[u8]) -> [u8; 20] {
    digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().try_into().expect("SHA-1 has 20 bytes")
}

fn to_der(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > LONGEST_CERTIFICATE {
        return None;
    }
    if bytes.first() == Some(&0x30) && bytes.get(1).is_some_and(|&length| length >= 0x80) {
        return Some(bytes.to_vec());
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if let Some((_, rest)) = text.split_once("-----BEGIN CERTIFICATE-----") {
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        return decode(body);
    }
    let inner = decode(text)?;
    // Some programs encode the whole PEM file once more.
    match std::str::from_utf8(&inner) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => to_der(text.as_bytes()),
        _ => Some(inner),
    }
}

fn decode(base64: &str) -> Option<Vec<u8>> {
    let compact: String = base64.split_whitespace().collect();
    STANDARD.decode(compact).ok()
}

fn unreadable() -> DirectoryError {
    DirectoryError::invalid("certificate", "cannot be read; an X.509 certificate is wanted, as DER in base64 or as PEM")
}

/// Bytes of the longest certificate that is taken.
const LONGEST_CERTIFICATE: usize = 32 * 1024;
