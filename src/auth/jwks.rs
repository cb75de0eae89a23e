//! Key sets by URL: cached, fetched once for all who wait, and not more often than is decent
//! (channels-and-auth.md 4.8).
//!
//! A key stays usable for an hour after its last use. A `kid` that is not there, which anybody can make up,
//! leads to a fetch of the whole set; what is fetched replaces what was there, so that withdrawn keys disappear.
//! Between two fetches of one URL lies at least [`PACE`]: whoever asks in between waits for the next fetch
//! together with all others. So a flood of invented `kid`s costs the key server one request a second, and yet a
//! key that was published a moment ago is found; nobody is refused because of somebody else's token.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::fetch::{FetchError, KeySource};
use super::jwk::KeySet;
use super::keys::PublicKey;
use super::token::{InvalidReason, TokenError};

/// How long an unused key is kept, in seconds.
const KEEP: i64 = 3600;
/// Least time between the end of a fetch and the next one of the same URL.
const PACE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// URLs remembered at once. Sound templates yield a handful; unsound ones must not fill the memory.
const MAX_SETS: usize = 256;

/// The cache. Clones share it.
#[derive(Clone)]
pub(super) struct KeySets(Arc<Inner>);

struct Inner {
    source: Arc<dyn KeySource>,
    sets: Mutex<HashMap<String, Slot>>,
}

/// What is known of one URL.
#[derive(Default)]
struct Slot {
    keys: HashMap<String, CachedKey>,
    fetching: Option<Fetch>,
    last_fetch: Option<Instant>,
    used_at: i64,
}

struct CachedKey {
    key: Arc<PublicKey>,
    used_at: i64,
}

/// The fetch that all who wait for a URL share.
type Fetch = Shared<BoxFuture<'static, Result<Arc<KeySet>, FetchError>>>;

impl KeySets {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        Self(Arc::new(Inner {
            source,
            sets: Mutex::default(),
        }))
    }

    /// A key that is at hand; its hour starts anew.
    pub(super) fn cached(&self, url: &str, kid: &str, now_unix: i64) -> Option<Arc<PublicKey>> {
        let mut sets = self.0.sets.lock();
        let slot = sets.get_mut(url)?;
        let cached = slot.keys.get_mut(kid)?;
        if now_unix.saturating_sub(cached.used_at) >= KEEP {
            return None;
        }
        cached.used_at = now_unix;
        slot.used_at = now_unix;
        Some(Arc::clone(&cached.key))
    }

    /// Fetches a key that is not at hand. Needs a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The fetch runs in a task of its own and goes on for others, and for the cache.
    pub(super) async fn fetch(
        &self,
        url: &str,
        kid: &str,
        now_unix: i64,
    ) -> Result<Arc<PublicKey>, TokenError> {
        let fetching = self.join(url, now_unix);
        match fetching.await {
            Ok(set) => set
                .keys
                .get(kid)
                .cloned()
                .ok_or(TokenError::Invalid(InvalidReason::UnknownKey)),
            Err(_) => Err(TokenError::Unavailable),
        }
    }

    /// The fetch in flight, or a new one.
    fn join(&self, url: &str, now_unix: i64) -> Fetch {
        let mut sets = self.0.sets.lock();
        if sets.len() >= MAX_SETS && !sets.contains_key(url) {
            forget_oldest(&mut sets);
        }
        let slot = sets.entry(url.to_owned()).or_default();
        slot.used_at = now_unix;
        let earliest = slot.last_fetch.map(|last| last + PACE);
        slot.fetching
            .get_or_insert_with(|| {
                let flight = Flight {
                    sets: self.clone(),
                    url: url.to_owned(),
                };
                let task = tokio::spawn(flight.run(earliest, now_unix));
                let end =
                    task.map(|end| end.unwrap_or_else(|_| Err(FetchError::Transport("gave up".to_owned()))));
                end.boxed().shared()
            })
            .clone()
    }
}

fn forget_oldest(sets: &mut HashMap<String, Slot>) {
    let idle = sets.iter().filter(|(_, slot)| slot.fetching.is_none());
    if let Some(url) = idle
        .min_by_key(|(_, slot)| slot.used_at)
        .map(|(url, _)| url.clone())
    {
        sets.remove(&url);
    }
}

/// A fetch in flight. However it ends, the next who asks can start another.
struct Flight {
    sets: KeySets,
    url: String,
}

impl Flight {
    async fn run(self, earliest: Option<Instant>, now_unix: i64) -> Result<Arc<KeySet>, FetchError> {
        if let Some(earliest) = earliest {
            tokio::time::sleep_until(earliest).await;
        }
        let result = self.download().await.map(Arc::new);
        match &result {
            Ok(set) => {
                let (usable, skipped) = (set.keys.len(), set.skipped);
                tracing::debug!(host = self.host(), usable, skipped, "key set fetched");
                self.store(set, now_unix);
            }
            Err(error) => tracing::warn!(host = self.host(), %error, "error fetching key set"),
        }
        result
    }

    async fn download(&self) -> Result<KeySet, FetchError> {
        let mut last = FetchError::Timeout(ATTEMPT_TIMEOUT);
        for _ in 0..ATTEMPTS {
            let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, self.sets.0.source.fetch(&self.url)).await;
            let body = attempt.unwrap_or(Err(FetchError::Timeout(ATTEMPT_TIMEOUT)));
            let set = body.and_then(|body| {
                KeySet::parse(&body).map_err(|error| FetchError::Malformed(error.to_string()))
            });
            match set {
                Ok(set) => return Ok(set),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What of the URL may be logged: the rest may hold credentials.
    fn host(&self) -> String {
        let uri: Option<http::Uri> = self.url.parse().ok();
        uri.and_then(|uri| uri.host().map(str::to_owned))
            .unwrap_or_default()
    }

    fn store(&self, set: &KeySet, now_unix: i64) {
        if let Some(slot) = self.sets.0.sets.lock().get_mut(&self.url) {
            let cached = |key| CachedKey {
                key,
                used_at: now_unix,
            };
            slot.keys = set
                .keys
                .iter()
                .map(|(kid, key)| (kid.clone(), cached(Arc::clone(key))))
                .collect();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(slot) = self.sets.0.sets.lock().get_mut(&self.url) {
            slot.fetching = None;
            slot.last_fetch = Some(Instant::now());
        }
    }
}
