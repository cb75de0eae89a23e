//! What sentinels announce: that another server is the master.
//!
//! All connections of all nodes leave the old master at the same moment then. Those that only asked now and then would
//! leave it one after the other, and as long as it takes itself for the master, who is still there and who is not would
//! hear different publications.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use redis::{Cmd, Value};
use tokio::sync::Notify;

use super::pause;
use crate::dial::{Login, Wire};
use crate::error::LinkError;
use crate::options::Endpoint;
use crate::values::{checked, items, text};

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
        let listening = async { hear(asking.dial(sentinel).await?, news).await };
        let Err(error) = listening.await;
        tracing::debug!(%sentinel, %error, "a sentinel is not listened to");
        pause().await;
    }
}

/// Ends with the connection.
async fn hear(mut wire: Wire, news: &Notify) -> Result<Infallible, LinkError> {
    let mut subscribe = redis::cmd("SUBSCRIBE");
    send(&mut wire, subscribe.arg(&EVENTS)).await?;
    let mut is_asked = false;
    loop {
        let Ok(next) = tokio::time::timeout(SILENCE, wire.reader.next()).await else {
            if is_asked {
                return Err(LinkError::Timeout);
            }
            send(&mut wire, &redis::cmd("PING")).await?;
            is_asked = true;
            continue;
        };
        let closed = || LinkError::Disconnected("the sentinel closed the connection".to_owned());
        let value = checked(next.ok_or_else(closed)??)?;
        is_asked = false;
        if is_news(value) {
            news.notify_one();
        }
    }
}

async fn send(wire: &mut Wire, command: &Cmd) -> Result<(), LinkError> {
    tokio::time::timeout(SILENCE, wire.send(command))
        .await
        .unwrap_or(Err(LinkError::Timeout))
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
