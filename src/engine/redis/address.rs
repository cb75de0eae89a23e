//! Where Redis is: from options and addresses to shards (engines.md 3, "Address forms").

use std::sync::Arc;
use std::time::Duration;

use tidegate_certs::{ClientTls as Trust, client_config};
use tidegate_redis_link::{Credentials, Endpoint, Options, Sentinels, Tls, Topology};
use url::Url;

use crate::config::{ClientTls, Redis};

/// What is wrong with where Redis is said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

/// One shard for each address, in their order.
///
/// # Errors
/// [`AddressError`] for the first address or certificate that cannot be used.
pub fn shards(redis: &Redis) -> Result<Vec<Options>, AddressError> {
    let base = base(redis)?;
    let sentinel_tls = tls(&redis.sentinel_tls, "sentinel_tls")?;
    if !redis.cluster_address.is_empty() {
        let clusters = redis.cluster_address.iter().map(|addresses| {
            let seeds = seeds(addresses)
                .ok_or_else(|| AddressError(format!("malformed Redis Cluster address: {addresses}")))?;
            Ok(Options {
                topology: Topology::Cluster { seeds },
                db: 0,
                ..base.clone()
            })
        });
        return clusters.collect();
    }
    if !redis.sentinel_address.is_empty() {
        let masters = redis.sentinel_address.iter().map(|addresses| {
            if redis.sentinel_master_name.is_empty() {
                return Err(error("master name must be set when using Redis Sentinel"));
            }
            let endpoints = seeds(addresses)
                .ok_or_else(|| AddressError(format!("malformed Redis Sentinel address: {addresses}")))?;
            let sentinels = Sentinels {
                endpoints,
                ..sentinels(redis, sentinel_tls.clone())
            };
            Ok(Options {
                topology: Topology::Sentinel(sentinels),
                ..base.clone()
            })
        });
        return masters.collect();
    }
    if redis.address.is_empty() {
        return Err(error("no Redis address configured"));
    }
    let one = |address: &String| shard(address, redis, &base, sentinel_tls.as_ref());
    redis.address.iter().map(one).collect()
}

/// What the log says of the kind of setup.
#[must_use]
pub fn mode(shards: &[Options]) -> String {
    let of = |options: &Options| match options.topology {
        Topology::Single(_) => "standalone",
        Topology::Sentinel(_) => "sentinel",
        Topology::Cluster { .. } => "cluster",
    };
    let [only] = shards else {
        let groups: Vec<String> = shards
            .chunk_by(|one, next| of(one) == of(next))
            .filter_map(|group| Some(format!("{}-x{}", of(group.first()?), group.len())))
            .collect();
        return format!("sharded({}):{}", shards.len(), groups.join(","));
    };
    of(only).to_owned()
}

fn error(text: &str) -> AddressError {
    AddressError(text.to_owned())
}

/// What the options say of every shard; the topology is still to come.
fn base(redis: &Redis) -> Result<Options, AddressError> {
    Ok(Options {
        topology: Topology::Cluster { seeds: Vec::new() },
        credentials: Credentials {
            user: redis.user.clone(),
            password: redis.password.clone(),
        },
        db: redis.db,
        client_name: redis.client_name.clone(),
        tls: tls(&redis.tls, "tls")?,
        connect_timeout: redis.connect_timeout,
        io_timeout: redis.io_timeout,
        force_resp2: redis.force_resp2,
        replicas: redis.replica_client.enabled,
    })
}

fn sentinels(redis: &Redis, tls: Option<Tls>) -> Sentinels {
    Sentinels {
        endpoints: Vec::new(),
        master: redis.sentinel_master_name.clone(),
        credentials: Credentials {
            user: redis.sentinel_user.clone(),
            password: redis.sentinel_password.clone(),
        },
        client_name: redis.sentinel_client_name.clone(),
        tls,
    }
}

fn tls(options: &ClientTls, name: &str) -> Result<Option<Tls>, AddressError> {
    if !options.enabled {
        return Ok(None);
    }
    let trust = Trust {
        server_ca_pem: &options.server_ca_pem,
        cert_pem: &options.cert_pem,
        key_pem: &options.key_pem,
        insecure_skip_verify: options.insecure_skip_verify,
        // The link dials by that name.
        server_name: "",
    };
    let config = client_config(trust)
        .map_err(|error| AddressError(format!("error creating Redis {name}: {error}")))?;
    Ok(Some(Tls {
        config: Arc::new(config),
        server_name: Some(options.server_name.clone()).filter(|name| !name.is_empty()),
    }))
}

/// TLS that an address asks for where the options leave it off: with the authorities of the system.
fn plain_tls() -> Result<Tls, AddressError> {
    let config = client_config(Trust::default())
        .map_err(|error| AddressError(format!("error creating Redis TLS: {error}")))?;
    Ok(Tls {
        config: Arc::new(config),
        server_name: None,
    })
}

/// `host:port` separated by commas.
fn seeds(addresses: &str) -> Option<Vec<Endpoint>> {
    addresses
        .split(',')
        .map(|address| host_and_port(address.trim()))
        .collect()
}

