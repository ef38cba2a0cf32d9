//! What an installation is made of, once: tenant, subscription, owner, keys of its own, then a resource group with the
//! default registry.
//!
//! ```text
//! create     one transaction: ids, keys, tenant, subscription, owner with Owner on everything
//! furnish    the resource group `default` and the registry in it, through the management plane; noted when done
//! announce   credentials.json and the greeting, made from the rows; noted when done
//! ```
//!
//! A first start that is cut off anywhere is completed by the next. What somebody deletes later stays away.

mod first_start;
mod presets;

use anyhow::{Context as _, anyhow};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wharf_identity::SealingKey;
use wharf_metadata::{Database, settings};

pub(crate) use self::presets::Presets;

/// The facts of an installation.
pub(crate) struct Installation {
    /// The tenant, subscription and owner.
    pub(crate) ids: InstallationIds,
    /// The owner's secret, for `az login --service-principal`.
    pub(crate) owner_secret: SecretString,
    /// Authenticates the state of upload sessions that travels in URLs.
    pub(crate) upload_state_key: [u8; 32],
    /// Whether an earlier start made the resource group and the default registry.
    pub(crate) is_furnished: bool,
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
                    let is_furnished = settings::get(c, FURNISHED).await?.is_some();
                    let is_announced = settings::get(c, ANNOUNCED).await?.is_some();
                    Ok::<_, wharf_metadata::Error>((ids, secret, key, [is_furnished, is_announced]))
                })
            })
            .await
            .context("cannot read the installation's settings")?;
        let (Some(ids), Some(secret), Some(key), [is_furnished, is_announced]) = rows else { return Ok(None) };
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
            is_furnished,
            is_announced,
        }))
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

    /// Notes that the resource group and the default registry were made.
    ///
    /// # Errors
    /// When the database fails.
    async fn set_furnished(database: &Database) -> Result<(), anyhow::Error> {
        database
            .write(|c| Box::pin(settings::put(c, FURNISHED, b"1")))
            .await
            .context("cannot note that the default registry was made")
    }
}

const IDS: &str = "installation.ids";
const OWNER_SECRET: &str = "installation.owner-secret";
const UPLOAD_STATE_KEY: &str = "installation.upload-state-key";
const FURNISHED: &str = "installation.furnished";
const ANNOUNCED: &str = "installation.announced";
