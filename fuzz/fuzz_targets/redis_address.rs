//! Where an operator says that Redis is: understood or refused, one shard for each address, and no address without a
//! place to dial.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::config::Redis;
use tidegate::engine::redis::{mode, shards};
use tidegate_fuzz::choice;
use tidegate_redis_link::{Endpoint, Topology};

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = choice(data) else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let addresses: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let count = addresses.len();
    let mut redis = Redis::default();
    match kind % 3 {
        0 => redis.address = addresses,
        1 => redis.cluster_address = addresses,
        _ => {
            redis.sentinel_address = addresses;
            redis.sentinel_master_name = "main".to_owned();
        }
    }
    let Ok(shards) = shards(&redis) else { return };
    assert_eq!(shards.len(), count);
    assert!(!mode(&shards).is_empty());
    for shard in shards {
        let endpoints = match shard.topology {
            Topology::Single(endpoint) => vec![endpoint],
            Topology::Sentinel(sentinels) => {
                assert!(!sentinels.master.is_empty());
                sentinels.endpoints
            }
            Topology::Cluster { seeds } => seeds,
        };
        assert!(!endpoints.is_empty());
        for endpoint in endpoints {
            if let Endpoint::Tcp { host, .. } = endpoint {
                assert!(!host.is_empty());
            }
        }
    }
});
