"""The two plots of growth, as SVG without a library. Colours follow the reader's light or dark scheme."""

import math
import pathlib
import re
import statistics
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from .figures import Line, shown

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 108, 112, 48, 56

STYLE = """
  svg { color: #1f2328; font: 13px system-ui, sans-serif }
  text { fill: currentColor }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d1d9e0 }
  .line { fill: none; stroke-width: 2.5 }
  .server { stroke: #0969da; fill: #0969da }
  .floor { stroke: #9a6700; fill: #9a6700 }
  .aim { stroke: #cf222e; fill: #cf222e; stroke-dasharray: 6 4 }
  text.server, text.floor, text.aim { stroke: none }
  path { fill: none !important }
  @media (prefers-color-scheme: dark) {
    svg { color: #f0f6fc }
    .grid { stroke: #3d444d }
    .server { stroke: #4493f8; fill: #4493f8 }
    .floor { stroke: #d29922; fill: #d29922 }
    .aim { stroke: #f85149; fill: #f85149 }
  }"""

# Times the floor, at these numbers of subscribers.
AIMS = {1_000: 6, 10_000: 3}

Point = tuple[float, float]


@dataclass
class Series:
    name: str
    kind: str
    """`server`, `floor` or `aim`; an aim has a line and no marks."""
    points: list[Point]
    labels: list[str] = field(default_factory=list)
    """For each point, to stand above it."""


@dataclass
class Axis:
    label: str
    ticks: list[float]
    low: float
    high: float
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = (math.log(each) for each in (low, high, at))
        return (at - low) / (high - low)


def draw(lines: list[Line], folder: pathlib.Path) -> None:
    """Writes growth-fan-out.svg and growth-memory.svg, if their run was made."""
    fan_out = points(lines, "delivered_per_cpu_s_", lambda line: line.values)
    if fan_out:
        floor = points(lines, "delivered_per_cpu_s_", lambda line: line.floors)
        series = [
            Series("Tidegate", "server", fan_out),
            Series("floor", "floor", floor),
            Series("aim", "aim", [(at, AIMS[at] * value) for at, value in floor if at in AIMS]),
        ]
        # Axes: subscribers by powers, because the range is; deliveries from zero, so that heights compare.
        chart(folder / "growth-fan-out.svg", "Fan-out, unpaced: deliveries per second of CPU time", series,
              Axis("subscribers of the channel", [10, 30, 100, 300, 1_000, 3_000, 10_000], 9, 16_500, True),
              upwards("deliveries per CPU second", series))
    memory = points(lines, "kb_per_conn_", lambda line: line.values)
    if memory:
        labels = [f"{shown(each)} KB" for _, each in memory]
        series = [
            Series("Tidegate", "server", [(count, count * each / 1024) for count, each in memory], labels),
            Series("4 KB each", "aim", [(0, 0), (15_000, 15_000 * 4 / 1024)]),
        ]
        chart(folder / "growth-memory.svg", "Idle WebSockets with one subscription: process memory, in all and each", series,
              Axis("connections", [0, 3_000, 7_000, 11_000, 15_000], 0, 15_800), upwards("MB", series))


def points(lines: list[Line], prefix: str, numbers) -> list[Point]:
    found = []
    for line in lines:
        match = re.fullmatch(re.escape(prefix) + r"(\d+)", line.figure.key)
        if match and numbers(line):
            found.append((int(match[1]), statistics.median(numbers(line))))
    return sorted(found)


def upwards(label: str, series: list[Series]) -> Axis:
    """From zero to a little above the highest point, in about five round steps."""
    highest = max(y for each in series for _, y in each.points) * 1.08
    rough = highest / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return Axis(label, [step * number for number in range(int(highest / step) + 1)], 0, highest)


def chart(path: pathlib.Path, title: str, series: list[Series], across: Axis, up: Axis) -> None:
    def x(value: float) -> float:
        return LEFT + across.share(value) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - up.share(value) * (HEIGHT - TOP - BOTTOM)

    parts = [text(LEFT, 26, title, "title")]
    for tick in up.ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(text(LEFT - 8, y(tick) + 4, shown(tick), anchor="end"))
    for tick in across.ticks:
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(text(x(tick), HEIGHT - BOTTOM + 20, shown(tick), anchor="middle"))
    middle, centre = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    parts.append(text(middle, HEIGHT - 14, across.label, anchor="middle"))
    parts.append(text(18, centre, up.label, anchor="middle", more=f' transform="rotate(-90 18 {centre})"'))
    for each in series:
        path_data = " L".join(f"{x(across_):.1f} {y(up_):.1f}" for across_, up_ in each.points)
        parts.append(f'<path class="line {each.kind}" d="M{path_data}"/>')
        if each.kind != "aim":
            parts += [f'<circle class="{each.kind}" cx="{x(a):.1f}" cy="{y(u):.1f}" r="3.5"/>' for a, u in each.points]
        parts += [text(x(a) - 6, y(u) - 8, label, anchor="end") for (a, u), label in zip(each.points, each.labels)]
        last = each.points[-1]
        parts.append(text(x(last[0]) + 10, y(last[1]) + 4, each.name, each.kind))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{STYLE}\n</style>\n' + "\n".join(parts) + "\n</svg>\n")


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start", more: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(content)}</text>'
