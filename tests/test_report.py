"""The report shows every recorded number and text, needs nothing but itself, and escapes data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fetalsynth.artifacts.manifest import Input, Licence, Manifest, draft
from fetalsynth.artifacts.scores import Alarm, Metric, Pair, Scores, write_scores
from fetalsynth.errors import UserError
from fetalsynth.reports.assessment import write_report
from fetalsynth.reports.curves import training_curves
from fetalsynth.reports.plots import line_chart, ratio_strip
from fetalsynth.reports.wording import count, duration, listing, number, p_value

VOID = {"meta", "br", "img", "link", "input", "hr", "wbr"}
EVIL = '<script>alert("x")</script>&amp;\'"'
HC18 = Licence(
    source="HC18",
    licence="CC BY 4.0",
    citation="van den Heuvel et al. 2018, PLoS ONE 13(8):e0200412",
    url="https://zenodo.org/records/1327317",
)


class Page(HTMLParser):
    """Tags, texts and ``<data>`` numbers of a page; fails where tags are not balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.data: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.texts.append(data)
        if self.open and self.open[-1] == "data":
            self.data.append((self.tags[-1][1]["value"], data))


def a_metric(value: float, **changes: Any) -> Metric:
    fields = {"direction": "lower", "n_real": 193, "n_synthetic": 800}
    return Metric.model_validate({**fields, "value": value, **changes})


METRICS = {
    "FD-Inception768": a_metric(12.8312345, ci95=(11.9, 13.7), floor=3.2123, meaning="Set to set."),
    "KID-Inception768": a_metric(0.0312, ci95=(-1.2e-5, 0.0641), p_value=0.001, floor=-2.1e-5),
    "KID-LBP": a_metric(3.1e-4, ci95=(-1.2e-5, 6.4e-4), p_value=0.0123, floor=1.1e-4),
    "MI": a_metric(0.4321, direction="none", floor=0.4712, unit="nats", meaning="Unpaired: little"),
    "PSNR": a_metric(11.72, ci95=(11.5, 11.9), direction="none", floor=11.34, unit="dB"),
    "LBP-L1": a_metric(0.30000000000000004, floor=0.05, settings={"bins": 256, "eps": 1e-7}),
    "LBP-JS": a_metric(1e-17, floor=0.0021),
    "V8": a_metric(-6.42, ci95=(-7.1, -5.8), direction="none", floor=0.31, unit="counts"),
    "V20": a_metric(-1.02, direction="none", p_value=0.9),
    "V143": a_metric(0.0, direction="none"),
    "V240": a_metric(1234567.8, ci95=(1.1e6, 1.3e6), direction="none"),
    "diversity": a_metric(0.81, ci95=(0.7, 0.9), direction="higher", floor=0.97, n_real=24000),
    "tail": a_metric(2.5e-9, p_value=1e-5, floor=2.5e-9),
}


