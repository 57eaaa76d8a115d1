"""Answers out of the database, joined with the key; what other programs read."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import draft
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.reader.analysis_rows import COLUMNS, read_rows, rows_csv
from fetalsynth.reader.export import MEANINGS, codebook_csv, mrmc_csv
from fetalsynth.reader.simulated import SimulatedStudy, simulated_answers, simulated_readers
from fetalsynth.reader.study import (
    Item,
    KeyRow,
    Order,
    Presentation,
    Questions,
    Study,
    read_key,
    read_study,
    write_study,
)

sqlalchemy = pytest.importorskip("sqlalchemy", reason="needs the optional part 'reader'")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Eight main images, one shown twice, one practice; one reader's order."""
    return _study(tmp_path / "study")


def _study(out: Path, *, pair: bool = False) -> Path:
    ids = [f"{number:032x}" for number in range(10)]
    key = {
        id: KeyRow(
            id=id,
            truth="synthetic" if number % 2 else "real",
            role="practice" if number == 9 else ("catch" if number == 8 else "main"),
            set="dcgan" if number % 2 else "hc18",
            source_file=f"images/{number}.png",
            source_sha256=f"{number:064x}",
            gestational_age_weeks=20.0 + number,
        )
        for number, id in enumerate(ids)
    }
    items = tuple(
        Item(id=id, block="practice" if id == ids[9] else "main", width=8, height=8) for id in ids
    )
    if pair:
        order = tuple(Presentation(item=ids[k], item2=ids[k + 1]) for k in range(0, 8, 2))
        asked = Questions(verdict="choice", points=2, quality=0, quality_labels=())
    else:
        order = (
            Presentation(item=ids[9], block="practice"),
            *(Presentation(item=id) for id in ids[:9]),
            Presentation(item=ids[1], presentation=2),
        )
        asked = Questions()
    study = Study(
        name="study",
        title="A study",
        preset="standard",
        mode="pair" if pair else "single",
        modality="images",
        questions=asked,
        consent="yes",
        allow_back=False,
        practice=1,
        main=9,
        presentations=len(order),
        items=items,
        order=Order(),
        seed_digest="0" * 64,
    )
    manifest = draft(kind="reader-study", configuration={"test": pair}, synthetic=True)
    with building(out, manifest) as folder:
        write_study(folder, study, orders=(order, order), key=key)
        (folder / "stimuli").mkdir()
        for id in ids:
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "stimuli" / f"{id}.png")
    return out


def _read(folder: Path, url: str, codes: list[str], *, pair: bool = False) -> None:
    """Readers answer all that they are shown, through the functions that the server uses."""
    from fetalsynth.reader.database import access, answering, inviting, showing
    from fetalsynth.reader.database.opening import open_database
    from fetalsynth.reader.study import read_orders

    database = open_database(url, create=True)
    name = {"study_id": "study-1"}
    inviting.register_study(database, digest="d", title="t", **name)
    made = inviting.invite(
        database, codes=codes, group="clinician", orders=read_orders(folder), **name
    )
    for invitation in made:
        session = access.enter(database, token=invitation.token, administrator=False, **name)
        with database.reading() as connection:
            reader = access.reader_of(connection, session=session, **name)
        about = {"group": "clinician", "years_experience": 10.0, "expertise": {}}
        access.consent(database, reader_id=reader.id, **about, **name)
        access.note_display(database, reader_id=reader.id, display={}, **name)
        while True:
            with database.reading() as connection:
                reader = access.reader_of(connection, session=session, **name)
                shown = showing.current(connection, reader=reader)
            if shown is None and reader.practised:
                break
            if shown is None:
                access.begin_main(database, reader_id=reader.id, **name)
                continue
            answering.mark_shown(database, shown=shown)
            answering.submit(
                database,
                reader=reader,
                token=shown.token,
                answer=_answer(pair),
                timing=answering.Timing(active_seconds=3, total_seconds=4, hidden_seconds=0),
                allow_back=False,
                **name,
            )
    database.close()


