"""The cache of features: no second evaluation, right keys, damage, two processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.assessment.features.cache import Key, key_of, store, stored
from fetalsynth.assessment.features.extractors import Options, chosen
from fetalsynth.assessment.suite import assess_images
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.errors import DataWarning, UserError
from fetalsynth.inception.network import Network
from fetalsynth.inception.reading import folded_shapes


def noise(n: int, *, side: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "folded.npz"
    np.savez(path, **{name: np.zeros(shape, np.float32) for name, shape in folded_shapes().items()})
    return path


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for the network; how many images went through it, one number per batch."""
    calls: list[int] = []

    def features(_: Network, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return F.adaptive_avg_pool2d(x, 16).flatten(1)

    monkeypatch.setattr(Network, "features", features)
    return calls


def test_second_run_evaluates_nothing_and_gives_the_same(
    tmp_path: Path, weights: Path, evaluated: list[int]
) -> None:
    options = Options(inception_weights=weights, cache=tmp_path / "cache")
    sets = {"real": noise(5), "synthetic": noise(4, seed=1)}
    extractor = chosen(options)["Inception768"]
    first = extractor.extract(sets, options)
    assert len(evaluated) == 3
    again = extractor.extract(sets, options)
    assert len(evaluated) == 3
    uncached = extractor.extract(sets, Options(inception_weights=weights))
    assert len(evaluated) == 6
    assert list(again) == ["real", "synthetic"]
    for role in sets:
        assert np.array_equal(first[role], again[role])
        assert np.array_equal(first[role], uncached[role])


def test_only_what_is_new_is_evaluated(tmp_path: Path, weights: Path, evaluated: list[int]) -> None:
    options = Options(inception_weights=weights, cache=tmp_path)
    extractor = chosen(options)["Inception768"]
    extractor.extract({"real": noise(4)}, options)
    swapped = extractor.extract({"real": noise(4, seed=2), "synthetic": noise(4)}, options)
    assert len(evaluated) == 2
    alone = extractor.extract({"synthetic": noise(4)}, options)
    assert np.array_equal(swapped["synthetic"], alone["synthetic"])
    other = Options(inception_weights=weights, cache=tmp_path, resizing="legacy")
    extractor.extract({"real": noise(4)}, other)
    assert len(evaluated) == 3


def image_set(images: np.ndarray, name: str) -> ImageSet:
    records = tuple(
        ImageRecord(file=f"{name}{n}.png", subject=f"{name}{n}", sha256="0" * 64)
        for n in range(len(images))
    )
    return ImageSet(
        pixels=images[..., None],
        records=records,
        source=Input(role=name, path=name, digest=name),
    )


def test_a_second_assessment_needs_no_network(
    tmp_path: Path, weights: Path, evaluated: list[int]
) -> None:
    sets = {"real": image_set(noise(12), "real"), "synthetic": image_set(noise(9, seed=3), "made")}
    cache = tmp_path / "cache"
    first = assess_images(**sets, inception_weights=weights, cache=cache)
    assert len(evaluated) == 6
    again = assess_images(**sets, inception_weights=weights, cache=cache, seed=1)
    assert len(evaluated) == 6
    name = "KID-Inception768"
    assert first.metrics[name].value == again.metrics[name].value


def test_keys_tell_everything_apart() -> None:
    images = noise(4)
    base = {"images": images, "extractor": "a", "policy": "p"}
    changed = images.copy()
    changed[2, 3, 4] ^= 1
    keys = [
        key_of(**base),
        key_of(**{**base, "images": changed}),
        key_of(**{**base, "images": images[::-1]}),
        key_of(**{**base, "images": images.reshape(8, 16, 32)}),
        key_of(**{**base, "extractor": "b"}),
        key_of(**{**base, "policy": "q"}),
    ]
    assert len({key.file for key in keys}) == len(keys)
    assert key_of(**{**base, "images": images[:, ::2]}) == key_of(
        **{**base, "images": images[:, ::2].copy()}
    )


def test_damage_is_said_and_mended(tmp_path: Path, weights: Path, evaluated: list[int]) -> None:
    options = Options(inception_weights=weights, cache=tmp_path)
    extractor = chosen(options)["Inception768"]
    sets = {"real": noise(3)}
    right = extractor.extract(sets, options)["real"]
    (entry,) = tmp_path.glob("*.npz")
    whole = entry.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for damaged in (b"", whole[:-200], bytes(flipped), b"text"):
        entry.write_bytes(damaged)
        evaluated.clear()
        with pytest.warns(DataWarning, match=f"{entry.name}.*damaged"):
            found = extractor.extract(sets, options)["real"]
        assert len(evaluated) == 1
        assert np.array_equal(found, right)
        assert entry.read_bytes() == whole


def test_an_entry_of_other_images_is_not_taken(tmp_path: Path) -> None:
    one, two = (key_of(images=noise(3, seed=s), extractor="e", policy="p") for s in (0, 1))
    store(tmp_path, one, np.ones((3, 7)))
    (tmp_path / one.file).rename(tmp_path / two.file)
    assert stored(tmp_path, one, count=3) is None
    with pytest.warns(DataWarning, match="something else"):
        assert stored(tmp_path, two, count=3) is None


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    key = key_of(images=noise(1), extractor="e", policy="p")
    with pytest.raises(UserError, match="file"):
        store(tmp_path / "file" / "cache", key, np.ones((1, 2)))


WRITER = """
import sys
from pathlib import Path
import numpy as np
from fetalsynth.assessment.features.cache import Key, store
for _ in range(20):
    key = Key(images="i", extractor="e", policy="p")
    store(Path(sys.argv[1]), key, np.arange(200_000.0).reshape(2, -1))
"""


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    workers = [subprocess.Popen(command) for _ in range(2)]
    key = Key(images="i", extractor="e", policy="p")
    seen = 0
    while any(worker.poll() is None for worker in workers):
        found = stored(tmp_path, key, count=2)
        if found is not None:
            assert found.shape == (2, 100_000)
            assert found[1, -1] == 199_999
            seen += 1
    assert [worker.wait() for worker in workers] == [0, 0]
    assert seen > 0
    assert [path.name for path in tmp_path.iterdir()] == [key.file]
