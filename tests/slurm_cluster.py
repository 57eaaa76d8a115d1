"""A SLURM cluster of one node on this machine: munged, slurmctld and slurmd of its own.

``python slurm_cluster.py FOLDER`` keeps it until standard input ends, then ends every process that
came from it. The keeper adopts what daemons leave behind (a "child subreaper"), so that nothing
outlives a test run, however that ends.
"""

from __future__ import annotations

import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BINARIES = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
START_SECONDS = 90.0
_DEATH_SIGNAL, _CHILD_SUBREAPER = 1, 36  # prctl

CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
CredType=cred/munge
# a requeued job waits for cred_expire seconds (5 at least) before it starts again
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,batch_sched_delay=0,sched_min_interval=0,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
# a node that a test sets down stays down until the test lets it go on
ReturnToService=1
KillWait=10
GresTypes=gpu
MessageTimeout=60
SlurmdTimeout=120
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000 Gres=gpu:toy:1 State=UNKNOWN
PartitionName=plain Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 GraceTime=5
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=2 PreemptMode=OFF
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running cluster. Commands of SLURM find it by ``environment``."""

    folder: Path
    cpus: int

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """Output of a command of SLURM."""
        told = {**os.environ, **self.environment}
        return subprocess.run(
            command, env=told, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def logs(self) -> str:
        """The ends of the daemons' logs, for messages."""
        tails = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-15:]
            tails.append("\n".join([f"== {path.name}", *lines]))
        return "\n".join(tails)


def missing_binaries() -> list[str]:
    """Programs that the cluster needs and this machine lacks."""
    return [name for name in BINARIES if shutil.which(name, path=_path()) is None]


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster for the duration of the block; RuntimeError where it does not start."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munge wants the way to its socket open
    cluster = Cluster(folder=folder, cpus=len(os.sched_getaffinity(0)))
    keeper = subprocess.Popen(
        [sys.executable, __file__, str(folder), str(cluster.cpus)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _wait_until_idle(cluster, keeper)
        yield cluster
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait()


def _wait_until_idle(cluster: Cluster, keeper: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and keeper.poll() is None:
        try:
            if cluster.ask("sinfo", "--noheader", "--format=%T", "--partition=plain") == "idle":
                return
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the cluster did not start\n{cluster.logs()}")


def _path() -> str:
    return os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _configure(folder: Path, cpus: int) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    text = CONFIGURATION.format(
        host=socket.gethostname(),
        user=getpass.getuser(),
        controller_port=_free_port(),
        node_port=_free_port(),
        folder=folder,
        cpus=cpus,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text("Name=gpu Type=toy File=/dev/null\n")


def _daemons(folder: Path) -> list[list[str]]:
    munged = ["munged", "--foreground", "--force", "--num-threads=2"]
    places = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid"}
    places |= {"log-file": "munged.log", "seed-file": "munge.seed"}
    munged += [f"--{option}={folder / name}" for option, name in places.items()]
    configuration = str(folder / "slurm.conf")
    return [munged, *([name, "-D", "-f", configuration] for name in ("slurmctld", "slurmd"))]


def keep(folder: Path, cpus: int) -> None:
    """Start the daemons, wait for the end of standard input, end all that came of them."""
    libc = ctypes.CDLL(None)
    libc.prctl(_CHILD_SUBREAPER, 1)
    _configure(folder, cpus)
    try:
        for command in _daemons(folder):
            _start(command, folder, libc)
        while os.read(0, 1):
            pass
    finally:
        _end_descendants()
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: list[str], folder: Path, libc: ctypes.CDLL) -> None:
    with (folder / f"{command[0]}.out.log").open("wb") as output:
        subprocess.Popen(
            command,
            env={**os.environ, "PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: libc.prctl(_DEATH_SIGNAL, signal.SIGKILL),  # noqa: PLW1509
        )
    if command[0] == "munged":
        until = time.monotonic() + START_SECONDS
        while not (folder / "munge.socket").exists() and time.monotonic() < until:
            time.sleep(0.05)


def _end_descendants() -> None:
    """SIGKILL all processes below this one until none is left."""
    while found := _descendants(os.getpid()):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.05)


def _descendants(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]))