def _answer(pair: bool):
    from fetalsynth.reader.database.showing import Answer

    if pair:
        return Answer(choice="left")
    return Answer(verdict="synthetic", confidence=2, quality=3, tags=("texture", "anatomy"))


def test_export_joins_answers_with_the_key(study: Path, tmp_path: Path, capsys) -> None:
    url = f"sqlite:///{tmp_path / 'study.answers.sqlite'}"
    _read(study, url, ["anna", "ben"])
    out = tmp_path / "export"
    assert main(["reader", "export", str(study), "--out", str(out)]) == 0
    rows = read_rows(out / "answers.csv")
    assert len(rows) == 22
    key = read_key(study)
    for row in rows:
        known = key[row.item]
        assert (row.truth, row.role, row.set) == (known.truth, known.role, known.set)
        assert row.source_file == known.source_file
        assert row.correct == int(known.truth == "synthetic")
        assert row.tags == "texture;anatomy"
        assert (row.group, row.years_experience) == ("clinician", 10.0)
    assert Counter(row.presentation for row in rows) == {1: 20, 2: 2}
    assert Counter(row.block for row in rows) == {"practice": 2, "main": 20}
    assert main(["reader", "export", str(study), "--out", str(out)]) == 0
    assert "already done" in capsys.readouterr().out


def test_answers_changed_in_the_database_are_said_in_export_and_report(
    study: Path, tmp_path: Path, capsys
) -> None:
    path = tmp_path / "study.answers.sqlite"
    _read(study, f"sqlite:///{path}", ["anna", "ben"])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answers SET verdict = 'real', confidence = 6 WHERE id = 3")
    out, result = tmp_path / "export", tmp_path / "result"
    assert main(["reader", "export", str(study), "--out", str(out)]) == 0
    assert "log of answers does not hold" in capsys.readouterr().err
    assert main(["reader", "analyse", str(out), "--out", str(result)]) == 0
    said = "The log of answers does not hold (answer to presentation 3: differs from the log)"
    assert said in capsys.readouterr().out
    assert said in (result / "report.html").read_text(encoding="utf-8")


