"""A real server process of ``fetalsynth reader serve`` on loopback, started and killed by tests."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveServer:
    """The command in a process of its own; ``stop`` asks it to end, ``kill`` does not ask."""

    def __init__(self, study: Path, *, port: int | None = None, database: str | None = None):
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        words = [sys.executable, "-m", "fetalsynth", "reader", "serve", str(study)]
        words += ["--port", str(self.port)]
        words += ["--database", database] if database else []
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(self.process.stdout.read() if self.process.stdout else "")
            try:
                if httpx.get(self.address, timeout=5).status_code == 403:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError("the server did not start")

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does; may be called again."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def stop(self) -> str:
        """End it as Ctrl+C does; returns what it printed."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=20)[0]
