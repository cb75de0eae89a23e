//! A node whose answers follow from the names of channels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::super::message::{
    BlockUserRequest, ChannelInfo, ChannelsRequest, ChannelsResult, ClientInfo, DisconnectRequest,
    HistoryRemoveRequest, HistoryRequest, HistoryResult, InfoResult, InvalidateUserTokensRequest, Metrics,
    NodeResult, PresenceRequest, PresenceResult, PresenceStatsRequest, PresenceStatsResult, Publication,
    PublishRequest, PublishResult, RefreshRequest, RevokeTokenRequest, SubscribeRequest, UnblockUserRequest,
    UnsubscribeRequest,
};
use super::super::{ApiError, Operations, PublishOrigin};

#[derive(Default)]
pub(super) struct Fake {
    /// Prepared requests in the order in which they arrived, as their debug text.
    pub(super) requests: Mutex<Vec<String>>,
    pub(super) publications: Mutex<Vec<(PublishRequest, PublishOrigin)>>,
    pub(super) stopping: AtomicBool,
    /// Publications under way, and the most there were at once.
    running: AtomicUsize,
    pub(super) most_running: AtomicUsize,
}

impl Fake {
    fn take(&self, request: impl std::fmt::Debug) {
        self.requests.lock().push(format!("{request:?}"));
    }

    pub(super) fn last(&self) -> String {
        self.requests.lock().last().cloned().unwrap_or_default()
    }
}

/// `unknown:` has no namespace, `off:` no features, and so on.
fn check(channel: &str) -> Result<(), ApiError> {
    match channel.split_once(':').map_or("", |(namespace, _)| namespace) {
        "" | "plain" | "map" | "slow" => Ok(()),
        "off" => Err(ApiError::NotAvailable),
        "epoch" => Err(ApiError::UnrecoverablePosition),
        "broken" => Err(ApiError::Internal),
        "conflict" => Err(ApiError::Conflict),
        _ => Err(ApiError::UnknownChannel),
    }
}

impl Operations for Fake {
    async fn publish(
        &self,
        request: PublishRequest,
        origin: PublishOrigin,
    ) -> Result<PublishResult, ApiError> {
        check(&request.channel)?;
        if request.channel.starts_with("map:") && origin == PublishOrigin::Publish || request.data.is_empty()
        {
            return Err(ApiError::BadRequest);
        }
        if request.channel.starts_with("slow:") {
            let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_running.fetch_max(running, Ordering::Relaxed);
            tokio::task::yield_now().await;
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
        let has_history = !request.channel.contains(':') && !request.skip_history;
        let mut publications = self.publications.lock();
        publications.push((request, origin));
        Ok(if has_history {
            PublishResult {
                offset: publications.len() as u64,
                epoch: "jAkhOcHV".to_owned(),
            }
        } else {
            PublishResult::default()
        })
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<(), ApiError> {
        self.take(&request);
        check(&request.channel)
    }

    async fn unsubscribe(&self, request: UnsubscribeRequest) -> Result<(), ApiError> {
        self.take(&request);
        check(&request.channel)
    }

    async fn disconnect(&self, request: DisconnectRequest) -> Result<(), ApiError> {
        self.take(&request);
        Ok(())
    }

    async fn refresh(&self, request: RefreshRequest) -> Result<(), ApiError> {
        self.take(&request);
        Ok(())
    }

    async fn block_user(&self, request: BlockUserRequest) -> Result<(), ApiError> {
        self.take(&request);
        Ok(())
    }

    async fn unblock_user(&self, request: UnblockUserRequest) -> Result<(), ApiError> {
        self.take(&request);
        Ok(())
    }

    async fn revoke_token(&self, request: RevokeTokenRequest) -> Result<(), ApiError> {
        self.take(&request);
        Ok(())
    }

    async fn invalidate_user_tokens(&self, request: InvalidateUserTokensRequest) -> Result<(), ApiError> {
        self.take(&request);
        Ok(())
    }

    async fn presence(&self, request: PresenceRequest) -> Result<PresenceResult, ApiError> {
        check(&request.channel)?;
        let client = |id: &str, chan_info: &'static str| {
            let user = if chan_info.is_empty() { "" } else { "42" }.to_owned();
            let chan_info = Bytes::from_static(chan_info.as_bytes());
            (
                id.to_owned(),
                ClientInfo {
                    user,
                    client: id.to_owned(),
                    conn_info: Bytes::new(),
                    chan_info,
                },
            )
        };
        let clients = [client("b", ""), client("a", "{ \"i\": \"<1>\" }")];
        let presence = if request.channel == "empty" {
            BTreeMap::new()
        } else {
            BTreeMap::from(clients)
        };
        Ok(PresenceResult { presence })
    }

    async fn presence_stats(&self, request: PresenceStatsRequest) -> Result<PresenceStatsResult, ApiError> {
        check(&request.channel)?;
        let num_clients = if request.channel == "empty" { 0 } else { 2 };
        Ok(PresenceStatsResult {
            num_clients,
            num_users: num_clients,
        })
    }

    async fn history(&self, request: HistoryRequest) -> Result<HistoryResult, ApiError> {
        self.take(&request);
        check(&request.channel)?;
        let publication = |data: &'static [u8], offset, info: Option<ClientInfo>| Publication {
            data: Bytes::from_static(data),
            info,
            offset,
            tags: if offset == 2 {
                BTreeMap::from([("t".into(), "<".into()), ("a".into(), "".into())])
            } else {
                BTreeMap::new()
            },
        };
        let publications = match request.channel.as_str() {
            "empty" => Vec::new(),
            "binary" => vec![publication(b"\x01\x02", 1, None)],
            _ => vec![
                publication(b"{\"a\" : \"<&>\\u2028\"}", 1, None),
                publication(
                    b"[ 1 ]",
                    2,
                    Some(ClientInfo {
                        user: "42".into(),
                        ..ClientInfo::default()
                    }),
                ),
            ],
        };
        let offset = publications.len() as u64;
        Ok(HistoryResult {
            publications,
            epoch: "jAkhOcHV".to_owned(),
            offset,
        })
    }

    async fn history_remove(&self, request: HistoryRemoveRequest) -> Result<(), ApiError> {
        check(&request.channel)
    }

    async fn channels(&self, request: ChannelsRequest) -> Result<ChannelsResult, ApiError> {
        match request.pattern.as_str() {
            "[" => Err(ApiError::Internal),
            "none" => Ok(ChannelsResult::default()),
            _ => {
                let channels = [("z<", 0), ("test", 1)];
                let channels =
                    channels.map(|(name, num_clients)| (name.to_owned(), ChannelInfo { num_clients }));
                Ok(ChannelsResult {
                    channels: BTreeMap::from(channels),
                })
            }
        }
    }

    async fn info(&self) -> Result<InfoResult, ApiError> {
        let items = BTreeMap::from([
            ("centrifugo.node.num_clients".to_owned(), 1.0),
            ("b".to_owned(), 0.5),
        ]);
        let first = NodeResult {
            uid: "u".to_owned(),
            name: "host_8000".to_owned(),
            version: "0.1.0 Tidegate".to_owned(),
            num_clients: 1,
            uptime: 12,
            metrics: Some(Metrics {
                interval: 60.0,
                items,
            }),
            num_subs: 3,
            ..NodeResult::default()
        };
        Ok(InfoResult {
            nodes: vec![first, NodeResult::default()],
        })
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
