//! Secrets at rest: passwords and private keys stand in the database only as ciphertext under one key from a file.
//!
//! ```text
//! sealed = version (1 byte, 0x01) ‖ nonce (12 bytes, random) ‖ AES-256-GCM(key, nonce, aad = context, secret) ‖ tag (16)
//! ```
//!
//! The *context* says what a secret is and whose (`registry/<uid>/admin-password`), so that a sealed value that is
//! moved to another row does not open there. A nonce is drawn for each sealing; at fewer than 2³² sealings under one
//! key a collision is out of reach (NIST SP 800-38D, 8.3).
//!
//! A generated secret that is only ever compared and never shown again is not sealed but kept as a MAC:
//!
//! ```text
//! mac = HMAC-SHA-256(mac key, length of context (8 bytes) ‖ context ‖ secret)      mac key = HMAC-SHA-256(key, "…")
//! ```
//!
//! With hundreds of bits of randomness in the secret there is nothing to be guessed, so nothing needs to be slow: that
//! takes a microsecond, on every request if need be. Passwords that people choose are not kept like this.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use tracing::warn;

use crate::random::{Random, SystemRandom};

/// The key under which secrets are sealed. Its `Debug` shows nothing of it.
pub struct SealingKey {
    sealing: RandomizedNonceKey,
    mac: hmac::Key,
}

/// Why the sealing key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// The file cannot be read or made.
    #[error("the sealing key's file {path:?} cannot be read or made")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else than a key.
    #[error("{path:?} does not hold a sealing key, which is written as 64 hexadecimal digits")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Why a text is not a sealing key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealing key is written as 64 hexadecimal digits")]
pub struct ParseSealingKeyError;

/// A sealed value did not open: another key, another context, or not the bytes that were sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open: it was sealed by another key, for another purpose, or is damaged")]
pub struct UnsealError;

impl SealingKey {
    /// Loads the key from a file, which is made (mode 0600, on disk when this returns) if there is none.
    ///
    /// Of several processes that make it at the same time one wins and the others load its key.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self, SealingKeyError> {
        let io = |source| SealingKeyError::Io { path: path.to_owned(), source };
        if !path.try_exists().map_err(io)? {
            create(path).map_err(io)?;
        }
        let mut text = String::new();
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
            warn!(path = %path.display(), "The sealing key's file {} can be read by other users", path.display());
        }
        // One more than a key and its line end, so that a longer file is noticed and never read whole.
        file.take(LENGTH as u64 * 2 + 2).read_to_string(&mut text).map_err(io)?;
        text.trim_end().parse().map_err(|_| SealingKeyError::Malformed { path: path.to_owned() })
    }

    /// A key that lives as long as this value.
    #[must_use]
    pub fn ephemeral(random: &dyn Random) -> Self {
        let mut key = [0; LENGTH];
        random.fill(&mut key);
        Self::from_bytes(&key)
    }

    fn from_bytes(key: &[u8; LENGTH]) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), MAC_KEY_PURPOSE);
        Self {
            sealing: RandomizedNonceKey::new(&AES_256_GCM, key).expect("AES-256 takes every key of 32 bytes"),
            mac: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
        }
    }

    /// Seals a secret for a context.
    #[must_use]
    pub fn seal(&self, context: &str, secret: &[u8]) -> Vec<u8> {
        // All at once, so that the plain text is not left behind where a growing vector was.
        let mut text = Vec::with_capacity(secret.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(secret);
        let nonce = self
            .sealing
            .seal_in_place_append_tag(Aad::from(context), &mut text)
            .expect("AES-256-GCM seals whatever fits into memory");
        [&[VERSION][..], nonce.as_ref(), &text].concat()
    }

    /// Opens what [`SealingKey::seal`] made for the same context.
    ///
    /// # Errors
    /// When it was sealed under another key or context, or was changed since.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let Some((&VERSION, rest)) = sealed.split_first() else { return Err(UnsealError) };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(UnsealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnsealError)?;
        let mut text = text.to_vec();
        let length = self.sealing.open_in_place(nonce, Aad::from(context), &mut text).map_err(|_| UnsealError)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// What is kept of a generated secret that is only ever compared. 32 bytes.
    #[must_use]
    pub fn mac(&self, context: &str, secret: &[u8]) -> Vec<u8> {
        self.tag(context, secret).as_ref().to_vec()
    }

    /// Whether [`SealingKey::mac`] made `mac` of this secret for this context. Takes as long whether it did or not.
    #[must_use]
    pub fn verifies_mac(&self, context: &str, secret: &[u8], mac: &[u8]) -> bool {
        self.tag(context, secret).as_ref().ct_eq(mac).into()
    }

    fn tag(&self, context: &str, secret: &[u8]) -> hmac::Tag {
        let mut message = hmac::Context::with_key(&self.mac);
        // The length keeps the end of a context apart from the beginning of a secret.
        message.update(&(context.len() as u64).to_be_bytes());
        message.update(context.as_bytes());
        message.update(secret);
        message.sign()
    }
}

