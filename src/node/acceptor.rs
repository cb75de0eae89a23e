//! Where transports open sessions: the one accept path.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use http::HeaderMap;
use rand::Rng;
use tidegate_transports::{Acceptor, Handshake, Outbox};
use uuid::Uuid;

use super::Node;
use super::connection::Connection;
use super::limits::{ConnectionLimits, Full};
use super::registry::Member;
use crate::auth::OriginRules;
use crate::hub::{Handle, Mailbox};
use crate::protocol::Disconnect;
use crate::session::{Opening, Session};

/// Who may open connections, before they authenticate.
pub struct Admission {
    /// Origins of pages.
    pub origins: OriginRules,
    /// Limits of the node.
    pub limits: ConnectionLimits,
    /// Connections per user; `None` = no limit.
    pub user_connection_limit: Option<usize>,
}

/// Opens sessions on a node.
pub struct NodeAcceptor {
    node: Arc<Node>,
    admission: Admission,
}

impl NodeAcceptor {
    /// An acceptor for all transports of a server.
    #[must_use]
    pub fn new(node: Arc<Node>, admission: Admission) -> Self {
        Self { node, admission }
    }
}

impl Acceptor for NodeAcceptor {
    type Session = Connection;

    fn origin_allowed(&self, headers: &HeaderMap) -> bool {
        match self.admission.origins.check(headers) {
            Ok(()) => true,
            Err(denial) => {
                denial.log();
                false
            }
        }
    }

    fn has_room(&self) -> bool {
        let connected = self.node.registry.counts().0;
        match self.admission.limits.admit(connected, Instant::now()) {
            Ok(()) => true,
            Err(Full::Rate) => false,
            Err(Full::Total { warn }) => {
                self.node.context.metrics.connection_limit_reached();
                if warn {
                    tracing::warn!(
                        limit = self.admission.limits.total(),
                        "node connection limit reached"
                    );
                }
                false
            }
        }
    }

    fn open(&self, handshake: Handshake, outbox: Arc<Outbox>) -> Connection {
        let id = Uuid::new_v4();
        let handle = Arc::new(Handle {
            client: id.to_string(),
            encoding: handshake.encoding,
            transport: handshake.transport,
            outbox,
            mailbox: Mailbox::default(),
            batched: AtomicUsize::default(),
        });
        let header_user = self
            .node
            .context
            .settings
            .user_id_header
            .as_ref()
            .and_then(|name| handshake.headers.get(name))
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            .filter(|user| !user.is_empty())
            .map(str::to_owned);
        tracing::debug!(transport = handshake.transport.name(), client = %handle.client, "client connection established");
        let member = Member {
            handle: handle.clone(),
            session: handshake.session.as_deref().unwrap_or_default().into(),
        };
        let opening = Opening {
            session: handshake.session,
            header_user,
            transport_pings: handshake.transport_pings,
        };
        let jitter = rand::rng().random_range(0.0..1.0);
        let mut session = Session::new(
            self.node.context.clone(),
            handle.clone(),
            opening,
            jitter,
            Node::now(),
        );
        self.node.registry.open(id.as_u128(), handle);
        // Registered before looking: a shutdown that begins now either is seen here or posts to the mailbox.
        if self.node.stopping.is_cancelled() {
            session.close(Disconnect::SHUTDOWN);
        }
        Connection::new(
            self.node.clone(),
            session,
            id.as_u128(),
            member,
            self.admission.user_connection_limit,
        )
    }
}
