"""A NATS of its own for nodes that are measured, and what it did."""

from . import load
from .servers import Store


class Nats(Store):
    """`nats-server`; `storage` is that of its JetStream, `None` for none."""

    NAME = "NATS"

    def __init__(self, storage: str | None = None):
        self.storage = storage

    def command(self) -> list[str]:
        kept = ["--jetstream", "--store_dir", self.folder.name] if self.storage else []
        return ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), *kept]

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
