#!/usr/bin/env python3
"""The load runs behind every figure of benches/RESULTS.md.

Builds the release server and the load generators, runs each mode against the physical floor and against a freshly
started Tidegate in one go, and prints one table. Loopback only; stops by itself; ends processes by the id it
started. Single figures of shared machines mean little: compare ratios of one run.
"""

import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ROOT.parent / "shared" / "tools"
BUILT = ROOT / "target" / "tools" / "release"
OUT = ROOT / "target" / "bench"
FILES = 20_000
TIMEOUT = 300

# name, load generator and its arguments, the figures to show, whether the floor can run it
RUNS = [
    ("idle 10,000", "loadgen", ["idle", "-n", "10000"], ["kb_per_conn", "open_per_cpu_s", "idle_cpu_ms_per_s"], True),
    ("fanout 1,000 at 50/s", "loadgen",
     ["fanout", "-n", "1000", "-m", "500", "--rate", "50"], ["delivered_per_cpu_s", "p50_ms", "p99_ms"], True),
    ("fanout 1,000 unpaced", "loadgen",
     ["fanout", "-n", "1000", "-m", "2000", "--inflight", "8"], ["delivered_per_cpu_s", "p99_ms"], True),
    ("fanout 10,000 unpaced", "loadgen",
     ["fanout", "-n", "10000", "-m", "200"], ["delivered_per_cpu_s", "p99_ms"], True),
    ("publish", "loadgen", ["publish", "-m", "30000", "--inflight", "16"], ["per_cpu_s"], True),
    ("pairs", "loadgen", ["pairs", "-n", "500", "-m", "100"], ["delivered_per_cpu_s"], False),
    ("WebTransport idle 1,000", "loadgen-wt", ["idle", "-n", "1000"], ["kb_per_session"], False),
    ("WebTransport fanout 500 at 30/s", "loadgen-wt",
     ["fanout", "-n", "500", "-m", "300", "--rate", "30"], ["delivered_per_cpu_s", "p50_ms", "p99_ms"], False),
]


def main() -> int:
    wanted = sys.argv[1:]
    raise_file_limit()
    build()
    OUT.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, tool, arguments, figures, has_floor in RUNS:
        if wanted and not any(word in name for word in wanted):
            continue
        floor = measure(Floor(), tool, arguments) if has_floor else {}
        server = measure(Tidegate(is_webtransport=tool == "loadgen-wt"), tool, arguments)
        (OUT / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.json").write_text(
            json.dumps({"floor": floor, "tidegate": server}, indent=2) + "\n")
        for figure in figures:
            rows.append((name, figure, floor.get(figure), server.get(figure)))
        problems = {key: server[key] for key in ("dead", "errors") if server.get(key)}
        if problems or server.get("delivered", 0) != server.get("expected", server.get("delivered", 0)):
            rows.append((name, f"INCOMPLETE {server}", None, None))
    table(rows)
    return 1 if any("INCOMPLETE" in figure for _, figure, *_ in rows) else 0


def build() -> None:
    run(["cargo", "build", "--release", "--bin", "tidegate"], ROOT)
    for tool in ("loadgen", "loadgen-wt"):
        run(["cargo", "build", "--release"], TOOLS / tool, CARGO_TARGET_DIR=str(BUILT.parent))


def run(command: list[str], folder: pathlib.Path, **environment: str) -> None:
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=True)


def raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, max(FILES, soft))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


class Floor:
    """The yardstick: a server that does nothing but write."""

    def __enter__(self):
        self.port = free_port()
        self.process = subprocess.Popen([BUILT / "floor", str(self.port)], stdout=subprocess.DEVNULL)
        wait_for_port(self.port)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def arguments(self):
        return ["--port", str(self.port), "--pid", str(self.process.pid)]


class Tidegate:
    """A freshly started server."""

    def __init__(self, is_webtransport: bool):
        self.is_webtransport = is_webtransport

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        config = json.loads((ROOT / "benches" / "tidegate.json").read_text())
        if self.is_webtransport:
            config["http_server"].update({
                "tls": {"enabled": True},
                "tls_external": True,
                "http3": {"enabled": True},
                "development_certificate": {"enabled": True, "directory": self.folder.name},
                "internal_port": str(free_port()),
            })
            config["webtransport"] = {"enabled": True}
        path = pathlib.Path(self.folder.name) / "config.json"
        path.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [ROOT / "target" / "release" / "tidegate", "-c", path], stderr=subprocess.PIPE, text=True)
        self.ports = {}
        wanted = 2 if self.is_webtransport else 1
        while len(self.ports) < wanted:
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit("the server did not start")
            found = re.search(r"serving (.*) endpoints on (\S+):(\d+)", line)
            if found:
                self.ports["api" if found[1].startswith("api") else "external"] = (found[2], int(found[3]))
        # A full pipe would stop the server at its next line of log.
        self.drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.drain.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.drain.join()
        self.process.stderr.close()
        self.folder.cleanup()

    def arguments(self):
        arguments = ["--port", str(self.ports["external"][1]), "--pid", str(self.process.pid)]
        if "api" in self.ports:
            arguments += ["--api", str(self.ports["api"][1])]
        return arguments


def measure(server, tool: str, arguments: list[str]) -> dict:
    with server:
        command = [BUILT / tool, *arguments, *server.arguments()]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT)
        lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise SystemExit(f"{tool} {' '.join(arguments)} printed no figures (status {result.returncode})")
        return json.loads(lines[-1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def table(rows) -> None:
    print("| run | figure | floor | Tidegate | ratio |\n|---|---|---:|---:|---:|")
    for name, figure, floor, server in rows:
        ratio = f"{server / floor:.2f}" if floor and server is not None else "–"
        print(f"| {name} | {figure} | {shown(floor)} | {shown(server)} | {ratio} |")


def shown(value) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
