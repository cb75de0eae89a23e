//! What connections are told to do, by the server API here or at another node (engines.md 8, server-api.md 4.3 to 4.6).
//!
//! An order is carried out on the connections of this node first and then sent to the other nodes: so it takes
//! effect here also while the others cannot be reached, and the API's caller learns of that.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::registry::Member;
use super::{Node, unix_ms};
use crate::channels::{Overrides, Source, SubscriptionExtras, SubscriptionGrant, Wishes};
use crate::cluster::{Control, message};
use crate::engine::Since;
use crate::hub::Event;
use crate::protocol::{Disconnect, Unsubscribe};

/// How long the API waits for connections to act: they do so at once unless their engine hangs.
const ACT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom an order concerns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target<'a> {
    /// Empty for anonymous connections.
    pub(super) user: &'a str,
    /// Whoever it is, in place of `user`.
    pub(super) all_users: bool,
    /// Only that connection, if not empty.
    pub(super) client: &'a str,
    /// Only that session, if not empty.
    pub(super) session: &'a str,
}

impl Node {
    pub(super) fn members(&self, target: Target<'_>) -> Vec<Member> {
        let mut members = if target.all_users {
            self.registry.authenticated()
        } else {
            self.registry.of_user(target.user)
        };
        members.retain(|member| {
            (target.client.is_empty() || member.handle.client == target.client)
                && (target.session.is_empty() || *member.session == *target.session)
        });
        members
    }

    /// Carries out what another node asks for. Nobody waits for that.
    pub(super) fn obey(&self, order: Control) {
        match order {
            Control::Subscribe(order) => self.obey_subscribe(order),
            Control::Unsubscribe(order) => {
                let Some(target) = targeted(
                    &order.user,
                    order.all_users,
                    &order.client,
                    &order.session,
                    order.label_filter.as_ref(),
                ) else {
                    return;
                };
                let unsubscribe = Unsubscribe {
                    code: order.code,
                    reason: order.reason.into(),
                };
                order_each(self.members(target), |done| Event::Unsubscribe {
                    channel: order.channel.as_str().into(),
                    unsubscribe: unsubscribe.clone(),
                    done,
                });
            }
            Control::Disconnect(order) => {
                let Some(target) = targeted(
                    &order.user,
                    order.all_users,
                    &order.client,
                    &order.session,
                    order.label_filter.as_ref(),
                ) else {
                    return;
                };
                let disconnect = Disconnect {
                    code: order.code,
                    reason: order.reason.into(),
                };
                self.disconnect_here(target, &order.whitelist, &disconnect);
            }
            Control::Refresh(order) => {
                let Some(target) = targeted(
                    &order.user,
                    order.all_users,
                    &order.client,
                    &order.session,
                    order.label_filter.as_ref(),
                ) else {
                    return;
                };
                let members = self.members(target);
                if order.expired || is_past(order.expire_at) {
                    expire(members);
                } else {
                    order_each(members, |done| Event::Refresh {
                        expire_at: order.expire_at,
                        info: order.info.clone(),
                        done,
                    });
                }
            }
            _ => {}
        }
    }

    fn obey_subscribe(&self, order: message::Subscribe) {
        let Some(target) = targeted(
            &order.user,
            order.all_users,
            &order.client,
            &order.session,
            order.label_filter.as_ref(),
        ) else {
            return;
        };
        let members = self.members(target);
        if members.is_empty() {
            return;
        }
        let rules = self.context.rules.load();
        let Ok(namespace) = rules.channels.resolve(&order.channel) else {
            tracing::warn!(channel = %order.channel, "another node subscribes to a channel that is unknown here");
            return;
        };
        let given = |bytes: Bytes| Some(bytes).filter(|bytes| !bytes.is_empty());
        let extras = SubscriptionExtras {
            expire_at: order.expire_at,
            info: given(order.channel_info),
            data: given(order.data),
            // Recovery mode and deltas are not told: they are those of the namespace.
            overrides: Overrides {
                presence: Some(order.emit_presence),
                join_leave: Some(order.emit_join_leave),
                force_push_join_leave: Some(order.push_join_leave),
                force_positioning: Some(order.position),
                force_recovery: Some(order.recover),
            },
            ..SubscriptionExtras::default()
        };
        let grant = rules.channels.grant(
            namespace,
            Source::ServerApi,
            &order.user,
            Wishes::default(),
            extras,
        );
        if grant.is_expired(unix_ms().div_euclid(1000)) {
            return;
        }
        let since = order.recover_since.map(|since| Since {
            offset: since.offset,
            epoch: since.epoch,
        });
        subscribe_each(members, &order.channel, &grant, since.as_ref());
    }

