//! What a backup needs while pushes, pulls and the collector go on.
//!
//! A backup copies the metadata first, as one snapshot. Objects never change, so whatever the snapshot refers to can be
//! copied afterwards at leisure, as long as none of it is removed meanwhile: that is what a hold on objects is for. It
//! ends by itself, so a backup that dies does not stop the collector for long. Each backup has a hold of its own, so
//! that one that ends does not take away another's.

use std::time::Duration;

use uuid::Uuid;
use wharf_metadata::{Connection, Database, collection, settings};
use wharf_model::Timestamp;

use crate::{Artifacts, Error};

/// Keeps every collector of the installation from removing objects, for a while.
#[derive(Debug)]
pub struct ObjectHold {
    id: Uuid,
    /// When it is to be renewed: long before it ends.
    renew_at: Timestamp,
}

impl Artifacts {
    /// Takes a hold on all objects.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn hold_objects(&self) -> Result<ObjectHold, Error> {
        let mut hold = ObjectHold { id: Uuid::new_v4(), renew_at: Timestamp(0) };
        self.renew_hold(&mut hold).await?;
        Ok(hold)
    }

    /// Renews a hold if that is due; to be called often while objects are copied.
    ///
    /// # Errors
    /// When the metadata fails.
    pub async fn renew_hold(&self, hold: &mut ObjectHold) -> Result<(), Error> {
        let now = self.now();
        if now < hold.renew_at {
            return Ok(());
        }
        self.set_hold(hold.id, Some(now + HELD_FOR)).await?;
        hold.renew_at = now + HELD_FOR / 4;
        Ok(())
    }

    /// Gives a hold back. Those of others stay.
    ///
    /// # Errors
    /// When the metadata fails; the hold then ends by itself.
    pub async fn release_objects(&self, hold: ObjectHold) -> Result<(), Error> {
        self.set_hold(hold.id, None).await
    }

    /// Takes out of a copy of the metadata what means something to the running installation alone: upload sessions,
    /// doomed objects and holds.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub async fn forget_what_runs(copy: &Database) -> Result<(), Error> {
        let forgotten: Result<(), wharf_metadata::Error> = copy
            .write(|c| {
                Box::pin(async move {
                    collection::forget_unfinished(c).await?;
                    settings::put(c, HOLDS, b"").await
                })
            })
            .await;
        Ok(forgotten?)
    }

    async fn set_hold(&self, id: Uuid, until: Option<Timestamp>) -> Result<(), Error> {
        let now = self.now();
        let set: Result<(), wharf_metadata::Error> = self
            .inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    let mut holds = read_holds(c).await?;
                    holds.retain(|&(other, ends_at)| other != id && now < ends_at);
                    holds.extend(until.map(|until| (id, until)));
                    let text: String = holds.iter().map(|(id, until)| format!("{id} {}\n", until.0)).collect();
                    settings::put(c, HOLDS, text.as_bytes()).await
                })
            })
            .await;
        Ok(set?)
    }

    /// Whether a backup needs the objects that nothing else needs any more.
    pub(super) async fn objects_are_held(&self) -> Result<bool, Error> {
        let holds = self.inner.database.read(|c| Box::pin(read_holds(c))).await?;
        let now = self.now();
        Ok(holds.iter().any(|&(_, until)| now < until))
    }
}

async fn read_holds(c: &mut Connection) -> Result<Vec<(Uuid, Timestamp)>, wharf_metadata::Error> {
    let text = String::from_utf8(settings::get(c, HOLDS).await?.unwrap_or_default()).unwrap_or_default();
    let parse = |line: &str| {
        let (id, until) = line.split_once(' ')?;
        Some((id.parse().ok()?, Timestamp(until.parse().ok()?)))
    };
    Ok(text.lines().filter_map(parse).collect())
}

/// The setting with a line for each hold: its id, and until when it lasts in microseconds since the epoch.
const HOLDS: &str = "object-holds";

/// How long a hold lasts that is not renewed.
const HELD_FOR: Duration = Duration::from_secs(60 * 60);
