"""Flow matching as a family: initial weights, one training step, sampling.

The network learns to tell the clean image from a noisy one (:mod:`path`); images are made by going
from noise to image along what it tells (:mod:`sampling`). One loss, no adversary: nothing to
balance and no modes to collapse into, at the price of several evaluations per image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.flow import path
from fetalsynth.generators.flow.conditions import Condition, condition_of, told_size
from fetalsynth.generators.flow.muon import BETAS, Muon
from fetalsynth.generators.flow.network import FlowNetwork
from fetalsynth.generators.flow.sampling import Denoise, Sampling, integrate, schedule
from fetalsynth.generators.pictures import label_levels, side_by_side
from fetalsynth.generators.settings import FlowSettings

REACH = 3.0  # spreads of log σ around its mean that the network has seen enough of
EXTRA = 2  # columns beside the noise that decide time and condition dropout
LARGEST_GRADIENT = 1.0


class Flow:
    """One network, its optimizer, one training step and sampling."""

    def __init__(self, settings: FlowSettings) -> None:
        self.settings = settings
        self.generator: nn.Module = FlowNetwork(settings, told=told_size(settings))

    def networks(self) -> dict[str, nn.Module]:
        """The one network, under the name that is averaged, kept and sampled."""
        return {"generator": self.generator}

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """He's normal weights of gain 1 and zero biases; blocks and output begin as nothing."""
        for module in self.generator.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=rng)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, module in self.generator.named_modules():
            if name.rpartition(".")[2] in {"conv2", "exit", "out", "modulation", "labels", "told"}:
                assert isinstance(module, nn.Conv2d | nn.Linear)
                nn.init.zeros_(module.weight)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Muon for inner convolutions and linear maps and AdamW for the rest, or AdamW for all."""
        s = self.settings
        if s.optimizer == "adamw":
            adamw = torch.optim.AdamW(
                self.generator.parameters(),
                lr=s.learning_rate,
                betas=BETAS,
                weight_decay=s.weight_decay,
                fused=True,
            )
            return {"generator": adamw}
        named = list(self.generator.named_parameters())
        inner = {n for n, p in named if p.ndim > 1 and n.split(".")[0] not in ("entry", "exit")}
        muon = Muon(
            [p for n, p in named if n in inner],
            [p for n, p in named if n not in inner],
            lr=s.learning_rate,
            weight_decay=s.weight_decay,
        )
        return {"generator": muon}

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        """Standard normal numbers (count, n): the noise of an image and a few more, on the CPU."""
        s = self.settings
        return torch.randn(count, s.channels * s.size**2 + EXTRA, generator=rng)

    def step(
        self,
        batch: Batch,
        latents: Tensor,
        *,
        optimizers: dict[str, torch.optim.Optimizer],
        precision: Callable[[], AbstractContextManager[object]],
        average_gradients: Callable[[Iterable[nn.Parameter]], None],
    ) -> dict[str, Tensor]:
        """One update by the squared error of the velocity; gradients are cut at norm 1."""
        chance, rate = torch.special.ndtr(latents[:, -1]), self.settings.condition_dropout
        condition = condition_of(batch, self.settings)
        condition = condition.without_age(chance < 2 * rate).without_maps(chance < rate)
        self.generator.train()
        with self._dropout_of(latents), precision():
            errors = self._errors(self.generator, batch.images, latents, condition)
        loss = errors.mean()
        optimizer = optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.generator.parameters())
        norm = nn.utils.clip_grad_norm_(self.generator.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        return {"loss": loss.detach(), "gradient": norm.detach()}

    def _dropout_of(self, latents: Tensor) -> AbstractContextManager[object]:
        """Dropout draws from torch's global generators; here they are seeded by the latents.

        By those of a process's batch, so that masks change with the number of processes.
        """
        if not self.settings.dropout:
            return nullcontext()
        return _seeded(int(latents[0, :EXTRA].view(torch.int32).sum()), device=latents.device)

    def _errors(
        self, network: nn.Module, images: Tensor, latents: Tensor, condition: Condition
    ) -> Tensor:
        s = self.settings
        x = (images - s.image_mean) / s.image_sd
        noise = latents[:, :-EXTRA].reshape(x.shape)
        time = path.times(latents[:, -2], mean=s.time_mean, sd=s.time_sd)
        at = path.point(x, noise, time)
        return path.errors(at, self._image(network, at, condition), x)

    @torch.no_grad()
    def held_out_loss(self, generator: nn.Module, batch: Batch, latents: Tensor) -> Tensor:
        """The training loss of each image (N,) of a batch, by ``generator`` in eval mode."""
        return self._errors(
            generator.eval(), batch.images, latents, condition_of(batch, self.settings)
        )

    def _image(self, network: nn.Module, at: path.Point, condition: Condition) -> Tensor:
        """x̂ at a point, in float32."""
        s = self.settings
        low, high = s.time_mean - REACH * s.time_sd, s.time_mean + REACH * s.time_sd
        output = network(
            path.scaled_input(at),
            at.log_noise.clamp(low, high),
            condition.maps,
            condition.told,
        )
        return path.image(at, output.float(), prediction=s.prediction)

    def denoiser(
        self,
        generator: nn.Module,
        condition: Condition,
        *,
        guidance: float = 1.0,
    ) -> Denoise:
        """Noisy images → clean ones, at the spread of the path.

        With a ``guidance`` w other than 1 the answer goes from that without the condition through
        that with it and on: without + w (with − without) (Ho and Salimans 2022, arXiv 2207.12598).
        Raises ValueError for a guidance other than 1 without a condition.
        """
        if guidance != 1.0 and condition.maps is None:
            raise ValueError("guidance needs a condition to follow")

        def denoise(at: path.Point) -> Tensor:
            image = self._image(generator, at, condition)
            if guidance == 1.0:
                return image
            every = torch.ones(len(at.noisy), dtype=torch.bool, device=at.noisy.device)
            without = self._image(generator, at, condition.without_maps(every))
            return without + guidance * (image - without)

        return denoise

    @torch.no_grad()
    def draw(
        self,
        generator: nn.Module,
        latents: Tensor,
        batch: Batch | None = None,
        *,
        sampling: Sampling | None = None,
    ) -> Tensor:
        """Images (N, channels, S, S) in [−1, 1] from latents and the conditions of ``batch``.

        ``sampling`` None is that of the settings.
        """
        s = self.settings
        how = sampling or Sampling(sampler=s.sampler, steps=s.steps, guidance=s.guidance)
        noise = latents[:, :-EXTRA].reshape(-1, s.channels, s.size, s.size)
        condition = condition_of(batch or Batch(images=noise), s)
        denoise = self.denoiser(generator.eval(), condition, guidance=how.guidance)
        times = schedule(steps=how.steps, mean=s.time_mean, sd=s.time_sd)
        return self.to_images(integrate(denoise, noise, times, sampler=how.sampler))

    def to_images(self, x: Tensor) -> Tensor:
        """From the spread of the path to [−1, 1], what is nearly black being black."""
        s = self.settings
        images = (x * s.image_sd + s.image_mean).clamp(-1, 1)
        return torch.where(images < s.black_below / 127.5 - 1, -1.0, images)

    def sample(
        self,
        generator: nn.Module,
        latents: Tensor,
        labels: Tensor | None = None,
        planes: Tensor | None = None,
    ) -> Tensor:
        """Images from latents, or from latents and labels, as the settings say."""
        noise = latents[:, :-EXTRA]
        return self.draw(generator, latents, Batch(images=noise, labels=labels, planes=planes))

    def preview(self, generator: nn.Module, latents: Tensor, batch: Batch) -> Tensor:
        """Pictures for a contact sheet: images, or for each condition its map, real, synthetic."""
        if self.settings.condition == "none":
            return self.draw(generator, latents)
        count = min(len(latents), len(batch.images))
        made = self.draw(generator, latents[:count], batch)
        return side_by_side(_map_levels(batch, self.settings), batch.images, made)

    def calibrate(
        self, generator: nn.Module, latents: Tensor, batches: Sequence[Batch] = ()
    ) -> None:
        """Nothing to do: group norm keeps no statistics."""

    def warning(self, means: dict[str, float]) -> str | None:
        """What the averaged statistics of a stretch of training say is going wrong, if anything."""
        if means["loss"] > 1.5:
            return (
                f"the loss is {means['loss']:.2f}, worse than answering nothing (about 1): lower "
                "the learning rate"
            )
        return None


@contextmanager
def _seeded(seed: int, *, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _map_levels(batch: Batch, settings: FlowSettings) -> Tensor:
    if batch.shares is not None:
        count = batch.shares.shape[1]
        weights = torch.arange(count, device=batch.shares.device) / (count - 1)
        return 2 * (batch.shares * weights[None, :, None, None]).sum(1, keepdim=True) - 1
    assert batch.labels is not None
    labels = batch.labels if batch.labels.ndim == 3 else batch.labels[:, settings.context]
    return label_levels(labels, count=settings.labels)
