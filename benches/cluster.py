#!/usr/bin/env python3
"""What nodes do through Redis and NATS: benches/cluster.py [--write] [--no-build] [--seconds N]

Starts a Redis and one to three nodes on the loopback, with and without history, and gives each node a load generator
of its own (`../shared/tools`); the same for one and two nodes with NATS, without and with JetStream. Prints one table; `--write` puts it into RESULTS.md. Ends only processes it started.

The numbers of nodes share the cores of one machine with the engine and the load: their sums say what the machine does, not
what more machines would. What carries over is the CPU that the engine spends on a publication, and how many commands it is
sent for what a client does.
"""

import argparse
import json
import subprocess
import sys
import time

from bench import load, paths, results
from bench.crowd import Crowd
from bench.nats import Nats
from bench.node import Node
from bench.redis import Redis
from bench.results import row
from bench.servers import PATIENCE

MARKS = ("<!-- table of benches/cluster.py -->\n", "<!-- end of cluster -->")
HISTORY = {"history_size": 10, "history_ttl": "60s"}
PLAIN = {}
# As many members as answers are read: presence, position and subscription of each.
LARGE = {**HISTORY, "presence": True, "force_positioning": True}
# What the engine does without a server around it, and about how often per second.
MODES = {
    "bare": ("one connection that writes prepared commands (the limit)", 2_000_000),
    "plain": ("one connection, without history", 1_500_000),
    "history": ("one connection, with history", 70_000),
}
ROUNDS = 7
SUBSCRIBERS = 10
CLIENTS = 5_000
# Clients that stay, each in a channel of its own: as many load generators with a thousand each. They stay for longer than
# two renewals of presence take, and these two are looked at.
STAYING = 10
STAY = 60
OPENING = 30
# Seconds in which the positions of these channels are surely looked at.
POSITIONS = 5


def main() -> int:
    options = arguments()
    paths.raise_file_limit()
    if not options.no_build:
        paths.build_server()
        paths.build_tools()
        paths.cargo("build", "--release", "--package", "tidegate-redis-link", "--example", "publish")
    lines = alone(options.seconds)
    for count in (1, 2, 3):
        for name, channel in (("without history", PLAIN), ("with history", HISTORY)):
            lines += publish(Redis(), count, name, channel, options.seconds)
    lines += subscribe()
    lines += stay_together()
    lines += stay("with history, position and presence", LARGE)
    lines += stay("plain", PLAIN)
    for count in (1, 2):
        lines += publish(Nats(), count, "NATS", PLAIN, options.seconds)
        lines += publish(Nats("file"), count, "JetStream in files", HISTORY, options.seconds)
    text = results.table(lines)
    print(text)
    if options.write:
        results.write(MARKS, text)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--no-build", action="store_true", help="everything is built")
    parser.add_argument("--seconds", type=float, default=5, help="about how long each load lasts")
    return parser.parse_args()


def alone(seconds: float) -> list[str]:
    """One connection of the engine, without a server around it. Short runs that alternate, for the machine is shared:
    the middle one of them, and the extremes."""
    runs = {mode: [] for mode in MODES}
    for _ in range(ROUNDS):
        for mode, (_, expected) in MODES.items():
            command = [paths.TARGET / "release" / "examples" / "publish", mode, str(int(expected * seconds / 2))]
            output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            runs[mode].append(json.loads(output.splitlines()[-1]))
    lines = []
    for mode, (run, _) in MODES.items():
        def figure(name: str) -> str:
            values = sorted(figures[name] for figures in runs[mode])
            return f"{values[len(values) // 2]:,} ({values[0]:,}–{values[-1]:,})"
        lines += [
            row(run, "publications per s", figure("calls_per_s")),
            row(run, "ns of Redis per publication", figure("redis_ns_per_call")),
            row(run, "ns of ours per publication", figure("our_ns_per_call")),
            row(run, "commands per publication", runs[mode][0]["commands_per_call"]),
        ]
    return lines


def publish(engine: Redis | Nats, count: int, name: str, channel: dict, seconds: float) -> list[str]:
    """As much as the nodes take, then half of it with somebody listening."""
    run = f"{count} node{'s' if count > 1 else ''}, {name}"
    with engine:
        nodes = [Node(engine, channel) for _ in range(count)]
        try:
            for node in nodes:
                node.__enter__()
            # A first round tells how many make the time full.
            first = together(nodes, lambda index: ["publish", "-m", "2000", "--inflight", "64", "--channel", f"w{index}-"])
            requests = int(min(figures["per_s"] for figures in first) * seconds)
            engine.reset()
            full = together(nodes, lambda index: [
                "publish", "-m", str(requests), "--inflight", "64", "--channel", f"f{index}-"])
            spent, commands = engine.spent(), engine.commands()
            total = requests * count
            rate = int(min(figures["per_s"] for figures in full) / 2)
            half = together(nodes, lambda index: [
                "fanout", "-n", str(SUBSCRIBERS), "-m", str(int(rate * seconds)), "--rate", str(rate),
                "--inflight", "64", "--channel", f"h{index}"])
        finally:
            for node in nodes:
                if node.is_started:
                    node.__exit__(None, None, None)
    lost = sum(figures["expected"] - figures["delivered"] for figures in half)
    return [
        row(run, "publications per s", f"{sum(figures['per_s'] for figures in full):,.0f}"),
        row(run, f"ns of {engine.NAME} per publication", f"{spent / total * 1e9:,.0f}"),
        row(run, "publications per CPU s of a node", f"{min(figures['per_cpu_s'] for figures in full):,.0f}"),
        *([] if commands is None else [row(run, "commands per publication", f"{commands / total:.3f}")]),
        row(run, f"at half load ({rate * count:,} per s): p50 ms", max(figures["p50_ms"] for figures in half)),
        row(run, "p99 ms", max(figures["p99_ms"] for figures in half)),
        row(run, "lost", lost),
    ]


