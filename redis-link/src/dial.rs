//! From an address to a connection that is ready for commands.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::{Cmd, Value, ValueCodec};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_util::codec::FramedRead;

use crate::error::LinkError;
use crate::options::{Credentials, Endpoint, Options, Tls, Topology};
use crate::values::{checked, fields, text};

/// Room for what is read at once: many small answers or messages.
const READ_BUFFER: usize = 64 * 1024;

/// What the servers of a shard, or its sentinels, are told at the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) credentials: Credentials,
    pub(crate) db: i64,
    pub(crate) client_name: String,
    pub(crate) tls: Option<Tls>,
    pub(crate) connect_timeout: Duration,
    pub(crate) force_resp2: bool,
    /// Have nothing to do with nodes of a cluster: names and commands for them differ.
    pub(crate) refuses_clusters: bool,
    /// A node of a cluster is told that what is read may be old: a replica answers then.
    pub(crate) reads_replicas: bool,
}

/// A connection. Answers come in the order of commands; messages of subscriptions come in between.
pub(crate) struct Wire {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// Any command is allowed beside subscriptions.
    pub(crate) is_resp3: bool,
    /// Whether the server is a node of a cluster, if it has said so.
    is_cluster: Option<bool>,
}

pub(crate) type Reader = FramedRead<ReadHalf<Box<dyn Stream>>, ValueCodec>;
pub(crate) type Writer = WriteHalf<Box<dyn Stream>>;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Login {
    /// To the servers that hold data.
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            credentials: options.credentials.clone(),
            db: options.db,
            client_name: options.client_name.clone(),
            tls: options.tls.clone(),
            connect_timeout: options.connect_timeout,
            force_resp2: options.force_resp2,
            refuses_clusters: matches!(options.topology, Topology::Single(_)),
            reads_replicas: false,
        }
    }

    /// Connects and introduces us; takes at most the time for connecting.
    ///
    /// # Errors
    /// [`LinkError::Refused`] if the server does not want us, else what was in the way.
    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<Wire, LinkError> {
        let dialling = async {
            let stream = self.connect(endpoint).await?;
            let (reader, writer) = tokio::io::split(stream);
            let reader = FramedRead::with_capacity(reader, ValueCodec::default(), READ_BUFFER);
            let mut wire = Wire {
                reader,
                writer,
                is_resp3: false,
                is_cluster: None,
            };
            self.introduce(&mut wire).await?;
            Ok(wire)
        };
        tokio::time::timeout(self.connect_timeout, dialling)
            .await
            .unwrap_or_else(|_| {
                Err(LinkError::Disconnected(format!(
                    "{endpoint} did not answer in time"
                )))
            })
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Stream>, LinkError> {
        let failed = |error: std::io::Error| LinkError::Disconnected(format!("{endpoint}: {error}"));
        match endpoint {
            Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?)),
            Endpoint::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                let Some(tls) = &self.tls else {
                    return Ok(Box::new(stream));
                };
                let name = tls.server_name.clone().unwrap_or_else(|| host.clone());
                let name = ServerName::try_from(name)
                    .map_err(|error| LinkError::Refused(format!("TLS server name: {error}")))?;
                let connector = TlsConnector::from(Arc::clone(&tls.config));
                let stream = connector.connect(name, stream).await.map_err(failed)?;
                Ok(Box::new(stream))
            }
        }
    }

    async fn introduce(&self, wire: &mut Wire) -> Result<(), LinkError> {
        wire.is_resp3 = !self.force_resp2 && self.hello(wire).await?;
        if !wire.is_resp3 {
            self.introduce_resp2(wire).await?;
        }
        if self.refuses_clusters && wire.is_cluster().await? {
            return Err(LinkError::Refused(
                "it is a node of a Redis Cluster, which did not show at the start: start again, or configure the \
                 address as that of a cluster"
                    .to_owned(),
            ));
        }
        if self.db != 0 {
            let mut select = redis::cmd("SELECT");
            wire.ask(select.arg(self.db)).await.map_err(refused)?;
        }
        // Whoever should have introduced himself is told so now; and a server that still loads its data, which greets and
        // subscribes all the same, says so.
        wire.ask(&redis::cmd("PING")).await.map_err(refused)?;
        if self.reads_replicas {
            wire.ask(&redis::cmd("READONLY")).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Whether the server speaks RESP3.
    async fn hello(&self, wire: &mut Wire) -> Result<bool, LinkError> {
        let mut hello = redis::cmd("HELLO");
        hello.arg(3);
        let Credentials { user, password } = &self.credentials;
        match (user.as_str(), password.as_str()) {
            ("", "") => {}
            ("", password) => {
                hello.arg("AUTH").arg("default").arg(password);
            }
            // The password may be empty: an ACL user may have none.
            (user, password) => {
                hello.arg("AUTH").arg(user).arg(password);
            }
        }
        if !self.client_name.is_empty() {
            hello.arg("SETNAME").arg(&self.client_name);
        }
        match wire.ask(&hello).await {
            Ok(about) => {
                wire.is_cluster = mode(about).map(|mode| mode == "cluster");
                Ok(true)
            }
            Err(LinkError::Server { code, message }) => {
                if code == "NOPROTO" || (code == "ERR" && message.contains("unknown command")) {
                    Ok(false)
                } else {
                    Err(refused(LinkError::Server { code, message }))
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn introduce_resp2(&self, wire: &mut Wire) -> Result<(), LinkError> {
        let Credentials { user, password } = &self.credentials;
        if !(user.is_empty() && password.is_empty()) {
            let mut auth = redis::cmd("AUTH");
            if !user.is_empty() {
                auth.arg(user);
            }
            wire.ask(auth.arg(password)).await.map_err(refused)?;
        }
        if !self.client_name.is_empty() {
            let mut name = redis::cmd("CLIENT");
            name.arg("SETNAME").arg(&self.client_name);
            wire.ask(&name).await.map_err(refused)?;
        }
        Ok(())
    }
}

/// Reads the answer to `HELLO`.
fn mode(about: Value) -> Option<String> {
    text(fields(about).ok()?.remove("mode")?).ok()
}

impl Wire {
    /// Whether the server is a node of a cluster. Who may not know it is believed not to be at one.
    pub(crate) async fn is_cluster(&mut self) -> Result<bool, LinkError> {
        if let Some(known) = self.is_cluster {
            return Ok(known);
        }
        let known = match self.ask(redis::cmd("INFO").arg("cluster")).await {
            Ok(info) => text(info)?.lines().any(|line| line.trim() == "cluster_enabled:1"),
            Err(LinkError::Server { .. }) => false,
            Err(error) => return Err(error),
        };
        self.is_cluster = Some(known);
        Ok(known)
    }

    /// Writes a command at once.
    pub(crate) async fn send(&mut self, command: &Cmd) -> Result<(), LinkError> {
        self.writer.write_all(&command.get_packed_command()).await?;
        Ok(self.writer.flush().await?)
    }

    /// Asks one thing and waits for the answer; for connections on which nothing else happens.
    pub(crate) async fn ask(&mut self, command: &Cmd) -> Result<Value, LinkError> {
        self.send(command).await?;
        match self.reader.next().await {
            Some(value) => checked(value?),
            None => Err(LinkError::Disconnected(
                "the server closed the connection".to_owned(),
            )),
        }
    }
}

fn refused(error: LinkError) -> LinkError {
    match error {
        LinkError::Server { code, message } if code == "LOADING" || code == "MASTERDOWN" => {
            LinkError::Disconnected(format!("{code} {message}"))
        }
        LinkError::Server { code, message } => LinkError::Refused(format!("{code} {message}")),
        other => other,
    }
}
