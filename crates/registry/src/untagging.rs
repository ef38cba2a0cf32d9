//! Tags that stop naming a manifest.
//!
//! A tag leaves its manifest when a push moves it, when it is deleted, and when its manifest is. Whoever writes that calls
//! [`Untagging::leave`] in the same transaction, once the tag is off: that is the one place where policies hear of it. With
//! soft delete on, the tag and the manifest that it named go into the trash as a pair, so that either can be restored; with
//! retention on, a manifest that stays without a tag is noted as due.

use std::sync::Arc;

use wharf_metadata::tags::FormerTag;
use wharf_metadata::{Connection, RegistrySettings, trash};
use wharf_model::{ManifestId, RegistryId, RepositoryId, RepositoryName, Timestamp};

use crate::{Target, retention};

/// Who takes tags off manifests, where and when, and what the registry's policies are.
#[derive(Clone, Debug)]
pub(crate) struct Untagging {
    pub(crate) registry: RegistryId,
    pub(crate) settings: Arc<RegistrySettings>,
    pub(crate) repository: RepositoryName,
    pub(crate) actor: String,
    pub(crate) now: Timestamp,
}

/// What becomes of the manifests that tags leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manifests {
    /// They stay.
    Stay,
    /// They are deleted in the same transaction.
    Go,
}

impl Untagging {
    pub(crate) fn new(target: Target<'_>, actor: &str, now: Timestamp) -> Self {
        Self {
            registry: target.registry.id,
            settings: target.registry.settings.clone(),
            repository: target.repository.clone(),
            actor: actor.to_owned(),
            now,
        }
    }

    /// The same for what is destroyed though the registry has soft delete on.
    pub(crate) fn destroying(self) -> Self {
        let settings = RegistrySettings { soft_delete: None, ..(*self.settings).clone() };
        Self { settings: Arc::new(settings), ..self }
    }

    /// To be called when tags have left their manifests, under the lock of the repository's row.
    pub(crate) async fn leave(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        former: &[FormerTag],
        manifests: Manifests,
    ) -> Result<(), wharf_metadata::Error> {
        if let Some(policy) = self.settings.soft_delete
            && !former.is_empty()
        {
            let trash = trash::open(c, self.registry, &self.repository, policy.days).await?;
            trash::insert_tags(c, trash, former, &self.actor, self.now).await?;
        }
        if manifests == Manifests::Stay {
            let left: Vec<ManifestId> = former.iter().map(|tag| tag.manifest).collect();
            self.let_go(c, repository, &left).await?;
        }
        Ok(())
    }

    /// Manifests that stay and were held by a tag or listed by an index until now; perhaps nothing holds them any more.
    pub(crate) async fn let_go(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        manifests: &[ManifestId],
    ) -> Result<(), wharf_metadata::Error> {
        let _ = repository;
        retention::let_go(c, &self.settings, manifests, self.now).await
    }
}
