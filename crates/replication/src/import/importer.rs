//! Works off imports.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize as _;
use serde_json::json;
use wharf_identity::Identity;
use wharf_jobs::{End, JobError, JobRow, JobRun, Limits, Outcome, Retry, Worker};
use wharf_metadata::operations::{self, Status};
use wharf_metadata::{Connection, RegistryRow, import_credentials};
use wharf_model::{Clock, Reference, RegistryName};
use wharf_registry::{Artifacts, check_export};
use wharf_upstream::Upstreams;

use super::copy::{Checkpoint, Copying};
use super::error::ImportError;
use super::order::{ImportOrder, ImportSource, KIND, SealedCredentials};
use super::progress::{Counters, ImportProgress};
use super::source::{Place, Source};
use super::tree::Tree;

/// Works off imports. Clones share everything.
#[derive(Clone)]
pub struct Importer {
    artifacts: Artifacts,
    identity: Identity,
    upstreams: Upstreams,
    clock: Arc<dyn Clock>,
}

impl Importer {
    /// One that imports into the registries of `artifacts`.
    #[must_use]
    pub fn new(artifacts: Artifacts, identity: Identity, upstreams: Upstreams, clock: Arc<dyn Clock>) -> Self {
        Self { artifacts, identity, upstreams, clock }
    }

    async fn import(&self, order: &ImportOrder, run: &JobRun) -> Result<ImportProgress, ImportError> {
        let registry = self.registry(&order.registry).await?;
        if run.registry() != Some(registry.id) {
            return Err(ImportError::RegistryGone(order.registry.to_string()));
        }
        let source = Source { place: self.place(order).await?, repository: order.repository.clone() };
        let before = run.state::<Checkpoint>()?;
        let blobs_before = before.as_ref().map_or(0, |checkpoint| checkpoint.blobs);
        let reference = match before {
            Some(checkpoint) => Reference::Digest(checkpoint.root),
            None => order.reference.clone(),
        };
        let counters = Counters::default();
        let work = async {
            let tree = tokio::select! {
                tree = Tree::find(&source, &reference, order.referrers) => tree?,
                () = run.stop().cancelled() => return Err(ImportError::Job(JobError::Stopped)),
            };
            let checkpoint = Checkpoint { root: tree.root.clone(), blobs: blobs_before };
            run.checkpoint(&checkpoint).await?;
            let artifacts = &self.artifacts;
            let (registry, source, counters) = (&registry, &source, &counters);
            let copying = Copying { artifacts, order, registry, source, run, counters, checkpoint: &checkpoint };
            copying.copy(&tree).await
        };
        // Uploads are not dropped half way: they hear of the stop themselves.
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    done?;
                    let bytes = counters.show();
                    return Ok(ImportProgress { percent_complete: 100, step: "Done".to_owned(), ..bytes });
                }
                () = tokio::time::sleep(BETWEEN_REPORTS) => {
                    // A failure to report is one to go on, which the work meets itself.
                    let _ = run.report(&counters.show()).await;
                }
            }
        }
    }

    async fn registry(&self, name: &RegistryName) -> Result<Arc<RegistryRow>, ImportError> {
        let found = self.artifacts.find_registry(name).await?;
        found.ok_or_else(|| ImportError::RegistryGone(name.to_string()))
    }

    async fn place(&self, order: &ImportOrder) -> Result<Place, ImportError> {
        match &order.source {
            ImportSource::Registry(name) => {
                let row = self.registry(name).await?;
                check_export(&row)?;
                Ok(Place::Ours(row, self.artifacts.clone()))
            }
            ImportSource::Upstream(address) => {
                let operation = order.operation;
                let database = self.artifacts.database();
                let sealed = database
                    .read(move |c| Box::pin(async move { import_credentials::find(c, operation).await }))
                    .await?;
                let unseal = |sealed: Vec<u8>| SealedCredentials::unseal(&self.identity, operation, &sealed);
                let credentials = sealed.map(unseal).transpose().map_err(|_| ImportError::CredentialsLost)?;
                Ok(Place::Upstream(Box::new(self.upstreams.client(address, credentials))))
            }
        }
    }
}

#[async_trait]
impl Worker for Importer {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limits(&self) -> Limits {
        let retry = Retry { attempts: 5, first: Duration::from_secs(2), longest: Duration::from_secs(60) };
        Limits { parallel: 4, parallel_per_registry: 2, retry }
    }

    async fn run(&self, run: &JobRun) -> Result<Outcome, JobError> {
        let order: ImportOrder = run.payload()?;
        let what = describe(&order);
        match self.import(&order, run).await {
            Ok(done) => {
                tracing::info!(registry = %order.registry, bytes = done.total_bytes, "Imported {what} into {}", order.registry);
                run.report(&done).await?;
                Outcome::done_with(&done)
            }
            Err(error) => Err(error.into_job_error(&what)),
        }
    }

    /// Ends the operation that is polled, and forgets the credentials.
    async fn ended(&self, c: &mut Connection, job: &JobRow, end: &End) -> Result<(), wharf_metadata::Error> {
        let Ok(order) = ImportOrder::deserialize(&job.payload) else { return Ok(()) };
        import_credentials::delete(c, order.operation).await?;
        let what = describe(&order);
        let (status, error, result) = match end {
            End::Succeeded(result) => (Status::Succeeded, None, Some(result.clone())),
            End::Failed { details: Some(details), .. } => (Status::Failed, Some(details.clone()), None),
            End::Failed { details: None, .. } => {
                let message =
                    format!("{what} was not imported, because of a failure of the server; its log says more.");
                (Status::Failed, Some(json!({"code": "ImportImageFailed", "message": message})), None)
            }
            End::Canceled => {
                let message = format!("The import of {what} was called off.");
                (Status::Canceled, Some(json!({"code": "ImportImageCanceled", "message": message})), None)
            }
        };
        operations::end(c, order.operation, status, error.as_ref(), result.as_ref(), self.clock.now()).await
    }
}

impl fmt::Debug for Importer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Importer").finish_non_exhaustive()
    }
}

/// What is imported, for people.
fn describe(order: &ImportOrder) -> String {
    let place = match &order.source {
        ImportSource::Registry(name) => name.to_string(),
        ImportSource::Upstream(address) => address.to_string(),
    };
    let separator = if matches!(order.reference, Reference::Tag(_)) { ':' } else { '@' };
    format!("{place}/{}{separator}{}", order.repository, order.reference)
}

/// How often it is told how far an import is.
const BETWEEN_REPORTS: Duration = Duration::from_millis(500);
