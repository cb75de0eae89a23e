//! A Redis Cluster, and a master with sentinels.

use std::process::Command;

use super::{FREE_PORT, Server, eventually};

/// Three masters, and three replicas of them.
pub struct Cluster {
    pub servers: Vec<Server>,
}

impl Cluster {
    pub async fn start() -> Self {
        let servers: Vec<_> = (0..6)
            .map(|_| {
                // The bus has a port of its own, which must be free as well.
                Server::start(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-port",
                    FREE_PORT,
                    "--cluster-replica-validity-factor",
                    "0",
                ])
            })
            .collect();
        for server in &servers {
            eventually("a node", async || {
                (server.cli(&["PING"]).trim() == "PONG").then_some(())
            })
            .await;
        }
        let addresses: Vec<_> = servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port))
            .collect();
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(
            created.status.success(),
            "{}",
            String::from_utf8_lossy(&created.stdout)
        );
        let cluster = Self { servers };
        cluster.is_well().await;
        cluster
    }

    /// Waits until every node thinks so.
    pub async fn is_well(&self) {
        for server in &self.servers {
            eventually("a cluster", async || {
                let info = server.cli(&["CLUSTER", "INFO"]);
                let known = info.contains("cluster_known_nodes:6") && info.contains("cluster_state:ok");
                known.then_some(())
            })
            .await;
        }
    }

    /// The index of the master of a slot, asked at a node.
    pub fn master_of(&self, slot: u16, asked: usize) -> usize {
        let nodes = self.servers[asked].cli(&["CLUSTER", "NODES"]);
        for line in nodes
            .lines()
            .filter(|line| line.contains("master") && !line.contains("fail"))
        {
            let fields: Vec<_> = line.split(' ').collect();
            let owns = fields[8..]
                .iter()
                .filter(|range| !range.starts_with('['))
                .any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    (first.parse().unwrap()..=last.parse().unwrap()).contains(&slot)
                });
            if owns {
                let port: u16 = fields[1].split([':', '@']).nth(1).unwrap().parse().unwrap();
                return self
                    .servers
                    .iter()
                    .position(|server| server.port == port)
                    .unwrap();
            }
        }
        panic!("nobody owns {slot}:\n{nodes}");
    }

    pub fn id(&self, index: usize) -> String {
        self.servers[index].cli(&["CLUSTER", "MYID"]).trim().to_owned()
    }

    /// Moves a slot with its keys, as an operator's tools do.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let (from_id, to_id) = (self.id(from), self.id(to));
        let to_port = self.servers[to].port.to_string();
        self.servers[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        self.servers[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
        loop {
            let keys = self.servers[from].cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            let keys: Vec<_> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &to_port, "", "0", "5000", "KEYS"];
            migrate.extend(&keys);
            self.servers[from].cli(&migrate);
        }
        for server in [to, from].into_iter().chain(0..self.servers.len()) {
            self.servers[server].cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        }
    }
}
