//! A network between a node and its Redis that can be made worse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Fair,
    /// Everything passes, later.
    Slow(Duration),
    /// Nothing passes, and nobody is told.
    Hole,
    /// Connections end, and no new ones are taken.
    Cut,
}

/// Passes connections on to a server.
pub struct Proxy {
    pub port: u16,
    weather: watch::Sender<Weather>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::Fair);
        let connections = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let kept = connections.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else {
                    return;
                };
                if *seen.borrow() == Weather::Cut {
                    continue;
                }
                let connection = tokio::spawn(pass(near, server, seen.clone()));
                kept.lock().push(connection.abort_handle());
            }
        });
        Self {
            port,
            weather,
            connections,
            accepting,
        }
    }

    pub fn turn(&self, weather: Weather) {
        self.weather.send_replace(weather);
        if weather == Weather::Cut {
            for connection in self.connections.lock().drain(..) {
                connection.abort();
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.turn(Weather::Cut);
        self.accepting.abort();
    }
}

async fn pass(near: TcpStream, server: u16, weather: watch::Receiver<Weather>) {
    let Ok(far) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server))).await else {
        return;
    };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = stream(near_read, far_write, weather.clone()) => {}
        () = stream(far_read, near_write, weather) => {}
    }
}

async fn stream(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let now = *weather.borrow();
        match now {
            Weather::Slow(delay) => tokio::time::sleep(delay).await,
            Weather::Hole => {
                if weather
                    .wait_for(|weather| *weather != Weather::Hole)
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Weather::Fair | Weather::Cut => {}
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
