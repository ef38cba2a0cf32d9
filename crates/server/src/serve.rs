//! `wharf serve`: from a configuration to a server that runs, and to its orderly end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::server::ResolvesServerCert;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use wharf_jobs::{Runner, RunnerSettings};
use wharf_model::Clock;

use crate::app::App;
use crate::config::{Config, ListenAddress};
use crate::data_dir::{DataDir, DirLock, ServerFile};
use crate::greeting;
use crate::http::{Connections, Listener, Network, Observers, Proxies, Scheme, Server, Site};
use crate::installation::{Installation, Presets};
use crate::log::AccessLogger;
use crate::metrics::Metrics;
use crate::plane::Planes;
use crate::tls::{CertificateKeeper, LeafNames, server_config};
use crate::upkeep::{Upkeep, workers};

/// Serves until a signal ends it.
///
/// # Errors
/// When the server cannot start. What fails later is answered and logged.
pub(crate) fn serve(config: &Config, clock: Arc<dyn Clock>, access: AccessLogger) -> Result<(), anyhow::Error> {
    let data = DataDir::at(&config.data);
    data.create()?;
    let _lock = DirLock::take(&data)?;
    raise_file_limit();
    log_panics();
    let observers = Arc::new(Observers { metrics: Metrics::new(), access });
    // One thread for each processor that we may use, which is tokio's default too, but not under TOKIO_WORKER_THREADS.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let served = runtime.block_on(run(config, &data, clock, observers.clone()));
    end(runtime);
    // The last holder of the access log: what is buffered is written here.
    drop(observers);
    if served.is_ok() {
        tracing::info!("Stopped");
    }
    served
}

async fn run(
    config: &Config,
    data: &DataDir,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
) -> Result<(), anyhow::Error> {
    // Before anything is made, so that a signal during a first start ends it in order.
    let mut signals = Signals::new()?;
    let started = tokio::select! {
        started = start(config, data, clock, observers) => started?,
        () = signals.next() => return Ok(()),
    };
    signals.next().await;
    tracing::info!(
        connections = started.connections.count(),
        "Stopping: requests in flight may go on for {} seconds",
        config.limits.shutdown_grace.as_secs()
    );
    tokio::select! {
        () = started.stop(config.limits.shutdown_grace) => {}
        () = signals.next() => tracing::warn!("Stopped at once, as a second signal demands"),
    }
    Ok(())
}

/// A server that runs.
struct Started {
    app: Arc<App>,
    server: Arc<Server<Planes>>,
    connections: Connections,
    upkeep: Upkeep,
    jobs: Runner,
    stop_accepting: CancellationToken,
}

