//! Who is writing which file. One at a time, for two writers of one file would mix their bytes.
//!
//! A connection may die while a thread still writes its last batch, and its client may be back at once to resume behind
//! what was acknowledged. So whoever wants a key that somebody has puts an end to the other's work and waits for the
//! batch under way, which takes no longer than one write.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::Notify;

use super::writer::Lane;
use crate::StorageKey;

/// The keys that are being written.
#[derive(Debug, Default)]
pub(super) struct Occupants {
    keys: Mutex<HashMap<StorageKey, Occupant>>,
    /// Told whenever a key becomes free.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Occupant {
    /// What to put an end to; nothing while the file is being opened.
    lane: Weak<Lane>,
    is_unwelcome: bool,
}

impl Occupants {
    /// Waits until nobody else has `key`, which others are made to give up, and takes it.
    pub(super) async fn occupy(self: &Arc<Self>, key: &StorageKey) -> Occupation {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            let other = match self.lock().entry(key.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(Occupant::default());
                    return Occupation { occupants: self.clone(), key: key.clone() };
                }
                Entry::Occupied(mut occupied) => {
                    occupied.get_mut().is_unwelcome = true;
                    occupied.get().lane.upgrade()
                }
            };
            if let Some(lane) = other {
                lane.end();
            }
            freed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StorageKey, Occupant>> {
        self.keys.lock().expect("nothing panics under this lock")
    }
}

/// The right to write a key's file, given back when dropped.
#[derive(Debug)]
pub(super) struct Occupation {
    occupants: Arc<Occupants>,
    key: StorageKey,
}

impl Occupation {
    pub(super) fn key(&self) -> &StorageKey {
        &self.key
    }

    /// What is to know when somebody else wants the key.
    pub(super) fn tell(&self, lane: &Arc<Lane>) {
        let mut keys = self.occupants.lock();
        let occupant = keys.entry(self.key.clone()).or_default();
        occupant.lane = Arc::downgrade(lane);
        if occupant.is_unwelcome {
            drop(keys);
            lane.end();
        }
    }
}

impl Drop for Occupation {
    fn drop(&mut self) {
        self.occupants.lock().remove(&self.key);
        self.occupants.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, poll};
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_key_is_had_by_one_at_a_time() {
        let occupants = Arc::new(Occupants::default());
        let key = StorageKey::new(Uuid::nil());
        let first = occupants.occupy(&key).now_or_never().expect("the key is free");
        assert!(occupants.occupy(&StorageKey::new(Uuid::max())).now_or_never().is_some());
        let (mut second, mut third) = (Box::pin(occupants.occupy(&key)), Box::pin(occupants.occupy(&key)));
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        drop(first);
        let second = second.await;
        assert!(poll!(&mut third).is_pending());
        drop(second);
        drop(third.await);
        assert!(occupants.lock().is_empty());
    }
}
