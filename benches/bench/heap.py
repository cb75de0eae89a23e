"""What a connection keeps on the heap, by the place in the source that allocated it.

heaptrack writes every allocation and release with its stack and a clock. Replaying that record up to two moments
gives the allocations alive at each; their difference, divided by the connections that came between, is what one
connection keeps, without the memory the server has anyway. A stack is named by its innermost frame in this
project; where the allocation was made by a library below it, the library's innermost frame is named too.
"""

import collections
import functools
import os
import pathlib
import re
import subprocess
import tomllib

from . import paths

PRELOAD = pathlib.Path("/usr/lib/heaptrack/libheaptrack_preload.so")
INTERPRET = pathlib.Path("/usr/lib/heaptrack/libexec/heaptrack_interpret")

Frame = collections.namedtuple("Frame", "function file line")
Site = collections.namedtuple("Site", "own library")
Kept = collections.namedtuple("Kept", "bytes count")

# Frames between an allocation and the code that wanted it.
PLUMBING = re.compile(r"(^|/)(library|rustlib)/|/hashbrown-|/allocator-api2-|^$")


def environment(record: pathlib.Path) -> dict:
    """Makes a process that is started with it write `record`."""
    return {"LD_PRELOAD": str(PRELOAD), "DUMP_HEAPTRACK_OUTPUT": str(record)}


def alive(record: pathlib.Path, moments: list[float], root: pathlib.Path) -> list[dict[Site, Kept]]:
    """What was alive at each of the moments (seconds after the start, ascending), by site. `root` has the sources
    of the binary."""
    with record.open("rb") as raw, subprocess.Popen(
            [INTERPRET], stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as interpreted:
        replay = Replay(root)
        answers = []
        for line in interpreted.stdout:
            if line[0] == "c" and len(answers) < len(moments) and int(line[2:], 16) / 1000 > moments[len(answers)]:
                answers.append(replay.alive())
            replay.line(line)
    while len(answers) < len(moments):
        answers.append(replay.alive())
    return answers


def difference(before: dict[Site, Kept], after: dict[Site, Kept], connections: int) -> list[tuple[Site, Kept]]:
    """Growth per connection, the largest first."""
    none = Kept(0, 0)
    grown = []
    for site in before.keys() | after.keys():
        old, new = before.get(site, none), after.get(site, none)
        kept = Kept((new.bytes - old.bytes) / connections, (new.count - old.count) / connections)
        if kept.bytes or kept.count:
            grown.append((site, kept))
    return sorted(grown, key=lambda pair: -pair[1].bytes)


class Replay:
    """The record's tables (all numbers are hexadecimal, all indices count from 1 except those of allocations) and
    how many allocations of each kind are alive."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self.strings = [""]
        self.addresses = [[]]
        self.traces = [(0, 0)]
        self.kinds = []
        self.live = []
        self.sites = {}

    def line(self, line: str) -> None:
        match line[0]:
            case "+":
                self.live[int(line[2:], 16)] += 1
            case "-":
                self.live[int(line[2:], 16)] -= 1
            case "s":
                self.strings.append(line.rstrip("\n").split(" ", 2)[2])
            case "i":
                # Address and module; then function, file and line, from the innermost inlined frame outwards.
                numbers = [int(number, 16) for number in line[2:].split()][2:]
                if len(numbers) == 1:
                    numbers += [0, 0]
                triples = zip(numbers[0::3], numbers[1::3], numbers[2::3])
                self.addresses.append(
                    [Frame(self.strings[name], self.strings[file], number) for name, file, number in triples])
            case "t":
                address, parent = line[2:].split()
                self.traces.append((int(address, 16), int(parent, 16)))
            case "a":
                size, trace = line[2:].split()
                self.kinds.append((int(size, 16), int(trace, 16)))
                self.live.append(0)

    def alive(self) -> dict[Site, Kept]:
        answer = {}
        for (size, trace), count in zip(self.kinds, self.live):
            if count:
                site = self.site(trace)
                old = answer.get(site, Kept(0, 0))
                answer[site] = Kept(old.bytes + size * count, old.count + count)
        return answer

    def site(self, trace: int) -> Site:
        if trace not in self.sites:
            self.sites[trace] = self._site(trace)
        return self.sites[trace]

    def _site(self, trace: int) -> Site:
        library = ""
        while trace:
            address, trace = self.traces[trace]
            for frame in self.addresses[address]:
                own = own_file(frame.file, self.root)
                if own:
                    return Site(f"{own}:{frame.line} {name(frame.function)}", library)
                if not library and not PLUMBING.search(frame.file):
                    library = f"{library_file(frame.file)} {name(frame.function)}"
        return Site("", library)


@functools.cache
def own_file(file: str, root: pathlib.Path) -> str | None:
    """The path inside the project, if it is a file of this project. Some libraries are recorded with relative
    paths like ours, so the file must exist."""
    if "/registry/" in file or "/rustc/" in file or "/rustlib/" in file:
        return None
    found = re.search(r"(?:^|/)((?:transports/|certs/)?src/.+\.rs)$", file)
    return found[1] if found and (root / found[1]).is_file() else None


@functools.cache
def library_file(file: str) -> str:
    """`crate-version/src/file.rs` for a crate of the registry, also if it is recorded with a relative path and only
    one crate has such a file; the path as it is for anything else."""
    found = re.search(r"/registry/src/[^/]+/(.+)$", file)
    if found:
        return found[1]
    if file.startswith("/"):
        return "/".join(file.split("/")[-2:])
    crates = [crate.name for crate in locked_crates() if (crate / file).is_file()]
    return "|".join(crates[:3]) + "/" + file if crates else file


@functools.cache
def locked_crates() -> list[pathlib.Path]:
    """Where the sources of all dependencies are."""
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    packages = tomllib.loads((paths.ROOT / "Cargo.lock").read_text())["package"]
    return [
        folder
        for package in packages
        for folder in home.glob(f"registry/src/*/{package['name']}-{package['version']}")
    ]


def by_crate(grown: list[tuple[Site, Kept]]) -> list[tuple[str, Kept]]:
    """The same, by the crate that made the allocation."""
    crates = collections.defaultdict(lambda: Kept(0, 0))
    for site, kept in grown:
        crate = site.library.split("/")[0].split(" ")[0] if site.library else "this project"
        crates[crate] = Kept(*map(sum, zip(crates[crate], kept)))
    return sorted(crates.items(), key=lambda pair: -pair[1].bytes)


def name(function: str) -> str:
    """Without generic arguments and what the compiler adds to async functions and closures."""
    while "<" in function[1:]:
        shorter = re.sub(r"<[^<>]*>", "", function)
        if shorter == function:
            break
        function = shorter
    return re.sub(r"\{(async_fn|async_block|closure|impl)(_env)?#\d+\}", r"{\1}", function)
