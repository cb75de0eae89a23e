"""A NATS of its own for nodes that are measured, and what it did."""

import subprocess
import tempfile

from . import load
from .servers import Server, free_port, wait_for_port


class Nats(Server):
    """`nats-server`; `storage` is that of its JetStream, `None` for none."""

    NAME = "NATS"

    def __init__(self, storage: str | None = None):
        self.storage = storage

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.process = subprocess.Popen(
            ["nats-server", "-a", "127.0.0.1", "-p", str(self.port),
             *(["--jetstream", "--store_dir", self.folder.name] if self.storage else [])],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)
        return self

    def __exit__(self, *outcome):
        super().__exit__(*outcome)
        self.folder.cleanup()

    def options(self) -> dict:
        """What a node is told of it."""
        nats = {"url": f"nats://127.0.0.1:{self.port}"}
        if self.storage:
            nats["jetstream"] = {"enabled": True, "storage": self.storage}
        return {"broker": {"enabled": True, "type": "nats", "nats": nats}}

    def reset(self) -> None:
        """What is spent from here on is told."""
        self.before = load.cpu_seconds(self.pid)

    def spent(self) -> float:
        """Seconds of CPU."""
        return load.cpu_seconds(self.pid) - self.before

    def commands(self) -> None:
        """There are none to count."""
