//! Transcripts: send this, expect exactly that. The node is a [`fake`], so what is tested is everything that stands
//! between a request and an operation.

mod batch;
mod fake;
mod http;
mod legacy;
mod methods;
mod random;

use std::sync::Arc;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;

use self::fake::Fake;
use super::http::{HttpApi, HttpOptions};

/// A server API over a fake node.
struct Server {
    api: HttpApi<Fake>,
    fake: Arc<Fake>,
    observed: Arc<Observed>,
}

impl Server {
    /// With the key `secret` below `/api`.
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut HttpOptions)) -> Self {
        let mut options = HttpOptions {
            handler_prefix: "/api".to_owned(),
            key: "secret".to_owned(),
            insecure: false,
            transport_errors: false,
        };
        change(&mut options);
        let fake = Arc::new(Fake::default());
        let observed = Arc::new(Observed::default());
        Self {
            api: HttpApi::new(fake.clone(), options, observed.clone()),
            fake,
            observed,
        }
    }

    /// Sends a request with the right key and returns the body of an answer of status 200.
    async fn call(&self, method: &str, body: &str) -> String {
        let answer = self
            .exchange(&format!("POST /api/{method}\nX-API-Key: secret\n\n{body}"))
            .await;
        match answer.strip_prefix("200\ncontent-type: application/json\n\n") {
            Some(body) => body.to_owned(),
            None => answer,
        }
    }

    /// Sends a request written as a text (request line, headers, empty line, body) and returns the answer in the
    /// same form.
    async fn exchange(&self, request: &str) -> String {
        let (head, body) = request.split_once("\n\n").expect("an empty line ends the head");
        let mut lines = head.lines();
        let (method, target) = lines
            .next()
            .and_then(|line| line.split_once(' '))
            .expect("a request line");
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        text(self.api.answer(request.body(body).expect("a request")).await).await
    }
}

async fn text(response: Response<Full<Bytes>>) -> String {
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body in memory").to_bytes();
    let mut text = format!("{}\n", head.status.as_u16());
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().expect("ASCII")));
    }
    format!("{text}\n{}", String::from_utf8(body.to_vec()).expect("UTF-8"))
}

/// Remembers what telemetry would be told.
#[derive(Default)]
struct Observed(Mutex<Vec<String>>);

impl Observed {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl super::ApiObserver for Observed {
    fn command(&self, protocol: super::Protocol, method: super::Method, _: std::time::Duration) {
        self.0
            .lock()
            .push(format!("{} {}", protocol.name(), method.name()));
    }

    fn error(&self, protocol: super::Protocol, method: Option<super::Method>, fault: super::Fault) {
        let method = method.map_or("-", super::Method::name);
        self.0
            .lock()
            .push(format!("{} {method} error {}", protocol.name(), fault.label()));
    }
}
