//! What all sessions of a server share.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderName;

use tidegate_transports::Delays;

use super::Now;
use crate::auth::TokenVerifier;
use crate::channels::ChannelRules;
use crate::limits::OperationLimits;
use crate::revocation::Revocations;
use crate::telemetry::Metrics;

/// Shared by all sessions.
pub struct Context {
    /// Fixed at start.
    pub settings: Settings,
    /// Replaced by a configuration reload.
    pub rules: ArcSwap<Rules>,
    /// What refuses clients beyond permissions.
    pub guards: Guards,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where batches wait for their time.
    pub delays: Arc<Delays>,
}

/// What refuses clients beyond permissions. Fixed at start, unlike what it remembers.
#[derive(Default)]
pub struct Guards {
    /// How often who may do what; `None` without limits.
    pub limits: Option<OperationLimits>,
    /// Users and tokens that are refused although their signature is good.
    pub revocations: Revocations,
}

impl Guards {
    /// Forgets what is over.
    pub fn sweep(&self, now: Now) {
        if let Some(limits) = &self.limits {
            limits.sweep(now.instant);
        }
        self.revocations.sweep(now.unix());
    }
}

/// Options that a reload replaces as a whole (configuration.md 2.7).
pub struct Rules {
    /// Namespaces and permissions.
    pub channels: ChannelRules,
    /// Verifies connection tokens.
    pub tokens: TokenVerifier,
    /// Verifies subscription tokens.
    pub subscription_tokens: TokenVerifier,
    /// `client.insecure`.
    pub insecure: bool,
    /// `client.allow_anonymous_connect_without_token`.
    pub allow_anonymous_connect: bool,
    /// `client.disallow_anonymous_connection_tokens`.
    pub disallow_anonymous_tokens: bool,
    /// `client.subscribe_to_user_personal_channel`.
    pub personal: Option<Personal>,
}

/// Personal channels.
#[derive(Clone, Debug)]
pub struct Personal {
    /// `personal_channel_namespace`.
    pub namespace: String,
    /// One connection per user.
    pub single_connection: bool,
}

/// Options that only a restart changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Node id, told to emulated clients.
    pub node: String,
    /// Version in the connect reply.
    pub version: String,
    /// Interval of protocol pings; `None` = off.
    pub ping_interval: Option<Duration>,
    /// Time to answer one; `None` = any.
    pub pong_timeout: Option<Duration>,
    /// Time to connect.
    pub stale_close_delay: Duration,
    /// Grace after a connection's expiry.
    pub expired_close_delay: Duration,
    /// Grace after a subscription's expiry.
    pub expired_sub_close_delay: Duration,
    /// Period of presence renewal and of the checks that ride on it.
    pub presence_update_interval: Duration,
    /// Age of a position before it is checked.
    pub position_check_delay: Duration,
    /// Lag that counts as a lost position; `None` = off.
    pub position_max_time_lag: Option<Duration>,
    /// Subscriptions per connection; `None` = no limit.
    pub channel_limit: Option<usize>,
    /// Commands of one connection under way at once, at least 1.
    pub concurrency: usize,
    /// Replies do not wait for the write delay.
    pub reply_without_queue: bool,
    /// Publications of one history reply.
    pub history_max_publications: usize,
    /// Publications recovered by one subscribe.
    pub recovery_max_publications: usize,
    /// Put the server's time into the connect reply.
    pub include_server_time: bool,
    /// Trusted header with the user id.
    pub user_id_header: Option<HeaderName>,
    /// RPC method that answers with empty data; `None` = off.
    pub rpc_ping: Option<String>,
    /// What ends the namespace in the name of an RPC method.
    pub rpc_namespace_boundary: String,
    /// Namespaces of RPC methods.
    pub rpc_namespaces: Vec<String>,
}
