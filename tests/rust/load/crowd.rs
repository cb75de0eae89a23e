//! A channel with subscribers who read and some who do not: what those who read hear, publication by publication.

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kind::Kind;
use crate::link::{Buffers, Heard, Link};
use crate::message::Item;
use crate::server::{Api, LoadedServer};
use crate::{all, patiently};

/// A publication of this size fills the queue of a stuck reader soon.
const LARGE: usize = 40_000;

/// Everybody is on this channel.
pub const CHANNEL: &str = "a";

/// Those who read. Each publication has been heard by all of them before the next.
pub struct Crowd {
    api: Api,
    progress: Vec<watch::Receiver<u32>>,
    reading: JoinSet<()>,
    pub published: u32,
}

impl Crowd {
    pub async fn gather(server: &LoadedServer, kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut reading = JoinSet::new();
        let mut progress = Vec::new();
        for kind in kinds {
            let mut link = server.subscribed(kind, &[CHANNEL]).await;
            let (tell, told) = watch::channel(0);
            progress.push(told);
            reading.spawn(async move {
                for number in 0.. {
                    let (_, publication) = link.publication().await;
                    if publication.item() == Item::END {
                        break;
                    }
                    assert_eq!(publication.item(), Item::new(0, number), "{kind:?}");
                    let _ = tell.send(number + 1);
                }
            });
        }
        Self {
            api: server.api().await,
            progress,
            reading,
            published: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.progress.len()
    }

    /// Publishes once, and waits until everybody has heard it.
    pub async fn publish(&mut self) {
        self.api
            .publish_padded(CHANNEL, Item::new(0, self.published), LARGE)
            .await;
        self.published += 1;
        for progress in &mut self.progress {
            let heard = progress.wait_for(|heard| *heard >= self.published);
            let heard = patiently("a reader to hear what was published", heard)
                .await
                .is_ok();
            if !heard {
                // Its task tells why.
                all(std::mem::take(&mut self.reading)).await;
            }
        }
    }

    /// Nobody of them was disturbed.
    pub async fn disperse(mut self) {
        self.api.publish(CHANNEL, Item::END).await;
        all(self.reading).await;
    }
}

/// Subscribers who do not read on, with as little as can be between them and the server.
pub async fn stuck(server: &LoadedServer, kinds: impl IntoIterator<Item = Kind>) -> Vec<Link> {
    let mut links = Vec::new();
    for kind in kinds {
        links.push(Link::subscribed(server.address(), kind, Buffers::Small, &[CHANNEL]).await);
    }
    links
}

/// Reads what there still is: publications from a number on, without a gap, and then the end.
pub async fn leftovers(mut link: Link, first: u32) -> Heard {
    let mut next = first;
    loop {
        let reply = match link.hear().await {
            Heard::Reply(reply) => reply,
            end => return end,
        };
        let push = reply.push.expect("a push");
        match push.publication {
            Some(publication) => {
                assert_eq!(publication.item(), Item::new(0, next), "{:?}", link.kind);
                next += 1;
            }
            None => assert!(push.disconnect.is_some(), "{:?}: {push:?}", link.kind),
        }
    }
}

/// How many connections the server ended since another such count: as slow (3008), and because a write was not
/// finished in time (3009).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub slow: u32,
    pub stuck: u32,
}

impl Ended {
    /// Since the server started.
    pub async fn by(server: &LoadedServer) -> Self {
        let metrics = server.metrics().await;
        Self {
            slow: metrics.disconnects(3008) as u32,
            stuck: metrics.disconnects(3009) as u32,
        }
    }

    /// Publishes until this many more were ended than before.
    pub async fn until(self, count: usize, server: &LoadedServer, crowd: &mut Crowd) -> Self {
        let limit = crowd.published + 5000;
        while crowd.published < limit {
            crowd.publish().await;
            let now = Self::by(server).await;
            let more = Self {
                slow: now.slow - self.slow,
                stuck: now.stuck - self.stuck,
            };
            if (more.slow + more.stuck) as usize == count {
                return more;
            }
        }
        panic!(
            "5000 publications and not all of {count} were ended: {self:?}, {:?}",
            Self::by(server).await
        )
    }
}
