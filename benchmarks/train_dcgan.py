"""Training speed of dcgan64 against the usual reference loop, on the same images, side by side.

The reference is PyTorch's DCGAN tutorial: a DataLoader with two workers, float32, contiguous
tensors, Adam, gradients of the discriminator's weights also in the generator's step. It is timed
twice: with the transforms of the ultrasound study's notebook on the full-size files, as that loop
is used, and on files already resized to 64 pixels with the cheapest transforms by PIL, which is the
best case for it. Ours is the package's own ``train`` with its defaults.

    python benchmarks/train_dcgan.py --images ../hc18/training_set [--rounds 3] [--device cuda]

Without --images, 200 ultrasound phantoms of 512 pixels stand in for real files.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from fetalsynth.artifacts.building import STATE
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.dcgan import DCGAN
from fetalsynth.generators.precision import computing
from fetalsynth.threads import free_cores
from fetalsynth.training.data import ResidentImages
from fetalsynth.training.device import choose_device, resolve_precision
from fetalsynth.training.distributed import Team
from fetalsynth.training.loop import Options, train
from fetalsynth.training.recipe import Recipe, load_recipe

SIZE = 64
BATCH = 64


class Notebook(Dataset[torch.Tensor]):
    """The study's notebook, transform by transform, on full-size files.

    ImageFolder's RGB decoding, ToTensor, Grayscale, Normalize, Resize to a square (antialiased, as
    torchvision does on tensors), mirroring, and rotation by up to 10 degrees (nearest).
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        pixels = np.asarray(Image.open(self.paths[index]).convert("RGB"))
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous().float().div(255)
        x = (0.2989 * x[0] + 0.587 * x[1] + 0.114 * x[2])[None]
        x = (x - 0.5) / 0.5
        x = F.interpolate(x[None], (SIZE, SIZE), mode="bilinear", antialias=True)
        if torch.rand(()) < 0.5:
            x = x.flip(-1)
        turn = torch.deg2rad(torch.rand(()) * 20 - 10)
        cos, sin = turn.cos(), turn.sin()
        theta = torch.stack([cos, -sin, 0 * cos, sin, cos, 0 * cos]).view(1, 2, 3)
        grid = F.affine_grid(theta, [1, 1, SIZE, SIZE], align_corners=False)
        return F.grid_sample(x, grid, mode="nearest", align_corners=False)[0]


