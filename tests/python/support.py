"""Tokens, a network that can be cut, and a client whose events can be waited for."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from centrifuge import Client, ClientEventHandler, SubscriptionEventHandler

from tidegate_server import TOKEN_SECRET

DEADLINE_SECONDS = 20.0

# The life of tokens that a test sees expire: full seconds are counted, and a busy machine may need one.
BRIEF_SECONDS = 3


def token(user: str, seconds: float = 3600, **claims: Any) -> str:
    """A JWT for the user that lives so many seconds."""
    header = {"alg": "HS256", "typ": "JWT"}
    payload = {"sub": user, "exp": int(time.time() + seconds), **claims}
    content = b".".join(_encode(json.dumps(part).encode()) for part in (header, payload))
    signature = hmac.new(TOKEN_SECRET.encode(), content, hashlib.sha256).digest()
    return (content + b"." + _encode(signature)).decode()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Journal:
    """What happened to one client, in order."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._entries: list[tuple[str, Any]] = []
        self._news = asyncio.Condition()

    async def record(self, kind: str, context: Any) -> None:
        async with self._news:
            self._entries.append((kind, context))
            self._news.notify_all()

    def all(self, kind: str) -> list[Any]:
        return [context for each, context in self._entries if each == kind]

    async def next(self, kind: str, nth: int = 1) -> Any:
        """Waits for the entry number `nth`, from 1, of a kind."""
        return (await self.first(kind, nth))[nth - 1]

    async def first(self, kind: str, count: int) -> list[Any]:
        """Waits until there are `count` entries of a kind, and returns all of them."""
        await self._until(lambda: len(self.all(kind)) >= count, f"{kind} number {count}")
        return self.all(kind)

    async def _until(self, met: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._news:
                await self._news.wait_for(met)
        except TimeoutError:
            last = "; ".join(f"{kind}: {context}"[:200] for kind, context in self._entries[-8:])
            message = f"{self._owner}: no {what} within {DEADLINE_SECONDS} s; last events: {last}"
            raise AssertionError(message) from None


class Person:
    """A client of the published SDK, with a journal, behind a link."""

    def __init__(self, name: str, address: str, use_protobuf: bool, **options: Any) -> None:
        self.name = name
        self.journal = Journal(name)
        self._use_protobuf = use_protobuf
        self.client = Client(
            address,
            events=_journaling(ClientEventHandler, self.journal, prefix="client ")(),
            use_protobuf=use_protobuf,
            min_reconnect_delay=0.02,
            max_reconnect_delay=0.2,
            proxy=None,
            **options,
        )

    def pack(self, value: Any) -> Any:
        """A payload for the wire: over Protobuf it is bytes, and the tests keep JSON text in them."""
        return json.dumps(value).encode() if self._use_protobuf else value

    def unpack(self, data: Any) -> Any:
        return json.loads(data) if isinstance(data, bytes) else data

    def prepare(self, channel: str, **options: Any) -> Any:
        events = _journaling(SubscriptionEventHandler, self.journal)()
        return self.client.new_subscription(channel, events=events, **options)

    async def subscribe(self, channel: str, **options: Any) -> Any:
        subscription = self.prepare(channel, **options)
        await subscription.subscribe()
        await subscription.ready(DEADLINE_SECONDS)
        return subscription

    async def numbers(self, count: int) -> list[int]:
        """The `n` of the publications, as soon as there are so many."""
        publications = await self.journal.first("publication", count)
        return [self.unpack(context.pub.data)["n"] for context in publications]


def _journaling(handler: type, journal: Journal, prefix: str = "") -> type:
    """A handler class whose every `on_…` method writes into the journal."""

    def method(kind: str) -> Callable[..., Any]:
        async def on_event(_self: Any, context: Any) -> None:
            await journal.record(kind, context)

        return on_event

    names = [name for name in dir(handler) if name.startswith("on_")]
    methods = {name: method(prefix + name.removeprefix("on_")) for name in names}
    return type(f"Journaling{handler.__name__}", (handler,), methods)


class Link:
    """A TCP relay to the server that can be cut and mended."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._pipes: set[asyncio.Task[None]] = set()
        self._down = False

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        self._down = True
        for pipe in self._pipes:
            pipe.cancel()

    def mend(self) -> None:
        self._down = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        both = (self._pipe(reader, far_writer), self._pipe(far_reader, writer))
        pipes = [asyncio.create_task(pipe) for pipe in both]
        self._pipes.update(pipes)
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for pipe in pipes:
            pipe.cancel()
        self._pipes.difference_update(pipes)
        writer.transport.abort()
        far_writer.transport.abort()

    @staticmethod
    async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
