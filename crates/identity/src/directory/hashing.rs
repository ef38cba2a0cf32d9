//! People's passwords: hashed with argon2id, a few at a time and away from the threads that answer requests.
//!
//! ```text
//! kept = argon2id(salt, mac(user, password))     as a PHC string; the MAC is the sealing key's
//! ```
//!
//! The MAC binds a hash to its user, and makes the database alone worth nothing to whoever guesses. A hash takes as long
//! for a user that does not exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wharf_model::PrincipalId;

use super::throttle::Throttled;
use crate::{Random, SealingKey};

/// Hashes and verifies passwords of people.
pub(crate) struct Hashing {
    sealing: Arc<SealingKey>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Leave to hash. As long as it is held, few others do. A hash that was begun holds it too, also when nobody waits for it
/// any more.
#[derive(Clone)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl Hashing {
    pub(crate) fn new(sealing: Arc<SealingKey>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Semaphore::new((threads / 2).clamp(1, MOST_AT_ONCE));
        Self { sealing, turns: Arc::new(turns), waiting: AtomicUsize::new(0) }
    }

    /// Waits for leave to hash.
    ///
    /// # Errors
    /// When so many wait already that it would take long.
    pub(crate) async fn turn(&self) -> Result<Turn, Throttled> {
        /// Counts itself out, also when nobody waits for it any more.
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let busy = Throttled { retry_after: Duration::from_secs(2) };
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            return Err(busy);
        }
        let permit = self.turns.clone().acquire_owned().await.map_err(|_| busy)?;
        drop(waiting);
        Ok(Turn(Arc::new(permit)))
    }

    /// Hashes a new password of a user. `None` when memory or threads are not to be had.
    pub(crate) async fn hash(
        &self,
        turn: &Turn,
        user: PrincipalId,
        password: &SecretString,
        random: &dyn Random,
    ) -> Option<Vec<u8>> {
        let mut salt = [0; SALT_LENGTH];
        random.fill(&mut salt);
        let (mac, turn) = (self.mac(user, password), turn.clone());
        let hashed = tokio::task::spawn_blocking(move || {
            let hash = argon2id().hash_password_with_salt(&mac, &salt);
            drop(turn);
            hash
        });
        Some(hashed.await.ok()?.ok()?.to_string().into_bytes())
    }

    /// Whether this is the password that was hashed. Without a hash, for a user who does not exist or has no password, the
    /// same work is done and the answer is no. `None` as for [`Hashing::hash`].
    pub(crate) async fn verify(
        &self,
        turn: &Turn,
        user: Option<(PrincipalId, &[u8])>,
        password: &SecretString,
    ) -> Option<bool> {
        let nobody = PrincipalId(uuid::Uuid::nil());
        let mac = self.mac(user.map_or(nobody, |(user, _)| user), password);
        let hash = user.map(|(_, hash)| String::from_utf8_lossy(hash).into_owned());
        let turn = turn.clone();
        let verified = tokio::task::spawn_blocking(move || {
            let is_right = match hash {
                Some(hash) => argon2id().verify_password(&mac, hash.as_str()).is_ok(),
                None => {
                    // Whatever comes of it, nobody could know what to compare it with.
                    let _ = std::hint::black_box(argon2id().hash_password_with_salt(&mac, &[0; SALT_LENGTH]));
                    false
                }
            };
            drop(turn);
            is_right
        });
        verified.await.ok()
    }

    fn mac(&self, user: PrincipalId, password: &SecretString) -> Vec<u8> {
        self.sealing.mac(&format!("user/{user}/password"), password.expose_secret().as_bytes())
    }
}

/// OWASP's "Password Storage Cheat Sheet": 19 MiB, two passes, one lane.
fn argon2id() -> Argon2<'static> {
    Argon2::from(Params::new(19 * 1024, 2, 1, None).expect("these parameters are within argon2's bounds"))
}

const SALT_LENGTH: usize = 16;
/// Hashes at once, however many threads there are: each takes 19 MiB.
const MOST_AT_ONCE: usize = 4;
/// Sign-ins that wait for their turn; together they wait some seconds.
const MOST_WAITING: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;

    #[tokio::test]
    async fn a_hash_is_of_its_user_and_password_alone() {
        let hashing = Hashing::new(Arc::new(SealingKey::ephemeral(&SystemRandom)));
        let [anna, bert] = [1, 2].map(|n| PrincipalId(uuid::Uuid::from_u128(n)));
        let turn = hashing.turn().await.unwrap();
        let hash = hashing.hash(&turn, anna, &"correct horse".into(), &SystemRandom).await.unwrap();
        assert!(hash.starts_with(b"$argon2id$v=19$m=19456,t=2,p=1$"));
        let verify = async |user, password: &str| hashing.verify(&turn, user, &password.into()).await.unwrap();
        assert!(verify(Some((anna, &hash[..])), "correct horse").await);
        assert!(!verify(Some((anna, &hash[..])), "correct Horse").await);
        assert!(!verify(Some((bert, &hash[..])), "correct horse").await, "a hash that is moved opens for nobody");
        assert!(!verify(None, "correct horse").await);
        let elsewhere = Hashing::new(Arc::new(SealingKey::ephemeral(&SystemRandom)));
        let verified = elsewhere.verify(&turn, Some((anna, &hash[..])), &"correct horse".into()).await;
        assert_eq!(verified, Some(false), "nor under another sealing key");
    }

    #[tokio::test]
    async fn too_many_do_not_wait() {
        let hashing = Arc::new(Hashing::new(Arc::new(SealingKey::ephemeral(&SystemRandom))));
        let mut turns = Vec::new();
        while hashing.turns.available_permits() > 0 {
            turns.push(hashing.turn().await.unwrap());
        }
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| {
                let hashing = hashing.clone();
                tokio::spawn(async move { hashing.turn().await.map(drop) })
            })
            .collect();
        while hashing.waiting.load(Ordering::Relaxed) < MOST_WAITING {
            tokio::task::yield_now().await;
        }
        assert!(hashing.turn().await.is_err());
        assert_eq!(hashing.waiting.load(Ordering::Relaxed), MOST_WAITING, "who is turned away does not count");
        drop(turns);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
        hashing.turn().await.unwrap();
    }
}
