"""A Redis of its own for nodes that are measured, and what it did."""

import subprocess

from .servers import Store

# What a node sends. Redis counts what its scripts do under the same names, so only these are commands for sure; without
# scripts, PUBLISH is one as well.
SENT = {"evalsha", "eval", "subscribe", "unsubscribe", "ssubscribe", "sunsubscribe"}


class Redis(Store):
    """`redis-server` without persistence."""

    NAME = "Redis"

    def command(self) -> list[str]:
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def options(self) -> dict:
        """What a node is told of it."""
        return {"engine": {"type": "redis", "redis": {"address": f"redis://127.0.0.1:{self.port}"}}}

    def reset(self) -> None:
        """What is spent and counted from here on is told."""
        self._ask("CONFIG", "RESETSTAT")
        self.before = self._cpu()

    def spent(self) -> float:
        """Seconds of CPU."""
        return self._cpu() - self.before

    def commands(self) -> int:
        """Commands that were sent, but for those that keep connections and the registry of nodes alive."""
        counts = {}
        for name, value in self._info("commandstats").items():
            counts[name.removeprefix("cmdstat_")] = int(value.split(",")[0].removeprefix("calls="))
        sent = sum(count for name, count in counts.items() if name in SENT)
        return sent if counts.get("evalsha") else sent + counts.get("publish", 0)

    def memory(self) -> int:
        """Bytes of what it keeps."""
        return int(self._info("memory")["used_memory"])

    def channels(self) -> int:
        """That somebody is subscribed to."""
        return int(self._info("stats")["pubsub_channels"])

    def end_subscriptions(self) -> None:
        """Closes the connections of all who are subscribed to something."""
        self._ask("CLIENT", "KILL", "TYPE", "pubsub")

    def _cpu(self) -> float:
        info = self._info("cpu")
        return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])

    def _info(self, section: str) -> dict[str, str]:
        lines = self._ask("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def _ask(self, *words: str) -> str:
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
