//! What an installation is made of, once: tenant, subscription, owner, keys of its own, the default registry.
//!
//! All of it is rows of one transaction, so a first start either made it or did not. The file `credentials.json` and
//! the greeting are made from the rows, and a last row notes that this was done: a first start that is cut off anywhere
//! is completed by the next.

use anyhow::{Context as _, anyhow};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wharf_identity::{Identity, Random as _, SealingKey, SystemRandom, generate_password};
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::{Database, NewRegistry, registries, settings};
use wharf_model::{RegistryUid, Timestamp};

use crate::hosts::DEFAULT_REGISTRY;

/// The facts of an installation.
pub(crate) struct Installation {
    /// The tenant, subscription and owner.
    pub(crate) ids: InstallationIds,
    /// The owner's secret, for `az login --service-principal`.
    pub(crate) owner_secret: SecretString,
    /// Authenticates the state of upload sessions that travels in URLs.
    pub(crate) upload_state_key: [u8; 32],
    /// Whether an earlier start wrote `credentials.json` and greeted.
    pub(crate) is_announced: bool,
}

/// Names of what there is one of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstallationIds {
    /// The tenant.
    pub(crate) tenant_id: Uuid,
    /// The subscription.
    pub(crate) subscription_id: Uuid,
    /// The owner service principal.
    pub(crate) client_id: Uuid,
}

/// Secrets that the environment presets for the first start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presets {
    /// `WHARF_ADMIN_PASSWORD`: the first admin password of the default registry.
    pub(crate) admin_password: Option<SecretString>,
    /// `WHARF_OWNER_SECRET`: the owner's secret.
    pub(crate) owner_secret: Option<SecretString>,
}

impl Presets {
    /// Reads the presets. Each variable may also be given as `…_FILE`, the path of a file that holds the value.
    ///
    /// # Errors
    /// When a value is not text or such a file cannot be read.
    pub(crate) fn from_environment() -> Result<Self, anyhow::Error> {
        let read = |name: &str| -> Result<Option<SecretString>, anyhow::Error> {
            if let Some(value) = std::env::var_os(name) {
                let value = value.into_string().map_err(|_| anyhow!("{name} is not UTF-8 text"))?;
                return Ok(Some(value.into()));
            }
            let variable = format!("{name}_FILE");
            let Some(path) = std::env::var_os(&variable) else { return Ok(None) };
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}, the file that {variable} names", path.to_string_lossy()))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
        };
        Ok(Self { admin_password: read("WHARF_ADMIN_PASSWORD")?, owner_secret: read("WHARF_OWNER_SECRET")? })
    }

    /// Says which presets came too late: they are for the first start, and one that does nothing must not go unnoticed.
    pub(crate) fn warn_of_unused(&self, installation: &Installation, admin_passwords: &[SecretString; 2]) {
        let differs = |preset: &Option<SecretString>, used: &[&SecretString]| {
            preset
                .as_ref()
                .is_some_and(|preset| used.iter().all(|secret| secret.expose_secret() != preset.expose_secret()))
        };
        if differs(&self.admin_password, &admin_passwords.each_ref()) {
            tracing::warn!(
                "WHARF_ADMIN_PASSWORD is not used, since it presets the password of the first start only; \
                 `wharf registry credentials` changes passwords"
            );
        }
        if differs(&self.owner_secret, &[&installation.owner_secret]) {
            tracing::warn!("WHARF_OWNER_SECRET is not used, since it presets the secret of the first start only");
        }
    }
}

