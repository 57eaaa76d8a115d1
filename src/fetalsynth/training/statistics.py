"""Training statistics: summed on the device, written as one JSON object per log step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.model import STATISTICS, read_statistics
from fetalsynth.errors import UserError, explaining

Callback = Callable[[dict[str, float]], None]


class Running:
    """Means of the losses since the last log step, in float64 and without waiting for the GPU."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sums: Tensor | None = None
        self.count = 0

    def update(self, values: dict[str, Tensor]) -> None:
        """Add the scalars of one training step."""
        self.names = list(values)
        stacked = torch.stack([v.detach() for v in values.values()]).double()
        self.sums = stacked if self.sums is None else self.sums + stacked
        self.count += 1

    def means(self, average: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Means over the steps and, by ``average``, over the processes."""
        assert self.sums is not None
        values = average(self.sums / self.count).tolist()
        return dict(zip(self.names, values, strict=True))

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to log the same means."""
        return {"names": self.names, "sums": self.sums, "count": self.count}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from :meth:`state`."""
        self.names, self.count = state["names"], state["count"]
        self.sums = None if state["sums"] is None else state["sums"].to(device)


class Log:
    """Appends rows to ``stats.jsonl`` and hands them to callbacks (TensorBoard and others)."""

    def __init__(self, folder: Path, *, images_seen: int, callbacks: list[Callback]) -> None:
        self.path = folder / STATISTICS
        self.callbacks = callbacks
        self.rows = self._rows_up_to(images_seen)

    def _rows_up_to(self, images_seen: int) -> list[dict[str, Any]]:
        """Forget rows that a killed run wrote after the state that is resumed from."""
        if not self.path.exists():
            return []
        rows = read_statistics(self.path)
        kept = [row for row in rows if row["images_seen"] <= images_seen]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        return kept

    def write(self, row: dict[str, Any]) -> None:
        """Append one row."""
        self.rows.append(row)
        with explaining(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        for callback in self.callbacks:
            callback(row)


def tensorboard(folder: Path) -> Callback:
    """A callback that writes TensorBoard event files (extra ``tracking``)."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "--tensorboard needs an extra: pip install 'fetalsynth[tracking]'"
        ) from error
    with explaining(folder):
        writer = SummaryWriter(str(folder))

    def write(row: dict[str, float]) -> None:
        for name, value in row.items():
            writer.add_scalar(name, value, int(row["images_seen"]))
        writer.flush()

    return write
