//! Reading lists page by page, in the order that was asked for.
//!
//! Where an index has the order, as much is read as is shown. Where none has it, everything is read and the first items are
//! kept: memory is bounded by what is shown.

use std::cmp::Reverse;
use std::collections::HashSet;

use wharf_metadata::RegistryRow;
use wharf_metadata::attributes::{RepositoryAttributes, RepositoryPosition};
use wharf_model::{RepositoryId, Timestamp};
use wharf_oci::Order;
use wharf_registry::{Artifacts, Listing, Page, Target, cursor};

use super::shown::{Found, Manifest, Repository, Tag};
use super::{ManifestOrder, RepositoryOrder, TagOrder};

/// How much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// So many at most.
    Most(usize),
    /// All.
    All,
}

impl Limit {
    fn count(self) -> usize {
        match self {
            Self::Most(count) => count,
            Self::All => usize::MAX,
        }
    }
}

/// The repositories of a registry.
pub(super) async fn repositories(
    artifacts: &Artifacts,
    registry: &RegistryRow,
    order: RepositoryOrder,
    limit: Limit,
) -> Result<Found<Repository>, anyhow::Error> {
    let first = match order {
        RepositoryOrder::Name => RepositoryPosition::Name(String::new()),
        RepositoryOrder::Size => RepositoryPosition::Size(i64::MAX, RepositoryId(i64::MAX)),
        RepositoryOrder::Pulled => RepositoryPosition::Pulled(Timestamp(i64::MAX), RepositoryId(i64::MAX)),
    };
    // One more than wanted, to know whether there are more.
    let most = limit.count().saturating_add(1);
    let mut found = walk(artifacts, registry, first, most, |_| true).await?;
    // Those without bytes or pulls are in no index of these; they follow by name.
    if order != RepositoryOrder::Name && found.len() < most {
        let seen: HashSet<RepositoryId> = found.iter().map(|repository| repository.id).collect();
        let others = RepositoryPosition::Name(String::new());
        found.extend(walk(artifacts, registry, others, most - found.len(), |one| !seen.contains(&one.id)).await?);
    }
    Ok(Found::cut(found.into_iter().map(Repository::of).collect(), limit.count()))
}

