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
                    "--repl-diskless-sync-delay",
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
        cluster.is_replicated().await;
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

    /// Waits until three replicas have what their masters have: one that has not would be promoted all the same.
    async fn is_replicated(&self) {
        eventually("replicas", async || {
            let replicas = self.servers.iter().filter(|server| {
                let info = server.cli(&["INFO", "replication"]);
                info.contains("role:slave") && info.contains("master_link_status:up")
            });
            (replicas.count() == 3).then_some(())
        })
        .await;
    }

    /// All addresses, separated by commas.
    pub fn seeds(&self) -> String {
        let seeds: Vec<String> = self
            .servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port))
            .collect();
        seeds.join(",")
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        let slot = self.servers[0].cli(&["CLUSTER", "KEYSLOT", key]);
        slot.trim().parse().unwrap()
    }

    /// Has the replica of a master take its place; ends when the master agrees that it did.
    pub async fn fail_over(&self, master: usize) {
        let id = self.id(master);
        let replica = self
            .servers
            .iter()
            .find(|server| {
                let nodes = server.cli(&["CLUSTER", "NODES"]);
                let myself = nodes.lines().find(|line| line.contains("myself"));
                myself.is_some_and(|line| line.contains("slave") && line.contains(&id))
            })
            .expect("every master has a replica");
        replica.cli(&["CLUSTER", "FAILOVER"]);
        eventually("a failover", async || {
            let role = self.servers[master].cli(&["ROLE"]);
            role.starts_with("slave").then_some(())
        })
        .await;
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
