"""Random numbers addressed by (seed, stream, counter).

Every draw in the package comes from a generator that is a pure function of the run's seed, the
name of the stream ("latents", "augmentation", …) and a counter (usually images seen). Nothing
depends on how often or in which order generators were made, so a resumed run and an uninterrupted
one draw the same numbers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(*, seed: int, stream: str, counter: int = 0) -> int:
    """A 63-bit seed that is a pure function of its arguments (BLAKE2b of their text)."""
    text = f"{seed}/{stream}/{counter}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def numpy_rng(*, seed: int, stream: str, counter: int = 0) -> np.random.Generator:
    """NumPy generator (Philox) for the given address."""
    return np.random.Generator(np.random.Philox(derive(seed=seed, stream=stream, counter=counter)))


def torch_rng(*, seed: int, stream: str, counter: int = 0) -> torch.Generator:
    """CPU torch generator for the given address."""
    import torch

    return torch.Generator().manual_seed(derive(seed=seed, stream=stream, counter=counter))
