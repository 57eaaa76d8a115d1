"""The 2048 features of the FID: against an eager network, the published file's size, other files.

The published weights are not at hand, so the reference is a second implementation, layer by layer
with batch normalisation unfolded, in NCHW, from pytorch-fid's description of the network.
"""

from __future__ import annotations

import hashlib
import http.server
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fetalsynth.assessment.features import extractors
from fetalsynth.assessment.features.download import download_inception
from fetalsynth.assessment.features.extractors import Options, chosen
from fetalsynth.assessment.features.inception import inception_features
from fetalsynth.assessment.features.policy import resize_clean
from fetalsynth.errors import UserError
from fetalsynth.inception.convolution import Convolution
from fetalsynth.inception.network import Network
from fetalsynth.inception.reading import folded_shapes, load_weights, state_shapes
from fetalsynth.inception.weights import STANDARD_FILE, STANDARD_SHA256, InceptionWeights


class Basic(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int | tuple[int, int], **more: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, bias=False, **more)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def same(inputs: int, outputs: int, height: int, width: int) -> Basic:
    return Basic(inputs, outputs, (height, width), padding=(height // 2, width // 2))


class Block(nn.Module):
    """Branches as chains of layers; a chain may end in a fork."""

    def __init__(self, pool: str, **layers: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        for name, layer in layers.items():
            self.add_module(name, layer)

    def run(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = getattr(self, name)(x)
        return x

    def pooled(self, x: Tensor) -> Tensor:
        if self.pool == "max":
            return self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))
        ones = torch.ones_like(x[:, :1])
        kernel = torch.ones(1, 1, 3, 3)
        summed = F.conv2d(x.flatten(0, 1)[:, None], kernel, padding=1).view_as(x)
        return self.branch_pool(summed / F.conv2d(ones, kernel, padding=1))


class A(Block):
    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__(
            "average",
            branch1x1=same(inputs, 64, 1, 1),
            branch5x5_1=same(inputs, 48, 1, 1),
            branch5x5_2=same(48, 64, 5, 5),
            branch3x3dbl_1=same(inputs, 64, 1, 1),
            branch3x3dbl_2=same(64, 96, 3, 3),
            branch3x3dbl_3=same(96, 96, 3, 3),
            branch_pool=same(inputs, pooled, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        five = self.run(x, "branch5x5_1", "branch5x5_2")
        three = self.run(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        return torch.cat([self.branch1x1(x), five, three, self.pooled(x)], 1)


class B(Block):
    def __init__(self) -> None:
        super().__init__(
            "max",
            branch3x3=Basic(288, 384, 3, stride=2),
            branch3x3dbl_1=same(288, 64, 1, 1),
            branch3x3dbl_2=same(64, 96, 3, 3),
            branch3x3dbl_3=Basic(96, 96, 3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        double = self.run(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class C(Block):
    def __init__(self, inner: int) -> None:
        super().__init__(
            "average",
            branch1x1=same(768, 192, 1, 1),
            branch7x7_1=same(768, inner, 1, 1),
            branch7x7_2=same(inner, inner, 1, 7),
            branch7x7_3=same(inner, 192, 7, 1),
            branch7x7dbl_1=same(768, inner, 1, 1),
            branch7x7dbl_2=same(inner, inner, 7, 1),
            branch7x7dbl_3=same(inner, inner, 1, 7),
            branch7x7dbl_4=same(inner, inner, 7, 1),
            branch7x7dbl_5=same(inner, 192, 1, 7),
            branch_pool=same(768, 192, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        seven = self.run(x, "branch7x7_1", "branch7x7_2", "branch7x7_3")
        double = self.run(x, *(f"branch7x7dbl_{n}" for n in range(1, 6)))
        return torch.cat([self.branch1x1(x), seven, double, self.pooled(x)], 1)


class D(Block):
    def __init__(self) -> None:
        super().__init__(
            "max",
            branch3x3_1=same(768, 192, 1, 1),
            branch3x3_2=Basic(192, 320, 3, stride=2),
            branch7x7x3_1=same(768, 192, 1, 1),
            branch7x7x3_2=same(192, 192, 1, 7),
            branch7x7x3_3=same(192, 192, 7, 1),
            branch7x7x3_4=Basic(192, 192, 3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        three = self.run(x, "branch3x3_1", "branch3x3_2")
        seven = self.run(x, *(f"branch7x7x3_{n}" for n in range(1, 5)))
        return torch.cat([three, seven, F.max_pool2d(x, 3, stride=2)], 1)


class E(Block):
    def __init__(self, inputs: int, pool: str) -> None:
        super().__init__(
            pool,
            branch1x1=same(inputs, 320, 1, 1),
            branch3x3_1=same(inputs, 384, 1, 1),
            branch3x3_2a=same(384, 384, 1, 3),
            branch3x3_2b=same(384, 384, 3, 1),
            branch3x3dbl_1=same(inputs, 448, 1, 1),
            branch3x3dbl_2=same(448, 384, 3, 3),
            branch3x3dbl_3a=same(384, 384, 1, 3),
            branch3x3dbl_3b=same(384, 384, 3, 1),
            branch_pool=same(inputs, 192, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.run(x, "branch3x3dbl_1", "branch3x3dbl_2")
        forks = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        forks += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *forks, self.pooled(x)], 1)


class Eager(nn.Module):
    def __init__(self, last_pool: str = "max") -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Basic(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Basic(32, 32, 3)
        self.Conv2d_2b_3x3 = same(32, 64, 3, 3)
        self.Conv2d_3b_1x1 = Basic(64, 80, 1)
        self.Conv2d_4a_3x3 = Basic(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
        self.Mixed_6a = B()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = C(128), C(160), C(160), C(192)
        self.Mixed_7a = D()
        self.Mixed_7b, self.Mixed_7c = E(1280, "average"), E(2048, last_pool)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps after Mixed_6e and the 2048 features."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        for block in (self.Mixed_5b, self.Mixed_5c, self.Mixed_5d, self.Mixed_6a):
            x = block(x)
        for block in (self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e):
            x = block(x)
        end = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x, F.adaptive_avg_pool2d(end, 1).flatten(1)


@pytest.fixture(scope="module")
def eager() -> Eager:
    """Random weights that keep the size of the maps, random normalisation that is far from 1."""
    torch.manual_seed(0)
    with torch.device("meta"):
        net = Eager()
    net = net.to_empty(device="cpu").eval()
    for name, tensor in net.state_dict().items():
        if tensor.ndim == 4:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
        elif name.endswith(("bn.weight", "running_var")):
            tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point():
            tensor.normal_(0, 0.2)
        else:
            tensor.zero_()
    return net


@pytest.fixture(scope="module")
def weights_file(eager: Eager, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / STANDARD_FILE
    state = eager.state_dict()
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path)
    return path


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Network:
    return Network(load_weights(weights_file))


def noise(n: int, *, side: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), dtype=np.uint8)


def test_layout_fills_the_published_file() -> None:
    """pt_inception-2015-12-05-6726825d.pth has 95,628,359 bytes, nearly all of them float32."""
    numbers = sum(int(np.prod(shape)) for shape in state_shapes().values())
    assert 0 < 95_628_359 - 4 * numbers < 200_000


def test_names_and_shapes_are_those_of_the_described_network(eager: Eager) -> None:
    theirs = {k: tuple(v.shape) for k, v in eager.state_dict().items() if "num_batches" not in k}
    assert state_shapes() == theirs


def test_features_equal_the_unfolded_eager_network(eager: Eager, network: Network) -> None:
    contrast = np.linspace(0.2, 1, 5)[:, None, None]
    images = np.rint(255 * (1 - contrast) + contrast * noise(5)).astype(np.uint8)
    pixels = torch.from_numpy(resize_clean(images, side=299))[:, None].expand(-1, 3, -1, -1)
    with torch.no_grad():
        _, theirs = eager(pixels / 255 * 2 - 1)
    ours = inception_features(images=images, network=network)
    assert ours.shape == (5, 2048)
    error = np.abs(ours - theirs.numpy())
    assert error.max() < 1e-5 * theirs.abs().max()
    assert np.linalg.norm(error) < 1e-4 * np.linalg.norm(theirs - theirs.mean(0))


def test_last_block_pools_by_maximum(eager: Eager, network: Network) -> None:
    other = Eager("average").eval()
    other.load_state_dict(eager.state_dict())
    with torch.no_grad():
        x = torch.rand(1, 3, 299, 299) * 2 - 1
        ours = network.features(x.contiguous(memory_format=torch.channels_last))
        right, wrong = eager(x)[1], other(x)[1]
    largest = right.abs().max()
    assert (ours - right).abs().max() < 1e-5 * largest
    assert (ours - wrong)[:, :-192].abs().max() < 1e-5 * largest
    assert (ours - wrong)[:, -192:].abs().max() > 1e-2 * largest


def test_first_blocks_agree_with_the_folded_file(inception_weights: Path, tmp_path: Path) -> None:
    """Unfold the real weights with an arbitrary normalisation, fold them again: the same maps."""
    folded = load_weights(inception_weights)
    state = {name: torch.zeros(shape) for name, shape in state_shapes().items()}
    rng = torch.Generator().manual_seed(1)
    for name in {key.rpartition(".")[0] for key in folded.tensors}:
        kernel, bias = folded.tensors[f"{name}.weight"], folded.tensors[f"{name}.bias"]
        variance = torch.rand(len(bias), generator=rng) + 0.5
        scale = torch.rand(len(bias), generator=rng) + 0.5
        mean = torch.randn(len(bias), generator=rng)
        root = (variance.double() + 0.001).sqrt()
        state[f"{name}.conv.weight"] = (
            kernel.double() * (root / scale)[:, None, None, None]
        ).float()
        state[f"{name}.bn.weight"], state[f"{name}.bn.running_var"] = scale, variance
        state[f"{name}.bn.running_mean"] = mean
        state[f"{name}.bn.bias"] = (bias.double() + mean * scale / root).float()
    path = tmp_path / "unfolded.pth"
    torch.save(state, path)
    refolded = load_weights(path)
    reference = load_weights(inception_weights)
    cut = inception_weights_up_to_6e(refolded)
    x = torch.rand(1, 3, 299, 299).contiguous(memory_format=torch.channels_last) * 2 - 1
    with torch.inference_mode():
        ours, theirs = Network(cut).maps(x), Network(reference).maps(x)
    assert ours.shape == (1, 768, 17, 17)
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def inception_weights_up_to_6e(
    weights: InceptionWeights,
) -> InceptionWeights:
    names = folded_shapes()
    return InceptionWeights(
        tensors={name: weights.tensors[name] for name in names},
        last="Mixed_6e",
        sha256=weights.sha256,
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_is_the_same_with_and_without_onednn(
    stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(2, 8, 19, 23, generator=rng).contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(24, 8, 3, 7, generator=rng).contiguous(memory_format=torch.channels_last)
    bias = torch.randn(24, generator=rng)
    exact = F.conv2d(x.double(), kernel.double(), bias.double(), stride, (1, 3))
    for fused in (True, False):
        if not fused:
            monkeypatch.setattr("fetalsynth.inception.convolution.fuses", lambda: False)
        for relu in (True, False):
            layer = Convolution(kernel=kernel, bias=bias, stride=stride, padding=(1, 3), relu=relu)
            with torch.inference_mode():
                found = layer(x).double()
            assert torch.allclose(found, exact.relu() if relu else exact, atol=1e-4)


def test_only_the_published_file_makes_a_fid(
    weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(inception_weights=weights_file)
    assert list(chosen(options)) == ["LBP256", "Inception2048"]
    extractor = chosen(options)["Inception2048"]
    assert extractor.frechet(options) is None
    assert "not the published file" in extractor.settings(options)["note"]
    assert not load_weights(weights_file).standard
    monkeypatch.setattr(extractors, "digest_file", lambda _: STANDARD_SHA256)
    assert extractor.frechet(options) == "FID"
    assert "note" not in extractor.settings(options)
    assert STANDARD_SHA256.startswith("6726825d")
    assert STANDARD_SHA256[:8] in STANDARD_FILE


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was run",))


def test_other_files_are_refused(eager: Eager, tmp_path: Path) -> None:
    path = tmp_path / "some.pth"
    state = {k: v for k, v in eager.state_dict().items() if "num_batches" not in k}
    torch.save({**state, "Mixed_7b.extra": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=r"some\.pth.*Mixed_7b\.extra.*pytorch-fid"):
        load_weights(path)
    missing = dict(state)
    del missing["Mixed_7c.branch3x3_2b.bn.running_mean"]
    torch.save(missing, path)
    with pytest.raises(UserError, match=r"Mixed_7c\.branch3x3_2b\.bn\.running_mean"):
        load_weights(path)
    broken = {**state, "Mixed_7a.branch3x3_1.bn.running_var": torch.full((192,), -1.0)}
    torch.save(broken, path)
    with pytest.raises(UserError, match=r"Mixed_7a\.branch3x3_1.*not finite"):
        load_weights(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="no state dictionary"):
        load_weights(path)
    for content in (pickle.dumps(Harmful(), protocol=2), b"", b"plain text"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"some\.pth.*pytorch-fid"):
            load_weights(path)
    with pytest.raises(UserError, match="does not exist"):
        load_weights(tmp_path / "absent.pth")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / STANDARD_FILE).write_bytes(b"weights")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_download_checks_what_arrives(served: str, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"weights").hexdigest()
    out = tmp_path / "new" / "folder"
    found = download_inception(out, base_url=served, sha256=sha256)
    assert found == out / STANDARD_FILE
    assert found.read_bytes() == b"weights"
    assert download_inception(out, base_url="http://127.0.0.1:9/", sha256=sha256) == found
    with pytest.raises(UserError, match="checksum"):
        download_inception(tmp_path / "other", base_url=served)
    assert not (tmp_path / "other" / STANDARD_FILE).exists()
