//! Key sources for tests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::auth::{FetchError, KeyFetch, KeySource};

/// Must not be asked.
pub(super) struct Unreachable;

impl KeySource for Unreachable {
    fn fetch<'a>(&'a self, _url: &'a str) -> KeyFetch<'a> {
        panic!("nothing here needs a key set")
    }
}

/// Serves what it is told to, and counts.
#[derive(Default)]
pub(super) struct Fake {
    documents: Mutex<HashMap<String, Bytes>>,
    delay: Mutex<Duration>,
    pub(super) fetches: AtomicUsize,
}

impl Fake {
    pub(super) fn new(url: &str, keys: &[Value]) -> Arc<Self> {
        let source = Arc::new(Self::default());
        source.publish(url, keys);
        source
    }

    pub(super) fn publish(&self, url: &str, keys: &[Value]) {
        self.publish_text(url, json!({"keys": keys}).to_string());
    }

    pub(super) fn publish_text(&self, url: &str, text: String) {
        self.documents.lock().insert(url.to_owned(), text.into());
    }

    pub(super) fn withdraw(&self) {
        self.documents.lock().clear();
    }

    pub(super) fn delay(&self, delay: Duration) {
        *self.delay.lock() = delay;
    }

    pub(super) fn count(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl KeySource for Fake {
    fn fetch<'a>(&'a self, url: &'a str) -> KeyFetch<'a> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let document = self.documents.lock().get(url).cloned();
        let delay = *self.delay.lock();
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            document.ok_or(FetchError::Status(StatusCode::NOT_FOUND))
        })
    }
}
