//! Failed sign-ins: whoever fails too often waits, and nobody else does.
//!
//! ```text
//! a failure fills three buckets, which leak with time:     holds    leaks one in
//!   the account from this address                             10        1 min      strong: stops whoever guesses
//!   the address, whatever the account                         50        6 s        strong: stops whoever tries accounts
//!   the account, whatever the address                         50       10 s        mild: stops many who guess together
//! ```
//!
//! A full bucket makes whoever comes next wait for the next drop, even with the right password: otherwise the waiting
//! would slow nobody down. A success fills nothing, and is remembered: an account that signed in from an address before is
//! only held back there by its own failures there, so that neither strangers who guess at the account nor neighbours
//! behind the same address lock it out. One address alone can never fill an account's bucket, which leaks faster than
//! the narrower one lets through.
//!
//! Buckets are kept in tables of a fixed size that nobody can fill up or flush: a key has a place in each of three
//! tables, found by a hash whose key was drawn at the start, and the emptiest of the three counts. Two keys would have to
//! share all three places to disturb each other. The tables are this process's own; another node counts for itself.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use wharf_model::{Client, Clock, Timestamp};

/// Too many sign-ins failed. Nothing was checked, or what was checked is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins failed; try again in {} seconds", .retry_after.as_secs().max(1))]
pub struct Throttled {
    /// When to come again.
    pub retry_after: Duration,
}

/// Counts failed sign-ins, and tells who has to wait. Clones share it.
///
/// Ask [`SignInThrottle::check`] before the secret is compared, then tell what came of it.
#[derive(Clone)]
pub struct SignInThrottle(Arc<Tables>);

struct Tables {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    pairs: Buckets,
    addresses: Buckets,
    accounts: Buckets,
    /// When an account signed in from an address last.
    known: Cache<u64, Timestamp>,
}

impl SignInThrottle {
    /// A throttle on which nobody has failed yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Tables {
            clock,
            hasher: RandomState::new(),
            pairs: Buckets::new(10, Duration::from_mins(1)),
            addresses: Buckets::new(50, Duration::from_secs(6)),
            accounts: Buckets::new(50, Duration::from_secs(10)),
            known: Cache::new(MOST_KNOWN),
        }))
    }

    /// Whether this account may try to sign in from this client now. `account` is a text that no other account has, such
    /// as `user/anna@example.com`; whether there is such an account does not matter.
    ///
    /// # Errors
    /// When too many sign-ins failed.
    pub fn check(&self, account: &str, client: Option<Client>) -> Result<(), Throttled> {
        let tables = &*self.0;
        let now = tables.clock.now();
        let keys = tables.keys(account, client);
        let mut wait = tables.pairs.wait(keys.pair, now);
        if wait.is_none() && !tables.is_known(keys.pair, now) {
            let of_address = keys.address.and_then(|address| tables.addresses.wait(address, now));
            wait = of_address.max(tables.accounts.wait(keys.account, now));
        }
        wait.map_or(Ok(()), |retry_after| Err(Throttled { retry_after }))
    }

    /// Notes that the secret was wrong.
    pub fn failed(&self, account: &str, client: Option<Client>) {
        let tables = &*self.0;
        let now = tables.clock.now();
        let keys = tables.keys(account, client);
        tables.pairs.fill(keys.pair, now);
        tables.accounts.fill(keys.account, now);
        if let Some(address) = keys.address {
            tables.addresses.fill(address, now);
        }
    }

    /// Notes that the secret was right.
    pub fn succeeded(&self, account: &str, client: Option<Client>) {
        let tables = &*self.0;
        let now = tables.clock.now();
        let pair = tables.keys(account, client).pair;
        if tables.known.get(&pair).is_none_or(|last| now.since(last) > KNOWN_AGAIN || last > now) {
            tables.known.insert(pair, now);
        }
    }
}

impl Tables {
    fn keys(&self, account: &str, client: Option<Client>) -> Keys {
        let address = client.map(|client| neighbourhood(client.address));
        Keys {
            pair: self.hasher.hash_one(("pair", account, address)),
            account: self.hasher.hash_one(("account", account)),
            address: address.map(|address| self.hasher.hash_one(("address", address))),
        }
    }

    fn is_known(&self, pair: u64, now: Timestamp) -> bool {
        self.known.get(&pair).is_some_and(|last| now.since(last) < KNOWN_FOR)
    }
}

