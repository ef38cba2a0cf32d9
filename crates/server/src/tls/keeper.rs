//! What a handshake shows, replaced while the server runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context as _, anyhow};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use wharf_model::Timestamp;

use super::{Authority, LeafNames, leaf, provider};
use crate::config::TlsConfig;
use crate::data_dir::DataDir;

/// Holds the certificate in use and knows when to look for another.
pub(crate) struct CertificateKeeper {
    current: RwLock<Arc<CertifiedKey>>,
    source: Source,
}

/// Where certificates come from.
enum Source {
    /// Issued here.
    Own { data: DataDir, authority: Authority, names: LeafNames },
    /// The operator's files, and how they looked when we last read them.
    Given { cert: PathBuf, key: PathBuf, seen: Mutex<Seen> },
}

/// What [`CertificateKeeper::refresh`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// The certificate in use is still the right one.
    Unchanged,
    /// Another one is in use now.
    Replaced,
}

impl CertificateKeeper {
    /// Loads the operator's pair, or else the certificate of our authority, which is created and issued as needed.
    ///
    /// # Errors
    /// When there is no certificate that could be shown.
    pub(crate) fn open(
        config: &TlsConfig,
        data: &DataDir,
        names: LeafNames,
        now: Timestamp,
    ) -> Result<Self, anyhow::Error> {
        // Made even when it is not used: `tls/ca.pem` is promised to be there after the first start.
        let authority = Authority::load_or_create(data, now)?;
        if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
            let seen = Seen::of(cert, key);
            let current = RwLock::new(load_pair(cert, key)?);
            let source = Source::Given { cert: cert.clone(), key: key.clone(), seen: Mutex::new(seen) };
            return Ok(Self { current, source });
        }
        if let Err(error) = leaf::ensure(data, &authority, &names, now) {
            // The one that is there may still serve; if it cannot be loaded either, that error is told below.
            tracing::warn!(error = format!("{error:#}"), "The server's certificate could not be renewed");
        }
        let path = leaf::path(data);
        let current = RwLock::new(load_pair(&path, &path)?);
        Ok(Self { current, source: Source::Own { data: data.clone(), authority, names } })
    }

    /// Looks whether another certificate should be shown, and shows it. Reads files: not for a thread that serves.
    ///
    /// # Errors
    /// When there is a new one that cannot be used. The old one stays in use, and the error is not repeated until the
    /// files change again.
    pub(crate) fn refresh(&self, now: Timestamp) -> Result<Refreshed, anyhow::Error> {
        let next = match &self.source {
            Source::Own { data, authority, names } => {
                if !leaf::ensure(data, authority, names, now)? {
                    return Ok(Refreshed::Unchanged);
                }
                load_pair(&leaf::path(data), &leaf::path(data))?
            }
            Source::Given { cert, key, seen } => {
                let now_seen = Seen::of(cert, key);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if *seen == now_seen {
                    return Ok(Refreshed::Unchanged);
                }
                *seen = now_seen;
                load_pair(cert, key)?
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(Refreshed::Replaced)
    }

    /// Whether the operator's files are watched, which is worth a look every few seconds.
    pub(crate) fn watches_files(&self) -> bool {
        matches!(self.source, Source::Given { .. })
    }
}

impl ResolvesServerCert for CertificateKeeper {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl std::fmt::Debug for CertificateKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateKeeper").field("watches_files", &self.watches_files()).finish_non_exhaustive()
    }
}

/// How two files looked: enough to notice that either was written or replaced, also through a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen([Option<(u64, u64, i64, i64)>; 2]);

impl Seen {
    fn of(cert: &Path, key: &Path) -> Self {
        Self([cert, key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
        }))
    }
}

fn load_pair(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, anyhow::Error> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let chain = CertificateDer::pem_slice_iter(&read(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| anyhow!("{} holds no certificate in PEM", cert.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| anyhow!("{} holds no private key in PEM", key.display()))?;
    CertifiedKey::from_der(chain, private, &provider()).map(Arc::new).with_context(|| {
        format!(
            "the certificate {} and the key {} do not belong together or are not usable",
            cert.display(),
            key.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn shown(keeper: &CertificateKeeper) -> Arc<CertifiedKey> {
        keeper.current.read().unwrap().clone()
    }

    #[test]
    fn a_new_pair_is_shown_and_a_broken_one_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::at(&directory.path().join("data"));
        data.create().unwrap();
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        let put = |pair: &(String, String)| {
            // As a secret is updated: aside, then renamed.
            for (path, text) in [(&cert, &pair.0), (&key, &pair.1)] {
                fs::write(path.with_extension("new"), text).unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            }
        };
        put(&pair("one.example"));
        let config = TlsConfig { cert: Some(cert.clone()), key: Some(key.clone()) };
        let names = LeafNames::new(&Default::default(), None);
        let keeper = CertificateKeeper::open(&config, &data, names, NOW).unwrap();
        let first = shown(&keeper);
        assert_eq!(keeper.refresh(NOW).unwrap(), Refreshed::Unchanged);

        put(&pair("two.example"));
        assert_eq!(keeper.refresh(NOW).unwrap(), Refreshed::Replaced);
        let second = shown(&keeper);
        assert_ne!(first.cert, second.cert);

        put(&(pair("three.example").0, pair("three.example").1));
        let message = keeper.refresh(NOW).unwrap_err().to_string();
        assert!(message.contains("cert.pem") && message.contains("key.pem"), "{message}");
        assert_eq!(keeper.refresh(NOW).unwrap(), Refreshed::Unchanged);
        assert_eq!(shown(&keeper).cert, second.cert);
        assert!(data.authority().exists());
    }

    #[test]
    fn our_own_is_renewed_while_running() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::at(directory.path());
        data.create().unwrap();
        let config = TlsConfig { cert: None, key: None };
        let names = LeafNames::new(&Default::default(), None);
        let keeper = CertificateKeeper::open(&config, &data, names, NOW).unwrap();
        let first = shown(&keeper);
        assert_eq!(keeper.refresh(NOW).unwrap(), Refreshed::Unchanged);
        let later = NOW + std::time::Duration::from_secs(350 * 86_400);
        assert_eq!(keeper.refresh(later).unwrap(), Refreshed::Replaced);
        assert_ne!(first.cert, shown(&keeper).cert);
    }
}
