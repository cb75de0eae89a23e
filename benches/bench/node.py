"""A node on an engine that others may share."""

from .servers import Tidegate


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

    def _configuration(self) -> dict:
        config = super()._configuration()
        config.update(self.engine.options())
        config["channel"]["without_namespace"].update(self.channel)
        return config
