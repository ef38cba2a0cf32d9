//! What the metadata API shows: repositories, tags and manifests with their attributes. Each list is one indexed query
//! whose cost depends on the page alone, in the order of names as in that of time.

use wharf_metadata::attributes::{self, ManifestAttributes, Position, RepositoryAttributes, TagAttributes};
use wharf_metadata::{Connection, repositories};
use wharf_model::{Digest, RepositoryId, Tag, Timestamp};
use wharf_oci::{Order, ParsedManifest};

use crate::locks::AttributesError;
use crate::{Artifacts, Listing, Page, Target};

/// A manifest with what it lists.
#[derive(Clone, Debug)]
pub struct DescribedManifest {
    /// Its attributes.
    pub attributes: ManifestAttributes,
    /// The manifests that it lists, if it is an index.
    pub related: Vec<RelatedManifest>,
}

/// A manifest that an index lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelatedManifest {
    /// Its digest.
    pub digest: Digest,
    /// The architecture, as the index says.
    pub architecture: Option<String>,
    /// The operating system, as the index says.
    pub os: Option<String>,
}

/// Where in a list something stands, for the link to the next page. In the order of names that is its name; in the orders of
/// time the time goes with it, so that the list can go on even if the thing is deleted or changed meanwhile.
#[must_use]
pub fn cursor(order: Order, name: &str, updated_at: Timestamp) -> String {
    match order {
        Order::Lexical => name.to_owned(),
        Order::TimeAscending | Order::TimeDescending => format!("{name}{SEPARATOR}{}", updated_at.0),
    }
}

impl Artifacts {
    /// Finds a repository that holds a manifest.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn describe_repository(&self, target: Target<'_>) -> Result<RepositoryAttributes, AttributesError> {
        let (registry, name) = (target.registry.id, target.repository.clone());
        let database = &self.inner.database;
        let found: Result<_, wharf_metadata::Error> = database
            .read(move |c| Box::pin(async move { attributes::find_repository(c, registry, &name).await }))
            .await;
        found?.ok_or_else(|| AttributesError::RepositoryUnknown(target.repository.clone()))
    }

    /// Finds a tag.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn describe_tag(&self, target: Target<'_>, tag: &Tag) -> Result<TagAttributes, AttributesError> {
        let (registry, repository, tag) = (target.registry.id, target.repository.clone(), tag.clone());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(id) = repositories::find_shown(c, registry, &repository).await? else {
                    return Err(AttributesError::RepositoryUnknown(repository));
                };
                let found = attributes::find_tag(c, id, &tag).await?;
                found.ok_or(AttributesError::TagUnknown { repository, tag })
            })
        });
        read.await
    }

    /// Lists the tags of a repository that are not hidden; with `digest` only those of one manifest.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn list_tag_attributes(
        &self,
        target: Target<'_>,
        order: Order,
        digest: Option<&Digest>,
        page: Page,
    ) -> Result<Listing<TagAttributes>, AttributesError> {
        let (registry, repository, digest) = (target.registry.id, target.repository.clone(), digest.cloned());
        let (limit, count) = (page.limit, page.count());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(id) = repositories::find_shown(c, registry, &repository).await? else {
                    return Err(AttributesError::RepositoryUnknown(repository));
                };
                let after = position(c, order, page.last, id, Listed::Tags).await?;
                Ok(match digest {
                    Some(digest) => attributes::list_tags_of(c, id, &digest, &after, count).await?,
                    None => attributes::list_tags(c, id, &after, count).await?,
                })
            })
        });
        Ok(Listing::cut(read.await?, limit))
    }

    /// Finds a manifest.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn describe_manifest(
        &self,
        target: Target<'_>,
        digest: &Digest,
    ) -> Result<DescribedManifest, AttributesError> {
        let (registry, repository, digest) = (target.registry.id, target.repository.clone(), digest.clone());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(id) = repositories::find_shown(c, registry, &repository).await? else {
                    return Err(AttributesError::RepositoryUnknown(repository));
                };
                let found = describe(c, id, &digest).await?;
                found.ok_or(AttributesError::ManifestUnknown { repository, digest })
            })
        });
        read.await
    }

    /// Lists the manifests of a repository that are not hidden.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn list_manifest_attributes(
        &self,
        target: Target<'_>,
        order: Order,
        page: Page,
    ) -> Result<Listing<ManifestAttributes>, AttributesError> {
        let (registry, repository) = (target.registry.id, target.repository.clone());
        let (limit, count) = (page.limit, page.count());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let Some(id) = repositories::find_shown(c, registry, &repository).await? else {
                    return Err(AttributesError::RepositoryUnknown(repository));
                };
                let after = position(c, order, page.last, id, Listed::Manifests).await?;
                Ok(attributes::list_manifests(c, id, &after, count).await?)
            })
        });
        Ok(Listing::cut(read.await?, limit))
    }
}

/// A manifest with what it lists.
pub(crate) async fn describe(
    c: &mut Connection,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<DescribedManifest>, wharf_metadata::Error> {
    let Some(attributes) = attributes::find_manifest(c, repository, digest).await? else { return Ok(None) };
    let bytes = attributes::find_manifest_bytes(c, attributes.id).await?.unwrap_or_default();
    Ok(Some(DescribedManifest { related: related(&attributes.media_type, &bytes), attributes }))
}

/// What is listed.
#[derive(Clone, Copy)]
enum Listed {
    Tags,
    Manifests,
}

/// Reads a [`cursor`]. Clients may also send a bare name in the orders of time; then it must still be there.
async fn position(
    c: &mut Connection,
    order: Order,
    last: Option<String>,
    repository: RepositoryId,
    listed: Listed,
) -> Result<Position, AttributesError> {
    let Some(last) = last else {
        return Ok(match order {
            Order::Lexical => Position::Name(String::new()),
            Order::TimeAscending => Position::Ascending(Timestamp(i64::MIN), String::new()),
            Order::TimeDescending => Position::Descending(Timestamp(i64::MAX), String::new()),
        });
    };
    let (name, time) = match last.rsplit_once(SEPARATOR) {
        Some((name, time)) => match time.parse() {
            Ok(time) => (name, Some(Timestamp(time))),
            Err(_) => return Err(AttributesError::PositionUnknown { last }),
        },
        None => (last.as_str(), None),
    };
    if order == Order::Lexical {
        return Ok(Position::Name(name.to_owned()));
    }
    let time = match (time, listed) {
        (Some(time), _) => Some(time),
        (None, Listed::Tags) => attributes::find_tag_time(c, repository, name).await?,
        (None, Listed::Manifests) => attributes::find_manifest_time(c, repository, name).await?,
    };
    match time {
        Some(time) if order == Order::TimeAscending => Ok(Position::Ascending(time, name.to_owned())),
        Some(time) => Ok(Position::Descending(time, name.to_owned())),
        None => Err(AttributesError::PositionUnknown { last }),
    }
}

/// What an index lists.
fn related(media_type: &str, bytes: &[u8]) -> Vec<RelatedManifest> {
    let Ok(parsed) = ParsedManifest::parse(Some(media_type), bytes) else { return Vec::new() };
    let word = |word: String| (!word.is_empty()).then_some(word);
    let relate = |child: wharf_oci::Descriptor| {
        let platform = child.platform.unwrap_or_default();
        RelatedManifest { digest: child.digest, architecture: word(platform.architecture), os: word(platform.os) }
    };
    parsed.children.into_iter().map(relate).collect()
}

/// Stands in no tag and no digest.
const SEPARATOR: char = '@';