impl Installation {
    /// Loads the installation; `None` when there is none yet.
    ///
    /// # Errors
    /// When the database fails, or when its secrets were sealed under another key.
    pub(crate) async fn load(database: &Database, sealing: &SealingKey) -> Result<Option<Self>, anyhow::Error> {
        let rows = database
            .read(|c| {
                Box::pin(async move {
                    let ids = settings::get(c, IDS).await?;
                    let secret = settings::get(c, OWNER_SECRET).await?;
                    let key = settings::get(c, UPLOAD_STATE_KEY).await?;
                    let is_announced = settings::get(c, ANNOUNCED).await?.is_some();
                    Ok::<_, wharf_metadata::Error>((ids, secret, key, is_announced))
                })
            })
            .await
            .context("cannot read the installation's settings")?;
        let (Some(ids), Some(secret), Some(key), is_announced) = rows else { return Ok(None) };
        let unseal = |name: &str, sealed: &[u8]| {
            sealing
                .unseal(name, sealed)
                .with_context(|| format!("cannot open the setting {name}; put back the sealing key of this database"))
        };
        let secret = String::from_utf8(unseal(OWNER_SECRET, &secret)?).context("the owner's secret is not text")?;
        let key = unseal(UPLOAD_STATE_KEY, &key)?;
        Ok(Some(Self {
            ids: serde_json::from_slice(&ids).with_context(|| format!("the setting {IDS} is damaged"))?,
            owner_secret: secret.into(),
            upload_state_key: key.try_into().map_err(|_| anyhow!("the setting {UPLOAD_STATE_KEY} is damaged"))?,
            is_announced,
        }))
    }

    /// Makes the installation in one transaction, unless another node has. Load it afterwards.
    ///
    /// # Errors
    /// When a preset cannot be used or the database fails.
    pub(crate) async fn create(
        database: &Database,
        identity: &Identity,
        sealing: &SealingKey,
        presets: Presets,
        now: Timestamp,
    ) -> Result<(), anyhow::Error> {
        let ids =
            InstallationIds { tenant_id: Uuid::new_v4(), subscription_id: Uuid::new_v4(), client_id: Uuid::new_v4() };
        let ids = serde_json::to_vec(&ids).context("ids always serialise")?;
        let owner_secret = presets.owner_secret.unwrap_or_else(|| generate_password(&SystemRandom));
        let owner_secret = sealing.seal(OWNER_SECRET, owner_secret.expose_secret().as_bytes());
        let mut key = [0; 32];
        SystemRandom.fill(&mut key);
        let key = sealing.seal(UPLOAD_STATE_KEY, &key);

        let uid = RegistryUid(Uuid::new_v4());
        let admin = identity
            .new_admin_credentials(uid, presets.admin_password)
            .context("WHARF_ADMIN_PASSWORD cannot be used")?;
        let registry = NewRegistry {
            uid,
            name: DEFAULT_REGISTRY.parse().expect("the default registry's name is a registry's name"),
            sku: "Premium".to_owned(),
            admin_user_enabled: true,
            anonymous_pull_enabled: false,
            admin_passwords: admin.sealed,
            created_at: now,
            resource_id: wharf_model::ResourceId::root(),
            settings: Default::default(),
        };
        database
            .write(move |c| {
                Box::pin(async move {
                    // Of several nodes that start together on one database, the first to write this row makes the rest.
                    if settings::put_if_absent(c, IDS, &ids).await? != ids {
                        return Ok(());
                    }
                    settings::put(c, OWNER_SECRET, &owner_secret).await?;
                    settings::put(c, UPLOAD_STATE_KEY, &key).await?;
                    if let Some(id) = registries::insert(c, &registry).await? {
                        let change = NewChange {
                            kind: Kind::RegistryCreate,
                            actor: "system",
                            repository: None,
                            tag: None,
                            digest: None,
                            changed_at: now,
                        };
                        changes::append(c, id, &[change]).await?;
                    }
                    Ok::<_, wharf_metadata::Error>(())
                })
            })
            .await
            .context("cannot write the installation's settings")
    }

    /// Notes that `credentials.json` was written and the greeting printed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn set_announced(database: &Database) -> Result<(), anyhow::Error> {
        database
            .write(|c| Box::pin(settings::put(c, ANNOUNCED, b"1")))
            .await
            .context("cannot note that the first start is complete")
    }
}

const IDS: &str = "installation.ids";
const OWNER_SECRET: &str = "installation.owner-secret";
const UPLOAD_STATE_KEY: &str = "installation.upload-state-key";
const ANNOUNCED: &str = "installation.announced";
