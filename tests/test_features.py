"""Feature extractors: resizing against independent code, strict weights, known order on HC18."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from fetalsynth.assessment.features.extractors import EXTRACTORS, Options, chosen
from fetalsynth.assessment.features.inception import BATCH, inception_features
from fetalsynth.assessment.features.lbp import lbp_features
from fetalsynth.assessment.features.policy import resize_clean, resize_legacy, to_grey8
from fetalsynth.assessment.metrics.frechet import frechet_distance
from fetalsynth.errors import UserError
from fetalsynth.inception.network import Network
from fetalsynth.inception.reading import folded_shapes, load_weights


def noise(n: int, *, side: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), dtype=np.uint8)


def test_grey_depth_and_window() -> None:
    deep = np.array([0, 100, 502, 900, 65535], np.uint16).reshape(1, 1, 5, 1)
    assert to_grey8(pixels=deep, window=(100, 900)).ravel().tolist() == [0, 0, 128, 255, 255]
    assert to_grey8(pixels=deep).ravel().tolist() == [0, 0, 2, 4, 255]
    grey = noise(3)[..., None]
    assert np.array_equal(to_grey8(pixels=grey), grey[..., 0])
    colour = noise(3, side=8).reshape(1, 8, 8, 3)
    theirs = np.asarray(Image.fromarray(colour[0]).convert("L"), int)
    assert np.abs(to_grey8(pixels=colour)[0].astype(int) - theirs).max() <= 1
    assert np.array_equal(to_grey8(pixels=np.repeat(grey, 3, 3)), grey[..., 0])


@pytest.mark.parametrize("side", [40, 299, 520])
def test_clean_resizing_agrees_with_torchs_antialiased_bicubic(side: int) -> None:
    images = noise(3, side=side)
    tensor = torch.from_numpy(images.astype(np.float64))[:, None]
    theirs = F.interpolate(tensor, (299, 299), mode="bicubic", antialias=True)[:, 0]
    ours = resize_clean(images, side=299)
    assert np.abs(ours - theirs.clamp(0, 255).numpy()).max() < 1e-3


def test_clean_and_legacy_part_ways_when_shrinking() -> None:
    images = noise(1, side=1196)
    assert resize_legacy(images, side=299).std() > 1.3 * resize_clean(images, side=299).std()
    flat = np.full((1, 50, 50), 77, np.uint8)
    assert np.allclose(resize_clean(flat, side=299), 77)
    assert np.allclose(resize_legacy(flat, side=299), 77)


def test_lbp_features_have_mean_square_one_and_ignore_brightness() -> None:
    images = (noise(5) // 2).astype(np.uint8)
    features = lbp_features(images=images)
    assert features.shape == (5, 256)
    assert np.allclose((features**2).mean(1), 1)
    assert np.allclose(
        lbp_features(images=images), lbp_features(images=(2 * images).astype(np.uint8))
    )
    black = np.zeros((1, 9, 9), np.uint8)
    assert not lbp_features(images=black, exclude_outside_fan=True).any()


def fake_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        name: (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)
        for name, shape in folded_shapes().items()
    }


def test_only_the_right_file_of_weights_is_taken(tmp_path: Path) -> None:
    arrays = fake_weights()
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    assert set(load_weights(path).tensors) == set(folded_shapes())
    np.savez(path, **{**arrays, "fc.weight": np.zeros(3)})
    with pytest.raises(UserError, match=r"weights\.npz.*fc\.weight"):
        load_weights(path)
    np.savez(path, **{**arrays, "Mixed_6c.branch7x7_2.weight": np.zeros((160, 160, 7, 1))})
    with pytest.raises(UserError, match=r"Mixed_6c\.branch7x7_2\.weight"):
        load_weights(path)
    path.write_bytes(b"not an archive")
    with pytest.raises(UserError, match=r"not an \.npz"):
        load_weights(path)
    with pytest.raises(UserError, match="does not exist"):
        load_weights(tmp_path / "absent.npz")


def test_features_equal_those_of_pytorch_fid(inception_weights: Path) -> None:
    """Values from pytorch-fid 0.3.0's blocks (on torchvision 0.29's) in float64, same weights."""
    rows, columns = np.indices((299, 299))
    image = ((7 * rows + 13 * columns + rows * columns // 50) % 256).astype(np.uint8)
    network = Network(load_weights(inception_weights))
    found = inception_features(images=image[None], network=network)[0]
    known = {133: 1.31126, 347: 0.252775, 571: 0.11976, 489: 0.078852, 231: 0.055537, 501: 0.041337}
    assert found[list(known)] == pytest.approx(list(known.values()), abs=2e-6)
    assert found.sum() == pytest.approx(26.5517417, rel=1e-5)
    assert np.linalg.norm(found) == pytest.approx(3.2868286, rel=1e-6)
    assert int((found > 0).sum()) == 450


def test_network_gives_maps_of_17_by_17_without_negative_values(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, **fake_weights())
    with torch.inference_mode():
        maps = Network(load_weights(path)).maps(torch.zeros(1, 3, 299, 299))
    assert maps.shape == (1, 768, 17, 17)
    assert (maps >= 0).all()


def test_weights_file_of_the_standard_network_is_complete(inception_weights: Path) -> None:
    weights = load_weights(inception_weights).tensors
    convolutions_of_inception_v3, in_the_last_three_blocks = 94, 6 + 9 + 9
    assert len(weights) == 2 * (convolutions_of_inception_v3 - in_the_last_three_blocks)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_inception_features_do_not_depend_on_their_neighbours(inception_weights: Path) -> None:
    network = Network(load_weights(inception_weights))
    images = noise(BATCH + 3)
    together = inception_features(images=images, network=network)
    alone = inception_features(images=images[-2:], network=network)
    assert together.shape == (BATCH + 3, 768)
    assert np.array_equal(together[-2:], alone)


def hc18(folder: Path, n: int) -> np.ndarray:
    files = sorted((folder / "training_set").glob("*_HC.png"))
    chosen = files[:: max(1, len(files) // n)][:n]
    return np.stack([np.asarray(Image.open(f).convert("L").resize((256, 256))) for f in chosen])


@pytest.mark.slow
def test_distance_orders_real_blurred_and_noisy_heads(
    hc18_folder: Path, inception_weights: Path
) -> None:
    real = hc18(hc18_folder, 80)
    network = Network(load_weights(inception_weights))
    first, second = real[::2], real[1::2]
    blurred = np.stack([gaussian_filter(x, 1.5) for x in second])
    grain = np.random.default_rng(0).normal(0, 20, second.shape)
    noisy = np.clip(second + grain, 0, 255).astype(np.uint8)
    features = [
        inception_features(images=images, network=network)
        for images in (first, second, blurred, noisy)
    ]
    floor, of_blur, of_noise = (
        frechet_distance(first=features[0], second=other) for other in features[1:]
    )
    assert 0.2 < floor < 0.6
    assert of_blur > 1.3 * floor
    assert of_noise > 1.3 * floor


def test_every_extractor_keeps_its_word(inception_weights: Path) -> None:
    images = {"real": noise(3, side=32), "synthetic": noise(2, side=32, seed=1)}
    options = Options(inception_weights=inception_weights)
    assert list(chosen(options)) == ["LBP256", "Inception768"]
    for name, extractor in chosen(options).items():
        assert name.endswith(str(extractor.dimensions))
        found = extractor.extract(images, options)
        shapes = {role: features.shape for role, features in found.items()}
        assert shapes == {"real": (3, extractor.dimensions), "synthetic": (2, extractor.dimensions)}
        assert extractor.settings(options)["features"]
        assert extractor.frechet(options) is None
    assert [n for n, e in EXTRACTORS.items() if e.available(Options())] == ["LBP256"]