/// Reads repositories behind a position, until `most` of them are wanted.
async fn walk(
    artifacts: &Artifacts,
    registry: &RegistryRow,
    mut after: RepositoryPosition,
    most: usize,
    is_wanted: impl Fn(&RepositoryAttributes) -> bool,
) -> Result<Vec<RepositoryAttributes>, anyhow::Error> {
    let mut found = Vec::new();
    while found.len() < most {
        let page = artifacts.list_repository_attributes(registry, &after, PAGE).await?;
        let (Some(last), is_last) = (page.last(), page.len() < PAGE) else { break };
        after = match after {
            RepositoryPosition::Name(_) => RepositoryPosition::Name(last.name.clone()),
            RepositoryPosition::Size(..) => RepositoryPosition::Size(last.size.logical_bytes, last.id),
            RepositoryPosition::Pulled(time, _) => {
                RepositoryPosition::Pulled(last.pulls.map_or(time, |pulls| pulls.last_at), last.id)
            }
        };
        found.extend(page.into_iter().filter(&is_wanted).take(most - found.len()));
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// The tags of a repository that no lock hides.
pub(super) async fn tags(
    artifacts: &Artifacts,
    target: Target<'_>,
    order: TagOrder,
    limit: Limit,
) -> Result<Found<Tag>, anyhow::Error> {
    let (index, is_sorted) = match order {
        TagOrder::Name => (Order::Lexical, true),
        TagOrder::Newest => (Order::TimeDescending, true),
        TagOrder::Oldest => (Order::TimeAscending, true),
        TagOrder::Pulled => (Order::Lexical, false),
    };
    let mut best = Best::new(limit.count(), is_sorted, |tag: &Tag| Reverse(tag.pulled_at()));
    let mut page = Page { limit: PAGE, last: None };
    while !best.is_full() {
        let Listing { items, more } = artifacts.list_tag_attributes(target, index, None, page).await?;
        let last = items.last().map(|tag| cursor(index, &tag.name, tag.updated_at));
        best.extend(items.into_iter().map(Tag::of));
        if !more {
            break;
        }
        page = Page { limit: PAGE, last };
    }
    Ok(best.into_found())
}

/// The manifests of a repository that no lock hides.
pub(super) async fn manifests(
    artifacts: &Artifacts,
    target: Target<'_>,
    order: ManifestOrder,
    limit: Limit,
) -> Result<Found<Manifest>, anyhow::Error> {
    let (index, is_sorted) = match order {
        ManifestOrder::Digest => (Order::Lexical, true),
        ManifestOrder::Newest => (Order::TimeDescending, true),
        ManifestOrder::Oldest => (Order::TimeAscending, true),
        ManifestOrder::Size | ManifestOrder::Pulled => (Order::Lexical, false),
    };
    let rank = |manifest: &Manifest| match order {
        ManifestOrder::Size => Reverse(Some(manifest.size_bytes())),
        _ => Reverse(manifest.pulled_at().map(|time| time.0)),
    };
    let mut best = Best::new(limit.count(), is_sorted, rank);
    let mut page = Page { limit: PAGE, last: None };
    while !best.is_full() {
        let Listing { items, more } = artifacts.list_manifest_attributes(target, index, page).await?;
        let last = items.last().map(|manifest| cursor(index, &manifest.digest, manifest.updated_at));
        best.extend(items.into_iter().map(Manifest::of));
        if !more {
            break;
        }
        page = Page { limit: PAGE, last };
    }
    Ok(best.into_found())
}

/// The first of what comes, as many as wanted and one more.
struct Best<T, F> {
    items: Vec<T>,
    most: usize,
    /// It comes in the order that is wanted.
    is_sorted: bool,
    rank: F,
    has_more: bool,
}

impl<T, R: Ord, F: Fn(&T) -> R> Best<T, F> {
    fn new(most: usize, is_sorted: bool, rank: F) -> Self {
        Self { items: Vec::new(), most, is_sorted, rank, has_more: false }
    }

    /// Whether nothing that comes can change it.
    fn is_full(&self) -> bool {
        self.is_sorted && self.items.len() > self.most
    }

    fn extend(&mut self, items: impl Iterator<Item = T>) {
        self.items.extend(items);
        if !self.is_sorted && self.items.len() > self.most.saturating_mul(2).saturating_add(PAGE) {
            self.sort();
        }
    }

    /// Stable: what ranks the same stays in the order of names.
    fn sort(&mut self) {
        self.items.sort_by_key(&self.rank);
        self.has_more |= self.items.len() > self.most;
        self.items.truncate(self.most);
    }

    fn into_found(mut self) -> Found<T> {
        if !self.is_sorted {
            self.sort();
        }
        let mut found = Found::cut(self.items, self.most);
        found.more |= self.has_more;
        found
    }
}

/// Items that are read at once.
const PAGE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn best(most: usize, is_sorted: bool, count: i32) -> Found<i32> {
        let mut best = Best::new(most, is_sorted, |&item: &i32| Reverse(item % 1000));
        for first in (0..count).step_by(PAGE) {
            best.extend(first..count.min(first + PAGE as i32));
            if best.is_full() {
                break;
            }
        }
        best.into_found()
    }

    #[test]
    fn of_much_that_comes_in_another_order_the_first_are_kept() {
        let found = best(3, false, 5000);
        assert_eq!((found.items, found.more), (vec![999, 1999, 2999], true));
        let found = best(usize::MAX, false, 3);
        assert_eq!((found.items, found.more), (vec![2, 1, 0], false));
    }

    #[test]
    fn what_comes_in_order_is_read_as_far_as_it_is_shown() {
        let found = best(600, true, 5000);
        assert_eq!((found.items.len(), found.items[599], found.more), (600, 599, true));
        let found = best(600, true, 600);
        assert_eq!((found.items.len(), found.more), (600, false));
    }
}
