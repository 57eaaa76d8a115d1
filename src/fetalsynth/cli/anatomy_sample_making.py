"""New brains made one by one for ``fetalsynth anatomy sample``: drawn, checked, written, told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.cli.anatomy_sample import PICTURE, Sample
from fetalsynth.errors import UserError

if TYPE_CHECKING:
    import torch

    from fetalsynth.anatomy.population.model import Population
    from fetalsynth.anatomy.population.sampling import Draw, NewBrain
    from fetalsynth.anatomy.population.space import Head
    from fetalsynth.anatomy.validity import Validity
    from fetalsynth.artifacts.manifest import Input
    from fetalsynth.cli.anatomy_population_store import Donor

VALIDITY, REJECTED = "validity.tsv", "rejected.tsv"


class Maker:
    """Draws, checks and writes brains; donors are read once and kept."""

    def __init__(
        self,
        wanted: Sample,
        population: Population,
        donors: list[Donor],
        *,
        images: dict[str, Path],
        weeks: tuple[float, float],
        source: Input,
    ) -> None:
        from fetalsynth.cli.computing import choose_device, set_threads

        self.wanted, self.population, self.donors = wanted, population, donors
        self.images, self.weeks, self.source = images, weeks, source
        self.device: torch.device = choose_device(wanted.device)
        set_threads()
        self._heads: dict[int, Head] = {}
        self._upright: list[Any] = []

    def make_all(self, folder: Path, licences: tuple[Any, ...]) -> dict[str, Any]:
        """All brains, those of an interrupted call taken over; returns the facts."""
        from fetalsynth.anatomy.labels import FETA
        from fetalsynth.artifacts.building import STATE
        from fetalsynth.artifacts.volumes import VolumesWriter
        from fetalsynth.progress import Progress

        (folder / STATE).mkdir(exist_ok=True)
        writer = VolumesWriter(folder, synthetic=True, label_names=FETA, licences=licences)
        known = []
        with Progress(label="sample", total=self.wanted.n, unit="brains") as progress:
            for number in range(self.wanted.n):
                known.append(self._one(writer, folder / STATE, number))
                progress.advance()
        if not writer.records:
            raise UserError(f"{self.wanted.model}: none of its brains passed the checks")
        writer.close()
        return _write_tables(folder, known, writer.records)

    def _one(self, writer: Any, state: Path, number: int) -> dict[str, Any]:
        """One brain: what is known of it and of the draws before it that were rejected."""
        from fetalsynth.artifacts.files import write_text

        kept = state / f"{number:06d}.json"
        if kept.is_file():
            known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
            if known["subject"] is None or self._adopted(writer, known):
                return known
        known = {"subject": None, "rejected": []}
        for attempt in range(self.wanted.attempts):
            draw, brain, validity = self._try(number, attempt)
            row = self._row(number, attempt, draw, brain)
            if validity.valid:
                known |= {**row, "subject": f"new{number + 1:04d}", "checks": _checks(validity)}
                self._write(writer, known, draw, brain)
                break
            known["rejected"].append({**row, "reasons": _reasons(validity)})
        write_text(kept, json.dumps(known) + "\n")
        if known["subject"] is None:
            print(f"given up: brain {number + 1} after {attempt + 1} draws", file=sys.stderr)
        return known

    def _try(self, number: int, attempt: int) -> tuple[Draw, NewBrain, Validity]:
        from fetalsynth.anatomy.population.sampling import apply, sample_params
        from fetalsynth.anatomy.validity import check
        from fetalsynth.randomness import numpy_rng

        seed = self.wanted.seed
        low, high = self.weeks
        age = numpy_rng(seed=seed, stream="population-age", counter=number).uniform(low, high)
        rng = numpy_rng(seed=seed, stream=f"population-shape-{attempt}", counter=number)
        try:
            draw = sample_params(
                rng,
                self.population,
                weeks=round(float(age), 3),
                variability=self.wanted.variability,
            )
        except ValueError as error:
            raise UserError(f"{self.wanted.model}: {error}; give other --weeks") from error
        donor = self._head(draw.donor)
        brain = apply(self.population, draw, donor, device=self.device)
        validity = check(
            brain.labels,
            brain.affine,
            gestational_age_weeks=draw.weeks,
            training=self._training(),
            min_jacobian=brain.min_jacobian,
        )
        return draw, brain, validity

    def _head(self, number: int) -> Head:
        from fetalsynth.cli.anatomy_population_store import read_donor

        if number not in self._heads:
            self._heads[number] = read_donor(self.wanted.model, self.donors[number])
        return self._heads[number]

    def _training(self) -> list[Any]:
        from fetalsynth.anatomy.validity_novelty import stand_upright

        if not self._upright:
            heads = [self._head(k) for k in range(len(self.donors))]
            self._upright = [stand_upright(head.labels, head.affine) for head in heads]
        return self._upright

    def _row(self, number: int, attempt: int, draw: Draw, brain: NewBrain) -> dict[str, Any]:
        return {
            "number": number + 1,
            "attempt": attempt + 1,
            "seed": self.wanted.seed,
            "weeks": draw.weeks,
            "donor": self.donors[draw.donor].name,
            "donor_weeks": self.donors[draw.donor].weeks,
            "coefficients": [round(c, 5) for c in draw.coefficients],
            "min_jacobian": round(brain.min_jacobian, 5),
            "folded_voxels": brain.folded_voxels,
        }

    def _named(self, known: dict[str, Any]) -> dict[str, Any]:
        return {
            "subject": known["subject"],
            "desc": "synth",
            "gestational_age_weeks": known["weeks"],
            "extra": {"donor": known["donor"], "donor_weeks": f"{known['donor_weeks']:g}"},
        }

    def _adopted(self, writer: Any, known: dict[str, Any]) -> bool:
        there: bool = writer.adopt(image=bool(self.images), **self._named(known))
        return there

    def _write(self, writer: Any, known: dict[str, Any], draw: Draw, brain: NewBrain) -> None:
        said = {
            "Model": {"Path": self.source.path, "Digest": self.source.digest},
            "Drawn": {key: known[key] for key in ("seed", "number", "attempt")},
            "GestationalAgeWeeks": known["weeks"],
            "Donor": known["donor"],
            "Coefficients": known["coefficients"],
            "MinJacobian": known["min_jacobian"],
        }
        image, grey = self._image(draw, brain)
        writer.add(
            image=image,
            labels=brain.labels,
            affine=brain.affine,
            sidecar={**said, **grey, "Image": "real, of the donor, moved with the labels"},
            labels_sidecar=said,
            **self._named(known),
        )

    def _image(self, draw: Draw, brain: NewBrain) -> tuple[Any, dict[str, Any]]:
        import numpy as np

        from fetalsynth.artifacts.volumes import WHITE
        from fetalsynth.datasets.volumes.nifti import read_nifti
        from fetalsynth.datasets.volumes.window import apply_window, measure_window

        donor = self.donors[draw.donor]
        if donor.name not in self.images:
            return None, {}
        path, head = self.images[donor.name], self._head(draw.donor)
        seen = read_nifti(path)
        if seen.voxels.shape != head.labels.shape or not np.allclose(
            seen.affine, head.affine, atol=1e-3
        ):
            raise UserError(f"{path}: is not on the voxels of the label map of {donor.name}")
        levels, grey = seen.voxels, {"GreyLevels": f"0 black, {WHITE} white"}
        if levels.dtype != np.int16 or levels.min() < 0 or levels.max() > WHITE:
            window = measure_window(levels, head.labels, where=str(path))
            levels = apply_window(levels, window)
            grey = {"Window": str(list(window)), "White": str(WHITE)}
        moved = np.rint(brain.way.image(levels)).clip(0, WHITE).astype(np.int16)
        return moved, grey


def _checks(validity: Validity) -> dict[str, Any]:
    return {one.name: None if one.value is None else round(one.value, 5) for one in validity.checks}


def _reasons(validity: Validity) -> str:
    return "; ".join(
        f"{one.name} {one.value:.3g} ("
        + " to ".join("" if side is None else f"{side:g}" for side in (one.low, one.high))
        + ")"
        for one in validity.failed
    )


def _write_tables(folder: Path, known: list[dict[str, Any]], records: list[Any]) -> dict[str, Any]:
    from fetalsynth.artifacts.files import write_bytes
    from fetalsynth.artifacts.images import encode_png
    from fetalsynth.artifacts.tsv import write_tsv
    from fetalsynth.cli.anatomy_population_picture import Brain, brains_picture
    from fetalsynth.datasets.volumes.nifti import read_nifti

    made = [row for row in known if row["subject"] is not None]
    checks = list(dict.fromkeys(name for row in made for name in row["checks"]))
    own = ("weeks", "donor", "donor_weeks", "attempt", "min_jacobian", "folded_voxels")
    write_tsv(
        folder / VALIDITY,
        ("volume", *own, *checks),
        [
            [row["subject"], *(_cell(row[key]) for key in own)]
            + [row["checks"].get(name) for name in checks]
            for row in made
        ],
    )
    rejected = [row for one in known for row in one["rejected"]]
    columns = ("number", "attempt", "weeks", "donor", "min_jacobian", "reasons")
    write_tsv(folder / REJECTED, columns, [[_cell(row[c]) for c in columns] for row in rejected])
    brains = []
    for row, record in zip(made, records, strict=True):
        volume = read_nifti(folder / str(record.labels))
        brains.append(
            Brain(
                title=f"{row['subject']} {row['weeks']:.1f} w",
                labels=volume.voxels.astype("uint8"),
                spacing_mm=float(abs(volume.affine[0, 0])),
            )
        )
    picture = brains_picture(brains[:60], columns=min(5, len(brains)))
    write_bytes(folder / PICTURE, encode_png(picture))
    return {
        "volumes": len(made),
        "rejected": len(rejected),
        "given_up": [k + 1 for k, row in enumerate(known) if row["subject"] is None],
        "min_jacobian": min(row["min_jacobian"] for row in made),
        "folded_voxels": sum(row["folded_voxels"] for row in made),
    }


def _cell(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value