/// Hashes of what a sign-in is counted under.
struct Keys {
    pair: u64,
    account: u64,
    /// None for what does not come over the network.
    address: Option<u64>,
}

/// What counts as one address: of IPv6 the network, since whoever has one has all of its addresses.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// Buckets of one size. Each is the instant at which it will have leaked empty (GCRA's "theoretical arrival time").
struct Buckets {
    tables: [Box<[AtomicI64]>; TABLES],
    /// Microseconds from a drop to the next.
    period: i64,
    /// Microseconds from full to empty.
    size: i64,
}

impl Buckets {
    fn new(holds: i64, leaks_one_in: Duration) -> Self {
        let period = i64::try_from(leaks_one_in.as_micros()).expect("minutes, not millennia");
        let table = || (0..PLACES).map(|_| AtomicI64::new(i64::MIN)).collect();
        Self { tables: std::array::from_fn(|_| table()), period, size: holds * period }
    }

    /// How long until the bucket can take another drop; `None` if it can now.
    fn wait(&self, key: u64, now: Timestamp) -> Option<Duration> {
        let empty_at = self.places(key).map(|place| self.read(place.load(Ordering::Relaxed), now)).min()?;
        let wait = empty_at.saturating_sub(now.0).saturating_add(self.period).saturating_sub(self.size);
        u64::try_from(wait).ok().filter(|&wait| wait > 0).map(Duration::from_micros)
    }

    /// Adds a drop.
    fn fill(&self, key: u64, now: Timestamp) {
        for place in self.places(key) {
            let more = |empty_at| Some(self.read(empty_at, now).max(now.0).saturating_add(self.period));
            let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }

    /// What a place says, unless it lies so far ahead that the clock must have been set back since.
    fn read(&self, empty_at: i64, now: Timestamp) -> i64 {
        if empty_at > now.0.saturating_add(self.size * 2) { i64::MIN } else { empty_at }
    }

    fn places(&self, key: u64) -> impl Iterator<Item = &AtomicI64> {
        // Bits of their own for each table.
        (0..).zip(&self.tables).map(move |(table, places)| &places[(key >> (table * PLACE_BITS)) as usize % PLACES])
    }
}

impl fmt::Debug for SignInThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInThrottle").finish_non_exhaustive()
    }
}

