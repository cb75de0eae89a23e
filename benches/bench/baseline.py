"""The committed baseline: what each figure was, and how much it varied when nothing had changed.

Of a few passes only the range is known. For a normal distribution the expected range of n numbers is a known multiple
of the standard deviation, so the range gives the deviation, and three deviations are what is tolerated. A figure fails
when it is worse than the baseline by more than that; one that is better by as much is named, as a reminder to commit
a new baseline.
"""

import json
import pathlib
import statistics

from .figures import Line, shown

DEVIATIONS = 3
# Expected range of n numbers in standard deviations.
RANGE = {2: 1.128, 3: 1.693, 4: 2.059, 5: 2.326, 6: 2.534, 7: 2.704, 8: 2.847, 9: 2.970, 10: 3.078}


def write(path: pathlib.Path, lines: list[Line]) -> None:
    """Figures of runs that were not made keep their baseline."""
    figures = read(path)
    for line in lines:
        if line.figure.guarded:
            numbers = line.judged
            figures[line.name] = {
                "of": "ratio" if line.ratios else "value",
                "baseline": round(statistics.median(numbers), 4),
                "noise": round(noise(numbers), 4),
            }
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")


def noise(numbers: list[float]) -> float:
    """Three standard deviations, as a share of the median."""
    median = statistics.median(numbers)
    if len(numbers) < 2 or not median:
        return 0.0
    deviation = (max(numbers) - min(numbers)) / RANGE[min(len(numbers), max(RANGE))]
    return DEVIATIONS * deviation / abs(median)


def read(path: pathlib.Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}


def compare(path: pathlib.Path, lines: list[Line]) -> tuple[list[str], list[str]]:
    """What is worse than the baseline by more than the noise, and what is better by more."""
    figures = read(path)
    worse, better = [], []
    for line in lines:
        entry = figures.get(line.name)
        if not entry or not line.figure.guarded or entry["of"] != ("ratio" if line.ratios else "value"):
            continue
        number, base = statistics.median(line.judged), entry["baseline"]
        tolerated = max(entry["noise"], line.figure.tolerance) * abs(base)
        change = number - base if line.figure.more else base - number
        text = f"{line.name}: {shown(number)}, baseline {shown(base)} ± {shown(tolerated)}"
        if change < -tolerated:
            worse.append(text)
        elif change > tolerated:
            better.append(text)
    return worse, better
