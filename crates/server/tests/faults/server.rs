//! The server under test: the program itself, on a data directory of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::ConnectOptions as _;
use tempfile::TempDir;

use crate::client::{Client, PASSWORD};

/// The program: the one just built, or another to be tried.
fn wharf() -> String {
    std::env::var("WHARF_FAULTS_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wharf").to_owned())
}

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A data directory with a configuration. What runs on it comes and goes.
pub(crate) struct Site {
    /// Removed with the site.
    directory: TempDir,
    data: PathBuf,
}

/// A server that runs. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    /// From its start to its first answer.
    pub(crate) started_in: Duration,
}

impl Site {
    /// A site whose `wharf.toml` holds `config`.
    pub(crate) fn new(config: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let data = directory.path().join("data");
        fs::write(directory.path().join("wharf.toml"), config).expect("a temporary file can be written");
        Self { directory, data }
    }

    /// The same with the data somewhere else.
    pub(crate) fn with_data(config: &str, data: &Path) -> Self {
        Self { data: data.to_owned(), ..Self::new(config) }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// A command on this site.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_under(&[&wharf()], arguments)
    }

    fn command_under(&self, program: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(program[0]);
        command
            .args(&program[1..])
            .args(arguments)
            .arg("--config")
            .arg(self.directory.path().join("wharf.toml"))
            .arg("--data")
            .arg(&self.data)
            .env("WHARF_ADMIN_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    /// Begins to start a server without waiting for it.
    pub(crate) fn spawn(&self) -> Child {
        self.serve_under(&[&wharf()])
    }

    fn serve_under(&self, program: &[&str]) -> Child {
        self.command_under(program, &["serve", "--http", "127.0.0.1:0", "--https", "off", "--access-log", "off"])
            .args(["--log-format", "json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be started")
    }

    /// Starts a server and waits until it answers.
    pub(crate) fn start(&self) -> Server {
        self.start_under(&[])
    }

    /// Starts a server as the child of another program, such as a tracer.
    pub(crate) fn start_under(&self, wrapper: &[&str]) -> Server {
        let began = Instant::now();
        let wharf = wharf();
        let program: Vec<&str> = wrapper.iter().copied().chain([wharf.as_str()]).collect();
        let mut child = self.serve_under(&program);
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, address) = mpsc::channel();
        let stderr = child.stderr.take().expect("it was asked for");
        let lines = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Ok(entry) = serde_json::from_str::<Value>(&line)
                    && entry["message"].as_str().is_some_and(|message| message.starts_with("Listening on http://"))
                {
                    let address: SocketAddr = entry["address"].as_str().unwrap().parse().unwrap();
                    // Nobody may wait for it any more.
                    let _ = found.send(address);
                }
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let Ok(address) = address.recv_timeout(START) else {
            let _ = child.kill();
            panic!("the server did not start: {:#?}", log.lock().unwrap_or_else(PoisonError::into_inner));
        };
        let ready = Client::new(address).get("/readyz").expect("a server that listens answers");
        assert_eq!(ready.status, 200, "{ready:?}");
        Server { child, address, log, started_in: began.elapsed() }
    }

    /// Runs `wharf verify`, which must find nothing wrong.
    pub(crate) fn verify(&self) {
        let output = self.command(&["verify"]).output().expect("verify can be run");
        assert!(
            output.status.success(),
            "wharf verify: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs `wharf gc` and returns its report.
    pub(crate) fn collect(&self) -> Value {
        let output = self.command(&["gc", "--output", "json"]).output().expect("gc can be run");
        assert!(output.status.success(), "wharf gc: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("the report is JSON")
    }

    /// The files in the blob store.
    pub(crate) fn blob_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for shard in fs::read_dir(self.data.join("blobs")).expect("there is a blob store").map_while(Result::ok) {
            let shard = shard.path();
            if shard.is_file() {
                files.push(shard);
            } else {
                files.extend(fs::read_dir(shard).unwrap().map_while(Result::ok).map(|file| file.path()));
            }
        }
        files
    }

    /// How many rows a query finds.
    pub(crate) fn count(&self, from: &'static str) -> i64 {
        self.sql(&format!("SELECT COUNT(*) FROM {from}"))
    }

    /// Lets two hours pass for what waits until it is old: files that no row knows, and objects to be removed.
    pub(crate) fn age(&self) {
        for path in self.blob_files() {
            let file = File::options().write(true).open(path).unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            file.set_modified(modified - Duration::from_secs(2 * 60 * 60)).unwrap();
        }
        self.sql("UPDATE doomed_objects SET doomed_at = doomed_at - 7200000000 RETURNING 1");
    }

    /// Runs a statement on the database, as nobody should; the first number that it yields, or 0.
    pub(crate) fn sql(&self, statement: &str) -> i64 {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.data.join("metadata.db"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = options.busy_timeout(START).connect().await.unwrap();
            let statement = sqlx::AssertSqlSafe(statement.to_owned());
            let found: Vec<i64> = sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap();
            sqlx::Connection::close(connection).await.unwrap();
            found.first().copied().unwrap_or(0)
        })
    }
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
        self.assert_no_panic();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it is ours");
        let status = self.child.wait().expect("it is ours");
        assert!(status.success(), "the server ended with {status}: {:#?}", self.log());
        self.assert_no_panic();
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn assert_no_panic(&self) {
        let panics: Vec<String> = self
            .log()
            .into_iter()
            .filter(|line| line.contains("panic") || line.contains("is a bug in Wharf"))
            .collect();
        assert!(panics.is_empty(), "the server panicked: {panics:#?}");
    }

    /// A line of `/proc/<pid>/status`, in KiB or as a plain number.
    pub(crate) fn status(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("the line exists");
        line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("it is a number")
    }

    /// How many sockets and blobs it has open. (How many times the database is open depends on how many read at once.)
    pub(crate) fn open_files(&self) -> usize {
        self.list_open_files().len()
    }

    /// Waits until it has at most `most` sockets and blobs open.
    pub(crate) fn wait_for_open_files(&self, most: usize) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.open_files() > most {
            assert!(Instant::now() < until, "still open, of which {most} were: {:#?}", self.list_open_files());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn list_open_files(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server runs");
        let links = all.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        links
            .filter(|path| path.to_string_lossy().starts_with("socket:") || path.to_string_lossy().contains("/blobs/"))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
