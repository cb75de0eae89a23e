"""centrifuge-python over WebSocket, JSON and Protobuf."""

import asyncio

import cent
import pytest
from centrifuge import CentrifugeError, StreamPosition

from support import BRIEF_SECONDS, token


def publish_numbers(api: cent.Client, channel: str, first: int, count: int) -> None:
    for number in range(first, first + count):
        api.publish(cent.PublishRequest(channel=channel, data={"n": number}))


async def test_connects_with_a_token(connect):
    alice = await connect("alice")
    connected = await alice.journal.next("client connected")
    assert len(connected.client) == 36
    assert connected.version.endswith("Tidegate")
    await alice.client.rpc("ping", alice.pack({}))


async def test_publications_from_the_api_come_in_order(connect, api, unique):
    alice = await connect("alice")
    channel = f"stream:order-{unique}"
    await alice.subscribe(channel)
    await asyncio.to_thread(publish_numbers, api, channel, 1, 500)
    assert await alice.numbers(500) == list(range(1, 501))
    offsets = [context.pub.offset for context in alice.journal.all("publication")]
    assert [int(offset) for offset in offsets] == list(range(1, 501))


async def test_one_publishes_and_two_receive(connect, unique):
    alice, bob = await connect("alice"), await connect("bob", claims={"info": {"name": "Bob"}})
    channel = f"stream:pair-{unique}"
    await alice.subscribe(channel)
    subscription = await bob.subscribe(channel)
    await subscription.publish(bob.pack({"n": 7, "text": "прилив 🌊"}))
    for person in (alice, bob):
        publication = (await person.journal.next("publication")).pub
        assert person.unpack(publication.data) == {"n": 7, "text": "прилив 🌊"}
        assert publication.info.user == bob.name
        assert person.unpack(publication.info.conn_info) == {"name": "Bob"}


async def test_a_burst_keeps_its_order(connect, unique):
    alice = await connect("alice")
    channel = f"stream:burst-{unique}"
    subscription = await alice.subscribe(channel)
    await asyncio.gather(*(subscription.publish(alice.pack({"n": number})) for number in range(1000)))
    assert await alice.numbers(1000) == list(range(1000))


async def test_presence_join_and_leave(connect, unique):
    alice, bob = await connect("alice"), await connect("bob")
    channel = f"room:presence-{unique}"
    room = await alice.subscribe(channel)
    assert (await alice.journal.next("join")).info.user == alice.name
    await bob.subscribe(channel)
    assert (await alice.journal.next("join", nth=2)).info.user == bob.name

    present = await room.presence()
    assert {info.user for info in present.clients.values()} == {alice.name, bob.name}
    stats = await room.presence_stats()
    assert (stats.num_clients, stats.num_users) == (2, 2)

    await bob.client.disconnect()
    assert (await alice.journal.next("leave")).info.user == bob.name


async def test_history_in_pages(connect, api, unique):
    alice = await connect("alice")
    channel = f"stream:history-{unique}"
    subscription = await alice.subscribe(channel)
    await asyncio.to_thread(publish_numbers, api, channel, 1, 25)
    newest = await subscription.history(limit=10, reverse=True)
    assert [int(publication.offset) for publication in newest.publications] == list(range(25, 15, -1))
    assert int(newest.offset) == 25


async def test_missed_publications_are_recovered(connect, link, api, unique):
    alice = await connect("alice")
    channel = f"stream:recovery-{unique}"
    await alice.subscribe(channel)
    await asyncio.to_thread(publish_numbers, api, channel, 1, 5)
    await alice.numbers(5)

    link.cut()
    await alice.journal.next("client connecting", nth=2)
    await asyncio.to_thread(publish_numbers, api, channel, 6, 100)
    link.mend()

    again = await alice.journal.next("subscribed", nth=2)
    assert (again.was_recovering, again.recovered) == (True, True)
    assert await alice.numbers(105) == list(range(1, 106))


async def test_a_gap_is_reported(connect, link, api, unique):
    alice = await connect("alice")
    channel = f"short:gap-{unique}"
    await alice.subscribe(channel)
    await asyncio.to_thread(publish_numbers, api, channel, 1, 1)
    await alice.numbers(1)

    link.cut()
    await alice.journal.next("client connecting", nth=2)
    await asyncio.to_thread(publish_numbers, api, channel, 2, 50)
    link.mend()

    again = await alice.journal.next("subscribed", nth=2)
    assert (again.was_recovering, again.recovered) == (True, False)


async def test_server_side_subscription(connect, api, unique):
    channel = f"stream:server-{unique}"
    alice = await connect("alice", claims={"channels": [channel]})
    subscribed = await alice.journal.next("client subscribed")
    assert (subscribed.channel, subscribed.recoverable) == (channel, True)
    api.publish(cent.PublishRequest(channel=channel, data={"n": 1}))
    publication = await alice.journal.next("client publication")
    assert alice.unpack(publication.pub.data) == {"n": 1}


@pytest.mark.parametrize(
    ("channel", "code"),
    [("nowhere:x", 102), ("closed:x", 103), ("$closed:x", 103), ("limited:x#somebody-else", 103), ("plain:канал", 107)],
)
async def test_denied_channels(connect, channel, code):
    alice = await connect("alice")
    await alice.prepare(channel).subscribe()
    unsubscribed = await alice.journal.next("unsubscribed")
    assert unsubscribed.code == code


