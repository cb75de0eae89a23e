//! Ways to a server: TLS, sockets of the file system, users, servers that know less.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tidegate_certs::test_ca::{Issued, TestCa};
use tidegate_certs::{ClientTls, client_config};
use tidegate_redis_link::{
    Commands, Endpoint, Kind, LinkError, Options, Sink, Subscriptions, Tls, Topology, text,
};

use support::secured::Secured;
use support::{Server, command, eventually};

#[derive(Default)]
struct Log(Mutex<Vec<Bytes>>);

impl Sink for Log {
    fn message(&self, _: &[u8], payload: Bytes) {
        self.0.lock().push(payload);
    }

    fn lost(&self, _: &LinkError) {}

    fn restored(&self, _: Vec<Bytes>) {}
}

/// Commands and subscriptions both come through.
async fn works(options: &Options) {
    let commands = Commands::open(options);
    let log = Arc::new(Log::default());
    let subscriptions = Subscriptions::open(options, Kind::Plain, Bytes::from_static(b"alive"), log.clone());
    eventually("connections", async || {
        (commands.ready().is_ok() && subscriptions.ready().is_ok()).then_some(())
    })
    .await;
    subscriptions
        .subscribe(Bytes::from_static(b"news"))
        .await
        .unwrap();
    // More than one record of TLS, and more than one read.
    let payload = "x".repeat(200_000);
    commands
        .call(command(&["PUBLISH", "news", &payload]))
        .await
        .unwrap();
    eventually("the message", async || log.0.lock().pop())
        .await
        .iter()
        .for_each(|byte| assert_eq!(*byte, b'x'));
}

/// The error that stays.
async fn refusal(options: &Options, part: &str) {
    let commands = Commands::open(options);
    eventually("a refusal", async || {
        let error = commands.ready().err()?.to_string();
        error.contains(part).then_some(())
    })
    .await;
}

fn options(secured: &Secured, client: Option<&Issued>, ca_pem: &str, name: Option<&str>) -> Options {
    let config = client_config(ClientTls {
        server_ca_pem: ca_pem,
        cert_pem: client.map_or("", |client| &client.cert_pem),
        key_pem: client.map_or("", |client| &client.key_pem),
        insecure_skip_verify: false,
        ..ClientTls::default()
    });
    let mut options = secured.server.options();
    options.topology = Topology::Single(Endpoint::Tcp {
        host: "127.0.0.1".to_owned(),
        port: secured.port,
    });
    options.tls = Some(Tls {
        config: Arc::new(config.unwrap()),
        server_name: name.map(str::to_owned),
    });
    options
}

#[tokio::test]
async fn tls_is_mutual_and_checks_names() {
    let secured = Secured::start(&[]);
    let client = secured.ca.client("tidegate").unwrap();
    let ca_pem = secured.ca.certificate_pem();
    for resp2 in [false, true] {
        let mut options = options(&secured, Some(&client), ca_pem, Some("redis.test"));
        options.force_resp2 = resp2;
        works(&options).await;
    }
    // The certificate does not name the address.
    refusal(&options(&secured, Some(&client), ca_pem, None), "not valid for").await;
    let other = TestCa::new().unwrap();
    refusal(
        &options(
            &secured,
            Some(&client),
            other.certificate_pem(),
            Some("redis.test"),
        ),
        "invalid peer certificate",
    )
    .await;
    // Without a certificate of our own the server ends the connection.
    refusal(
        &options(&secured, None, ca_pem, Some("redis.test")),
        "no connection",
    )
    .await;
    // Plain text to a port that speaks TLS.
    let mut plain = options(&secured, None, ca_pem, None);
    plain.tls = None;
    let commands = Commands::open(&plain);
    assert!(commands.call(command(&["PING"])).await.is_err());
}

#[tokio::test]
async fn certificates_are_not_checked_if_told_so() {
    let secured = Secured::start(&[]);
    let client = secured.ca.client("tidegate").unwrap();
    let mut options = options(&secured, Some(&client), secured.ca.certificate_pem(), None);
    let config = client_config(ClientTls {
        server_ca_pem: "",
        cert_pem: &client.cert_pem,
        key_pem: &client.key_pem,
        insecure_skip_verify: true,
        ..ClientTls::default()
    });
    options.tls = Some(Tls {
        config: Arc::new(config.unwrap()),
        server_name: None,
    });
    works(&options).await;
}

#[tokio::test]
async fn a_socket_of_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("redis.sock");
    let server = Server::start(&["--unixsocket", path.to_str().unwrap()]);
    let mut options = server.options();
    options.topology = Topology::Single(Endpoint::Unix(path));
    works(&options).await;
    options.topology = Topology::Single(Endpoint::Unix(Path::new("/nowhere").to_owned()));
    refusal(&options, "/nowhere").await;
}

#[tokio::test]
async fn servers_without_resp3_are_spoken_to_in_resp2() {
    let server = Server::start(&["--rename-command", "HELLO", "", "--requirepass", "secret"]);
    let mut options = server.options();
    options.credentials.password = "secret".to_owned();
    options.client_name = "tests".to_owned();
    works(&options).await;
    let commands = Commands::open(&options);
    let info = eventually("an answer", async || {
        commands.call(command(&["CLIENT", "INFO"])).await.ok()
    })
    .await;
    let info = text(info).unwrap();
    assert!(info.contains("resp=2") && info.contains("name=tests"), "{info}");
}

#[tokio::test]
async fn a_user_may_have_no_password_and_few_rights() {
    let server = Server::start(&[
        "--user",
        "default",
        "off",
        "--user",
        "open",
        "on",
        "nopass",
        "~*",
        "&*",
        "+@all",
        "--user",
        "news",
        "on",
        ">word",
        "~*",
        "resetchannels",
        "&alive",
        "&news",
        "+@all",
        "-set",
    ]);
    for resp2 in [false, true] {
        let mut options = server.options();
        options.force_resp2 = resp2;
        options.credentials.user = "open".to_owned();
        works(&options).await;
        options.credentials.user = "news".to_owned();
        options.credentials.password = "word".to_owned();
        works(&options).await;
        let commands = Commands::open(&options);
        eventually("a connection", async || commands.ready().ok()).await;
        let denied = commands.call(command(&["SET", "a", "b"])).await.unwrap_err();
        assert!(denied.is_code("NOPERM"), "{denied}");
        commands.call(command(&["PING"])).await.unwrap();
        options.credentials = tidegate_redis_link::Credentials::default();
        refusal(&options, "NOAUTH").await;
    }
}

#[tokio::test]
async fn a_node_of_a_cluster_is_no_single_server() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let lonely = Server::start(&[]);
    for resp2 in [false, true] {
        let mut options = server.options();
        options.force_resp2 = resp2;
        refusal(&options, "node of a Redis Cluster").await;
        options.db = 3;
        refusal(&options, "node of a Redis Cluster").await;
        options.discover_cluster().await.unwrap();
        assert!(matches!(&options.topology, Topology::Cluster { seeds } if *seeds == [server.endpoint()]));
        assert_eq!(options.db, 0);

        let mut options = lonely.options();
        options.force_resp2 = resp2;
        options.db = 3;
        options.discover_cluster().await.unwrap();
        assert!(matches!(options.topology, Topology::Single(_)));
        assert_eq!(options.db, 3);
    }
    let mut nowhere = lonely.options();
    drop(lonely);
    assert!(nowhere.discover_cluster().await.is_err());
    assert!(matches!(nowhere.topology, Topology::Single(_)));
}
