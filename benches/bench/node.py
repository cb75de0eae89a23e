"""A node on an engine that others may share."""

import json
import time
import urllib.request

from .servers import PATIENCE, Tidegate


class Node(Tidegate):
    """A server on a `Redis` or `Nats`; `channel` are options of channels without a namespace."""

    is_started = False

    def __init__(self, engine, channel: dict):
        super().__init__()
        self.engine = engine
        self.channel = channel

    def __enter__(self):
        super().__enter__()
        self.is_started = True
        return self

    def wait_for_clients(self, count: int) -> None:
        """Waits until as many clients are connected."""
        deadline = time.monotonic() + PATIENCE
        while (connected := self._clients()) != count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{connected} clients are connected, not {count}")
            time.sleep(0.1)

    def _clients(self) -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/info", data=b"{}", headers={"X-API-Key": "bench"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)["result"]["nodes"][0].get("num_clients", 0)

    def _configuration(self) -> dict:
        config = super()._configuration()
        config.update(self.engine.options())
        config["channel"]["without_namespace"].update(self.channel)
        return config
