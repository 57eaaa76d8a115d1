"""Many readers at once against the real server: how long they wait, and whether anything is lost.

Every reader is a connection of its own that does what the page does: fetch the picture, think,
send a draft, send the answer and get the next screen with it. ``--think 0`` lets all of them answer
as fast as the server can. In the end the stored answers are compared with the confirmed ones.

    python benchmarks/reader_load.py [--readers 50] [--answers 20] [--think 1.0] [--database URL]

The readers themselves need a share of the processor too; they run in this process, the server in
another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import resource
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fetalsynth.reader.database.log import verify_log
from fetalsynth.reader.database.reading import read_answers
from reader_browser import FORM
from reader_folder import open_study, write_reader_study
from reader_live import LiveServer

Spent = dict[str, list[float]]


class Connection:
    """One reader's browser: a kept connection, a cookie and a CSRF token."""

    def __init__(self, port: int, spent: Spent) -> None:
        self.port = port
        self.spent = spent
        self.cookie = self.csrf = ""

    async def open(self, token: str) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        head, _ = await self.ask("GET", f"/r/{token}")
        self.cookie = re.search(rb"set-cookie: ([^;]+)", head).group(1).decode()
        await self.look("/consent")
        await self.form("/consent", **FORM)
        await self.form("/display", dark="", bright="", anyway="yes")

    async def look(self, path: str) -> None:
        _, body = await self.ask("GET", path)
        found = re.search(rb'(?:name="csrf" value|data-csrf)="([0-9a-f]{64})"', body)
        self.csrf = found.group(1).decode() if found else self.csrf

    async def form(self, path: str, **fields: str) -> None:
        await self.ask("POST", path, urlencode({"csrf": self.csrf, **fields}))

    async def post(self, path: str, given: dict[str, object], *, kind: str) -> bytes:
        _, body = await self.ask("POST", path, json.dumps(given), kind=kind)
        return body

    async def ask(
        self, method: str, path: str, body: str = "", *, kind: str = ""
    ) -> tuple[bytes, bytes]:
        """Head and body of the response; its time is noted under ``kind``."""
        coded = "json" if body.startswith("{") else "x-www-form-urlencoded"
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: {self.cookie}"]
        lines += [f"X-CSRF-Token: {self.csrf}", f"Content-Length: {len(body)}"]
        lines += [f"Content-Type: application/{coded}", "", body]
        started = time.perf_counter()
        self.writer.write("\r\n".join(lines).encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        content = await self.reader.readexactly(int(found.group(1))) if found else b""
        if kind:
            assert head.split()[1] in (b"200", b"204"), head + content
            self.spent.setdefault(kind, []).append(time.perf_counter() - started)
        return head, content


async def read(connection: Connection, *, answers: int, think: float, seed: int) -> dict[str, int]:
    """Answer the practice and then ``answers`` screens; returns confirmed confidence by token."""
    draws = random.Random(seed)
    _, body = await connection.ask("GET", "/api/current")
    screen = json.loads(body)["next"]
    confirmed: dict[str, int] = {}
    while screen is not None and len(confirmed) < answers:
        token, confidence = screen["presentation"], draws.randint(1, 6)
        await connection.ask("GET", f"/stimulus/{token}/image", kind="picture")
        await asyncio.sleep(think * draws.uniform(0.5, 1.5))
        given = {"presentation": token, "confidence": confidence, "quality": 3, "tags": []}
        await connection.post("/api/draft", given, kind="draft")
        await asyncio.sleep(think * draws.uniform(0, 0.2))
        body = await connection.post("/api/answer", given, kind="answer")
        confirmed[token] = confidence
        screen = json.loads(body)["next"]
    return confirmed


async def all_readers(
    port: int, tokens: list[str], *, answers: int, think: float
) -> tuple[Spent, list[dict[str, int]], float]:
    """Times by kind of request, confirmed answers of every reader, and seconds of reading."""
    spent: Spent = {}
    connections = [Connection(port, spent) for _ in tokens]
    for connection, token in zip(connections, tokens, strict=True):
        await connection.open(token)
    started = time.perf_counter()
    confirmed = await asyncio.gather(
        *(
            read(connection, answers=answers, think=think, seed=k)
            for k, connection in enumerate(connections)
        )
    )
    return spent, confirmed, time.perf_counter() - started


def load(
    folder: Path, *, readers: int, answers: int, think: float, database: str | None = None
) -> tuple[Spent, list[dict[str, int]], float, str]:
    """Make a study (practice only, so that no page stands between), serve it and read it."""
    study = write_reader_study(folder / "study", main=1, practice=answers, readers=readers, size=64)
    codes = [f"R{k:02d}" for k in range(readers)]
    opened = open_study(study, *codes, url=database)
    opened.database.close()
    server = LiveServer(study, database=database)
    try:
        tokens = [opened.tokens[code] for code in codes]
        spent, confirmed, seconds = asyncio.run(
            all_readers(server.port, tokens, answers=answers, think=think)
        )
    finally:
        server.kill()
    return spent, confirmed, seconds, opened.url


def quantile(values: list[float], share: float) -> float:
    """The value below which that share lies (the nearest one)."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Print times and what was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--answers", type=int, default=20)
    parser.add_argument("--think", type=float, default=1.0, help="mean seconds before an answer")
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spent, confirmed, seconds, url = load(
            Path(folder),
            readers=wanted.readers,
            answers=wanted.answers,
            think=wanted.think,
            database=wanted.database,
        )
        stored = [row.confidence for row in read_answers(url)]
        check = verify_log(url)
    given = [value for one in confirmed for value in one.values()]
    print(f"{wanted.readers} readers, {len(given)} answers confirmed in {seconds:.1f} s")
    print(f"stored {len(stored)}, the same: {sorted(stored) == sorted(given)}; log {check.whole}")
    for kind, values in spent.items():
        median, high, worst = (1000 * quantile(values, share) for share in (0.5, 0.95, 1.0))
        print(
            f"{kind:<8} {len(values)} requests  median {median:6.1f} ms  "
            f"95 % {high:6.1f}  worst {worst:6.1f}"
        )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, requests = used.ru_utime + used.ru_stime, sum(map(len, spent.values()))
    print(f"server: {cpu:.1f} s of processor time with its start, for {requests} requests")


if __name__ == "__main__":
    main()
