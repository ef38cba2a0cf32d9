//! Deleting charts.

use wharf_metadata::charts;
use wharf_metadata::repositories;
use wharf_model::{Digest, Reference};

use super::{ChartError, ChartFile, ChartFileKind, ChartsTarget};
use crate::locks::{Locked, check_deletable};
use crate::{Artifacts, DeleteManifestError, ManifestRemoval, OnlyIf, Removal, Removed, Skipped};

impl Artifacts {
    /// Deletes a version of a chart, with every tag that it has, or its provenance alone.
    ///
    /// # Errors
    /// [`ChartError`].
    pub async fn delete_chart_file(
        &self,
        charts: ChartsTarget<'_>,
        file: &ChartFile,
        actor: &str,
    ) -> Result<(), ChartError> {
        let name = file.name();
        let unknown = || ChartError::Unknown(name.clone(), charts.home.clone());
        let chart = self.find_chart_file(charts, &file.stem).await?.ok_or_else(unknown)?;
        if file.kind == ChartFileKind::Provenance {
            if chart.provenance_digest.is_none() {
                return Err(unknown());
            }
            return self.set_provenance(charts, &name, &chart, None, actor.to_owned()).await;
        }
        let repository = charts.repository(&chart.name).ok_or_else(unknown)?;
        let digest: Digest = chart.digest.parse().map_err(|_| unknown())?;
        match self.delete_manifest(charts.target(&repository), &Reference::Digest(digest), actor).await {
            Err(DeleteManifestError::RepositoryUnknown { .. } | DeleteManifestError::ManifestUnknown { .. }) => {
                Err(unknown())
            }
            deleted => Ok(deleted?),
        }
    }

    /// Deletes a chart in all its versions. What else is in its repository stays. If a lock keeps one of them, nothing is
    /// deleted; if one is locked while they are being deleted, those that went before it are gone.
    ///
    /// # Errors
    /// [`ChartError`].
    pub async fn delete_chart(&self, charts: ChartsTarget<'_>, chart: &str, actor: &str) -> Result<(), ChartError> {
        let unknown = || ChartError::Unknown(chart.to_owned(), charts.home.clone());
        let repository = charts.repository(chart).ok_or_else(unknown)?;
        let digests = self.find_deletable(charts, chart).await?;
        if digests.is_empty() {
            return Err(unknown());
        }
        let items: Vec<ManifestRemoval> =
            digests.into_iter().map(|digest| ManifestRemoval { digest, only_if: OnlyIf::default() }).collect();
        let removal = Removal { actor: actor.to_owned(), include_locked: false, bypass_trash: false };
        let outcomes = self.remove_manifests(charts.target(&repository), &items, &removal, None).await?;
        let locked = outcomes.iter().position(|outcome| *outcome == Removed::Skipped(Skipped::Locked));
        match locked {
            Some(position) => {
                let digest = items[position].digest.to_string();
                Err(Locked::Manifest { repository, digest }.into())
            }
            None => Ok(()),
        }
    }

    /// The manifests of all versions of a chart.
    ///
    /// # Errors
    /// [`ChartError::Locked`] if one of them, or the repository, may not be deleted.
    async fn find_deletable(&self, target: ChartsTarget<'_>, chart: &str) -> Result<Vec<Digest>, ChartError> {
        let Some(repository) = target.repository(chart) else { return Ok(Vec::new()) };
        let (registry, home, chart) = (target.registry.id, target.home.clone(), chart.to_owned());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let rows = charts::list_all(c, registry, home.as_str(), &chart).await?;
                let Some(id) = repositories::find_shown(c, registry, &repository).await? else {
                    return Ok(Vec::new());
                };
                let ids: Vec<_> = rows.iter().map(charts::ChartRow::manifest).collect();
                if !ids.is_empty() {
                    check_deletable(c, id, &repository, &ids).await??;
                }
                Ok::<_, ChartError>(rows.into_iter().filter_map(|row| row.digest.parse().ok()).collect())
            })
        });
        read.await
    }
}
