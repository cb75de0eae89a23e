//! A real `nats-server` for tests, on a port of its own, ended by its id.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::servers::free_port;

/// Ended when dropped.
pub struct NatsServer {
    pub port: u16,
    args: Vec<String>,
    child: Child,
    directory: tempfile::TempDir,
}

impl NatsServer {
    /// Starts a server with more arguments; with JetStream it stores in a directory of its own.
    pub fn start(has_jetstream: bool, args: &[&str]) -> Self {
        // Somebody else may take a port before the server does.
        (0..10)
            .find_map(|_| Self::try_start(has_jetstream, args))
            .expect("the server starts")
    }

    /// `None` if the server ended before it listened.
    fn try_start(has_jetstream: bool, args: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        if has_jetstream {
            args.push("--jetstream".to_owned());
        }
        let mut server = Self {
            port,
            child: spawn(port, &args, directory.path()),
            args,
            directory,
        };
        server.listens().then_some(server)
    }

    pub fn address(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// On the same port, with what it stored.
    pub fn start_again(&mut self) {
        self.child = spawn(self.port, &self.args, self.directory.path());
        assert!(self.listens(), "the server starts again");
    }

    /// Deletes what it stored; only while it does not run.
    pub fn forget(&self) {
        let _ = std::fs::remove_dir_all(self.directory.path().join("store"));
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn listens(&mut self) -> bool {
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, args: &[String], directory: &Path) -> Child {
    Command::new("nats-server")
        .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
        .arg("--store_dir")
        .arg(directory.join("store"))
        .args(args)
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
