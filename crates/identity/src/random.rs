//! Where randomness comes from. Passed in, so that tests own it.

use std::fmt;

use aws_lc_rs::rand;

/// A source of secret, uniformly distributed bytes.
pub trait Random: Send + Sync + fmt::Debug {
    /// Overwrites all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the generator is seeded once by the operating system and does not fail after that");
    }
}
