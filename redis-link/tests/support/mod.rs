//! Real servers for tests: started on ports of their own, ended by their ids.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod cluster;
mod programs;
pub mod secured;
pub mod sentinel;

use std::ffi::{OsStr, OsString};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidegate_redis_link::{Call, Credentials, Endpoint, Options, Topology};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Stands for a port in the arguments of a server.
pub const FREE_PORT: &str = "{port}";

/// A Redis or Valkey. Ended when dropped.
pub struct Server {
    pub port: u16,
    program: OsString,
    args: Vec<String>,
    child: Child,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server without persistence, with more arguments; [`FREE_PORT`] in them stands for one.
    pub fn start(args: &[&str]) -> Self {
        Self::start_program(&programs::redis(), args)
    }

    /// The same with Valkey.
    pub fn start_valkey(args: &[&str]) -> Self {
        Self::start_program(&programs::valkey(), args)
    }

    fn start_program(program: &OsStr, args: &[&str]) -> Self {
        // Somebody else may take a port before the server does.
        (0..10)
            .find_map(|_| Self::try_start(program, args))
            .expect("the server starts")
    }

    /// `None` if the server ended before it listened.
    fn try_start(program: &OsStr, args: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let args: Vec<String> = args
            .iter()
            .map(|arg| match *arg {
                FREE_PORT => free_port().to_string(),
                arg => arg.to_owned(),
            })
            .collect();
        let child = spawn(program, port, &args, directory.path());
        let mut server = Self {
            port,
            program: program.to_owned(),
            args,
            child,
            directory,
        };
        loop {
            if server.child.try_wait().unwrap().is_some() {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: self.port,
        }
    }

    pub fn options(&self) -> Options {
        Options {
            topology: Topology::Single(self.endpoint()),
            credentials: Credentials::default(),
            db: 0,
            client_name: String::new(),
            tls: None,
            connect_timeout: Duration::from_secs(1),
            io_timeout: Duration::from_secs(1),
            force_resp2: false,
            replicas: false,
        }
    }

    /// What `redis-cli` prints.
    pub fn cli(&self, words: &[&str]) -> String {
        cli(self.port, words)
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.child = spawn(&self.program, self.port, &self.args, self.directory.path());
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cli(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-p", &port.to_string()])
        .args(words)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn spawn(program: &OsStr, port: u16, args: &[String], directory: &std::path::Path) -> Child {
    Command::new(program)
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .args(args)
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (scripts/setup.sh)")
}

/// A command without a key.
pub fn command(words: &[&str]) -> Call {
    let mut command = tidegate_redis_link::redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    Call::command(0, None, command)
}

/// A port that is free and stays so: it is none of those that systems give to outgoing connections and to listeners
/// on port 0, and no other one of this process.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Test binaries that run beside this one begin elsewhere.
    let begin = std::process::id().wrapping_mul(2_654_435_761);
    loop {
        let next = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32;
        let port = u16::try_from(PORTS.start + next).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits for a condition.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
}
