//! Who is calling: from credentials to a [`Caller`].

use std::fmt;
use std::sync::Arc;

use tracing::debug;
use wharf_egress::Egress;
use wharf_metadata::{Database, RegistryRow, settings};
use wharf_model::{Client, Clock, Timestamp};

use crate::caller::{Caller, Credentials, Proof, SharedCaller, Subject};
use crate::directory::Directory;
use crate::federation::Federation;
use crate::held_roles::HeldRoles;
use crate::keys::Keys;
use crate::oidc::{KnownTenant, PrincipalTokens};
use crate::passwords::PasswordCheck;
use crate::random::{Random, SystemRandom};
use crate::registry_tokens::RegistryTokens;
use crate::signing_key::SigningKey;
use crate::token::{Claims, GrantType, ISSUER, LONGEST_TOKEN, SubjectClaim, parse_token};
use crate::verdict::{Accepts, Verdict, Verdicts};
use crate::{AuthError, Error, SealingKey, TokenProblem};

/// The handle to everything about identity; clones share it.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) sealing: Arc<SealingKey>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) keys: Keys,
    verdicts: Verdicts,
    pub(crate) principal_tokens: PrincipalTokens,
    pub(crate) federation: Federation,
    pub(crate) tenant: KnownTenant,
    pub(crate) passwords: PasswordCheck,
    pub(crate) directory: Directory,
    pub(crate) registry_tokens: RegistryTokens,
    pub(crate) held_roles: HeldRoles,
}

/// The user name under which `az acr login` and others send a token as the password.
pub const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

impl Identity {
    /// A handle that draws on the operating system's randomness. Call [`Identity::start`] before use.
    #[must_use]
    pub fn new(database: Database, sealing: Arc<SealingKey>, clock: Arc<dyn Clock>) -> Self {
        Self::with_egress(database, sealing, clock, Egress::default())
    }

    /// The same, which may reach issuers outside at the addresses that `egress` allows. Without it, public ones only.
    #[must_use]
    pub fn with_egress(database: Database, sealing: Arc<SealingKey>, clock: Arc<dyn Clock>, egress: Egress) -> Self {
        Self::of_parts(database, sealing, clock, Arc::new(SystemRandom), egress)
    }

    /// A handle that draws ids and passwords from `random`. RSA keys always come from the operating system's randomness.
    #[must_use]
    pub fn with_random(
        database: Database,
        sealing: Arc<SealingKey>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self::of_parts(database, sealing, clock, random, Egress::default())
    }

    fn of_parts(
        database: Database,
        sealing: Arc<SealingKey>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        egress: Egress,
    ) -> Self {
        Self(Arc::new(Parts {
            keys: Keys::new(database.clone(), sealing.clone(), clock.clone()),
            verdicts: Verdicts::new(),
            principal_tokens: PrincipalTokens::new(),
            federation: Federation::new(egress),
            tenant: KnownTenant::default(),
            passwords: PasswordCheck::new(sealing.clone(), random.as_ref()),
            directory: Directory::new(sealing.clone(), clock.clone()),
            registry_tokens: RegistryTokens::new(),
            held_roles: HeldRoles::new(),
            database,
            sealing,
            clock,
            random,
        }))
    }

    /// Makes sure that the sealing key belongs to the database, and reads the signing keys or makes the first.
    ///
    /// # Errors
    /// When the database fails, or what it holds was sealed under another key.
    pub async fn start(&self) -> Result<(), Error> {
        self.check_sealing_key().await?;
        self.rotate_keys().await
    }

    /// Seals a secret for a while, such as credentials that wait for a job. `context` says whose it is, and must be the
    /// same when it is unsealed.
    #[must_use]
    pub fn seal(&self, context: &str, secret: &[u8]) -> Vec<u8> {
        self.0.sealing.seal(context, secret)
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it was sealed under another key or for somebody else.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let what = || context.to_owned();
        self.0.sealing.unseal(context, sealed).map_err(|source| Error::Sealed { what: what(), source })
    }

    /// Upkeep of the signing keys, to be run every few minutes: reads those of other nodes, removes old ones, makes the
    /// next one when it is due. Safe to run on every node at the same time.
    ///
    /// # Errors
    /// When the database fails. What there is goes on working, for a day at least.
    pub async fn rotate_keys(&self) -> Result<(), Error> {
        self.0.keys.rotate().await
    }

    /// Finds out who calls the registry.
    ///
    /// A token that was seen before costs a digest and a look-up, a password a MAC. Everything that may change between
    /// two requests is compared each time: the time, the switches and the credentials of the registry with `registry`,
    /// which must be as fresh as "at once" is to mean; principals, roles and tokens with the version of who may do what.
    ///
    /// `client` is where the request came from: it counts for those who fail to sign in again and again, and for
    /// conditions of roles that ask for it.
    ///
    /// # Errors
    /// When they are not let in, or when that cannot be found out.
    pub async fn authenticate(
        &self,
        registry: &RegistryRow,
        credentials: Credentials<'_>,
        client: Option<Client>,
    ) -> Result<Arc<Caller>, AuthError> {
        let caller = match credentials {
            Credentials::Bearer(token) => self.caller_by_token(registry, token, Accepts::Access).await?,
            Credentials::RefreshToken(token) => self.caller_by_token(registry, token, Accepts::Refresh).await?,
            Credentials::Basic { username: TOKEN_USER, password } => {
                self.caller_by_token(registry, password, Accepts::Either).await?
            }
            // Boxed, so that the common case does not carry the rarer ones' state around.
            Credentials::Basic { username, password } => {
                Box::pin(self.sign_in(registry, username, password, client)).await?
            }
        };
        Ok(if caller.rights().asks_environment() { caller.at(self.environment_of(client)) } else { caller })
    }

