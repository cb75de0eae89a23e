#!/usr/bin/env python3
"""Profiles of the server as text: benches/profile.py KIND [--binary PATH [--sources DIRECTORY]] [--out FILE] [-n CONNECTIONS]

KIND is one of
  idle, idle-tls, idle-wt   what a connection keeps on the heap, by the place that allocated it (heaptrack)
  gone   what stays on the heap when all connections have gone, by the place that allocated it (heaptrack)
  fanout, unpaced, publish, pairs, open, wt   where the CPU time goes (perf), as shares and as a tree of calls
  all   one after the other

The summary goes to benches/profiles/KIND.txt and to the terminal. Heap profiles need a server with the system's
allocator, the only one that heaptrack sees: without --binary it is built (`--no-default-features`). Needs the Debian
packages heaptrack and linux-perf.
"""

import argparse
import pathlib
import shutil
import sys
import time

from bench import heap, load, paths, stacks
from bench.servers import Tidegate

HEAP = {
    "idle": ("loadgen", 5_000, False),
    "idle-tls": ("tls-idle", 2_000, True),
    "idle-wt": ("loadgen-wt", 500, True),
}
# Load generator, its arguments, seconds to sample, and whether TLS and WebTransport are on.
CPU = {
    "fanout": ("loadgen", ["fanout", "-n", "1000", "-m", "500", "--rate", "50"], 8, False),
    "unpaced": ("loadgen", ["fanout", "-n", "1000", "-m", "8000", "--inflight", "8"], 4, False),
    "publish": ("loadgen", ["publish", "-m", "250000", "--inflight", "16"], 5, False),
    "pairs": ("loadgen", ["pairs", "-n", "500", "-m", "500"], 3, False),
    "open": ("loadgen", ["idle", "-n", "15000", "--settle", "0"], 5, False),
    "wt": ("loadgen-wt", ["fanout", "-n", "500", "-m", "300", "--rate", "30"], 8, True),
}

def main() -> int:
    options = arguments()
    paths.raise_file_limit()
    paths.OUT.mkdir(parents=True, exist_ok=True)
    paths.build_tools()
    for kind in PROFILES if options.kind == "all" else [options.kind]:
        text = "\n".join(PROFILES[kind](kind, options)) + "\n"
        out = options.out or paths.BENCHES / "profiles" / f"{kind}.txt"
        out.write_text(text)
        print(text)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*PROFILES, "all"])
    parser.add_argument("--binary", type=pathlib.Path, help="the server to profile (default: it is built)")
    parser.add_argument("--sources", type=pathlib.Path, default=paths.ROOT, help="the sources it was built from")
    parser.add_argument("--out", type=pathlib.Path, help="where the summary goes")
    parser.add_argument("-n", type=int, help="connections per step of a heap profile")
    options = parser.parse_args()
    if options.binary and not options.binary.is_file():
        parser.error(f"{options.binary} is no file")
    if options.kind == "all" and (options.binary or options.out):
        parser.error("heap and CPU profiles want different binaries, and each a file of its own")
    return options


def heap_profile(kind: str, options: argparse.Namespace) -> list[str]:
    """Two crowds of equal size come one after the other; what the second one added is the profile."""
    tool, count, tls = HEAP[kind]
    count = options.n or count
    binary = options.binary or system_allocator_build()
    record = paths.OUT / f"{kind}.heaptrack"
    started = time.monotonic()
    crowds, moments, memory = [], [], []
    with Tidegate(tls, binary, heap.environment(record)) as server:
        for _ in range(2):
            # The first crowd must stay until the second has come to rest.
            crowds.append(load.start(tool, ["idle", "-n", str(count), "--settle", "40"], server))
            time.sleep(1)
            memory.append(load.memory_at_rest(server.pid))
            # The record's clock starts a little later: a moment well inside the rest.
            moments.append(time.monotonic() - started - load.REST / 2)
        for crowd in crowds:
            crowd.terminate()
            crowd.wait()
    first, second = heap.alive(record, moments, options.sources)
    record.unlink()
    return heap_lines(kind, count, heap.difference(first, second, count), memory)


