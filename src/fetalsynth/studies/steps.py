"""A step of a study: one command line, addressed by the content of what it is.

Every unit of work is a ``fetalsynth …`` command run as a process of its own in the study's folder.
Paths of the study's own results are relative to that folder, so that its final renaming breaks no
record; paths of data and weights are absolute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fetalsynth.artifacts.digest import digest_json
from fetalsynth.artifacts.manifest import is_artifact

RUNS = "runs"
LOGS = "logs"
STEPS = "steps"
Kind = Literal["train", "generate", "assess"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a study.

    ``command`` is what follows ``fetalsynth``; ``out`` is relative to the study's folder, and so
    are all paths of ``command`` that lie in it. ``parts`` names the artifacts in ``out`` where the
    command makes several, else ``out`` is the artifact. ``needs`` are names of steps that must be
    done before. ``threads`` and ``gpus`` are what it should be given. ``images`` is how many images
    it trains on (repetitions counted), generates or assesses, 0 where that is not known beforehand.
    """

    name: str
    kind: Kind
    command: tuple[str, ...]
    out: Path
    parts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    threads: int = 1
    gpus: int = 0
    images: int = 0


def address(stem: str, *, what: Mapping[str, Any]) -> str:
    """A readable name that is a function of ``what`` alone: stem and 10 hex digits of its digest.

    ``what`` must be plain JSON: kind, resolved settings, seed, names of needed steps, digests of
    data. Two steps of one name compute the same.
    """
    plain = re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-.")
    return f"{plain}-{digest_json(dict(what))[:10]}"


def log_path(folder: Path, name: str) -> Path:
    """Where the output of the step of this name is kept."""
    return folder / LOGS / f"{name}.log"


def is_whole(step: Step, folder: Path) -> bool:
    """Whether everything that the step makes lies finished in the study's ``folder``."""
    out = folder / step.out
    return all(is_artifact(out / part) for part in step.parts) if step.parts else is_artifact(out)


def growing(step: Step, folder: Path) -> list[Path]:
    """Folders that the step writes into while it runs."""
    out = folder / step.out
    whole = [out / part for part in step.parts] or [out]
    return [path.with_name(path.name + ".partial") for path in whole]


def option(name: str, value: Any) -> list[str]:
    """``--name value`` as the command line reads it.

    Underscores become hyphens, lists are spread, a truth value is ``--name`` or ``--no-name`` (the
    "no" stands after the last dot).
    """
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        parent, dot, last = flag.rpartition(".")
        return [f"--{flag}" if value else f"--{parent}{dot}no-{last}"]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [f"--{flag}", *map(str, value)]
    return [f"--{flag}", str(value)]
