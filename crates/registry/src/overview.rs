//! The repositories of a registry with their figures, for operators.

use wharf_metadata::RegistryRow;
use wharf_metadata::attributes::{self, RepositoryAttributes, RepositoryPosition};

use crate::{Artifacts, Error};

impl Artifacts {
    /// Lists repositories, also those that a lock hides from the catalog, in the order that `after` tells: one range of an
    /// index, however many there are.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn list_repository_attributes(
        &self,
        registry: &RegistryRow,
        after: &RepositoryPosition,
        limit: usize,
    ) -> Result<Vec<RepositoryAttributes>, Error> {
        let (registry, after) = (registry.id, after.clone());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = self
            .inner
            .database
            .read(move |c| Box::pin(async move { attributes::list_repositories(c, registry, &after, limit).await }));
        Ok(read.await?)
    }
}
