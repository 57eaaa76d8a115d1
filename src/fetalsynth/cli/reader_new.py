"""``fetalsynth reader new``: a blinded study from real and synthetic images or volumes."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Manifest
    from fetalsynth.reader.audit import Audit
    from fetalsynth.reader.making import Wanted
    from fetalsynth.reader.pipeline_sources import Sources


@dataclass(frozen=True)
class New:
    """Make a reader study: which images are real is in key.csv only. Not for clinical use."""

    real: Path
    """Real images or volumes: an artifact (its held-out rows are used) or a plain folder."""
    synthetic: tuple[Path, ...]
    """Synthetic ones: one or more artifacts or folders, each DIR or NAME=DIR."""
    out: Path
    """New folder for the study."""
    preset: Literal["standard", "pairs", "ultrasound-2022"] = "standard"
    """Confidence on six points; which of two is real; or the 2022 ultrasound study's questions."""
    n: int | None = None
    """Main images, half of them real; with preset pairs, pairs."""
    seed: int | None = None
    """Names every random draw, and is as secret as the key; drawn by itself where not given."""
    title: str | None = None
    """What readers see at the top."""
    consent: Path | None = None
    """Text file with what readers agree to, instead of a general one."""
    readers: int = 64
    """How many readers at most: each gets an order of their own."""
    practice: int | None = None
    """Images to practise on first, not among the main ones."""
    repeats: float | None = None
    """Share of the main images shown twice, to see how readers agree with themselves."""
    catch: float | None = None
    """Share of catch trials on top: noise and scrambled pictures that nobody takes for real."""
    obvious_real: Path | None = None
    """Real images beyond doubt, for half of the catch trials."""
    max_run: int = 3
    """Longest run of one class."""
    repeat_lag: int = 10
    """Screens at least between an image and its repeat, or a real head and its synthetic twin."""
    stratify: str = "gestational_age_weeks"
    """Numeric column of the real set's table; its thirds are equally many in the study."""
    size: int | None = None
    """Longer side in pixels, at most that of the coarsest set; default: that, or 5 per cent less
    where the sets differ, so that all are resampled."""
    margin: float = 0.05
    """Share cut off every side of all images, against marks of the frame."""
    floor: float = 0.0157
    """Grey values below this share of white become black in all, against almost-black grounds."""
    window: tuple[float, float] | None = None
    """Stored values that become black and white in all images; default: the pixel type's range."""
    allow_back: bool = False
    """Let readers go back; every change is logged."""
    no_audit: bool = False
    """Make the study even where something but the pictures gives the answer away."""


def run(arguments: list[str]) -> int:
    """Run the command: 0 where the study was made, 1 where it was not, because it leaks."""
    from fetalsynth.cli.notes import warnings_as_notes

    wanted = tyro.cli(New, args=arguments, prog="fetalsynth reader new")
    with warnings_as_notes():
        return new(wanted)


class _LeakError(Exception):
    """The study gives itself away, so it gets no name."""


def new(wanted: New) -> int:
    """Make the study that ``wanted`` describes, or say that it is there already."""
    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.reader.audit import audit_study, said, write_audit
    from fetalsynth.reader.making import make_study

    sources, making = _open(wanted), _wanted(wanted)
    manifest = _manifest(wanted, sources, making)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return 0
    seed = secrets.randbits(63) if wanted.seed is None else wanted.seed
    audit: Audit | None = None
    try:
        with building(wanted.out, manifest) as folder:
            study = make_study(folder, sources, wanted=making, seed=seed)
            if not wanted.no_audit:
                audit = audit_study(folder)
                write_audit(folder, audit)
                if audit.leaks:
                    raise _LeakError
            record_facts(folder, {"audit": audit.verdict if audit else "not run"})
    except _LeakError:
        assert audit is not None
        print(said(audit))
        print(
            f"fetalsynth: {wanted.out} was not made: readers could tell the classes apart by this. "
            "Mend it as said above, or take the risk with --no-audit",
            file=sys.stderr,
        )
        return 1
    for note in study.notes:
        print(note)
    print(said(audit) if audit else "audit: not run (--no-audit)")
    each = f"{study.practice} practice and {study.presentations - study.practice} main screens"
    print(f"study: {wanted.out} ({each}; keep {wanted.out / 'key.csv'} from readers)")
    return 0


