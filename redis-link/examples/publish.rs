//! Publications per second through one connection to a Redis of the loopback, which it starts and ends:
//!
//! ```text
//! cargo run --release -p tidegate-redis-link --example publish -- [plain|history|bare] [CALLS [WINDOW [BYTES]]]
//! ```
//!
//! `plain` sends `PUBLISH`, `history` the script of the engine that also stores, `bare` writes prepared `PUBLISH`
//! commands to a socket and reads what comes back without looking at it: what Redis itself can do is the limit of
//! `plain`. `WINDOW` calls are under way at any time. Prints one line of JSON: calls per second, what Redis and we
//! spent on each, and how many commands Redis was sent for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

#[path = "../tests/support/mod.rs"]
mod support;

/// As the server has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use support::{Server, eventually};
use tidegate_redis_link::redis::{self, Value};
use tidegate_redis_link::{Call, Commands, Reply, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

static PUBLISH: Script = Script::new(
    concat!(
        include_str!("../../src/engine/redis/scripts/publish_stream.lua"),
        include_str!("../../src/engine/redis/scripts/each.lua")
    ),
    3,
    11,
    32,
);

const CHANNELS: usize = 1000;

/// Tasks that ask, as the connections of clients do.
const CALLERS: usize = 2;

#[derive(Clone)]
struct Load {
    mode: String,
    calls: usize,
    window: usize,
    payload: Bytes,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_else(|| "plain".to_owned());
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let load = Load {
        mode,
        calls: number(2_000_000),
        window: number(4096),
        payload: Bytes::from("x".repeat(number(32))),
    };
    let server = Server::start(&[]);
    let options = server.options();
    let commands = Commands::open(&options);
    eventually("a connection", async || commands.ready().ok()).await;

    let before = (redis_spent(&server), we_spent(), Instant::now());
    if load.mode == "bare" {
        bare(&server, &load).await;
    } else {
        let callers = (0..CALLERS).map(|caller| tokio::spawn(call(commands.clone(), load.clone(), caller)));
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    }
    let calls = (load.calls / CALLERS * CALLERS) as f64;
    let seconds = before.2.elapsed().as_secs_f64();
    let per_call = |spent: Duration| spent.as_nanos() as f64 / calls;
    println!(
        "{{\"mode\": \"{}\", \"calls_per_s\": {:.0}, \"redis_ns_per_call\": {:.0}, \"our_ns_per_call\": {:.0}, \
         \"commands_per_call\": {:.3}}}",
        load.mode,
        calls / seconds,
        per_call(redis_spent(&server) - before.0),
        per_call(we_spent() - before.1),
        commands_of(&server) / calls,
    );
}

async fn call(commands: Commands, load: Load, caller: usize) {
    let names: Vec<_> = (0..CHANNELS).map(|index| format!("{index}")).collect();
    let mut waiting: VecDeque<Reply> = VecDeque::with_capacity(load.window);
    for index in 0..load.calls / CALLERS {
        if waiting.len() >= load.window / CALLERS {
            answered(waiting.pop_front().unwrap().await.unwrap());
        }
        // Each caller has channels of its own.
        let channel = (index * CALLERS + caller) % CHANNELS;
        let call = match load.mode.as_str() {
            "plain" => plain(channel as u64, &names[channel], &load.payload),
            "history" => history(channel as u64, &names[channel], &load.payload),
            other => panic!("{other} is no mode"),
        };
        waiting.push_back(commands.call(call));
    }
    for reply in waiting {
        answered(reply.await.unwrap());
    }
}

fn answered(value: Value) {
    assert!(matches!(value, Value::Int(0) | Value::Array(_)), "{value:?}");
}

fn plain(order: u64, name: &str, payload: &Bytes) -> Call {
    let channel = format!("tidegate.client.{name}");
    Call::words(order, None, &[b"publish", channel.as_bytes(), payload])
}

fn history(order: u64, name: &str, payload: &Bytes) -> Call {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let keys = ["stream", "stream.meta", "result"].map(|kind| Bytes::from(format!("tidegate.{kind}.{name}")));
    let args = vec![
        payload.clone(),
        text("10"),
        text("300"),
        Bytes::from(format!("tidegate.client.{name}")),
        text("2592000"),
        text("abcdefgh"),
        text("publish"),
        text(""),
        text(""),
        text("0"),
        text(""),
    ];
    Call::script(order, &PUBLISH, keys.to_vec(), args)
}

/// The physical limit: no call waits for another, nothing is parsed.
async fn bare(server: &Server, load: &Load) {
    const BATCH: usize = 1000;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let mut batch = Vec::new();
    for channel in 0..BATCH {
        let name = format!("tidegate.client.{channel}");
        redis::cmd("publish")
            .arg(name)
            .arg(&load.payload[..])
            .write_packed_command(&mut batch);
    }
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        for _ in 0..load.calls / BATCH {
            writer.write_all(&batch).await.unwrap();
        }
    };
    let reading = async {
        let mut left = load.calls / BATCH * BATCH * b":0\r\n".len();
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            left -= reader.read(&mut buffer).await.unwrap();
        }
    };
    tokio::join!(writing, reading);
}

/// Time of the CPU that the server has used.
fn redis_spent(server: &Server) -> Duration {
    let info = server.cli(&["INFO", "cpu"]);
    let seconds = |name: &str| -> f64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    Duration::from_secs_f64(seconds("used_cpu_sys:") + seconds("used_cpu_user:"))
}

/// Time of the CPU that this process has used.
fn we_spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
    // Linux counts hundredths of a second, whatever the kernel's own clock is.
    Duration::from_millis(ticks * 10)
}

fn commands_of(server: &Server) -> f64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name))?;
        line.split(['=', ',']).nth(1)?.parse::<f64>().ok()
    };
    // What a script does is counted as well: the command is the script.
    calls("cmdstat_evalsha:").unwrap_or_else(|| calls("cmdstat_publish:").unwrap())
}
