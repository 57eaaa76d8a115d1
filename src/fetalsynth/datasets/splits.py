"""Which subjects are held out: decided per subject, so that no patient is on both sides."""

from __future__ import annotations

from collections.abc import Iterable

from fetalsynth.errors import UserError
from fetalsynth.randomness import derive

TRAIN, TEST = "train", "test"


def split_subjects(subjects: Iterable[str], *, held_out: float, seed: int) -> dict[str, str]:
    """ "train" or "test" for every subject.

    Subjects are ordered by a hash of the seed and their name and the first
    round(held_out × subjects), at least one, are held out: the order of the input does not matter
    and a larger fraction holds out a superset. Raises UserError for a fraction outside [0, 1) and
    where no subject would be left to train on.
    """
    if not 0 <= held_out < 1:
        raise UserError(f"--held-out {held_out:g}: must be at least 0 and below 1, such as 0.2")
    unique = sorted(set(subjects))
    count = max(1, round(held_out * len(unique))) if held_out > 0 else 0
    if count >= len(unique):
        raise UserError(
            f"{len(unique)} subject cannot be split into train and test; use --held-out 0"
            if len(unique) == 1
            else f"--held-out {held_out:g} leaves none of {len(unique)} subjects to train on"
        )
    order = sorted(unique, key=lambda name: (derive(seed=seed, stream=f"split/{name}"), name))
    chosen = set(order[:count])
    return {name: TEST if name in chosen else TRAIN for name in unique}
