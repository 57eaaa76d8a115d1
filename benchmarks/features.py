"""Images per second through the FID network on a CPU: as pytorch-fid runs it, and ours.

The reference is pytorch-fid's way, layer by layer: float32, contiguous NCHW, batch normalisation
unfolded, batches of 50, bilinear resizing by torch. Ours is the package's own extractor on the
same pixels. Rounds alternate, because machines are noisy; each side keeps its best round.

    python benchmarks/features.py [--weights pt_inception-2015-12-05-6726825d.pth] [--images 100]

Without --weights, random ones of the same shapes stand in: the speed is the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fetalsynth.assessment.features.inception import BATCH, inception_features
from fetalsynth.inception.layout import UNPADDED_STRIDES
from fetalsynth.inception.network import Network
from fetalsynth.inception.reading import load_weights, state_shapes
from fetalsynth.inception.weights import Tensors
from fetalsynth.threads import free_cores

REFERENCE_BATCH = 50


def random_state(seed: int = 0) -> Tensors:
    """Weights and normalisation that keep the size of the maps, under pytorch-fid's names."""
    rng = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in state_shapes().items():
        drawn = torch.randn(shape, generator=rng)
        if name.endswith("conv.weight"):
            state[name] = drawn * (2 / drawn[0].numel()) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            state[name] = 1 + 0.1 * drawn.clamp(-2, 2)
        else:
            state[name] = 0.1 * drawn
    return state


class Reference:
    """pytorch-fid's network, one layer after the other."""

    def __init__(self, state: Tensors) -> None:
        self.state = state

    def features(self, images: np.ndarray) -> np.ndarray:
        """(N, 2048) of grey images (N, H, W)."""
        rows = []
        with torch.no_grad():
            for start in range(0, len(images), REFERENCE_BATCH):
                grey = torch.from_numpy(images[start : start + REFERENCE_BATCH])
                x = (grey[:, None] / 255).repeat(1, 3, 1, 1)
                x = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
                rows.append(self.run(2 * x - 1).numpy())
        return np.concatenate(rows)

    def layer(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            kernel, s = self.state[f"{name}.conv.weight"], f"{name}.bn"
            stride = UNPADDED_STRIDES.get(name, 1)
            same = (kernel.shape[2] // 2, kernel.shape[3] // 2)
            x = F.conv2d(x, kernel, None, stride, 0 if name in UNPADDED_STRIDES else same)
            mean, variance = self.state[f"{s}.running_mean"], self.state[f"{s}.running_var"]
            scale, shift = self.state[f"{s}.weight"], self.state[f"{s}.bias"]
            x = F.relu(F.batch_norm(x, mean, variance, scale, shift, eps=1e-3), inplace=True)
        return x

    def run(self, x: Tensor) -> Tensor:
        x = self.layer(x, "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
        x = self.layer(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1", "Conv2d_4a_3x3")
        x = F.max_pool2d(x, 3, 2)
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self.parallel(x, block, {"branch1x1": 0, "branch5x5": 2, "branch3x3dbl": 3})
        x = self.parallel(x, "Mixed_6a", {"branch3x3": 0, "branch3x3dbl": 3})
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self.parallel(x, block, {"branch1x1": 0, "branch7x7": 3, "branch7x7dbl": 5})
        x = self.parallel(x, "Mixed_7a", {"branch3x3": 2, "branch7x7x3": 4})
        x = self.forked(self.forked(x, "Mixed_7b"), "Mixed_7c")
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def parallel(self, x: Tensor, block: str, branches: dict[str, int]) -> Tensor:
        outputs = []
        for branch, layers in branches.items():
            numbers = [f"_{number}" for number in range(1, layers + 1)] or [""]
            outputs.append(self.layer(x, *(f"{block}.{branch}{number}" for number in numbers)))
        if block in ("Mixed_6a", "Mixed_7a"):
            return torch.cat([*outputs, F.max_pool2d(x, 3, 2)], 1)
        return torch.cat([*outputs, self.average(x, block)], 1)

    def average(self, x: Tensor, block: str) -> Tensor:
        pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return self.layer(pooled, f"{block}.branch_pool")

    def forked(self, x: Tensor, block: str) -> Tensor:
        single = self.layer(x, f"{block}.branch3x3_1")
        double = self.layer(x, f"{block}.branch3x3dbl_1", f"{block}.branch3x3dbl_2")
        outputs = [self.layer(x, f"{block}.branch1x1")]
        outputs += [self.layer(single, f"{block}.branch3x3_2{side}") for side in "ab"]
        outputs += [self.layer(double, f"{block}.branch3x3dbl_3{side}") for side in "ab"]
        if block == "Mixed_7b":
            return torch.cat([*outputs, self.average(x, block)], 1)
        largest = F.max_pool2d(x, 3, stride=1, padding=1)
        return torch.cat([*outputs, self.layer(largest, f"{block}.branch_pool")], 1)


def timed(run: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Seconds on the clock, seconds of processor, and what came out."""
    clock, processor = time.perf_counter(), time.process_time()
    found = run()
    return time.perf_counter() - clock, time.process_time() - processor, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(free_cores())

    folder = Path(options.weights) if options.weights else None
    state = random_state() if folder is None else torch.load(folder, weights_only=True)
    reference, network = Reference(state), prepared(state, folder)
    shape = (options.images, options.size, options.size)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sides: dict[str, Callable[[], np.ndarray]] = {
        f"eager, NCHW, batch {REFERENCE_BATCH}": lambda: reference.features(images),
        f"ours, batch {BATCH}": lambda: inception_features(
            images=images, network=network, resizing="legacy"
        ),
    }
    inception_features(images=images[:BATCH], network=network)
    best = {name: (float("inf"), float("inf")) for name in sides}
    found = {}
    for _ in range(options.rounds):
        for name, run in sides.items():
            clock, processor, found[name] = timed(run)
            best[name] = min(best[name][0], clock), min(best[name][1], processor)
    report(best, found, options.images)


def prepared(state: Tensors, path: Path | None) -> Network:
    """Our network with these weights, read from a file as a user's would be."""
    import tempfile

    if path is not None:
        return Network(load_weights(path))
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / "weights.pth")
        return Network(load_weights(Path(folder) / "weights.pth"))


def report(best: dict[str, tuple[float, float]], found: dict[str, np.ndarray], count: int) -> None:
    """Print rates, their ratio, and how far the features are apart."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {count} images")
    for name, (clock, processor) in best.items():
        print(
            f"{name:24s} {count / clock:6.2f} images/s  {1e3 * processor / count:6.1f} CPU-ms each"
        )
    (slow, slow_cpu), (fast, fast_cpu) = best.values()
    first, second = found.values()
    apart = np.abs(first - second).max() / np.abs(first).max()
    print(f"ratio {slow / fast:.2f} by the clock, {slow_cpu / fast_cpu:.2f} by processor time")
    print(f"largest difference of features, relative to the largest feature: {apart:.1e}")


if __name__ == "__main__":
    main()
