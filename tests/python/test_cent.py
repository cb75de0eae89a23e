"""cent, the API client of backends, calls every method that the HTTP API has."""

import base64
import time

import cent
import pytest
import requests

from tidegate_server import API_KEY


@pytest.fixture
def protocol() -> str:
    """Of the clients that the API acts upon; here one will do."""
    return "json"


def test_publish(api, unique):
    channel = f"stream:publish-{unique}"
    first = api.publish(cent.PublishRequest(channel=channel, data={"n": 1}, tags={"kind": "test"}))
    second = api.publish(cent.PublishRequest(channel=channel, data={"n": 2}, idempotency_key="key"))
    repeat = api.publish(cent.PublishRequest(channel=channel, data={"n": 3}, idempotency_key="key"))
    assert (first.offset, second.offset, repeat.offset) == (1, 2, 2)
    assert first.epoch == second.epoch == repeat.epoch != ""


def test_publish_base64_and_without_history(api, unique):
    channel = f"stream:base64-{unique}"
    data = base64.b64encode(b'{"n":1}').decode()
    api.publish(cent.PublishRequest(channel=channel, data=None, b64data=data))
    skipped = api.publish(cent.PublishRequest(channel=channel, data={"n": 2}, skip_history=True))
    assert (skipped.offset, skipped.epoch) == (0, "")
    history = api.history(cent.HistoryRequest(channel=channel, limit=10))
    assert [publication.data for publication in history.publications] == [{"n": 1}]


def test_broadcast(api, unique):
    channels = [f"stream:broadcast-{unique}", f"nowhere:{unique}", ""]
    responses = api.broadcast(cent.BroadcastRequest(channels=channels, data={"n": 1})).responses
    assert responses[0].result.offset == 1
    assert [response.error.code for response in responses[1:]] == [102, 107]


async def test_subscribe_and_unsubscribe(api, connect, unique):
    alice = await connect("alice")
    channel = f"stream:subscribe-{unique}"
    api.subscribe(cent.SubscribeRequest(user=alice.name, channel=channel, data={"hello": "there"}))
    subscribed = await alice.journal.next("client subscribed")
    assert (subscribed.channel, subscribed.data) == (channel, {"hello": "there"})
    api.unsubscribe(cent.UnsubscribeRequest(user=alice.name, channel=channel))
    assert (await alice.journal.next("client unsubscribed")).channel == channel


async def test_disconnect(api, connect):
    alice = await connect("alice")
    disconnect = cent.Disconnect(code=4501, reason="bye")
    api.disconnect(cent.DisconnectRequest(user=alice.name, disconnect=disconnect))
    disconnected = await alice.journal.next("client disconnected")
    assert (disconnected.code, disconnected.reason) == (4501, "bye")


async def test_disconnect_spares_the_whitelist(api, connect):
    first, second = await connect("alice"), await connect("alice")
    kept = (await second.journal.next("client connected")).client
    api.disconnect(cent.DisconnectRequest(user=first.name, whitelist=[kept]))
    await first.journal.next("client disconnected")
    await second.client.rpc("ping", {})


async def test_refresh(api, connect):
    alice = await connect("alice")
    api.refresh(cent.RefreshRequest(user=alice.name, expire_at=int(time.time()) + 3600))
    await alice.client.rpc("ping", {})
    api.refresh(cent.RefreshRequest(user=alice.name, expired=True))
    again = await alice.journal.next("client connecting", nth=2)
    assert (again.code, again.reason) == (3005, "connection expired")


async def test_presence(api, connect, unique):
    alice = await connect("alice", claims={"info": {"name": "Alice"}})
    channel = f"room:presence-{unique}"
    await alice.subscribe(channel)
    [(client, info)] = api.presence(cent.PresenceRequest(channel=channel)).presence.items()
    connected = await alice.journal.next("client connected")
    assert (client, info.client, info.user) == (connected.client, connected.client, alice.name)
    assert info.conn_info == {"name": "Alice"}
    stats = api.presence_stats(cent.PresenceStatsRequest(channel=channel))
    assert (stats.num_clients, stats.num_users) == (1, 1)


