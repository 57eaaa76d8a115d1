"""The scheduler of studies, with steps that only pretend to run."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import draft
from fetalsynth.errors import UserError
from fetalsynth.studies import running
from fetalsynth.studies.executors import Finished
from fetalsynth.studies.executors.local import LocalExecutor
from fetalsynth.studies.forecast import StepForecast, wall_seconds
from fetalsynth.studies.running import Outcome, run_steps
from fetalsynth.studies.state import StepState, log_tail, read_state
from fetalsynth.studies.steps import Step, address, is_whole, log_path, option


def step(name: str, *needs: str, images: int = 0, threads: int = 1) -> Step:
    kind = "train" if name.startswith("train") else "assess"
    out = Path("runs") / name
    return Step(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        command=(name,),
        out=out,
        needs=needs,
        images=images,
        threads=threads,
    )


def make_whole(folder: Path, wanted: Step) -> None:
    manifest = draft(kind="scores", configuration={"name": wanted.name}, synthetic=False)
    with building(folder / wanted.out, manifest):
        pass


@dataclass
class Pretended:
    """Runs ``jobs`` steps at a time; those in ``faulty`` end with code 3 and make nothing."""

    folder: Path
    jobs: int = 2
    faulty: tuple[str, ...] = ()
    order: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    on_poll: Callable[[], None] = lambda: None
    _now: list[Step] = field(default_factory=list)

    def room(self, wanted: Step) -> bool:
        return len(self._now) < self.jobs

    def submit(self, wanted: Step) -> None:
        assert all((self.folder / "runs" / need).is_dir() for need in wanted.needs)
        self.order.append(wanted.name)
        self._now.append(wanted)

    def running(self) -> dict[str, str]:
        return {one.name: "running" for one in self._now}

    def poll(self) -> list[Finished]:
        self.on_poll()
        if not self._now:
            return []
        ended = self._now.pop(0)
        code = 3 if ended.name in self.faulty else 0
        if not code:
            make_whole(self.folder, ended)
        return [Finished(name=ended.name, exit_code=code, seconds=1.5, host="here")]

    def cancel(self) -> None:
        self.cancelled = [one.name for one in self._now]
        self._now.clear()

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "POLL_SECONDS", 0.001)


def go(folder: Path, steps: Sequence[Step], executor: Pretended) -> Outcome:
    return run_steps(steps, folder=folder, executor=executor, tell=lambda step, state: None)


STEPS = (
    step("train-a", images=10),
    step("train-b", images=99),
    step("made-a", "train-a"),
    step("made-b", "train-b"),
    step("scores-a", "made-a"),
    step("scores-both", "made-a", "made-b"),
)


def test_every_step_runs_once_after_what_it_needs_and_long_trainings_first(tmp_path: Path) -> None:
    executor = Pretended(tmp_path)
    outcome = go(tmp_path, STEPS, executor)
    assert outcome == Outcome(done=tuple(s.name for s in STEPS), failed=(), blocked=())
    assert sorted(executor.order) == sorted(s.name for s in STEPS)
    assert executor.order[:2] == ["train-b", "train-a"]
    assert read_state(tmp_path, "made-a").seconds == 1.5


def test_a_failure_stops_only_what_needs_it_and_is_tried_again(tmp_path: Path) -> None:
    outcome = go(tmp_path, STEPS, Pretended(tmp_path, faulty=("made-a",)))
    assert outcome.failed == ("made-a",)
    assert outcome.blocked == ("scores-a", "scores-both")
    assert outcome.done == ("train-a", "train-b", "made-b")
    assert read_state(tmp_path, "made-a").note == "exit code 3"
    assert read_state(tmp_path, "scores-both").note == "needs made-a"

    again = Pretended(tmp_path)
    assert not go(tmp_path, STEPS, again).failed
    assert again.order == ["made-a", "scores-a", "scores-both"]
    state = read_state(tmp_path, "made-a")
    assert (state.status, state.attempts, state.seconds) == ("done", 2, 3.0)
    assert read_state(tmp_path, "train-a").attempts == 1


def test_blocking_goes_on_through_chains(tmp_path: Path) -> None:
    outcome = go(tmp_path, STEPS, Pretended(tmp_path, faulty=("train-a", "train-b")))
    assert outcome.blocked == ("made-a", "made-b", "scores-a", "scores-both")
    assert outcome.done == ()


def test_a_stop_cancels_what_runs_and_leaves_it_waiting(tmp_path: Path) -> None:
    executor = Pretended(tmp_path)

    def later() -> None:
        time.sleep(0.6)
        os.kill(os.getpid(), signal.SIGTERM)

    executor.on_poll = later
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, STEPS, executor)
    assert executor.cancelled == ["train-a"]
    stopped = read_state(tmp_path, "train-a")
    assert stopped.status == "waiting"
    assert 0.5 < stopped.seconds < 60
    assert read_state(tmp_path, "train-b").status == "done"
    assert not go(tmp_path, STEPS, Pretended(tmp_path)).failed


def test_a_step_that_another_process_writes_is_waited_for(tmp_path: Path) -> None:
    one = step("train-a")
    growing = tmp_path / "runs" / "train-a.partial"
    growing.mkdir(parents=True)
    lock = os.open(growing / ".lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    polls = 0

    def later() -> None:
        nonlocal polls
        polls += 1
        assert executor.order == [] or polls > 5
        if polls == 5:
            os.close(lock)

    executor = Pretended(tmp_path, on_poll=later)
    assert go(tmp_path, [one], executor).done == ("train-a",)
    assert polls > 5


def test_addresses_are_functions_of_content() -> None:
    what = {"kind": "train", "seed": 1, "settings": {"a": 1, "b": [1, 2]}}
    same = {"seed": 1, "settings": {"b": [1, 2], "a": 1}, "kind": "train"}
    assert address("Train X/1", what=what) == address("Train X/1", what=same)
    assert address("train", what=what) != address("train", what={**what, "seed": 2})
    assert address("Train X/1", what=what).startswith("train-x-1-")


def test_options_are_written_as_the_command_line_reads_them() -> None:
    assert option("generator.learning_rate", 5e-5) == ["--generator.learning-rate", "5e-05"]
    assert option("one_network", value=True) == ["--one-network"]
    assert option("generator.plane_condition", value=False) == ["--generator.no-plane-condition"]
    assert option("snapshots", (1, 2)) == ["--snapshots", "1", "2"]
    assert option("images", None) == ["--images", "None"]


def test_threads_are_a_budget(tmp_path: Path) -> None:
    executor = LocalExecutor(folder=tmp_path, cores=4, warm=False)
    large = step("train-large", threads=8)
    assert executor.room(large)  # alone it must run somewhere
    with pytest.raises(UserError, match="1 or more"):
        LocalExecutor(folder=tmp_path, cores=4, jobs=0)


@pytest.mark.parametrize("warm", [False, True])
def test_local_steps_run_in_the_folder_with_their_threads_and_log(
    tmp_path: Path, warm: bool
) -> None:
    executor = LocalExecutor(folder=tmp_path, cores=2, warm=warm)
    told = step("told")
    told = Step(**{**told.__dict__, "command": ("--version",), "threads": 2})
    wrong = Step(**{**step("wrong").__dict__, "command": ("train", "nonsense")})
    executor.submit(told)
    assert executor.room(step("other")) is False
    ended = wait_for(executor, 1)
    executor.submit(wrong)
    ended |= wait_for(executor, 1)
    executor.close()
    assert ended == {"told": 0, "wrong": 2}
    assert log_tail(tmp_path, "told").startswith("fetalsynth ")
    assert "no recipe 'nonsense'" in log_tail(tmp_path, "wrong")


def wait_for(executor: LocalExecutor, count: int) -> dict[str, int]:
    found: dict[str, int] = {}
    until = time.monotonic() + 60
    while len(found) < count and time.monotonic() < until:
        found |= {one.name: one.exit_code for one in executor.poll()}
        time.sleep(0.02)
    return found


SLEEPER = """
import sys, time
from pathlib import Path
from fetalsynth.studies.executors.local import LocalExecutor
from fetalsynth.studies.steps import Step
executor = LocalExecutor(folder=Path(sys.argv[1]), cores=1, warm=sys.argv[2] == "True")
executor.submit(Step(name="s", kind="train", command=("data", "phantom", "ultrasound", "--n",
                "100000", "--out", "endless"), out=Path("runs/s")))
