"""The way through a study by requests: pages, drafts, answers, revisions, progress."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from fetalsynth.reader.database.inviting import invite_administrator, renew, revoke
from fetalsynth.reader.database.log import verify_log
from fetalsynth.reader.database.reading import read_answers
from fetalsynth.reader.server.app import create_app
from fetalsynth.reader.study import Questions
from reader_browser import FORM, GOOD, Visitor
from reader_folder import SLICES, Opened, open_study, write_reader_study

Visit = Callable[..., Visitor]


class Site:
    """An opened study behind its application; devices are made on demand."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.app = create_app(served=opened.served, database=opened.database)

    def device(self, code: str = "") -> Visitor:
        client = TestClient(self.app, base_url="http://127.0.0.1:8000")
        return Visitor(client, self.opened.tokens[code] if code else "")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    opened = open_study(write_reader_study(tmp_path / "study"), "R01", "R02")
    yield Site(opened)
    opened.database.close()


def made(tmp_path: Path, **settings: object) -> Site:
    return Site(open_study(write_reader_study(tmp_path / "other", **settings), "R01"))


def test_a_whole_study(site: Site) -> None:
    reader = site.device("R01")
    assert "Taking part is voluntary" in reader.page().text
    assert "tick the box" in reader.form("/consent", **{**FORM, "agree": ""}).text
    assert "faint greys" in reader.form("/consent", **FORM).text
    assert "not what the fields show" in reader.form("/display", dark="x", bright="x").text
    page = reader.form("/display", dark="x", bright="x", room="dark", anyway="yes")
    assert "Start the practice" in page.text
    assert reader.page("/read").url.path == "/read"
    assert reader.read_on() == 2
    assert reader.page().url.path == "/begin"
    assert reader.form("/begin").url.path == "/read"
    assert reader.read_on(lambda k: {**GOOD, "confidence": 1 + k % 6}) == 9
    assert "All 9 of your answers are stored" in reader.page().text

    rows = read_answers(site.opened.url)
    assert [row.position for row in rows] == list(range(1, 12))
    assert [row.block for row in rows] == ["practice"] * 2 + ["main"] * 9
    assert {row.years_experience for row in rows} == {10.0}
    assert [row.confidence for row in rows[2:]] == [1, 2, 3, 4, 5, 6, 1, 2, 3]
    assert [row.verdict for row in rows[2:8]] == ["synthetic"] * 3 + ["real"] * 3
    assert rows[2].item == rows[-1].item
    assert [row.presentation for row in rows] == [1] * 10 + [2]
    order = site.opened.served.orders[0]
    assert [row.item for row in rows] == [screen.item for screen in order]
    assert all(row.active_seconds == 1.5 and row.total_seconds == 2.5 for row in rows)
    assert all(row.shown_at is not None and row.shown_at <= row.submitted_at for row in rows)
    check = verify_log(site.opened.url)
    assert check.whole, check.problems


def test_the_hidden_digits_open_the_display_check(site: Site) -> None:
    reader = site.device("R01")
    reader.page()
    page = reader.form("/consent", **FORM).text
    digits = [line.rpartition("</text>")[0][-1] for line in page.splitlines() if "</text>" in line]
    assert len(digits) == 2
    assert reader.form("/display", dark=digits[0], bright=digits[1]).url.path == "/instructions"


def test_pages_send_a_reader_to_where_they_are(site: Site) -> None:
    reader = site.device("R01")
    for path in ("/", "/display", "/instructions", "/read", "/begin", "/finished"):
        assert reader.page(path).url.path == "/consent", path
    reader.begin()
    for path in ("/finished", "/begin", "/consent"):
        assert reader.page(path).url.path == "/instructions", path
    assert reader.page("/read").url.path == "/read"


def test_nothing_is_shown_before_consent(site: Site) -> None:
    reader = site.device("R01")
    assert reader.client.get("/api/current").status_code == 403


