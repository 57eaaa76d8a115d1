"""Stimuli as they travel: named at random, all of one length, under the same headers.

Zeros after the end of a PNG are ignored by every decoder, and hide how well the picture compresses.
"""

from __future__ import annotations

from fetalsynth.errors import explaining
from fetalsynth.reader.database.showing import Shown
from fetalsynth.reader.server.folder import ServedStudy
from fetalsynth.reader.study import Item, stimulus_files

SIDES = ("left", "right")
_IMAGE = "image"


def parts(served: ServedStudy) -> list[str]:
    """Names under which the pictures of one screen are asked for, in the order of display.

    "image", or the planes of a volume; in a pair each with its side in front ("left-image").
    """
    names = [plane or _IMAGE for plane in stimulus_files(served.study.items[0])]
    if served.study.mode == "single":
        return names
    return [f"{side}-{name}" for side in SIDES for name in names]


def stimulus(served: ServedStudy, shown: Shown, part: str) -> bytes:
    """The PNG of one part of a screen, padded to the length of all.

    Raises LookupError where the screen has no such part.
    """
    if part not in parts(served):
        raise KeyError(part)
    side, _, name = part.rpartition("-")
    files = stimulus_files(_item(served, shown, side))
    path = served.folder / files["" if name == _IMAGE else name]
    with explaining(path):
        data = path.read_bytes()
    return data.ljust(served.stimulus_bytes, b"\0")


def _item(served: ServedStudy, shown: Shown, side: str) -> Item:
    if side == "right" and shown.item2_id is not None:
        return served.items[shown.item2_id]
    return served.items[shown.item_id]
