//! Repositories, tags and manifests as commands print them: with the names of the metadata API.

use serde::Serialize;
use wharf_metadata::attributes::{ManifestAttributes, RepositoryAttributes, TagAttributes};
use wharf_metadata::pulls::Pulls;
use wharf_model::{Locks, Timestamp};

use crate::cli::output::{Output, bytes, print_json, print_table};

/// What was found, cut to what was asked for.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// The items, in order.
    pub(super) items: Vec<T>,
    /// Whether there are more.
    pub(super) more: bool,
}

impl<T> Found<T> {
    /// The first `most` of them.
    pub(super) fn cut(mut items: Vec<T>, most: usize) -> Self {
        let more = items.len() > most;
        items.truncate(most);
        Self { items, more }
    }
}

/// Something with a line in a table.
pub(super) trait Item: Serialize {
    /// What stands above the columns.
    const HEADING: &'static [&'static str];

    /// Its line.
    fn cells(&self) -> Vec<String>;
}

/// Prints a list; in a table, with a word of what is not shown.
pub(super) fn print_items<T: Item>(found: &Found<T>, output: Output) -> Result<(), anyhow::Error> {
    match output {
        Output::Json => print_json(&found.items),
        Output::Table => {
            print_table(T::HEADING, found.items.iter().map(T::cells))?;
            if found.more {
                eprintln!("There are more; --limit or --all lists them.");
            }
            Ok(())
        }
    }
}

/// How something was pulled.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pulled {
    last_pull_time: Option<String>,
    pull_count: i64,
    #[serde(skip)]
    last_at: Option<Timestamp>,
}

impl Pulled {
    fn of(pulls: Option<Pulls>) -> Self {
        let last_at = pulls.map(|pulls| pulls.last_at);
        let last_pull_time = last_at.map(|time| time.to_string());
        Self { last_pull_time, pull_count: pulls.map_or(0, |pulls| pulls.count), last_at }
    }

    fn cells(&self) -> [String; 2] {
        [self.pull_count.to_string(), self.last_at.map_or_else(|| "never".to_owned(), moment)]
    }
}

/// A repository.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repository {
    name: String,
    created_time: String,
    last_update_time: String,
    manifest_count: i64,
    tag_count: i64,
    changeable_attributes: Locks,
    storage: Storage,
    #[serde(flatten)]
    pulled: Pulled,
    #[serde(skip)]
    updated_at: Timestamp,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Storage {
    logical_bytes: i64,
    unique_bytes: i64,
}

impl Repository {
    pub(super) fn of(found: RepositoryAttributes) -> Self {
        Self {
            name: found.name,
            created_time: found.created_at.to_string(),
            last_update_time: found.updated_at.to_string(),
            manifest_count: found.manifest_count,
            tag_count: found.tag_count,
            changeable_attributes: found.locks,
            storage: Storage { logical_bytes: found.size.logical_bytes, unique_bytes: found.size.unique_bytes },
            pulled: Pulled::of(found.pulls),
            updated_at: found.updated_at,
        }
    }
}

impl Item for Repository {
    const HEADING: &'static [&'static str] =
        &["NAME", "TAGS", "MANIFESTS", "SIZE", "UNIQUE", "PULLS", "LAST PULL", "LAST UPDATE"];

    fn cells(&self) -> Vec<String> {
        let [pulls, last_pull] = self.pulled.cells();
        vec![
            self.name.clone(),
            self.tag_count.to_string(),
            self.manifest_count.to_string(),
            size(self.storage.logical_bytes),
            size(self.storage.unique_bytes),
            pulls,
            last_pull,
            moment(self.updated_at),
        ]
    }
}

/// A tag.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tag {
    name: String,
    digest: String,
    created_time: String,
    last_update_time: String,
    changeable_attributes: Locks,
    #[serde(flatten)]
    pulled: Pulled,
    #[serde(skip)]
    times: [Timestamp; 2],
}

