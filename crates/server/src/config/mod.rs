//! What `wharf` can be told, and from where: flag, environment, `wharf.toml`, the server that runs on the same data
//! directory, default. The first of these that says something wins, key by key.
//!
//! Each section of the file has a module of its own; the documentation of its fields is the reference. A configuration
//! that is wrong anywhere is refused as a whole, with the key, its value's place and what would be right.

mod cache;
mod cors;
mod egress;
mod gc;
mod layers;
mod limits;
mod listen;
mod log;
mod private;
mod storage;
mod tls;
mod upstream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ArgMatches;
use serde::{Deserialize, Serialize};

pub(crate) use self::cache::{CacheConfig, SecretsConfig};
pub(crate) use self::cors::CorsConfig;
pub(crate) use self::egress::Cidr;
pub(crate) use self::gc::GcConfig;
use self::layers::{Layers, Origin};
pub(crate) use self::limits::LimitsConfig;
pub(crate) use self::listen::{Domain, ListenAddress, ListenConfig};
pub(crate) use self::log::{AccessLog, LogConfig, LogFormat};
pub(crate) use self::private::PrivateConfig;
pub(crate) use self::storage::{Location, StorageConfig};
pub(crate) use self::tls::TlsConfig;
pub(crate) use self::upstream::UpstreamConfig;
use crate::data_dir::{DataDir, ServerFile};

/// The file that is read when `--config` is not given, if it exists.
const DEFAULT_FILE: &str = "wharf.toml";

/// The whole configuration, each value with its origin.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The data directory.
    pub(crate) data: PathBuf,
    /// Addresses and names.
    pub(crate) listen: ListenConfig,
    /// Listeners that count as the private endpoint, and proxies in front.
    pub(crate) private: PrivateConfig,
    /// Where rows and bytes are kept.
    pub(crate) storage: StorageConfig,
    /// The certificate, when it is not our own.
    pub(crate) tls: TlsConfig,
    /// What is logged, and how.
    pub(crate) log: LogConfig,
    /// Bounds on what a client may take.
    pub(crate) limits: LimitsConfig,
    /// When the collector runs and what it spares.
    pub(crate) gc: GcConfig,
    /// Which web pages may call the registry.
    pub(crate) cors: CorsConfig,
    /// Internal addresses that addresses given by users may resolve to.
    pub(crate) allow_internal: Vec<Cidr>,
    /// Other registries.
    pub(crate) upstreams: UpstreamConfig,
    /// The artifact cache.
    pub(crate) cache: CacheConfig,
    /// Where secrets are that resources name.
    pub(crate) secrets: SecretsConfig,
    /// Where each key's value comes from.
    pub(crate) origins: BTreeMap<&'static str, Origin>,
}

/// Flags that every command understands.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct CommonFlags {
    /// Configuration file [default: ./wharf.toml if there is one]
    #[arg(long, value_name = "FILE", env = "WHARF_CONFIG")]
    config: Option<PathBuf>,
    /// Data directory [default: ./wharf-data]
    #[arg(long, value_name = "DIR", env = "WHARF_DATA")]
    data: Option<PathBuf>,
    /// Database: postgres://… [default: SQLite in the data directory]
    #[arg(long, value_name = "URL", env = "WHARF_DATABASE", hide_env_values = true)]
    database: Option<Location>,
    /// Blob storage: s3://…, az://…, gs://… [default: files in the data directory]
    #[arg(long, value_name = "URL", env = "WHARF_BLOBS", hide_env_values = true)]
    blobs: Option<Location>,
    /// Where HTTP is served, or "off" [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDR", env = "WHARF_HTTP")]
    http: Option<ListenAddress>,
    /// Where HTTPS is served, or "off" [default: 127.0.0.1:5443]
    #[arg(long, value_name = "ADDR", env = "WHARF_HTTPS")]
    https: Option<ListenAddress>,
    /// Domain under which each registry has its host name [default: wharf.localhost]
    #[arg(long, value_name = "NAME", env = "WHARF_DOMAIN")]
    domain: Option<Domain>,
}