def test_history_and_its_removal(api, unique):
    channel = f"stream:history-{unique}"
    for number in range(1, 11):
        api.publish(cent.PublishRequest(channel=channel, data={"n": number}, tags={"n": str(number)}))
    page = api.history(cent.HistoryRequest(channel=channel, limit=3))
    assert [publication.offset for publication in page.publications] == [1, 2, 3]
    assert page.publications[0].tags == {"n": "1"}
    since = cent.StreamPosition(offset=8, epoch=page.epoch)
    rest = api.history(cent.HistoryRequest(channel=channel, limit=-1, since=since))
    assert [publication.data["n"] for publication in rest.publications] == [9, 10]
    newest = api.history(cent.HistoryRequest(channel=channel, limit=2, reverse=True))
    assert [publication.offset for publication in newest.publications] == [10, 9]

    api.history_remove(cent.HistoryRemoveRequest(channel=channel))
    after = api.history(cent.HistoryRequest(channel=channel, limit=-1))
    assert (after.publications, after.offset, after.epoch) == ([], 10, page.epoch)


async def test_channels(api, connect, unique):
    alice, bob = await connect("alice"), await connect("bob")
    one, two = f"plain:{unique}-one", f"plain:{unique}-two"
    await alice.subscribe(one)
    await bob.subscribe(one)
    await bob.subscribe(two)
    channels = api.channels(cent.ChannelsRequest(pattern=f"plain:{unique}-*")).channels
    assert {name: info.num_clients for name, info in channels.items()} == {one: 2, two: 1}


async def test_info(api, connect):
    await connect("alice")
    [node] = api.info(cent.InfoRequest()).nodes
    assert node.uid != "" and node.name != ""
    assert node.version.startswith("0.")
    assert node.num_clients >= 1


def test_batch(api, unique):
    channel = f"stream:batch-{unique}"
    requests_of_batch = [
        cent.PublishRequest(channel=channel, data={"n": 1}),
        cent.PublishRequest(channel=channel, data={"n": 2}),
        cent.HistoryRequest(channel=channel, limit=-1),
        cent.PresenceStatsRequest(channel=f"room:batch-{unique}"),
        cent.ChannelsRequest(),
        cent.InfoRequest(),
    ]
    replies = api.batch(cent.BatchRequest(requests=requests_of_batch)).replies
    assert [reply.offset for reply in replies[:2]] == [1, 2]
    assert [publication.data["n"] for publication in replies[2].publications] == [1, 2]
    assert replies[3].num_clients == 0
    assert len(replies[5].nodes) == 1


def test_parallel_batch(api, unique):
    channel = f"stream:parallel-{unique}"
    commands = [cent.PublishRequest(channel=channel, data={"n": number}) for number in range(50)]
    replies = api.batch(cent.BatchRequest(requests=commands, parallel=True)).replies
    assert sorted(reply.offset for reply in replies) == list(range(1, 51))


def test_a_wrong_key_is_refused(server):
    with pytest.raises(cent.CentUnauthorizedError):
        cent.Client(server.api_url, "wrong").info(cent.InfoRequest())


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"X-API-Key": API_KEY}, ""),
        ({"Authorization": f"apikey {API_KEY}"}, ""),
        ({}, f"?api_key={API_KEY}"),
        ({"X-API-Key": "wrong"}, f"?api_key={API_KEY}"),
    ],
)
def test_ways_to_give_the_key(server, headers, query):
    answer = requests.post(f"{server.api_url}/info{query}", headers=headers, json={}, timeout=10)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("request_of_test", "code"),
    [
        (cent.PublishRequest(channel="nowhere:x", data={}), 102),
        (cent.PublishRequest(channel="", data={}), 107),
        (cent.PresenceRequest(channel="plain:x"), 108),
        (cent.HistoryRequest(channel="plain:x", limit=1), 108),
        (cent.HistoryRequest(channel="stream:x", limit=1, since=cent.StreamPosition(offset=1, epoch="elsewhere")), 112),
    ],
)
def test_errors_are_in_the_body(api, request_of_test, code):
    method = getattr(api, request_of_test.api_method)
    with pytest.raises(cent.CentApiResponseError) as refusal:
        method(request_of_test)
    assert refusal.value.code == code


def test_errors_are_statuses_on_request(server):
    headers = {"X-API-Key": API_KEY, "X-Centrifugo-Error-Mode": "transport"}
    body = {"channel": "nowhere:x", "data": {}}
    answer = requests.post(f"{server.api_url}/publish", headers=headers, json=body, timeout=10)
    assert answer.status_code == 404
    assert answer.json() == {"code": 102, "message": "unknown channel"}
