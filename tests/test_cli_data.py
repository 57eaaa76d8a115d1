"""``fetalsynth data`` from the outside: what it writes, what it says, how it exits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fetalsynth.artifacts.images import read_table
from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.cli.main import main

Run = tuple[int, str, str]


@pytest.fixture
def data(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*arguments: object) -> Run:
        code = main(["data", *map(str, arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def a_folder(folder: Path, *, count: int = 6, size: tuple[int, int] = (40, 50)) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(folder / f"{number}.png")
    return folder


def test_import_check_and_repeat(tmp_path: Path, data) -> None:  # type: ignore[no-untyped-def]
    source, out = a_folder(tmp_path / "in"), tmp_path / "out"
    command = ("import", "folder", source, "--out", out, "--size", 16, "--held-out", 0.5)
    code, said, noted = data(*command)
    assert code == 0
    assert "6 images of 6 subjects, 16×16 pixels" in said
    assert "note: no table of subjects" in noted
    manifest = read_manifest(out, kind="images")
    assert manifest.configuration["size"] == 16
    assert manifest.facts["test_images"] == 3
    assert manifest.inputs[0].path == str(source)
    assert not manifest.synthetic
    assert (out / "preview.png").is_file()
    before = (out / "fetalsynth.json").read_bytes()
    code, said, _ = data(*command)
    assert (code, said) == (0, f"already done: {out}\n")
    assert (out / "fetalsynth.json").read_bytes() == before
    code, _, said = data(*command[:-1], 0.2)
    assert code == 2
    assert "made with other settings" in said
    code, said, _ = data("check", out)
    assert code == 0
    assert said.splitlines()[-1] == f"{out}: usable, nothing to object to"
    path = out / read_table(out)[0].file
    path.write_bytes(b"x")
    code, said, _ = data("check", out)
    assert code == 1
    assert "not usable as it is: 1 error, 0 warnings" in said


def test_two_imports_are_identical(tmp_path: Path, data) -> None:  # type: ignore[no-untyped-def]
    source = a_folder(tmp_path / "in")
    for name in ("a", "b"):
        assert data("import", "folder", source, "--out", tmp_path / name, "--size", 16)[0] == 0
    tables = [(tmp_path / name / "images.csv").read_bytes() for name in ("a", "b")]
    assert tables[0] == tables[1]


def test_phantoms_are_synthetic(tmp_path: Path, data) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    code, said, _ = data("phantom", "ultrasound", "--n", 3, "--size", 32, "--out", out)
    assert code == 0
    assert "3 images of 3 subjects" in said
    assert read_manifest(out).synthetic
    with Image.open(out / read_table(out)[0].file) as image:
        assert image.size == (32, 32)


def test_hc18_with_masking(tmp_path: Path, data, hc18_folder: Path) -> None:  # type: ignore[no-untyped-def]
    few = tmp_path / "few"
    (few / "training_set").mkdir(parents=True)
    table = (hc18_folder / "training_set_pixel_size_and_HC.csv").read_text().splitlines()
    kept = [
        line for line in table if line.split(",")[0] in ("392_HC.png", "392_2HC.png", "003_HC.png")
    ]
    (few / "training_set_pixel_size_and_HC.csv").write_text("\n".join([table[0], *kept]))
    for name in (line.split(",")[0][:-4] for line in kept):
        for file in (f"{name}.png", f"{name}_Annotation.png"):
            (few / "training_set" / file).symlink_to(hc18_folder / "training_set" / file)
    out = tmp_path / "out"
    code, said, noted = data("import", "hc18", few, "--out", out, "--size", 64, "--mask-overlays")
    assert code == 0
    assert "3 images of 2 subjects" in said
    assert "identical images, all kept: 392_2HC = 392_HC" in noted
    manifest = read_manifest(out)
    assert manifest.licences[0].licence == "CC BY 4.0"
    assert "e0200412" in manifest.licences[0].citation
    rows = read_table(out)
    assert all(row.extra["overlays"].startswith("bar:24,3,186,12;box:") for row in rows)
    columns = {"ellipse_center_x_px", "ellipse_semi_minor_px", "ellipse_angle_deg", "mask"}
    assert columns <= rows[0].extra.keys()


def broken(folder: Path, kind: str) -> None:
    good = folder / "0.png"
    if kind == "text":
        (folder / "bad.png").write_text("no image")
    elif kind == "truncated":
        (folder / "bad.png").write_bytes(good.read_bytes()[:900])
    elif kind == "nan":
        tifffile.imwrite(folder / "bad.tif", np.full((4, 4), np.nan, np.float32))


@pytest.mark.parametrize("kind", ["text", "truncated", "nan"])
def test_a_bad_file_is_named_and_nothing_is_left(tmp_path: Path, data, kind: str) -> None:  # type: ignore[no-untyped-def]
    source = a_folder(tmp_path / "in")
    broken(source, kind)
    code, _, said = data("import", "folder", source, "--out", tmp_path / "out", "--size", 16)
    assert code == 2
    assert "bad." in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    code, said, _ = data("check", source)
    assert code == 1
    assert "bad." in said


def test_empty_and_absent_folders(tmp_path: Path, data) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "empty").mkdir()
    for command in (("import", "folder"), ("import", "hc18"), ("check",)):
        for name in ("empty", "absent"):
            more = () if command == ("check",) else ("--out", tmp_path / "out")
            code, _, said = data(*command, tmp_path / name, *more)
            assert code == 2
            assert str(tmp_path / name) in said


def test_places_that_cannot_be_written(tmp_path: Path, data) -> None:  # type: ignore[no-untyped-def]
    source = a_folder(tmp_path / "in")
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file" / "out", Path("/proc/out"), tmp_path / "file", source):
        code, _, said = data("import", "folder", source, "--out", out, "--size", 16)
        assert code == 2
        assert str(out) in said
    assert (tmp_path / "file").read_text() == "mine"
    assert len(list(source.iterdir())) == 6


def test_table_that_does_not_fit(tmp_path: Path, data) -> None:  # type: ignore[no-untyped-def]
    source, table = a_folder(tmp_path / "in", count=2), tmp_path / "subjects.csv"
    for text, complaint in (
        ("file,subject\nnine.png,p\n", "'nine.png'"),
        ("file,subject\n", "no row for 2 of 2"),
        ("file,subject,pixel_spacing_mm\n0.png,p,wide\n1.png,p,1\n", "'wide'"),
    ):
        table.write_text(text)
        code, _, said = data(
            "import", "folder", source, "--out", tmp_path / "out", "--subjects", table
        )
        assert code == 2
        assert str(table) in said
        assert complaint in said
    table.write_text("file,subject\n0.png,p\n1.png,q\n")
    code, _, _ = data("import", "folder", source, "--out", tmp_path / "out", "--subjects", table)
    assert code == 0
    assert {row.subject for row in read_table(tmp_path / "out")} == {"p", "q"}


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["import", "folder"], ["import", "dhcp", "x", "--out", "y"], []]
)
def test_wrong_arguments_exit_with_2(arguments: list[str], capsys) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SystemExit) as exit_:
        main(["data", *arguments])
    assert exit_.value.code == 2


@pytest.mark.parametrize("held_out", [1, -0.1])
def test_impossible_fraction(tmp_path: Path, data, held_out: float) -> None:  # type: ignore[no-untyped-def]
    source = a_folder(tmp_path / "in")
    code, _, said = data(
        "import", "folder", source, "--out", tmp_path / "out", "--held-out", held_out
    )
    assert code == 2
    assert "--held-out" in said
    assert not (tmp_path / "out").exists()


def test_download_of_the_weights_is_reached_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fetalsynth.assessment.features import download

    def fetched(folder: Path) -> Path:
        return folder / "weights.pth"

    monkeypatch.setattr(download, "download_inception", fetched)
    assert main(["data", "download", "inception", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "Apache-2.0" in said
    assert f"--inception-weights {tmp_path / 'weights.pth'}" in said