    pub(super) fn disconnect_here(&self, target: Target<'_>, whitelist: &[String], disconnect: &Disconnect) {
        for member in self.members(target) {
            if !whitelist.contains(&member.handle.client) {
                member.handle.mailbox.post(Event::Disconnect(disconnect.clone()));
            }
        }
    }
}

/// Whom another node means; nobody here if it means connections by labels, which there are none of.
fn targeted<'a>(
    user: &'a str,
    all_users: bool,
    client: &'a str,
    session: &'a str,
    labels: Option<&message::FilterNode>,
) -> Option<Target<'a>> {
    labels.is_none().then_some(Target {
        user,
        all_users,
        client,
        session,
    })
}

/// The message by which the other nodes learn of a subscription by the server API.
pub(super) fn subscribe_order(
    target: Target<'_>,
    channel: &str,
    grant: &SubscriptionGrant,
    since: Option<&Since>,
) -> Control {
    Control::Subscribe(message::Subscribe {
        user: target.user.to_owned(),
        channel: channel.to_owned(),
        emit_presence: grant.presence,
        emit_join_leave: grant.join_leave,
        expire_at: grant.expire_at,
        position: grant.position,
        recover: grant.recover,
        channel_info: grant.info.clone().unwrap_or_default(),
        client: target.client.to_owned(),
        data: grant.data.clone().unwrap_or_default(),
        recover_since: since.map(|since| message::StreamPosition {
            offset: since.offset,
            epoch: since.epoch.clone(),
        }),
        session: target.session.to_owned(),
        push_join_leave: grant.push_join_leave,
        source: Source::ServerApi.number().into(),
        label_filter: None,
        all_users: target.all_users,
    })
}

/// Whether a time of expiry has passed; 0 is never.
pub(super) fn is_past(expire_at: i64) -> bool {
    expire_at > 0 && expire_at <= unix_ms().div_euclid(1000)
}

pub(super) fn expire(members: Vec<Member>) {
    for member in members {
        member.handle.mailbox.post(Event::Disconnect(Disconnect::EXPIRED));
    }
}

pub(super) type Acted = Vec<oneshot::Receiver<()>>;

pub(super) fn subscribe_each(
    members: Vec<Member>,
    channel: &str,
    grant: &SubscriptionGrant,
    since: Option<&Since>,
) -> Acted {
    let channel: Arc<str> = channel.into();
    order_each(members, |done| Event::Subscribe {
        channel: channel.clone(),
        grant: Box::new(grant.clone()),
        since: since.cloned(),
        done,
    })
}

/// Posts an event to each connection; what is answered is told when it has acted, or has gone.
pub(super) fn order_each(members: Vec<Member>, event: impl Fn(oneshot::Sender<()>) -> Event) -> Acted {
    members
        .into_iter()
        .map(|member| {
            let (done, acted) = oneshot::channel();
            member.handle.mailbox.post(event(done));
            acted
        })
        .collect()
}

/// Waits until all connections have acted or gone.
pub(super) async fn acted(acted: Acted) {
    let all = async {
        for acted in acted {
            // A dropped sender means that the connection has gone.
            let _ = acted.await;
        }
    };
    if tokio::time::timeout(ACT_TIMEOUT, all).await.is_err() {
        tracing::warn!("a connection did not act on a server API request in time");
    }
}