fn host_and_port(address: &str) -> Option<Endpoint> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() || host.contains('/') {
        return None;
    }
    Some(Endpoint::Tcp {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

const MALFORMED: &str = "malformed connection address, must be Redis URL or host:port";

/// What stands in an address wins over the options.
fn shard(
    address: &str,
    redis: &Redis,
    base: &Options,
    sentinel_tls: Option<&Tls>,
) -> Result<Options, AddressError> {
    if !address.contains("://") {
        let endpoint = host_and_port(address).ok_or_else(|| error(MALFORMED))?;
        return Ok(Options {
            topology: Topology::Single(endpoint),
            ..base.clone()
        });
    }
    let url = Url::parse(address).map_err(|_| error(MALFORMED))?;
    let scheme = Scheme::of(&url).ok_or_else(|| error(MALFORMED))?;
    let mut options = base.clone();
    credentials(&url, &mut options.credentials)?;
    if scheme.kind == Kind::Unix {
        apply(&url, &mut options, &mut sentinels(redis, None))?;
        options.topology = Topology::Single(Endpoint::Unix(url.path().into()));
        return Ok(options);
    }
    database(&url, &mut options)?;
    let mut sentinels = sentinels(redis, sentinel_tls.cloned());
    if scheme.has_tls {
        options.tls = Some(options.tls.map_or_else(plain_tls, Ok)?);
        sentinels.tls = Some(sentinels.tls.map_or_else(plain_tls, Ok)?);
    }
    let named = apply(&url, &mut options, &mut sentinels)?;
    let endpoints = endpoints(&url)?;
    options.topology = match scheme.kind {
        _ if named || scheme.kind == Kind::Sentinel => {
            if sentinels.master.is_empty() {
                return Err(error(
                    "sentinel master name must be configured for Redis Sentinel setup",
                ));
            }
            Topology::Sentinel(Sentinels {
                endpoints,
                ..sentinels
            })
        }
        Kind::Cluster => {
            options.db = 0;
            Topology::Cluster { seeds: endpoints }
        }
        _ => {
            let first = endpoints.into_iter().next().ok_or_else(|| error(MALFORMED))?;
            Topology::Single(first)
        }
    };
    Ok(options)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Unix,
    Sentinel,
    Cluster,
}

struct Scheme {
    kind: Kind,
    has_tls: bool,
}

impl Scheme {
    fn of(url: &Url) -> Option<Self> {
        let (kind, has_tls) = match url.scheme() {
            "redis" | "tcp" => (Kind::Single, false),
            "rediss" => (Kind::Single, true),
            "unix" => (Kind::Unix, false),
            "redis+sentinel" => (Kind::Sentinel, false),
            "rediss+sentinel" => (Kind::Sentinel, true),
            "redis+cluster" => (Kind::Cluster, false),
            _ => return None,
        };
        Some(Self { kind, has_tls })
    }
}

fn credentials(url: &Url, credentials: &mut Credentials) -> Result<(), AddressError> {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| error(MALFORMED))
    };
    if !url.username().is_empty() {
        credentials.user = decoded(url.username())?;
    }
    if let Some(password) = url.password() {
        credentials.password = decoded(password)?;
    }
    Ok(())
}

fn database(url: &Url, options: &mut Options) -> Result<(), AddressError> {
    let db = url.path().trim_start_matches('/');
    if !db.is_empty() {
        options.db = db.parse().map_err(|_| {
            AddressError(format!(
                "can't parse Redis DB number from connection address: {db} is not a number"
            ))
        })?;
    }
    Ok(())
}

fn endpoints(url: &Url) -> Result<Vec<Endpoint>, AddressError> {
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(|| error(MALFORMED))?;
    let port = url.port().ok_or_else(|| error(MALFORMED))?;
    let mut endpoints = vec![host_and_port(&format!("{host}:{port}")).ok_or_else(|| error(MALFORMED))?];
    for (name, value) in url.query_pairs() {
        if name == "addr" {
            endpoints.push(host_and_port(&value).ok_or_else(|| error(MALFORMED))?);
        }
    }
    Ok(endpoints)
}

/// Takes the parameters over; answers whether one of them names a master at sentinels.
fn apply(url: &Url, options: &mut Options, sentinels: &mut Sentinels) -> Result<bool, AddressError> {
    let mut named = false;
    for (name, value) in url.query_pairs() {
        match &*name {
            "sentinel_master_name" => {
                sentinels.master = value.into_owned();
                named = true;
            }
            "connect_timeout" => options.connect_timeout = duration(&value, "connect timeout")?,
            "io_timeout" => options.io_timeout = duration(&value, "io timeout")?,
            "tls_enabled" => {
                let existing = options.tls.take();
                options.tls = switch(&value, "tls enabled", existing)?;
            }
            "sentinel_tls_enabled" => {
                let existing = sentinels.tls.take();
                sentinels.tls = switch(&value, "sentinel tls enabled", existing)?;
            }
            "force_resp2" => options.force_resp2 = boolean(&value, "force resp2")?,
            "sentinel_user" => sentinels.credentials.user = value.into_owned(),
            "sentinel_password" => sentinels.credentials.password = value.into_owned(),
            "replica_client_enabled" => options.replicas = boolean(&value, "replica client enabled")?,
            _ => {}
        }
    }
    Ok(named)
}

fn switch(value: &str, name: &str, existing: Option<Tls>) -> Result<Option<Tls>, AddressError> {
    if !boolean(value, name)? {
        return Ok(None);
    }
    existing.map_or_else(plain_tls, Ok).map(Some)
}

fn boolean(value: &str, name: &str) -> Result<bool, AddressError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(AddressError(format!("invalid {name}: {value:?}"))),
    }
}

fn duration(value: &str, name: &str) -> Result<Duration, AddressError> {
    crate::config::parse_duration(value).ok_or_else(|| AddressError(format!("invalid {name}: {value:?}")))
}

#[cfg(test)]
mod tests;