const TABLES: usize = 3;
const PLACE_BITS: u32 = 15;
/// Places of a table: 256 KiB.
const PLACES: usize = 1 << PLACE_BITS;
/// How many accounts at how many addresses are remembered to have signed in.
const MOST_KNOWN: u64 = 100_000;
/// How long a success is remembered.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// How old the memory of a success gets before a newer one takes its place.
const KNOWN_AGAIN: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use wharf_model::FakeClock;

    use super::*;

    fn throttle() -> (SignInThrottle, Arc<FakeClock>) {
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        (SignInThrottle::new(clock.clone()), clock)
    }

    fn from(address: &str) -> Option<Client> {
        Some(Client { address: address.parse().unwrap(), is_private: false })
    }

    /// Fails until it has to wait; returns how often it could.
    fn fail(throttle: &SignInThrottle, account: &str, client: Option<Client>, most: usize) -> usize {
        (0..most)
            .take_while(|_| {
                let may = throttle.check(account, client).is_ok();
                if may {
                    throttle.failed(account, client);
                }
                may
            })
            .count()
    }

    #[test]
    fn ten_failures_then_one_a_minute() {
        let (throttle, clock) = throttle();
        let here = from("192.0.2.1");
        assert_eq!(fail(&throttle, "anna", here, 100), 10);
        let refusal = throttle.check("anna", here).unwrap_err();
        assert_eq!(refusal.retry_after, Duration::from_mins(1));
        clock.advance(Duration::from_secs(59));
        assert_eq!(throttle.check("anna", here).unwrap_err().retry_after, Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(fail(&throttle, "anna", here, 100), 1);
        clock.advance(Duration::from_hours(1));
        assert_eq!(fail(&throttle, "anna", here, 100), 10, "all is forgiven in time");
    }

    #[test]
    fn successes_cost_nothing() {
        let (throttle, _) = throttle();
        let here = from("192.0.2.1");
        for _ in 0..1_000 {
            throttle.check("anna", here).unwrap();
            throttle.succeeded("anna", here);
        }
        assert_eq!(fail(&throttle, "anna", here, 100), 10);
    }

    #[test]
    fn an_address_that_tries_many_accounts_is_stopped_alone() {
        let (throttle, clock) = throttle();
        let (here, there) = (from("192.0.2.1"), from("192.0.2.2"));
        throttle.succeeded("bert", here);
        let tried = (0..10_000).filter(|i| fail(&throttle, &format!("user{i}"), here, 1) == 1).count();
        assert_eq!(tried, 50);
        assert_eq!(throttle.check("carla", here).unwrap_err().retry_after, Duration::from_secs(6));
        throttle.check("bert", here).expect("who signed in here before is not his neighbour's victim");
        throttle.check("user1", there).expect("other addresses are not affected");
        clock.advance(Duration::from_secs(6));
        throttle.check("carla", here).unwrap();
    }

    #[test]
    fn one_address_cannot_lock_an_account_for_others() {
        let (throttle, clock) = throttle();
        // A day of trying whenever it is allowed.
        for _ in 0..24 * 60 * 6 {
            fail(&throttle, "anna", from("192.0.2.1"), 100);
            throttle.check("anna", from("192.0.2.2")).expect("the account is not locked");
            clock.advance(Duration::from_secs(10));
        }
    }

    #[test]
    fn many_addresses_are_slowed_down_but_where_the_account_is_known() {
        let (throttle, clock) = throttle();
        let home = from("198.51.100.7");
        throttle.succeeded("anna", home);
        let tried: usize = (0..10_000_u32)
            .map(|i| {
                let address = IpAddr::from((0x0a00_0000 + i).to_be_bytes());
                fail(&throttle, "anna", Some(Client { address, is_private: false }), 1)
            })
            .sum();
        assert_eq!(tried, 50, "guesses at one account, from however many addresses");
        assert_eq!(throttle.check("anna", from("203.0.113.9")).unwrap_err().retry_after, Duration::from_secs(10));
        throttle.check("anna", home).expect("at home she is known");
        throttle.check("bert", from("10.0.0.1")).expect("other accounts are not affected");
        clock.advance(KNOWN_FOR);
        throttle.check("anna", home).expect("the attack is long over");
    }

    #[test]
    fn failures_count_at_known_addresses_too() {
        let (throttle, _) = throttle();
        let home = from("198.51.100.7");
        throttle.succeeded("anna", home);
        assert_eq!(fail(&throttle, "anna", home, 100), 10);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (throttle, _) = throttle();
        let tried = (0..1_000).filter(|i| fail(&throttle, &format!("u{i}"), from(&format!("2001:db8::{i:x}")), 1) == 1);
        assert_eq!(tried.count(), 50);
        throttle.check("anna", from("2001:db8:0:1::1")).unwrap();
        assert_eq!(neighbourhood("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }

    #[test]
    fn without_an_address_the_account_counts() {
        let (throttle, _) = throttle();
        assert_eq!(fail(&throttle, "anna", None, 100), 10);
        throttle.check("bert", None).unwrap();
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_790_000_000)));
        let throttle = SignInThrottle::new(clock.clone());
        fail(&throttle, "anna", None, 100);
        let earlier = Arc::new(FakeClock::at(Timestamp::from_unix_seconds(1_700_000_000)));
        let tables = &throttle.0;
        let pair = tables.keys("anna", None).pair;
        assert!(tables.pairs.wait(pair, clock.now()).is_some());
        assert_eq!(tables.pairs.wait(pair, earlier.now()), None);
    }

    #[test]
    fn ten_thousand_failures_leave_others_alone_and_cost_little() {
        let (throttle, _) = throttle();
        let began = std::time::Instant::now();
        for i in 0..10_000 {
            let account = format!("user/{i}@example.com");
            let client = from(&format!("10.{}.{}.1", i / 100 % 100, i % 100));
            let _ = throttle.check(&account, client);
            throttle.failed(&account, client);
        }
        let each = began.elapsed() / 10_000;
        let others = (0..10_000).filter(|i| {
            throttle
                .check(&format!("user/other{i}@example.com"), from(&format!("172.16.{}.{}", i / 200, i % 200)))
                .is_err()
        });
        assert_eq!(others.count(), 0, "nobody else waits");
        assert!(each < Duration::from_millis(1), "{each:?} for each failure");
    }
}
