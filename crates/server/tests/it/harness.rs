//! A server process, and what tests need to talk to it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `wharf`, without what the environment of the tests would tell it.
pub(crate) fn wharf() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WHARF_") {
            command.env_remove(name);
        }
    }
    command.current_dir(std::env::temp_dir());
    command
}

/// Runs `wharf` with these arguments to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    wharf().args(arguments).output().unwrap()
}

/// Runs a command on a data directory; it must succeed. Returns its standard output.
pub(crate) fn done(data: &Path, arguments: &[&str]) -> String {
    let output = wharf().args(arguments).arg("--data").arg(data).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?} failed: {stderr}");
    stdout
}

/// Runs a command with `--output json` on a data directory; it must succeed.
pub(crate) fn json(data: &Path, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
    serde_json::from_str(&done(data, &arguments)).unwrap()
}

/// A server process. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) data: PathBuf,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    stderr: Option<JoinHandle<()>>,
    stdout: Option<JoinHandle<String>>,
    _directory: Option<TempDir>,
}

impl Server {
    /// A server on a fresh data directory.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// A server on a fresh data directory, with what `change` adds to its command line.
    pub(crate) fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self::start_on(&directory.path().join("data"), change);
        server._directory = Some(directory);
        server
    }

    /// A server on a fresh data directory that serves HTTP at this address.
    pub(crate) fn start_at(http: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server =
            Self::run(serve_command_at(http, &directory.path().join("data")), &directory.path().join("data"));
        server._directory = Some(directory);
        server
    }

    /// A server on this data directory.
    pub(crate) fn start_on(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = serve_command(data);
        change(&mut command);
        Self::run(command, data)
    }

    fn run(mut command: Command, data: &Path) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sender, listening) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let kept = lines.clone();
        let stderr = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let value: Value = serde_json::from_str(&line).unwrap_or_default();
                if let (Some(address), Some(message)) = (value["address"].as_str(), value["message"].as_str())
                    && message.starts_with("Listening on ")
                {
                    let _ = sender.send((message.contains("https://"), address.parse().unwrap()));
                }
                kept.lock().unwrap().push(line);
            }
        });
        let stdout = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || std::io::read_to_string(stdout).unwrap_or_default());
        let addresses = addresses(&listening);
        let Some((http, https)) = addresses else {
            let _ = child.kill();
            panic!("the server did not start: {:#?}", lines.lock().unwrap());
        };
        Self {
            child,
            data: data.to_owned(),
            http,
            https,
            lines,
            stderr: Some(stderr),
            stdout: Some(stdout),
            _directory: None,
        }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The URL of a path over HTTP.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// What `credentials.json` says.
    pub(crate) fn credentials(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.data.join("credentials.json")).unwrap()).unwrap()
    }

    /// The first admin password of the default registry.
    pub(crate) fn password(&self) -> String {
        self.credentials()["registry"]["passwords"][0].as_str().unwrap().to_owned()
    }

    /// `GET` with the admin user's password.
    pub(crate) async fn get(&self, path: &str) -> Response {
        client().get(self.url(path)).basic_auth("wharf", Some(self.password())).send().await.unwrap()
    }

    /// `GET` from a registry by its host name.
    pub(crate) async fn get_from(&self, host: &str, path: &str) -> Response {
        client().get(self.url(path)).header("host", host).send().await.unwrap()
    }

    /// The lines logged so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line that is as wanted.
    pub(crate) async fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let parsed = self.lines().into_iter().filter_map(|line| serde_json::from_str(&line).ok());
            if let Some(line) = parsed.into_iter().find(|line| wanted(line)) {
                return line;
            }
            assert!(Instant::now() < deadline, "no such line among {:#?}", self.lines());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for the end. Returns the exit status, the log and what was printed.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the server does not end: {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(10));
        };
        self.stderr.take().unwrap().join().unwrap();
        let stdout = self.stdout.take().unwrap().join().unwrap();
        (status, self.lines(), stdout)
    }

    /// Ends the server in order.
    pub(crate) fn stop(self) -> (Vec<String>, String) {
        self.signal("TERM");
        let (status, lines, stdout) = self.wait();
        assert!(status.success(), "{status}: {lines:#?}");
        (lines, stdout)
    }

    /// Pushes a blob in one piece.
    pub(crate) async fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, bytes).to_string();
        let start = client()
            .post(self.url(&format!("/v2/{repository}/blobs/uploads/")))
            .basic_auth("wharf", Some(self.password()))
            .send()
            .await
            .unwrap();
        assert_eq!(start.status(), 202);
        let location = self.location(&start);
        let separator = if location.contains('?') { '&' } else { '?' };
        let put = client()
            .put(format!("{location}{separator}digest={digest}"))
            .basic_auth("wharf", Some(self.password()))
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap();
        assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
        digest
    }

    /// Pushes an image of one layer under a tag. Returns the manifest's digest.
    pub(crate) async fn push_image(&self, repository: &str, tag: &str, layer: &[u8]) -> String {
        let config = self.push_blob(repository, b"{}").await;
        let layer_digest = self.push_blob(repository, layer).await;
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len(),
            }],
        });
        let put = client()
            .put(self.url(&format!("/v2/{repository}/manifests/{tag}")))
            .basic_auth("wharf", Some(self.password()))
            .header("content-type", "application/vnd.oci.image.manifest.v1+json")
            .body(manifest.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(put.status(), 201);
        put.headers()["docker-content-digest"].to_str().unwrap().to_owned()
    }

    /// The URL in an answer's `Location`, which may be a path only.
    pub(crate) fn location(&self, response: &Response) -> String {
        let location = response.headers()["location"].to_str().unwrap();
        if location.starts_with('/') { self.url(location) } else { location.to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `wharf serve` on a data directory and free ports, its log as JSON.
pub(crate) fn serve_command(data: &Path) -> Command {
    serve_command_at("127.0.0.1:0", data)
}

fn serve_command_at(http: &str, data: &Path) -> Command {
    let mut command = wharf();
    command.args(["serve", "--http", http, "--https", "127.0.0.1:0"]).arg("--data").arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sends a signal to a process.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status().unwrap();
    assert!(sent.success());
}

fn addresses(listening: &Receiver<(bool, SocketAddr)>) -> Option<(SocketAddr, SocketAddr)> {
    let (mut http, mut https) = (None, None);
    while http.is_none() || https.is_none() {
        match listening.recv_timeout(PATIENCE).ok()? {
            (true, address) => https = Some(address),
            (false, address) => http = Some(address),
        }
    }
    http.zip(https)
}

/// A number out of a database.
pub(crate) async fn number(database: &Path, sql: &'static str) -> i64 {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

/// Changes a database behind the server's back.
pub(crate) async fn execute(database: &Path, sql: &'static str) {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A client that trusts nobody in particular, for HTTP.
pub(crate) fn client() -> Client {
    builder().build().unwrap()
}

/// A client that trusts this certificate (PEM) alone.
pub(crate) fn client_trusting(pem: &[u8]) -> Client {
    let certificate = reqwest::Certificate::from_pem(pem).unwrap();
    builder().tls_certs_only([certificate]).build().unwrap()
}

/// What all clients are made from.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    // Fails when it was done before, which is as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder().no_proxy().timeout(PATIENCE)
}
