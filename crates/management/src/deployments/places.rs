//! How many templates are worked on at once: each may fill as much memory as templates may, so that there are few in one
//! process, and of one caller so few that there is always room for others.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wharf_arm::{ArmError, Code};
use wharf_model::PrincipalId;

use crate::cx::Cx;

/// The places that there are.
#[derive(Debug)]
struct Places {
    all: Arc<Semaphore>,
    taken: Mutex<HashMap<PrincipalId, usize>>,
}

/// A place for one template, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    of: Option<(Arc<Places>, PrincipalId)>,
}

/// Lets a template of the caller's in.
///
/// # Errors
/// `TooManyRequests`.
pub(super) fn admit(cx: &Cx) -> Result<Place, ArmError> {
    static PLACES: LazyLock<Arc<Places>> = LazyLock::new(Arc::default);
    PLACES.admit(cx.actor.principal().map(|principal| principal.id))
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MOST_AT_ONCE)), taken: Mutex::default() }
    }
}

impl Places {
    /// The operator, who is no principal, is counted with all only.
    fn admit(self: &Arc<Self>, principal: Option<PrincipalId>) -> Result<Place, ArmError> {
        let refuse = |text: String| ArmError::new(Code::TooManyRequests, text);
        let permit = self.all.clone().try_acquire_owned().map_err(|_| {
            refuse(format!("{MOST_AT_ONCE} templates are being deployed or validated; try again when one is done."))
        })?;
        if let Some(id) = principal {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let own = taken.entry(id).or_default();
            if *own >= MOST_OF_ONE {
                let text = format!(
                    "{MOST_OF_ONE} templates of yours are being deployed or validated; try again when one is done."
                );
                return Err(refuse(text));
            }
            *own += 1;
        }
        Ok(Place { _permit: permit, of: principal.map(|id| (self.clone(), id)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, id)) = self.of.take() else { return };
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&id) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&id);
            }
        }
    }
}

/// How many templates are deployed, validated or compared at once in one process.
const MOST_AT_ONCE: usize = 32;
/// How many of them are one principal's.
const MOST_OF_ONE: usize = 4;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_caller_leaves_room_for_others() {
        let places = Arc::new(Places::default());
        let principal = |n: u128| Some(PrincipalId(Uuid::from_u128(n)));
        let mut held: Vec<Place> = (0..MOST_OF_ONE).map(|_| places.admit(principal(1)).unwrap()).collect();
        let refused = places.admit(principal(1)).unwrap_err();
        assert_eq!((refused.code, refused.status.as_u16()), (Code::TooManyRequests, 429));
        held.push(places.admit(principal(2)).expect("others have room"));
        held.remove(0);
        held.push(places.admit(principal(1)).expect("one was done"));
        while held.len() < MOST_AT_ONCE {
            held.push(places.admit(None).unwrap());
        }
        assert!(places.admit(principal(3)).is_err() && places.admit(None).is_err());
        drop(held);
        assert!(places.taken.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), MOST_AT_ONCE);
    }
}