def noise(path: Path, *, height: int, width: int, seed: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path.name if path.parent.name != "closest" else f"closest/{path.name}"


def full_scores(folder: Path) -> Scores:
    pairs = [
        Pair(
            synthetic_file=f"images/{k}.png",
            real_file=f"images/{k}_HC.png",
            distance=0.2123 + k,
            picture_synthetic=noise(folder / "closest" / f"s{k}.png", height=64, width=64, seed=k),
            picture_real=noise(folder / "closest" / f"r{k}.png", height=64, width=64, seed=k + 50),
        )
        for k in range(12)
    ]
    names = ("samples_real", "samples_synthetic")
    pictures = {n: noise(folder / f"{n}.png", height=384, width=384, seed=9) for n in names}
    return Scores(
        metrics=METRICS,
        inputs={
            "real": {"path": "data/hc18", "digest": "ab" * 32, "count": 193, "splits": []},
            "synthetic": {"path": "runs/images", "digest": "cd" * 32, "count": 800},
        },
        alarms=(Alarm(name="texture", reason="KID-LBP is 2.8 times its floor"),),
        unjudged={"copying": "no training images were given"},
        closest_pairs=tuple(pairs),
        pictures=pictures,
    )


def a_manifest(**changes: Any) -> Manifest:
    data = draft(kind="images", configuration={"source": "hc18"}, synthetic=False, licences=(HC18,))
    recipe = {"name": "dcgan64", "epochs": 300, "generator": {"family": "dcgan", "size": 64}}
    model = draft(
        kind="model",
        configuration={"recipe": recipe},
        seed=7,
        synthetic=True,
        inputs=(Input(role="data", path="data/hc18", digest="ab" * 32, manifest=data),),
    ).model_copy(
        update={
            "facts": {
                "images": 806,
                "seconds": 12000.0,
                "warnings": [{"images_seen": 12000, "warning": "discriminator always right"}],
            }
        }
    )
    images = draft(
        kind="images",
        configuration={"n": 800, "epoch": 200},
        synthetic=True,
        inputs=(Input(role="model", path="runs/dcgan64", digest="12" * 32, manifest=model),),
    )
    synthetic = Input(role="synthetic", path="runs/images", digest="cd" * 32, manifest=images)
    fields: dict[str, Any] = {"configuration": {"seed": 0}, "inputs": (synthetic,), **changes}
    whole = draft(kind="scores", synthetic=False, **fields)
    return whole.model_copy(update={"created": "2026-03-01T12:00:00+00:00"})


def write_rows(folder: Path, length: int = 40) -> None:
    rows = [
        {
            "images_seen": 1000 * k,
            "epoch": k / 2,
            "seconds": 3.0 * k,
            "images_per_second": 333.0,
            "loss_discriminator": 1 / k,
            "loss_generator": float(k),
            "accuracy_real": 0.9,
            "gradient_norm": 0.1 * k,
        }
        for k in range(1, length + 1)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "training-stats.jsonl").write_text(lines)


@pytest.fixture
def full(tmp_path: Path) -> tuple[Path, Page]:
    write_scores(tmp_path, full_scores(tmp_path))
    write_rows(tmp_path)
    path = write_report(tmp_path, a_manifest())
    assert path == tmp_path / "report.html"
    return path, Page(path.read_text(encoding="utf-8"))


def bare(folder: Path, manifest: Manifest | None = None, **fields: Any) -> Page:
    write_scores(folder, Scores.model_validate({"metrics": {}, "inputs": {}, **fields}))
    manifest = manifest or draft(kind="scores", configuration={}, synthetic=False)
    return Page(write_report(folder, manifest).read_text(encoding="utf-8"))


def read_back(text: str) -> float:
    """The number that a reader sees, by rules of its own."""
    plain = text.replace("\u202f", "").replace("−", "-").replace("< ", "")
    mantissa, _, power = plain.partition(" × 10")
    digits = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(mantissa) * 10.0 ** int(digits or 0)


def recorded_numbers() -> list[float]:
    numbers: list[float] = []
    for metric in METRICS.values():
        numbers += [metric.value, *(metric.ci95 or ()), metric.n_real, metric.n_synthetic]
        numbers += [v for v in (metric.floor, metric.p_value) if v is not None]
    return numbers


def test_every_recorded_number_is_there_exactly(full: tuple[Path, Page]) -> None:
    exact = Counter(float(value) for value, _ in full[1].data)
    expected = Counter([*recorded_numbers(), *(0.2123 + k for k in range(12))])
    assert expected <= exact
    assert set(exact) == set(expected)


def test_what_is_read_agrees_with_what_is_recorded(full: tuple[Path, Page]) -> None:
    # Interval ends are rounded to the decimals of their estimate, p-values as journals print them.
    coarser = {"-1.2e-05": 6e-5, "0.0123": 5e-4, "1e-05": 1e-3, "1e-17": 1e-15}
    for exact, shown in full[1].data:
        within = coarser.get(exact, 5e-3 * abs(float(exact)))
        assert abs(read_back(shown) - float(exact)) <= within, (exact, shown)


def test_texts_units_digests_and_lineage_are_there(full: tuple[Path, Page]) -> None:
    page = full[1].text
    expected = [
        *METRICS,
        "Set to set.",
        "Unpaired: little",
        "nats",
        "dB",
        "KID-LBP is 2.8 times its floor",
        "no training images were given",
        "images/11_HC.png",
        "ab" * 32,
        "12" * 32,
        HC18.citation,
        HC18.licence,
        "trained for 300 epochs on 806 images from HC18, 64 × 64 pixels each",
        "After 200 epochs it made 800 synthetic images",
        "3 h 20 min",
        "discriminator always right",
        "Not for clinical use.",
        "2026-03-01 12:00 UTC",
        "256",
        "1e-07",
    ]
    assert [text for text in expected if text not in page] == []
    assert "e-17" not in page
    assert "[]" not in page
    assert "30000000000000004" not in page


def test_nothing_comes_from_outside(full: tuple[Path, Page]) -> None:
    path, page = full
    html = path.read_text(encoding="utf-8")
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    outside = []
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "poster", "xlink:href"):
            target = attributes.get(name, "#")
            if not target.startswith(("#", "data:image/png;base64,")):
                outside.append((tag, target))
    assert outside == [("a", HC18.url)]
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    policy = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_page_is_sound_for_keyboards_and_screen_readers(full: tuple[Path, Page]) -> None:
    tags = full[1].tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    html = full[0].read_text(encoding="utf-8")
    targets = [a["href"][1:] for _, a in tags if a.get("href", "").startswith("#")]
    targets += re.findall(r"url\(#([^)]+)\)", html)
    assert set(targets) <= set(ids)
    assert all(a["alt"] for t, a in tags if t == "img")
    assert all(a["scope"] for t, a in tags if t == "th")
    assert all(
        a.get("aria-label") or a.get("aria-hidden") or "chart" in a["class"]
        for t, a in tags
        if t == "svg"
    )
    levels = [int(t[1]) for t, _ in tags if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(b - a for a, b in pairwise(levels)) == 1
    assert ("html", {"lang": "en"}) in tags


def test_report_is_small_and_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    write_scores(tmp_path, full_scores(tmp_path))
    write_rows(tmp_path)
    manifest = a_manifest()
    first = write_report(tmp_path, manifest).read_bytes()
    assert len(first) < 3_000_000
    monkeypatch.setitem(mpl.rcParams, "font.size", 40.0)
    assert write_report(tmp_path, manifest).read_bytes() == first


def test_data_cannot_become_markup(tmp_path: Path) -> None:
    licence = Licence(source=EVIL, licence=EVIL, citation=EVIL, url="javascript:alert(1)")
    pair = Pair(
        synthetic_file=EVIL,
        real_file=EVIL,
        distance=0.5,
        picture_synthetic=f"{EVIL}.png",
        picture_real="missing.png",
    )
    row = {"epoch": 1, EVIL: 2.0, "loss_$x_{": 1.0, "loss_" + EVIL: 3.0}
    lines = json.dumps(row) + "\n" + json.dumps({**row, "epoch": 2}) + "\n"
    (tmp_path / "training-stats.jsonl").write_text(lines)
    page = bare(
        tmp_path,
        draft(
            kind="scores",
            configuration={EVIL: EVIL},
            synthetic=False,
            licences=(licence,),
            inputs=(Input(role=EVIL, path=EVIL, digest=EVIL),),
        ),
        metrics={EVIL: a_metric(1.0, unit=EVIL, meaning=EVIL, settings={EVIL: EVIL})},
        inputs={EVIL: {EVIL: EVIL}},
        alarms=[{"name": "shift", "reason": EVIL}],
        unjudged={EVIL: EVIL},
        closest_pairs=[pair.model_dump()],
        pictures={EVIL: f"{EVIL}.png"},
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [a for t, a in page.tags if t == "a" and not a["href"].startswith("#")]
    assert page.text.count('<script>alert("x")</script>&amp;') >= 15


def test_whatever_is_missing_is_said(tmp_path: Path) -> None:
    page = bare(tmp_path).text
    for sentence in (
        "Nothing was measured",
        "carry no record of the model",
        "No pictures of samples were recorded",
        "No nearest pairs were recorded",
        "No scores were recorded",
        "No training record came with the synthetic images",
        "Every test of this assessment ran",
        "No licence is recorded",
        "Which folders were compared was not recorded",
    ):
        assert sentence in page


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "the file is missing"), (b"GIF89a", "cannot be read as PNG"), (b"", "cannot be read")],
)
def test_unreadable_pictures_are_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "samples_real.png").write_bytes(content)
    page = bare(tmp_path, pictures={"samples_real": "samples_real.png"})
    assert said in page.text
    assert "img" not in {tag for tag, _ in page.tags}


