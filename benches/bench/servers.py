"""The servers that are measured: each is started afresh, listens on a free port of the loopback, and ends with its
`with` block. They differ in how they start only; `arguments` is what a load generator must be told of them."""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time

from . import paths

PATIENCE = 20


class Server:
    """A process with ports. Subclasses start it."""

    process: subprocess.Popen
    port: int
    api: int | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def arguments(self) -> list[str]:
        api = [] if self.api is None else ["--api", str(self.api)]
        return ["--port", str(self.port), "--pid", str(self.pid), *api]

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Store(Server):
    """A server that is no part of this project and keeps its files in a folder of its own, `folder`. Subclasses give the
    `command` for `port`."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)
        return self

    def __exit__(self, *outcome):
        super().__exit__(*outcome)
        self.folder.cleanup()

    def command(self) -> list[str]:
        raise NotImplementedError


class Floor(Server):
    """The yardstick for WebSocket: a server that does nothing but write."""

    def __enter__(self):
        self.port = free_port()
        self.process = subprocess.Popen([paths.TOOLS / "floor", str(self.port)], stdout=subprocess.DEVNULL)
        wait_for_port(self.port)
        return self


class WebTransportFloor(Server):
    """The yardstick for WebTransport: quinn, constants for HTTP/3, and writes (benches/tools)."""

    def __enter__(self):
        self.process = subprocess.Popen([paths.TOOLS / "wt-floor"], stdout=subprocess.PIPE, text=True)
        ports = json.loads(self.process.stdout.readline())
        self.port, self.api = ports["port"], ports["api"]
        return self

    def __exit__(self, *outcome):
        super().__exit__(*outcome)
        self.process.stdout.close()


class Tidegate(Server):
    """The server itself; `tls` also gives it a development certificate, WebTransport, and a plain port for the
    API. `environment` and another `binary` are for profilers."""

    def __init__(self, tls: bool = False, binary: pathlib.Path = paths.SERVER, environment: dict | None = None):
        self.tls = tls
        self.binary = binary
        self.environment = environment or {}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name) / "config.json"
        path.write_text(json.dumps(self._configuration()))
        # In a file, 0 stands for the default port; as a flag it is what it says.
        self.process = subprocess.Popen(
            [self.binary, "-c", path, "--http_server.port", "0"], stderr=subprocess.PIPE, text=True, env={**os.environ, **self.environment})
        wanted = {"external", "api"} if self.tls else {"external"}
        ports, lines = {}, []
        while not wanted <= ports.keys():
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit("the server did not start:\n" + "".join(lines))
            lines.append(line)
            found = re.search(r"serving (.*) endpoints on \S+:(\d+)", line)
            if found:
                ports["api" if found[1].startswith("api") else "external"] = int(found[2])
        self.port, self.api = ports["external"], ports.get("api")
        # A full pipe would stop the server at its next line of log.
        self.drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.drain.start()
        return self

    def __exit__(self, *outcome):
        super().__exit__(*outcome)
        self.drain.join()
        self.process.stderr.close()
        self.folder.cleanup()

    def _configuration(self) -> dict:
        config = json.loads((paths.BENCHES / "tidegate.json").read_text())
        if self.tls:
            config["http_server"].update({
                "tls": {"enabled": True},
                "tls_external": True,
                "http3": {"enabled": True},
                "development_certificate": {"enabled": True, "directory": self.folder.name},
                "internal_port": str(free_port()),
            })
            config["webtransport"] = {"enabled": True}
        return config


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")
