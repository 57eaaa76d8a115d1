"""A new artifact grows in ``OUT.partial`` and becomes ``OUT`` by one rename when it is whole.

The request digest in the partial directory ties it to the command that began it: the same command
goes on with it, another command refuses to touch it. The manifest is written last, so a partial
directory that has one is whole and only lacks its name.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.contents import SUMS, write_sums
from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import FILENAME, Manifest, is_artifact, read_manifest
from fetalsynth.errors import UserError, explain, explaining

_REQUEST = ".request"
_LOCK = ".lock"
_FACTS = ".facts.json"
_OWN = (_REQUEST, _LOCK, _FACTS)
STATE = "state"  # folder for what only resuming needs; dropped when the artifact is whole


def is_done(out: Path, manifest: Manifest) -> bool:
    """Whether ``out`` already holds the result of this very request.

    A result that was whole when its process was killed gets its name now.
    Raises UserError where ``out`` holds anything else: nothing is ever overwritten.
    """
    if out.name in ("", "..") or out.resolve() == Path.cwd():
        raise UserError(f"{out}: the current folder cannot become a result; name a new folder")
    if (out.is_dir() and not any(out.iterdir())) or not (out.exists() or out.is_symlink()):
        return _named_now(partial_path(out), out, manifest)
    if not is_artifact(out):
        raise UserError(f"{out}: exists already and was not made by this command; choose another")
    if read_manifest(out).request == manifest.request:
        return True
    raise UserError(
        f"{out}: exists already, made with other settings or inputs; choose another --out "
        "or move it away"
    )


def partial_path(out: Path) -> Path:
    """Where the artifact ``out`` grows until it is whole."""
    return out.with_name(out.name + ".partial")


@contextmanager
def building(out: Path, manifest: Manifest, *, resumable: bool = False) -> Iterator[Path]:
    """Yield the directory to write into; on a clean exit it becomes ``out``.

    A resumable artifact left over by the same request is yielded with its files in place; any
    other leftover of this package is emptied when the request is the same and refused when not.
    The manifest is written last, with the digest of all other files but the resume state.
    """
    is_done(out, manifest)
    partial = partial_path(out)
    lock = _claim(partial, manifest, keep=resumable)
    try:
        yield partial
        _finish(partial, out, manifest)
    except BaseException:
        if not is_artifact(partial) and not (resumable and any(_user_files(partial))):
            shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def record_facts(partial: Path, facts: dict[str, Any]) -> None:
    """Note what became known while the artifact was made; ends up in the manifest's ``facts``."""
    write_text(partial / _FACTS, json.dumps({**_facts(partial), **facts}, allow_nan=False))


def _facts(partial: Path) -> dict[str, Any]:
    path = partial / _FACTS
    known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return known


def _named_now(partial: Path, out: Path, manifest: Manifest) -> bool:
    """Finish what a kill between the last file and the rename left undone; whether there was."""
    if not is_artifact(partial) or read_manifest(partial).request != manifest.request:
        return False
    lock = _lock(partial)
    try:
        _rename(partial, out)
    finally:
        os.close(lock)
    return True


def _claim(partial: Path, manifest: Manifest, *, keep: bool) -> int:
    """Make or take over the partial directory; returns the descriptor that holds its lock."""
    foreign = partial.exists() and not (partial / _REQUEST).is_file()
    if foreign and (not partial.is_dir() or any(_user_files(partial))):
        raise UserError(f"{partial}: is in the way and was not made by fetalsynth; move it away")
    with explaining(partial):
        partial.mkdir(parents=True, exist_ok=True)
    lock = _lock(partial)
    try:
        _check_request(partial, manifest, keep=keep)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _lock(partial: Path) -> int:
    with explaining(partial):
        lock = os.open(partial / _LOCK, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UserError(f"{partial}: another process is writing it; wait for that one") from error
    return lock


def _check_request(partial: Path, manifest: Manifest, *, keep: bool) -> None:
    request = partial / _REQUEST
    if request.is_file():
        if request.read_text() != manifest.request:
            raise UserError(
                f"{partial}: holds an unfinished run with other settings or inputs; give that "
                "command again to finish it, or delete the folder, or choose another --out"
            )
        for path in partial.rglob(".*.tmp") if keep else _user_files(partial):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_text(request, manifest.request)


def _user_files(partial: Path) -> list[Path]:
    return [path for path in partial.iterdir() if path.name not in (_LOCK, _REQUEST)]


def _finish(partial: Path, out: Path, manifest: Manifest) -> None:
    state = partial / STATE
    files = [p for p in partial.rglob("*") if p.is_file() and state not in p.parents]
    files = [p for p in files if p.name not in (*_OWN, FILENAME, SUMS)]
    update = {"content": write_sums(partial, files), "facts": _facts(partial)}
    whole = manifest.model_copy(update=update)
    os.sync()
    write_text(partial / FILENAME, whole.model_dump_json(indent=2) + "\n")
    _rename(partial, out)


def _rename(partial: Path, out: Path) -> None:
    shutil.rmtree(partial / STATE, ignore_errors=True)
    try:
        partial.rename(out)
    except OSError as error:
        if out.exists():
            raise UserError(
                f"{out}: appeared while it was being made; move it away and give the same command "
                f"again, which takes {partial}"
            ) from error
        raise explain(error, out) from error
    for name in _OWN:
        (out / name).unlink(missing_ok=True)