print("on", flush=True)
while True:
    executor.poll()
    time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a death")
@pytest.mark.parametrize("warm", [False, True])
def test_steps_die_with_a_study_that_is_killed(tmp_path: Path, warm: bool) -> None:
    study = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(tmp_path), str(warm)], stdout=subprocess.PIPE
    )
    assert study.stdout is not None
    assert study.stdout.readline() == b"on\n"
    lock = tmp_path / "endless.partial" / ".lock"
    wait_until(lock.is_file)
    wait_until(lambda: not is_free(lock))
    study.send_signal(signal.SIGKILL)
    study.wait()
    wait_until(lambda: is_free(lock))


def is_free(lock: Path) -> bool:
    with lock.open("r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_several_artifacts_are_whole_only_together(tmp_path: Path) -> None:
    both = Step(**{**step("made").__dict__, "parts": ("mean", "median")})
    for part in both.parts:
        assert not is_whole(both, tmp_path)
        make_whole(tmp_path, Step(**{**both.__dict__, "out": both.out / part}))
    assert is_whole(both, tmp_path)


def test_the_tail_of_a_log_is_its_end(tmp_path: Path) -> None:
    log = log_path(tmp_path, "x")
    log.parent.mkdir()
    log.write_text("\n".join(map(str, range(100))) + "\n")
    assert log_tail(tmp_path, "x", lines=3) == "97\n98\n99"
    assert log_tail(tmp_path, "none") == ""


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "x.json").write_text('{"stat')
    with pytest.raises(UserError, match=r"x\.json"):
        read_state(tmp_path, "x")
    assert read_state(tmp_path, "y") == StepState()


def test_expected_wall_time_is_that_of_the_schedule() -> None:
    def cost(wanted: Step, seconds: float) -> StepForecast:
        return StepForecast(step=wanted, images=wanted.images, seconds=seconds, disk_bytes=0)

    independent = [cost(step(f"train-{k}", images=1), 10.0) for k in range(5)]
    assert wall_seconds(independent, slots=1) == 50.0
    assert wall_seconds(independent, slots=2) == 30.0
    assert wall_seconds(independent, slots=9) == 10.0
    chain = [cost(STEPS[0], 5.0), cost(STEPS[2], 2.0), cost(STEPS[4], 1.0)]
    assert wall_seconds(chain, slots=4) == 8.0
