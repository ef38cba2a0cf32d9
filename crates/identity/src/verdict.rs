//! What was found out about a token once, so that its next use costs a digest and a look-up.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use moka::sync::Cache;
use wharf_metadata::RegistryRow;
use wharf_model::Timestamp;

use crate::caller::{Proof, SharedCaller, Subject};
use crate::held_roles::mode_of;
use crate::token::{GrantType, SubjectClaim};

/// The verdict on a token whose signature is right. Whether it counts now is asked at each use.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) caller: SharedCaller,
    /// Whom the token says that it stands for.
    pub(crate) claim: SubjectClaim,
    pub(crate) kind: GrantType,
    pub(crate) not_before: Timestamp,
    pub(crate) expires: Timestamp,
    /// The version of who may do what under which the caller's rights were worked out, if they were looked up.
    pub(crate) version: i64,
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
    /// Whether the token is one for this registry, this use and this moment. If not, it is read anew, which says what is
    /// wrong.
    pub(crate) fn is_for(&self, registry: &RegistryRow, accepts: Accepts, now: Timestamp) -> bool {
        self.caller.registry() == registry.uid
            && accepts.this(self.kind)
            && self.not_before <= now
            && now < self.expires
    }

    /// Whether its caller is let in with the rights that were found then. If not, the subject is looked up anew, which
    /// either finds its new rights or that it has none. `version` is the present one, for subjects that are looked up.
    pub(crate) fn stands(&self, registry: &RegistryRow, version: i64) -> bool {
        match self.caller.subject() {
            subject @ (Subject::Anonymous | Subject::Admin { .. }) => subject.is_let_in_by(registry),
            Subject::Principal { mode, .. } => self.version == version && *mode == mode_of(registry),
            Subject::Token { .. } => self.version == version,
        }
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
            Proof::None | Proof::Password | Proof::PrincipalToken | Proof::RefreshToken => 1,
        };
        Self(Cache::builder().max_capacity(MOST_VERDICTS).weigher(weigher).build())
    }

    /// The verdict on a token that was seen before, if it is for this registry, this use and this moment.
    pub(crate) fn find(
        &self,
        token: &str,
        registry: &RegistryRow,
        accepts: Accepts,
        now: Timestamp,
    ) -> Option<Verdict> {
        self.0.get(&fingerprint(token)).filter(|verdict| verdict.is_for(registry, accepts, now))
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
