//! When a failed attempt is followed by another.

use std::time::Duration;

/// How often a job is tried, and how long it rests between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts, the first included, since the last checkpoint that was a new one.
    pub attempts: u32,
    /// The rest after the first failure. It doubles from one to the next.
    pub first: Duration,
    /// The longest rest.
    pub longest: Duration,
}

impl Default for Retry {
    /// Ten attempts within about a quarter of an hour.
    fn default() -> Self {
        Self { attempts: 10, first: Duration::from_secs(1), longest: Duration::from_secs(5 * 60) }
    }
}

impl Retry {
    /// How long a job rests after so many failures. `random`, between 0 and 1, spreads the rest by a quarter to both sides,
    /// so that what failed together does not come back together.
    #[must_use]
    pub fn rest(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let rest = self.first.saturating_mul(1 << doublings).min(self.longest);
        rest.mul_f64(0.75 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_a_bound_and_are_spread() {
        let retry = Retry { attempts: 5, first: Duration::from_secs(2), longest: Duration::from_secs(60) };
        let rests: Vec<u64> = (1..8).map(|failures| retry.rest(failures, 0.5).as_secs()).collect();
        assert_eq!(rests, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry.rest(1, 0.0), Duration::from_millis(1500));
        assert_eq!(retry.rest(1, 1.0), Duration::from_millis(2500));
        assert_eq!(retry.rest(u32::MAX, 0.5), Duration::from_secs(60));
    }
}
