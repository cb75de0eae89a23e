//! The server as a process of its own, as an operator runs it: for tests that load it, measure it or signal it.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::write_config;

/// How long starting and stopping may take. Stopping is bounded by the server's own `shutdown.timeout` before.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that serves clients on one port, and the server API and metrics on another. Dropping it kills it.
pub struct ServerProcess {
    child: Child,
    external: SocketAddr,
    internal: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl ServerProcess {
    /// Starts a process whose configuration is the common one with `changes` laid over it.
    pub async fn start(changes: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = json!({
            // Another name than that of the external listener makes it another listener.
            "http_server": { "internal_address": "localhost", "tls_external": true },
            "prometheus": { "enabled": true },
            "shutdown": { "timeout": "20s" }
        });
        let file = write_config(directory.path(), own, changes);
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("--config")
            .arg(&file)
            // In a file 0 would stand for the default.
            .args(["--http_server.port", "0", "--http_server.internal_port", "0"])
            .current_dir(directory.path())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (tell, mut addresses) = mpsc::unbounded_channel();
        let reading = tokio::spawn(read_log(child.stderr.take().unwrap(), log.clone(), tell));
        let mut address = async |what: &str| match tokio::time::timeout(PATIENCE, addresses.recv()).await {
            Ok(Some(address)) => address,
            _ => panic!("the server told no {what}:\n{}", log.lock().join("\n")),
        };
        let internal = address("internal address").await;
        let external = address("external address").await;
        Self {
            child,
            external,
            internal,
            log,
            reading,
            _directory: directory,
        }
    }

    /// Where clients connect, by TCP and by UDP.
    pub fn external(&self) -> SocketAddr {
        self.external
    }

    /// Where the server API and the metrics are.
    pub fn internal(&self) -> SocketAddr {
        self.internal
    }

    /// Waits for a line of the log that contains a text.
    pub async fn until_logged(&self, text: &str) {
        super::until(text, || self.log.lock().iter().any(|line| line.contains(text))).await;
    }

    /// Asks the process to stop (SIGTERM).
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends a signal by its name.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the server ended by itself");
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {pid}"))
            .status();
        assert!(sent.await.unwrap().success(), "no signal could be sent");
    }

    /// Waits for the end, in order and in time: status 0, and nothing in it panicked.
    pub async fn ended(mut self) {
        let Ok(status) = tokio::time::timeout(PATIENCE, self.child.wait()).await else {
            panic!("the server does not end:\n{}", self.log.lock().join("\n"));
        };
        let _ = self.reading.await;
        let log = self.log.lock().join("\n");
        assert!(!log.contains("panicked at"), "{log}");
        assert!(status.is_ok_and(|status: ExitStatus| status.success()), "{log}");
    }

    /// Stops the process.
    pub async fn stop(self) {
        self.terminate().await;
        self.ended().await;
    }
}

/// Keeps the log and tells the addresses in it, in the order in which listeners open: the internal one is first.
async fn read_log(
    stderr: ChildStderr,
    log: Arc<Mutex<Vec<String>>>,
    tell: mpsc::UnboundedSender<SocketAddr>,
) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, rest)) = line.split_once(" endpoints on ")
            && let Some(Ok(address)) = rest.split(['"', ' ']).next().map(str::parse)
        {
            let _ = tell.send(address);
        }
        log.lock().push(line);
    }
}