/// Flags of `wharf serve` alone.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct ServeFlags {
    #[command(flatten)]
    private: private::PrivateFlags,
    #[command(flatten)]
    tls: tls::TlsFlags,
    #[command(flatten)]
    log: log::LogFlags,
    #[command(flatten)]
    limits: limits::LimitsFlags,
    #[command(flatten)]
    egress: egress::EgressFlags,
}

/// The keys of `wharf.toml`. The flags of the command line stand at the top, under their own names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data: Option<PathBuf>,
    database: Option<Location>,
    blobs: Option<Location>,
    http: Option<ListenAddress>,
    https: Option<ListenAddress>,
    domain: Option<Domain>,
    private_http: Option<ListenAddress>,
    private_https: Option<ListenAddress>,
    trusted_proxies: Option<Vec<Cidr>>,
    allow_internal: Option<Vec<Cidr>>,
    #[serde(default)]
    tls: tls::TlsSection,
    #[serde(default)]
    log: log::LogSection,
    #[serde(default)]
    limits: limits::LimitsSection,
    #[serde(default)]
    gc: gc::GcSection,
    #[serde(default)]
    cors: cors::CorsSection,
    #[serde(default)]
    upstreams: upstream::UpstreamSection,
    #[serde(default)]
    cache: cache::CacheSection,
    #[serde(default)]
    secrets: cache::SecretsSection,
}

impl Config {
    /// Puts the configuration together from `common`, `serve` (for the command that serves), the file and the server on
    /// the data directory. `matches` are the matches of the subcommand; they tell a flag from a variable.
    ///
    /// # Errors
    /// When the file cannot be read or understood, or when values contradict each other.
    pub(crate) fn load(
        common: &CommonFlags,
        serve: Option<&ServeFlags>,
        matches: &ArgMatches,
    ) -> Result<Self, anyhow::Error> {
        let (path, file) = match &common.config {
            Some(path) => (Some(path.clone()), read_file(path)?),
            None if Path::new(DEFAULT_FILE).is_file() => {
                (Some(PathBuf::from(DEFAULT_FILE)), read_file(Path::new(DEFAULT_FILE))?)
            }
            None => (None, ConfigFile::default()),
        };
        let nothing = ServeFlags::default();
        let flags = serve.unwrap_or(&nothing);
        let mut layers = Layers { matches, path, server: None, origins: BTreeMap::new() };

        let data = layers.pick("data", "data", common.data.clone(), file.data, || PathBuf::from("wharf-data"));
        // What another server listens on tells the other commands where it can be reached; it is no wish of the
        // operator's for the next one.
        let server = if serve.is_none() { ServerFile::read(&DataDir::at(&data)) } else { None };
        layers.server = server.as_ref().map(|_| DataDir::at(&data).server_file());
        let running = server.as_ref();

        let config = Self {
            listen: ListenConfig::layer(
                &mut layers,
                (common.http, file.http, running.map(|server| server.http)),
                (common.https, file.https, running.map(|server| server.https)),
                (
                    common.domain.clone(),
                    file.domain,
                    running.filter(|server| server.domain_is_set).map(|server| server.domain.clone()),
                ),
            ),
            private: PrivateConfig::layer(
                &mut layers,
                &flags.private,
                (file.private_http, file.private_https, file.trusted_proxies),
            ),
            storage: StorageConfig {
                database: layers.pick_option("database", "database", common.database.clone(), file.database),
                blobs: layers.pick_option("blobs", "blobs", common.blobs.clone(), file.blobs),
            },
            tls: TlsConfig::layer(&mut layers, &flags.tls, file.tls),
            log: LogConfig::layer(&mut layers, &flags.log, file.log),
            limits: LimitsConfig::layer(&mut layers, &flags.limits, file.limits),
            gc: GcConfig::layer(&mut layers, file.gc),
            cors: CorsConfig::layer(&mut layers, file.cors),
            allow_internal: layers.pick(
                "allow_internal",
                "allow_internal",
                flags.egress.allow_internal.clone(),
                file.allow_internal,
                Vec::new,
            ),
            upstreams: UpstreamConfig::layer(&mut layers, file.upstreams),
            cache: CacheConfig::layer(&mut layers, file.cache),
            secrets: SecretsConfig::layer(&mut layers, file.secrets),
            data,
            origins: layers.origins,
        };
        config.validate()?;
        Ok(config)
    }

