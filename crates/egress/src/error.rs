//! What can go wrong with a request that goes out.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use url::Url;

/// Why a request was not answered. Cloneable, since many may wait for one request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EgressError {
    /// No URL that can be asked.
    #[error("{url:?} is no address that can be asked; it must begin with https:// or http://")]
    Url {
        /// The URL without query and user.
        url: String,
    },
    /// It leads to an internal address that the operator has not allowed.
    #[error("{host} is an internal address; the operator can allow it with --allow-internal")]
    Internal {
        /// The host.
        host: String,
    },
    /// The certificates to be trusted are none.
    #[error("the certificates of the authority are not in PEM")]
    Authority,
    /// The machine's certificates could not be read.
    #[error("no client could be set up")]
    Setup(#[source] Arc<reqwest::Error>),
    /// It took too long.
    #[error("{url} did not answer within {seconds} seconds")]
    TooSlow {
        /// The URL without query and user.
        url: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The answer is too long.
    #[error("the answer of {url} is longer than {most_bytes} bytes")]
    TooLarge {
        /// The URL without query and user.
        url: String,
        /// The longest that is read.
        most_bytes: usize,
    },
    /// It could not be reached, or did not answer properly.
    #[error("{url} cannot be reached")]
    Failed {
        /// The URL without query and user.
        url: String,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
}

pub(crate) fn failure(url: &Url, error: reqwest::Error) -> EgressError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(NothingAllowed { host }) = error.downcast_ref() {
            return EgressError::Internal { host: host.clone() };
        }
        cause = error.source();
    }
    // The URL is told once, by us, and without what may be secret in it.
    let error = error.without_url();
    EgressError::Failed { url: shown(url), source: Arc::new(error) }
}

/// A URL for messages: without user, password, query and fragment, any of which may hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}

/// All addresses of a name are internal.
#[derive(Debug)]
pub(crate) struct NothingAllowed {
    pub(crate) host: String,
}

impl fmt::Display for NothingAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leads to internal addresses only", self.host)
    }
}

impl StdError for NothingAllowed {}
