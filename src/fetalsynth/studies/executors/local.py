"""Steps as processes of this machine, each with its share of the cores and one GPU."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.executors import Finished
from fetalsynth.studies.steps import Step, log_path

GRACE_SECONDS = 60.0
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


@dataclass
class _Running:
    step: Step
    process: subprocess.Popen[bytes]
    began: float
    gpu: str | None


class LocalExecutor:
    """Runs steps side by side while their threads fit into ``cores``, at most ``jobs`` at a time.

    ``jobs`` None means as many as the cores hold. A step that needs a GPU gets the one of ``gpus``
    that serves the fewest; without any it computes on the CPU. Children are told to stop when this
    process dies, however it dies (Linux).
    """

    def __init__(
        self, *, folder: Path, cores: int, jobs: int | None = None, gpus: Sequence[str] = ()
    ) -> None:
        if cores < 1 or (jobs is not None and jobs < 1):
            raise UserError(f"{cores} cores and {jobs} jobs: both must be 1 or more")
        self.folder, self.cores, self.jobs = folder, cores, jobs or cores
        self.gpus = tuple(gpus)
        self._children: dict[str, _Running] = {}

    def room(self, step: Step) -> bool:
        """Whether its threads fit beside those that run; alone, every step fits."""
        busy = sum(child.step.threads for child in self._children.values())
        fits = not busy or busy + step.threads <= self.cores
        return fits and len(self._children) < self.jobs

    def submit(self, step: Step) -> None:
        """Start the step's process with its output in its log."""
        gpu = self._gpu() if step.gpus else None
        log = log_path(self.folder, step.name)
        with explaining(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as stream:
                process = subprocess.Popen(
                    [sys.executable, "-m", "fetalsynth", *step.command],
                    cwd=self.folder,
                    env=environment(step, gpu=gpu),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - there are no threads here
                )
        self._children[step.name] = _Running(step, process, time.monotonic(), gpu)

    def running(self) -> dict[str, str]:
        """All children."""
        return dict.fromkeys(self._children, "running")

    def poll(self) -> list[Finished]:
        """Children that have ended since the last call."""
        ended = [name for name, child in self._children.items() if child.process.poll() is not None]
        return [self._finished(self._children.pop(name)) for name in ended]

    def cancel(self) -> None:
        """SIGTERM, which training answers by saving its state; SIGKILL after a minute."""
        for child in self._children.values():
            _signal(child.process, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        for child in self._children.values():
            try:
                child.process.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child.process, signal.SIGKILL)
                child.process.wait()

    def _gpu(self) -> str | None:
        if not self.gpus:
            return None
        load = Counter(child.gpu for child in self._children.values())
        return min(self.gpus, key=lambda gpu: load[gpu])

    def _finished(self, child: _Running) -> Finished:
        return Finished(
            name=child.step.name,
            exit_code=child.process.returncode,
            seconds=time.monotonic() - child.began,
            host=socket.gethostname(),
        )


def environment(step: Step, *, gpu: str | None = None) -> dict[str, str]:
    """The environment of a step's process: its threads, and the GPU that it may see."""
    told = {**os.environ, "OMP_NUM_THREADS": str(step.threads), "PYTHONUNBUFFERED": "1"}
    if gpu is not None:
        told["CUDA_VISIBLE_DEVICES"] = gpu
    return told


def local_gpus() -> tuple[str, ...]:
    """Names of the GPUs this process may use, as CUDA_VISIBLE_DEVICES has them."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return tuple(name for name in told.split(",") if name.strip() not in ("", "-1"))
    found = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return tuple(sorted(found, key=int))


def _die_with(parent: int) -> Callable[[], None]:
    """Code for the child before it becomes the step: SIGTERM when the parent dies."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def before() -> None:
        if libc is not None:
            libc.prctl(_DEATH_SIGNAL, signal.SIGTERM)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)

    return before


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