def test_export_of_more_answers_does_not_overwrite(study: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    command = ["reader", "export", str(study), "--database", url, "--out", str(tmp_path / "e")]
    _read(study, url, ["anna"])
    assert main(command) == 0
    before = (tmp_path / "e" / "answers.csv").read_bytes()
    _read(study, url, ["ben"])
    assert main(command) == 2
    assert (tmp_path / "e" / "answers.csv").read_bytes() == before


def test_export_of_pairs(tmp_path: Path) -> None:
    study = _study(tmp_path / "pairs", pair=True)
    _read(study, f"sqlite:///{tmp_path / 'pairs.answers.sqlite'}", ["anna"], pair=True)
    out = tmp_path / "export"
    assert main(["reader", "export", str(study), "--out", str(out)]) == 0
    rows = read_rows(out / "answers.csv")
    assert len(rows) == 4
    assert all(row.item2 and row.choice == "left" for row in rows)
    assert all(row.correct == int(row.truth == "real") for row in rows)
    assert {row.set for row in rows} == {"dcgan"}
    assert not (out / "mrmc.csv").exists()


def test_export_says_what_is_missing(study: Path, tmp_path: Path, capsys) -> None:
    assert main(["reader", "export", str(study), "--out", str(tmp_path / "e")]) == 2
    assert "fetalsynth: error:" in capsys.readouterr().err
    inside = study / "export"
    assert main(["reader", "export", str(study), "--out", str(inside)]) == 2
    assert "inside the study" in capsys.readouterr().err
    (study / "key.csv").unlink()
    assert main(["reader", "export", str(study), "--out", str(tmp_path / "e")]) == 2
    assert "key.csv" in capsys.readouterr().err


def test_rows_are_read_as_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    readers = simulated_readers(readers=2, d_prime=1, rng=rng)
    rows = simulated_answers(readers=readers, study=SimulatedStudy(), rng=rng)
    (tmp_path / "answers.csv").write_text(rows_csv(rows), encoding="utf-8")
    assert read_rows(tmp_path / "answers.csv") == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reader,item\na,b\n", "no column position, truth"),
        ("reader,position,item,truth\n", "no answers"),
        ("reader,position,item,truth\na,1,x,fake\n", "line 2: truth is 'fake'"),
        ("reader,position,item,truth\na,first,x,real\n", "line 2: position is 'first'"),
        ("reader,position,item,truth,quality\na,1,x,real,2.5\n", "quality is '2.5'"),
        ("reader,position,item,truth,verdict\na,1,x,real,yes\n", "verdict is 'yes'"),
        ("reader,position,item,truth\n,1,x,real\n", "no reader"),
        ("reader,position,item,truth,role\na,1,x,real,mian\n", "line 2: role is 'mian'"),
        ("reader,position,item,truth,choice\na,1,x,real,up\n", "line 2: choice is 'up'"),
        ("reader,position,item,truth,confidence\na,1,x,real,0\n", "count from 1"),
        ("reader,position,item,truth,verdict,correct\na,1,x,real,real,0\n", "correct is 0"),
        ("reader,position,item,truth,verdict,correct\na,1,x,real,real,7\n", "correct is 7"),
        (f"reader,position,item,truth\n{'a' * 200_000},1,x,real\n", "is no table"),
    ],
)
def test_tables_made_elsewhere_are_checked(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_rows(path)


def test_what_is_right_follows_from_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    head = "reader,position,item,truth,verdict,item2,choice\n"
    cells = ["real,real,,", "real,synthetic,,", "synthetic,,y,right", "real,,y,right", "real,,,"]
    lines = [f"a,{k},x{k},{text}\n" for k, text in enumerate(cells)]
    path.write_text(head + "".join(lines), encoding="utf-8")
    assert [row.correct for row in read_rows(path)] == [1, 0, 1, 0, None]


def test_mrmc_layout() -> None:
    """As iMRMC wants it: truth rows, one score per reader, case and modality, higher = signal."""
    rng = np.random.default_rng(1)
    readers = simulated_readers(readers=3, d_prime=4, rng=rng)
    study = SimulatedStudy(sets=("a", "b"))
    rows = simulated_answers(readers=readers, study=study, rng=rng)
    table = list(csv.DictReader(io.StringIO(mrmc_csv(rows))))
    assert list(table[0]) == ["readerID", "caseID", "modalityID", "score"]
    truth = {row["caseID"]: row["score"] for row in table if row["readerID"] == "truth"}
    assert all(row["modalityID"] == "truth" for row in table if row["readerID"] == "truth")
    assert Counter(truth.values()) == {"0": 30, "1": 30}
    scores = [row for row in table if row["readerID"] != "truth"]
    counts = Counter((r["readerID"], r["caseID"], r["modalityID"]) for r in scores)
    assert set(counts.values()) == {1}
    assert len(scores) == 3 * (30 + 2 * 30)  # each synthetic case once, real ones under both sets
    signal = [float(r["score"]) for r in scores if truth[r["caseID"]] == "1"]
    noise = [float(r["score"]) for r in scores if truth[r["caseID"]] == "0"]
    assert np.mean(signal) > np.mean(noise) + 2


def test_codebook_tells_every_column(study: Path) -> None:
    assert set(MEANINGS) == set(COLUMNS)
    book = {
        row["column"]: row for row in csv.DictReader(io.StringIO(codebook_csv(read_study(study))))
    }
    assert list(book) == list(COLUMNS)
    assert book["confidence"]["values"] == "1 to 6"
    assert "5 very good" in book["quality"]["values"]
