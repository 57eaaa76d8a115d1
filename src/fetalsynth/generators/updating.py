"""One step of the optimizers of some networks along a loss, whatever the family."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn


def update(
    loss: Tensor,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    average_gradients: Callable[[Iterable[nn.Parameter]], None],
) -> None:
    """Differentiate ``loss`` and move the weights of ``networks``, over all processes alike."""
    for name in networks:
        optimizers[name].zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for name, network in networks.items():
        average_gradients(network.parameters())
        optimizers[name].step()
