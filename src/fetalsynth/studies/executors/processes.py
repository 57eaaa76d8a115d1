"""Two ways to start a step's process: a fresh interpreter, or a fork of one that is warm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.executors.warm import death_signal
from fetalsynth.studies.steps import Step, log_path

_LOST = -int(signal.SIGKILL)


class Processes(Protocol):
    """Processes by the names of their steps; each leads a process group of its own."""

    def start(self, step: Step, *, folder: Path, environment: Mapping[str, str]) -> None: ...
    def ended(self) -> dict[str, int]: ...
    def signal(self, name: str, number: signal.Signals) -> None: ...
    def close(self) -> None: ...


class Fresh:
    """A new interpreter for each step: works everywhere, and loads everything every time."""

    def __init__(self) -> None:
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, step: Step, *, folder: Path, environment: Mapping[str, str]) -> None:
        """Start the step's process in ``folder``."""
        with explaining(folder), _log(step, folder).open("ab") as stream:
            self._children[step.name] = subprocess.Popen(
                [sys.executable, "-m", "fetalsynth", *step.command],
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=death_signal(os.getpid()),  # noqa: PLW1509 - there are no threads here
            )

    def ended(self) -> dict[str, int]:
        """Exit codes of those that ended since the last call."""
        codes = {name: child.poll() for name, child in self._children.items()}
        found = {name: code for name, code in codes.items() if code is not None}
        for name in found:
            del self._children[name]
        return found

    def signal(self, name: str, number: signal.Signals) -> None:
        """Signal the step's process group, if it is still there."""
        if name in self._children:
            _signal_group(self._children[name].pid, number)

    def close(self) -> None:
        """Nothing is left."""


class Warm:
    """Forks of one process that has loaded torch and the rest; see :mod:`.warm`.

    Where that process is lost its children are, too; they are reported as killed and the next step
    starts another.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._pids: dict[str, int | None] = {}
        self._pending = b""

    def start(self, step: Step, *, folder: Path, environment: Mapping[str, str]) -> None:
        """Ask the server to fork the step's process in ``folder``."""
        server = self._server or self._open(environment)
        request = {
            "name": step.name,
            "command": step.command,
            "folder": str(folder),
            "log": str(_log(step, folder)),
            "environment": dict(environment),
        }
        assert server.stdin is not None
        self._pids[step.name] = None
        try:
            server.stdin.write(json.dumps(request).encode() + b"\n")
            server.stdin.flush()
        except BrokenPipeError:
            return  # ended() reports it as lost

    def ended(self) -> dict[str, int]:
        """Exit codes of those that ended since the last call."""
        found: dict[str, int] = {}
        for told in self._told():
            if "pid" in told:
                self._pids[told["name"]] = told["pid"]
            else:
                found[told["name"]] = told["exit_code"]
        if self._server is not None and self._server.poll() is not None:
            found = {**dict.fromkeys(self._pids, _LOST), **found}
            self._server = None
        for name in found:
            self._pids.pop(name, None)
        return found

    def signal(self, name: str, number: signal.Signals) -> None:
        """Signal the step's process group; one that was not forked yet dies with the server."""
        pid = self._pids.get(name)
        if pid is not None:
            _signal_group(pid, number)

    def close(self) -> None:
        """End the server; it takes what is left with it."""
        if self._server is None:
            return
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
        self._server = None

    def _open(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "fetalsynth.studies.executors.warm"],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._server.stdout is not None
        os.set_blocking(self._server.stdout.fileno(), False)
        return self._server

    def _told(self) -> list[dict[str, Any]]:
        if self._server is None:
            return []
        assert self._server.stdout is not None
        while received := self._server.stdout.read():
            self._pending += received
        *lines, self._pending = self._pending.split(b"\n")
        return [json.loads(line) for line in lines]


def _log(step: Step, folder: Path) -> Path:
    log = log_path(folder, step.name)
    with explaining(log):
        log.parent.mkdir(parents=True, exist_ok=True)
    return log


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise UserError(f"process {pid} cannot be stopped ({error})") from error