async def test_private_and_user_limited_channels(connect, api, unique):
    alice = await connect("alice")
    private = f"$closed:private-{unique}"

    async def get_token(_context=None) -> str:
        return token(alice.name, channel=private)

    await alice.subscribe(private, get_token=get_token)
    await alice.subscribe(f"limited:dialog#{alice.name},bob")
    api.publish(cent.PublishRequest(channel=private, data={"n": 1}))
    assert await alice.numbers(1) == [1]


async def test_denied_publish(connect, unique):
    alice = await connect("alice")
    subscription = await alice.subscribe(f"plain:denied-{unique}")
    with pytest.raises(CentrifugeError) as refusal:
        await subscription.publish(alice.pack({"n": 1}))
    assert refusal.value.code == 103


async def test_a_token_is_refreshed(connect, unique):
    refreshed = asyncio.Queue()

    async def get_token() -> str:
        await refreshed.put(None)
        return token(f"alice-{unique}", seconds=BRIEF_SECONDS)

    alice = await connect("alice", token="", get_token=get_token)
    async with asyncio.timeout(20):
        for _ in range(3):
            await refreshed.get()
    await alice.client.rpc("ping", alice.pack({}))
    assert len(alice.journal.all("client connected")) == 1


async def test_an_invalid_token_is_refused(connect):
    alice = await connect("alice", wait=False, token="not.a.token")
    disconnected = await alice.journal.next("client disconnected")
    assert (disconnected.code, disconnected.reason) == (3500, "invalid token")


async def test_api_disconnect(connect, api):
    alice = await connect("alice")
    api.disconnect(cent.DisconnectRequest(user=alice.name))
    disconnected = await alice.journal.next("client disconnected")
    assert (disconnected.code, disconnected.reason) == (3503, "force disconnect")


async def test_large_messages(connect, api, unique):
    alice = await connect("alice")
    channel = f"stream:large-{unique}"
    subscription = await alice.subscribe(channel)
    text = "".join(chr(0x430 + number % 32) for number in range(20_000))
    await subscription.publish(alice.pack({"n": 1, "text": "x" * 40_960}))
    api.publish(cent.PublishRequest(channel=channel, data={"n": 2, "text": text}))
    assert await alice.numbers(2) == [1, 2]
    assert alice.unpack(alice.journal.all("publication")[1].pub.data)["text"] == text


async def test_the_state_is_loaded_where_recovery_fails(connect, link, api, unique):
    alice = await connect("alice")
    channel = f"short:state-{unique}"
    await asyncio.to_thread(publish_numbers, api, channel, 1, 5)

    async def get_state(_channel: str) -> StreamPosition:
        page = await asyncio.to_thread(api.history, cent.HistoryRequest(channel=channel))
        await alice.journal.record("state", page.offset)
        return StreamPosition(offset=page.offset, epoch=page.epoch)

    await alice.subscribe(channel, get_state=get_state)
    await asyncio.to_thread(publish_numbers, api, channel, 6, 2)
    await alice.numbers(2)

    link.cut()
    await alice.journal.next("client connecting", nth=2)
    await asyncio.to_thread(publish_numbers, api, channel, 8, 50)
    link.mend()
    assert await alice.journal.next("state", nth=2) == 57
    await alice.journal.next("subscribed", nth=2)
    await asyncio.to_thread(publish_numbers, api, channel, 58, 2)
    assert await alice.numbers(4) == [6, 7, 58, 59]


async def test_cache_mode_recovers_the_latest(connect, link, api, unique):
    alice = await connect("alice")
    channel = f"latest:{unique}"
    await alice.subscribe(channel)
    await asyncio.to_thread(publish_numbers, api, channel, 1, 1)
    await alice.numbers(1)
    link.cut()
    await alice.journal.next("client connecting", nth=2)
    await asyncio.to_thread(publish_numbers, api, channel, 2, 50)
    link.mend()
    again = await alice.journal.next("subscribed", nth=2)
    assert (again.was_recovering, again.recovered) == (True, True)
    assert await alice.numbers(2) == [1, 51]


async def test_a_subscription_token_is_refreshed(connect, unique):
    alice = await connect("alice")
    channel = f"$closed:{unique}"
    refreshed = asyncio.Queue()

    async def get_token(_context=None) -> str:
        await refreshed.put(None)
        return token(alice.name, seconds=BRIEF_SECONDS, channel=channel)

    await alice.subscribe(channel, get_token=get_token)
    async with asyncio.timeout(20):
        for _ in range(4):
            await refreshed.get()
    await alice.client.rpc("ping", alice.pack({}))
    assert len(alice.journal.all("subscribed")) == 1


async def test_an_unsubscribe_ends_publications(connect, api, unique):
    alice = await connect("alice")
    channel = f"plain:{unique}"
    subscription = await alice.subscribe(channel)
    await subscription.unsubscribe()
    await alice.client.rpc("ping", alice.pack({}))
    await asyncio.to_thread(publish_numbers, api, channel, 1, 1)
    await subscription.subscribe()
    await alice.journal.next("subscribed", nth=2)
    await asyncio.to_thread(publish_numbers, api, channel, 2, 1)
    assert await alice.numbers(1) == [2]
