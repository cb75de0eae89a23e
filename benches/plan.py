#!/usr/bin/env python3
"""What docs/scaling.md plans with and no other run shows: benches/plan.py [--write] [--no-build]

Clients over TLS that only answer pings, and that are published to; the same over WebTransport; what the kernel keeps for a
connection. Prints one table; `--write` puts it into RESULTS.md. Ends only processes it started.
"""

import argparse
import pathlib
import subprocess
import sys
import time

from bench import load, paths, results
from bench.results import row
from bench.servers import Server, Tidegate

MARKS = ("<!-- table of benches/plan.py -->\n", "<!-- end of plan -->")
# More than two rounds of pings.
STAY = 60
TLS_CLIENTS = 5_000
SESSIONS = 1_000
PLAIN_CLIENTS = 10_000
# To the thousand channels that the clients of idle runs share, a few each.
PUBLICATIONS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--no-build", action="store_true", help="everything is built")
    options = parser.parse_args()
    paths.raise_file_limit()
    if not options.no_build:
        paths.build_server()
        paths.build_tools()
    lines = [
        *kernel(),
        *stay("plain", "loadgen", PLAIN_CLIENTS, Tidegate()),
        *stay("TLS", "tls-idle", TLS_CLIENTS, Tidegate(tls=True)),
        *stay("WebTransport", "loadgen-wt", SESSIONS, Tidegate(tls=True)),
        *deliver("plain", "loadgen", Tidegate()),
        *deliver("TLS", "tls-idle", Tidegate(tls=True)),
    ]
    text = results.table(lines)
    print(text)
    if options.write:
        results.write(MARKS, text)
    return 0


def kernel() -> list[str]:
    """Both ends of each connection are here, and nothing is in their buffers."""
    with Tidegate() as server:
        before = slab_kb()
        running = start("loadgen", PLAIN_CLIENTS, 10, server)
        time.sleep(6)
        grown = slab_kb() - before
        load.figures(running)
    return [row(f"{PLAIN_CLIENTS:,} idle TCP connections", "KB of the kernel each", f"{grown / 2 / PLAIN_CLIENTS:.2f}")]


def stay(name: str, tool: str, count: int, server: Tidegate) -> list[str]:
    with server:
        running = start(tool, count, 15 + STAY, server)
        time.sleep(10)
        spent = load.cpu_seconds(server.pid)
        time.sleep(STAY)
        spent = load.cpu_seconds(server.pid) - spent
        if load.figures(running)["dead"]:
            raise SystemExit("somebody was lost")
    per_10_000 = spent / STAY * 1000 / count * 10_000
    return [row(f"{count:,} idle clients, {name}", "ms of CPU per second for 10,000", f"{per_10_000:.1f}")]


def deliver(name: str, tool: str, server: Tidegate) -> list[str]:
    """Publications to clients that stay. What it costs to take them in is measured without clients."""
    with server:
        publishing = publish(server)
        running = start(tool, TLS_CLIENTS, 45, server)
        time.sleep(15)
        spent = publish(server) - publishing
        figures = load.figures(running)
    if figures["dead"]:
        raise SystemExit(f"somebody was lost: {figures}")
    deliveries = PUBLICATIONS * TLS_CLIENTS // 1000
    return [row(f"{TLS_CLIENTS:,} clients, 5 in a channel, {name}", "µs of CPU per delivery", f"{spent / deliveries * 1e6:.1f}")]


def publish(server: Server) -> float:
    """Seconds of CPU that this takes the server."""
    before = load.cpu_seconds(server.pid)
    command = ["publish", "-m", str(PUBLICATIONS), "--inflight", "16"]
    port = server.api or server.port
    tool = [paths.TOOLS / "loadgen", *command, "--port", str(port), "--pid", str(server.pid)]
    subprocess.run(tool, stdout=subprocess.DEVNULL, check=True)
    # The last ones are on their way.
    time.sleep(1)
    return load.cpu_seconds(server.pid) - before


def start(tool: str, count: int, settle: int, server: Server) -> subprocess.Popen:
    return load.start(tool, ["idle", "-n", str(count), "--settle", str(settle)], server)


def slab_kb() -> int:
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Slab:"))


if __name__ == "__main__":
    sys.exit(main())
