"""Starts the real binary on a free port, and stops it as an operator would."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from queue import Empty, Queue

TESTS = Path(__file__).resolve().parent.parent
BINARY = os.environ.get("TIDEGATE_BIN", str(TESTS.parent / "target" / "debug" / "tidegate"))
CONFIGURATION = json.loads((TESTS / "support" / "configuration.json").read_text())
API_KEY = CONFIGURATION["http_api"]["key"]
TOKEN_SECRET = CONFIGURATION["client"]["token"]["hmac_secret_key"]

_START_SECONDS = 30
_STOP_SECONDS = 20
_SERVING = re.compile(r" endpoints on .*:(\d+)")


class Server:
    """A running server; use as a context manager."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.port = 0
        self._ports: Queue[int] = Queue()
        self._directory = tempfile.TemporaryDirectory(prefix="tidegate-test-")

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def __enter__(self) -> "Server":
        directory = Path(self._directory.name)
        config = json.loads(json.dumps(CONFIGURATION))
        config["http_server"]["development_certificate"]["directory"] = str(directory / "certificate")
        (directory / "config.json").write_text(json.dumps(config))
        self._process = subprocess.Popen(
            # The port by a flag, because a zero in the file stands for the default port.
            [BINARY, "--config", str(directory / "config.json"), "--http_server.port", "0"],
            cwd=directory,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()
        try:
            self.port = self._ports.get(timeout=_START_SECONDS)
        except Empty:
            self._process.kill()
            self._reader.join()
            raise AssertionError(f"no port in the log within {_START_SECONDS} s:\n{self._tail()}") from None
        if self.port == 0:
            raise AssertionError(f"the server ended with status {self._process.wait()}:\n{self._tail()}")
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"the server did not stop:\n{self._tail()}") from None
        finally:
            self._reader.join()
            self._directory.cleanup()
        assert status == 0, f"the server ended with status {status}:\n{self._tail()}"
        panics = [line for line in self.log if "panicked at" in line]
        assert not panics, f"the server panicked: {panics[0]}"

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip())
                if found := _SERVING.search(line):
                    self._ports.put(int(found[1]))
        # The end of the log before a port: nobody is to wait for one any longer.
        self._ports.put(0)

    def _tail(self) -> str:
        return "\n".join(self.log[-60:])