def test_half_a_png_and_files_elsewhere_are_not_shown(tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    noise(tmp_path / "secret.png", height=8, width=8, seed=0)
    noise(folder / "half.png", height=64, width=64, seed=0)
    whole = (folder / "half.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    page = bare(folder, pictures={"a": "../secret.png", "b": "half.png"})
    assert "outside the folder" in page.text
    assert "cannot be read as PNG" in page.text
    assert "img" not in {tag for tag, _ in page.tags}


def test_large_pictures_are_shrunk_by_averaging_and_that_is_said(tmp_path: Path) -> None:
    import base64
    import io

    pixels = np.random.default_rng(0).integers(0, 256, (1600, 1600)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "samples_real.png")
    page = bare(tmp_path, pictures={"samples_real": "samples_real.png"})
    source = next(a["src"] for t, a in page.tags if t == "img")
    shown = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    means = pixels.reshape(800, 2, 800, 2).mean(axis=(1, 3))
    assert np.abs(np.asarray(shown, dtype=float) - means).max() <= 0.5
    assert "Shown smaller than recorded" in page.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n{}\n", "is damaged"),
        ("", "holds no numbers"),
        ('[1]\n"x"\n{"epoch": "one"}\n', "holds no numbers"),
        ('{"epoch": 1, "loss": NaN}\n{"epoch": 2, "loss": 0.5}\n', "1 log entry held a value"),
    ],
)
def test_odd_training_records_are_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "training-stats.jsonl").write_text(text)
    assert said in bare(tmp_path).text