def test_main_items_wait_for_the_end_of_the_practice(site: Site) -> None:
    reader = site.device("R01")
    assert reader.begin()["block"] == "practice"
    reader.form("/begin")
    assert reader.current()["block"] == "practice"
    reader.read_on()
    assert reader.current() is None
    reader.form("/begin")
    assert reader.current()["block"] == "main"


def test_a_draft_comes_back_on_another_device(site: Site) -> None:
    reader = site.device("R01")
    screen = reader.begin()
    body = {"presentation": screen["presentation"], "confidence": 2, "tags": ["anatomy"]}
    spent = {"active": 3.0, "total": 4.0, "hidden": 1.0}
    assert reader.post("/api/draft", {**body, "seconds": spent}).status_code == 204
    assert reader.post("/api/draft", {**body, "quality": 4, "seconds": spent}).status_code == 204
    again = site.device("R01").current()
    assert again["presentation"] == screen["presentation"]
    assert again["draft"] == {
        "confidence": 2, "quality": 4, "tags": ["anatomy"], "choice": None, "seconds": spent
    }  # fmt: skip
    reader.answer(screen)
    assert reader.post("/api/draft", body).status_code == 204  # one that was late
    assert site.device("R01").current()["draft"] is None


def test_the_same_answer_twice_is_stored_once(site: Site) -> None:
    reader = site.device("R01")
    screen = reader.begin()
    first, second = reader.answer(screen), reader.answer(screen)
    assert (first.json()["outcome"], second.json()["outcome"]) == ("accepted", "same")
    assert first.json()["next"] == second.json()["next"]
    assert reader.answer(screen, confidence=1, quality=3).status_code == 409
    assert [row.confidence for row in read_answers(site.opened.url)] == [5]


def test_there_is_no_way_back(site: Site) -> None:
    reader = site.device("R01")
    screen = reader.begin()
    address = f"/stimulus/{screen['presentation']}/image"
    assert reader.client.get(address).status_code == 200
    reader.answer(screen)
    assert reader.client.get(address).status_code == 404
    assert reader.client.get("/api/back/1").status_code == 404


def test_a_way_back_where_allowed_is_logged_as_revision(tmp_path: Path) -> None:
    site = made(tmp_path, allow_back=True)
    reader = site.device("R01")
    screen = reader.to_main()
    reader.answer(screen)
    earlier = reader.client.get("/api/back/1").json()["next"]
    assert earlier["presentation"] == screen["presentation"]
    assert earlier["draft"]["confidence"] == 5
    assert reader.client.get(f"/stimulus/{screen['presentation']}/image").status_code == 200
    assert reader.client.get("/api/back/2").status_code == 404  # not answered yet
    assert reader.answer(earlier, confidence=1, quality=3).json()["outcome"] == "revised"
    row = read_answers(site.opened.url)[-1]
    assert (row.confidence, row.verdict, row.revision) == (1, "synthetic", 1)
    assert (row.active_seconds, row.total_seconds) == (3.0, 5.0)
    assert verify_log(site.opened.url).whole
    reader.read_on()
    assert reader.answer(earlier, confidence=2, quality=3).status_code == 409  # finished


@pytest.mark.parametrize(
    "given",
    [
        {"confidence": 7, "quality": 3},
        {"confidence": 0, "quality": 3},
        {"confidence": 3},
        {"quality": 3},
        {"confidence": 3, "quality": 6},
        {"confidence": 3, "quality": 3, "choice": "left"},
        {"confidence": 3, "quality": 3, "tags": ["nonsense"]},
        {"confidence": 3, "quality": 3, "tags": ["texture", "texture"]},
        {"confidence": 3.5, "quality": 3},
        {"confidence": True, "quality": 3},
        {"confidence": "3", "quality": 3},
        {"confidence": 3, "quality": 3, "seconds": {"active": -1}},
        {"confidence": 3, "quality": 3, "verdict": "real"},
    ],
)
def test_answers_to_other_questions_are_refused(site: Site, given: dict[str, object]) -> None:
    reader = site.device("R01")
    screen = reader.begin()
    assert reader.answer(screen, **given).status_code == 422
    assert read_answers(site.opened.url) == []


