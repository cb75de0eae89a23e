//! What sentinels announce: that another server is the master.
//!
//! All connections of all nodes leave the old master at the same moment then. Those that only asked now and then would
//! leave it one after the other, and as long as it takes itself for the master, who is still there and who is not would
//! hear different publications.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use redis::Value;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::pause;
use crate::dial::{Login, Wire};
use crate::error::LinkError;
use crate::options::Endpoint;
use crate::values::{items, text};

/// The sentinel that leads a failover says the first one; the others hear of it and say the second.
const EVENTS: [&str; 2] = ["+promoted-slave", "+switch-master"];

/// A sentinel that says nothing for so long is asked whether it lives, and given up if it does not say so in the same
/// time again.
const SILENCE: Duration = Duration::from_secs(5);

/// Notifies of what a sentinel announces, about any master, and once when it is listened to, for what it announced
/// before. Comes back to a sentinel that was away.
///
/// # Cancel safety
/// Changes nothing.
pub(super) async fn listen(asking: &Login, sentinel: &Endpoint, news: &Notify) -> Infallible {
    loop {
        let error = match asking.dial(sentinel).await {
            Ok(wire) => hear(wire, news).await,
            Err(error) => error,
        };
        tracing::debug!(%sentinel, %error, "a sentinel is not listened to");
        pause().await;
    }
}

/// Ends with the connection.
async fn hear(mut wire: Wire, news: &Notify) -> LinkError {
    let mut subscribe = redis::cmd("SUBSCRIBE");
    subscribe.arg(&EVENTS);
    let mut next = subscribe.get_packed_command();
    let mut is_asked = false;
    loop {
        if !next.is_empty() {
            let sending = async {
                wire.writer.write_all(&next).await?;
                wire.writer.flush().await
            };
            match tokio::time::timeout(SILENCE, sending).await {
                Ok(Ok(())) => next.clear(),
                Ok(Err(error)) => return error.into(),
                Err(_) => return LinkError::Timeout,
            }
        }
        match tokio::time::timeout(SILENCE, wire.reader.next()).await {
            Err(_) if is_asked => return LinkError::Timeout,
            Err(_) => {
                next = redis::cmd("PING").get_packed_command();
                is_asked = true;
            }
            Ok(None) => return LinkError::Disconnected("the sentinel closed the connection".to_owned()),
            Ok(Some(Err(error))) => return error.into(),
            Ok(Some(Ok(Value::ServerError(error)))) => return LinkError::server(&error),
            Ok(Some(Ok(value))) => {
                is_asked = false;
                if is_news(value) {
                    news.notify_one();
                }
            }
        }
    }
}

/// Everything but the answer to a `PING`, which looks like a message in RESP2.
fn is_news(value: Value) -> bool {
    let parts = match value {
        Value::Push { kind, .. } => {
            return matches!(kind, redis::PushKind::Message | redis::PushKind::Subscribe);
        }
        other => items(other).unwrap_or_default(),
    };
    let kind = parts.into_iter().next().map(text);
    matches!(kind, Some(Ok(kind)) if kind == "message" || kind == "subscribe")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::options::Credentials;

    async fn read(stream: &mut TcpStream, wanted: &str) {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(wanted) {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{seen:?}");
        }
    }

    #[tokio::test]
    async fn announcements_are_heard_over_each_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sentinel = Endpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        let asking = Login {
            credentials: Credentials::default(),
            db: 0,
            client_name: String::new(),
            tls: None,
            connect_timeout: Duration::from_secs(1),
            force_resp2: true,
            refuses_clusters: false,
            reads_replicas: false,
        };
        let news = Notify::new();
        let script = async {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                read(&mut stream, "PING").await;
                stream.write_all(b"+PONG\r\n").await.unwrap();
                read(&mut stream, "+switch-master").await;
                stream
                    .write_all(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
                    .await
                    .unwrap();
                news.notified().await;
                stream.write_all(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n").await.unwrap();
                stream
                    .write_all(b"*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\ny\r\n")
                    .await
                    .unwrap();
                news.notified().await;
            }
        };
        tokio::select! {
            () = script => {}
            never = listen(&asking, &sentinel, &news) => match never {},
        }
    }

    #[test]
    fn an_answer_to_a_ping_is_no_news() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        assert!(!is_news(Value::Array(vec![text("pong"), text("")])));
        assert!(!is_news(Value::SimpleString("PONG".to_owned())));
        assert!(is_news(Value::Array(vec![
            text("message"),
            text("+switch-master"),
            text("main")
        ])));
    }
}