def test_verdict_follows_alarms_and_gaps_in_words_and_colour(tmp_path: Path) -> None:
    metrics = {"KID": a_metric(0.1).model_dump()}
    clear = bare(tmp_path, metrics=metrics)
    assert "No warning" in clear.text
    assert "not proof" in clear.text
    gaps = bare(tmp_path, metrics=metrics, unjudged={"copying": "no training images"})
    assert "not everything was judged" in gaps.text
    alarms = [{"name": n, "reason": f"because {n}"} for n in ("copying", "too-few-images")]
    alarmed = bare(tmp_path, metrics=metrics, alarms=alarms)
    assert "2 warnings" in alarmed.text
    assert "too close to training images" in alarmed.text
    assert "because too-few-images" in alarmed.text
    for page, level in ((clear, "clear"), (gaps, "caution"), (alarmed, "alarm")):
        classes = [a["class"] for t, a in page.tags if a.get("class", "").startswith("verdict")]
        assert classes == [f"verdict {level}"]


def test_simulated_training_data_are_called_simulated(tmp_path: Path) -> None:
    data = draft(kind="images", configuration={}, synthetic=True)
    model = draft(
        kind="model",
        configuration={"recipe": {"name": "dcgan64"}},
        synthetic=True,
        inputs=(Input(role="data", path="p", digest="d", manifest=data),),
    )
    images = draft(
        kind="images",
        configuration={"n": 5},
        synthetic=True,
        inputs=(Input(role="model", path="m", digest="d", manifest=model),),
    )
    synthetic = Input(role="synthetic", path="s", digest="d", manifest=images)
    assert "simulated, not real scans" in bare(tmp_path, a_manifest(inputs=(synthetic,))).text


def test_missing_scores_are_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"scores\.json"):
        write_report(tmp_path, a_manifest())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1e-17, "0"),
        (0.1 + 0.2, "0.300"),
        (1.0, "1.00"),
        (-2.345, "−2.35"),
        (12.8312345, "12.8"),
        (234.6, "235"),
        (12345.6, "12\u202f346"),
        (0.00123456, "0.00123"),
        (0.000123456, "1.23 × 10⁻⁴"),
        (-2.1e-5, "−2.10 × 10⁻⁵"),
        (1234567.8, "1.23 × 10⁶"),
        (float("nan"), "not a number"),
        (float("inf"), "infinite"),
    ],
)
def test_numbers_have_three_digits_and_no_noise(value: float, text: str) -> None:
    assert number(value) == text


def test_numbers_beside_each_other_share_decimals_and_power() -> None:
    group = (0.0312, -1.2e-5, 0.0641)
    assert [number(v, beside=group) for v in group] == ["0.0312", "0", "0.0641"]
    group = (3.1e-4, -1.2e-5, 6.4e-4)
    shown = [number(v, beside=group) for v in group]
    assert shown == ["3.10 × 10⁻⁴", "−0.12 × 10⁻⁴", "6.40 × 10⁻⁴"]


def test_words_for_counts_times_and_probabilities() -> None:
    assert [count(999), count(241800)] == ["999", "241\u202f800"]
    assert [p_value(p) for p in (1e-6, 0.001, 0.0123, 0.432)] == [
        "< 0.001",
        "0.001",
        "0.012",
        "0.43",
    ]
    assert [duration(s) for s in (4.2, 90, 12000, 200000)] == [
        "4.20 s",
        "2 min",
        "3 h 20 min",
        "2 d 8 h",
    ]
    assert [listing(w) for w in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]


def marker_x(value: float, direction: Any, floor: float = 1.0) -> float:
    svg = ratio_strip(value=value, floor=floor, ci95=None, direction=direction)
    assert svg is not None
    found = re.search(r'circle class="[^"]*" cx="([\d.]+)"', svg)
    assert found is not None
    return float(found[1])


def test_strip_places_ratios_on_a_log_scale_with_worse_on_the_right() -> None:
    middle = marker_x(1.0, "lower")
    assert marker_x(2.0, "lower") - middle == pytest.approx(
        marker_x(8.0, "lower") / 3 - middle / 3, abs=0.1
    )
    assert marker_x(2.0, "lower") > middle > marker_x(0.5, "lower")
    assert marker_x(2.0, "higher") == marker_x(0.5, "lower")
    assert marker_x(40.0, "lower", floor=20.0) == marker_x(2.0, "lower")