impl Tag {
    pub(super) fn of(found: TagAttributes) -> Self {
        Self {
            name: found.name,
            digest: found.digest,
            created_time: found.created_at.to_string(),
            last_update_time: found.updated_at.to_string(),
            changeable_attributes: found.locks,
            pulled: Pulled::of(found.pulls),
            times: [found.created_at, found.updated_at],
        }
    }

    pub(super) fn pulled_at(&self) -> Option<i64> {
        self.pulled.last_at.map(|time| time.0)
    }
}

impl Item for Tag {
    const HEADING: &'static [&'static str] =
        &["NAME", "DIGEST", "CREATED", "LAST UPDATE", "PULLS", "LAST PULL", "LOCKED"];

    fn cells(&self) -> Vec<String> {
        let [pulls, last_pull] = self.pulled.cells();
        let [created, updated] = self.times.map(moment);
        let locked = locked(self.changeable_attributes);
        vec![self.name.clone(), self.digest.clone(), created, updated, pulls, last_pull, locked]
    }
}

/// A manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    digest: String,
    image_size: i64,
    created_time: String,
    last_update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<String>,
    media_type: String,
    tags: Vec<String>,
    changeable_attributes: Locks,
    #[serde(flatten)]
    pulled: Pulled,
    #[serde(skip)]
    updated_at: Timestamp,
}

impl Manifest {
    pub(super) fn of(found: ManifestAttributes) -> Self {
        Self {
            digest: found.digest,
            image_size: found.image_size_bytes,
            created_time: found.created_at.to_string(),
            last_update_time: found.updated_at.to_string(),
            architecture: found.architecture,
            os: found.os,
            media_type: found.media_type,
            tags: found.tags,
            changeable_attributes: found.locks,
            pulled: Pulled::of(found.pulls),
            updated_at: found.updated_at,
        }
    }

    pub(super) fn size_bytes(&self) -> i64 {
        self.image_size
    }

    pub(super) fn pulled_at(&self) -> Option<Timestamp> {
        self.pulled.last_at
    }
}

impl Item for Manifest {
    const HEADING: &'static [&'static str] =
        &["DIGEST", "PLATFORM", "SIZE", "TAGS", "LAST UPDATE", "PULLS", "LAST PULL", "LOCKED"];

    fn cells(&self) -> Vec<String> {
        let [pulls, last_pull] = self.pulled.cells();
        let platform = [self.os.as_deref(), self.architecture.as_deref()];
        let platform: Vec<&str> = platform.into_iter().flatten().collect();
        vec![
            self.digest.clone(),
            platform.join("/"),
            size(self.image_size),
            self.tags.join(","),
            moment(self.updated_at),
            pulls,
            last_pull,
            locked(self.changeable_attributes),
        ]
    }
}

/// What locks forbid, in a word each.
fn locked(locks: Locks) -> String {
    let flags = [
        (locks.delete_enabled, "delete"),
        (locks.write_enabled, "write"),
        (locks.read_enabled, "read"),
        (locks.list_enabled, "list"),
    ];
    let forbidden: Vec<&str> = flags.into_iter().filter(|(is_enabled, _)| !is_enabled).map(|(_, what)| what).collect();
    forbidden.join(",")
}

fn size(count: i64) -> String {
    bytes(u64::try_from(count).unwrap_or(0))
}

/// A time to the second, for people: `2026-03-01 08:00:00Z`.
fn moment(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{}Z", text.get(..19).unwrap_or(&text).replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        assert_eq!(moment(Timestamp(1_790_000_000_123_456)), "2026-09-21 14:13:20Z");
    }

    #[test]
    fn locks_are_named_by_what_they_forbid() {
        assert_eq!(locked(Locks::OPEN), "");
        assert_eq!(locked(Locks { delete_enabled: false, read_enabled: false, ..Locks::OPEN }), "delete,read");
    }
}
