"""Steps as processes of this machine, each with its share of the cores and one GPU."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.errors import UserError
from fetalsynth.studies.executors import Finished
from fetalsynth.studies.executors.processes import Fresh, Processes, Warm
from fetalsynth.studies.steps import Step

GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class _Running:
    step: Step
    began: float
    gpu: str | None


class LocalExecutor:
    """Runs steps side by side while their threads fit into ``cores``, at most ``jobs`` at a time.

    ``jobs`` None means as many as the cores hold. A step that needs a GPU gets the one of ``gpus``
    that serves the fewest; without any it computes on the CPU. Steps are told to stop when this
    process dies, however it dies (Linux). ``warm`` forks them from a process that has everything
    loaded; elsewhere than on Linux, forks of such processes are not safe.
    """

    def __init__(
        self,
        *,
        folder: Path,
        cores: int,
        jobs: int | None = None,
        gpus: Sequence[str] = (),
        warm: bool = sys.platform == "linux",
    ) -> None:
        if cores < 1 or (jobs is not None and jobs < 1):
            raise UserError(f"{cores} cores and {jobs} jobs: both must be 1 or more")
        self.folder, self.cores, self.jobs = folder.resolve(), cores, jobs or cores
        self.gpus = tuple(gpus)
        self._processes: Processes = Warm() if warm else Fresh()
        self._children: dict[str, _Running] = {}

    def room(self, step: Step) -> bool:
        """Whether its threads fit beside those that run; alone, every step fits."""
        busy = sum(child.step.threads for child in self._children.values())
        fits = not busy or busy + step.threads <= max(self.cores, self.jobs)
        return fits and len(self._children) < self.jobs

    def submit(self, step: Step) -> None:
        """Start the step's process with its output in its log."""
        gpu = self._gpu() if step.gpus else None
        told = environment(step, gpu=gpu)
        self._processes.start(step, folder=self.folder, environment=told)
        self._children[step.name] = _Running(step, time.monotonic(), gpu)

    def running(self) -> dict[str, str]:
        """All that were submitted and have not ended."""
        return dict.fromkeys(self._children, "running")

    def poll(self) -> list[Finished]:
        """Steps that have ended since the last call."""
        return [self._finished(name, code) for name, code in self._processes.ended().items()]

    def cancel(self) -> None:
        """SIGTERM, which training answers by saving its state; SIGKILL after a minute."""
        for name in self._children:
            self._processes.signal(name, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while self._children and time.monotonic() < until:
            self.poll()
            time.sleep(0.05)
        for name in self._children:
            self._processes.signal(name, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Let go of the process that steps were forked from."""
        self._processes.close()

    def _gpu(self) -> str | None:
        if not self.gpus:
            return None
        load = Counter(child.gpu for child in self._children.values())
        return min(self.gpus, key=lambda gpu: load[gpu])

    def _finished(self, name: str, code: int) -> Finished:
        child = self._children.pop(name)
        seconds = time.monotonic() - child.began
        return Finished(name=name, exit_code=code, seconds=seconds, host=socket.gethostname())


def environment(step: Step, *, gpu: str | None = None) -> dict[str, str]:
    """What a step's process finds in its environment: its threads, and the GPU it may see."""
    told = {"OMP_NUM_THREADS": str(step.threads), "PYTHONUNBUFFERED": "1"}
    return told if gpu is None else {**told, "CUDA_VISIBLE_DEVICES": gpu}


def local_gpus() -> tuple[str, ...]:
    """Names of the GPUs this process may use, as CUDA_VISIBLE_DEVICES has them."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return tuple(name for name in told.split(",") if name.strip() not in ("", "-1"))
    found = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return tuple(sorted(found, key=int))
