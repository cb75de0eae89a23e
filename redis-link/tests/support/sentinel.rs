//! Sentinels.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use tidegate_redis_link::Endpoint;

use super::free_port;

/// Watches a master as `main`. Ended when dropped.
pub(crate) struct Sentinel {
    pub(crate) port: u16,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Sentinel {
    pub(crate) fn start(master: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut config = format!("port {port}\nbind 127.0.0.1\n");
        writeln!(config, "sentinel monitor main 127.0.0.1 {master} 2").unwrap();
        writeln!(config, "sentinel down-after-milliseconds main 500").unwrap();
        writeln!(config, "sentinel failover-timeout main 2000").unwrap();
        let path = directory.path().join("sentinel.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new("redis-server")
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

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
