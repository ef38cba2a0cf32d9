//! The handles: all other registries, and one of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use wharf_egress::{Egress, EgressClient, EgressError};
use wharf_model::{RepositoryName, Tag};

use crate::request::Ask;
use crate::scheme::Scheme;
use crate::sign_in::Tokens;
use crate::{Credentials, UpstreamAddress, UpstreamError, UpstreamSettings};

/// All other registries. Clones share everything.
#[derive(Clone)]
pub struct Upstreams {
    pub(crate) inner: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) http: EgressClient,
    pub(crate) settings: UpstreamSettings,
    /// Which of the two this machine's registries turned out to speak.
    pub(crate) schemes: Mutex<HashMap<UpstreamAddress, Scheme>>,
}

/// One other registry, signed in to with one set of credentials or none. Clones share its tokens.
#[derive(Clone)]
pub struct UpstreamClient {
    pub(crate) upstreams: Upstreams,
    pub(crate) address: UpstreamAddress,
    /// The address as it is told in messages.
    pub(crate) name: Arc<str>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) attempts: u32,
    pub(crate) longest_wait: Duration,
}

impl Upstreams {
    /// Other registries, reached through `egress`.
    ///
    /// # Errors
    /// When the certificates of the settings are none, or those of the machine cannot be read.
    pub fn new(egress: &Egress, settings: UpstreamSettings) -> Result<Self, EgressError> {
        let http = egress.client(settings.authority.as_deref())?.with_patience(settings.patience);
        Ok(Self { inner: Arc::new(Shared { http, settings, schemes: Mutex::default() }) })
    }

    /// One of them. Whoever asks it often keeps the client, which keeps the tokens.
    #[must_use]
    pub fn client(&self, address: &UpstreamAddress, credentials: Option<Credentials>) -> UpstreamClient {
        UpstreamClient {
            upstreams: self.clone(),
            address: address.clone(),
            name: address.to_string().into(),
            credentials,
            tokens: Arc::default(),
            attempts: ATTEMPTS,
            longest_wait: LONGEST_WAIT,
        }
    }

    pub(crate) fn schemes(&self) -> std::sync::MutexGuard<'_, HashMap<UpstreamAddress, Scheme>> {
        self.inner.schemes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UpstreamClient {
    /// The same client, which asks at most `attempts` times while the answer is that it may succeed later, and waits no
    /// longer than `longest_wait` in between.
    #[must_use]
    pub fn patience(self, attempts: u32, longest_wait: Duration) -> Self {
        Self { attempts: attempts.max(1), longest_wait, ..self }
    }

    /// Whose client this is.
    #[must_use]
    pub fn address(&self) -> &UpstreamAddress {
        &self.address
    }

    /// Whether it is there and lets us in.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn check(&self) -> Result<(), UpstreamError> {
        let answer = self.ask(&Ask::get("v2/".to_owned(), None, "its API".to_owned())).await?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            _ => Err(answer.into_error().await),
        }
    }

    /// The tags of a repository in its order, `limit` at most, those behind `after`.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn list_tags(
        &self,
        repository: &RepositoryName,
        after: Option<&Tag>,
        limit: u32,
    ) -> Result<Vec<Tag>, UpstreamError> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let after = after.map(|tag| format!("&last={tag}")).unwrap_or_default();
        let path = format!("v2/{repository}/tags/list?n={limit}{after}");
        let what = format!("the list of tags of {repository}");
        let answer = self.ask(&Ask::get(path, Some(repository), what.clone())).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.into_error().await);
        }
        let page: Page = answer.read_json(PAGE_BYTES).await?;
        // What is no tag cannot be asked for.
        let tags = page.tags.unwrap_or_default().into_iter().filter_map(|tag| tag.parse().ok());
        Ok(tags.take(limit as usize).collect())
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for UpstreamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamClient").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How often is asked, unless told otherwise.
const ATTEMPTS: u32 = 4;
/// How long is waited in between at most, unless told otherwise.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The largest page of a list that is read.
pub(crate) const PAGE_BYTES: usize = 4 << 20;
