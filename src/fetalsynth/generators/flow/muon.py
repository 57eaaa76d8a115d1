"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum made orthogonal.

The update of a weight matrix is its momentum with all singular values brought near 1, by five
steps of a Newton–Schulz iteration. Convolutions count as matrices (out, in · height · width).
Updates are scaled to the size of AdamW's (Liu et al. 2025, arXiv 2502.16982: 0.2 √max(rows,
columns)), so that one learning rate serves the matrices and, by AdamW, all other parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
MOMENTUM = 0.95
BETAS = (0.9, 0.99)
_TINY = 1e-8


class Muon(torch.optim.Optimizer):
    """Muon for ``matrices``, AdamW for ``others``; weight decay acts on matrices only."""

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "muon": True, "weight_decay": weight_decay},
            {"params": list(others), "muon": False, "weight_decay": 0.0},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update; ``closure`` is not used."""
        for group in self.param_groups:
            update = self._orthogonal if group["muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update(parameter), alpha=-group["lr"])

    def _orthogonal(self, parameter: Tensor) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"]
        momentum.lerp_(parameter.grad, 1 - MOMENTUM)
        looked_ahead = parameter.grad.lerp(momentum, MOMENTUM)
        matrix = looked_ahead.flatten(1)
        size = 0.2 * max(matrix.shape) ** 0.5
        update: Tensor = size * orthogonalised(matrix)
        return update.view_as(parameter)

    def _adam(self, parameter: Tensor) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        count = float(state["step"])
        state["mean"].lerp_(parameter.grad, 1 - BETAS[0])
        state["square"].lerp_(parameter.grad.square(), 1 - BETAS[1])
        mean = state["mean"] / (1 - BETAS[0] ** count)
        square = state["square"] / (1 - BETAS[1] ** count)
        update: Tensor = mean / (square.sqrt() + _TINY)
        return update


def orthogonalised(matrix: Tensor) -> Tensor:
    """``matrix`` with its singular values brought near 1 (0.7 to 1.2), in bfloat16 precision."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(torch.bfloat16)
    x = x / (x.norm() + _TINY)
    for _ in range(STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)
