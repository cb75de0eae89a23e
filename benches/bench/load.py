"""Running a load generator, and reading what a process uses."""

import json
import os
import pathlib
import subprocess
import time

from . import paths
from .servers import Server

TIMEOUT = 300

# A process is at rest when its memory has stayed the same for this long, but for a few pages.
REST = 4
PAGES_KB = 128


def start(tool: str, arguments: list[str], server: Server) -> subprocess.Popen:
    command = [paths.TOOLS / tool, *arguments, *server.arguments()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def figures(process: subprocess.Popen) -> dict:
    """Waits for a load generator to end and answers the figures it printed."""
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{process.args} printed no figures (status {process.returncode})")
    return json.loads(lines[-1])


def memory_kb(pid: int) -> int:
    """Resident memory."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def cpu_seconds(pid: int) -> float:
    """User and system time so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory_at_rest(pid: int, patience: float = 45) -> int:
    """Waits until resident memory no longer changes, at most `patience` seconds, and answers it."""
    deadline = time.monotonic() + patience
    last, since = memory_kb(pid), time.monotonic()
    while time.monotonic() < min(deadline, since + REST):
        time.sleep(0.2)
        now = memory_kb(pid)
        if abs(now - last) > PAGES_KB:
            last, since = now, time.monotonic()
    return memory_kb(pid)