def _open(wanted: New) -> Sources:
    from fetalsynth.reader.pipeline_sources import open_sources

    if not wanted.synthetic:
        raise UserError("--synthetic: name the folder of synthetic images")
    return open_sources(
        real=wanted.real,
        synthetic=_named(wanted.synthetic),
        obvious=wanted.obvious_real,
        window=wanted.window,
        stratify=wanted.stratify,
    )


def _named(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Sets by name: NAME=DIR, or the name of the folder."""
    found: dict[str, Path] = {}
    for given in folders:
        name, equals, path = str(given).partition("=")
        folder = Path(path) if equals and not given.exists() else given
        name = name if folder is not given else given.resolve().name
        if name in found or name in ("real", "obvious-real", "catch", ""):
            raise UserError(
                f"--synthetic {given}: name it otherwise, as NAME=DIR; {name!r} is taken"
            )
        found[name] = folder
    return found


def _wanted(wanted: New) -> Wanted:
    from fetalsynth.errors import explaining
    from fetalsynth.reader.making import Wanted
    from fetalsynth.reader.presets import CONSENT, design
    from fetalsynth.reader.study import Order

    _check(wanted)
    chosen = design(
        wanted.preset,
        n=wanted.n,
        practice=wanted.practice,
        repeats=wanted.repeats,
        catch=wanted.catch,
    )
    consent = CONSENT
    if wanted.consent is not None:
        with explaining(wanted.consent):
            consent = wanted.consent.read_text(encoding="utf-8").strip()
    return Wanted(
        design=chosen,
        order=Order(
            max_run=wanted.max_run,
            repeat_lag=wanted.repeat_lag,
            twin_lag=wanted.repeat_lag,
            repeats_share=chosen.repeats,
            catch_share=chosen.catch,
            readers=wanted.readers,
        ),
        preset=wanted.preset,
        name=wanted.out.resolve().name,
        title=wanted.title or chosen.title,
        consent=consent,
        allow_back=wanted.allow_back,
        stratify=wanted.stratify,
        size=wanted.size,
        margin=wanted.margin,
        floor=wanted.floor,
    )


def _check(wanted: New) -> None:
    bounds: dict[str, tuple[float, float, float]] = {
        "--readers": (wanted.readers, 1, 10_000),
        "--max-run": (wanted.max_run, 1, 1000),
        "--repeat-lag": (wanted.repeat_lag, 1, 1000),
        "--margin": (wanted.margin, 0, 0.4),
        "--floor": (wanted.floor, 0, 0.5),
        "--size": (wanted.size or 16, 16, 4096),
    }
    for option, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise UserError(f"{option} {value:g}: give a number from {low:g} to {high:g}")


def _manifest(wanted: New, sources: Sources, making: Wanted) -> Manifest:
    from dataclasses import asdict

    from fetalsynth.artifacts.manifest import draft

    settings: dict[str, Any] = asdict(making)
    del settings["name"]  # a study may be moved and called otherwise
    return draft(
        kind="reader-study",
        # the seed tells the ids and with the sources the truth: only its digest is kept
        configuration={
            **settings,
            "window": wanted.window,
            "seed_digest": _digest(wanted.seed),
            "audit": not wanted.no_audit,
        },
        synthetic=True,
        inputs=tuple(source.source for source in sources.all),
    )


def _digest(seed: int | None) -> str:
    from fetalsynth.artifacts.digest import digest_bytes

    return "drawn" if seed is None else digest_bytes(str(seed).encode())