def subscribe() -> list[str]:
    """Clients that come at once, each to a position in a channel with presence."""
    run = f"{CLIENTS:,} clients subscribe, with position and presence"
    with Redis() as redis, Node(redis, LARGE) as node:
        redis.reset()
        figures = load.figures(load.start("loadgen", ["idle", "-n", str(CLIENTS), "--settle", "0"], node))
        spent, commands = redis.spent(), redis.commands()
    if figures["conns"] != CLIENTS:
        raise SystemExit(f"somebody was turned away: {figures}")
    return [
        row(run, "seconds", figures["open_s"]),
        row(run, "ns of Redis per client", f"{spent / CLIENTS * 1e9:,.0f}"),
        row(run, "commands per client (one by one: 2.2)", f"{commands / CLIENTS:.3f}"),
    ]


def stay_together() -> list[str]:
    """Clients with positions, all in one channel in which nothing happens."""
    run = f"{CLIENTS:,} clients in one quiet channel, with position"
    with Redis() as redis, Node(redis, {**HISTORY, "force_positioning": True}) as node, Crowd(node, CLIENTS, "quiet"):
        # Some positions are looked at for the first time after 40 seconds.
        time.sleep(STAY)
        redis.reset()
        time.sleep(STAY)
        spent, commands = redis.spent(), redis.commands()
        node.wait_for_clients(CLIENTS)
    return [
        row(run, "commands per minute, of all", f"{commands / STAY * 60:,.0f}"),
        row(run, "ms of CPU per second, Redis", f"{spent / STAY * 1e3:.1f}"),
    ]


def stay(name: str, channel: dict) -> list[str]:
    """Clients that do nothing, each in a channel of its own in which one publication was."""
    count = STAYING * 1000
    run = f"{count:,} clients, each in a channel of its own, {name}"
    with Redis() as redis, Node(redis, channel) as node:
        memory, kept = load.memory_kb(node.pid), redis.memory()
        settle = str(OPENING + STAY)
        running = [load.start("loadgen", ["idle", "-n", "1000", "--settle", settle, "--channel", f"s{index}-"], node)
                   for index in range(STAYING)]
        node.wait_for_clients(count)
        for index in range(STAYING):
            load.figures(load.start("loadgen", ["publish", "-m", "1000", "--channel", f"s{index}-"], node))
        redis.reset()
        spent, kept = load.cpu_seconds(node.pid), redis.memory() - kept
        time.sleep(STAY)
        spent = load.cpu_seconds(node.pid) - spent
        memory = load.memory_kb(node.pid) - memory
        redis_spent, commands = redis.spent(), redis.commands()
        returned, again = lose_subscriptions(redis, count)
        node.wait_for_clients(count)
        for process in running:
            load.figures(process)
    return [
        row(run, "KB of a node per client", f"{memory / count:.2f}"),
        row(run, "KB of Redis per client", f"{kept / 1024 / count:.2f}"),
        row(run, "ms of CPU per second, node", f"{spent / STAY * 1e3:.1f}"),
        row(run, "ms of CPU per second, Redis", f"{redis_spent / STAY * 1e3:.1f}"),
        row(run, "commands per client and minute", f"{commands / count / STAY * 60:.3f}"),
        row(run, "all subscriptions lost: subscribed again after ms", f"{returned * 1e3:.0f}"),
        row(run, "µs of Redis per channel for that, and for looking at positions", f"{again / count * 1e6:.1f}"),
    ]


def lose_subscriptions(redis: Redis, count: int) -> tuple[float, float]:
    """Seconds until a node has all its channels again, and what that and the positions cost Redis beyond what it spends
    anyway."""
    redis.reset()
    time.sleep(POSITIONS)
    calm = redis.spent()
    redis.reset()
    start = time.monotonic()
    redis.end_subscriptions()
    while redis.channels() < count:
        if time.monotonic() > start + PATIENCE:
            raise SystemExit(f"{redis.channels()} channels came back, not {count}")
        time.sleep(0.01)
    returned = time.monotonic() - start
    time.sleep(max(0, POSITIONS - returned))
    return returned, redis.spent() - calm


def together(nodes: list[Node], arguments) -> list[dict]:
    """The same load for every node at the same time."""
    running = [load.start("loadgen", arguments(index), node) for index, node in enumerate(nodes)]
    answered = [load.figures(process) for process in running]
    for figures in answered:
        if figures.get("errors") or figures.get("api_errors") or figures.get("dead"):
            raise SystemExit(f"errors in {figures}")
    return answered


if __name__ == "__main__":
    sys.exit(main())