def test_strip_shows_what_lies_beyond_and_refuses_what_has_no_ratio() -> None:
    for value, tip_is_right in ((100.0, True), (0.001, False), (-5.0, False)):
        svg = ratio_strip(value=value, floor=1.0, ci95=(value, value), direction="lower")
        assert svg is not None
        tip = re.search(r'path class="dot" d="M([\d.]+) ', svg)
        assert tip is not None
        assert (float(tip[1]) > 84) == tip_is_right
    assert ratio_strip(value=1.0, floor=0.0, ci95=None, direction="lower") is None
    assert ratio_strip(value=1.0, floor=-1.0, ci95=None, direction="lower") is None
    assert ratio_strip(value=-1.0, floor=1.0, ci95=None, direction="none") is None


def points(svg: str, colour: str) -> list[tuple[float, float]]:
    paths = re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*)"', svg)
    drawn = max((d for d, style in paths if colour in style), key=len)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", drawn)]


def test_chart_draws_the_data_and_leaves_gaps() -> None:
    x = [float(k) for k in range(20)]
    wave = [0.0, 3.0, 1.0, 2.0] * 5
    svg = line_chart(
        name="c", x=x, series={"a": wave}, x_label="x", y_label="y", description="waves & <more>"
    )
    drawn = np.array(points(svg, "--series-1"))
    assert len(drawn) == 20
    assert np.corrcoef(drawn[:, 0], x)[0, 1] == pytest.approx(1, abs=1e-9)
    assert np.corrcoef(drawn[:, 1], wave)[0, 1] == pytest.approx(-1, abs=1e-9)
    assert "<title>waves &amp; &lt;more&gt;</title>" in svg
    gap = [float("nan") if k == 10 else v for k, v in enumerate(wave)]
    svg = line_chart(name="c", x=x, series={"a": gap}, x_label="x", y_label="y", description="d")
    assert len(points(svg, "--series-1")) == 19


def test_long_records_are_thinned_to_means_and_that_is_said() -> None:
    losses = np.random.default_rng(0).normal(size=280 * 14)
    rows = [{"epoch": float(k), "loss_generator": float(v)} for k, v in enumerate(losses)]
    (curve,) = training_curves(rows)
    assert "mean of 14 log entries" in curve.caption
    drawn = np.array(points(curve.chart, "--series-1"))
    means = losses.reshape(280, 14).mean(axis=1)
    assert np.corrcoef(drawn[:, 1], means)[0, 1] == pytest.approx(-1, abs=1e-9)


def test_curves_cover_every_recorded_quantity() -> None:
    rows = [
        {"images_seen": k, "loss_a": 1.0, "loss_b": 2.0, "accuracy_real": 0.5, "penalty": 3.0 * k}
        for k in range(1, 4)
    ]
    curves = training_curves(rows)
    assert [c.heading for c in curves] == ["Losses", "Discriminator accuracy", "Penalty"]
    assert "images seen" in curves[0].chart
    assert "penalty 9.00" in curves[2].caption


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_have_contrast_aa_in_light_and_dark(full: tuple[Path, Page]) -> None:
    html = full[0].read_text(encoding="utf-8")
    schemes = [
        dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", s))
        for s in re.findall(r":root \{(.*?)\}", html, flags=re.DOTALL)
    ]
    assert len(schemes) == 2
    texts = ("--ink", "--quiet", "--accent", "--series-1", "--series-2", "--series-3")
    pairs = [(t, b) for t in texts for b in ("--page", "--surface")]
    pairs += [(f"--{n}", f"--{n}-back") for n in ("alarm", "caution", "clear")]
    pairs += [("--ink", f"--{n}-back") for n in ("alarm", "caution", "clear")]
    pairs += [("--caution", "--page")]
    for scheme in schemes:
        for text, back in pairs:
            low, high = sorted((luminance(scheme[text]), luminance(scheme[back])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, back)


def test_import_is_light_and_leaves_pyplot_alone(full: tuple[Path, Page]) -> None:
    code = (
        "import sys, fetalsynth.reports.assessment\n"
        "print(sorted({'matplotlib', 'torch', 'jinja2', 'PIL'} & set(sys.modules)))\n"
        "from fetalsynth.reports.plots import line_chart\n"
        "line_chart(name='a', x=[0, 1], series={'a': [0, 1]}, x_label='x', y_label='y',"
        " description='d')\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]
