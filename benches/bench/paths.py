"""Where things are, and how they are built."""

import os
import pathlib
import resource
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCHES = ROOT / "benches"
YARDSTICKS = ROOT.parent / "shared" / "tools"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TOOLS = TARGET / "tools" / "release"
OUT = TARGET / "bench"
SERVER = TARGET / "release" / "tidegate"

FILES = 20_000


def cargo(*arguments: str, folder: pathlib.Path = ROOT, target: pathlib.Path = TARGET) -> None:
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", *arguments], cwd=folder, env=environment, check=True)


def build_server() -> None:
    cargo("build", "--release", "--bin", "tidegate")


def build_tools() -> None:
    """Load generators and yardsticks."""
    for tool in ("loadgen", "loadgen-wt"):
        cargo("build", "--release", folder=YARDSTICKS / tool, target=TOOLS.parent)
    cargo("build", "--release", "--locked", folder=BENCHES / "tools", target=TOOLS.parent)


def build() -> None:
    """All that is measured or measures."""
    build_server()
    cargo("build", "--release", "--package", "tidegate-kernels")
    build_tools()


def raise_file_limit() -> None:
    """For this process and all that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