    /// The rules between fields.
    ///
    /// # Errors
    /// Names the keys that contradict each other, and where their values come from.
    fn validate(&self) -> Result<(), anyhow::Error> {
        self.listen.validate(self)?;
        self.private.validate(self)?;
        self.tls.validate(self)?;
        self.limits.validate(self)?;
        self.gc.validate(self)?;
        self.cors.validate(self)?;
        self.upstreams.validate(self)?;
        self.cache.validate(self)?;
        self.storage.validate(self)
    }

    /// A key and its value's place, for messages.
    fn place(&self, key: &str) -> String {
        match self.origins.get(key) {
            Some(Origin::File(path)) => format!("{key} in {}", path.display()),
            Some(Origin::Flag(flag)) => flag.clone(),
            Some(Origin::Environment(variable)) => variable.clone(),
            _ => key.to_owned(),
        }
    }

    /// Every key with its value as text and its origin, for `wharf config`. Passwords in addresses are hidden.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let address = |location: &Option<Location>, default: &str| {
            location.as_ref().map_or_else(|| default.to_owned(), Location::masked)
        };
        let path = |path: &Option<PathBuf>| path.as_ref().map_or_else(String::new, |path| path.display().to_string());
        let list = |ranges: &[Cidr]| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let seconds = |span: std::time::Duration| span.as_secs().to_string();
        let values = [
            ("data", self.data.display().to_string()),
            ("http", self.listen.http.to_string()),
            ("https", self.listen.https.to_string()),
            ("domain", self.listen.domain.to_string()),
            ("database", address(&self.storage.database, "SQLite in the data directory")),
            ("blobs", address(&self.storage.blobs, "files in the data directory")),
            ("private_http", self.private.http.to_string()),
            ("private_https", self.private.https.to_string()),
            ("trusted_proxies", list(&self.private.trusted_proxies)),
            ("allow_internal", list(&self.allow_internal)),
            ("tls.cert", path(&self.tls.cert)),
            ("tls.key", path(&self.tls.key)),
            ("log.format", self.log.format.to_string()),
            ("log.level", self.log.level.clone()),
            ("log.access", self.log.access.to_string()),
            ("log.sample_every", self.log.sample_every.to_string()),
            ("limits.connections", self.limits.connections.to_string()),
            ("limits.header_bytes", self.limits.header_bytes.to_string()),
            ("limits.idle_timeout_seconds", seconds(self.limits.idle_timeout)),
            ("limits.stall_timeout_seconds", seconds(self.limits.stall_timeout)),
            ("limits.shutdown_grace_seconds", seconds(self.limits.shutdown_grace)),
            ("gc.interval_seconds", seconds(self.gc.interval)),
            ("gc.grace_seconds", seconds(self.gc.grace)),
            ("gc.upload_ttl_seconds", seconds(self.gc.upload_ttl)),
            ("cors.allowed_origins", self.cors.allowed_origins.join(",")),
            ("upstreams.plain_http", self.upstreams.plain_http_text()),
            ("upstreams.ca", path(&self.upstreams.ca)),
            ("upstreams.realms", self.upstreams.realms_text()),
            ("upstreams.stall_timeout_seconds", seconds(self.upstreams.stall_timeout)),
            ("cache.fresh_seconds", seconds(self.cache.fresh_for)),
            ("cache.max_bytes", self.cache.max_bytes.map_or_else(String::new, |bytes| bytes.to_string())),
            ("secrets.directory", path(&self.secrets.directory)),
        ];
        let origin = |key: &str| self.origins.get(key).unwrap_or(&Origin::Default).to_string();
        values.into_iter().map(|(key, value)| Entry { key, value, origin: origin(key) }).collect()
    }
}

/// One line of `wharf config`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    key: &'static str,
    value: String,
    origin: String,
}

impl Entry {
    /// The cells of its row in a table.
    pub(crate) fn cells(&self) -> Vec<String> {
        vec![self.key.to_owned(), self.value.clone(), self.origin.clone()]
    }
}

fn read_file(path: &Path) -> Result<ConfigFile, anyhow::Error> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the configuration file {}; check the path given with --config", path.display())
    })?;
    parse_file(&text).with_context(|| format!("the configuration file {} is not understood", path.display()))
}

fn parse_file(text: &str) -> Result<ConfigFile, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests;
