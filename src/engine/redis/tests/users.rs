//! Connections of users over all nodes.

use super::super::RedisUserConnections;
use super::*;
use crate::engine::UserConnections;

#[tokio::test]
async fn a_user_has_as_many_connections_as_allowed() {
    let server = Server::start().await;
    let users = RedisUserConnections::new(shards(&server).await);
    assert_eq!(users.enter("u", "c1", 2).await, Ok(true));
    assert_eq!(users.enter("u", "c2", 2).await, Ok(true));
    assert_eq!(users.enter("u", "c3", 2).await, Ok(false));
    assert_eq!(users.enter("u", "c2", 2).await, Ok(true), "it is one of the two");
    assert_eq!(users.enter("v", "c3", 2).await, Ok(true));
    let members: Vec<String> = server.run("ZRANGE p.tidegate.user.u 0 -1").await;
    assert_eq!(members, ["c1", "c2"]);
    assert!((50..=60).contains(&server.ttl("p.tidegate.user.u").await));
    users.leave("u", "c1").await.unwrap();
    assert_eq!(users.enter("u", "c3", 2).await, Ok(true));
}

#[tokio::test]
async fn connections_that_were_not_renewed_do_not_count() {
    let server = Server::start().await;
    let users = RedisUserConnections::new(shards(&server).await);
    for client in ["c1", "c2"] {
        assert_eq!(users.enter("u", client, 2).await, Ok(true));
    }
    let _: i64 = server.run("ZADD p.tidegate.user.u 1 c1 1 c2").await;
    let entries = [
        ("u".to_owned(), "c2".to_owned()),
        ("v".to_owned(), "c9".to_owned()),
    ];
    users.renew(&entries).await.unwrap();
    assert_eq!(users.enter("u", "c3", 2).await, Ok(true));
    let members: Vec<String> = server.run("ZRANGE p.tidegate.user.u 0 -1").await;
    assert_eq!(members, ["c2", "c3"]);
    assert!((50..=60).contains(&server.ttl("p.tidegate.user.v").await));
}

#[tokio::test]
async fn of_many_at_once_no_more_get_in() {
    let server = Server::start().await;
    let users = RedisUserConnections::new(shards(&server).await);
    let clients: Vec<String> = (0..300).map(|number| format!("c{number}")).collect();
    let entering = clients.iter().map(|client| users.enter("u", client, 10));
    let entered = futures_util::future::join_all(entering).await;
    assert_eq!(entered.iter().filter(|entered| **entered == Ok(true)).count(), 10);
}
