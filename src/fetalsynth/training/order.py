"""Which image is seen when: an endless row of permutations, addressed by images seen."""

from __future__ import annotations

import torch
from torch import Tensor

from fetalsynth.randomness import torch_rng


class Order:
    """Every image comes once in every epoch; batches run on across the ends of epochs."""

    def __init__(self, *, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

    def indices(self, *, first: int, count: int) -> Tensor:
        """Indices of the images at positions ``first`` … ``first + count`` of the row."""
        parts = []
        position = first
        while position < first + count:
            epoch, offset = divmod(position, self.count)
            take = min(self.count - offset, first + count - position)
            parts.append(self._permuted(epoch)[offset : offset + take])
            position += take
        return torch.cat(parts)

    def _permuted(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            rng = torch_rng(seed=self.seed, stream="order", counter=epoch)
            self._permutation = torch.randperm(self.count, generator=rng)
            self._epoch = epoch
        return self._permutation
