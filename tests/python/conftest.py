import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import cent
import pytest
import pytest_asyncio

from support import Link, Person, token
from tidegate_server import API_KEY, Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def api(server: Server) -> cent.Client:
    return cent.Client(server.api_url, API_KEY)


@pytest.fixture
def unique() -> str:
    """A suffix for users and channels, so that tests do not meet on the server that they share."""
    return uuid.uuid4().hex[:10]


@pytest_asyncio.fixture
async def link(server: Server) -> AsyncIterator[Link]:
    async with Link(server.port) as relay:
        yield relay


@pytest.fixture(params=["json", "protobuf"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest_asyncio.fixture
async def connect(link: Link, protocol: str, unique: str) -> AsyncIterator[Callable[..., Awaitable[Person]]]:
    """Opens clients over the link; `claims` go into the token, everything else to the SDK."""
    people: list[Person] = []

    async def open_client(name: str, claims: dict[str, Any] | None = None, wait: bool = True, **options: Any) -> Person:
        user = f"{name}-{unique}"
        options.setdefault("token", token(user, **(claims or {})))
        address = f"ws://127.0.0.1:{link.port}/connection/websocket"
        person = Person(user, address, protocol == "protobuf", **options)
        people.append(person)
        await person.client.connect()
        if wait:
            await person.journal.next("client connected")
        return person

    yield open_client
    await asyncio.gather(*(person.client.disconnect() for person in people))
