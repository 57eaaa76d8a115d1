"""How many cores are free, so that torch neither starves nor oversubscribes them.

Oversubscription is catastrophic for small networks: two threads on one free core trained about
five times slower than one thread.
"""

from __future__ import annotations

import os
import time
from pathlib import Path


def allowed_cores() -> int:
    """Cores this process may use: CPU affinity (SLURM sets it) and the control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _quota()))


def _quota() -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return 1 << 20


def free_cores(*, sample_seconds: float = 0.3) -> int:
    """Allowed cores that are idle now (at least 1), shared out among the processes of this host.

    ``OMP_NUM_THREADS`` overrides the measurement, except under ``torchrun``, which sets it to 1.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    told = os.environ.get("OMP_NUM_THREADS", "")
    if processes == 1 and told.isdigit() and int(told) > 0:
        return int(told)
    return max(1, min(allowed_cores(), _idle_cores(sample_seconds)) // processes)


def _idle_cores(seconds: float) -> int:
    before = _cpu_times()
    if before is None:
        return 1 << 20
    time.sleep(seconds)
    after = _cpu_times()
    assert after is not None
    idle, total = (b - a for a, b in zip(before, after, strict=True))
    return max(1, round((os.cpu_count() or 1) * idle / max(total, 1)))


def _cpu_times() -> tuple[int, int] | None:
    """(idle, total) jiffies of the machine, or None where /proc is absent."""
    try:
        fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return fields[3] + fields[4], sum(fields)
