"""SPADE side by side with its usual implementation: a volume in three planes, and a training step.

Both work with the same weights on the same labels in the same run. The usual implementation is
written out below from the paper: one slice at a time, every slice, float32, channels first, label
networks on one-hot maps of every pixel, spectral norms evaluated as the library does at inference;
in training a new synthetic image for the discriminator's update, gradients of the discriminator's
weights in the generator's, unfused Adam. It takes seconds per slice at full size, so it is timed on
slices spread over each plane, empty and others apart, and the volume's time is the sum over its
slices of what their kind took. Ours is timed on whole planes, preparation included.

    python benchmarks/spade.py --labels ATLAS/…/parcellation.nii.gz --scheme spina-bifida-atlas
    python benchmarks/spade.py --size 64 --width 8 [--device cuda] [--cpu-time]

Without --labels, a brain phantom stands in. --cpu-time counts processor seconds, for machines that
others use at the same time; with one thread they are what the wall would show on a quiet machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.labels import TABLES, map_labels
from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.datasets.volumes.grid import Grid, conform_labels, place
from fetalsynth.datasets.volumes.nifti import read_nifti, whole_numbers
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.precision import computing
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade import losses
from fetalsynth.generators.spade.family import SPADE
from fetalsynth.generators.spade.fast import FastGenerator
from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.spade.layers import SPADEBlock, SPADELayer
from fetalsynth.threads import free_cores
from fetalsynth.training.device import choose_device, resolve_precision

# The usual implementation, from the paper.


def plain_layer(layer: SPADELayer, norm: torch.nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    hidden = layer.mlp_shared(F.interpolate(labels, size=x.shape[2:], mode="nearest"))
    return norm(x) * (1 + layer.mlp_gamma(hidden)) + layer.mlp_beta(hidden)


def plain_block(block: SPADEBlock, x: Tensor, labels: Tensor) -> Tensor:
    norm_0, norm_1 = block.norm_0.param_free_norm, block.norm_1.param_free_norm
    shortcut = x
    if block.learned_shortcut:
        shortcut = block.conv_s(plain_layer(block.norm_s, norm_0, x, labels))
    y = block.conv_0(F.leaky_relu(plain_layer(block.norm_0, norm_0, x, labels), 0.2))
    return shortcut + block.conv_1(F.leaky_relu(plain_layer(block.norm_1, norm_1, y, labels), 0.2))


def plain_images(network: SPADEGenerator, one_hot: Tensor) -> Tensor:
    side = one_hot.shape[2] * network.side // network.settings.size
    x = network.fc(F.interpolate(one_hot, size=(side, side), mode="nearest"))
    for block, doubled in network.blocks():
        if doubled:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = plain_block(block, x, one_hot)
    return torch.tanh(network.conv_img(F.leaky_relu(x, 0.2)))


def channels_first(labels: Tensor, count: int) -> Tensor:
    maps = torch.zeros(len(labels), count, *labels.shape[1:], device=labels.device)
    return maps.scatter_(1, labels[:, None].long(), 1.0)


def plain_step(family: SPADE, adams: dict[str, torch.optim.Optimizer], batch: Batch) -> None:
    assert batch.labels is not None
    maps = channels_first(batch.labels, family.settings.labels)

    def judge(images: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        both = torch.cat([images, batch.images])
        scales = family.discriminator(both, torch.cat([maps, maps]))
        n = len(images)
        return [[x[:n] for x in s] for s in scales], [[x[n:] for x in s] for s in scales]

    adams["generator"].zero_grad()
    on_synthetic, on_real = judge(plain_images(family.generator, maps))
    matching = losses.feature_matching(on_synthetic, on_real)
    weight = family.settings.feature_matching_weight
    (losses.hinge_generator(on_synthetic) + weight * matching).backward()
    adams["generator"].step()

    adams["discriminator"].zero_grad()
    with torch.no_grad():
        again = plain_images(family.generator, maps)
    on_synthetic, on_real = judge(again)
    losses.hinge_discriminator(on_real, on_synthetic).backward()
    adams["discriminator"].step()


# Material.


def cube(wanted: argparse.Namespace) -> NDArray[np.uint8]:
    """Labels (size, size, size) in RAS+; coarser than the file only where it would not fit."""
    if wanted.labels is None:
        from fetalsynth.datasets.phantoms.brain import sample_params, simulate

        brain = simulate(sample_params(np.random.default_rng(0)), spacing_mm=1.0)
        labels, affine = brain.labels, brain.affine
    else:
        file = read_nifti(wanted.labels)
        labels = map_labels(whole_numbers(file), table=TABLES[wanted.scheme])
        affine = file.affine
    spacing = None if wanted.size >= 256 else 256 / wanted.size * 0.8
    placement = place(
        shape=labels.shape,
        affine=affine,
        labels=labels,
        grid=Grid(size=wanted.size, spacing_mm=spacing),
        where=str(wanted.labels or "phantom"),
    )
    return conform_labels(labels, placement, size=wanted.size)


def trained_like(settings: SPADESettings, device: torch.device) -> SPADE:
    """Weights, statistics and contrasts with the spread that training brings about."""
    torch.manual_seed(0)
    family = SPADE(settings)
    with torch.no_grad():
        for name, parameter in family.generator.named_parameters():
            parameter.mul_(3 if "mlp_" in name or name.startswith("conv_img") else 1)
        for name, buffer in family.generator.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.2, 3)
    for network in family.networks().values():
        network.to(device)
    return family


@dataclass(frozen=True)
class Clock:
    device: torch.device
    processor: bool

    def seconds(self, work: Callable[[], object]) -> float:
        now = time.process_time if self.processor else time.perf_counter
        began = now()
        work()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return now() - began


# The two comparisons.


def chosen_slices(stack: NDArray[np.uint8], count: int) -> tuple[list[int], list[int]]:
    """(others, empty ones) spread evenly over the stack, ``count`` and one at most."""
    filled = stack.any(axis=(1, 2))
    others, empty = np.flatnonzero(filled), np.flatnonzero(~filled)
    middle = (np.arange(count) + 0.5) * len(others) / count
    return sorted(set(others[middle.astype(int)].tolist())), empty[:1].tolist()


@torch.inference_mode()
def compare_synthesis(wanted: argparse.Namespace, family: SPADE, clock: Clock) -> None:
    network, volume = family.generator.eval(), cube(wanted)
    stacks = {p: np.ascontiguousarray(to_slices(volume, plane=p)) for p in wanted.planes}
    print(f"\nA volume of {wanted.size}³ in {len(stacks)} planes, float32")
    print("plane     slices  with labels   plain s/slice (empty)    plain s    ours s  max |Δ|")
    totals, filled = np.zeros(2), np.zeros(2)
    spread: list[Tensor] = []
    for plane, stack in stacks.items():
        labels = torch.from_numpy(stack).to(clock.device)
        others, empty = chosen_slices(stack, wanted.slices)
        plain_images(network, channels_first(labels[:1], 8))  # warm
        images: dict[int, Tensor] = {}
        taken: dict[int, float] = {}

        def plain(n: int, labels: Tensor = labels, to: dict[int, Tensor] = images) -> None:
            to[n] = plain_images(network, channels_first(labels[n : n + 1], 8))

        halves = (others + empty)[::2], (others + empty)[1::2]
        taken |= {n: clock.seconds(lambda n=n: plain(n)) for n in halves[0]}
        found: list[Tensor] = []
        ours = clock.seconds(
            lambda labels=labels, found=found: found.append(FastGenerator(network)(labels))
        )
        taken |= {n: clock.seconds(lambda n=n: plain(n)) for n in halves[1]}
        error = max((images[n] - found[0][n]).abs().max().item() for n in images)
        spread += images.values()
        count = int(stack.any(axis=(1, 2)).sum())
        per_other = mean(taken[n] for n in others)
        per_empty = mean(taken[n] for n in empty) if empty else per_other
        whole = count * per_other + (len(stack) - count) * per_empty
        totals += whole, ours
        filled += count * per_other, ours
        print(
            f"{plane:9} {len(stack):6} {count:12} {per_other:15.2f} ({per_empty:5.2f})"
            f" {whole:10.1f} {ours:9.1f}  {error:.1e}",
            flush=True,
        )
    print(f"standard deviation of the images compared: {torch.cat(spread).std():.2f}")
    print(
        f"ratio: {totals[0] / totals[1]:.1f} over all slices; {filled[0] / filled[1]:.1f}", end=""
    )
    print(" against the plain pass over slices with labels alone")
    _bfloat16(wanted, network, stacks, clock)


def _bfloat16(
    wanted: argparse.Namespace,
    network: SPADEGenerator,
    stacks: dict[str, NDArray[np.uint8]],
    clock: Clock,
) -> None:
    plane, stack = list(stacks.items())[-1]
    labels = torch.from_numpy(stack[stack.any(axis=(1, 2))][:: wanted.thin]).to(clock.device)
    pair, seconds = [], []
    for dtype in (torch.float32, torch.bfloat16):
        fast = FastGenerator(network, dtype=dtype)
        seconds.append(clock.seconds(lambda fast=fast: pair.append(fast(labels))))
    error = (pair[1] - pair[0]).abs().flatten().cpu().numpy()
    print(
        f"bfloat16, on {len(labels)} {plane} slices: {seconds[0] / seconds[1]:.2f} times as fast "
        f"as ours in float32; |Δ| mean {error.mean():.1e}, 99.9th percentile "
        f"{np.quantile(error, 0.999):.1e}, greatest {error.max():.1e}"
    )


def compare_training(wanted: argparse.Namespace, settings: SPADESettings, clock: Clock) -> None:
    stack = np.ascontiguousarray(to_slices(cube(wanted), plane="axial"))
    some = stack[stack.any(axis=(1, 2))]
    middle = some[len(some) // 2 :][: wanted.batch]
    labels = torch.from_numpy(middle).to(clock.device)
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(len(labels), 1, *labels.shape[1:], generator=rng).to(clock.device) * 2 - 1
    batch = Batch(images=images, labels=labels)

    plain, ours = trained_like(settings, clock.device), trained_like(settings, clock.device)
    for network in plain.networks().values():
        network.to(memory_format=torch.contiguous_format)
    adams = {
        name: torch.optim.Adam(network.parameters(), 1e-4, (0.0, 0.9), foreach=False)
        for name, network in plain.networks().items()
    }
    for network in ours.networks().values():
        network.to(memory_format=torch.channels_last).train()
    optimizers = ours.optimizers()
    precision = resolve_precision("auto", clock.device)
    context = partial(computing, precision, clock.device)

    def our_step() -> None:
        ours.step(
            batch,
            torch.empty(len(labels), 0, device=clock.device),
            optimizers=optimizers,
            precision=context,
            average_gradients=lambda parameters: None,
        )

    print(f"\nA training step, {len(labels)} slices of {wanted.size}², ours in {precision}")
    print("   plain s    ours s   ratio")
    rows = []
    for number in range(wanted.rounds + 1):
        row = (
            clock.seconds(lambda: plain_step(plain, adams, batch)),
            clock.seconds(our_step),
        )
        if number:  # the first one warms up
            rows.append(row)
            print(f"{row[0]:10.2f} {row[1]:9.2f} {row[0] / row[1]:7.2f}", flush=True)
    print(f"ratio (median of rounds): {median(a / b for a, b in rows):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, help="a label volume (NIfTI)")
    parser.add_argument("--scheme", choices=sorted(TABLES), default="feta")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--planes", nargs="+", choices=PLANES, default=PLANES)
    parser.add_argument("--slices", type=int, default=4, help="with labels, of the plain pass")
    parser.add_argument("--thin", type=int, default=8, help="every n-th slice in bfloat16")
    parser.add_argument("--batch", type=int, default=1, help="of a training step")
    parser.add_argument("--rounds", type=int, default=3, help="of the training step")
    parser.add_argument("--only", choices=("synthesis", "training"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cpu-time", action="store_true")
    wanted = parser.parse_args()
    clock = Clock(choose_device(wanted.device), wanted.cpu_time)
    torch.set_num_threads(free_cores())
    settings = SPADESettings(size=wanted.size, width=wanted.width)
    print(f"width {wanted.width}, {torch.get_num_threads()} threads, {clock.device}")
    if wanted.only != "training":
        compare_synthesis(wanted, trained_like(settings, clock.device), clock)
    if wanted.only != "synthesis":
        compare_training(wanted, settings, clock)


if __name__ == "__main__":
    main()
