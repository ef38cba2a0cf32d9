//! Registries: create, list, change and delete, for the command line.
//!
//! Each change stands in the change log, so that a server that runs beside hears of it.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context as _, bail};
use uuid::Uuid;
use wharf_identity::PasswordName;
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::{NewRegistry, RegistryRow, registries};
use wharf_model::{LoginServers, RegistryName, RegistryUid};

use crate::app::App;

/// The tiers, as ACR names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum Sku {
    /// The smallest.
    Basic,
    /// The middle.
    Standard,
    /// The largest.
    Premium,
}

impl Sku {
    fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Standard => "Standard",
            Self::Premium => "Premium",
        }
    }
}

impl App {
    /// Creates a registry.
    ///
    /// # Errors
    /// When the name is taken or reserved, or the database fails.
    pub(crate) async fn create_registry(
        &self,
        name: &RegistryName,
        sku: Sku,
        admin_user_enabled: bool,
    ) -> Result<RegistryRow, anyhow::Error> {
        if LoginServers::is_reserved(name) {
            bail!("the name {name} is reserved for a service of its own; choose another name");
        }
        let uid = RegistryUid(Uuid::new_v4());
        let admin = self.identity.new_admin_credentials(uid, None).context("cannot make passwords")?;
        let now = self.clock.now();
        let new = NewRegistry {
            uid,
            name: name.clone(),
            sku: sku.as_str().to_owned(),
            admin_user_enabled,
            anonymous_pull_enabled: false,
            admin_passwords: admin.sealed,
            created_at: now,
            resource_id: wharf_model::ResourceId::root(),
            settings: Default::default(),
        };
        let created = self
            .database
            .write(move |c| {
                Box::pin(async move {
                    let Some(id) = registries::insert(c, &new).await? else { return Ok(None) };
                    let created = NewChange {
                        kind: Kind::RegistryCreate,
                        actor: "operator",
                        repository: None,
                        tag: None,
                        digest: None,
                        changed_at: now,
                    };
                    changes::append(c, id, &[created]).await?;
                    registries::find_by_name(c, &new.name).await
                })
            })
            .await
            .with_context(|| format!("cannot create the registry {name}"))?;
        created.with_context(|| format!("there is a registry {name} already; choose another name"))
    }

    /// Lists all registries by name.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn list_registries(&self) -> Result<Vec<RegistryRow>, anyhow::Error> {
        let mut all: Vec<RegistryRow> = Vec::new();
        loop {
            let after = all.last().map(|row| row.name.clone());
            let page = self
                .database
                .read(move |c| Box::pin(async move { registries::list(c, after.as_ref(), PAGE).await }))
                .await
                .context("cannot list the registries")?;
            let is_last = (page.len() as i64) < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The registry with this name, as the database has it.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub(crate) async fn get_registry(&self, name: &RegistryName) -> Result<RegistryRow, anyhow::Error> {
        let wanted = name.clone();
        let found = self
            .database
            .read(move |c| Box::pin(async move { registries::find_by_name(c, &wanted).await }))
            .await
            .with_context(|| format!("cannot look up the registry {name}"))?;
        found.with_context(|| format!("there is no registry {name}; `wharf registry list` shows those there are"))
    }

    /// Deletes a registry with everything in it.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub(crate) async fn delete_registry(&self, name: &RegistryName) -> Result<(), anyhow::Error> {
        let registry = self.get_registry(name).await?;
        self.database
            .write(move |c| Box::pin(registries::delete(c, registry.id)))
            .await
            .with_context(|| format!("cannot delete the registry {name}"))?;
        self.let_server_notice().await;
        Ok(())
    }

    /// Switches the admin user and anonymous pull, each if it is given.
    ///
    /// # Errors
    /// When there is no such registry, or the database fails.
    pub(crate) async fn update_registry(
        &self,
        name: &RegistryName,
        admin: Option<bool>,
        anonymous_pull: Option<bool>,
    ) -> Result<RegistryRow, anyhow::Error> {
        let mut row = self.get_registry(name).await?;
        if let Some(enabled) = admin {
            row = self.identity.set_admin_enabled(&row, enabled).await.context("cannot switch the admin user")?;
        }
        if let Some(enabled) = anonymous_pull {
            row = self.identity.set_anonymous_pull(&row, enabled).await.context("cannot switch anonymous pull")?;
        }
        self.let_server_notice().await;
        Ok(row)
    }

    /// Replaces one of the admin user's passwords by a new one.
    ///
    /// # Errors
    /// When there is no such registry, or the database fails.
    pub(crate) async fn regenerate_password(
        &self,
        name: &RegistryName,
        which: PasswordName,
    ) -> Result<RegistryRow, anyhow::Error> {
        let row = self.get_registry(name).await?;
        let row = self.identity.regenerate(&row, which).await.context("cannot replace the password")?;
        self.let_server_notice().await;
        Ok(row)
    }

    /// A removed password or registry must be of no use any more when the command says so: while a server runs on the
    /// data, this waits until what it remembers of registries has lapsed.
    async fn let_server_notice(&self) {
        let is_free = File::open(self.data.lock_file()).is_ok_and(|file| file.try_lock_shared().is_ok());
        if !is_free {
            tokio::time::sleep(REMEMBERED).await;
        }
    }
}

/// How long a server may remember a registry, with a margin.
const REMEMBERED: Duration = Duration::from_millis(1100);

const PAGE: i64 = 500;
