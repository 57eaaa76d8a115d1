"""The standard weights of the FID, fetched when the user asks for them."""

from __future__ import annotations

from pathlib import Path

from fetalsynth.datasets.download import fetch_file
from fetalsynth.errors import explaining
from fetalsynth.inception.weights import PUBLISHED, STANDARD_FILE, STANDARD_SHA256


def download_inception(
    folder: Path, *, base_url: str = PUBLISHED, sha256: str = STANDARD_SHA256
) -> Path:
    """Fetch pytorch-fid's Inception weights (96 MB) from ``base_url`` into ``folder``.

    Returns the file, which ``--inception-weights`` takes. What is there and whole is not fetched
    again; an interrupted transfer goes on. Raises UserError where the transfer fails or the
    checksum differs. TensorFlow's network, Apache-2.0.
    """
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return fetch_file(folder, STANDARD_FILE, sha256=sha256, url=base_url + STANDARD_FILE)
