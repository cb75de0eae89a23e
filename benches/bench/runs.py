"""The runs: what is started, which load it gets, and which figures come of it. One entry for each aim of the hot path.

A run is a function that answers the numbers of the floor (none if it has no floor) and of Tidegate, both measured in
one go, each on a freshly started server.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import kernels, load
from .figures import Figure
from .servers import Floor, Server, Tidegate, WebTransportFloor

Numbers = dict[str, float]

SUBSCRIBERS = [10, 30, 100, 300, 1_000, 3_000, 10_000, 15_000]
CONNECTIONS = [1_000, 3_000, 7_000, 11_000, 15_000]


@dataclass(frozen=True)
class Run:
    name: str
    measure: Callable[[], tuple[Numbers, Numbers]]
    figures: tuple[Figure, ...]


class Incomplete(Exception):
    """Something that had to arrive did not, or a client was turned away."""


def measure(server: Server, tool: str, arguments: list[str]) -> Numbers:
    with server:
        return loaded(server, tool, arguments)


def loaded(server: Server, tool: str, arguments: list[str]) -> Numbers:
    """Refuses figures of a run in which something was lost or somebody could not connect."""
    figures = load.figures(load.start(tool, arguments, server))
    wrong = [key for key in ("dead", "errors", "api_errors") if figures.get(key)]
    if "-n" in arguments and int(arguments[arguments.index("-n") + 1]) != figures.get("conns", figures.get("sessions")):
        wrong.append("conns")
    if "expected" in figures:
        figures["lost"] = figures["expected"] - figures["delivered"]
        wrong += ["delivered"] if figures["lost"] else []
    if wrong:
        raise Incomplete(f"{', '.join(wrong)} in {figures}")
    return figures


def websocket(*arguments: str, floor: bool = True) -> Callable[[], tuple[Numbers, Numbers]]:
    def both():
        yardstick = measure(Floor(), "loadgen", list(arguments)) if floor else {}
        return yardstick, measure(Tidegate(), "loadgen", list(arguments))

    return both


def webtransport(*arguments: str) -> Callable[[], tuple[Numbers, Numbers]]:
    def both():
        yardstick = measure(WebTransportFloor(), "loadgen-wt", list(arguments))
        return yardstick, measure(Tidegate(tls=True), "loadgen-wt", list(arguments))

    return both


def idle_and_gone() -> tuple[Numbers, Numbers]:
    """10,000 come, rest and leave; what the server still holds then, as a multiple of what it had before."""
    arguments = ["idle", "-n", "10000"]
    floor = measure(Floor(), "loadgen", arguments)
    with Tidegate() as server:
        figures = loaded(server, "loadgen", arguments)
        figures["kept"] = load.memory_at_rest(server.pid) / figures["rss_before_kb"]
    return floor, figures


def idle_tls() -> tuple[Numbers, Numbers]:
    return {}, measure(Tidegate(tls=True), "tls-idle", ["idle", "-n", "5000"])


def growth() -> tuple[Numbers, Numbers]:
    """The same work for more and more subscribers, and the memory of more and more connections."""
    floor, server = {}, {}
    for count in SUBSCRIBERS:
        # As many deliveries for all, but no more publications than the API can send in a few seconds.
        for numbers, measured, deliveries in ((floor, Floor(), 400_000), (server, Tidegate(), 3_000_000)):
            messages = min(deliveries // count, 30_000)
            arguments = ["fanout", "-n", str(count), "-m", str(messages), "--inflight", "8"]
            figures = measure(measured, "loadgen", arguments)
            numbers[f"delivered_per_cpu_s_{count}"] = figures["delivered_per_cpu_s"]
    for count in CONNECTIONS:
        figures = measure(Tidegate(), "loadgen", ["idle", "-n", str(count), "--settle", "2"])
        server[f"memory_kb_{count}"] = figures["rss_kb"] - figures["rss_before_kb"]
        server[f"kb_per_conn_{count}"] = figures["kb_per_conn"]
    return floor, server


def without_sockets() -> tuple[Numbers, Numbers]:
    return {}, {**kernels.counts(), **kernels.instructions()}


MEMORY = Figure("kb_per_conn", "KB per connection", compared=False, aim=4)
DELIVERIES = Figure("delivered_per_cpu_s", "deliveries per CPU s", more=True)
LOST = Figure("lost", "deliveries lost", compared=False, aim=0)
# Delays hang on whatever else the machine does: only a coarse change counts.
COARSE = 0.3
P50 = Figure("p50_ms", "p50 ms", tolerance=COARSE)
P99 = Figure("p99_ms", "p99 ms", tolerance=COARSE)
SLOWEST = Figure("max_ms", "slowest delivery, ms", guarded=False)


def deliveries(aim: float | None = None, ratio: float | None = None) -> Figure:
    return Figure(DELIVERIES.key, DELIVERIES.title, more=True, aim=aim, ratio_aim=ratio)


RUNS = [
    Run("idle 10,000", idle_and_gone, (
        MEMORY,
        Figure("open_per_cpu_s", "connections opened per CPU s", more=True, aim=20_000),
        Figure("kept", "memory after all have left, × that before", compared=False, aim=1.2, tolerance=0.1),
    )),
    Run("idle 5,000 over TLS", idle_tls, (
        Figure("kb_per_conn", "KB per connection", aim=16),
        Figure("open_per_cpu_s", "connections opened per CPU s", more=True),
    )),
    Run("idle 1,000 WebTransport", webtransport("idle", "-n", "1000"), (
        Figure("kb_per_session", "KB per session", aim=30),
        Figure("open_per_cpu_s", "sessions opened per CPU s", more=True),
    )),
    Run("fan-out to 1,000 at 50/s", websocket("fanout", "-n", "1000", "-m", "500", "--rate", "50"), (
        deliveries(ratio=0.9),
        Figure("p50_ms", "p50 ms", ratio_aim=1.2, tolerance=COARSE),
        Figure("p99_ms", "p99 ms", ratio_aim=1.2, tolerance=COARSE),
        LOST,
    )),
    Run("fan-out to 1,000 unpaced", websocket("fanout", "-n", "1000", "-m", "2000", "--inflight", "8"), (
        deliveries(ratio=6), P99, SLOWEST, LOST,
    )),
    Run("fan-out to 10,000 unpaced", websocket("fanout", "-n", "10000", "-m", "200"), (
        deliveries(ratio=3), P99, SLOWEST, LOST,
    )),
    Run("API publish, no subscribers", websocket("publish", "-m", "100000", "--inflight", "16"), (
        Figure("per_cpu_s", "requests per CPU s", more=True, ratio_aim=0.65),
    )),
    Run("pairs, 500 clients publish", websocket("pairs", "-n", "500", "-m", "300", floor=False), (
        deliveries(aim=600_000), P99, LOST,
    )),
    Run("fan-out to 500 WebTransport at 30/s", webtransport("fanout", "-n", "500", "-m", "300", "--rate", "30"), (
        deliveries(aim=75_000, ratio=0.8), P50,
        Figure("p99_ms", "p99 ms", aim=40, tolerance=COARSE),
        LOST,
    )),
    Run("idle 10,000 for 60 s", websocket("idle", "-n", "10000", "--settle", "60", floor=False), (
        Figure("idle_cpu_ms_per_s", "ms of CPU per second", aim=15),
    )),
    Run("growth", growth, (
        *(Figure(f"delivered_per_cpu_s_{count}", f"{count:,} subscribers: deliveries per CPU s", more=True)
          for count in SUBSCRIBERS),
        *(Figure(f"kb_per_conn_{count}", f"{count:,} connections: KB each") for count in CONNECTIONS),
    )),
    Run("without sockets", without_sockets, (
        Figure("encodings", "encodings per publication, two in use", aim=2, tolerance=0),
        Figure("allocations_per_delivery", "allocations per delivery beyond the queue's growth", aim=0, tolerance=0),
        Figure("allocations_with_queue", "allocations per delivery, 64 queued", tolerance=0),
        Figure("allocations_calm", "allocations per delivery, queue empty before", tolerance=0),
        Figure("allocations_per_publication", "allocations per publication", tolerance=0),
        Figure("ns_per_delivery", "ns per delivery, queued and taken", guarded=False),
        Figure("instructions_encode_json", "instructions to encode JSON, for one", tolerance=0.02),
        Figure("instructions_encode_protobuf", "instructions to encode Protobuf, for one", tolerance=0.02),
        Figure("instructions_fan_out", "instructions per delivery, to queue it", tolerance=0.02),
        Figure("instructions_drain", "instructions per delivery, to take it", tolerance=0.02),
    )),
]
