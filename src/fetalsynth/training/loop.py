"""The one training loop: reads top to bottom, counts images, resumes bit by bit."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fetalsynth.errors import UserError
from fetalsynth.generators.families import build
from fetalsynth.generators.precision import computing
from fetalsynth.progress import Progress
from fetalsynth.randomness import torch_rng
from fetalsynth.threads import free_cores
from fetalsynth.training import augmentation, checkpoint
from fetalsynth.training.average import MovingAverage
from fetalsynth.training.data import TrainingData
from fetalsynth.training.device import (
    keep_freed_memory,
    peak_memory_mib,
    resolve_precision,
)
from fetalsynth.training.distributed import Team
from fetalsynth.training.order import Order
from fetalsynth.training.recipe import Run
from fetalsynth.training.snapshots import write_preview, write_snapshot
from fetalsynth.training.statistics import Callback, Log, Running
from fetalsynth.training.stop import listening
from fetalsynth.training.watching import Looks, Watch

WARN_AFTER = 5  # log steps in a row; the first few of any run look bad


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where and how to compute; nothing here is part of what a run is.

    ``threads`` None takes the cores that are free, or, when resuming, as many as before, since
    sums over another number of threads round differently.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    threads: int | None = None
    checkpoint_seconds: float = 120.0
    compile: bool = False
    callbacks: tuple[Callback, ...] = ()


def train(  # noqa: PLR0912, PLR0915 - one linear function is easier to follow here
    *,
    recipe: Run,
    data: TrainingData,
    seed: int,
    folder: Path,
    state: Path,
    options: Options,
    team: Team,
    perceptual: nn.Module | None = None,
    label: str | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train ``recipe`` on ``data``, writing statistics, previews and weights into ``folder``.

    ``perceptual`` is the fixed network of a perceptual loss, on the device; ``label`` stands beside
    the progress; ``watch`` is what samples are compared with at intervals, which may end training
    early. A state left in the folder ``state`` by an earlier call is resumed; on the CPU the
    result is the same to the last bit as without the interruption. Returns facts for the manifest.

    Raises UserError for a non-finite loss or a full disk; KeyboardInterrupt after a requested stop,
    with the state saved.
    """
    device = options.device
    count, batch = data.count, recipe.batch_size
    total = math.ceil(recipe.epochs * count / batch) * batch
    saved, damaged = checkpoint.load(state)
    for path in damaged if team.leads else ():
        print(f"warning: {path} is damaged; going on from the state before it", file=sys.stderr)

    threads = options.threads or (saved["threads"] if saved else free_cores())
    torch.set_num_threads(threads)
    precision = saved["precision"] if saved else resolve_precision(recipe.precision, device)
    in_precision = partial(computing, precision, device)
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")

    family = build(recipe.generator, perceptual=perceptual)
    family.initialise(torch_rng(seed=seed, stream="initial weights"))
    for network in family.networks().values():
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizers = family.optimizers()
    rates = {n: [group["lr"] for group in o.param_groups] for n, o in optimizers.items()}
    average = (
        MovingAverage(family.generator, half_life_images=recipe.average_half_life_images)
        if recipe.average_half_life_images
        else None
    )
    sampled = average.module if average else family.generator
    order = Order(count=count, seed=seed)
    looks = (
        Looks(
            watch,
            family=family,
            data=data,
            epochs=recipe.epochs,
            folder=folder,
            seed=seed,
            callbacks=options.callbacks,
        )
        if watch
        else None
    )
    stopped: dict[str, Any] = {}
    named = f"{label}: " if label else ""
    running = Running()
    images_seen, seconds, suspicious, warnings = 0, 0.0, 0, list[dict[str, Any]]()
    if saved:
        images_seen, seconds = saved["images_seen"], saved["seconds"]
        suspicious, warnings = saved["suspicious"], saved["warnings"]
        for name, network in family.networks().items():
            network.load_state_dict(saved["networks"][name])
            optimizers[name].load_state_dict(saved["optimizers"][name])
        if average:
            average.module.load_state_dict(saved["average"])
        running.restore(saved["running"], device)
        if looks:
            looks.restore(saved.get("watch", {}))

    def save_state() -> None:
        everything = {
            "images_seen": images_seen,
            "seconds": seconds + time.monotonic() - began,
            "threads": threads,
            "precision": precision,
            "suspicious": suspicious,
            "warnings": warnings,
            "networks": {name: net.state_dict() for name, net in family.networks().items()},
            "optimizers": {name: opt.state_dict() for name, opt in optimizers.items()},
            "average": average.module.state_dict() if average else {},
            "running": running.state(),
            "watch": looks.state() if looks else {},
        }
        checkpoint.save(state, everything, images_seen=images_seen)

    if options.compile:
        for network in family.networks().values():
            network.compile()

    keep = {_images(epoch, count) for epoch in recipe.kept_epochs()}
    look = {_images(epoch, count) for epoch in _preview_epochs(recipe)}
    log = (
        Log(folder, images_seen=images_seen, callbacks=list(options.callbacks))
        if team.leads
        else None
    )
    began = logged = saved_at = time.monotonic()
    logged_images = images_seen
    mine = slice(team.rank, None, team.size)
    with (
        listening() as stop_asked,
        Progress(
            label=f"training {label or recipe.name}",
            total=total,
            start=images_seen,
            silent=not team.leads,
        ) as progress,
    ):
        while images_seen < total:
            indices = order.indices(first=images_seen, count=batch)[mine]
            rng = torch_rng(seed=seed, stream="augmentation", counter=images_seen)
            params = augmentation.sample_params(recipe.augmentation, count=batch, rng=rng)
            params = {name: value[mine] for name, value in params.items()}
            latents = family.latents(
                batch, torch_rng(seed=seed, stream="latents", counter=images_seen)
            )[mine]

            factor = recipe.rate_factor(images_seen // count, images_seen=images_seen)
            for name, optimizer in optimizers.items():
                for group, rate in zip(optimizer.param_groups, rates[name], strict=True):
                    group["lr"] = rate * factor
            seen = augmentation.apply(data.batch(indices), params, augmentation=recipe.augmentation)
            images = seen.images.contiguous(memory_format=torch.channels_last)
            losses = family.step(
                replace(seen, images=images),
                latents.to(device),
                optimizers=optimizers,
                precision=in_precision,
                average_gradients=team.average_gradients,
            )
            before, images_seen = images_seen, images_seen + batch
            if average:
                average.update(family.generator, images_seen=images_seen, batch_size=batch)
            running.update(losses)
            progress.advance(batch)

            now = time.monotonic()
            stop = team.any(stop_asked(), device)
            save_due = team.any(now - saved_at > options.checkpoint_seconds, device)
            log_due = before // recipe.log_every_images < images_seen // recipe.log_every_images
            ended = _epochs_in(before, images_seen, count)
            keep_due = any(_images(epoch, count) in keep for epoch in ended)
            watch_due = looks is not None and any(looks.due(epoch) for epoch in ended)
            if stop or save_due or log_due or keep_due or watch_due or images_seen >= total:
                means = running.means(team.mean)
                _stop_if_not_finite(means, images_seen=images_seen, folder=folder)
            if looks and watch_due:
                if team.leads:
                    found = looks.look(
                        family,
                        sampled,
                        epoch=ended[-1],
                        images_seen=images_seen,
                        precision=in_precision,
                    )
                    progress.advance(0, note=_brief(means) + looks.brief())
                    if found:
                        warnings.append({"images_seen": images_seen, "warning": found})
                        print(f"warning: {named}{found}", file=sys.stderr)
                why = looks.enough()
                if team.any(why is not None, device) and images_seen < total:
                    total, stopped = images_seen, {"epoch": ended[-1], "reason": why}
            if log_due or images_seen >= total:
                running = Running()
                row = {
                    "images_seen": images_seen,
                    "epoch": images_seen / count,
                    "seconds": round(seconds + now - began, 3),
                    "images_per_second": round((images_seen - logged_images) / (now - logged), 2),
                    **means,
                }
                logged, logged_images = now, images_seen
                complaint = family.warning(means)
                suspicious = suspicious + 1 if complaint else 0
                if log:
                    log.write(row)
                    progress.advance(0, note=_brief(means) + (looks.brief() if looks else ""))
                if complaint and suspicious == WARN_AFTER:
                    warnings.append({"images_seen": images_seen, "warning": complaint})
                    if team.leads:
                        print(f"warning: {named}{complaint}", file=sys.stderr)
            for epoch in ended if team.leads else ():
                best = looks is not None and watch_due and looks.improved()
                if _images(epoch, count) in keep or best or images_seen >= total:
                    write_snapshot(
                        folder,
                        family,
                        average.module if average else None,
                        data,
                        epoch=epoch,
                        seed=seed,
                    )
                if _images(epoch, count) in look or images_seen >= total:
                    write_preview(folder, family, sampled, data, epoch=epoch, seed=seed)
            if (stop or save_due) and images_seen < total:
                if team.leads:
                    save_state()
                saved_at = time.monotonic()
            if stop and images_seen < total:
                raise KeyboardInterrupt
    team.wait()
    watched: dict[str, Any] = {}
    if looks and team.leads:
        last = images_seen // count
        watched = looks.finish(keep={*recipe.kept_epochs(), last})
        watched |= {"stopped": stopped} if stopped else {}
    return {
        "images": count,
        "images_seen": images_seen,
        "seconds": round(seconds + time.monotonic() - began, 1),
        "device": _device_name(device),
        "precision": precision,
        "peak_memory_mib": peak_memory_mib(device),
        "threads": threads,
        "processes": team.size,
        "torch": torch.__version__,
        "parameters": {
            name: sum(p.numel() for p in net.parameters())
            for name, net in family.networks().items()
        },
        "final": log.rows[-1] if log and log.rows else {},
        "warnings": warnings,
        **watched,
    }


def _stop_if_not_finite(means: dict[str, float], *, images_seen: int, folder: Path) -> None:
    wrong = [name for name, value in means.items() if not math.isfinite(value)]
    if wrong:
        raise UserError(
            f"{', '.join(wrong)} became infinite or NaN before image {images_seen}; training "
            f"stopped and {folder} keeps the last sound state and snapshots: lower the learning "
            "rates or give --precision float32, with another --out"
        )


def _images(epoch: int, count: int) -> int:
    return epoch * count


def _epochs_in(before: int, now: int, count: int) -> range:
    """Epochs that ended while the counter went from ``before`` to ``now``."""
    return range(before // count + 1, now // count + 1)


def _preview_epochs(recipe: Run) -> list[int]:
    step = recipe.epochs / recipe.previews
    return sorted({max(1, round(step * k)) for k in range(1, recipe.previews + 1)})


def _brief(means: dict[str, float]) -> str:
    return "  ".join(f"{name.replace('loss_', '')} {value:.2f}" for name, value in means.items())


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "CPU"
