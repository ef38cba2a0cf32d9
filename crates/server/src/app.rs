//! The wiring: from a configuration to the stores and the use cases on them.

use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, bail};
use wharf_blobs::{BlobStore, FileStore};
use wharf_egress::Egress;
use wharf_identity::secrets::{Environment, Secrets};
use wharf_identity::{Identity, SealingKey};
use wharf_management::Management;
use wharf_metadata::{Database, DatabaseUrl};
use wharf_model::{Clock, RegistryName};
use wharf_registry::{Artifacts, Settings};
use wharf_replication::cache::Cache;
use wharf_upstream::Upstreams;

use crate::config::Config;
use crate::credentials::{CredentialsFile, RegistryCredentials};
use crate::data_dir::{DataDir, create_secret_file};
use crate::hosts::{DEFAULT_REGISTRY, Hosts};
use crate::installation::{Installation, Presets};

/// Everything that `serve` and the commands work with.
pub(crate) struct App {
    /// The data directory.
    pub(crate) data: DataDir,
    /// The rows.
    pub(crate) database: Database,
    /// Who is calling, and may they.
    pub(crate) identity: Identity,
    /// What can be done with artifacts.
    pub(crate) artifacts: Artifacts,
    /// What can be done with resources.
    pub(crate) management: Management,
    /// The names under which the server is known.
    pub(crate) hosts: Hosts,
    /// What there is one of.
    pub(crate) installation: Installation,
    /// Tells the time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What stands for secrets that resources name.
    pub(crate) secrets: Secrets,
    /// The way out to other registries, once somebody needs it.
    upstreams: OnceLock<Upstreams>,
    /// The artifact cache, once somebody needs it.
    cache: OnceLock<Cache>,
}

