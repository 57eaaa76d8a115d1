"""``fetalsynth anatomy sample``: new brains from a population model, checked one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.anatomy.population.model import Population
    from fetalsynth.artifacts.manifest import Input
    from fetalsynth.cli.anatomy_population_store import Donor

PICTURE = "brains.png"


@dataclass(frozen=True)
class Sample:
    """Draw new label maps of fetal brains from a population model.

    Every one is a real head of the model, near in age, in a new shape. Those that fail
    `anatomy check` are drawn anew, counted and listed in rejected.tsv. Not for clinical use.
    """

    model: Annotated[Path, tyro.conf.Positional]
    """Folder that `fetalsynth anatomy population` made."""
    out: Path
    """New folder for the label maps."""
    n: int = 10
    """How many."""
    weeks: tuple[float, float] | None = None
    """Youngest and oldest age; the model's own range if not given."""
    seed: int = 0
    """Names an endless row of brains; the first ones are the same for every n."""
    variability: float = 1.0
    """Times the variance seen among the model's heads, up to 2."""
    attempts: int = 8
    """How often one brain is drawn anew before it is given up."""
    images: Path | None = None
    """Folder with the real images of the model's heads, to be moved with their labels."""
    device: str = "auto"
    """auto, cpu or cuda."""


def run(arguments: list[str]) -> int:
    """Run the command: 0, or 1 where brains had to be given up."""
    wanted = tyro.cli(Sample, args=arguments, prog="fetalsynth anatomy sample")
    _check(wanted)

    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import draft, input_from, read_manifest
    from fetalsynth.cli.anatomy_population_store import read_population

    source = input_from(wanted.model, role="model", kind="model")
    population, donors = read_population(wanted.model)
    weeks = _range(wanted, population)
    images, shown = _images(wanted, donors)
    manifest = draft(
        kind="volumes",
        configuration={
            "source": "population model",
            "n": wanted.n,
            "weeks": list(weeks),
            "variability": wanted.variability,
            "attempts": wanted.attempts,
        },
        seed=wanted.seed,
        inputs=(source, *shown),
        synthetic=True,
    )
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out}")
        return int(bool(read_manifest(wanted.out).facts.get("given_up")))
    with building(wanted.out, manifest, resumable=True) as folder:
        from fetalsynth.cli.anatomy_sample_making import Maker

        maker = Maker(wanted, population, donors, images=images, weeks=weeks, source=source)
        facts = maker.make_all(folder, manifest.licences)
        record_facts(folder, facts)
    print(
        f"{facts['volumes']} new label maps in {wanted.out}, {facts['rejected']} rejected, "
        f"{len(facts['given_up'])} given up (look at {wanted.out / PICTURE})"
    )
    return int(bool(facts["given_up"]))


def _check(wanted: Sample) -> None:
    if wanted.n < 1:
        raise UserError(f"--n {wanted.n}: ask for at least one brain")
    if not 0 <= wanted.variability <= 2:
        raise UserError(f"--variability {wanted.variability:g}: give a number from 0 to 2")
    if wanted.attempts < 1:
        raise UserError(f"--attempts {wanted.attempts}: give at least 1")
    for folder in (wanted.model, wanted.images):
        if folder is not None and wanted.out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{wanted.out}: lies inside {folder}; choose another --out")


def _range(wanted: Sample, population: Population) -> tuple[float, float]:
    youngest, oldest = float(population.weeks.min()), float(population.weeks.max())
    low, high = wanted.weeks or (youngest, oldest)
    if not youngest <= low <= high <= oldest:
        raise UserError(
            f"--weeks {low:g} {high:g}: the model knows {youngest:g} to {oldest:g} weeks; "
            "give two ages within, the lower first"
        )
    return low, high


def _images(wanted: Sample, donors: list[Donor]) -> tuple[dict[str, Path], tuple[Input, ...]]:
    """Images by the name of their donor, and the folder they come from as an input."""
    from fetalsynth.artifacts.digest import digest_files
    from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
    from fetalsynth.artifacts.volumes import read_participants
    from fetalsynth.datasets.volumes.finding import find_partners

    folder = wanted.images
    if folder is None:
        return {}, ()
    if is_artifact(folder):
        source = input_from(folder, role="images", kind="volumes")
        there = {
            (r.subject, r.session, r.reconstruction): folder / r.image
            for r in read_participants(folder)
            if r.image
        }
    else:
        found = find_partners(folder)
        there = {(p.subject, p.session, p.reconstruction): p.image for p in found if p.image}
        digest = digest_files(folder, list(there.values()))
        source = Input(role="images", path=str(folder), digest=digest)
    missing = [donor.name for donor in donors if donor.key not in there]
    if missing:
        raise UserError(
            f"{folder}: has no image of {missing[0]}, a head of the model"
            + (f" (nor of {len(missing) - 1} others)" if len(missing) > 1 else "")
        )
    return {donor.name: there[donor.key] for donor in donors}, (source,)
