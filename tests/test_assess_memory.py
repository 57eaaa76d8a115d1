"""Memory of an assessment: four times the images take the features of four times the images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.artifacts.images import encode_png
from fetalsynth.assessment.features.policy import to_grey8
from fetalsynth.assessment.samples import ROLES
from fetalsynth.assessment.suite import assess_images
from fetalsynth.datasets import scratch as room
from fetalsynth.datasets.loading import load_images
from fetalsynth.errors import UserError

SIDE = 256
LAYOUT = SIDE // 8

# Anonymous memory alone: the pages of mapped files are in the resident size while there is room,
# but the system may drop them at any time.
MEASURED = """
import sys, threading, time
from pathlib import Path
from fetalsynth.assessment import suite, writing
from fetalsynth.datasets.loading import load_images
import scipy.sparse.csgraph, scipy.stats, scipy.ndimage

def now():
    status = Path("/proc/self/status").read_text()
    return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("RssAnon"))

def watch():
    while True:
        peak[0] = max(peak[0], now())
        time.sleep(0.003)

peak = [0]
before = now()
threading.Thread(target=watch, daemon=True).start()
folder, out, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
sets = {role: load_images(folder / role, role=role) for role in ("real", "synthetic", "train")}
scores = suite.assess_images(**sets, most_images=most)
writing.write_assessment(out, scores=scores, **sets)
print(peak[0] - before)
"""


def write_sets(folder: Path, *, count: int) -> None:
    """Coarse random layouts with fine grain, cheap to make and to compress."""
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 32, (SIDE, SIDE), dtype=np.uint8)
    for role in ROLES:
        (folder / role).mkdir(parents=True)
        for number in range(count):
            coarse = rng.integers(0, 200, (LAYOUT, LAYOUT), dtype=np.uint8)
            image = np.kron(coarse, np.ones((8, 8), np.uint8)) + np.roll(grain, number)
            (folder / role / f"{number:05d}.png").write_bytes(encode_png(image))


def peak_anonymous_kb(folder: Path, out: Path) -> int:
    out.mkdir()
    command = [sys.executable, "-c", MEASURED, str(folder), str(out), "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_grows_by_features_not_by_images(tmp_path: Path) -> None:
    few, many = 400, 1600
    write_sets(tmp_path / "many", count=many)
    for role in ROLES:
        (tmp_path / "few" / role).mkdir(parents=True)
        for path in sorted((tmp_path / "many" / role).iterdir())[:few]:
            (tmp_path / "few" / role / path.name).hardlink_to(path)
    peaks = {
        name: peak_anonymous_kb(tmp_path / name, tmp_path / f"{name}-out")
        for name in ("few", "many")
    }
    grown = peaks["many"] - peaks["few"]
    pixels = 3 * (many - few) * SIDE * SIDE / 1024
    print(peaks, grown / (3 * (many - few)), "kB per image;", SIDE * SIDE / 1024, "kB of pixels")
    assert grown < pixels / 4


def test_images_in_a_temporary_file_are_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    deep = rng.integers(0, 65536, (40, 9, 7), dtype=np.uint16)
    for number, image in enumerate(deep):
        Image.fromarray(image).save(tmp_path / f"{number:02d}.png")
    in_memory = load_images(tmp_path, role="real").pixels
    monkeypatch.setattr(room, "IN_MEMORY", 500)
    on_disk = load_images(tmp_path, role="real").pixels
    assert np.array_equal(on_disk[..., 0], deep)
    assert np.array_equal(on_disk, in_memory)
    grey = to_grey8(pixels=on_disk, window=(100, 60000))
    expected = np.rint(np.clip((deep - 100.0) * (255 / 59900), 0, 255))
    assert np.array_equal(grey, expected)
    index = rng.permutation(40)[:23]
    assert np.array_equal(room.gathered(grey, index), expected[index])


def test_a_full_disk_is_a_sentence_and_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(room.os, "posix_fallocate", full)
    with pytest.raises(UserError, match=f"{tmp_path}: the disk is full"):
        room.scratch(shape=(room.IN_MEMORY + 1,), dtype=np.uint8)


def test_nothing_is_left_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(room, "IN_MEMORY", 10)
    array = room.scratch(shape=(4, 5), dtype=np.float32)
    array[:] = 7
    stack = room.Stack()
    for number in range(5):
        stack.add(np.full(3, number))
    assert stack.whole()[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert array.sum() == 140
    assert not list(tmp_path.iterdir())


def test_scores_do_not_depend_on_where_the_images_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    for role, count in (("real", 50), ("synthetic", 60), ("train", 70)):
        (tmp_path / role).mkdir()
        for number, image in enumerate(rng.integers(0, 256, (count, 24, 24), dtype=np.uint8)):
            (tmp_path / role / f"{number}.png").write_bytes(encode_png(image))
    found = []
    for size in (room.IN_MEMORY, 2000):
        monkeypatch.setattr(room, "IN_MEMORY", size)
        sets = {role: load_images(tmp_path / role, role=role) for role in ROLES}
        found.append(assess_images(**sets, most_images=40))
    assert found[0] == found[1]
