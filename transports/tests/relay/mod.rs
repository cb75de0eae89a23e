//! A path between one client and a server that loses what a test wants lost.

#![allow(unreachable_pub, reason = "each test file is a crate")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Forwards datagrams both ways until it is dropped.
pub struct Relay {
    pub address: SocketAddr,
    loses_every: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// A path to `server` on which nothing is lost.
    pub async fn to(server: SocketAddr) -> Self {
        let near = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        far.connect(server).await.unwrap();
        let address = near.local_addr().unwrap();
        let loses_every = Arc::new(AtomicU64::new(u64::MAX));
        let lost = Arc::<AtomicU64>::default();
        let (client, known_client) = tokio::sync::watch::channel(None);
        let mut tasks = JoinSet::new();
        let drops = dropper(&loses_every, &lost);
        tasks.spawn({
            let (near, far) = (near.clone(), far.clone());
            async move {
                let mut buffer = vec![0; 65_536];
                while let Ok((length, from)) = near.recv_from(&mut buffer).await {
                    client.send_replace(Some(from));
                    if !drops() {
                        let _ = far.send(&buffer[..length]).await;
                    }
                }
            }
        });
        let drops = dropper(&loses_every, &lost);
        tasks.spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = far.recv(&mut buffer).await {
                let client = *known_client.borrow();
                if let Some(client) = client.filter(|_| !drops()) {
                    let _ = near.send_to(&buffer[..length], client).await;
                }
            }
        });
        Self {
            address,
            loses_every,
            lost,
            _tasks: tasks,
        }
    }

    /// From now on every `n`th datagram of each direction is lost; all of them with 1.
    pub fn lose_every(&self, n: u64) {
        self.loses_every.store(n, Ordering::Relaxed);
    }

    /// Datagrams lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

fn dropper(loses_every: &Arc<AtomicU64>, lost: &Arc<AtomicU64>) -> impl Fn() -> bool + Send + 'static {
    let (loses_every, lost, seen) = (loses_every.clone(), lost.clone(), AtomicU64::new(0));
    move || {
        let number = seen.fetch_add(1, Ordering::Relaxed) + 1;
        let drops = number % loses_every.load(Ordering::Relaxed) == 0;
        lost.fetch_add(u64::from(drops), Ordering::Relaxed);
        drops
    }
}
