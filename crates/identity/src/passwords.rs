//! The admin user's two passwords: made, sealed for the registry's row, and compared.
//!
//! They are sealed and not hashed, because ACR shows them again (`listCredentials`). For comparing, each is unsealed once
//! and kept as a MAC under a key that this process drew at its start, so the plain text does not stay in memory and two
//! values of any length compare in constant time.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};
use wharf_metadata::RegistryRow;
use wharf_model::RegistryUid;

use crate::caller::{Caller, Proof, SharedCaller, Subject};
use crate::random::Random;
use crate::{AuthError, Error, SealingKey};

/// One of the admin user's passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PasswordName {
    /// `password`.
    Password,
    /// `password2`.
    Password2,
}

impl PasswordName {
    /// Both, in their order.
    pub const EVERY: [Self; 2] = [Self::Password, Self::Password2];

    /// The word that the management API uses (`acr/control-plane.md`, `regenerateCredential`).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Password2 => "password2",
        }
    }

    /// The password with this name, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|name| name.as_str() == word)
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Password => 0,
            Self::Password2 => 1,
        }
    }
}

/// Makes a password as ACR's are: 52 letters and digits, here with 309 bits of randomness.
#[must_use]
pub fn generate_password(random: &dyn Random) -> SecretString {
    let mut password = String::with_capacity(PASSWORD_LENGTH);
    let mut bytes = [0; PASSWORD_LENGTH];
    while password.len() < PASSWORD_LENGTH {
        random.fill(&mut bytes);
        // A byte past the last multiple of 62 would make some characters likelier than others.
        let fair = bytes.iter().filter(|&&byte| usize::from(byte) < ALPHABET.len() * (256 / ALPHABET.len()));
        let characters = fair.map(|&byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        password.extend(characters.take(PASSWORD_LENGTH - password.len()));
    }
    password.into()
}

/// Seals a password for the row of the registry with this `uid`.
pub(crate) fn seal(key: &SealingKey, uid: RegistryUid, password: &SecretString) -> Vec<u8> {
    key.seal(&context(uid), password.expose_secret().as_bytes())
}

/// Opens the two passwords of a registry.
pub(crate) fn unseal(key: &SealingKey, registry: &RegistryRow) -> Result<[SecretString; 2], Error> {
    let what = || format!("an admin password of registry {}", registry.name);
    let open = |sealed: &[u8]| {
        let plain =
            key.unseal(&context(registry.uid), sealed).map_err(|source| Error::Sealed { what: what(), source })?;
        String::from_utf8(plain)
            .map(SecretString::from)
            .map_err(|_| Error::Sealed { what: what(), source: crate::sealing::UnsealError })
    };
    Ok([open(&registry.admin_passwords[0])?, open(&registry.admin_passwords[1])?])
}

fn context(uid: RegistryUid) -> String {
    format!("registry/{uid}/admin-password")
}

/// Compares passwords that were given with those of the admin user.
pub(crate) struct PasswordCheck {
    sealing: Arc<SealingKey>,
    mac: hmac::Key,
    /// By the digest of all that an entry is computed from, so that none can be out of date.
    known: Cache<[u8; digest::SHA256_OUTPUT_LEN], Arc<Expected>>,
}

/// What the admin user of one registry has to come up with, and who they are then.
struct Expected {
    passwords: [hmac::Tag; 2],
    /// `None` while the admin user is switched off.
    admin: Option<SharedCaller>,
}

impl PasswordCheck {
    pub(crate) fn new(sealing: Arc<SealingKey>, random: &dyn Random) -> Self {
        let mut key = [0; digest::SHA256_OUTPUT_LEN];
        random.fill(&mut key);
        Self { sealing, mac: hmac::Key::new(hmac::HMAC_SHA256, &key), known: Cache::new(MOST_REGISTRIES) }
    }

    /// The admin user's caller if the name and one of the two passwords are theirs and they are switched on.
    ///
    /// The same work is done whether the user exists, is switched off, or the password is wrong; only the name's own
    /// comparison is not in constant time, since the registry's name is no secret.
    pub(crate) fn check(
        &self,
        registry: &RegistryRow,
        username: &str,
        password: &str,
    ) -> Result<SharedCaller, AuthError> {
        if password.len() > LONGEST_PASSWORD {
            return Err(AuthError::BadCredentials);
        }
        let expected = self.expected(registry)?;
        let given = hmac::sign(&self.mac, password.as_bytes());
        let right =
            expected.passwords.iter().fold(Choice::from(0), |right, tag| right | tag.as_ref().ct_eq(given.as_ref()));
        let is_admin = Choice::from(u8::from(username.eq_ignore_ascii_case(registry.name.as_str())));
        let admin = if bool::from(right & is_admin) { expected.admin.clone() } else { None };
        admin.ok_or(AuthError::BadCredentials)
    }

    fn expected(&self, registry: &RegistryRow) -> Result<Arc<Expected>, Error> {
        let key = fingerprint(registry);
        if let Some(expected) = self.known.get(&key) {
            return Ok(expected);
        }
        let passwords = unseal(&self.sealing, registry)?;
        let tag = |password: &SecretString| hmac::sign(&self.mac, password.expose_secret().as_bytes());
        let subject = Subject::Admin { name: registry.name.clone(), generation: registry.credentials_generation };
        let expected = Arc::new(Expected {
            passwords: [tag(&passwords[0]), tag(&passwords[1])],
            admin: Caller::of_row(registry, subject, Proof::Password).map(Arc::new),
        });
        self.known.insert(key, expected.clone());
        Ok(expected)
    }
}

impl fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordCheck").field("known", &self.known.entry_count()).finish_non_exhaustive()
    }
}

