//! Nodes, subscribers on each of them and a publisher: what every fault happens to.

use std::time::{Duration, Instant};

use crate::ledger::{Verdict, judge};
use crate::nodes::Addresses;
use crate::publisher::Publisher;
use crate::reader::Reader;
use crate::servers::eventually;
use crate::support::process::ServerProcess;

/// What is published to unless another channel is named.
pub const CHANNEL: &str = "news";

/// Readers begin on each node in turn.
const READERS: usize = 6;

pub struct Scene {
    pub addresses: Addresses,
    pub publisher: Publisher,
    pub readers: Vec<Reader>,
}

impl Scene {
    /// Everybody is subscribed and publications flow.
    pub async fn begin(nodes: &[&ServerProcess]) -> Self {
        Self::begin_at(nodes, CHANNEL).await
    }

    /// The same in any channel.
    pub async fn begin_at(nodes: &[&ServerProcess], channel: &str) -> Self {
        let addresses = Addresses::default();
        for node in nodes {
            addresses.add(node);
        }
        let readers: Vec<_> = (0..READERS)
            .map(|index| Reader::start(addresses.clone(), index, channel))
            .collect();
        for reader in &readers {
            eventually("a subscription", async || reader.is_subscribed().then_some(())).await;
        }
        let publisher = Publisher::start(addresses.clone(), channel);
        publisher.accepts(50).await;
        Self {
            addresses,
            publisher,
            readers,
        }
    }

    /// Waits until publications fail.
    pub async fn fails(&self) {
        let before = self.publisher.failures();
        eventually("failures", async || {
            (self.publisher.failures() > before + 2).then_some(())
        })
        .await;
    }

    /// Waits until something that is published from now on reaches everybody; how long that took.
    pub async fn flows(&self) -> Duration {
        let began = Instant::now();
        self.publisher.accepts(1).await;
        let number = self.publisher.count() as u64;
        for reader in &self.readers {
            eventually("delivery to everybody", async || reader.has(number).then_some(())).await;
        }
        began.elapsed()
    }

    /// Ends when everybody has got the last publication; panics if anybody lost something in silence.
    pub async fn end(self, fault: &str, took: Duration) -> Vec<Verdict> {
        self.publisher.accepts(50).await;
        let failures = self.publisher.failures();
        let accepted = self.publisher.end().await;
        let last = *accepted.last().expect("something was accepted");
        for reader in &self.readers {
            eventually("the last publication", async || reader.has(last).then_some(())).await;
        }
        let verdicts: Vec<_> = self
            .readers
            .iter()
            .map(|reader| judge(&reader.entries(), &accepted))
            .collect();
        let told: usize = verdicts.iter().map(|verdict| verdict.gaps).sum();
        eprintln!(
            "| {fault} | {} accepted, {failures} refused | {} of {} gaps told | back after {took:.1?} |",
            accepted.len(),
            told,
            self.readers.len(),
        );
        for (reader, verdict) in self.readers.iter().zip(&verdicts) {
            assert!(
                verdict.is_good(),
                "{fault}: {verdict:?}, told {:?}",
                reader.told()
            );
        }
        verdicts
    }
}
