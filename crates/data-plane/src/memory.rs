//! Memory for manifests on their way in: a bound on what all pushes hold together.
//!
//! A push pays for bytes as they arrive, so a client that announces much and sends nothing takes nothing away from the
//! others. Pushes that each hold a part and wait for more could wait for each other for ever; so one of them at a time
//! may go beyond the bound, and that one comes to an end whatever the others do.

use tokio::sync::{Semaphore, SemaphorePermit};

/// What all pushes share. Together they hold the bound and one manifest at most.
#[derive(Debug)]
pub(crate) struct Memory {
    /// A permit per KiB.
    shared: Semaphore,
    /// The one push that may go beyond the bound.
    beyond: Semaphore,
}

impl Memory {
    /// A bound of this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { shared: Semaphore::new((bytes / KIBIBYTE).max(1)), beyond: Semaphore::new(1) }
    }

    /// Begins to count for one push; nothing is held yet.
    pub(crate) fn begin(&self) -> HeldMemory<'_> {
        HeldMemory { memory: self, shared: None, beyond: None }
    }
}

/// What one push holds; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct HeldMemory<'a> {
    memory: &'a Memory,
    shared: Option<SemaphorePermit<'a>>,
    beyond: Option<SemaphorePermit<'a>>,
}

impl HeldMemory<'_> {
    /// Waits until this many bytes may be held in all.
    pub(crate) async fn grow_to(&mut self, bytes: usize) {
        let held = self.shared.as_ref().map_or(0, SemaphorePermit::num_permits);
        let wanted = bytes.div_ceil(KIBIBYTE).saturating_sub(held);
        if wanted == 0 || self.beyond.is_some() {
            return;
        }
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            more = self.memory.shared.acquire_many(wanted) => {
                let more = more.expect(NEVER_CLOSED);
                match &mut self.shared {
                    Some(held) => held.merge(more),
                    none => *none = Some(more),
                }
            }
            beyond = self.memory.beyond.acquire() => self.beyond = Some(beyond.expect(NEVER_CLOSED)),
        }
    }
}

const KIBIBYTE: usize = 1024;

const NEVER_CLOSED: &str = "the semaphores are never closed";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_granted(held: &mut HeldMemory<'_>, bytes: usize) -> bool {
        tokio::time::timeout(Duration::from_secs(1), held.grow_to(bytes)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn pushes_that_wait_for_each_other_come_to_an_end() {
        let memory = Memory::new(4096);
        let mut pushes: Vec<_> = (0..3).map(|_| memory.begin()).collect();
        for push in &mut pushes[..2] {
            assert!(is_granted(push, 2000).await);
        }
        assert!(is_granted(&mut pushes[0], 1 << 20).await, "one goes beyond the bound");
        assert!(is_granted(&mut pushes[0], 2 << 20).await, "as far as it must");
        assert!(!is_granted(&mut pushes[1], 4000).await, "and one only");
        assert!(!is_granted(&mut pushes[2], 1).await);
        pushes.remove(0);
        assert!(is_granted(&mut pushes[0], 4000).await);
        assert!(is_granted(&mut pushes[1], 100_000).await);
        drop(pushes);
        assert!(is_granted(&mut memory.begin(), 4096).await && is_granted(&mut memory.begin(), 4096).await);
    }
}
