//! Fetching a blob: once for all who want it, whoever of them leaves.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::timeout;
use wharf_blobs::Blob;
use wharf_metadata::{blobs, cached};
use wharf_model::Digest;
use wharf_registry::{BlobFill, BodyError, UploadError};
use wharf_upstream::{BlobStream, UpstreamError};

use super::problem::Problem;
use super::rules::Route;
use super::{Cache, Place};

/// A blob that is being fetched.
#[derive(Debug)]
pub(super) struct Fill(watch::Receiver<State>);

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Nothing can be read yet.
    Starting,
    /// Its bytes can be read as they come.
    Flowing(Flow),
    /// It is stored.
    Done,
    /// It came to nothing.
    Failed(Problem),
}

/// A blob whose bytes can be read as they come.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) blob: Arc<dyn Blob>,
    /// How many bytes can be read. The last ones may be known to be right before they can be read.
    pub(super) written: watch::Receiver<u64>,
    /// How many there will be, if that is known; it is once they are verified.
    pub(super) size_bytes: Option<u64>,
    /// Whether all are there and are the right ones.
    pub(super) is_verified: bool,
}

impl Fill {
    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.0.clone()
    }

    /// Waits until it can be read or is over.
    pub(super) async fn begun(&self) -> State {
        let mut state = self.state();
        let begun = state.wait_for(|state| !matches!(state, State::Starting)).await.map(|state| state.clone());
        begun.unwrap_or_else(|_| interrupted())
    }

    /// Waits until it is over.
    pub(super) async fn ended(&self) -> Result<(), Problem> {
        let mut state = self.state();
        let ended = state.wait_for(|state| matches!(state, State::Done | State::Failed(_))).await;
        match ended.map(|state| state.clone()).unwrap_or_else(|_| interrupted()) {
            State::Failed(problem) => Err(problem),
            _ => Ok(()),
        }
    }
}

fn interrupted() -> State {
    State::Failed(Problem::Store("the fetch was interrupted".into()))
}

impl Cache {
    /// The fetch of a blob that is under way, or a new one.
    pub(super) fn fill(&self, place: &Place, route: &Route, digest: &Digest) -> Arc<Fill> {
        let key = place.digest_key(digest);
        let mut fills = self.0.fills();
        if let Some(fill) = fills.get(&key) {
            return fill.clone();
        }
        let (sender, receiver) = watch::channel(State::Starting);
        let fill = Arc::new(Fill(receiver));
        fills.insert(key.clone(), fill.clone());
        drop(fills);
        let landing = Landing { cache: self.clone(), key };
        let (cache, place, route, digest) = (self.clone(), place.clone(), route.clone(), digest.clone());
        self.0.tasks.spawn(async move {
            let ended = match cache.run(&place, &route, &digest, &sender).await {
                Ok(()) => State::Done,
                Err(problem) if problem.is_transient() || problem.is_not_found() => {
                    State::Failed(cache.failed(&route, problem).await)
                }
                Err(problem) => {
                    let rule = &route.rule.name;
                    tracing::warn!(%rule, upstream = %route.rule.address(), repository = %place.repository, %digest,
                        "The cache rule {rule} did not get the blob {digest}: {problem}");
                    State::Failed(cache.failed(&route, problem).await)
                }
            };
            // Whoever comes from now on looks whether it is here, and else tries again.
            drop(landing);
            sender.send_replace(ended);
        });
        fill
    }

    /// Fetches a blob that nobody asked for yet, unless it is here.
    pub(super) async fn fetch_ahead(
        &self,
        place: &Place,
        route: &Route,
        digest: &Digest,
        size_bytes: Option<u64>,
    ) -> Result<(), Problem> {
        if self.0.artifacts.renew_blob(place.target(), digest).await.map_err(Problem::store)?.is_some() {
            return Ok(());
        }
        if let Some(size_bytes) = size_bytes {
            self.0.sizes.insert(place.digest_key(digest), size_bytes);
        }
        let turn = self.0.ahead.acquire().await;
        let ended = self.fill(place, route, digest).ended().await;
        drop(turn);
        ended
    }

    async fn run(
        &self,
        place: &Place,
        route: &Route,
        digest: &Digest,
        state: &watch::Sender<State>,
    ) -> Result<(), Problem> {
        // It may have come between the look of whoever asked and this.
        if self.0.artifacts.renew_blob(place.target(), digest).await.map_err(Problem::store)?.is_some() {
            return Ok(());
        }
        let client = self.client(route).await?;
        let mut fetched = client.open_blob(&route.upstream, digest, 0).await?;
        if let Some(size_bytes) = self.0.sizes.get(&place.digest_key(digest)) {
            fetched = fetched.expecting(size_bytes)?;
        }
        self.note(route, None).await;
        // It has the blob and lets us read it: then the bytes may come from a repository here that got them from it.
        if self.mount(place, route, digest).await.map_err(Problem::store)? {
            return Ok(());
        }
        let limit = self.0.artifacts.settings().inline_limit_bytes;
        match fetched.size_bytes() {
            Some(size_bytes) if size_bytes <= limit => self.take_small(place, digest, fetched, size_bytes).await,
            size_bytes => {
                let (registry, repository) = (place.registry.clone(), place.repository.clone());
                let begun = self.0.artifacts.begin_fill(registry, repository, digest.clone()).await;
                let mut fill = begun.map_err(Problem::store)?;
                match take_large(&mut fill, fetched, size_bytes, route, state).await {
                    Ok(()) => fill.finish().await.map_err(Problem::store),
                    Err(problem) => {
                        // What remains is the collector's.
                        let _ = fill.abandon().await;
                        Err(problem)
                    }
                }
            }
        }
    }

