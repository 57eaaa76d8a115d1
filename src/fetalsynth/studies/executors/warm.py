"""A process that has loaded what steps need and forks itself for each: ``python -m …warm``.

Loading torch takes longer than many a step of a small study, and grids have hundreds of steps. The
server reads one JSON object per line from standard input ({"name",
"command", "folder", "log", "environment"})
and writes one per child that started ({"name", "pid"}) or ended ({"name", "exit_code"}). A child is
a process group of its own and computes what ``python -m fetalsynth`` would. The end of the input
stops everything: when the study dies, so do its steps.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import selectors
import signal
import sys
from collections.abc import Callable
from typing import Any

PRELOAD = (
    "torch",
    "matplotlib.figure",
    "scipy.stats",
    "fetalsynth.assessment.suite",
    "fetalsynth.cli.assess",
    "fetalsynth.cli.assess_paired",
    "fetalsynth.cli.computing",
    "fetalsynth.cli.generate",
    "fetalsynth.cli.generate_volumes",
    "fetalsynth.cli.train",
    "fetalsynth.cli.training_jobs",
    "fetalsynth.reports.assessment",
    "fetalsynth.synthesis.images",
    "fetalsynth.synthesis.volume_model",
    "fetalsynth.training.slices",
)
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_REAP_SECONDS = 0.05


def serve() -> None:
    """Serve until the input ends."""
    for name in PRELOAD:
        importlib.import_module(name)
    children: dict[int, str] = {}
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            if selector.select(timeout=_REAP_SECONDS):
                received = os.read(sys.stdin.fileno(), 1 << 16)
                if not received:
                    break
                *lines, pending = (pending + received).split(b"\n")
                for line in lines:
                    _start(json.loads(line), children)
            _reap(children)
    for pid in children:
        os.killpg(pid, signal.SIGTERM)


def _start(request: dict[str, Any], children: dict[int, str]) -> None:
    server = os.getpid()
    die = death_signal(server)
    pid = os.fork()
    if pid == 0:
        os._exit(_become(request, die))
    children[pid] = request["name"]
    _say(name=request["name"], pid=pid)


def _become(request: dict[str, Any], die: Callable[[], None]) -> int:
    """Run the step in this forked process; returns its exit code."""
    os.setsid()
    die()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    sys.argv = ["fetalsynth", *request["command"]]
    code = 0
    try:
        runpy.run_module("fetalsynth", run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _reap(children: dict[int, str]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if pid in children:
            _say(name=children.pop(pid), exit_code=os.waitstatus_to_exitcode(status))


def _say(**known: Any) -> None:
    sys.stdout.write(json.dumps(known) + "\n")
    sys.stdout.flush()


def death_signal(parent: int) -> Callable[[], None]:
    """Code for a child of the process ``parent``: SIGTERM for it when the parent dies (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def before() -> None:
        if libc is not None:
            libc.prctl(_DEATH_SIGNAL, signal.SIGTERM)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)

    return before


if __name__ == "__main__":
    serve()