impl App {
    /// Opens the stores for a server known under `hosts`, making what is not there yet.
    ///
    /// # Errors
    /// When a store cannot be opened or the first start cannot be completed.
    pub(crate) async fn open_or_create(
        config: &Config,
        hosts: Hosts,
        presets: &Presets,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, anyhow::Error> {
        let data = DataDir::at(&config.data);
        let (database, sealing, identity) = open_stores(config, &data, &clock).await?;
        identity.start().await.context("cannot prepare the keys that sign tokens")?;
        let installation = match Installation::load(&database, &sealing).await? {
            Some(installation) => installation,
            None => {
                let domain = &config.listen.domain;
                Installation::create(&database, &identity, &sealing, presets, domain, clock.now()).await?;
                Installation::load(&database, &sealing).await?.context("the installation is gone again")?
            }
        };
        let app = Self::put_together(config, hosts, data, (database, sealing, identity), installation, clock)?;
        app.installation.furnish(&app.management, presets).await?;
        Ok(app)
    }

    /// Opens the stores for a command, which works on what a server has made.
    ///
    /// # Errors
    /// When there is nothing yet, or a store cannot be opened.
    pub(crate) async fn open_existing(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, anyhow::Error> {
        let data = DataDir::at(&config.data);
        let nothing_here = || {
            format!(
                "there is no Wharf data in {} yet; start `wharf serve` once, or name its directory with --data",
                data.root().display()
            )
        };
        let is_embedded = config.storage.database.is_none();
        if !data.sealing_key().is_file() || (is_embedded && !data.database().is_file()) {
            bail!(nothing_here());
        }
        let (database, sealing, identity) = open_stores(config, &data, &clock).await?;
        let installation = Installation::load(&database, &sealing).await?.with_context(nothing_here)?;
        Self::put_together(config, Hosts::of(config), data, (database, sealing, identity), installation, clock)
    }

    fn put_together(
        config: &Config,
        hosts: Hosts,
        data: DataDir,
        (database, sealing, identity): (Database, Arc<SealingKey>, Identity),
        installation: Installation,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, anyhow::Error> {
        let settings =
            Settings { blob_lease: config.gc.grace, upload_ttl: config.gc.upload_ttl, ..Settings::default() };
        let blobs = open_blobs(config, &data)?;
        let artifacts =
            Artifacts::new(database.clone(), blobs, clock.clone(), settings, &installation.upload_state_key);
        let login_servers = Arc::new(hosts.login_servers().clone());
        let management = Management::new(artifacts.clone(), identity.clone(), clock.clone(), login_servers);
        let environment: Environment = Arc::new(|name| std::env::var(name).ok());
        let secrets = Secrets::new(database.clone(), sealing, config.secrets.directory.clone(), environment);
        Ok(Self {
            data,
            database,
            identity,
            artifacts,
            management,
            hosts,
            installation,
            clock,
            secrets,
            upstreams: OnceLock::new(),
            cache: OnceLock::new(),
        })
    }

    /// The artifact cache, of which the management plane hears too.
    ///
    /// # Errors
    /// When the way out to other registries cannot be prepared.
    pub(crate) fn cache(&self, config: &Config) -> Result<Cache, anyhow::Error> {
        let upstreams = self.upstreams(config)?;
        let cache = self.cache.get_or_init(|| {
            let (artifacts, secrets) = (self.artifacts.clone(), self.secrets.clone());
            Cache::new(artifacts, upstreams, secrets, self.clock.clone(), config.cache.settings())
        });
        self.management.use_cache(cache.clone());
        Ok(cache.clone())
    }

    /// The way out to other registries, which imports and the cache share.
    ///
    /// # Errors
    /// When the certificates to be trusted cannot be read.
    pub(crate) fn upstreams(&self, config: &Config) -> Result<Upstreams, anyhow::Error> {
        if let Some(upstreams) = self.upstreams.get() {
            return Ok(upstreams.clone());
        }
        let made = Upstreams::new(&egress(config), config.upstreams.settings()?);
        let made = made.context("cannot prepare requests to other registries")?;
        Ok(self.upstreams.get_or_init(|| made).clone())
    }

    /// Brings `credentials.json` up to date with the database.
    ///
    /// # Errors
    /// When the database fails or the file cannot be written.
    pub(crate) async fn update_credentials_file(&self) -> Result<Option<RegistryCredentials>, anyhow::Error> {
        let name: RegistryName = DEFAULT_REGISTRY.parse().expect("the default registry's name is a registry's name");
        let found = self.artifacts.find_registry(&name).await.context("cannot look up the default registry")?;
        // Somebody may have deleted it; then the file keeps what it says of it.
        let Some(registry) = found else { return Ok(None) };
        let credentials = || RegistryCredentials::of(&registry, &self.identity, &self.hosts);
        CredentialsFile::new(&self.installation, credentials()?).update(&self.data, self.installation.is_announced)?;
        Ok(Some(credentials()?))
    }
}

async fn open_stores(
    config: &Config,
    data: &DataDir,
    clock: &Arc<dyn Clock>,
) -> Result<(Database, Arc<SealingKey>, Identity), anyhow::Error> {
    let sealing = Arc::new(SealingKey::load_or_create(&data.sealing_key()).context("cannot load the sealing key")?);
    let url = match &config.storage.database {
        None => DatabaseUrl::Sqlite(data.database()),
        Some(location) => location.expose().parse().context("cannot use the database's address")?,
    };
    let place = || match &config.storage.database {
        None => format!("cannot open the database {}", data.database().display()),
        Some(location) => format!("cannot open the database {}", location.masked()),
    };
    if let DatabaseUrl::Sqlite(path) = &url {
        // SQLite gives its -wal and -shm the mode of the database.
        create_secret_file(path).with_context(place)?;
    }
    let database = Database::open(&url).await.with_context(place)?;
    let identity = Identity::with_egress(database.clone(), sealing.clone(), clock.clone(), egress(config));
    Ok((database, sealing, identity))
}

/// The one way out to addresses that users name.
fn egress(config: &Config) -> Egress {
    Egress::new(config.allow_internal.iter().map(|range| range.0))
}

fn open_blobs(config: &Config, data: &DataDir) -> Result<Arc<dyn BlobStore>, anyhow::Error> {
    let directory = match &config.storage.blobs {
        None => data.blobs(),
        Some(location) if location.scheme() == "file" => {
            match url::Url::parse(location.expose()).ok().and_then(|url| url.to_file_path().ok()) {
                Some(path) => path,
                None => bail!("{} names no directory; write it as file:///srv/wharf/blobs", location.masked()),
            }
        }
        Some(location) => bail!(
            "blobs in {} are not supported by this version; leave --blobs out to keep them in the data directory",
            location.masked()
        ),
    };
    let store = FileStore::open(directory.clone())
        .with_context(|| format!("cannot open the blob store {}", directory.display()))?;
    Ok(Arc::new(store))
}
