//! The id that every answer carries in `X-Ms-Correlation-Request-Id`, and every log line about the request.

use std::cell::Cell;
use std::fmt;

use http::HeaderValue;
use uuid::{Builder, Uuid};

/// A request's id: a random UUID. Not a secret, so it comes from a cheap generator and costs no system call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    /// A new id.
    pub(crate) fn new() -> Self {
        let high = u128::from(next()) << 64;
        Self(Builder::from_random_bytes((high | u128::from(next())).to_be_bytes()).into_uuid())
    }

    pub(crate) fn uuid(self) -> Uuid {
        self.0
    }

    pub(crate) fn header(self) -> HeaderValue {
        let mut buffer = Uuid::encode_buffer();
        HeaderValue::from_str(self.0.hyphenated().encode_lower(&mut buffer))
            .expect("hexadecimal digits and hyphens may stand in a header")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The next number of this thread's SplitMix64, whose state begins at random.
fn next() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(Uuid::new_v4().as_u64_pair().0);
    }
    STATE.with(|state| {
        let sum = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(sum);
        let mixed = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_are_random_uuids() {
        let ids: HashSet<Uuid> = (0..10_000).map(|_| RequestId::new().0).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }
}
