//! Server-side subscriptions end with their connection (channels-and-auth.md 4.7, 6, 8).

use super::*;

/// Connected, and subscribed to `ch` by the connect command.
fn subscribed_at_connect() -> Client {
    let mut client = Client::insecure();
    client.send(r#"{"id":1,"connect":{"subs":{"ch":{}}}}"#);
    assert_eq!(client.received().len(), 1);
    client
}

#[test]
fn a_gap_ends_the_connection() {
    let mut client = subscribed_at_connect();
    client.publish("1");
    assert_eq!(client.received().len(), 1);
    let beyond = Publication {
        offset: 5,
        data: Bytes::from_static(b"5"),
        ..Publication::default()
    };
    client.hub.publication("ch", &Arc::new(beyond), None, 0);
    // The event, then what it left to do.
    client.perform();
    client.perform();
    assert_eq!(client.received(), Vec::<String>::new());
    assert_eq!(client.closed_with(), Some(3010));
    assert_eq!(client.hub.counts(), (0, 0));
}

#[test]
fn a_position_that_is_not_confirmed_ends_the_connection() {
    let mut client = subscribed_at_connect();
    let lost = MemoryBroker::default();
    let _ = std::mem::replace(&mut client.broker, lost);
    for seconds in [13, 25, 17] {
        client.pass(Duration::from_secs(seconds));
        client.send("{}");
    }
    assert_eq!(client.closed_with(), Some(3010));
}
