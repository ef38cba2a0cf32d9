//! Registries for the command line: the operator's way into the management plane, which has the rules.
//!
//! Each change stands in the change log, so that a server that runs beside hears of it.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use wharf_arm::Code;
use wharf_identity::PasswordName;
use wharf_management::{Actor, Cx, Failure};
use wharf_metadata::{RegistryRow, registries};
use wharf_model::{RegistryName, ResourceId};

use crate::app::App;

/// The registries of an installation, for its operator.
pub(crate) struct Registries<'a>(pub(crate) &'a App);

impl Registries<'_> {
    /// Creates a registry in a resource group, which is made if it is not there. Returns it as the API shows it.
    ///
    /// # Errors
    /// When the name is taken or reserved, or the body cannot be taken.
    pub(crate) async fn create(
        &self,
        name: &RegistryName,
        group: &str,
        mut body: Map<String, Value>,
    ) -> Result<Value, anyhow::Error> {
        if self.0.find_registry(name).await?.is_some() {
            bail!("there is a registry {name} already; choose another name");
        }
        let what = || format!("cannot create the registry {name}");
        let subscription = ResourceId::of_subscription(self.0.installation.ids.subscription_id);
        let group = subscription.child(GROUPS, group).with_context(what)?;
        let location = self.group_location(&group).await.with_context(what)?;
        body.insert("location".to_owned(), location);
        let id = group.resource(NAMESPACE, KIND, name.as_str()).with_context(what)?;
        let answer = self.0.management.put(&self.operator(), &id, body).await.with_context(what)?;
        Ok(answer.body.unwrap_or_default())
    }

    /// Changes what `body` names, and returns the registry as the API shows it.
    ///
    /// # Errors
    /// When there is none of this name, or the body cannot be taken.
    pub(crate) async fn update(&self, name: &RegistryName, body: Map<String, Value>) -> Result<Value, anyhow::Error> {
        let id = self.0.get_registry(name).await?.resource_id;
        let answer = self.0.management.patch(&self.operator(), &id, body).await;
        let answer = answer.with_context(|| format!("cannot change the registry {name}"))?;
        self.0.let_server_notice().await;
        Ok(answer.body.unwrap_or_default())
    }

    /// Lists all registries by name, as the API shows them.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn list(&self) -> Result<Vec<Value>, anyhow::Error> {
        let subscription = ResourceId::of_subscription(self.0.installation.ids.subscription_id);
        let kind = format!("{NAMESPACE}/{KIND}");
        let listed = self.0.management.list(&self.operator(), &subscription, &kind).await;
        let mut listed = listed.context("cannot list the registries")?;
        listed.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
        Ok(listed)
    }

    /// Shows a registry as the API does.
    ///
    /// # Errors
    /// When there is none of this name, or the database fails.
    pub(crate) async fn show(&self, name: &RegistryName) -> Result<Value, anyhow::Error> {
        let id = self.0.get_registry(name).await?.resource_id;
        self.0.management.get(&self.operator(), &id).await.with_context(|| format!("cannot show the registry {name}"))
    }

    /// Deletes a registry with everything in it.
    ///
    /// # Errors
    /// When there is none, or a lock is on it.
    pub(crate) async fn delete(&self, name: &RegistryName) -> Result<(), anyhow::Error> {
        let id = self.0.get_registry(name).await?.resource_id;
        let deleted = self.0.management.delete(&self.operator(), &id).await;
        deleted.with_context(|| format!("cannot delete the registry {name}"))?;
        self.0.let_server_notice().await;
        Ok(())
    }

    /// The registry's row, if its admin user is switched on.
    ///
    /// # Errors
    /// When there is none, or its admin user is off.
    pub(crate) async fn credentials(&self, name: &RegistryName) -> Result<RegistryRow, anyhow::Error> {
        self.act(name, "listCredentials", Map::new()).await
    }

    /// Replaces one of the admin user's passwords by a new one.
    ///
    /// # Errors
    /// When there is no such registry, or its admin user is off.
    pub(crate) async fn regenerate(
        &self,
        name: &RegistryName,
        which: PasswordName,
    ) -> Result<RegistryRow, anyhow::Error> {
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(which.as_str()));
        let row = self.act(name, "regenerateCredential", body).await?;
        self.0.let_server_notice().await;
        Ok(row)
    }

    /// Does an action on the admin user's passwords, and returns the row that now holds them.
    async fn act(
        &self,
        name: &RegistryName,
        action: &str,
        body: Map<String, Value>,
    ) -> Result<RegistryRow, anyhow::Error> {
        let id = self.0.get_registry(name).await?.resource_id;
        match self.0.management.act(&self.operator(), &id, action, body).await {
            Err(failure) if failure.error().code == Code::UnAuthorizedForCredentialOperations => bail!(
                "the admin user of the registry {name} is switched off; \
                 `wharf registry update {name} --admin on` switches it on"
            ),
            other => other.with_context(|| format!("cannot read the credentials of the registry {name}"))?,
        };
        self.0.get_registry(name).await
    }

    /// Where a resource group is; makes the group where the default one is if it is not there.
    async fn group_location(&self, group: &ResourceId) -> Result<Value, Failure> {
        let operator = self.operator();
        match self.0.management.get(&operator, group).await {
            Ok(group) => return Ok(group["location"].clone()),
            Err(failure) if failure.error().code == Code::ResourceGroupNotFound => {}
            Err(failure) => return Err(failure),
        }
        let location = match group.parent().and_then(|parent| parent.child(GROUPS, DEFAULT_GROUP).ok()) {
            Some(default) if default != *group => self.0.management.get(&operator, &default).await.ok(),
            _ => None,
        };
        let location = location.map_or_else(|| json!(DEFAULT_LOCATION), |found| found["location"].clone());
        let mut body = Map::new();
        body.insert("location".to_owned(), location.clone());
        self.0.management.put(&operator, group, body).await?;
        Ok(location)
    }

    fn operator(&self) -> Cx {
        self.0.management.cx(Actor::Operator)
    }
}

impl App {
    /// All registries by name, as the database has them.
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
    /// When the database fails.
    pub(crate) async fn find_registry(&self, name: &RegistryName) -> Result<Option<RegistryRow>, anyhow::Error> {
        let wanted = name.clone();
        self.database
            .read(move |c| Box::pin(async move { registries::find_by_name(c, &wanted).await }))
            .await
            .with_context(|| format!("cannot look up the registry {name}"))
    }

    /// The registry with this name, as the database has it.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub(crate) async fn get_registry(&self, name: &RegistryName) -> Result<RegistryRow, anyhow::Error> {
        let found = self.find_registry(name).await?;
        found.with_context(|| format!("there is no registry {name}; `wharf registry list` shows those there are"))
    }

    /// A removed password or registry must be of no use any more when the command says so: while a server runs on the
    /// data, this waits until what it remembers of registries has lapsed.
    pub(crate) async fn let_server_notice(&self) {
        let is_free = File::open(self.data.lock_file()).is_ok_and(|file| file.try_lock_shared().is_ok());
        if !is_free {
            tokio::time::sleep(REMEMBERED).await;
        }
    }
}

/// How long a server may remember a registry, with a margin.
const REMEMBERED: Duration = Duration::from_millis(1100);

const NAMESPACE: &str = "Microsoft.ContainerRegistry";
const KIND: &str = "registries";
const GROUPS: &str = "resourceGroups";

/// The resource group that the first start makes.
pub(crate) const DEFAULT_GROUP: &str = "default";

/// Where a resource group is said to be when there is none to go by.
const DEFAULT_LOCATION: &str = "eastus";

const PAGE: i64 = 500;
