//! What was found out about a token once, so that its next use costs a digest and a look-up.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use moka::sync::Cache;
use wharf_metadata::RegistryRow;
use wharf_model::Timestamp;

use crate::authorize::Rights;
use crate::caller::{Proof, SharedCaller};
use crate::token::GrantType;

/// The verdict on a token whose signature is right. Whether it counts now is asked at each use.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) caller: SharedCaller,
    pub(crate) kind: GrantType,
    pub(crate) not_before: Timestamp,
    pub(crate) expires: Timestamp,
}

/// Which kinds of tokens will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    Access,
    Refresh,
    Either,
}

impl Accepts {
    pub(crate) fn this(self, kind: GrantType) -> bool {
        match self {
            Self::Access => kind == GrantType::AccessToken,
            Self::Refresh => kind == GrantType::RefreshToken,
            Self::Either => true,
        }
    }
}

impl Verdict {
    /// Whether the token lets its caller into this registry now, with the rights that the caller was given then.
    ///
    /// If not, the token is verified anew, which either finds the caller's new rights or says what is wrong.
    fn counts(&self, registry: &RegistryRow, accepts: Accepts, now: Timestamp) -> bool {
        self.caller.registry() == registry.uid
            && accepts.this(self.kind)
            && self.not_before <= now
            && now < self.expires
            && Rights::of(registry, self.caller.subject()).as_ref() == Some(self.caller.rights())
    }
}

/// The verdicts on the tokens that were used last. Holds digests, no tokens; and only verdicts on tokens of ours.
#[derive(Debug)]
pub(crate) struct Verdicts(Cache<Fingerprint, Verdict>);

type Fingerprint = [u8; SHA256_OUTPUT_LEN];

impl Verdicts {
    pub(crate) fn new() -> Self {
        // A verdict of many scopes weighs more, so that what is kept is bounded in bytes too (some 20 MB).
        let weigher = |_: &Fingerprint, verdict: &Verdict| match verdict.caller.proof() {
            Proof::AccessToken { access, .. } => 1 + u32::try_from(access.len()).unwrap_or(u32::MAX) / 8,
            Proof::None | Proof::Password | Proof::RefreshToken => 1,
        };
        Self(Cache::builder().max_capacity(MOST_VERDICTS).weigher(weigher).build())
    }

    /// The caller by a token that was seen before, if it counts here and now.
    pub(crate) fn find(
        &self,
        token: &str,
        registry: &RegistryRow,
        accepts: Accepts,
        now: Timestamp,
    ) -> Option<SharedCaller> {
        let verdict = self.0.get(&fingerprint(token))?;
        verdict.counts(registry, accepts, now).then_some(verdict.caller)
    }

    /// Keeps the verdict on a token that has just been verified.
    pub(crate) fn keep(&self, token: &str, verdict: Verdict) {
        self.0.insert(fingerprint(token), verdict);
    }
}

fn fingerprint(token: &str) -> Fingerprint {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// How many verdicts are kept, counted as if each listed a few scopes.
const MOST_VERDICTS: u64 = 20_000;
