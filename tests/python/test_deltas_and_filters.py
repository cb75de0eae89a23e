"""Deltas and tags filters by centrifuge-python, JSON and Protobuf, live and recovered."""

import asyncio
from typing import Any

import cent
from centrifuge import DeltaType, Filter


async def publish_documents(api, channel: str, first: int, count: int) -> None:
    for number in range(first, first + count):
        request = cent.PublishRequest(channel=channel, data=document(number))
        await asyncio.to_thread(api.publish, request)


def document(number: int) -> dict[str, Any]:
    """A payload that shares most with the next, with characters of several bytes that change within."""
    text = "Вода поднимается. " * 20 + chr(0x430 + number % 32) + chr(0x1F30A + number % 60)
    return {"n": number, "text": text, "gauges": [number % 3, number % 5, number % 7]}


async def test_deltas_live_and_recovered(connect, link, api, unique):
    alice = await connect("alice")
    channel = f"delta:{unique}"
    await alice.subscribe(channel, delta=DeltaType.FOSSIL)
    await publish_documents(api, channel, 1, 15)
    await alice.numbers(15)

    link.cut()
    await alice.journal.next("client connecting", nth=2)
    await publish_documents(api, channel, 16, 15)
    link.mend()

    again = await alice.journal.next("subscribed", nth=2)
    assert (again.was_recovering, again.recovered) == (True, True)
    await publish_documents(api, channel, 31, 5)
    publications = await alice.journal.first("publication", 35)
    received = [alice.unpack(context.pub.data) for context in publications]
    assert received == [document(number) for number in range(1, 36)]


async def test_deltas_begin_anew_where_recovery_fails(connect, link, api, unique):
    alice = await connect("alice")
    channel = f"brief:{unique}"
    await alice.subscribe(channel, delta=DeltaType.FOSSIL)
    await publish_documents(api, channel, 1, 3)
    await alice.numbers(3)

    link.cut()
    await alice.journal.next("client connecting", nth=2)
    await publish_documents(api, channel, 4, 30)
    link.mend()

    again = await alice.journal.next("subscribed", nth=2)
    assert (again.was_recovering, again.recovered) == (True, False)
    await publish_documents(api, channel, 34, 3)
    publications = await alice.journal.first("publication", 6)
    received = [alice.unpack(context.pub.data) for context in publications]
    assert received == [document(number) for number in (1, 2, 3, 34, 35, 36)]


async def test_a_filter_live_and_recovered(connect, link, api, unique):
    alice = await connect("alice")
    channel = f"tagged:{unique}"
    tags_filter = Filter.all(Filter.eq("kind", "level"), Filter.gte("cm", "420"))
    await alice.subscribe(channel, tags_filter=tags_filter)

    async def publish(first: int, count: int) -> None:
        for number in range(first, first + count):
            tags = {"kind": "level", "cm": "430.5" if number % 2 == 0 else "99"}
            request = cent.PublishRequest(channel=channel, data={"n": number}, tags=tags)
            await asyncio.to_thread(api.publish, request)

    await publish(1, 10)
    link.cut()
    await alice.journal.next("client connecting", nth=2)
    await publish(11, 10)
    link.mend()
    again = await alice.journal.next("subscribed", nth=2)
    assert (again.was_recovering, again.recovered) == (True, True)
    await publish(21, 10)
    assert await alice.numbers(15) == list(range(2, 31, 2))


async def test_a_filter_where_none_is_accepted(connect, unique):
    alice = await connect("alice")
    await alice.prepare(f"stream:{unique}", tags_filter=Filter.eq("kind", "level")).subscribe()
    assert (await alice.journal.next("unsubscribed")).code == 107
