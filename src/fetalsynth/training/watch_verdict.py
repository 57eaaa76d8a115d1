"""What the looks of a watch say: which snapshot to take, when to stop, what to warn of.

Pure functions of the rows of a ``watch.jsonl``. A look is *sound* where the samples keep at least
``least`` of the distance that unseen patients keep from the training images, and no more of them
look like copies than chance explains; only such a look is chosen. It is *near* where that is no
accident and no blur: then patience counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = Mapping[str, float]

CHANCE = 0.05  # a sound look refused costs little, a copying one chosen much
NEAR_Z = -3.0  # below it the assessment takes a set for copied
NEAR_P = 8e-4  # at which the copying screen of an assessment raises its alarm
LOSS = "loss_held_out"


def is_sound(row: Row, *, least: float) -> bool:
    """Whether this look may be chosen."""
    return row["nearest_ratio"] >= least and row["copy_p"] >= CHANCE


def is_near(row: Row, *, least: float) -> bool:
    """Whether samples come nearer to training images than unseen patients, by more than chance.

    Blurred samples are near to everything and apart from nothing; ``copying_z``, the larger of
    two, leaves them out.
    """
    nearer = row["nearest_ratio"] < least and row["copying_z"] < NEAR_Z
    return nearer or row["copy_p"] < NEAR_P


def chosen(rows: Sequence[Row], *, least: float) -> Row | None:
    """The sound look with the lowest held-out loss, else the latest sound one; None without any."""
    sound = [row for row in rows if is_sound(row, least=least)]
    if not sound:
        return None
    return min(sound, key=lambda row: row[LOSS]) if LOSS in sound[0] else sound[-1]


def enough(rows: Sequence[Row], *, least: float, patience: int) -> str | None:
    """Why training should stop after the last of ``rows``; None for going on."""
    if not patience:
        return None
    if len(rows) >= patience and all(is_near(row, least=least) for row in rows[-patience:]):
        return (
            f"at {_looks(patience)} in a row samples came nearer to training images than unseen "
            "patients do"
        )
    losses = [row[LOSS] for row in rows if LOSS in row]
    if losses and len(losses) - 1 - losses.index(min(losses)) >= patience:
        return f"the held-out loss had not improved for {_looks(patience)}"
    return None


def reason(rows: Sequence[Row], *, least: float) -> str:
    """Why that look was chosen, or why none was, and when copying set in."""
    found = chosen(rows, least=least)
    if found is None:
        why = (
            f"at none of {_looks(len(rows))} did samples keep {least:g} of the distance from "
            "training images that unseen patients keep, with no more copies than by chance"
        )
    elif LOSS in found:
        lowest = min(row[LOSS] for row in rows) == found[LOSS]
        why = "held-out loss was lowest there" + ("" if lowest else ", of the sound looks")
    else:
        why = "it is the latest look at which samples were no nearer to training images than usual"
    return "; ".join([why, *_onset(rows, least=least)])


def near_from(rows: Sequence[Row], *, least: float) -> int | None:
    """The epoch from which on every look was near; None where the last was not."""
    first = None
    for row in reversed(rows):
        if not is_near(row, least=least):
            break
        first = int(row["epoch"])
    return first


def level(row: Row, *, least: float) -> int:
    """2 for a look that is near, 1 for one below the limit that may be blur or chance, else 0."""
    if is_near(row, least=least):
        return 2
    return int(row["nearest_ratio"] < least)


def warning(row: Row, *, least: float) -> str:
    """What a look of level 1 or 2 means and what to do."""
    if row["nearest_ratio"] < least:
        what = (
            f"samples lie at {row['nearest_ratio']:.2f} of the distance from training images that "
            f"unseen patients keep (the limit is {least:g})"
        )
    else:
        what = (
            f"{100 * row['copy_share']:.1f} % of the samples are nearer to a training image than "
            f"nearly every unseen patient ({100 * row['copy_share_expected']:.2g} % by chance)"
        )
    if level(row, least=least) == 2:
        meaning = "the generator copies its patients"
    else:
        meaning = "the generator blurs, or begins to copy its patients"
    return (
        f"after epoch {row['epoch']:.0f} {what}: {meaning}. Use the chosen snapshot, as generate "
        "does by itself; train on more images, or with stronger augmentation"
    )


def _onset(rows: Sequence[Row], *, least: float) -> list[str]:
    near = [row for row in rows if is_near(row, least=least)]
    if not near:
        return []
    since = near_from(rows, least=least)
    when = (
        f"at {len(near)} of {_looks(len(rows))}, first after epoch {near[0]['epoch']:.0f},"
        if since is None
        else f"from epoch {since} on"
    )
    return [f"{when} samples came nearer to training images than unseen patients do"]


def _looks(count: int) -> str:
    return f"{count} look{'' if count == 1 else 's'}"
