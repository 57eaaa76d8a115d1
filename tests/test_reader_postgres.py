"""The same study on a real PostgreSQL, started here from Debian's packages on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from fetalsynth.errors import UserError
from fetalsynth.reader.database.log import verify_log
from fetalsynth.reader.database.opening import open_database
from fetalsynth.reader.database.reading import read_answers
from fetalsynth.reader.server.app import create_app
from reader_browser import GOOD, Visitor
from reader_folder import open_study, write_reader_study
from reader_live import LiveServer, free_port

pytestmark = pytest.mark.slow
_NEWEST_FIRST = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)


def _as_postgres(words: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root; the package's user does it then."""
    return ["runuser", "-u", "postgres", "--", *words] if os.geteuid() == 0 else words


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    pytest.importorskip("psycopg")
    if not _NEWEST_FIRST:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    programs = _NEWEST_FIRST[0].parent
    folder = Path(tempfile.mkdtemp(prefix="reader-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data, port = folder / "data", free_port()
    initialise = [str(programs / "initdb"), "-D", str(data), "-U", "reader", "-A", "trust"]
    subprocess.run(_as_postgres(initialise), check=True, capture_output=True, cwd=folder)
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    control = [str(programs / "pg_ctl"), "-D", str(data), "-w"]
    start = [*control, "-l", str(folder / "log"), "-o", settings, "start"]
    subprocess.run(_as_postgres(start), check=True, stdout=subprocess.DEVNULL, cwd=folder)
    try:
        yield f"postgresql://reader@127.0.0.1:{port}"
    finally:
        stop = [*control, "-m", "immediate", "stop"]
        subprocess.run(_as_postgres(stop), check=True, stdout=subprocess.DEVNULL, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def url(server_url: str, request: pytest.FixtureRequest) -> str:
    """An empty database of this test's own."""
    name = f"test_{abs(hash(request.node.name)) % 10**8}"
    address = server_url.replace("postgresql:", "postgresql+psycopg:") + "/postgres"
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server_url}/{name}"


def test_a_whole_study_on_postgresql(tmp_path: Path, url: str) -> None:
    opened = open_study(write_reader_study(tmp_path / "study", allow_back=True), "R01", url=url)
    app = create_app(served=opened.served, database=opened.database)
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    reader = Visitor(client, opened.tokens["R01"])
    screen = reader.to_main()
    draft = {"presentation": screen["presentation"], "confidence": 2, "tags": ["anatomy"]}
    assert reader.post("/api/draft", draft).status_code == 204
    assert reader.current()["draft"]["tags"] == ["anatomy"]
    assert reader.answer(screen).json()["outcome"] == "accepted"
    assert reader.answer(screen).json()["outcome"] == "same"
    assert reader.answer(screen, **{**GOOD, "tags": ["ärger"]}).status_code == 422
    assert reader.answer(screen, **{**GOOD, "confidence": 1}).json()["outcome"] == "revised"
    assert reader.read_on() == 8
    rows = read_answers(url)
    assert [row.position for row in rows] == list(range(1, 12))
    assert (rows[2].confidence, rows[2].revision, rows[2].active_seconds) == (1, 1, 3.0)
    check = verify_log(url)
    assert check.whole, check.problems
    changed = text("UPDATE answers SET confidence = 6 WHERE confidence = 1")
    assert opened.database.write(lambda connection: connection.execute(changed).rowcount) == 1
    assert not verify_log(url).whole
    opened.database.close()


def test_two_servers_on_one_database_keep_one_chain(tmp_path: Path, url: str) -> None:
    """Two processes write at once; numbers of the log stay without gap or double."""
    codes = [f"R{k}" for k in range(6)]
    folder = write_reader_study(tmp_path / "study", main=20, readers=6, size=8)
    opened = open_study(folder, *codes, url=url)
    servers = [LiveServer(folder, database=url) for _ in range(2)]
    failures: list[BaseException] = []

    def work(k: int) -> None:
        import httpx

        try:
            with httpx.Client(base_url=servers[k % 2].address, timeout=60) as client:
                reader = Visitor(client, opened.tokens[codes[k]])
                reader.to_main()
                assert reader.read_on() == 21
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        server.kill()
    assert failures == []
    assert len(read_answers(url)) == 6 * 23
    check = verify_log(url)
    assert check.whole, check.problems
    opened.database.close()


def test_a_database_that_is_not_there_is_named_without_its_password(server_url: str) -> None:
    address = server_url.replace("reader@", "reader:secret@") + "/missing"
    with pytest.raises(UserError, match="missing") as raised:
        open_database(address, create=True)
    assert "secret" not in str(raised.value)