def test_binary_verdicts(tmp_path: Path) -> None:
    site = made(tmp_path, questions=Questions(verdict="binary", points=2))
    reader = site.device("R01")
    reader.begin()
    reader.read_on(lambda k: {"confidence": 1 + k, "quality": 3})
    rows = read_answers(site.opened.url)
    assert [(row.verdict, row.confidence) for row in rows] == [("synthetic", None), ("real", None)]


def test_pairs(tmp_path: Path) -> None:
    site = made(tmp_path, mode="pair")
    reader = site.device("R01")
    screen = reader.begin()
    left, right = (
        reader.client.get(f"/stimulus/{screen['presentation']}/{side}-image").content
        for side in ("left", "right")
    )
    assert left != right
    assert len(left) == len(right)
    assert reader.client.get(f"/stimulus/{screen['presentation']}/image").status_code == 404
    assert reader.answer(screen, choice="right").status_code == 200
    row = read_answers(site.opened.url)[0]
    assert (row.choice, row.verdict, row.confidence) == ("right", None, None)
    assert row.item2 == site.opened.served.orders[0][0].item2


def test_volumes_have_three_planes(tmp_path: Path) -> None:
    site = made(tmp_path, modality="volumes", size=16)
    reader = site.device("R01")
    screen = reader.begin()
    page = reader.page("/read").text
    for plane, count in SLICES.items():
        assert f'data-part="{plane}" data-slices="{count}"' in page
        response = reader.client.get(f"/stimulus/{screen['presentation']}/{plane}")
        assert Image.open(io.BytesIO(response.content)).size == (64, 48 if count < 13 else 64)
    assert reader.client.get(f"/stimulus/{screen['presentation']}/image").status_code == 404


def test_pictures_arrive_as_they_are(site: Site) -> None:
    reader = site.device("R01")
    screen = reader.begin()
    sent = reader.client.get(f"/stimulus/{screen['presentation']}/image").content
    item = site.opened.served.orders[0][0].item
    kept = (site.opened.folder / "stimuli" / f"{item}.png").read_bytes()
    assert sent[: len(kept)] == kept
    assert not any(sent[len(kept) :])
    pixels = [np.asarray(Image.open(io.BytesIO(data))) for data in (sent, kept)]
    np.testing.assert_array_equal(*pixels)


def test_progress_says_how_far_and_nothing_else(site: Site) -> None:
    token = invite_administrator(site.opened.database, study_id=site.opened.served.id)
    reader = site.device("R01")
    reader.to_main()
    reader.read_on(most=4)
    watcher = site.device()
    assert watcher.client.get(f"/a/{token}").status_code == 200
    page = watcher.page("/progress").text
    assert "4 of 9" in page
    assert "0 of 9" in page
    assert "R01" in page
    assert "4 more readers can be invited" in page
    for word in ("real<", "synthetic", "confidence", "quality", "speckle", "texture"):
        assert word not in page, word
    assert not any(item.id in page for item in site.opened.served.study.items)
    assert reader.page("/progress").status_code == 403


def test_renewed_and_revoked_links(site: Site) -> None:
    opened = site.opened
    reader = site.device("R01")
    screen = reader.begin()
    reader.answer(screen)
    fresh = renew(opened.database, study_id=opened.served.id, code="R01")
    assert reader.page().status_code == 403
    assert site.device().page(f"/r/{opened.tokens['R01']}").status_code == 404
    again = Visitor(site.device().client, fresh.token)
    assert again.current()["number"] == 2
    revoke(opened.database, study_id=opened.served.id, code="R01")
    assert again.page().status_code == 403
    assert site.device().page(f"/r/{fresh.token}").status_code == 404
    assert len(read_answers(opened.url)) == 1


def test_leaving_ends_the_session_on_the_server_too(site: Site) -> None:
    reader = site.device("R01")
    reader.page()
    kept = dict(reader.client.cookies)
    assert reader.form("/leave").status_code == 403
    thief = site.device()
    thief.client.cookies.update(kept)
    assert thief.page().status_code == 403
