"""Progress: plain lines without a terminal, an estimate, silence where asked."""

from __future__ import annotations

import pytest

from fetalsynth import progress
from fetalsynth.progress import Progress, track
from fetalsynth.randomness import derive, numpy_rng, torch_rng
from fetalsynth.threads import allowed_cores, free_cores


def test_plain_lines_tell_count_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 20.0, 20.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Progress(label="work", total=100, start=10) as bar:
        bar.advance(10)
        bar.advance(20, note="going well")
    first, last = capsys.readouterr().err.splitlines()
    # 30 of the remaining 90 in 20 s: 1.5 a second, 60 left.
    assert first == "work: 40/100 images, 1.5/s, 0:40 left going well"
    assert last == "work: 40 images in 0:40"


def test_silent_says_nothing_and_track_passes_everything_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress(label="work", total=2, silent=True) as bar:
        bar.advance(2)
    assert capsys.readouterr().err == ""
    assert list(track(range(3), label="counting", total=3, unit="numbers")) == [0, 1, 2]
    assert "counting: 3 numbers" in capsys.readouterr().err


def test_random_streams_depend_on_every_part_of_their_address() -> None:
    addresses = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a0", 0)]
    seeds = {derive(seed=s, stream=name, counter=c) for s, name, c in addresses}
    assert len(seeds) == len(addresses)
    assert all(0 <= seed < 2**63 for seed in seeds)
    one, two = (numpy_rng(seed=3, stream="x", counter=5).random(4).tolist() for _ in range(2))
    assert one == two
    first, second = (torch_rng(seed=3, stream="x").initial_seed() for _ in range(2))
    assert first == second


def test_threads_follow_the_environment_and_the_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert free_cores() == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(allowed_cores()))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert free_cores(sample_seconds=0.05) == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert 1 <= free_cores(sample_seconds=0.05) <= allowed_cores()
