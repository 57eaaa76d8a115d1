"""Artifacts are whole or absent, never overwritten, and tell where they came from."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.artifacts.building import STATE, building, is_done, partial_path, record_facts
from fetalsynth.artifacts.digest import digest_file
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import ImagesWriter, read_table
from fetalsynth.artifacts.manifest import Licence, Manifest, draft, input_from, read_manifest
from fetalsynth.errors import UserError


def a_draft(**changes: object) -> Manifest:
    settings = {"kind": "images", "configuration": {"n": 3}, "synthetic": False, "seed": 1}
    return draft(**{**settings, **changes})  # type: ignore[arg-type]


def test_artifact_appears_whole_and_only_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with building(out, a_draft()) as folder:
        (folder / "a.txt").write_text("a")
        assert not out.exists()
    assert sorted(p.name for p in out.iterdir()) == ["SHA256SUMS", "a.txt", "fetalsynth.json"]
    assert not partial_path(out).exists()
    assert is_done(out, a_draft())


def test_facts_found_on_the_way_end_up_in_the_manifest(tmp_path: Path) -> None:
    with building(tmp_path / "out", a_draft()) as folder:
        record_facts(folder, {"count": 3})
        record_facts(folder, {"duplicates": ["a.png"]})
    assert read_manifest(tmp_path / "out").facts == {"count": 3, "duplicates": ["a.png"]}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["SHA256SUMS", "fetalsynth.json"]


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ZeroDivisionError), building(out, a_draft()) as folder:
        (folder / "a.txt").write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []


def test_resumable_artifact_keeps_its_files_after_failure(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        pytest.raises(ZeroDivisionError),
        building(out, a_draft(), resumable=True) as folder,
    ):
        (folder / "a.txt").write_text("kept")
        raise ZeroDivisionError
    with building(out, a_draft(), resumable=True) as folder:
        assert (folder / "a.txt").read_text() == "kept"
    assert (out / "a.txt").read_text() == "kept"


def test_another_request_never_touches_an_existing_or_unfinished_artifact(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with building(out, a_draft()) as folder:
        (folder / "a.txt").write_text("first")
    with pytest.raises(UserError, match="other settings"):
        is_done(out, a_draft(seed=2))
    unfinished = tmp_path / "unfinished"
    with pytest.raises(KeyError), building(unfinished, a_draft(), resumable=True) as folder:
        (folder / "a.txt").write_text("half")
        raise KeyError
    with pytest.raises(UserError, match="unfinished run"), building(unfinished, a_draft(seed=2)):
        pass
    assert (partial_path(unfinished) / "a.txt").read_text() == "half"


def test_a_users_own_folder_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="exists already"), building(out, a_draft()):
        pass
    assert (out / "thesis.txt").read_text() == "years of work"
    in_the_way = partial_path(tmp_path / "other")
    in_the_way.mkdir()
    (in_the_way / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="in the way"), building(tmp_path / "other", a_draft()):
        pass
    assert (in_the_way / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_may_become_the_artifact(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with building(out, a_draft()) as folder:
        (folder / "a.txt").write_text("a")
    assert (out / "a.txt").read_text() == "a"


def test_the_current_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (Path(), tmp_path, Path("..")):
        with pytest.raises(UserError, match="name a new folder"):
            is_done(out, a_draft())


def _hold(out: str) -> None:
    with building(Path(out), a_draft(), resumable=True) as folder:
        (folder / "begun").write_text("")
        time.sleep(60)


def test_two_processes_cannot_write_one_artifact_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(str(out),))
    process.start()
    try:
        deadline = time.monotonic() + 60
        while not (partial_path(out) / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(UserError, match="another process"), building(out, a_draft()):
            pass
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.join()
    assert not out.exists()
    with building(out, a_draft(), resumable=True) as folder:
        assert (folder / "begun").exists()
    assert out.exists()


def test_killed_between_the_last_file_and_the_rename_it_only_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with (
        monkeypatch.context() as patch,
        pytest.raises(SystemExit),
        building(out, a_draft()) as folder,
    ):
        (folder / "a.txt").write_text("a")
        (folder / STATE).mkdir()
        patch.setattr(Path, "rename", lambda *_: sys.exit(9))
    assert is_done(tmp_path / "out", a_draft())
    assert sorted(p.name for p in out.iterdir()) == ["SHA256SUMS", "a.txt", "fetalsynth.json"]
    assert not partial_path(out).exists()


def test_what_a_whole_result_would_overwrite_stays_and_so_does_the_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="move it away"), building(out, a_draft()) as folder:
        (folder / "a.txt").write_text("a")
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
    assert (out / "thesis.txt").read_text() == "years of work"
    out.rename(tmp_path / "away")
    assert is_done(out, a_draft())
    assert (out / "a.txt").read_text() == "a"


def test_a_command_that_failed_before_its_first_file_blocks_no_other(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyError), building(out, a_draft(), resumable=True):
        raise KeyError
    with building(out, a_draft(seed=2), resumable=True):
        pass
    assert out.is_dir()


def test_files_that_a_kill_cut_off_do_not_enter_the_artifact(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyError), building(out, a_draft(), resumable=True) as folder:
        (folder / ".a.txt.99.tmp").write_text("half")
        raise KeyError
    with building(out, a_draft(), resumable=True):
        pass
    assert sorted(p.name for p in out.iterdir()) == ["SHA256SUMS", "fetalsynth.json"]


def test_a_file_in_place_of_the_partial_directory_is_refused(tmp_path: Path) -> None:
    partial_path(tmp_path / "out").write_text("years of work")
    with pytest.raises(UserError, match="in the way"), building(tmp_path / "out", a_draft()):
        pass


def test_digest_covers_names_and_contents(tmp_path: Path) -> None:
    contents = []
    for number, (name, text) in enumerate([("a", "1"), ("a", "2"), ("b", "1"), ("a", "1")]):
        out = tmp_path / str(number)
        with building(out, a_draft()) as folder:
            (folder / name).write_text(text)
        contents.append(read_manifest(out).content)
    assert contents[0] == contents[3]
    assert len(set(contents)) == 3


def test_licences_are_carried_along_the_chain(tmp_path: Path) -> None:
    licence = Licence(source="HC18", licence="CC BY 4.0", citation="van den Heuvel 2018")
    with building(tmp_path / "real", a_draft(licences=(licence,))):
        pass
    real = input_from(tmp_path / "real", role="data")
    model = draft(kind="model", configuration={}, synthetic=True, inputs=(real,))
    assert model.licences == (licence,)
    with building(tmp_path / "model", model):
        pass
    made = draft(
        kind="images",
        configuration={},
        synthetic=True,
        inputs=(input_from(tmp_path / "model", role="model"),),
    )
    assert made.licences == (licence,)
    origin = made.inputs[0].manifest
    assert origin is not None
    assert origin.inputs[0].digest == read_manifest(tmp_path / "real").content


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "images"}', '{"schema_version": 99}'])
def test_broken_manifest_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "fetalsynth.json").write_text(text)
    with pytest.raises(UserError, match=r"fetalsynth\.json"):
        read_manifest(tmp_path)


def test_images_round_trip_at_both_depths(tmp_path: Path) -> None:
    writer = ImagesWriter(tmp_path)
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (8, 6), dtype=np.uint16)
    colour = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)
    writer.add(deep, name="deep", subject="s1", pixel_spacing_y_mm=0.1, extra={"bpd_mm": "50"})
    writer.add(colour, name="colour", subject="s2", split="test", mask=np.zeros((8, 6), np.uint8))
    writer.close()
    rows = read_table(tmp_path)
    assert rows == writer.records
    assert np.array_equal(np.asarray(Image.open(tmp_path / rows[0].file)), deep)
    assert np.array_equal(np.asarray(Image.open(tmp_path / rows[1].file)), colour)
    assert [digest_file(tmp_path / row.file) for row in rows] == [row.sha256 for row in rows]
    assert rows[1].extra["mask"] == "masks/colour.png"


def test_two_images_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    writer = ImagesWriter(tmp_path)
    writer.add(np.zeros((8, 6), np.uint8), name="a", subject="s1")
    with pytest.raises(UserError, match=r"two images would be called a\.png"):
        writer.add(np.ones((8, 6), np.uint8), name="a", subject="s2")
    assert not np.asarray(Image.open(tmp_path / "images" / "a.png")).any()


HEADER = "file,subject,pixel_spacing_y_mm,sha256"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("images/a.png,s,,0\nimages/a.png,s,,0", "lists images/a.png twice"),
        ("/etc/a.png,s,,0", "line 2: '/etc/a.png' is not a file of this folder"),
        ("images/../../a.png,s,,0", "is not a file of this folder"),
        ("images/a.png,s,nan,0", "line 2: pixel_spacing_y_mm is not a positive number: nan"),
        ("images/a.png,s,-1,0", "is not a positive number"),
        ("images/a.png,s", "line 2: has not as many cells"),
        ("images/a.png,s,,0,more", "line 2: has not as many cells"),
    ],
)
def test_a_table_edited_by_hand_is_refused_with_its_line(
    tmp_path: Path, lines: str, message: str
) -> None:
    (tmp_path / "images.csv").write_text(f"{HEADER}\n{lines}\n")
    with pytest.raises(UserError, match=message):
        read_table(tmp_path)


def test_a_table_saved_by_a_spreadsheet_reads_with_its_mark_and_not_in_another_encoding(
    tmp_path: Path,
) -> None:
    text = f"{HEADER}\nimages/ä.png,s,,0\n"
    (tmp_path / "images.csv").write_text(text, encoding="utf-8-sig")
    assert read_table(tmp_path)[0].file == "images/ä.png"
    (tmp_path / "images.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"images\.csv: is not UTF-8 text"):
        read_table(tmp_path)


def test_a_manifest_of_other_bytes_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "fetalsynth.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(UserError, match=r"fetalsynth\.json: is not UTF-8 text"):
        read_manifest(tmp_path)


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_bytes(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk is full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_changed_file_is_noticed_when_it_is_used_and_by_sha256sum(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with building(out, a_draft()) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "weights").write_bytes(b"one")
        (folder / "table.csv").write_text("a,b\n")
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=out, check=False).returncode == 0
    (out / "my-notes.txt").write_text("added later")
    assert input_from(out, role="data").digest == read_manifest(out).content
    (out / "deep" / "weights").write_bytes(b"two")
    assert subprocess.run(check, cwd=out, check=False, capture_output=True).returncode == 1
    with pytest.raises(UserError, match=r"deep/weights: was changed after it was written"):
        input_from(out, role="data")
    (out / "deep" / "weights").unlink()
    with pytest.raises(UserError, match=r"deep/weights: it does not exist"):
        input_from(out, role="data")
    sums = (out / "SHA256SUMS").read_text().splitlines(keepends=True)
    (out / "SHA256SUMS").write_text("".join(sums[1:]))
    with pytest.raises(UserError, match="does not belong to this result"):
        input_from(out, role="data")
