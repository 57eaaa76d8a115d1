"""Commands ``reader serve`` and ``reader invite``, and many readers at once over sockets."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import httpx
import pytest

from fetalsynth.cli.main import main
from fetalsynth.reader.database.log import verify_log
from fetalsynth.reader.database.opening import default_url
from fetalsynth.reader.database.reading import read_answers
from reader_browser import Visitor
from reader_folder import open_study, write_reader_study
from reader_live import LiveServer


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_reader_study(tmp_path / "study", size=16)


def links(out: str) -> list[str]:
    return [word.rpartition("/")[2] for word in out.split() if "/r/" in word or "/a/" in word]


def test_invited_served_read_and_stopped(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reader", "invite", str(study), "R01", "R02", "--group", "engineer"]
    assert main([*words, "--address", "https://reader.example/"]) == 0
    out = capsys.readouterr().out
    assert "R01  https://reader.example/r/" in out
    first, second = links(out)
    assert main(["reader", "invite", str(study), "--administrator"]) == 0
    (watcher,) = links(capsys.readouterr().out)
    assert main(["reader", "invite", str(study), "R02", "--renew"]) == 0
    (renewed,) = links(capsys.readouterr().out)
    server = LiveServer(study)
    with httpx.Client(base_url=server.address, timeout=60) as client:
        reader = Visitor(client, first)
        reader.to_main()
        reader.read_on(most=3)
        assert client.get(f"/r/{second}").status_code == 404
        assert client.get(f"/r/{renewed}").status_code == 200
        assert client.get(f"/a/{watcher}").status_code == 200
        assert "3 of 9" in client.get("/progress").text
    said = server.stop()
    assert "stopped; all confirmed answers are stored" in said
    assert "Traceback" not in said
    assert "note: audit of this study: not run" in said
    assert first not in said
    assert len(read_answers(default_url(study))) == 5
    assert main(["reader", "invite", str(study), "R01", "--revoke"]) == 0
    assert "answers stay" in capsys.readouterr().out


def test_readers_at_once_over_sockets_lose_nothing(study: Path) -> None:
    codes = [f"R{k}" for k in range(6)]
    opened = open_study(study, *codes)
    opened.database.close()
    server = LiveServer(study)
    failures: list[BaseException] = []

    def work(code: str) -> None:
        try:
            with httpx.Client(base_url=server.address, timeout=60) as client:
                reader = Visitor(client, opened.tokens[code])
                reader.to_main()
                assert reader.read_on() == 9
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.kill()
    assert failures == []
    rows = read_answers(opened.url)
    assert [row.position for row in rows] == [*range(1, 12)] * 6
    assert verify_log(opened.url).whole


def test_a_port_in_use_is_said(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["reader", "serve", str(study), "--port", port]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_what_is_no_study_or_was_changed_is_refused(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reader", "serve", str(tmp_path)]) == 2
    assert "reader new" in capsys.readouterr().err
    path = study / "study.json"
    path.write_text(path.read_text().replace("voluntary", "compulsory"))
    assert main(["reader", "serve", str(study)]) == 2
    assert "study.json: was changed" in capsys.readouterr().err
    assert main(["reader", "invite", str(study), "R01"]) == 2


@pytest.mark.parametrize(
    "words", [[], ["R01", "--administrator"], ["R01", "--renew", "--revoke"], ["R9", "--renew"]]
)
def test_invitations_that_make_no_sense(
    study: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reader", "invite", str(study), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
