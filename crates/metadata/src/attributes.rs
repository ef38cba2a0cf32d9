//! What the metadata API shows and changes: attributes and locks of repositories, tags and manifests.
//!
//! A list is one query on one index, in the order of names or of the last update, and begins behind a [`Position`] that need
//! not exist any more: what lies there may be deleted while somebody pages through the list.

mod manifests;
mod repositories;
mod tags;

pub use manifests::{
    ManifestAttributes, UndescribedManifest, describe_manifest, find_manifest, find_manifest_bytes, find_manifest_time,
    list_manifests, list_undescribed, put_manifest_locks,
};
pub use repositories::{
    RepositoryAttributes, RepositoryPosition, find_repository, list_names, list_repositories, put_repository_locks,
    put_write_once_tags,
};
pub use tags::{
    LockedItem, TagAttributes, find_locked, find_tag, find_tag_time, find_tags, list_tags, list_tags_of, put_tag_locks,
};
use wharf_model::{Locks, Timestamp};

/// The four columns that every lockable row has.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct LockColumns {
    delete_enabled: bool,
    write_enabled: bool,
    read_enabled: bool,
    list_enabled: bool,
}

impl From<LockColumns> for Locks {
    fn from(row: LockColumns) -> Self {
        Self {
            delete_enabled: row.delete_enabled,
            write_enabled: row.write_enabled,
            read_enabled: row.read_enabled,
            list_enabled: row.list_enabled,
        }
    }
}

/// Behind what a part of a list begins, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// By name; the empty name is before all.
    Name(String),
    /// The oldest first.
    Ascending(Timestamp, String),
    /// The newest first.
    Descending(Timestamp, String),
}

/// The end of a statement that lists: `alias` is the table, `name` the column of its names, `$2` (and `$3` for times) the
/// position and the last parameter the limit.
macro_rules! in_order {
    ($position:expr, $select:literal, $alias:literal, $name:literal) => {
        match $position {
            $crate::attributes::Position::Name(_) => concat!(
                $select,
                " AND ",
                $alias,
                ".",
                $name,
                " > $3 AND $2 = 0 ORDER BY ",
                $alias,
                ".",
                $name,
                " LIMIT $4"
            ),
            $crate::attributes::Position::Ascending(..) => concat!(
                $select,
                " AND (",
                $alias,
                ".updated_at, ",
                $alias,
                ".",
                $name,
                ") > ($2, $3) ORDER BY ",
                $alias,
                ".updated_at, ",
                $alias,
                ".",
                $name,
                " LIMIT $4"
            ),
            $crate::attributes::Position::Descending(..) => concat!(
                $select,
                " AND (",
                $alias,
                ".updated_at, ",
                $alias,
                ".",
                $name,
                ") < ($2, $3) ORDER BY ",
                $alias,
                ".updated_at DESC, ",
                $alias,
                ".",
                $name,
                " DESC LIMIT $4"
            ),
        }
    };
}
use in_order;

impl Position {
    /// The values of `$2` and `$3`; where there is no time, `$2` is 0.
    fn values(&self) -> (i64, &str) {
        match self {
            Self::Name(name) => (0, name),
            Self::Ascending(time, name) | Self::Descending(time, name) => (time.0, name),
        }
    }
}
