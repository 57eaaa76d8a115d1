"""Networks from local files: TorchScript and ONNX, their sidecars, and what is refused."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.assessment.features.extractors import Options, chosen
from fetalsynth.assessment.features.local_model import LocalModel, open_local_model
from fetalsynth.assessment.suite import assess_images
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.errors import UserError

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.5]


def noise(n: int, *, side: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), dtype=np.uint8)


class Quarters(nn.Module):
    """Means of the four quarters of each channel: features that can be written down."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


def quarters(images: np.ndarray) -> np.ndarray:
    half = images.shape[1] // 2
    means = images.reshape(-1, 2, half, 2, half).mean((2, 4)).reshape(-1, 1, 4) / 255
    mean, std = np.array(MEAN)[:, None], np.array(STD)[:, None]
    return ((means - mean) / std).reshape(-1, 12)


def scripted(path: Path, module: nn.Module, **sidecar: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(path)
    return described(path, **sidecar)


def described(path: Path, **changes: Any) -> Path:
    described = {"size": 16, "mean": MEAN, "std": STD, **changes}
    path.with_suffix(".json").write_text(json.dumps(described))
    return path


def features(path: Path, images: np.ndarray) -> np.ndarray:
    return open_local_model(path).features(images=images, resizing="clean")


@pytest.mark.parametrize("n", [1, 16, 19])
def test_torchscript_gives_known_features(tmp_path: Path, n: int) -> None:
    path = scripted(tmp_path / "net.pt", Quarters())
    assert np.allclose(features(path, noise(n)), quarters(noise(n)), atol=1e-5)


def test_one_channel_and_another_size(tmp_path: Path) -> None:
    path = scripted(
        tmp_path / "net.ts", Quarters(), size=32, channels=1, mean=[0], std=[1], batch=3
    )
    model = open_local_model(path)
    flat = np.full((4, 10, 12), 51, np.uint8)
    assert model.prepare(flat[:2], resizing="clean").shape == (3, 1, 32, 32)
    assert np.allclose(features(path, flat), 0.2, atol=1e-6)


class Several(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"maps": x, "pooled": x.mean((2, 3))}


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean((2, 3)), x.amax((2, 3))


def test_outputs_are_chosen_by_name_or_position(tmp_path: Path) -> None:
    images = noise(3)
    by_name = scripted(tmp_path / "several.pt", Several(), output="pooled")
    first = scripted(tmp_path / "pair.pt", Pair(), output=0)
    assert features(by_name, images).shape == (3, 3)
    assert np.array_equal(features(by_name, images), features(first, images))
    described(by_name)
    with pytest.raises(UserError, match=r"several\.pt.*maps, pooled"):
        features(by_name, images)
    described(by_name, output="maps")
    with pytest.raises(UserError, match=r"16 × 3 × 16 × 16.*one row of features"):
        features(by_name, images)
    described(first, output=5)
    with pytest.raises(UserError, match="0, 1"):
        features(first, images)
    single = scripted(tmp_path / "single.pt", Quarters(), output="pooled")
    with pytest.raises(UserError, match="single output"):
        features(single, images)


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x.mean((2, 3)) - 100)


class Narrow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


def test_unfit_networks_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"broken\.pt.*not finite"):
        features(scripted(tmp_path / "broken.pt", Broken()), noise(2))
    with pytest.raises(UserError, match=r"narrow\.pt: fails on an image.*size"):
        features(scripted(tmp_path / "narrow.pt", Narrow()), noise(2))


def test_names_carry_the_digest(tmp_path: Path) -> None:
    path = scripted(tmp_path / "net.pt", Quarters())
    model = open_local_model(path)
    assert model.name.startswith("net-")
    assert len(model.name) == len("net-") + 8
    described(path, std=[1, 1, 1])
    assert open_local_model(path).name != model.name
    described(path)
    assert open_local_model(path).name == model.name
    assert model.settings["weights_sha256"] == model.sha256
    assert model.settings["input"]["size"] == 16


