"""``SHA256SUMS``: the digest of every file of an artifact, so that later changes are noticed.

The file has the format of ``sha256sum``, which can check it without this package.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fetalsynth.artifacts.digest import digest_file, digest_json
from fetalsynth.artifacts.files import write_text
from fetalsynth.errors import UserError, explaining

SUMS = "SHA256SUMS"


def write_sums(folder: Path, files: Iterable[Path]) -> str:
    """Write the digests of ``files`` and return one digest of all their names and contents."""
    ordered = [path.relative_to(folder).as_posix() for path in sorted(files)]
    named = list(zip(ordered, _digests(folder, ordered), strict=True))
    write_text(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in named))
    return digest_json(named)


def verify_sums(folder: Path, *, content: str, only: Collection[str] = ()) -> None:
    """Raise UserError, naming the file, where an artifact is not what its manifest says.

    ``content`` is the manifest's digest. ``only`` limits the check to these files. Files that were
    added later are nobody's business.
    """
    path = folder / SUMS
    with explaining(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    named = [(name, digest) for digest, _, name in (line.partition("  ") for line in lines)]
    if digest_json(named) != content:
        raise UserError(f"{path}: does not belong to this result; restore the folder or make anew")
    named = [pair for pair in named if not only or pair[0] in only]
    digests = _digests(folder, [name for name, _ in named])
    for (name, expected), found in zip(named, digests, strict=True):
        if found != expected:
            raise UserError(
                f"{folder / name}: was changed after it was written; restore it, or make the "
                "result again"
            )


def _digests(folder: Path, names: list[str]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: digest_file(folder / name), names))