/// Digest of all of a row that [`PasswordCheck::expected`] reads.
fn fingerprint(registry: &RegistryRow) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(registry.uid.0.as_bytes());
    context.update(&registry.credentials_generation.to_le_bytes());
    context.update(&[u8::from(registry.admin_user_enabled)]);
    for sealed in &registry.admin_passwords {
        context.update(&sealed.len().to_le_bytes());
        context.update(sealed);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Characters of a generated password. Source: ACR's own are as long; theirs hold a checksum that nothing here needs.
pub(crate) const PASSWORD_LENGTH: usize = 52;
/// What they are drawn from: nothing that a shell, a URL or a connection string would read as something else.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Bytes of the longest password that is taken.
pub(crate) const LONGEST_PASSWORD: usize = 512;
/// Registries whose passwords are kept for comparing.
const MOST_REGISTRIES: u64 = 10_000;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::SystemRandom;
    use crate::tests::registry_row;

    #[test]
    fn generated_passwords_are_52_letters_and_digits_and_all_different() {
        let passwords: HashSet<String> =
            (0..200).map(|_| generate_password(&SystemRandom).expose_secret().to_owned()).collect();
        assert_eq!(passwords.len(), 200);
        for password in &passwords {
            assert_eq!(password.len(), PASSWORD_LENGTH);
            assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{password}");
        }
        let seen: HashSet<char> = passwords.iter().flat_map(|password| password.chars()).collect();
        assert_eq!(seen.len(), ALPHABET.len(), "every character comes up");
    }

    #[test]
    fn generated_passwords_come_from_the_given_randomness_and_skip_unfair_bytes() {
        /// Counts through all bytes, 248 to 255 among them.
        #[derive(Debug, Default)]
        struct Counter(std::sync::atomic::AtomicU8);
        impl Random for Counter {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill_with(|| self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            }
        }
        let counter = Counter(230.into());
        let password = generate_password(&counter);
        let expected: String = (230..=247).chain(0..34).map(|byte: usize| char::from(ALPHABET[byte % 62])).collect();
        assert_eq!(password.expose_secret(), expected);
    }

    #[test]
    fn a_sealed_password_opens_for_its_own_registry_only() {
        let key = SealingKey::ephemeral(&SystemRandom);
        let mut row = registry_row(&key, "contoso");
        let other = registry_row(&key, "fabrikam");
        assert_eq!(unseal(&key, &row).unwrap()[1].expose_secret(), "contoso-password2");
        row.admin_passwords[1] = other.admin_passwords[1].clone();
        assert!(matches!(unseal(&key, &row), Err(Error::Sealed { .. })));
    }

    #[test]
    fn both_passwords_count_and_the_user_name_in_any_case() {
        let key = Arc::new(SealingKey::ephemeral(&SystemRandom));
        let check = PasswordCheck::new(key.clone(), &SystemRandom);
        let row = registry_row(&key, "contoso");
        for (username, password) in [("contoso", "contoso-password"), ("Contoso", "contoso-password2")] {
            assert_eq!(check.check(&row, username, password).unwrap().name(), "contoso");
        }
    }

    #[test]
    fn unknown_user_wrong_password_and_switched_off_get_one_answer_for_the_same_work() {
        let key = Arc::new(SealingKey::ephemeral(&SystemRandom));
        let on = registry_row(&key, "contoso");
        let off = RegistryRow { admin_user_enabled: false, ..on.clone() };
        let attempts = [
            (&on, "nobody", "contoso-password"),
            (&on, "nobody", ""),
            (&on, "", ""),
            (&on, "contoso", ""),
            (&on, "contoso", "contoso-passwor"),
            (&on, "contoso", "contoso-password "),
            (&on, "contoso", "Contoso-password"),
            (&off, "contoso", "contoso-password"),
            (&off, "nobody", "wrong"),
        ];
        for (row, username, password) in attempts {
            let check = PasswordCheck::new(key.clone(), &SystemRandom);
            let refusal = check.check(row, username, password).unwrap_err();
            assert!(matches!(refusal, AuthError::BadCredentials), "{username} {password}");
            check.known.run_pending_tasks();
            assert_eq!(check.known.entry_count(), 1, "the passwords were opened to be compared: {username}");
        }
    }

    #[test]
    fn what_is_kept_follows_every_change_of_the_row() {
        let key = Arc::new(SealingKey::ephemeral(&SystemRandom));
        let check = PasswordCheck::new(key.clone(), &SystemRandom);
        let mut row = registry_row(&key, "contoso");
        check.check(&row, "contoso", "contoso-password").unwrap();
        row.admin_passwords[0] = seal(&key, row.uid, &"changed".into());
        assert!(check.check(&row, "contoso", "contoso-password").is_err(), "even without a new generation");
        check.check(&row, "contoso", "changed").unwrap();
        row.admin_user_enabled = false;
        assert!(check.check(&row, "contoso", "changed").is_err());
    }
}
