"""Shared paths and markers."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def hc18_folder() -> Path:
    """The HC18 training archive, where it lies beside the checkout."""
    folder = REAL_DATA / "hc18"
    if not folder.is_dir():
        pytest.skip("HC18 is not beside this checkout (get it with: fetalsynth data download hc18)")
    return folder


@pytest.fixture(scope="session")
def inception_weights() -> Path:
    """Folded Inception weights up to Mixed_6e, where they lie beside the checkout."""
    path = REAL_DATA / "inception_fid768" / "inception_2015_12_05_to_mixed_6e_bn_folded.npz"
    if not path.is_file():
        pytest.skip("Inception weights are not beside this checkout")
    return path


@pytest.fixture(scope="session")
def spina_bifida_atlas() -> Path:
    """The spina bifida atlas (Zenodo 5524312), where it lies beside the checkout."""
    folder = REAL_DATA / "spina_bifida_atlas"
    if not folder.is_dir():
        pytest.skip("the spina bifida atlas (Zenodo 5524312) is not beside this checkout")
    return folder