class Small(Dataset[torch.Tensor]):
    """The leanest form of such a loop: files of 64 pixels, all transforms by PIL on bytes."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = Image.open(self.paths[index]).convert("L")
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = image.rotate(float(torch.rand(()) * 20 - 10), Image.Resampling.BILINEAR)
        tensor = torch.from_numpy(np.asarray(image, np.float32) / 255)[None]
        return (tensor - 0.5) / 0.5


def square(image: Image.Image) -> Image.Image:
    side = max(image.size)
    canvas = Image.new("L", (side, side))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def endless(files: Dataset[torch.Tensor]) -> Iterator[torch.Tensor]:
    loader = DataLoader(
        files, BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    while True:
        yield from loader


class Reference:
    """The tutorial's loop: three discriminator passes, all with gradients of its weights."""

    def __init__(self, files: Dataset[torch.Tensor], device: torch.device) -> None:
        gan = DCGAN(load_recipe("dcgan64").generator)
        gan.initialise(torch.Generator().manual_seed(0))
        self.g = gan.generator.to(device)
        self.d = nn.Sequential(*gan.discriminator, nn.Sigmoid()).to(device)
        self.adam_g = torch.optim.Adam(self.g.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.adam_d = torch.optim.Adam(self.d.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.batches, self.device, self.loss = endless(files), device, nn.BCELoss()

    def step(self) -> None:
        real = next(self.batches).to(self.device)
        ones = torch.ones(len(real), device=self.device)
        self.d.zero_grad()
        self.loss(self.d(real).view(-1), ones).backward()
        fake = self.g(torch.randn(len(real), 100, 1, 1, device=self.device))
        self.loss(self.d(fake.detach()).view(-1), 0 * ones).backward()
        self.adam_d.step()
        self.g.zero_grad()
        loss = self.loss(self.d(fake).view(-1), ones)
        loss.backward()
        self.adam_g.step()
        loss.item()

    def rate(self, steps: int) -> float:
        for _ in range(5):  # batches that the workers prepared while nobody was looking
            self.step()
        began = time.perf_counter()
        for _ in range(steps):
            self.step()
        return steps * BATCH / (time.perf_counter() - began)


def our_rate(pixels: np.ndarray, *, images: int, device: torch.device, compiled: bool) -> float:
    """Median rate over the log steps of a real run of ``train``."""
    rates: list[float] = []
    base = load_recipe("dcgan64")
    epochs = max(1, images // len(pixels))
    recipe = Recipe.model_validate(
        {**base.model_dump(), "epochs": epochs, "log_every_images": 8 * BATCH, "previews": 1}
    )
    with tempfile.TemporaryDirectory() as folder:
        train(
            recipe=recipe,
            data=ResidentImages(pixels, device=device),
            seed=0,
            folder=Path(folder),
            state=Path(folder) / STATE,
            options=Options(
                device=device,
                compile=compiled,
                callbacks=(lambda row: rates.append(row["images_per_second"]),),
            ),
            team=Team(),
        )
    return median(rates[1:])


def share_of_peak(rate: float, device: torch.device) -> tuple[float, float, str]:
    """(TFLOP/s reached, share of the matrix rate measured here, precision)."""
    precision = resolve_precision("auto", device)
    gan = DCGAN(load_recipe("dcgan64").generator)
    for network in gan.networks().values():
        network.to(device)
    counter = FlopCounterMode(display=False)
    with counter:
        gan.step(
            Batch(images=torch.zeros(BATCH, 1, SIZE, SIZE, device=device)),
            gan.latents(BATCH, torch.Generator()).to(device),
            optimizers=gan.optimizers(),
            precision=partial(computing, precision, device),
            average_gradients=lambda parameters: None,
        )
    reached = counter.get_total_flops() / BATCH * rate / 1e12
    return reached, reached / matrix_rate(device, precision), precision


def matrix_rate(device: torch.device, precision: str) -> float:
    """TFLOP/s of a large matrix product on this device."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.randn(n, n, device=device, dtype=getattr(torch, precision))
    times = []
    for _ in range(8):
        began = time.perf_counter()
        (a @ a)[0, 0].item()
        times.append(time.perf_counter() - began)
    return 2 * n**3 / min(times) / 1e12


def phantoms(folder: Path) -> list[Path]:
    from fetalsynth.datasets.phantoms.ultrasound import open_source

    source = open_source(count=200, seed=0, size=512)
    paths = []
    for item in source.images():
        paths.append(folder / f"{item.name}.png")
        Image.fromarray(item.pixels).save(paths[-1])
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, help="folder of PNG files (annotations left out)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12, help="of the reference, per round")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true")
    wanted = parser.parse_args()
    device = choose_device(wanted.device)
    torch.set_num_threads(free_cores())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if wanted.images:
            found = sorted(wanted.images.glob("*.png"))
            paths = [p for p in found if not p.stem.endswith("_Annotation")]
        else:
            paths = phantoms(folder)
        (folder / "small").mkdir()
        small = [folder / "small" / p.name for p in paths]
        for source, target in zip(paths, small, strict=True):
            square(Image.open(source).convert("L")).resize((SIZE, SIZE)).save(target)
        pixels = np.stack([np.asarray(Image.open(p)) for p in small])[..., None]
        full, resized = Reference(Notebook(paths), device), Reference(Small(small), device)
        rows = []
        print(f"{len(paths)} images, {torch.get_num_threads()} threads, {device}")
        print("images/s   reference, full-size files   reference, 64-pixel files   ours")
        for _ in range(wanted.rounds):
            ours = our_rate(pixels, images=48 * BATCH, device=device, compiled=wanted.compile)
            rows.append((full.rate(wanted.steps), resized.rate(wanted.steps), ours))
            print("           {:>24.1f}   {:>27.1f}   {:>6.1f}".format(*rows[-1]), flush=True)
    against_full = median(row[2] / row[0] for row in rows)
    against_small = median(row[2] / row[1] for row in rows)
    print(f"ratio (median of rounds): {against_full:.2f} on full-size files, ", end="")
    print(f"{against_small:.2f} on 64-pixel files")
    reached, share, precision = share_of_peak(median(row[2] for row in rows), device)
    print(f"ours: {reached:.3f} TFLOP/s, {share:.0%} of a large {precision} matrix product here")


if __name__ == "__main__":
    main()