    /// A blob that is kept beside its metadata: it comes whole or not at all.
    async fn take_small(
        &self,
        place: &Place,
        digest: &Digest,
        mut fetched: BlobStream,
        size_bytes: u64,
    ) -> Result<(), Problem> {
        let mut whole = BytesMut::new();
        while let Some(piece) = fetched.next_piece().await? {
            whole.extend_from_slice(&piece);
        }
        let upload = self.0.artifacts.start_upload(digest.algorithm());
        let body = stream::iter([Ok::<Bytes, BodyError>(whole.freeze())]);
        let length = Some(size_bytes);
        let artifacts = &self.0.artifacts;
        match artifacts.complete_upload(place.target(), &upload, None, body, length, digest).await {
            Err(UploadError::DigestMismatch { actual, .. }) => Err(lied(fetched_from(place), digest, &actual)),
            outcome => outcome.map_err(Problem::store),
        }
    }

    /// Links a blob from a repository of the registry that a rule fills from the same registry with the same credentials.
    async fn mount(&self, place: &Place, route: &Route, digest: &Digest) -> Result<bool, wharf_registry::Error> {
        let (registry, wanted) = (place.registry.id, digest.clone());
        let holders = self.0.artifacts.database().read(move |c| {
            Box::pin(async move {
                let mut filled = Vec::new();
                for holder in blobs::list_holders(c, registry, &wanted, HOLDERS_TRIED).await? {
                    let found = cached::find_repository(c, registry, &holder).await?;
                    if found.is_some_and(|found| found.is_cached && found.is_unlocked) {
                        filled.push(holder);
                    }
                }
                Ok::<_, wharf_metadata::Error>(filled)
            })
        });
        let database = self.0.artifacts.database();
        for holder in holders.await? {
            let other = self.0.rules.find(database, &place.registry, &holder).await?;
            if other.is_some_and(|other| other.rule.is_alike(&route.rule)) {
                let mounted = self.0.artifacts.mount_blob(place.target(), Some(&holder), digest, &|_| true).await;
                match mounted {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(wharf_registry::ContentError::Store(error)) => return Err(error),
                    Err(_) => return Ok(false),
                }
            }
        }
        Ok(false)
    }
}

/// Takes the bytes, lets others read them, and compares the digest at the end.
async fn take_large(
    fill: &mut BlobFill,
    fetched: BlobStream,
    size_bytes: Option<u64>,
    route: &Route,
    state: &watch::Sender<State>,
) -> Result<(), Problem> {
    let mut pieces = fetched.into_stream();
    let growing = fill.growing();
    let mut flow = None;
    let mut is_flushed = true;
    loop {
        let piece = match is_flushed {
            true => pieces.next().await,
            // When nothing more comes for a moment, what came is to be read.
            false => match timeout(MOMENT, pieces.next()).await {
                Ok(piece) => piece,
                Err(_) => {
                    fill.flush().await.map_err(Problem::store)?;
                    is_flushed = true;
                    continue;
                }
            },
        };
        let Some(piece) = piece else { break };
        fill.write(piece?).await.map_err(Problem::store)?;
        if size_bytes.is_none() && fill.length() > MOST_UNMEASURED {
            let (registry, what) = (route.rule.address().to_string(), "a blob whose size it does not tell".to_owned());
            return Err(UpstreamError::TooLarge { registry, what, limit_bytes: MOST_UNMEASURED }.into());
        }
        is_flushed = false;
        if flow.is_none() {
            // The first bytes are what clients wait for.
            fill.flush().await.map_err(Problem::store)?;
            let mut written = growing.written();
            let has_begun = written.wait_for(|&length| length > 0).await.is_ok();
            if has_begun {
                let blob = growing.open().await.map_err(Problem::store)?;
                let begun = Flow { blob, written: growing.written(), size_bytes, is_verified: false };
                state.send_replace(State::Flowing(begun.clone()));
                flow = Some(begun);
            }
        }
    }
    match fill.verify().await {
        Err(UploadError::DigestMismatch { expected, actual }) => {
            Err(lied(route.rule.address().to_string(), &expected, &actual))
        }
        Err(error) => Err(Problem::store(error)),
        Ok(()) => {
            if let Some(flow) = flow {
                let size_bytes = Some(fill.length());
                state.send_replace(State::Flowing(Flow { is_verified: true, size_bytes, ..flow }));
            }
            Ok(())
        }
    }
}

fn fetched_from(place: &Place) -> String {
    format!("the registry that {} comes from", place.repository)
}

fn lied(registry: String, expected: &Digest, actual: &Digest) -> Problem {
    let (what, reason) = (format!("the blob {expected}"), format!("its bytes have the digest {actual}"));
    UpstreamError::Lied { registry, what, reason }.into()
}

/// Ends the entry of a fetch, however it ended.
struct Landing {
    cache: Cache,
    key: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.cache.0.fills().remove(&self.key);
    }
}

/// How long bytes that came may wait for more before they are handed on.
const MOMENT: Duration = Duration::from_millis(5);
/// The largest blob that is taken from a registry that does not say how large it is, where no manifest does either.
const MOST_UNMEASURED: u64 = 10 << 30;
/// How many repositories that hold a blob are looked at.
const HOLDERS_TRIED: i64 = 100;
