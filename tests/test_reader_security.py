"""What a curious reader, another reader or a stranger might try."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from fetalsynth.reader.database.inviting import invite, invite_administrator, register_study
from fetalsynth.reader.database.reading import read_answers
from fetalsynth.reader.database.tables import administrators, metadata, readers, sessions
from fetalsynth.reader.server.app import create_app
from fetalsynth.reader.server.folder import load_study
from fetalsynth.reader.server.guard import BODY_LIMIT, Guard
from fetalsynth.reader.study import KEY, read_key
from reader_browser import FORM, GOOD, Visitor
from reader_folder import Opened, open_study, write_reader_study

HOME = "http://127.0.0.1:8000"


def device(app: Guard, token: str = "") -> Visitor:
    return Visitor(TestClient(app, base_url=HOME), token)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = open_study(write_reader_study(tmp_path / "study"), "R01", "R02")
    yield made
    made.database.close()


@pytest.fixture
def app(opened: Opened) -> Guard:
    return create_app(served=opened.served, database=opened.database)


@pytest.fixture
def reader(opened: Opened, app: Guard) -> Visitor:
    return device(app, opened.tokens["R01"])


def everything(reader: Visitor) -> Iterator[tuple[str, str, bytes]]:
    """Every response of a whole study: its address, headers and body."""

    def seen(response: object) -> tuple[str, str, bytes]:
        headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        return str(response.url), headers, response.content

    yield seen(reader.page())
    yield seen(reader.form("/consent", **FORM))
    yield seen(reader.form("/display", dark="", bright="", anyway="yes"))
    yield seen(reader.page("/read"))
    for _ in range(2):
        screen = reader.current()
        while screen is not None:
            yield seen(reader.client.get(f"/stimulus/{screen['presentation']}/image"))
            response = reader.answer(screen)
            yield seen(response)
            screen = response.json()["next"]
        yield seen(reader.page())
        yield seen(reader.form("/begin"))
    yield seen(reader.page("/finished"))


def test_nothing_that_is_received_names_an_item_its_role_or_its_set(
    opened: Opened, reader: Visitor
) -> None:
    key = read_key(opened.folder)
    stages = set()
    for address, headers, body in everything(reader):
        text = f"{address}\n{headers}\n" + body.decode("utf-8", "replace")
        stages.add(address.rpartition("/")[2])
        for id, row in key.items():
            assert id not in text
            assert row.source_file == "" or row.source_file not in text
        assert '"set"' not in text
        assert '"role"' not in text
        assert "item" not in headers
    assert "finished" in stages


def test_all_stimuli_are_alike_from_outside(opened: Opened, reader: Visitor) -> None:
    sizes = {path.stat().st_size for path in (opened.folder / "stimuli").iterdir()}
    assert len(sizes) > 2  # they differ on disk
    reader.begin()
    lengths, headers = set(), set()
    screen = reader.current()
    while screen is not None:
        response = reader.client.get(f"/stimulus/{screen['presentation']}/image")
        lengths.add(len(response.content))
        headers.add(tuple(response.headers.items()))
        screen = reader.answer(screen).json()["next"]
    assert lengths == {opened.served.stimulus_bytes}
    assert len(headers) == 1
    sent = dict(headers.pop())
    assert sent["cache-control"] == "no-store"
    assert sent["content-length"] == str(opened.served.stimulus_bytes)
    assert not {"etag", "last-modified", "accept-ranges", "set-cookie"} & set(sent)


def test_all_screens_are_described_alike(opened: Opened, reader: Visitor) -> None:
    screen = reader.to_main()
    shapes, names = set(), set()
    while screen is not None:
        names.add(screen.pop("presentation"))
        screen.pop("number")
        shapes.add(json.dumps(screen, sort_keys=True))
        token = reader.current()["presentation"]
        screen = reader.answer({"presentation": token}).json()["next"]
    assert len(shapes) == 1
    assert len(names) == 9  # the repeat has a name of its own


def test_readers_share_no_name_of_a_stimulus(opened: Opened, app: Guard) -> None:
    names: list[str] = []
    for code in ("R01", "R02"):
        reader = device(app, opened.tokens[code])
        screen = reader.to_main()
        while screen is not None:
            names.append(screen["presentation"])
            screen = reader.answer(screen).json()["next"]
    assert len(set(names)) == len(names) == 18
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)


def test_headers_of_every_response(opened: Opened, app: Guard, reader: Visitor) -> None:
    stranger = device(app)
    responses = [
        reader.page(),
        stranger.page(),
        stranger.page("/nothing"),
        stranger.page("/r/wrong"),
        stranger.client.get("/api/current"),
        stranger.client.post("/consent", content=b"x" * (BODY_LIMIT + 1)),
        stranger.client.request("PUT", "/consent"),
    ]
    statuses = [response.status_code for response in responses]
    assert statuses == [200, 403, 404, 404, 403, 413, 405]
    for response in responses:
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-frame-options"] == "DENY"
        assert "server" not in response.headers


def test_pages_load_nothing_from_elsewhere_and_hold_no_inline_code(reader: Visitor) -> None:
    for _, _, body in everything(reader):
        text = body.decode("utf-8", "replace")
        assert not re.search(r"https?://", text)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)


def test_the_server_works_without_the_key(tmp_path: Path) -> None:
    folder = write_reader_study(tmp_path / "study")
    (folder / KEY).unlink()
    opened = open_study(folder, "R01")
    reader = device(
        create_app(served=opened.served, database=opened.database), opened.tokens["R01"]
    )
    reader.to_main()
    assert reader.read_on() == 9
    assert len(read_answers(opened.url)) == 11
    opened.database.close()


def test_the_key_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    import io
    import os

    touched: list[str] = []
    for module, name in ((io, "open"), (os, "open"), (os, "stat")):
        kept = getattr(module, name)

        def watching(path: object, *rest: object, kept: object = kept, **more: object) -> object:
            touched.append(str(path))
            return kept(path, *rest, **more)

        monkeypatch.setattr(module, name, watching)
    served = load_study(opened.folder)
    reader = device(create_app(served=served, database=opened.database), opened.tokens["R01"])
    screen = reader.begin()
    assert reader.client.get(f"/stimulus/{screen['presentation']}/image").status_code == 200
    assert any("study.json" in path for path in touched)
    assert not [path for path in touched if path.endswith(KEY)]


def test_links_and_sessions_are_stored_as_hashes_only(
    opened: Opened, app: Guard, reader: Visitor
) -> None:
    secrets = [*opened.tokens.values(), *reader.client.cookies.values()]
    secrets.append(invite_administrator(opened.database, study_id=opened.served.id))
    assert all(len(secret) == 43 for secret in secrets)  # 256 bits in base 64
    with opened.database.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                assert not [s for s in secrets if s in repr(tuple(row))], table.name
        hashes = connection.execute(select(readers.c.token_hash)).scalars().all()
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes)


def test_cookies_are_out_of_reach(opened: Opened, app: Guard) -> None:
    for base, secure in ((HOME, False), ("https://reader.example", True)):
        client = TestClient(app, base_url=base)
        response = client.get(f"/r/{opened.tokens['R01']}")
        cookie = response.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert ("secure" in cookie) == secure
        assert "max-age" not in cookie
        assert opened.tokens["R01"] not in response.text
        assert opened.tokens["R01"].lower() not in cookie


def test_a_link_opens_one_study_only(tmp_path: Path, opened: Opened) -> None:
    """Two studies in one database, the other one's server asked with this one's link."""
    other = load_study(write_reader_study(tmp_path / "other", seed=1))
    register_study(opened.database, study_id=other.id, digest=other.digest, title="other")
    made = invite(opened.database, study_id=other.id, codes=["R01"], group="", orders=other.orders)
    app = create_app(served=other, database=opened.database)
    assert device(app).page(f"/r/{opened.tokens['R01']}").status_code == 404
    assert device(app, made[0].token).page().status_code == 200
    here = device(create_app(served=opened.served, database=opened.database))
    assert here.page(f"/r/{made[0].token}").status_code == 404
    intruder = device(app)
    session = next(iter(device(
        create_app(served=opened.served, database=opened.database), opened.tokens["R01"]
    ).client.cookies.values()))  # fmt: skip
    name = next(iter(device(app, made[0].token).client.cookies))
    intruder.client.cookies.set(name, session)
    assert intruder.page().status_code == 403


def test_readers_and_administrators_keep_apart(opened: Opened, app: Guard) -> None:
    token = invite_administrator(opened.database, study_id=opened.served.id)
    assert device(app).page(f"/r/{token}").status_code == 404
    assert device(app).page(f"/a/{opened.tokens['R01']}").status_code == 404
    watcher = device(app)
    watcher.client.get(f"/a/{token}")
    assert watcher.page("/progress").status_code == 200
    assert watcher.page("/").status_code == 403
    value = next(iter(watcher.client.cookies.values()))
    reader = device(app, opened.tokens["R02"])
    name = next(iter(reader.client.cookies))
    reader.client.cookies.clear()
    reader.client.cookies.set(name, value)
    assert reader.page("/").status_code == 403


@pytest.mark.parametrize("token", ["", "a", "A" * 43, "A" * 5000, "%00", "..%2f..", "' OR 1=1 --"])
def test_guessed_links_open_nothing(app: Guard, opened: Opened, token: str) -> None:
    visitor = device(app)
    for kind in "ra":
        assert visitor.client.get(f"/{kind}/{token}").status_code == 404
    assert not visitor.client.cookies
    with opened.database.reading() as connection:
        assert connection.execute(select(sessions)).first() is None
        assert connection.execute(select(administrators)).first() is None


def test_another_readers_presentations_do_not_exist(opened: Opened, app: Guard) -> None:
    first, second = (device(app, opened.tokens[code]) for code in ("R01", "R02"))
    screen = first.begin()
    second.begin()
    token = screen["presentation"]
    assert first.client.get(f"/stimulus/{token}/image").status_code == 200
    assert second.client.get(f"/stimulus/{token}/image").status_code == 404
    assert second.answer(screen).status_code == 404
    assert second.post("/api/draft", {"presentation": token, "confidence": 1}).status_code == 404
    assert read_answers(opened.url) == []
    assert first.current()["draft"] is None


def test_presentations_of_later_are_not_shown_before(opened: Opened, reader: Visitor) -> None:
    """Names cannot be guessed; but even one that leaked opens nothing before its time."""
    from fetalsynth.reader.database.tables import presentations

    screen = reader.begin()
    with opened.database.reading() as connection:
        chosen = select(presentations.c.stimulus_token).order_by(presentations.c.id)
        names = connection.execute(chosen).scalars().all()
    later = [name for name in names if name != screen["presentation"]]
    for name in later:
        assert reader.client.get(f"/stimulus/{name}/image").status_code == 404
        assert reader.answer({"presentation": name}).status_code == 404
    assert read_answers(opened.url) == []


@pytest.mark.parametrize(
    "path",
    [
        "/stimulus/{token}/..%2f..%2fkey.csv",
        "/stimulus/{token}/../../key.csv",
        "/stimulus/..%2f..%2f/key.csv",
        "/stimulus/{item}/image",
        "/stimuli/{item}.png",
        "/key.csv",
        "/study.json",
        "/static/{version}/..%2frendering.py",
        "/static/{version}/../app.py",
        "/static/x/style.css",
        "/docs",
        "/openapi.json",
        "/stimulus/{token}/",
        "/stimulus/{token}/left-image",
        "/stimulus/{token}/-image",
        "//etc/passwd",
    ],
)
def test_files_of_the_study_cannot_be_reached(opened: Opened, reader: Visitor, path: str) -> None:
    from fetalsynth.reader.server.rendering import static_version

    token = reader.begin()["presentation"]
    item = opened.served.orders[0][0].item
    address = path.format(token=token, item=item, version=static_version())
    assert reader.client.get(address).status_code == 404


def test_changes_need_the_token_of_the_page(opened: Opened, app: Guard, reader: Visitor) -> None:
    reader.page()
    real, other = reader.csrf, device(app, opened.tokens["R02"])
    other.page()
    for wrong in ("", "0" * 64, other.csrf, "é" * 64):
        reader.csrf = wrong
        assert reader.form("/consent", **FORM).status_code == 403
        assert reader.form("/leave").status_code == 403
    reader.csrf = real
    screen = reader.begin()
    for wrong in ("", "0" * 64, other.csrf):
        reader.csrf = wrong
        assert reader.answer(screen).status_code == 403
        draft = {"presentation": screen["presentation"]}
        assert reader.post("/api/draft", draft).status_code == 403
        for path in ("/display", "/begin"):
            assert reader.form(path).status_code == 403, path
    assert read_answers(opened.url) == []
    reader.csrf = real
    assert reader.answer(screen).status_code == 200


def changing_paths(routes: list[Any]) -> set[str]:
    """Paths of all routes that take more than GET, those of included routers too."""
    found = set()
    for route in routes:
        inner = getattr(getattr(route, "original_router", None), "routes", [])
        found |= changing_paths(inner)
        if (getattr(route, "methods", None) or {"GET"}) - {"GET", "HEAD"}:
            found.add(route.path)
    return found


def test_every_route_that_changes_something_checks_the_token(app: Guard) -> None:
    """A new route with a method other than GET must be added to the test above."""
    forms = {"/consent", "/display", "/begin", "/leave"}
    assert changing_paths(app.app.router.routes) == forms | {"/api/draft", "/api/answer"}


def test_bodies_are_limited_however_they_are_sent(opened: Opened, reader: Visitor) -> None:
    screen = reader.begin()
    large = {"presentation": screen["presentation"], "tags": ["x" * BODY_LIMIT]}
    assert reader.post("/api/answer", large).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(BODY_LIMIT // 1024 + 1):
            yield b"x" * 1024

    headers = {"X-CSRF-Token": reader.csrf, "Content-Type": "application/json"}
    sent = reader.client.post("/api/answer", content=pieces(), headers=headers)
    assert sent.status_code == 413
    assert reader.answer(screen, **GOOD).status_code == 200


def test_what_was_sent_is_not_repeated(opened: Opened, reader: Visitor) -> None:
    reader.begin()
    script = "<script>alert(1)</script>"
    for response in (
        reader.post("/api/answer", {"presentation": script}),
        reader.client.get(f"/{script}"),
        reader.form("/display", dark=script, bright=script),
    ):
        assert script not in response.text


def test_titles_and_codes_are_escaped(tmp_path: Path) -> None:
    opened = open_study(write_reader_study(tmp_path / "study"), "<b>R01</b>")
    app = create_app(served=opened.served, database=opened.database)
    reader = device(app, opened.tokens["<b>R01</b>"])
    assert "<b>R01</b>" not in reader.page().text
    assert "&lt;b&gt;R01" in reader.page().text
    opened.database.close()
