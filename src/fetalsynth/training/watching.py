"""The watch on copying: at intervals, sample the generator and see how near it comes.

Looking works on copies and draws from streams of its own, so that training goes on as if it had
not happened. All looks use the same latents, noise and times: what changes between them is the
network alone.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.model import WATCH, snapshot_epochs, snapshot_path
from fetalsynth.generators.families import Family
from fetalsynth.generators.levels import to_levels
from fetalsynth.generators.quick import Cost, cost_of, held_out_loss, quick_images
from fetalsynth.randomness import torch_rng
from fetalsynth.training import watch_verdict as verdict
from fetalsynth.training.data import TrainingData
from fetalsynth.training.snapshots import CALIBRATION_LATENTS, calibrated_copy
from fetalsynth.training.statistics import Callback
from fetalsynth.training.watch_settings import WatchSettings

LOOKS = 20
SHARE = 0.05
LEAST_SAMPLES, MOST_SAMPLES = 64, 256
CHUNK = 32

Precision = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What to compare samples with.

    ``held_out`` holds one image of each of so many ``patients`` that are not trained on, or slices
    of their volumes. ``nearness`` tells of samples (N, H, W, C) how near they come to the training
    images, under the names that :mod:`fetalsynth.training.watch_verdict` reads.

    With ``like_held_out``, training images of the same choice as ``held_out``, each sample is made
    from the labels of another held-out image and compared with those images alone.
    """

    settings: WatchSettings
    held_out: TrainingData
    patients: int
    nearness: Callable[..., dict[str, float]]
    like_held_out: TrainingData | None = None


def plan_looks(
    settings: WatchSettings, *, epochs: int, count: int, held_out: int, cost: Cost
) -> tuple[int, int]:
    """Epochs between two looks, and samples at each, of a training on ``count`` images.

    As many samples as held-out patients, but no fewer than 64 and no more than 256. The cost,
    counted in evaluations of the network, is to stay below a twentieth of the training: first
    there are fewer samples, then, unless the settings fix the interval, fewer looks.
    """
    fixed = cost.fixed + (2 * held_out if cost.losses else 0)
    per_epoch = SHARE * cost.training * count
    every = settings.every_epochs or max(
        math.ceil(epochs / LOOKS), math.ceil((fixed + LEAST_SAMPLES * cost.image) / per_epoch)
    )
    affordable = int((every * per_epoch - fixed) / cost.image)
    return every, max(LEAST_SAMPLES, min(affordable, held_out, MOST_SAMPLES))


