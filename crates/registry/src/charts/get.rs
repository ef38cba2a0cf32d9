//! Reading a file of a chart.

use wharf_model::{Reference, Tag};

use super::{ChartContent, ChartError, ChartFile, ChartFileKind, ChartsTarget};
use crate::{Artifacts, Sight};

impl Artifacts {
    /// Finds the bytes of a file of a chart, for somebody who pulls the chart: whatever keeps its tag from being pulled keeps
    /// these.
    ///
    /// # Errors
    /// [`ChartError`].
    pub async fn find_chart_content(
        &self,
        charts: ChartsTarget<'_>,
        file: &ChartFile,
    ) -> Result<ChartContent, ChartError> {
        let unknown = || ChartError::Unknown(file.name(), charts.home.clone());
        let chart = self.find_chart_file(charts, &file.stem).await?.ok_or_else(unknown)?;
        let repository = charts.repository(&chart.name).ok_or_else(unknown)?;
        let tag: Tag = chart.tag.parse().map_err(|_| unknown())?;
        self.get_manifest(charts.target(&repository), &Reference::Tag(tag), Sight::Passed)
            .await?
            .ok_or_else(unknown)?;
        let digest = match file.kind {
            ChartFileKind::Package => Some(chart.archive_digest),
            ChartFileKind::Provenance => chart.provenance_digest,
        };
        let digest = digest.and_then(|digest| digest.parse().ok()).ok_or_else(unknown)?;
        Ok(ChartContent { repository, digest })
    }
}