impl FromStr for SealingKey {
    type Err = ParseSealingKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut key = [0; LENGTH];
        hex::decode_to_slice(text, &mut key).map_err(|_| ParseSealingKeyError)?;
        Ok(Self::from_bytes(&key))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// Writes a new key beside `path` and links it there, which fails if somebody else was faster: that one's stands.
fn create(path: &Path) -> io::Result<()> {
    let mut key = [0; LENGTH];
    SystemRandom.fill(&mut key);
    let mut suffix = [0; 8];
    SystemRandom.fill(&mut suffix);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = directory.join(format!(".sealing-key-{}", hex::encode(suffix)));

    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = writeln!(file, "{}", hex::encode(key)).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&temporary);
    linked?;
    removed?;
    File::open(directory)?.sync_all()
}

/// Bytes of an AES-256 key.
const LENGTH: usize = 32;
/// The first byte of everything sealed in the form above.
const VERSION: u8 = 1;
/// What the key of MACs is derived for, so that no key serves two algorithms.
const MAC_KEY_PURPOSE: &[u8] = b"wharf: MACs of generated secrets";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SealingKey {
        SealingKey::ephemeral(&SystemRandom)
    }

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_context() {
        let (ours, other) = (key(), key());
        let sealed = ours.seal("a", b"secret");
        assert_eq!(ours.unseal("a", &sealed).unwrap(), b"secret");
        assert_eq!(ours.unseal("b", &sealed), Err(UnsealError));
        assert_eq!(other.unseal("a", &sealed), Err(UnsealError));
        assert_ne!(ours.seal("a", b"secret"), sealed, "each sealing has a nonce of its own");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let key = key();
        let sealed = key.seal("a", b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.unseal("a", &changed), Err(UnsealError), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.unseal("a", &sealed[..length]), Err(UnsealError), "cut to {length}");
        }
    }

    #[test]
    fn the_file_is_made_once_and_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        let sealed = SealingKey::load_or_create(&path).unwrap().seal("a", b"secret");
        assert_eq!(SealingKey::load_or_create(&path).unwrap().unseal("a", &sealed).unwrap(), b"secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing temporary is left");
    }

    #[test]
    fn of_many_who_make_the_file_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let path = &directory.path().join("sealing.key");
        let keys: Vec<SealingKey> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| SealingKey::load_or_create(path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sealed = keys[0].seal("a", b"secret");
        assert!(keys.iter().all(|key| key.unseal("a", &sealed).is_ok()));
    }

    #[test]
    fn a_damaged_file_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        for text in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(SealingKey::load_or_create(&path), Err(SealingKeyError::Malformed { .. })), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_mac_is_of_its_key_context_and_secret_alone() {
        let (ours, other) = (key(), key());
        let mac = ours.mac("a", b"secret");
        assert_eq!(mac.len(), 32);
        assert!(ours.verifies_mac("a", b"secret", &mac), "the same each time");
        for (key, context, secret) in [(&other, "a", "secret"), (&ours, "b", "secret"), (&ours, "a", "secre")] {
            assert!(!key.verifies_mac(context, secret.as_bytes(), &mac), "{context} {secret}");
        }
        assert!(!ours.verifies_mac("as", b"ecret", &mac), "what is context does not become secret");
        assert!(!ours.verifies_mac("a", b"secret", b""));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", key()), "SealingKey(..)");
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(key().unseal("a", &bytes), Err(UnsealError));
        }
    }
}
