"""Whole studies in a real Chromium, against the real server on loopback.

Set FETALSYNTH_SCREENSHOTS to a folder to keep the pictures of every page.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from fetalsynth.cli.main import main
from fetalsynth.reader.database.inviting import invite_administrator
from fetalsynth.reader.database.log import verify_log
from fetalsynth.reader.database.reading import read_answers
from reader_folder import Opened, open_study, write_reader_study
from reader_live import LiveServer

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESK = {"width": 1366, "height": 768}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("FETALSYNTH_SCREENSHOTS", tmp_path / "shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Desk:
    """One browser profile on the study; notes every request, and every error of the scripts."""

    def __init__(self, browser: Any, server: LiveServer, **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, **settings})
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.server = server
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def open(self, token: str, *, at: str) -> None:
        self.page.goto(f"{self.server.address}/r/{token}")
        self.page.wait_for_url(f"**{at}")

    def consent(self) -> None:
        self.page.select_option("[name=group]", "clinician")
        self.page.fill("[name=years]", "12")
        self.page.select_option("[name=reads]", "daily")
        self.page.select_option("[name=seen]", "never")
        self.page.check("[name=agree]")
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/display")

    def read_the_digits(self) -> None:
        dark, bright = self.page.locator("svg text").all_text_contents()
        self.page.fill("[name=dark]", dark)
        self.page.fill("[name=bright]", bright)
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/instructions")

    def shown(self, *, other_than: str = "") -> str:
        """Token of the screen that can be seen, once it can be."""
        self.page.wait_for_function(
            "old => { const at = document.getElementById('reading').dataset.shown;"
            " return at && at !== old }",
            arg=other_than,
        )
        return str(self.page.get_attribute("#reading", "data-shown"))

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def done(self) -> list[str]:
        """Close the browser profile; returns what it asked for from elsewhere, and errors."""
        self.context.close()
        elsewhere = [url for url in self.asked if urlsplit(url).hostname != "127.0.0.1"]
        return [url for url in elsewhere if not url.startswith(("data:", "blob:"))] + self.errors


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = open_study(write_reader_study(tmp_path / "study", main=5, size=64), "R01", "R02")
    yield made
    made.database.close()


@pytest.fixture
def server(opened: Opened) -> Iterator[LiveServer]:
    running = LiveServer(opened.folder)
    yield running
    running.kill()


def test_a_whole_study_with_the_keyboard(
    chromium: Any, opened: Opened, server: LiveServer, shots: Path
) -> None:
    desk = Desk(chromium, server)
    page = desk.page
    desk.open(opened.tokens["R01"], at="/consent")
    assert opened.tokens["R01"] not in page.url
    page.screenshot(path=shots / "1-consent.png", full_page=True)
    desk.consent()
    page.screenshot(path=shots / "2-display.png", full_page=True)
    desk.read_the_digits()
    page.screenshot(path=shots / "3-instructions.png", full_page=True)
    page.click("text=Start the practice")
    at = desk.shown()
    page.screenshot(path=shots / "4-practice.png")

    desk.keys("Enter")  # nothing is chosen yet
    assert "Still open" in page.inner_text("#note")
    desk.keys("2", "w", "a", "Enter")
    at = desk.shown(other_than=at)
    desk.keys("ArrowRight", "ArrowRight", "ArrowUp", "Enter")  # 4, then 5; quality 3
    page.wait_for_url("**/begin")
    page.screenshot(path=shots / "5-begin.png", full_page=True)
    desk.keys("Enter")
    page.wait_for_url("**/read")
    at = desk.shown()
    for confidence, quality in (("6", "t"), ("1", "q")):
        desk.keys(confidence, quality, "Enter")
        at = desk.shown(other_than=at)
    with page.expect_response("**/api/draft"):
        desk.keys("4", "e", "s")
    page.wait_for_timeout(300)
    page.screenshot(path=shots / "6-half-way.png")
    assert desk.done() == []  # the browser closes in the middle of the third

    desk = Desk(chromium, server)
    page = desk.page
    desk.open(opened.tokens["R01"], at="/read")
    assert desk.shown() == at
    assert page.inner_text("#place") == "3 of 6"
    pressed = page.locator("[aria-checked=true], [data-group][aria-pressed=true]")
    assert pressed.evaluate_all("all => all.map(one => one.dataset.value)") == ["4", "3", "anatomy"]
    desk.keys("Enter")
    for confidence in "565":
        at = desk.shown(other_than=at)
        desk.keys(confidence, "r", "Enter")
    page.wait_for_url("**/finished")
    page.screenshot(path=shots / "7-finished.png", full_page=True)
    assert "All 6 of your answers are stored" in page.inner_text("main")
    assert desk.done() == []

    rows = read_answers(opened.url)
    assert [row.confidence for row in rows] == [2, 5, 6, 1, 4, 5, 6, 5]
    assert [row.quality for row in rows] == [2, 3, 5, 1, 3, 4, 4, 4]
    assert [row.tags for row in rows][:5] == [("texture",), (), (), (), ("anatomy",)]
    assert {row.group for row in rows} == {"clinician"}
    for row in rows:
        assert row.total_seconds is not None
        assert row.active_seconds is not None
        assert 0 < row.active_seconds <= row.total_seconds < 60
    assert verify_log(opened.url).whole


def test_enter_on_a_link_follows_it_and_submits_nothing(
    chromium: Any, opened: Opened, server: LiveServer
) -> None:
    desk = Desk(chromium, server)
    desk.open(opened.tokens["R01"], at="/consent")
    desk.consent()
    desk.read_the_digits()
    desk.page.click("a.button")
    desk.shown()
    desk.keys("4", "e")
    desk.page.focus("a.leave")
    desk.keys("Enter")
    desk.page.wait_for_url("**/instructions")
    assert desk.done() == []
    assert read_answers(opened.url) == []


def test_the_progress_page(chromium: Any, opened: Opened, server: LiveServer, shots: Path) -> None:
    token = invite_administrator(opened.database, study_id=opened.served.id)
    desk = Desk(chromium, server)
    desk.page.goto(f"{server.address}/a/{token}")
    desk.page.wait_for_url("**/progress")
    desk.page.screenshot(path=shots / "8-progress.png", full_page=True)
    assert desk.page.locator("tbody tr").count() == 2
    assert desk.done() == []


def _grey(desk: Desk) -> np.ndarray:
    """(H, W) greys of the active canvas; 0 where nothing is drawn."""
    address = desk.page.evaluate(
        "() => document.querySelector('.pane.active canvas').toDataURL('image/png')"
    )
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"), float)[..., 0]


def _to_reading(desk: Desk, token: str) -> str:
    desk.open(token, at="/consent")
    desk.consent()
    desk.read_the_digits()
    desk.page.goto(f"{desk.server.address}/read")
    at = desk.shown()
    desk.page.wait_for_timeout(200)
    return at


def test_window_zoom_and_their_return_with_the_next_image(
    chromium: Any, opened: Opened, server: LiveServer
) -> None:
    desk = Desk(chromium, server)
    at = _to_reading(desk, opened.tokens["R01"])
    plain = _grey(desk)
    desk.keys("z", "z", "z")
    desk.page.wait_for_timeout(200)
    contrast = _grey(desk)
    assert contrast[plain > 0].std() > 1.2 * plain[plain > 0].std()
    desk.keys("0", "v", "v", "v", "v")
    desk.page.wait_for_timeout(200)
    assert _grey(desk).mean() > plain.mean() + 10
    desk.keys("0")
    desk.page.wait_for_timeout(200)
    np.testing.assert_array_equal(_grey(desk), plain)
    desk.keys("+", "+", "+")
    desk.page.wait_for_timeout(200)
    assert (_grey(desk) > 0).sum() > 1.2 * (plain > 0).sum()
    box = desk.page.locator(".pane canvas").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.page.mouse.move(*middle)
    desk.page.mouse.down()
    desk.page.mouse.move(middle[0] + 5, middle[1] - 90, steps=4)
    desk.page.mouse.up()
    desk.page.wait_for_timeout(200)
    brighter = _grey(desk)
    desk.keys("5", "e", "Enter")
    desk.shown(other_than=at)
    desk.page.wait_for_timeout(200)
    again = _grey(desk)
    assert brighter.mean() > again.mean() + 10
    assert (again > 0).any(axis=0).sum() == (plain > 0).any(axis=0).sum()
    assert desk.done() == []


def test_volumes_scroll_in_three_planes(chromium: Any, tmp_path: Path, shots: Path) -> None:
    folder = write_reader_study(tmp_path / "volumes", modality="volumes", main=2, size=32)
    opened = open_study(folder, "R01")
    server = LiveServer(folder)
    try:
        desk = Desk(chromium, server)
        _to_reading(desk, opened.tokens["R01"])
        captions = desk.page.locator("figcaption")
        assert captions.all_inner_texts() == ["sagittal 7/12", "coronal 8/14", "axial 6/10"]
        before = _grey(desk)
        desk.keys("ArrowDown", "ArrowDown")
        desk.page.wait_for_timeout(200)
        assert captions.all_inner_texts()[0] == "sagittal 9/12"
        assert np.abs(_grey(desk) - before).mean() > 2
        desk.keys("ArrowRight", "ArrowUp")
        desk.page.wait_for_timeout(200)
        assert captions.all_inner_texts() == ["sagittal 9/12", "coronal 7/14", "axial 6/10"]
        desk.page.locator("[data-part=axial] canvas").hover()
        desk.page.mouse.wheel(0, 100)
        desk.page.wait_for_timeout(200)
        assert captions.all_inner_texts()[2] == "axial 7/10"
        desk.page.screenshot(path=shots / "9-volume.png")
        assert desk.done() == []
    finally:
        server.kill()
        opened.database.close()


def test_pairs_by_touch_on_a_tablet(chromium: Any, tmp_path: Path, shots: Path) -> None:
    folder = write_reader_study(tmp_path / "pairs", mode="pair", main=2, size=48)
    opened = open_study(folder, "R01")
    server = LiveServer(folder)
    try:
        tablet = {"width": 820, "height": 1180}
        desk = Desk(chromium, server, viewport=tablet, has_touch=True, device_scale_factor=2)
        at = _to_reading(desk, opened.tokens["R01"])
        small = [
            box
            for one in desk.page.locator("aside button").all()
            if (box := one.bounding_box()) and min(box["width"], box["height"]) < 44
        ]
        assert not small
        desk.page.tap("[data-value=right]")
        desk.page.screenshot(path=shots / "10-pair-tablet.png")
        desk.page.tap("#submit")
        desk.shown(other_than=at)
        assert [row.choice for row in read_answers(opened.url)] == ["right"]
        assert desk.done() == []
    finally:
        server.kill()
        opened.database.close()


def test_an_answer_waits_for_a_server_that_comes_back(
    chromium: Any, opened: Opened, server: LiveServer
) -> None:
    desk = Desk(chromium, server)
    at = _to_reading(desk, opened.tokens["R01"])
    desk.keys("3", "e")
    server.kill()
    desk.keys("Enter")
    desk.page.get_by_text("Not stored yet").wait_for()
    again = LiveServer(opened.folder, port=server.port)
    try:
        desk.shown(other_than=at)
        assert [row.confidence for row in read_answers(opened.url)] == [3]
    finally:
        desk.context.close()
        again.kill()


def test_a_study_made_read_exported_and_analysed(
    chromium: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands from two sets of images to the report, with a reader in between."""
    for name, seed in (("real", "1"), ("synthetic", "2")):
        words = ["data", "phantom", "ultrasound", "--n", "30", "--size", "64", "--seed", seed]
        assert main([*words, "--out", str(tmp_path / name)]) == 0
    sets = ["--real", str(tmp_path / "real"), "--synthetic", str(tmp_path / "synthetic")]
    study = str(tmp_path / "study")
    made = ["reader", "new", *sets, "--out", study, "--n", "8", "--practice", "2", "--readers", "2"]
    assert main([*made, "--seed", "3", "--repeat-lag", "3", "--no-audit"]) == 0
    capsys.readouterr()
    assert main(["reader", "invite", study, "R01"]) == 0
    token = capsys.readouterr().out.partition("/r/")[2].split()[0]
    server = LiveServer(Path(study))
    try:
        desk = Desk(chromium, server)
        at, answered = _to_reading(desk, token), 0
        while not desk.page.url.endswith("/finished"):
            desk.keys(str(1 + answered % 6), "qwert"[answered % 5], "Enter")
            answered += 1
            desk.page.wait_for_function(
                "old => location.pathname !== '/read' ||"
                " document.getElementById('reading').dataset.shown !== old",
                arg=at,
            )
            if desk.page.url.endswith("/begin"):
                desk.keys("Enter")
                desk.page.wait_for_url("**/read")
            if desk.page.url.endswith("/read"):
                at = desk.shown(other_than=at)
        assert desk.done() == []
    finally:
        server.kill()
    assert main(["reader", "export", study, "--out", str(tmp_path / "answers")]) == 0
    with (tmp_path / "answers" / "answers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == answered
    assert [row["confidence"] for row in rows] == [str(1 + k % 6) for k in range(answered)]
    assert {row["truth"] for row in rows} == {"real", "synthetic"}
    report = tmp_path / "report"
    assert main(["reader", "analyse", str(tmp_path / "answers"), "--out", str(report)]) == 0
    assert (report / "report.html").is_file()


def test_time_without_attention_and_time_hidden(
    chromium: Any, opened: Opened, server: LiveServer
) -> None:
    """With the browser's clock in our hands: 10 s looked at, 100 s idle, 20 s in another tab."""
    desk = Desk(chromium, server)
    page = desk.page
    page.clock.install()
    at = _to_reading(desk, opened.tokens["R01"])
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    before = page.evaluate("performance.now()")
    page.clock.run_for(10_000)
    desk.keys("5")
    page.clock.run_for(100_000)
    page.mouse.move(300, 300)
    hide = (
        "hidden => { Object.defineProperty(document, 'hidden',"
        " { value: hidden, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')) }"
    )
    page.evaluate(hide, True)
    page.clock.run_for(20_000)
    page.evaluate(hide, False)
    desk.keys("e", "Enter")
    passed = (page.evaluate("performance.now()") - before) / 1000
    page.clock.resume()
    desk.shown(other_than=at)
    (row,) = read_answers(opened.url)
    assert row.total_seconds is not None
    assert row.active_seconds is not None
    assert row.hidden_seconds == pytest.approx(20, abs=0.5)
    early = row.total_seconds - passed  # between the picture and the clock's first halt
    assert 0 <= early < 30
    assert row.active_seconds == pytest.approx(early + 10 + 30, abs=1)
    assert passed == pytest.approx(130, abs=1)
    desk.context.close()
