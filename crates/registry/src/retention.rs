//! Retention: manifests that nothing holds are removed after a while.
//!
//! What holds a manifest is a tag or an index that lists it. When the last of them lets go while the policy is on, the
//! manifest gets a date ([`let_go`]), which nothing moves: neither another number of days nor time spent behind a lock. When
//! something holds it again, the date is gone ([`hold`]). A policy that is switched off forgets all dates, also when it is
//! switched on again: a date counts only if the policy has been on ever since (`Retention::since`).
//!
//! Manifests that were pushed by digest and were never held have no date, and those with a subject go with it.
//! Source: `acr/semantics.md` 4.3; where this differs is in `docs/decisions/0036-retention.md`.

use std::time::Duration;

use wharf_metadata::retention::{self as dates, Due};
use wharf_metadata::{Connection, RegistrySettings};
use wharf_model::{ManifestId, Timestamp};

/// Something holds manifests again, or for the first time.
///
/// Where the policy is off nothing is done: a date from a time when it was on is void anyway.
pub(crate) async fn hold(
    c: &mut Connection,
    settings: &RegistrySettings,
    manifests: &[ManifestId],
) -> Result<(), wharf_metadata::Error> {
    if settings.retention.is_none() {
        return Ok(());
    }
    dates::unmark(c, manifests).await
}

/// A tag, or an index that listed them, lets go of manifests. Those that nothing else holds get a date.
pub(crate) async fn let_go(
    c: &mut Connection,
    settings: &RegistrySettings,
    manifests: &[ManifestId],
    now: Timestamp,
) -> Result<(), wharf_metadata::Error> {
    let Some(policy) = settings.retention else { return Ok(()) };
    let days = Duration::from_secs(u64::try_from(policy.days).unwrap_or(0) * DAY_SECONDS);
    dates::mark(c, manifests, Due { untagged_at: now, due_at: now + days }).await
}

const DAY_SECONDS: u64 = 24 * 60 * 60;
