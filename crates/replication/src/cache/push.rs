//! Pushing into repositories that fill themselves.

use std::sync::Arc;

use wharf_metadata::{RegistryRow, cached};
use wharf_model::RepositoryName;

use super::problem::CacheError;
use super::{Cache, Place};

impl Cache {
    /// The rule that keeps a repository from being pushed to, unless the registry's `writableCacheRepos` allows it.
    ///
    /// A repository that somebody made by pushing stays theirs, also inside a wildcard's range. Where a rule fills
    /// everything, new repositories can be made by pushing; otherwise nobody could push at all.
    ///
    /// # Errors
    /// When the stores fail.
    pub async fn find_rule_against_push(
        &self,
        registry: &Arc<RegistryRow>,
        repository: &RepositoryName,
    ) -> Result<Option<String>, CacheError> {
        if registry.settings.writable_cache_repositories {
            return Ok(None);
        }
        let place = Place { registry: registry.clone(), repository: repository.clone() };
        let Some(route) = self.find_route(&place).await? else { return Ok(None) };
        let name = Some(route.rule.name.clone());
        if !route.rule.is_wildcard() {
            return Ok(name);
        }
        let (id, repository) = (registry.id, repository.clone());
        let database = self.0.artifacts.database();
        let found = database.read(move |c| Box::pin(async move { cached::find_repository(c, id, &repository).await }));
        let is_refused = match found.await? {
            Some(found) if found.is_shown => found.is_cached,
            _ => !route.rule.is_for_everything(),
        };
        Ok(if is_refused { name } else { None })
    }
}
