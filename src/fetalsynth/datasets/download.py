"""HC18 from Zenodo: fetched, verified and unpacked into the layout that is read."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from fetalsynth.artifacts.digest import digest_file
from fetalsynth.datasets.fetching import ResumingDownloader
from fetalsynth.errors import UserError, explaining

ZENODO = "https://zenodo.org/records/1327317/files/"

# SHA-256 of the files of record 1327317. Zenodo itself publishes their MD5: 00eb8198b9a5… and
# 8402af5d137e… for the archives, c0761518fece… and 8476dc198cc6… for the tables.
HC18_FILES = {
    "training_set_pixel_size_and_HC.csv": (
        "1c08fa81c374c5f9509f3aa6a6568e4dc6cc5434ff82d0df731db7e4f25816b3"
    ),
    "test_set_pixel_size.csv": "215970c7334fcb3794c88d39cbe33fe334f4323cbce8cddeeda04aa5c0faf227",
    "training_set.zip": "fd20d7909df892cfbdc0850de18072dbdad4dc3bc0a57202d4cc818d4715de36",
    "test_set.zip": "6356d1171e5805dabb83af72c13eb2b32fc3d6c0c2015c58eb9ee083521e9bdd",
}


def download_hc18(
    out: Path, *, base_url: str = ZENODO, files: Mapping[str, str] = HC18_FILES
) -> Path:
    """Fetch ``files`` (name → SHA-256) from ``base_url`` into ``out`` and unpack the archives.

    What is there and whole is not fetched again; an interrupted transfer goes on. The archives are
    removed once unpacked. Returns ``out``, which
    :func:`fetalsynth.datasets.hc18.open_source` reads. Raises UserError where a transfer fails, a
    checksum differs (the file is removed) or an archive would write outside its folder.
    """
    with explaining(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, sha256 in files.items():
        folder = out / name.removesuffix(".zip")
        if name.endswith(".zip") and folder.is_dir():
            continue
        path = fetch_file(out, name, sha256=sha256, url=base_url + name)
        if name.endswith(".zip"):
            unpack(path, folder)
            path.unlink()
    return out


def fetch_file(out: Path, name: str, *, sha256: str, url: str) -> Path:
    """Fetch ``url`` to ``out``/``name`` unless it is there and whole; goes on where it stopped.

    Raises UserError where the transfer fails, the checksum differs, or another file is there.
    """
    import pooch

    path = out / name
    if path.exists():
        if digest_file(path) == sha256:
            return path
        raise UserError(f"{path}: differs from the published file; move it away and try again")
    partial = out / f"{name}.part"
    pooch.get_logger().setLevel("ERROR")
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=name,
            path=out,
            downloader=ResumingDownloader(partial=partial),
        )
    except ValueError as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"{url}: what was received does not have the published checksum and was removed; "
            "give the same command again, and if it stays so, tell the publisher"
        ) from error
    return path


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into ``folder``, whole or not at all.

    A leading folder of the same name inside the archive is dropped. Raises UserError for entries
    with absolute paths, ``..`` or links, and for a damaged archive.
    """
    partial = folder.with_name(folder.name + ".unpacking")
    with explaining(partial):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    try:
        with explaining(archive), zipfile.ZipFile(archive) as content:
            for entry in content.infolist():
                _unpack_entry(content, entry, partial, archive=archive, top=folder.name)
        partial.rename(folder)
    except zipfile.BadZipFile as error:
        raise UserError(f"{archive}: is damaged ({error}); delete it and try again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unpack_entry(
    content: zipfile.ZipFile, entry: zipfile.ZipInfo, partial: Path, *, archive: Path, top: str
) -> None:
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    link = stat.S_ISLNK(entry.external_attr >> 16)
    if link or name.is_absolute() or ".." in name.parts or ":" in entry.filename:
        raise UserError(
            f"{archive}: its entry {entry.filename!r} points outside the folder; "
            "do not trust this archive"
        )
    parts = name.parts[1:] if name.parts[:1] == (top,) else name.parts
    if entry.is_dir() or not parts:
        return
    target = partial.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with content.open(entry) as source, target.open("wb") as stream:
        shutil.copyfileobj(source, stream)
