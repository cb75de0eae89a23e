"""Figures: what is measured, what is aimed at, and the table of both.

A figure that the floor has too is judged by its ratio to it, which holds from machine to machine; any other by its
value. Several passes over the runs give several numbers for each figure: the median is shown and judged, and the
range is shown beside it.
"""

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One line of the table. `key` is its name in the output of a load generator."""

    key: str
    title: str
    more: bool = False
    """Whether more is better."""
    aim: float | None = None
    """For the value."""
    ratio_aim: float | None = None
    """For the ratio to the floor."""
    compared: bool = True
    """Whether a ratio to the floor means anything."""
    guarded: bool = True
    """Whether a figure worse than the baseline fails."""
    tolerance: float = 0.03
    """The least deviation from the baseline that counts as worse, however little the figure varied."""


@dataclass
class Line:
    """A figure of one run, with its numbers from every pass."""

    run: str
    figure: Figure
    floors: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.run}: {self.figure.title}"

    @property
    def ratios(self) -> list[float]:
        if not self.figure.compared or len(self.floors) < len(self.values) or not all(self.floors):
            return []
        return [value / floor for value, floor in zip(self.values, self.floors)]

    @property
    def judged(self) -> list[float]:
        """What holds from machine to machine: ratios if there are any."""
        return self.ratios or self.values

    def met(self) -> bool | None:
        """Whether the aims are met; None without one."""
        checks = []
        if self.figure.aim is not None:
            checks.append(self._reached(self.values, self.figure.aim))
        if self.figure.ratio_aim is not None and self.ratios:
            checks.append(self._reached(self.ratios, self.figure.ratio_aim))
        return all(checks) if checks else None

    def _reached(self, numbers: list[float], aim: float) -> bool:
        number = statistics.median(numbers)
        return number >= aim if self.figure.more else number <= aim

    def aims(self) -> str:
        sign = "≥" if self.figure.more else "≤"
        aims = []
        if self.figure.aim is not None:
            aims.append(f"{sign} {shown(self.figure.aim)}")
        if self.figure.ratio_aim is not None:
            aims.append(f"{sign} {self.figure.ratio_aim:g} × floor")
        return ", ".join(aims) or "–"


def table(lines: list[Line]) -> str:
    rows = ["| run | figure | floor | Tidegate | ratio | aim | met |", "|---|---|---:|---:|---:|---|---|"]
    for line in lines:
        met = {None: "–", True: "yes", False: "**no**"}[line.met()]
        cells = [line.run, line.figure.title, spread(line.floors), spread(line.values), spread(line.ratios),
                 line.aims(), met]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def spread(numbers: list[float]) -> str:
    """The median, and the range if there is one."""
    if not numbers:
        return "–"
    median, least, most = (shown(number) for number in (statistics.median(numbers), min(numbers), max(numbers)))
    return median if least == most else f"{median} ({least}–{most})"


def shown(number: float) -> str:
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"
