"""``fetalsynth anatomy measure`` and ``check`` from files to report."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.artifacts.nifti import nifti_bytes
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.cli.main import main
from toy_brain import ToyBrain


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    for name, brain in (("a", ToyBrain(left_mm=8)), ("b", ToyBrain(left_mm=13))):
        labels, affine = brain.volume(spacing_mm=(1.3, 1.3, 1.3))
        (folder / f"sub-{name}_dseg.nii.gz").write_bytes(nifti_bytes(labels, affine=affine))
    (folder / "participants.tsv").write_text("participant_id\tgestational_age\nsub-a\t31\n")
    return folder


def _rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as stream:
        return {row["volume"]: row for row in csv.DictReader(stream)}


def test_measure_writes_table_pictures_and_report(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["anatomy", "measure", str(heads), "--out", str(out)]
    assert main(command) == 0
    rows = _rows(out / "measurements.csv")
    assert float(rows["sub-a"]["atrial_width_left_mm"]) == pytest.approx(8, abs=0.6)
    assert float(rows["sub-b"]["atrial_width_left_mm"]) == pytest.approx(13, abs=0.6)
    assert rows["sub-b"]["ventriculomegaly"] == "moderate"
    assert float(rows["sub-a"]["gestational_age_weeks"]) == 31
    assert rows["sub-b"]["hc_centile"] == ""
    assert 0 < float(rows["sub-a"]["hc_centile"]) < 100
    assert (out / "pictures" / "sub-b.png").stat().st_size > 5000
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") == 2
    assert "Not for clinical use" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    widths = read_scores(out).metrics["atrial-width-left-median"]
    assert (widths.n_real, widths.n_synthetic, widths.unit) == (2, 0, "mm")
    assert read_manifest(out).facts == {"volumes": 2, "failed": {}}
    assert not (out / "state").exists()
    capsys.readouterr()
    assert main(command) == 0
    assert "already done" in capsys.readouterr().out


def test_a_bad_volume_is_named_and_the_rest_go_on(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    shutil.copy(heads / "sub-a_dseg.nii.gz", folder)
    whole = (heads / "sub-b_dseg.nii.gz").read_bytes()
    (folder / "sub-cut_dseg.nii.gz").write_bytes(whole[: len(whole) // 2])
    foreign = nifti_bytes(np.full((5, 5, 5), 77, np.uint8), affine=np.eye(4))
    (folder / "sub-foreign_dseg.nii.gz").write_bytes(foreign)
    out = tmp_path / "out"
    assert main(["anatomy", "measure", str(folder), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "sub-cut_dseg.nii.gz" in said.err
    assert "77" in said.err
    assert "1 volumes measured, 2 left out" in said.out
    assert set(_rows(out / "measurements.csv")) == {"sub-a"}
    assert set(read_manifest(out).facts["failed"]) == {"sub-cut", "sub-foreign"}
    assert main(["anatomy", "measure", str(folder), "--out", str(out)]) == 1


def test_measure_goes_on_where_it_was_stopped(
    heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fetalsynth.anatomy.measure import measuring

    out, real, seen = tmp_path / "out", measuring.measure, []

    def stopped(*arguments: object, **named: object) -> object:
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring, "measure", stopped)
    command = ["anatomy", "measure", str(heads), "--out", str(out)]
    assert main(command) == 130
    assert not out.exists()
    assert main(command) == 0
    assert len(seen) == 3
    assert set(_rows(out / "measurements.csv")) == {"sub-a", "sub-b"}


def test_one_file_with_an_age(heads: Path, tmp_path: Path) -> None:
    file, out = heads / "sub-b_dseg.nii.gz", tmp_path / "out"
    assert main(["anatomy", "measure", str(file), "--out", str(out), "--weeks", "30"]) == 0
    assert float(_rows(out / "measurements.csv")["sub-b"]["gestational_age_weeks"]) == 30


@pytest.mark.parametrize("command", ["measure", "check"])
@pytest.mark.parametrize("weeks", ["nan", "inf", "-3", "0"])
def test_what_is_no_age_is_refused(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, weeks: str
) -> None:
    words = ["--out", str(tmp_path / "out")] if command == "measure" else []
    assert main(["anatomy", command, str(heads), "--weeks", weeks, *words]) == 2
    assert "--weeks" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_single_voxel_is_no_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[4, 4, 4] = 3
    file = tmp_path / "one_dseg.nii.gz"
    file.write_bytes(nifti_bytes(labels, affine=np.eye(4)))
    assert main(["anatomy", "measure", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "too small to be a head" in capsys.readouterr().err
    words = ["--hc", "60", "--out", str(tmp_path / "small")]
    assert main(["anatomy", "microcephaly", str(file), *words]) == 2
    assert "too small to be a head" in capsys.readouterr().err


def test_nothing_to_measure_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["anatomy", "measure", str(tmp_path / "none"), "--out", out]) == 2
    assert main(["anatomy", "measure", str(tmp_path), "--out", out]) == 2
    assert main(["anatomy", "mesure"]) == 2
    assert "did you mean 'measure'" in capsys.readouterr().err
    assert not Path(out).exists()


def test_check_tells_good_from_bad(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "checks.csv"
    assert main(["anatomy", "check", str(heads), "--table", str(table)]) == 0
    assert "2 of 2 label maps pass" in capsys.readouterr().out
    with table.open(newline="") as stream:
        verdicts = {row["verdict"] for row in csv.DictReader(stream)}
    assert verdicts == {"pass", "unjudged"}
    one = str(heads / "sub-a_dseg.nii.gz")
    assert main(["anatomy", "check", one, "--train", str(heads)]) == 1
    assert "nearest training map" in capsys.readouterr().out
    assert main(["anatomy", "check", one, "--table", str(table)]) == 2


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anatomy", "--help"]) == 0
    assert "measure" in capsys.readouterr().out
    assert main(["anatomy"]) == 2
