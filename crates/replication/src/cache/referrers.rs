//! What refers to a manifest, here and where it comes from.

use std::collections::BTreeMap;
use std::sync::Arc;

use wharf_metadata::RegistryRow;
use wharf_model::{Digest, RepositoryName};
use wharf_oci::Descriptor;
use wharf_registry::{Listing, Page, Sight, Target};

use super::problem::{CacheError, Problem};
use super::rules::Route;
use super::{AskedReferrers, Cache, Place};

impl Cache {
    /// Lists the manifests whose subject is `subject`, by digest: those that are here, and those that are where a rule takes
    /// the repository from, which are stored when they are pulled. While that registry does not answer, what it last said
    /// counts.
    ///
    /// # Errors
    /// When the stores fail.
    pub async fn list_referrers(
        &self,
        registry: &Arc<RegistryRow>,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        page: Page,
        sight: Sight,
    ) -> Result<Listing<Descriptor>, CacheError> {
        let target = Target { registry, repository };
        let place = Place { registry: registry.clone(), repository: repository.clone() };
        let limit = page.limit;
        let after = page.last.clone().unwrap_or_default();
        let here = self.0.artifacts.list_referrers(target, subject, artifact_type, page, sight);
        // What comes from elsewhere is in quarantine until it was stored and looked at.
        let is_hidden = registry.settings.quarantine && sight == Sight::Passed;
        let route = match is_hidden {
            true => None,
            false => self.admit(&place).await?,
        };
        let here = here.await.map_err(CacheError::from)?;
        let Some(route) = route else { return Ok(here) };
        let asked = self.ask_referrers(&place, &route, subject).await;
        let Ok(elsewhere) = &asked.found else { return Ok(here) };
        // Behind the end of a page that was cut nothing is known of what is here.
        let end = here.more.then(|| here.items.last().map(|last| last.digest.clone())).flatten();
        let is_wanted = |descriptor: &&Descriptor| {
            artifact_type.is_none_or(|wanted| descriptor.artifact_type.as_deref() == Some(wanted))
                && descriptor.digest.as_str() > after.as_str()
                && end.as_ref().is_none_or(|end| descriptor.digest <= *end)
        };
        let mut merged: BTreeMap<String, Descriptor> = BTreeMap::new();
        let more = here.more;
        for descriptor in elsewhere.iter().filter(is_wanted).cloned().chain(here.items) {
            merged.insert(descriptor.digest.as_str().to_owned(), descriptor);
        }
        let count = merged.len();
        let items: Vec<Descriptor> = merged.into_values().take(limit).collect();
        Ok(Listing { more: more || count > limit, items })
    }

    async fn ask_referrers(&self, place: &Place, route: &Route, subject: &Digest) -> Arc<AskedReferrers> {
        let key = place.digest_key(subject);
        let known = self.0.referrers.get(&key);
        if let Some(known) = &known
            && self.now().since(known.at) < self.0.settings.fresh_for
        {
            return known.clone();
        }
        let asked = self.0.listing.join(&key, || {
            let (cache, place, route, subject, key) =
                (self.clone(), place.clone(), route.clone(), subject.clone(), key.clone());
            async move {
                let _under_way = cache.0.tasks.begin();
                let found = cache.list_elsewhere(&route, &subject).await;
                if let Ok(descriptors) = &found {
                    let (cache, descriptors) = (cache.clone(), descriptors.clone());
                    let (place, route) = (place.clone(), route.clone());
                    let tasks = cache.0.tasks.clone();
                    tasks.spawn(async move { cache.store_referrers(&place, &route, &descriptors).await });
                }
                // What was known before goes on counting when nothing new could be had.
                let found = match (found, known) {
                    (Err(_), Some(known)) => known.found.clone(),
                    (found, _) => found,
                };
                let asked = Arc::new(AskedReferrers { at: cache.now(), found });
                cache.0.referrers.insert(key, asked.clone());
                asked
            }
        });
        let interrupted = || {
            let found = Err(Problem::Store("the request was interrupted".into()));
            Arc::new(AskedReferrers { at: self.now(), found })
        };
        asked.await.unwrap_or_else(interrupted)
    }

    async fn list_elsewhere(&self, route: &Route, subject: &Digest) -> Result<Vec<Descriptor>, Problem> {
        let client = self.client(route).await?;
        match client.list_referrers(&route.upstream, subject).await {
            Ok(descriptors) => {
                self.note(route, None).await;
                Ok(descriptors)
            }
            Err(error) => Err(self.failed(route, error.into()).await),
        }
    }

    /// Stores the manifests that refer to the subject, so that they are here when their registry is not. Signatures and bills
    /// of materials are small; what is not is left for whoever pulls it.
    async fn store_referrers(&self, place: &Place, route: &Route, descriptors: &[Descriptor]) {
        for descriptor in descriptors.iter().take(MOST_STORED) {
            if descriptor.size > LARGEST_STORED {
                continue;
            }
            let reference = wharf_model::Reference::Digest(descriptor.digest.clone());
            let here = self.0.artifacts.get_manifest(place.target(), &reference, Sight::Everything).await;
            if !matches!(here, Ok(None)) {
                continue;
            }
            // What could not be had was noted; the list is answered all the same.
            if self.fetch(place, route, &descriptor.digest, None).await.is_err() {
                return;
            }
        }
    }
}

/// How many referrers of one manifest are stored before anybody pulls them.
const MOST_STORED: usize = 20;
/// The largest manifest among them.
const LARGEST_STORED: u64 = 64 << 10;
