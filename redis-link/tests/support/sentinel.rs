//! A master, its replica, and three sentinels.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use super::{Server, cli, eventually, free_port, programs};

/// A master named `main`.
pub struct Watched {
    pub master: Server,
    pub replica: Server,
    pub sentinels: Vec<Sentinel>,
}

impl Watched {
    /// Everybody knows everybody.
    pub async fn start() -> Self {
        let master = Server::start(&[]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        eventually("a replica", async || {
            replica
                .cli(&["INFO", "replication"])
                .contains("master_link_status:up")
                .then_some(())
        })
        .await;
        let sentinels: Vec<_> = (0..3).map(|_| Sentinel::start(master.port)).collect();
        for sentinel in &sentinels {
            eventually("sentinels that know each other", async || {
                let text = sentinel.cli(&["SENTINEL", "MASTER", "main"]);
                let lines: Vec<_> = text.lines().collect();
                let of = |name: &str| {
                    let at = lines.iter().position(|line| *line == name)?;
                    lines.get(at + 1).copied()
                };
                (of("num-other-sentinels") == Some("2") && of("num-slaves") == Some("1")).then_some(())
            })
            .await;
        }
        Self {
            master,
            replica,
            sentinels,
        }
    }

    /// The sentinels, separated by commas.
    pub fn addresses(&self) -> String {
        let addresses: Vec<String> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port))
            .collect();
        addresses.join(",")
    }
}

/// A sentinel. Ended when dropped.
pub struct Sentinel {
    pub port: u16,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Sentinel {
    fn start(master: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut config = format!("port {port}\nbind 127.0.0.1\n");
        writeln!(config, "sentinel monitor main 127.0.0.1 {master} 2").unwrap();
        writeln!(config, "sentinel down-after-milliseconds main 500").unwrap();
        writeln!(config, "sentinel failover-timeout main 2000").unwrap();
        let path = directory.path().join("sentinel.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(programs::redis())
            .arg(&path)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            port,
            child,
            _directory: directory,
        }
    }
}

impl Sentinel {
    /// What `redis-cli` prints.
    pub fn cli(&self, words: &[&str]) -> String {
        cli(self.port, words)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
