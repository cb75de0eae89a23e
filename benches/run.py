#!/usr/bin/env python3
"""The load runs behind every figure of benches/RESULTS.md: benches/run.py [--runs N] [--write-baseline] [WORD...]

Builds the release server, the load generators and the yardsticks, makes each run against the floor and against a
freshly started Tidegate in one go, and prints one table. Words select runs by a part of their names. Loopback only;
ends by itself; ends only processes it started.

The exit code is 1 if something was lost, or if a figure is worse than benches/baseline.json by more than the noise
that was measured with it. `--runs 3 --write-baseline` measures both anew, puts the table into RESULTS.md and draws the
plots; make it on a quiet machine. With words it renews the baseline of those runs only. Single figures of shared machines mean little: compare ratios of one run.
"""

import argparse
import json
import shutil
import sys

from bench import baseline, figures, paths, plot, results
from bench.figures import Line
from bench.runs import RUNS, Incomplete, Run

BASELINE = paths.BENCHES / "baseline.json"
MARKS = ("<!-- table of benches/run.py -->\n", "<!-- end of table -->")


def main() -> int:
    options = arguments()
    if not shutil.which("valgrind"):
        raise SystemExit("instructions are counted by valgrind, which is not installed")
    paths.raise_file_limit()
    paths.OUT.mkdir(parents=True, exist_ok=True)
    if not options.no_build:
        paths.build()
    runs = [run for run in RUNS if not options.words or any(word in run.name for word in options.words)]
    lines = {(run.name, figure): Line(run.name, figure) for run in runs for figure in run.figures}
    failed = []
    for number in range(options.runs):
        for run in runs:
            print(f"pass {number + 1} of {options.runs}: {run.name}", file=sys.stderr, flush=True)
            try:
                add(lines, run)
            except Incomplete as error:
                failed.append(f"{run.name}: incomplete: {error}")
    done = [line for line in lines.values() if line.values]
    plot.draw(done, paths.BENCHES if options.write_baseline else paths.OUT)
    text = figures.table(done)
    print(text)
    if options.write_baseline and not failed:
        baseline.write(BASELINE, done)
        if not options.words:
            results.write(MARKS, text)
    worse, better = baseline.compare(BASELINE, done)
    report("better than the baseline, which could be renewed", better)
    report("WORSE than the baseline", worse)
    report("FAILED", failed)
    return 1 if worse or failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only runs with one of these in their names")
    parser.add_argument("--runs", type=int, default=1, help="passes over all runs")
    parser.add_argument("--write-baseline", action="store_true", help="renew baseline.json, RESULTS.md and the plots")
    parser.add_argument("--no-build", action="store_true", help="everything is built")
    options = parser.parse_args()
    if options.write_baseline and options.runs < 2:
        parser.error("a baseline needs --runs of at least 2: one pass knows no noise")
    return options


def add(lines: dict, run: Run) -> None:
    floor, server = run.measure()
    name = "".join(each if each.isalnum() else "-" for each in run.name.lower())
    (paths.OUT / f"{name}.json").write_text(json.dumps({"floor": floor, "tidegate": server}, indent=2) + "\n")
    for figure in run.figures:
        line = lines[run.name, figure]
        line.values.append(server[figure.key])
        if figure.key in floor:
            line.floors.append(floor[figure.key])


def report(title: str, texts: list[str]) -> None:
    if texts:
        print(f"\n{title}:\n" + "\n".join(f"  {text}" for text in texts))


if __name__ == "__main__":
    sys.exit(main())
