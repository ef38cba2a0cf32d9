//! Carrying a purge out.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wharf_metadata::{RegistryRow, attributes, pulls, repositories};
use wharf_model::RepositoryName;

use super::filter::{FilterError, Filters, Pattern};
use super::overlay::Overlay;
use super::spec::{PurgeSpec, SpecError};
use super::state::{Bounds, Place, PurgeState, Step};
use super::watch::{PurgeEvent, PurgeItem, PurgeStopped, PurgeWatch, Purged};
use crate::{Artifacts, Error, Removal, Skipped};

/// Why a purge ended before its end. What it removed stays removed.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// What is to be removed cannot be understood.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Matching names with the filters took too long.
    #[error(
        "matching names of {place} with the filters took longer than {} s; write them more simply, or give them more time",
        .limit.as_secs()
    )]
    FilterTimeout {
        /// Whose names.
        place: String,
        /// The limit for a page of them.
        limit: Duration,
    },
    /// Who watches it had it stopped.
    #[error(transparent)]
    Stopped(#[from] PurgeStopped),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for PurgeError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<FilterError> for PurgeError {
    fn from(error: FilterError) -> Self {
        Self::Spec(error.into())
    }
}

impl Artifacts {
    /// Removes from a registry what `spec` says, or finds out what that would be: `state` says whether, and from where to go
    /// on. Returns the state at the end, with the report. Safe to be cut off anywhere, to be run again, and to run beside
    /// others of its kind.
    ///
    /// # Errors
    /// [`PurgeError`].
    pub async fn purge(
        &self,
        registry: &RegistryRow,
        spec: &PurgeSpec,
        actor: &str,
        state: PurgeState,
        watch: &mut dyn PurgeWatch,
    ) -> Result<PurgeState, PurgeError> {
        let run = Run {
            artifacts: self,
            registry,
            spec,
            filters: spec.compile()?,
            bounds: Bounds::of(spec, state.as_of()),
            removal: Removal { actor: actor.to_owned(), include_locked: spec.include_locked, bypass_trash: false },
            state,
            watch,
            overlay: Overlay::default(),
            writes: self.database().statistics().writes.load(Ordering::Relaxed),
        };
        run.run_to_end().await
    }
}

/// A purge at work.
pub(super) struct Run<'a> {
    pub(super) artifacts: &'a Artifacts,
    pub(super) registry: &'a RegistryRow,
    pub(super) spec: &'a PurgeSpec,
    filters: Option<Filters>,
    pub(super) bounds: Bounds,
    pub(super) removal: Removal,
    pub(super) state: PurgeState,
    watch: &'a mut dyn PurgeWatch,
    /// What a dry run pretends to have removed from the repository.
    pub(super) overlay: Overlay,
    /// How many writes this process had done when it was looked last.
    writes: u64,
}

/// A repository that a filter matches.
pub(super) struct Matched {
    pub(super) name: RepositoryName,
    /// What its tags are matched with; `None` where tags do not matter.
    pub(super) tags: Option<Pattern>,
}

