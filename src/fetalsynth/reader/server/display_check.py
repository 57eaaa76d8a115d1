"""Two faint digits: one on black, one on white. Who reads both sees the ends of the grey scale.

The contrast is that of the 5 % and 95 % patches which radiology displays are checked with (AAPM
TG 18-QC; SMPTE RP 133): grey 13 on 0, and 242 on 255.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DARK, BRIGHT = 13, 242
RAMP = tuple(round(255 * k / 16) for k in range(17))


@dataclass(frozen=True, kw_only=True)
class Digits:
    """The hidden digits (2 to 9), and the greys of patches and ramp."""

    dark: str
    bright: str
    dark_grey: str = f"rgb({DARK},{DARK},{DARK})"
    bright_grey: str = f"rgb({BRIGHT},{BRIGHT},{BRIGHT})"
    ramp: tuple[str, ...] = tuple(f"rgb({grey},{grey},{grey})" for grey in RAMP)


def digits(session: str) -> Digits:
    """The digits of a session, so that the page can be loaded again, and differ between readers."""
    drawn = hashlib.sha256(f"display\n{session}".encode()).digest()
    return Digits(dark=str(2 + drawn[0] % 8), bright=str(2 + drawn[1] % 8))
