"""Downloads: resumed, verified, unpacked safely; against a server on this machine."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.datasets.download import HC18_FILES, download_hc18, unpack
from fetalsynth.datasets.hc18 import open_source
from fetalsynth.errors import UserError


class Server:
    """Serves bytes by name; can break off in the middle or ignore ranges, and logs ranges."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.break_after: int | None = None
        self.knows_ranges = True
        self.ranges: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/files/"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.rsplit("/", 1)[-1]
        wanted = handler.headers.get("Range")
        self.ranges.append((name, wanted))
        if name not in self.files:
            handler.send_error(404)
            return
        whole = self.files[name]
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.knows_ranges else 0
        if start >= len(whole):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(whole) - start))
        handler.end_headers()
        body = whole[start:]
        handler.wfile.write(body if self.break_after is None else body[: self.break_after])


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()


def zipped(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def a_set() -> tuple[dict[str, bytes], dict[str, str]]:
    rng = np.random.default_rng(0)
    outline = np.zeros((60, 60), np.uint8)
    t = np.linspace(0, 7, 2000)
    y, x = np.rint(30 + 15 * np.sin(t)).astype(int), np.rint(30 + 20 * np.cos(t)).astype(int)
    outline[y, x] = 255
    image = png(rng.integers(0, 256, (60, 60), np.uint8))
    entries = {"training_set/000_HC.png": image, "training_set/000_HC_Annotation.png": png(outline)}
    table = b"filename,pixel size(mm),head circumference (mm)\n000_HC.png,0.5,55\n"
    files = {"training_set_pixel_size_and_HC.csv": table, "training_set.zip": zipped(entries)}
    return files, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


WHOLE = {
    "training_set_pixel_size_and_HC.csv",
    "training_set/000_HC.png",
    "training_set/000_HC_Annotation.png",
}


def test_download_ends_in_what_the_source_reads(tmp_path: Path, server: Server) -> None:
    server.files, sums = a_set()
    out = download_hc18(tmp_path / "hc18", base_url=server.url, files=sums)
    assert names(out) == WHOLE
    (image,) = open_source(out).images()
    assert image.subject == "000"
    asked = len(server.ranges)
    download_hc18(out, base_url=server.url, files=sums)
    assert len(server.ranges) == asked, "what is there is not fetched again"


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_interrupted_transfer_goes_on(tmp_path: Path, server: Server, knows_ranges: bool) -> None:
    server.files, sums = a_set()
    out = tmp_path / "hc18"
    server.break_after = 1000
    with pytest.raises(
        UserError, match=r"training_set\.zip: the transfer failed .* again to go on"
    ):
        download_hc18(out, base_url=server.url, files=sums)
    assert "training_set.zip" not in names(out)
    assert (out / "training_set.zip.part").stat().st_size == 1000
    server.break_after, server.knows_ranges = None, knows_ranges
    download_hc18(out, base_url=server.url, files=sums)
    assert server.ranges[-1] == ("training_set.zip", "bytes=1000-")
    assert names(out) == WHOLE


def test_a_transfer_that_broke_off_after_its_last_byte(tmp_path: Path, server: Server) -> None:
    server.files, sums = a_set()
    out = tmp_path / "hc18"
    out.mkdir()
    (out / "training_set.zip.part").write_bytes(server.files["training_set.zip"])
    download_hc18(out, base_url=server.url, files=sums)
    assert names(out) == WHOLE


def test_wrong_checksum_leaves_nothing_that_looks_whole(tmp_path: Path, server: Server) -> None:
    server.files, sums = a_set()
    server.files["training_set.zip"] = zipped({"training_set/000_HC.png": b"other"})
    out = tmp_path / "hc18"
    with pytest.raises(UserError, match=r"training_set\.zip: what was received does not have"):
        download_hc18(out, base_url=server.url, files=sums)
    assert names(out) == {"training_set_pixel_size_and_HC.csv"}


def test_a_users_file_of_that_name_is_kept(tmp_path: Path, server: Server) -> None:
    server.files, sums = a_set()
    table = tmp_path / "training_set_pixel_size_and_HC.csv"
    table.write_text("mine")
    with pytest.raises(UserError, match="differs from the published file; move it away"):
        download_hc18(tmp_path, base_url=server.url, files=sums)
    assert table.read_text() == "mine"


def test_absent_file_and_absent_server(tmp_path: Path, server: Server) -> None:
    _, sums = a_set()
    with pytest.raises(UserError, match=r"the transfer failed .*404"):
        download_hc18(tmp_path / "a", base_url=server.url, files=sums)
    with pytest.raises(UserError, match="the transfer failed"):
        download_hc18(tmp_path / "b", base_url="http://127.0.0.1:9/", files=sums)
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    with pytest.raises(UserError, match="file"):
        download_hc18(occupied / "c", base_url=server.url, files=sums)


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png"])
def test_archives_that_reach_outside_are_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "a" / "set.zip"
    archive.parent.mkdir()
    archive.write_bytes(zipped({"ok.png": b"1", name: b"2"}))
    with pytest.raises(UserError, match=r"set\.zip: its entry .* points outside"):
        unpack(archive, tmp_path / "a" / "set")
    assert names(tmp_path) == {"a/set.zip"}


def test_links_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr(entry, "/etc/passwd")
    with pytest.raises(UserError, match="points outside"):
        unpack(archive, tmp_path / "set")
    archive.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"set\.zip: is damaged"):
        unpack(archive, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_published_checksum_of_a_file_that_is_here(hc18_folder: Path) -> None:
    name = "training_set_pixel_size_and_HC.csv"
    assert hashlib.sha256((hc18_folder / name).read_bytes()).hexdigest() == HC18_FILES[name]
