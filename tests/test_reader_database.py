"""The database of answers: chain, transactions, links, and what happens when a server is killed."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, insert, select

from fetalsynth.errors import UserError
from fetalsynth.reader.database import answering
from fetalsynth.reader.database.access import Reader, begin_main, enter, reader_of
from fetalsynth.reader.database.answering import Timing, submit
from fetalsynth.reader.database.inviting import invite
from fetalsynth.reader.database.log import GENESIS, canonical, lock_study, verify_log
from fetalsynth.reader.database.opening import default_url, open_database
from fetalsynth.reader.database.reading import log_head, progress, read_answers
from fetalsynth.reader.database.showing import Answer, current
from fetalsynth.reader.database.tables import presentations, readers, studies
from fetalsynth.reader.database.tokens import token_hash
from reader_browser import GOOD, Visitor
from reader_folder import Opened, open_study, write_reader_study
from reader_live import LiveServer

ANSWER = Answer(verdict="real", confidence=5, quality=3, tags=("texture", "größe"))
TIMING = Timing(active_seconds=1.25, total_seconds=2.5, hidden_seconds=0.1)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = open_study(write_reader_study(tmp_path / "study"), "R01", "R02")
    yield made
    made.database.close()


def reader(opened: Opened, code: str = "R01") -> Reader:
    """The reader as a fresh session of theirs would find them, past the practice."""
    study = opened.served.id
    session = enter(opened.database, study_id=study, token=opened.tokens[code], administrator=False)
    assert session is not None
    with opened.database.reading() as connection:
        found = reader_of(connection, study_id=study, session=session)
    assert found is not None
    begin_main(opened.database, study_id=study, reader_id=found.id)
    with opened.database.reading() as connection:
        found = reader_of(connection, study_id=study, session=session)
    assert found is not None
    return found


def answer_all(opened: Opened, who: Reader, *, most: int = 100) -> int:
    for count in range(most):
        with opened.database.reading() as connection:
            shown = current(connection, reader=who)
        if shown is None:
            return count
        submit(
            opened.database,
            study_id=opened.served.id,
            reader=who,
            token=shown.token,
            answer=ANSWER,
            timing=TIMING,
            allow_back=False,
        )
    return most


def tamper(opened: Opened, statement: str) -> None:
    opened.database.close()
    path = opened.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def test_answers_are_read_back_as_they_were_given(opened: Opened) -> None:
    who = reader(opened)
    assert answer_all(opened, who) == 11
    rows = read_answers(opened.url)
    assert {(r.verdict, r.confidence, r.quality, r.tags) for r in rows} == {
        ("real", 5, 3, ("texture", "größe"))
    }
    assert {(r.active_seconds, r.total_seconds, r.hidden_seconds) for r in rows} == {
        (1.25, 2.5, 0.1)
    }
    assert read_answers(opened.url, study_id="another") == []
    check = verify_log(opened.url)
    assert check.whole
    assert check.entries == 1 + 2 + 1 + 1 + 11 + 1  # study, invited, entered, practised, …
    with opened.database.reading() as connection:
        assert log_head(connection, study_id=opened.served.id) == (
            check.entries,
            check.heads[opened.served.id],
        )


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE answers SET confidence = 1 WHERE id = 3", "differs from the log"),
        ("UPDATE answers SET quality = NULL WHERE id = 3", "differs from the log"),
        ("DELETE FROM answers WHERE id = 3", "was removed"),
        (
            "UPDATE presentations SET item_id = (SELECT item_id FROM presentations WHERE id = 5) "
            "WHERE id = 4",
            "differs from the log",
        ),
        ("UPDATE presentations SET active_seconds = 9 WHERE id = 4", "differs from the log"),
        ("UPDATE presentations SET hidden_seconds = NULL WHERE id = 4", "differs from the log"),
        ("UPDATE presentations SET position = 99 WHERE id = 4", "differs from the log"),
        (
            "UPDATE presentations SET reader_id = 2, position = 99 WHERE id = 4",
            "differs from the log",
        ),
        ("UPDATE log SET payload = replace(payload, 'real', 'synthetic') WHERE seq = 8", "changed"),
        ("UPDATE log SET at = '2020-01-01' WHERE seq = 8", "changed"),
        ("UPDATE log SET reader_id = 2 WHERE seq = 8", "changed"),
        ("DELETE FROM log WHERE seq = 8", "is missing"),
        ("DELETE FROM log WHERE seq = 1", "is missing"),
        ("DELETE FROM log WHERE seq > 8", "is not in the log"),
        ("UPDATE log SET hash = previous_hash WHERE seq = 8", "does not follow"),
        (
            "INSERT INTO answers (presentation_id, verdict, tags, submitted_at, revision) "
            "SELECT max(id), 'real', '[]', '2026', 0 FROM presentations",
            "is not in the log",
        ),
    ],
)
def test_changes_behind_the_servers_back_are_noticed(
    opened: Opened, statement: str, problem: str
) -> None:
    answer_all(opened, reader(opened))
    assert verify_log(opened.url).whole
    tamper(opened, statement)
    check = verify_log(opened.url)
    assert not check.whole
    assert any(problem in line for line in check.problems), check.problems


def test_the_chain_is_what_the_documentation_says(opened: Opened) -> None:
    """Recomputed here from the words: SHA-256 of sorted, spaceless JSON with the hash before."""
    import hashlib

    answer_all(opened, reader(opened), most=3)
    opened.database.close()
    with closing(sqlite3.connect(opened.url.removeprefix("sqlite:///"))) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM log ORDER BY seq")]
    before = GENESIS
    for number, row in enumerate(rows, 1):
        stored = row.pop("hash")
        assert (row["seq"], row["previous_hash"]) == (number, before)
        text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        before = hashlib.sha256(text.encode()).hexdigest()
        assert stored == before


def test_canonical_json_has_one_form_and_no_nan() -> None:
    assert canonical({"b": [1.5, None], "a": "ü"}) == '{"a":"ü","b":[1.5,null]}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical(float("nan"))


def test_an_answer_and_its_log_entry_are_one_transaction(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = reader(opened)
    with opened.database.reading() as connection:
        shown = current(connection, reader=who)
    assert shown is not None
    before = verify_log(opened.url)

    def fails(*_: object, **__: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(answering, "append", fails)
    with pytest.raises(OSError, match="disk full"):
        answer_all(opened, who, most=1)
    assert read_answers(opened.url) == []
    assert verify_log(opened.url) == before


def test_readers_who_answer_at_once_break_neither_chain_nor_answers(tmp_path: Path) -> None:
    codes = [f"R{k:02d}" for k in range(8)]
    opened = open_study(write_reader_study(tmp_path / "study", readers=8), *codes)
    people = [reader(opened, code) for code in codes]
    threads = [threading.Thread(target=answer_all, args=(opened, who)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = read_answers(opened.url)
    assert len(rows) == 8 * 11
    assert [row.position for row in rows] == [*range(1, 12)] * 8
    assert verify_log(opened.url).whole
    opened.database.close()


def test_the_same_answer_at_once_is_stored_once(opened: Opened) -> None:
    who = reader(opened)
    with opened.database.reading() as connection:
        shown = current(connection, reader=who)
    assert shown is not None
    outcomes = []

    def send() -> None:
        outcome, _ = submit(
            opened.database,
            study_id=opened.served.id,
            reader=who,
            token=shown.token,
            answer=ANSWER,
            timing=TIMING,
            allow_back=False,
        )
        outcomes.append(outcome)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["accepted"] + ["same"] * 5
    assert len(read_answers(opened.url)) == 1


def test_every_reader_gets_the_next_order(opened: Opened) -> None:
    orders = opened.served.orders
    with opened.database.reading() as connection:
        for code, order in zip(("R01", "R02"), orders, strict=False):
            chosen = (
                select(presentations)
                .join(readers)
                .where(readers.c.code == code)
                .order_by(presentations.c.position)
            )
            rows = connection.execute(chosen).mappings().all()
            assert [(r["item_id"], r["presentation"], r["block"]) for r in rows] == [
                (screen.item, screen.presentation, screen.block) for screen in order
            ]
            assert len({row["stimulus_token"] for row in rows}) == len(rows)
    assert len(set(opened.tokens.values())) == 2


def test_invitations_are_all_or_none(opened: Opened) -> None:
    def more(*codes: str) -> None:
        invite(
            opened.database,
            study_id=opened.served.id,
            codes=codes,
            group="",
            orders=opened.served.orders,
        )

    with pytest.raises(UserError, match="invited already"):
        more("R03", "R01")
    with pytest.raises(UserError, match="not usable"):
        more("R03", "a\nb")
    with pytest.raises(UserError, match="made for 6 readers"):
        more("R03", "R04", "R05", "R06", "R07")
    with opened.database.reading() as connection:
        assert [row.code for row in progress(connection, study_id=opened.served.id)] == [
            "R01",
            "R02",
        ]
    more("R03", "R04", "R05", "R06")
    assert verify_log(opened.url).whole


def test_hashes_of_tokens_depend_on_the_study() -> None:
    assert token_hash("t", study_id="a") != token_hash("t", study_id="b")
    # no two splits of the same letters between study and token meet
    assert token_hash("bc", study_id="a") != token_hash("c", study_id="ab")


def test_only_a_known_study_is_locked(opened: Opened) -> None:
    with pytest.raises(LookupError, match="no study"):
        opened.database.write(lambda connection: lock_study(connection, study_id="another"))


def test_changes_that_share_a_transaction_fail_alone(opened: Opened) -> None:
    """All queued behind one slow change, so that the writer takes them together."""
    held, begun = threading.Event(), threading.Event()
    results: dict[int, object] = {}

    def slow(connection: Connection) -> None:
        begun.set()
        held.wait(10)

    def change(k: int) -> Callable[[Connection], int]:
        def run(connection: Connection) -> int:
            row = {"id": f"s{k}", "digest": "", "title": "", "created": ""}
            connection.execute(insert(studies).values(row))
            if k % 3 == 0:
                raise ValueError(f"no {k}")
            return k

        return run

    def ask(k: int) -> None:
        try:
            results[k] = opened.database.write(change(k))
        except ValueError as error:
            results[k] = str(error)

    threads = [threading.Thread(target=opened.database.write, args=(slow,))]
    threads[0].start()
    assert begun.wait(10)
    threads += [threading.Thread(target=ask, args=(k,)) for k in range(9)]
    for thread in threads[1:]:
        thread.start()
    held.set()
    for thread in threads:
        thread.join()
    assert results == {k: f"no {k}" if k % 3 == 0 else k for k in range(9)}
    with opened.database.reading() as connection:
        names = set(connection.execute(select(studies.c.id)).scalars())
    assert names - {opened.served.id} == {f"s{k}" for k in range(9) if k % 3}


def test_the_file_is_its_owners_and_written_through(opened: Opened) -> None:
    path = Path(opened.url.removeprefix("sqlite:///"))
    assert path.name == "study.answers.sqlite"
    assert path.stat().st_mode & 0o077 == 0

    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert opened.database.write(settings) == ["wal", 2, 1]  # 2 is FULL


def test_databases_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no answers yet"):
        read_answers(default_url(tmp_path / "nothing"))
    text = tmp_path / "text.sqlite"
    text.write_text("no database at all, but long enough to be looked at\n" * 20)
    with pytest.raises(UserError, match="cannot be opened"):
        open_database(f"sqlite:///{text}")
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE things (id INTEGER)")
    with pytest.raises(UserError, match="not a database of reader studies"):
        open_database(f"sqlite:///{other}", create=True)
    with pytest.raises(UserError, match="--database"):
        open_database("nonsense")
    with pytest.raises(UserError, match="--database"):
        open_database("nonsense://host/name")
    with pytest.raises(UserError, match="outlive"):
        open_database("sqlite://", create=True)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql://reader:secret@127.0.0.1:1/none"
    with pytest.raises(UserError) as raised:
        open_database(url)
    assert "secret" not in str(raised.value)


@pytest.mark.slow
def test_a_killed_server_loses_no_answer_that_it_confirmed(tmp_path: Path) -> None:
    """Three readers answer while the server is killed 20 times at random moments."""
    codes = ("R01", "R02", "R03")
    opened = open_study(
        write_reader_study(tmp_path / "study", main=1000, readers=3, size=8), *codes
    )
    opened.database.close()
    draws = random.Random(7)
    confirmed: dict[str, int] = {}
    sent: dict[str, int] = {}
    server = LiveServer(opened.folder)
    visitors = {code: Visitor(_client(server), opened.tokens[code]) for code in codes}
    for visitor in visitors.values():
        visitor.to_main()
    for _ in range(20):
        stop = threading.Event()
        threads = [
            threading.Thread(
                target=_answer_until, args=(visitor, stop, confirmed, sent, random.Random(k))
            )
            for k, visitor in enumerate(visitors.values())
        ]
        for thread in threads:
            thread.start()
        time.sleep(draws.uniform(0.2, 1.0))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        server = LiveServer(opened.folder, port=server.port)
    server.kill()
    stored = {_position(row): row.confidence for row in read_answers(opened.url)}
    tokens = _tokens(opened)
    kept = {tokens[place]: confidence for place, confidence in stored.items()}
    assert len(confirmed) > 100
    assert {token: kept.get(token) for token in confirmed} == confirmed
    unconfirmed = set(sent) - set(confirmed)  # one per reader and kill at most is in doubt
    assert len(unconfirmed) <= 60
    assert all(kept[token] == sent[token] for token in unconfirmed & set(kept))
    assert verify_log(opened.url).whole


def _client(server: LiveServer) -> httpx.Client:
    return httpx.Client(base_url=server.address, timeout=20)


def _answer_until(
    visitor: Visitor,
    stop: threading.Event,
    confirmed: dict[str, int],
    sent: dict[str, int],
    draws: random.Random,
) -> None:
    try:
        screen = visitor.current()
        while screen is not None and not stop.is_set():
            token, confidence = screen["presentation"], draws.randint(1, 6)
            sent[token] = confidence
            response = visitor.answer(screen, **{**GOOD, "confidence": confidence})
            assert response.status_code == 200, response.text
            confirmed[token] = confidence
            screen = response.json()["next"]
    except httpx.TransportError:
        return


def _position(row: object) -> tuple[str, int]:
    return row.reader, row.position


def _tokens(opened: Opened) -> dict[tuple[str, int], str]:
    database = open_database(opened.url)
    chosen = select(
        readers.c.code, presentations.c.position, presentations.c.stimulus_token
    ).select_from(presentations.join(readers))
    with database.reading() as connection:
        found = {(code, place): token for code, place, token in connection.execute(chosen)}
    database.close()
    return found
