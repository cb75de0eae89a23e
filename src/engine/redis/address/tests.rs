use proptest::prelude::*;

use super::*;

fn redis(change: impl FnOnce(&mut Redis)) -> Redis {
    let mut redis = Redis::default();
    change(&mut redis);
    redis
}

fn at(address: &str) -> Result<Vec<Options>, AddressError> {
    shards(&redis(|redis| redis.address = vec![address.to_owned()]))
}

fn one(address: &str) -> Options {
    let mut shards = at(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    assert_eq!(shards.len(), 1);
    shards.remove(0)
}

fn tcp(host: &str, port: u16) -> Endpoint {
    Endpoint::Tcp {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn the_default_is_a_server_on_this_machine() {
    let shards = shards(&Redis::default()).expect("the default is an address");
    assert!(
        matches!(&shards[..], [Options { topology: Topology::Single(endpoint), .. }] if *endpoint == tcp("127.0.0.1", 6379))
    );
    let Options {
        connect_timeout,
        io_timeout,
        ..
    } = shards[0];
    assert_eq!(
        (connect_timeout, io_timeout),
        (Duration::from_secs(1), Duration::from_secs(4))
    );
}

#[test]
fn single_servers_have_many_forms() {
    for (address, host, port) in [
        ("localhost:1", "localhost", 1),
        ("[::1]:2", "::1", 2),
        ("redis://h:3", "h", 3),
        ("tcp://h:4", "h", 4),
        ("redis://h:5/7?connect_timeout=2s", "h", 5),
    ] {
        let options = one(address);
        assert!(
            matches!(&options.topology, Topology::Single(endpoint) if *endpoint == tcp(host, port)),
            "{address}: {options:?}"
        );
        assert!(options.tls.is_none());
    }
    let secure = one("rediss://h:6");
    assert!(secure.tls.is_some());
    let unix = one("unix:///run/redis.sock?io_timeout=1s");
    assert!(
        matches!(&unix.topology, Topology::Single(Endpoint::Unix(path)) if path.to_str() == Some("/run/redis.sock"))
    );
    assert_eq!(unix.io_timeout, Duration::from_secs(1));
}

#[test]
fn what_stands_in_an_address_wins() {
    let options = shards(&redis(|redis| {
        redis.address =
            vec!["redis://us%40er:p%3Aw@h:1/5?io_timeout=250ms&force_resp2=true&tls_enabled=1".to_owned()];
        redis.user = "other".to_owned();
        redis.password = "other".to_owned();
        redis.db = 2;
    }))
    .expect("a good address")
    .remove(0);
    assert_eq!(options.credentials.user, "us@er");
    assert_eq!(options.credentials.password, "p:w");
    assert_eq!(options.db, 5);
    assert_eq!(options.io_timeout, Duration::from_millis(250));
    assert!(options.force_resp2 && options.tls.is_some());
}

#[test]
fn sentinels_are_named_by_options_scheme_or_parameter() {
    let by_options = redis(|redis| {
        redis.sentinel_address = vec!["a:1, b:2".to_owned(), "c:3".to_owned()];
        redis.sentinel_master_name = "main".to_owned();
        redis.sentinel_password = "s".to_owned();
        redis.address = vec!["ignored".to_owned()];
    });
    let shards = shards(&by_options).expect("good sentinels");
    assert_eq!(mode(&shards), "sharded(2):sentinel-x2");
    let Topology::Sentinel(first) = &shards[0].topology else {
        panic!("no sentinels")
    };
    assert_eq!(first.endpoints, [tcp("a", 1), tcp("b", 2)]);
    assert_eq!((&*first.master, &*first.credentials.password), ("main", "s"));

    for address in [
        "redis+sentinel://u:p@a:1/3?sentinel_master_name=m&addr=b:2&sentinel_user=su&sentinel_password=sp",
        "redis://u:p@a:1/3?sentinel_master_name=m&addr=b:2&sentinel_user=su&sentinel_password=sp",
    ] {
        let options = one(address);
        assert_eq!((options.db, &*options.credentials.user), (3, "u"));
        let Topology::Sentinel(sentinels) = &options.topology else {
            panic!("{address}")
        };
        assert_eq!(sentinels.endpoints, [tcp("a", 1), tcp("b", 2)]);
        assert_eq!((&*sentinels.master, &*sentinels.credentials.user), ("m", "su"));
    }
    let secure = one("rediss+sentinel://a:1?sentinel_master_name=m");
    let Topology::Sentinel(sentinels) = &secure.topology else {
        panic!("no sentinels")
    };
    assert!(secure.tls.is_some() && sentinels.tls.is_some());
}

#[test]
fn clusters_come_first() {
    let shards = shards(&redis(|redis| {
        redis.cluster_address = vec!["a:1,b:2".to_owned()];
        redis.sentinel_address = vec!["c:3".to_owned()];
        redis.db = 4;
    }))
    .expect("a good cluster");
    assert_eq!(mode(&shards), "cluster");
    assert!(
        matches!(&shards[0], Options { topology: Topology::Cluster { seeds }, db: 0, .. } if seeds[..] == [tcp("a", 1), tcp("b", 2)])
    );
    let options = one("redis+cluster://a:1?addr=b:2&tls_enabled=true");
    assert!(
        matches!(&options.topology, Topology::Cluster { seeds } if seeds.len() == 2) && options.tls.is_some()
    );
}

#[test]
fn several_addresses_are_shards() {
    let shards = shards(&redis(|redis| {
        redis.address = vec![
            "a:1".to_owned(),
            "redis://b:2".to_owned(),
            "redis+cluster://c:3".to_owned(),
        ];
    }))
    .expect("good addresses");
    assert_eq!(mode(&shards), "sharded(3):standalone-x2,cluster-x1");
}

#[test]
fn mistakes_are_named() {
    const FORM: &str = "malformed connection address, must be Redis URL or host:port";
    for (address, message) in [
        ("localhost", FORM),
        (":6379", FORM),
        ("localhost:", FORM),
        ("localhost:port", FORM),
        ("http://h:1", FORM),
        ("redis://h", FORM),
        ("rediss+cluster://h:1", FORM),
        ("redis://h:1?io_timeout=x", "invalid io timeout: \"x\""),
        ("redis://h:1?connect_timeout=", "invalid connect timeout: \"\""),
        ("redis://h:1?tls_enabled=yes", "invalid tls enabled: \"yes\""),
        (
            "redis://h:1/x",
            "can't parse Redis DB number from connection address: x is not a number",
        ),
        (
            "redis+sentinel://h:1",
            "sentinel master name must be configured for Redis Sentinel setup",
        ),
    ] {
        assert_eq!(
            at(address).err().map(|error| error.0).as_deref(),
            Some(message),
            "{address}"
        );
    }
    for (changed, message) in [
        (
            redis(|redis| redis.cluster_address = vec!["x".to_owned()]),
            "malformed Redis Cluster address: x",
        ),
        (
            redis(|redis| redis.sentinel_address = vec!["a:1".to_owned()]),
            "master name must be set when using Redis Sentinel",
        ),
        (
            redis(|redis| redis.address = Vec::new()),
            "no Redis address configured",
        ),
    ] {
        assert_eq!(
            shards(&changed).err().map(|error| error.0).as_deref(),
            Some(message)
        );
    }
    let tls = shards(&redis(|redis| {
        redis.tls.enabled = true;
        redis.tls.server_ca_pem = "nowhere".to_owned();
    }));
    assert!(tls.is_err_and(|error| error.0.starts_with("error creating Redis tls: ")));
}

proptest! {
    /// Whatever an operator writes: an answer and no panic.
    #[test]
    fn any_text_is_answered(address in "\\PC{0,60}", scheme in prop::sample::select(vec!["", "redis://", "unix://", "redis+sentinel://", "redis+cluster://"])) {
        let _ = at(&format!("{scheme}{address}"));
    }
}