async fn start(
    config: &Config,
    data: &DataDir,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
) -> Result<Started, anyhow::Error> {
    let presets = Presets::from_environment()?;
    // The certificate first: the listeners need it, and their ports are part of every name that is told to anybody.
    let listening_on = [config.listen.https, config.private.https].into_iter().filter_map(ListenAddress::ip);
    let names = LeafNames::new(&config.listen.domain, listening_on);
    let certificates = Arc::new(CertificateKeeper::open(&config.tls, data, names, clock.now())?);
    let listeners = Listeners::bind(config, certificates.clone())?;

    let addresses = ServerFile {
        http: listeners.address("http", Network::Public),
        https: listeners.address("https", Network::Public),
        domain: config.listen.domain.clone(),
        domain_is_set: config.listen.domain_is_set,
    };
    let app = Arc::new(App::open_or_create(config, addresses.hosts(), &presets, clock).await?);
    if ServerFile::read(data).as_ref() != Some(&addresses) {
        addresses.write(data).with_context(|| format!("cannot write {}", data.server_file().display()))?;
    }
    let credentials = app.update_credentials_file().await?;
    if let Some(credentials) = &credentials {
        presets.warn_of_unused(&app.installation, &credentials.passwords);
    }
    if !app.installation.is_announced {
        if let Some(credentials) = &credentials {
            greeting::print(data, &addresses, credentials);
        }
        Installation::set_announced(&app.database).await?;
    }

    let cursor = app.artifacts.last_change().await.context("cannot read the change log")?;
    let plane = Planes::new(app.clone(), app.cache(config)?, config);
    let site = Site {
        hosts: app.hosts.clone(),
        proxies: Proxies::new(config.private.trusted_proxies.iter().map(|range| range.0).collect()),
        https_port: addresses.https.port(),
        private_https_port: listeners.address("https", Network::Private).port(),
    };
    let server = Arc::new(Server::new(plane, site, observers, config.limits.clone()));
    let connections = Connections::new(config.limits.connections);
    let stop_accepting = CancellationToken::new();
    for listener in listeners.0 {
        let as_what = if listener.network() == Network::Private { ", as the private endpoint" } else { "" };
        let (scheme, address) = (listener.scheme(), listener.address());
        tracing::info!(%address, "Listening on {scheme}://{address}{as_what}");
        tokio::spawn(listener.run(server.clone(), connections.clone(), stop_accepting.clone()));
    }
    let upkeep = Upkeep::start(&app, config, certificates, cursor);
    // The data directory is locked: what an embedded database says is running was left by a server that is gone.
    let settings = RunnerSettings { is_alone: !app.database.is_shared(), ..RunnerSettings::default() };
    let jobs = app.artifacts.jobs().start(workers(&app, config)?, settings);
    Ok(Started { app, server, connections, upkeep, jobs, stop_accepting })
}

impl Started {
    async fn stop(&self, grace: Duration) {
        self.server.stop();
        self.stop_accepting.cancel();
        let finish_requests = async {
            if tokio::time::timeout(grace, self.connections.finish()).await.is_err() {
                tracing::warn!(
                    connections = self.connections.count(),
                    "Cut off {} connections whose requests were not done in time",
                    self.connections.count()
                );
            }
        };
        // Jobs are given back meanwhile, and go on when the server is started again.
        tokio::join!(finish_requests, self.jobs.stop());
        let tidy = async {
            self.upkeep.stop().await;
            if let Err(error) = self.app.artifacts.flush_pulls().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "Could not write what was pulled last");
            }
            self.app.database.close().await;
        };
        if tokio::time::timeout(TIDY, tidy).await.is_err() {
            tracing::warn!("The database did not close in time; nothing that was acknowledged is lost");
        }
    }
}

/// How long the database may take to close.
const TIDY: Duration = Duration::from_secs(5);

/// The sockets that are listened on.
struct Listeners(Vec<Listener>);

impl Listeners {
    fn bind(config: &Config, certificates: Arc<dyn ResolvesServerCert>) -> Result<Self, anyhow::Error> {
        let https = Scheme::Https(TlsAcceptor::from(server_config(certificates)?));
        let wanted = [
            (config.listen.http, Scheme::Http, Network::Public),
            (config.listen.https, https.clone(), Network::Public),
            (config.private.http, Scheme::Http, Network::Private),
            (config.private.https, https, Network::Private),
        ];
        let mut listeners = Vec::new();
        for (address, scheme, network) in wanted {
            if let ListenAddress::At(address) = address {
                listeners.push(Listener::bind(address, scheme, network)?);
            }
        }
        Ok(Self(listeners))
    }

    /// Where one of them really listens.
    fn address(&self, scheme: &str, network: Network) -> ListenAddress {
        let listener = self.0.iter().find(|listener| listener.scheme() == scheme && listener.network() == network);
        listener.map_or(ListenAddress::Off, |listener| ListenAddress::At(listener.address()))
    }
}

/// The signals that ask a server to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, anyhow::Error> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ends the runtime with whatever still runs. Threads in the middle of a file operation get a moment.
fn end(runtime: Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(1));
}

/// Each connection and each open blob is a file: take as many as we may.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, limit = ?limit.current, "Cannot raise the limit of open files");
    }
}

/// A panic is a mistake of ours; it ends one request, and this is where it is told.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("without a message");
        let location = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(location, "A panic, which is a bug in Wharf: {message}");
    }));
}