def test_pickled_modules_are_never_read(tmp_path: Path) -> None:
    path = described(tmp_path / "net.pt")
    torch.save(Quarters(), path)
    with pytest.raises(UserError, match=r"net\.pt: is not TorchScript.*any code"):
        features(path, noise(1))
    path.write_bytes(b"text")
    with pytest.raises(UserError, match="not TorchScript"):
        features(path, noise(1))
    other = described(tmp_path / "net.pth")
    other.write_bytes(b"x")
    with pytest.raises(UserError, match=r"TorchScript \(\.pt, \.ts\) or ONNX"):
        open_local_model(other)
    with pytest.raises(UserError, match="does not exist"):
        open_local_model(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 0}, "size"),
        ({"mean": [0.5]}, "3 values"),
        ({"std": [1, 1, 0]}, "positive"),
        ({"channels": 2}, "channels"),
        ({"sizes": 3}, "sizes"),
    ],
)
def test_a_wrong_sidecar_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = scripted(tmp_path / "net.pt", Quarters(), **changes)
    with pytest.raises(UserError, match=rf"net\.json: .*{said}"):
        open_local_model(path)


def test_a_missing_sidecar_is_described(tmp_path: Path) -> None:
    path = scripted(tmp_path / "net.pt", Quarters())
    path.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        open_local_model(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r'needs net\.json beside it.*"size": 224'):
        open_local_model(path)


def onnx_file(path: Path, *, batch: int | str = "n", outputs: int = 1) -> Path:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("images", kind, [batch, 3, 16, 16])
    made = [helper.make_tensor_value_info(f"out{k}", kind, None) for k in range(outputs)]
    nodes = [
        helper.make_node("AveragePool", ["images"], ["means"], kernel_shape=[8, 8], strides=[8, 8]),
        *(helper.make_node("Flatten", ["means"], [f"out{k}"]) for k in range(outputs)),
    ]
    graph = helper.make_graph(nodes, "quarters", [given], made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return described(path)


def test_onnx_gives_known_features(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx")
    assert np.allclose(features(path, noise(19)), quarters(noise(19)), atol=1e-5)
    fixed = onnx_file(tmp_path / "fixed.onnx", batch=1)
    with pytest.raises(UserError, match=r"fixed\.onnx: fails.*batch"):
        features(fixed, noise(3))
    described(fixed, batch=1)
    assert np.allclose(features(fixed, noise(3)), quarters(noise(3)), atol=1e-5)


def test_onnx_outputs_and_damage(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "two.onnx", outputs=2)
    with pytest.raises(UserError, match="out0, out1"):
        features(path, noise(1))
    for output in ("out1", 1):
        described(path, output=output)
        assert np.allclose(features(path, noise(1)), quarters(noise(1)), atol=1e-5)
    path.write_bytes(b"text")
    with pytest.raises(UserError, match="cannot be read as ONNX"):
        features(path, noise(1))


def test_onnx_without_its_runtime_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = described(tmp_path / "net.onnx")
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r'pip install "fetalsynth\[onnx\]"'):
        features(path, noise(1))


def image_set(images: np.ndarray, name: str) -> ImageSet:
    records = tuple(
        ImageRecord(file=f"{name}{n}.png", subject=f"{name}{n}", sha256="0" * 64)
        for n in range(len(images))
    )
    source = Input(role=name, path=name, digest=name)
    return ImageSet(pixels=images[..., None], records=records, source=source)


def test_an_assessment_takes_local_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scripted(tmp_path / "net.pt", Quarters())
    dark = (noise(60, seed=1) // 2).astype(np.uint8)
    sets = {"real": image_set(noise(60), "real"), "synthetic": image_set(dark, "made")}
    scores = assess_images(**sets, feature_models=(path,), cache=tmp_path / "cache")
    name = open_local_model(path).name
    kid, distance = scores.metrics[f"KID-{name}"], scores.metrics[f"FD-{name}"]
    assert kid.p_value == pytest.approx(0.001)
    assert distance.floor is not None
    assert distance.value > 10 * distance.floor
    assert kid.settings["input"]["mean"] == MEAN
    assert not any("FID" in metric for metric in scores.metrics)

    def refuse(self: LocalModel, **_: object) -> np.ndarray:
        raise AssertionError("evaluated again")

    monkeypatch.setattr(LocalModel, "features", refuse)
    again = assess_images(**sets, feature_models=(path,), cache=tmp_path / "cache")
    assert again.metrics[f"FD-{name}"].value == distance.value


def test_the_same_network_twice_is_refused(tmp_path: Path) -> None:
    path = scripted(tmp_path / "net.pt", Quarters())
    with pytest.raises(UserError, match="twice"):
        chosen(Options(models=(path, path)))