impl Run<'_> {
    async fn run_to_end(mut self) -> Result<PurgeState, PurgeError> {
        if self.state.is_complete || !self.can_tell_what_is_unused().await? {
            self.state.is_complete = true;
            return Ok(self.state);
        }
        // The repository in which a run before this one was cut off.
        if let (Some(name), Some(_)) = (&self.state.repository, &self.state.place)
            && let Ok(name) = name.parse()
        {
            let found = self.matched(vec![name]).await?;
            for repository in found {
                self.go_through(repository).await?;
            }
        }
        let mut open = VecDeque::new();
        let mut after = self.state.repository.clone().unwrap_or_default();
        loop {
            if open.is_empty() {
                let (registry, from) = (self.registry.id, after.clone());
                let read = self.artifacts.database().read(move |c| {
                    Box::pin(async move { repositories::list_shown(c, registry, &from, REPOSITORIES).await })
                });
                let names = read.await?;
                let Some(last) = names.last() else { break };
                after = last.clone();
                open.extend(self.matched(names.iter().filter_map(|name| name.parse().ok()).collect()).await?);
                continue;
            }
            if let Some(repository) = open.pop_front() {
                self.state.place = Some(Place::first(self.spec, self.bounds));
                self.go_through(repository).await?;
            }
        }
        self.state.is_complete = true;
        Ok(self.state)
    }

    /// What was pulled is known since pulls are counted; whoever asks for what was not pulled for longer gets nothing.
    async fn can_tell_what_is_unused(&self) -> Result<bool, PurgeError> {
        let Some(used_before) = self.bounds.used_before else { return Ok(true) };
        self.artifacts.flush_pulls().await?;
        let since = self.artifacts.database().read(|c| Box::pin(pulls::counted_since(c))).await?;
        Ok(since.is_some_and(|since| since < used_before))
    }

    /// Those of the repositories that a filter matches.
    async fn matched(&self, names: Vec<RepositoryName>) -> Result<Vec<Matched>, PurgeError> {
        let Some(filters) = self.filters.clone() else {
            return Ok(names.into_iter().map(|name| Matched { name, tags: None }).collect());
        };
        let limit = self.spec.filter_timeout();
        let place = format!("repositories of {}", self.registry.name);
        matching(place, limit, names, move |name| Ok(filters.of_repository(name)?.map(Some)))
            .await
            .map(|found| found.into_iter().map(|(name, tags)| Matched { name, tags }).collect())
    }

    /// Goes through a repository from the state's place on.
    async fn go_through(&mut self, repository: Matched) -> Result<(), PurgeError> {
        let name = repository.name.as_str().to_owned();
        let is_new = self.state.repository.as_deref() != Some(&name);
        self.state.repository = Some(name.clone());
        self.overlay = Overlay::default();
        let (registry, wanted) = (self.registry.id, repository.name.clone());
        let read = self
            .artifacts
            .database()
            .read(move |c| Box::pin(async move { attributes::find_repository(c, registry, &wanted).await }));
        let Some(found) = read.await? else { return self.leave().await };
        self.state.report.repositories += u64::from(is_new);
        if !found.locks.write_enabled {
            self.state.report.skipped.locked_repositories += 1;
            self.watch.told(PurgeEvent::RepositoryLocked { repository: &name }).await?;
            return self.leave().await;
        }
        let mut told = None;
        while let Some(mut place) = self.state.place.take() {
            if told != Some(place.step) {
                told = Some(place.step);
                let what = Purged::from(place.step);
                self.watch.told(PurgeEvent::Begins { repository: &name, what }).await?;
            }
            let is_end = match place.step {
                Step::Tags => self.page_of_tags(&repository, found.id, &mut place).await?,
                Step::Manifests => self.page_of_manifests(&repository, found.id, &mut place).await?,
            };
            self.state.place = if is_end { place.next(self.spec, self.bounds) } else { Some(place) };
            // A dry run cannot go on inside a repository: what it pretends to have removed there would be forgotten.
            if !self.state.report.dry_run || self.state.place.is_none() {
                self.watch.told(PurgeEvent::Kept(&self.state)).await?;
            }
        }
        Ok(())
    }

    /// A repository of which nothing goes.
    async fn leave(&mut self) -> Result<(), PurgeError> {
        self.state.place = None;
        Ok(self.watch.told(PurgeEvent::Kept(&self.state)).await?)
    }

    /// Leaves the database to others for a while after a transaction that began then, if there are others who write.
    pub(super) async fn rest_after(&mut self, began: Instant) {
        let spent = began.elapsed();
        let writes = self.artifacts.database().statistics().writes.load(Ordering::Relaxed);
        let by_others = writes.saturating_sub(self.writes).saturating_sub(OUR_WRITES);
        self.writes = writes;
        if by_others > 0 {
            tokio::time::sleep((spent * REST).min(LONGEST_REST)).await;
        }
    }

    /// Notes that something is removed, and tells.
    pub(super) async fn removed(
        &mut self,
        repository: &RepositoryName,
        item: PurgeItem<'_>,
        was_locked: bool,
    ) -> Result<(), PurgeError> {
        if self.state.report.dry_run {
            self.state.report.note(format!("{repository}{item}"));
        }
        let repository = repository.as_str();
        Ok(self.watch.told(PurgeEvent::Removed { repository, item, was_locked }).await?)
    }

    /// Notes that something stays, and tells.
    pub(super) async fn skipped(
        &mut self,
        repository: &RepositoryName,
        item: PurgeItem<'_>,
        reason: Skipped,
    ) -> Result<(), PurgeError> {
        self.state.report.skip(reason);
        let repository = repository.as_str();
        Ok(self.watch.told(PurgeEvent::Skipped { repository, item, reason }).await?)
    }
}

/// What `choose` finds for each of these names and the like, within a time limit. On a thread of its own: an expression may
/// take long.
pub(super) async fn matching<T: Send + 'static, F: Send + 'static>(
    place: String,
    limit: Duration,
    items: Vec<T>,
    choose: impl Fn(&T) -> Result<Option<F>, FilterError> + Send + 'static,
) -> Result<Vec<(T, F)>, PurgeError> {
    let work = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let mut found = Vec::new();
        for item in items {
            if let Some(choice) = choose(&item)? {
                found.push((item, choice));
            }
            if began.elapsed() > limit {
                return Err(PurgeError::FilterTimeout { place, limit });
            }
        }
        Ok(found)
    });
    // It is not cancelled, so it can only have panicked.
    work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// How many repositories are looked at together.
const REPOSITORIES: i64 = 100;

/// How many tags or manifests a page has.
pub(super) const PAGE: i64 = 400;

/// How many one transaction removes. Fewer take longer altogether, since each transaction waits for the disk.
pub(super) const AT_ONCE: usize = 200;

/// How many times as long as its transactions take a purge leaves the database to others who write.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(2);

/// Writes of our own between two looks: the removal, and what keeps the place.
const OUR_WRITES: u64 = 2;
