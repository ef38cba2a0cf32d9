//! HTTPS: the authority, the server's certificate, and keeping it fresh.
//!
//! ```text
//! authority   tls/ca.pem, ca.key      made once; clients trust it
//!   └─ leaf   tls/server.pem          issued by it for our names, renewed in time
//! keeper      what a handshake shows: the leaf, or the operator's own pair, read again when its files change
//! ```

mod authority;
mod keeper;
mod leaf;

use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::ResolvesServerCert;
use wharf_model::Timestamp;

pub(crate) use self::authority::Authority;
pub(crate) use self::keeper::{CertificateKeeper, Refreshed};
pub(crate) use self::leaf::LeafNames;

/// The configuration of every HTTPS connection: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, sessions resumed by ticket.
///
/// # Errors
/// When the provider of cryptography has no random numbers.
pub(crate) fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, anyhow::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("the TLS library offers no protocol version")?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().context("cannot make keys for TLS session tickets")?;
    Ok(Arc::new(config))
}

/// The one provider of cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A validity from the day before `now` until `days` after it.
///
/// Whole days, because a client whose clock is a little behind must not find the certificate not yet valid.
fn set_validity(params: &mut rcgen::CertificateParams, now: Timestamp, days: i64) {
    use chrono::Datelike as _;

    let midnight = |days: i64| {
        let seconds = now.unix_seconds().saturating_add(days * 86_400);
        let date = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default().date_naive();
        let part = |value: u32| u8::try_from(value).expect("months and days are below 32");
        rcgen::date_time_ymd(date.year(), part(date.month()), part(date.day()))
    };
    params.not_before = midnight(-1);
    params.not_after = midnight(days);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_in_whole_days() {
        let mut params = rcgen::CertificateParams::default();
        set_validity(&mut params, Timestamp::from_unix_seconds(2 * 86_400 - 1), 31);
        assert_eq!(params.not_before, rcgen::date_time_ymd(1970, 1, 1));
        assert_eq!(params.not_after, rcgen::date_time_ymd(1970, 2, 2));
    }
}