    async fn caller_by_token(
        &self,
        registry: &RegistryRow,
        token: &str,
        accepts: Accepts,
    ) -> Result<SharedCaller, AuthError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenProblem::TooLong.into());
        }
        let known = self.0.verdicts.find(token, registry, accepts, self.0.clock.now());
        if let Some(verdict) = &known {
            let is_looked_up = verdict.caller.subject().is_looked_up();
            let version = if is_looked_up { self.0.database.access_version().await.map_err(Error::from)? } else { 0 };
            if verdict.stands(registry, version) {
                return Ok(verdict.caller.clone());
            }
        }
        Box::pin(self.verify(registry, token, accepts, known)).await
    }

    /// Verifies a token from its first character to its last, or what is not known of it, and keeps the verdict if it is
    /// good.
    async fn verify(
        &self,
        registry: &RegistryRow,
        token: &str,
        accepts: Accepts,
        known: Option<Verdict>,
    ) -> Result<SharedCaller, AuthError> {
        // Before anything is read that the verdict is worked out from.
        let version = self.0.database.access_version().await.map_err(Error::from)?;
        let read = match known {
            Some(verdict) => Read {
                claim: verdict.claim,
                proof: verdict.caller.proof().clone(),
                kind: verdict.kind,
                not_before: verdict.not_before,
                expires: verdict.expires,
            },
            None => {
                let parsed = parse_token(token)?;
                let key = self.0.keys.find(parsed.key_id()).await?.ok_or(TokenProblem::UnknownKey)?;
                judge(parsed.verify(&key.public)?, &key, registry, accepts, self.0.clock.now())?
            }
        };
        let Read { claim, proof, kind, not_before, expires } = read;
        let caller = self.find_caller(registry, &claim, proof, version).await?.ok_or(TokenProblem::Revoked)?;
        debug!(caller = caller.name(), registry = %registry.name, "Verified a token");
        let expires = match caller.subject() {
            Subject::Token { expires: Some(password_ends), .. } => expires.min(*password_ends),
            _ => expires,
        };
        let caller = Arc::new(caller);
        self.0.verdicts.keep(token, Verdict { caller: caller.clone(), claim, kind, not_before, expires, version });
        Ok(caller)
    }

    /// Compares the sealing key with the one that sealed the database's secrets, by a value that it seals at first.
    async fn check_sealing_key(&self) -> Result<(), Error> {
        let ours = self.0.sealing.seal(CHECK_KEY, b"");
        let standing = self
            .0
            .database
            .write(move |c| Box::pin(async move { settings::put_if_absent(c, CHECK_KEY, &ours).await }))
            .await?;
        let opened = self.0.sealing.unseal(CHECK_KEY, &standing);
        opened.map(drop).map_err(|source| Error::Sealed { what: "every secret".to_owned(), source })
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("keys", &self.0.keys).finish_non_exhaustive()
    }
}

/// What a token says, as far as it matters after its signature and its times were found right.
struct Read {
    claim: SubjectClaim,
    proof: Proof,
    kind: GrantType,
    not_before: Timestamp,
    expires: Timestamp,
}

/// Whether the claims of a token with the right signature are for this registry, this use and this moment.
fn judge(
    claims: Claims,
    key: &SigningKey,
    registry: &RegistryRow,
    accepts: Accepts,
    now: Timestamp,
) -> Result<Read, TokenProblem> {
    let kind = claims.grant_type;
    if !accepts.this(kind) {
        return Err(TokenProblem::WrongKind);
    }
    if claims.iss != ISSUER || claims.version != kind.version() {
        return Err(TokenProblem::Malformed);
    }
    // Not `aud`: a registry may be reached by several names, and its uid is unique for all times.
    if claims.rid != registry.uid.to_string() {
        return Err(TokenProblem::OtherRegistry);
    }
    let not_before = Timestamp::from_unix_seconds(claims.nbf);
    let expires = Timestamp::from_unix_seconds(claims.exp).min(key.verifies_until);
    if now < not_before {
        return Err(TokenProblem::NotYetValid);
    }
    if now >= expires {
        return Err(TokenProblem::Expired);
    }
    let proof = match kind {
        GrantType::RefreshToken => Proof::RefreshToken,
        GrantType::AccessToken => {
            let access = claims.access.unwrap_or_default();
            Proof::AccessToken { access: access.into_iter().filter_map(|entry| entry.known()).collect(), expires }
        }
    };
    Ok(Read { claim: claims.wharf, proof, kind, not_before, expires })
}

/// The setting that holds a value sealed under the installation's sealing key, and the context that it is sealed for.
const CHECK_KEY: &str = "identity.sealing-key-check";