def gone_profile(_: str, options: argparse.Namespace) -> list[str]:
    """A crowd comes and goes twice; what is alive after the second time and was not after the start."""
    count = options.n or 10_000
    binary = options.binary or system_allocator_build()
    record = paths.OUT / "gone.heaptrack"
    started = time.monotonic()
    moments, memory = [], []
    with Tidegate(False, binary, heap.environment(record)) as server:
        for crowds in (0, 2):
            for _ in range(crowds):
                load.figures(load.start("loadgen", ["idle", "-n", str(count), "--settle", "2"], server))
            time.sleep(1)
            memory.append(load.memory_at_rest(server.pid))
            moments.append(time.monotonic() - started - load.REST / 2)
    before, after = heap.alive(record, moments, options.sources)
    record.unlink()
    grown = heap.difference(before, after, 1)
    alive = sum(kept.bytes for kept in before.values())
    return [
        f"Heap that stays when {count:,} connections have come and gone twice",
        f"{alive:,} bytes before, {sum(kept.bytes for _, kept in grown):,.0f} more after; resident memory grew from "
        f"{memory[0]:,} to {memory[1]:,} KB (system allocator, with heaptrack's own records)",
        "",
        "  bytes  allocs  own frame <- library frame that allocated",
        *heap_sites(grown, 1024),
    ]


def heap_lines(kind: str, count: int, grown: list, memory: list[int]) -> list[str]:
    size = sum(kept.bytes for _, kept in grown)
    number = sum(kept.count for _, kept in grown)
    lines = [
        f"Heap that one connection keeps: {kind}, connections {count:,} to {2 * count:,} of one server",
        f"{size:,.0f} bytes requested in {number:.1f} allocations; resident memory grew by "
        f"{(memory[1] - memory[0]) * 1024 / count:,.0f} bytes (system allocator, with heaptrack's own records)",
        "",
        "  bytes  allocs  by the crate that allocated",
        *(f"{kept.bytes:7.1f} {kept.count:7.2f}  {crate}" for crate, kept in heap.by_crate(grown)),
        "",
        "  bytes  allocs  own frame <- library frame that allocated",
    ]
    return lines + heap_sites(grown, 1)


def heap_sites(grown: list, least: float) -> list[str]:
    return [
        f"{kept.bytes:7.1f} {kept.count:7.2f}  {site.own or '(no own frame)'}"
        + (f" <- {site.library}" if site.library else "")
        for site, kept in grown if abs(kept.bytes) >= least
    ]


def cpu_profile(kind: str, options: argparse.Namespace) -> list[str]:
    tool, load_arguments, seconds, tls = CPU[kind]
    if not options.binary:
        paths.build_server()
    file = paths.OUT / f"{kind}.perf"
    with Tidegate(tls, options.binary or paths.SERVER) as server:
        files = load.open_files(server.pid)
        generator = load.start(tool, load_arguments, server)
        if kind != "open":
            # Opening is not part of what is profiled: it is over when the connections of the API come.
            wanted = int(load_arguments[load_arguments.index("-n") + 1]) if "-n" in load_arguments and not tls else 0
            wait_until(lambda: load.open_files(server.pid) > files + wanted - (kind == "pairs"))
        perf = stacks.record(server.pid, seconds, file)
        figures = load.figures(generator)
        perf.wait()
    samples = stacks.read(file)
    file.unlink()
    return [
        f"CPU time of the server: {tool} {' '.join(load_arguments)}",
        f"{len(samples):,} samples; {', '.join(f'{key} {value}' for key, value in figures.items())}",
        *stacks.summary(samples),
    ]


def system_allocator_build() -> pathlib.Path:
    """Beside the ordinary build, which keeps its place."""
    copy = paths.OUT / "tidegate-system-allocator"
    paths.cargo("build", "--release", "--bin", "tidegate", "--no-default-features")
    shutil.copy2(paths.SERVER, copy)
    # Cargo only links again what it has compiled: the next build restores the ordinary server.
    return copy


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the load did not start")
        time.sleep(0.05)


PROFILES = {
    **dict.fromkeys(HEAP, heap_profile),
    "gone": gone_profile,
    **dict.fromkeys(CPU, cpu_profile),
}


if __name__ == "__main__":
    sys.exit(main())