class Looks:
    """The looks of one training, kept in ``watch.jsonl``."""

    def __init__(
        self,
        watch: Watch,
        *,
        family: Family,
        data: TrainingData,
        epochs: int,
        folder: Path,
        seed: int,
        callbacks: tuple[Callback, ...] = (),
    ) -> None:
        self.watch, self.data, self.folder, self.seed = watch, data, folder, seed
        self.least, self.patience = watch.settings.least_ratio, watch.settings.patience_looks
        slices = sum(len(batch.images) for batch in data.calibration())
        self.cost = cost_of(family, calibration=slices or CALIBRATION_LATENTS)
        self.every, self.samples = plan_looks(
            watch.settings,
            epochs=epochs,
            count=data.count,
            held_out=watch.held_out.count,
            cost=self.cost,
        )
        if watch.like_held_out is not None:
            self.samples = min(self.samples, watch.held_out.count)
        self.last = epochs
        self.callbacks = callbacks
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0

    def due(self, epoch: int) -> bool:
        """Whether there is a look after this epoch; after the last there always is."""
        return epoch % self.every == 0 or epoch == self.last

    def look(
        self,
        family: Family,
        network: nn.Module,
        *,
        epoch: int,
        images_seen: int,
        precision: Precision,
    ) -> str | None:
        """Add a row about ``network``; returns a warning where it is worse than any row before."""
        began = time.monotonic()
        before = max((verdict.level(row, least=self.least) for row in self.rows), default=0)
        generator = calibrated_copy(family, network, self.data, seed=self.seed)
        with precision():
            measured = self._nearness(family, generator)
            measured |= self._losses(family, generator)
        row = {"images_seen": images_seen, "epoch": epoch, "samples": self.samples, **measured}
        self.rows.append(row)
        self._write()
        for callback in self.callbacks:
            named = {f"watch/{name}": value for name, value in measured.items()}
            callback({"images_seen": images_seen, **named})
        self.seconds += time.monotonic() - began
        worse = verdict.level(row, least=self.least) > before
        return verdict.warning(row, least=self.least) if worse else None

    def _nearness(self, family: Family, generator: nn.Module) -> dict[str, float]:
        there = self.watch.held_out.count
        if self.watch.like_held_out is None:
            which = torch.arange(self.samples) % there
            return self.watch.nearness(self._sampled(family, generator, which))
        which = torch.linspace(0, there - 1, self.samples).round().long()
        return self.watch.nearness(self._sampled(family, generator, which), among=which.numpy())

    def _sampled(self, family: Family, generator: nn.Module, which: Tensor) -> NDArray[np.uint8]:
        """A sample under the conditions of each of the held-out images ``which``."""
        parts = []
        for places, latents in self._latents(family, generator, count=self.samples, of="samples"):
            batch = self.watch.held_out.batch(which[places])
            made = quick_images(family, generator, latents, batch)
            parts.append(to_levels(made).permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts)

    def _losses(self, family: Family, generator: nn.Module) -> dict[str, float]:
        """Mean loss of the held-out images, and of as many training images with the same noise."""
        if not self.cost.losses:
            return {}
        count = self.watch.held_out.count
        training = self.watch.like_held_out or self.data
        rng = torch_rng(seed=self.seed, stream="watch/training images")
        drawn = torch.randperm(training.count, generator=rng)
        sides = {
            verdict.LOSS: (self.watch.held_out, torch.arange(count)),
            "loss_train": (training, drawn[torch.arange(count) % training.count]),
        }
        total = dict.fromkeys(sides, 0.0)
        for places, latents in self._latents(family, generator, count=count, of="noise"):
            for name, (data, which) in sides.items():
                losses = held_out_loss(family, generator, data.batch(which[places]), latents)
                assert losses is not None
                total[name] += float(losses.sum())
        return {name: value / count for name, value in total.items()}

    def _latents(
        self, family: Family, generator: nn.Module, *, count: int, of: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Numbers from 0 on and their latents, a few at a time: those of large images are large."""
        device = next(generator.parameters()).device
        for places in torch.split(torch.arange(count), CHUNK):
            rng = torch_rng(seed=self.seed, stream=f"watch/{of}", counter=int(places[0]))
            yield places, family.latents(len(places), rng).to(device)

    def _write(self) -> None:
        write_text(self.folder / WATCH, "".join(json.dumps(row) + "\n" for row in self.rows))

    def brief(self) -> str:
        """The last look in a few words; empty before the first."""
        return f"  nearest {self.rows[-1]['nearest_ratio']:.2f}" if self.rows else ""

    def improved(self) -> bool:
        """Whether the last look is the best so far, so that its weights are to be kept."""
        return bool(self.rows) and verdict.chosen(self.rows, least=self.least) is self.rows[-1]

    def enough(self) -> str | None:
        """Why to stop now; None for going on."""
        return verdict.enough(self.rows, least=self.least, patience=self.patience)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to go on with the same rows."""
        return {"rows": self.rows, "seconds": self.seconds}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`, forgetting rows that were written after it."""
        self.rows, self.seconds = list(state.get("rows", [])), state.get("seconds", 0.0)

    def finish(self, *, keep: set[int]) -> dict[str, Any]:
        """Drop weights that were kept for looks since surpassed; returns facts for the manifest.

        ``keep`` are the epochs whose weights stay whatever the watch says.
        """
        there = set(snapshot_epochs(self.folder))
        rows = [row for row in self.rows if row["epoch"] in there]
        best = verdict.chosen(rows, least=self.least)
        epoch = None if best is None else int(best["epoch"])
        for old in {int(row["epoch"]) for row in rows} - keep - {epoch}:
            for averaged in (False, True):
                snapshot_path(self.folder, epoch=old, averaged=averaged).unlink(missing_ok=True)
        return {
            "chosen": {"epoch": epoch, "reason": verdict.reason(self.rows, least=self.least)},
            "watch": {
                "looks": len(self.rows),
                "every_epochs": self.every,
                "samples": self.samples,
                "sampled": self.cost.words,
                "held_out_images": self.watch.held_out.count,
                "held_out_patients": self.watch.patients,
                "least_ratio": self.least,
                "near_from_epoch": verdict.near_from(self.rows, least=self.least),
                "seconds": round(self.seconds, 1),
            },
        }
