"""The kernels without sockets: what is counted by the program itself, and instructions counted by callgrind.

Instruction counts hardly depend on the machine's load, so they show a slow creep that no timing on a shared machine
can show. They do depend on compiler and C library: a new baseline belongs to a change of either.
"""

import json
import re
import subprocess

from . import paths

BINARY = paths.TARGET / "release" / "tidegate-kernels"
# Kernel, and what its count is divided by: 200 calls, to one subscriber or 1,000.
KERNELS = {"encode_json": 200, "encode_protobuf": 200, "fan_out": 200_000, "drain": 200_000}


def counts() -> dict:
    """Encodings, allocations, and the time of a delivery."""
    output = subprocess.run([BINARY], stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output)


def instructions() -> dict:
    """Instructions per publication or delivery, by kernel."""
    return {f"instructions_{kernel}": collect(kernel) / share for kernel, share in KERNELS.items()}


def collect(kernel: str) -> int:
    result = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
         "--toggle-collect=*kernels::kernel_*", BINARY, kernel],
        stderr=subprocess.PIPE, text=True)
    found = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode or not found or found[1] == "0":
        raise SystemExit(f"callgrind counted nothing for {kernel}:\n{result.stderr}")
    return int(found[1])
