//! What is in the trash.

use wharf_metadata::trash::{self, DeletedManifest, DeletedTag, TagPosition, TrashId};
use wharf_metadata::{Connection, RegistryRow, repositories};
use wharf_model::{RegistryId, RepositoryName, Timestamp};

use crate::locks::AttributesError;
use crate::{Artifacts, Error, Listing, Page, Target};

/// Where in the list of deleted tags something stands, for the link to the next page: a tag may be there several times.
#[must_use]
pub fn trash_cursor(position: &TagPosition) -> String {
    let TagPosition { name, deleted_at, manifest } = position;
    format!("{name}{SEPARATOR}{}.{manifest}", deleted_at.0)
}

impl Artifacts {
    /// Lists the repositories that something was deleted from, by name.
    ///
    /// # Errors
    /// When the metadata cannot be read.
    pub async fn list_deleted_repositories(
        &self,
        registry: &RegistryRow,
        page: Page,
    ) -> Result<Listing<String>, Error> {
        let (id, limit, count) = (registry.id, page.limit, page.count());
        let after = page.last.unwrap_or_default();
        let database = &self.inner.database;
        let items = database
            .read(move |c| Box::pin(async move { trash::list_repositories(c, id, &after, count).await }))
            .await?;
        Ok(Listing::cut(items, limit))
    }

    /// Lists the manifests that were deleted from a repository, by digest.
    ///
    /// # Errors
    /// [`AttributesError`]; the repository is unknown if there is none, and nothing of its name in the trash.
    pub async fn list_deleted_manifests(
        &self,
        target: Target<'_>,
        page: Page,
    ) -> Result<Listing<DeletedManifest>, AttributesError> {
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let (limit, count) = (page.limit, page.count());
        let after = page.last.unwrap_or_default();
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(trash) = find(c, registry, &repository).await? else { return Ok(Vec::new()) };
                Ok::<_, AttributesError>(trash::list_manifests(c, trash, &after, count).await?)
            })
        });
        Ok(Listing::cut(read.await?, limit))
    }

    /// Lists the tags that were deleted from a repository, each as often as it was, by name and the oldest first.
    ///
    /// # Errors
    /// [`AttributesError`]; the repository is unknown if there is none, and nothing of its name in the trash.
    pub async fn list_deleted_tags(
        &self,
        target: Target<'_>,
        page: Page,
    ) -> Result<Listing<DeletedTag>, AttributesError> {
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let (limit, count) = (page.limit, page.count());
        let after = position(page.last)?;
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(trash) = find(c, registry, &repository).await? else { return Ok(Vec::new()) };
                Ok::<_, AttributesError>(trash::list_tags(c, trash, &after, count).await?)
            })
        });
        Ok(Listing::cut(read.await?, limit))
    }
}

/// The trash of a repository; `None` if the repository is there and nothing of it was deleted.
async fn find(
    c: &mut Connection,
    registry: RegistryId,
    repository: &RepositoryName,
) -> Result<Option<TrashId>, AttributesError> {
    match trash::find(c, registry, repository).await? {
        Some(trash) => Ok(Some(trash)),
        None if repositories::find_shown(c, registry, repository).await?.is_some() => Ok(None),
        None => Err(AttributesError::RepositoryUnknown(repository.clone())),
    }
}

/// Reads a [`trash_cursor`]. Behind a bare name the list goes on with the next name.
fn position(last: Option<String>) -> Result<TagPosition, AttributesError> {
    let Some(last) = last else {
        return Ok(TagPosition { name: String::new(), deleted_at: Timestamp(0), manifest: 0 });
    };
    let Some((name, place)) = last.rsplit_once(SEPARATOR) else {
        return Ok(TagPosition { name: last, deleted_at: Timestamp(i64::MAX), manifest: i64::MAX });
    };
    let place = place.split_once('.').and_then(|(time, manifest)| Some((time.parse().ok()?, manifest.parse().ok()?)));
    match place {
        Some((time, manifest)) => Ok(TagPosition { name: name.to_owned(), deleted_at: Timestamp(time), manifest }),
        None => Err(AttributesError::PositionUnknown { last }),
    }
}

/// Stands in no tag.
const SEPARATOR: char = '@';
