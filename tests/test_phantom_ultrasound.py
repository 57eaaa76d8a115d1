"""The ultrasound phantom: known geometry, reproducible, and physical where physics is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fetalsynth.anatomy.biometry import growth_centile
from fetalsynth.datasets.phantoms import ultrasound_acoustics as acoustic
from fetalsynth.datasets.phantoms.ultrasound import (
    PhantomImage,
    PhantomParams,
    open_source,
    sample_params,
    simulate,
)
from fetalsynth.datasets.phantoms.ultrasound_head import head_frame, skull_loss
from fetalsynth.datasets.phantoms.ultrasound_scan import PolarGrid, scan_convert
from fetalsynth.datasets.phantoms.ultrasound_simulator import echo_envelope, sampling_grid
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng


def drawn(
    number: int = 0, *, age: float | None = None, angle: float | None = None
) -> PhantomParams:
    rng = numpy_rng(seed=1, stream="test-phantom", counter=number)
    params = sample_params(rng, gestational_age_weeks=age)
    return params if angle is None else with_head(params, angle_deg=angle)


def with_head(params: PhantomParams, **changes: object) -> PhantomParams:
    return replace(params, head=replace(params.head, **changes))  # type: ignore[arg-type]


def with_scanner(params: PhantomParams, **changes: object) -> PhantomParams:
    return replace(params, acoustics=replace(params.acoustics, **changes))  # type: ignore[arg-type]


def radius_and_angle(image: PhantomImage) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Relative radius (1 on the ellipse) and image direction (degrees, −90 is up) of pixels."""
    ellipse, size = image.ellipse, image.pixels.shape[0]
    y, x = np.mgrid[:size, :size]
    dx, dy = x - ellipse.center_x_px, y - ellipse.center_y_px
    c, s = math.cos(math.radians(ellipse.angle_deg)), math.sin(math.radians(ellipse.angle_deg))
    u = (dx * c + dy * s) / ellipse.semi_major_px
    v = (dy * c - dx * s) / ellipse.semi_minor_px
    return np.hypot(u, v), np.degrees(np.arctan2(dy, dx))


@pytest.mark.parametrize("size", [64, 200, 512])
def test_mask_ellipse_and_sizes_tell_one_geometry(size: int) -> None:
    for number in range(6):
        image = simulate(drawn(number), size=size)
        ellipse, spacing = image.ellipse, image.pixel_spacing_mm
        area = math.pi * ellipse.semi_major_px * ellipse.semi_minor_px
        assert np.count_nonzero(image.mask) == pytest.approx(area, rel=0.6 / size + 0.005)
        rows, columns = np.nonzero(image.mask)
        assert columns.mean() == pytest.approx(ellipse.center_x_px, abs=0.25)
        assert rows.mean() == pytest.approx(ellipse.center_y_px, abs=0.25)
        bpd, ofd = 2 * ellipse.semi_minor_px * spacing, 2 * ellipse.semi_major_px * spacing
        assert image.biparietal_diameter_mm == pytest.approx(bpd, rel=1e-9)
        assert image.occipitofrontal_diameter_mm == pytest.approx(ofd, rel=1e-9)
        turn = np.linspace(0, 2 * math.pi, 2001)
        steps = np.diff([ofd / 2 * np.cos(turn), bpd / 2 * np.sin(turn)], axis=1)
        polygon = np.hypot(*steps).sum()
        assert image.head_circumference_mm == pytest.approx(polygon, rel=1e-5)
        assert set(np.unique(image.mask)) == {0, 255}


def test_mask_principal_axis_is_the_ellipse_angle() -> None:
    for number in range(8):
        image = simulate(drawn(number), size=256)
        rows, columns = np.nonzero(image.mask)
        values, vectors = np.linalg.eigh(np.cov(columns, rows))
        angle = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
        apart = abs((angle - image.ellipse.angle_deg + 90) % 180 - 90)
        assert apart < 2
        assert 2 * math.sqrt(values[1]) == pytest.approx(image.ellipse.semi_major_px, rel=0.01)


def test_image_is_a_pure_function_of_its_parameters() -> None:
    params = drawn(3)
    first, second = simulate(params, size=96), simulate(params, size=96)
    assert np.array_equal(first.pixels, second.pixels)
    other = simulate(replace(params, speckle_seed=params.speckle_seed + 1), size=96)
    assert not np.array_equal(first.pixels, other.pixels)
    assert np.array_equal(first.mask, other.mask)


def test_small_images_look_like_large_ones_made_small() -> None:
    """Simulating at 64 pixels equals simulating at 512 and averaging 8 × 8 pixels."""
    for number in range(5):
        params = drawn(number)
        small = simulate(params, size=64).pixels.astype(float)
        large = simulate(params, size=512).pixels.astype(float)
        large = large.reshape(64, 8, 64, 8).mean(axis=(1, 3))
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.97
        assert small.mean() == pytest.approx(large.mean(), rel=0.05)
        grain = [np.abs(np.diff(image, axis=0)).mean() for image in (small, large)]
        assert grain[0] == pytest.approx(grain[1], rel=0.1)


def test_skull_outlines_are_bright_where_the_beam_meets_them_squarely() -> None:
    ratios, sides = [], []
    for number in range(12):
        image = simulate(drawn(number, angle=0.0), size=256)
        radius, angle = radius_and_angle(image)
        pixels = image.pixels.astype(float)
        border = (radius > 0.92) & (radius < 1.01)
        facing = border & (np.abs(np.abs(angle) - 90) < 25)
        lateral = border & ((np.abs(angle) < 12) | (np.abs(angle) > 168))
        inside = pixels[radius < 0.8].mean()
        ratios.append(pixels[facing].mean() / inside)
        sides.append(pixels[lateral].mean() / pixels[facing].mean())
    assert min(ratios) > 1.5
    assert np.median(ratios) > 2.5
    assert np.median(sides) < 0.6


def test_outside_the_fan_is_black_and_the_head_lies_inside_it() -> None:
    for number in range(10):
        params = drawn(number)
        image, view = simulate(params, size=128), params.view
        y, x = (np.mgrid[:128, :128] - 63.5) * image.pixel_spacing_mm
        dx, dy = x - view.apex_x_mm, y - view.apex_y_mm
        out = np.degrees(np.arctan2(np.abs(dx), dy)) > view.half_angle_deg + 1.5
        out |= np.hypot(dx, dy) < view.probe_radius_mm - 3 * image.pixel_spacing_mm
        out |= np.hypot(dx, dy) > view.probe_radius_mm + view.depth_mm + 2
        out |= np.abs(y) > view.width_mm * 0.3375 + image.pixel_spacing_mm
        assert out.any()
        assert image.pixels[out].max() == 0
        assert image.pixels[~out].max() > 100
        assert not (out & (image.mask > 0)).any()


def test_heads_grow_with_age_and_follow_the_standard() -> None:
    means, centiles = [], []
    for age in (16.0, 22.0, 28.0, 34.0):
        first = int(100 * age)
        images = [drawn(first + number, age=age).head.biometry for number in range(60)]
        means.append(np.mean([head.head_circumference_mm for head in images]))
        centiles += [
            growth_centile(
                "head_circumference",
                value_mm=head.head_circumference_mm,
                gestational_age_weeks=age,
            )
            for head in images
        ]
    assert np.all(np.diff(means) > 30)
    assert np.mean(centiles) == pytest.approx(50, abs=6)


def plain_grid(params: PhantomParams) -> PolarGrid:
    return sampling_grid(params, pixel_mm=params.view.width_mm / 512)


def test_speckle_of_homogeneous_tissue_is_rayleigh() -> None:
    """Fully developed speckle: mean over standard deviation of the envelope √(π/(4−π)) = 1.91."""
    params = with_scanner(drawn(0), looks=1)
    grid = plain_grid(params)
    one, none = np.ones(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    envelope = np.stack(
        [
            acoustic.speckle_envelope(one, none, grid, params.acoustics, np.random.default_rng(k))
            for k in range(6)
        ]
    )[:, 20:-20, 20:-20]
    ratio = envelope.mean() / envelope.std()
    assert ratio == pytest.approx(math.sqrt(math.pi / (4 - math.pi)), rel=0.02)
    assert (envelope**2).mean() == pytest.approx(1, rel=0.05)
    third = np.mean((envelope - envelope.mean()) ** 3) / envelope.std() ** 3
    assert third == pytest.approx(0.631, abs=0.08)


def test_compounding_smooths_speckle_as_independent_looks_do() -> None:
    """Power averaged over n looks is Gamma-distributed: its mean over deviation is √n."""
    for looks in (1, 4):
        params = with_scanner(drawn(0), looks=looks)
        grid = plain_grid(params)
        one, none = np.ones(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
        rng = np.random.default_rng(3)
        envelope = acoustic.speckle_envelope(one, none, grid, params.acoustics, rng)
        power = envelope[20:-20, 20:-20] ** 2
        assert power.mean() / power.std() == pytest.approx(math.sqrt(looks), rel=0.08)


def test_uniform_tissue_loses_twice_its_attenuation_per_millimetre() -> None:
    grid = plain_grid(drawn(1))
    loss = np.full(grid.shape, 0.07, np.float32)
    got = acoustic.transmission_db(loss, grid)
    expected = -2 * 0.07 * (grid.depth_mm - grid.depth_mm[0])
    assert np.abs(got - got[0] - expected[:, None]).max() < 0.1


def test_attenuation_darkens_with_depth() -> None:
    params = with_scanner(drawn(2), noise_db=-200.0, attenuation_db_per_mm=0.0)
    grid = plain_grid(params)
    clear = echo_envelope(params, grid)
    damped = echo_envelope(with_scanner(params, attenuation_db_per_mm=0.05), grid)
    drop = 20 * np.log10(np.median(damped / clear, axis=1))
    slope = np.polyfit(grid.depth_mm[30:-30], drop[30:-30], 1)[0]
    assert slope == pytest.approx(-0.1, abs=0.015)


def test_bone_takes_its_thickness_from_square_beams_and_casts_shadows_from_its_edges() -> None:
    """A beam through the centre crosses bone twice, two ways; grazing beams run along it."""
    for number in range(6):
        params = with_head(drawn(number, angle=0.0), harmonics=(), skull_loss_db_per_mm=0.5)
        head, view = params.head, params.view
        grid = plain_grid(params)
        loss = skull_loss(head, head_frame(head, grid))
        total = -acoustic.transmission_db(loss, grid)[-1]
        x, y = head.center_x_mm - view.apex_x_mm, head.center_y_mm - view.apex_y_mm
        through = total[round(float(grid.columns(np.array(math.atan2(x, y)))))]
        assert through == pytest.approx(4 * head.skull_thickness_mm * 0.5, rel=0.15)
        turn = np.linspace(0, 2 * math.pi, 4001)
        beams = np.arctan2(
            x + head.semi_major_mm * np.cos(turn), y + head.semi_minor_mm * np.sin(turn)
        )
        left, right = beams.min(), beams.max()
        assert total[(grid.angle_rad < left - 0.01) | (grid.angle_rad > right + 0.01)].max() < 0.01
        for edge in (left, right):
            near = np.abs(grid.angle_rad - edge) < 0.04
            if near.sum() > 3:
                assert total[near].max() > 3 * through
        middle = np.abs(grid.angle_rad - (left + right) / 2) < 0.2 * (right - left)
        assert total[middle].max() < 2.5 * through


def test_more_absorbing_bone_darkens_what_lies_behind_and_nothing_in_front() -> None:
    params = with_scanner(drawn(5, angle=0.0), noise_db=-200.0, reverberation=0.0, side_lobe=0.0)
    head, grid = params.head, plain_grid(params)
    clear = echo_envelope(with_head(params, skull_loss_db_per_mm=0.0), grid)
    dark = echo_envelope(with_head(params, skull_loss_db_per_mm=0.6), grid)
    drop = 20 * np.log10(clear / dark)
    x, y = grid.position_mm
    above = y < head.center_y_mm - 1.05 * head.semi_minor_mm - 4
    core = np.hypot(x - head.center_x_mm, y - head.center_y_mm) < 0.3 * head.semi_minor_mm
    assert np.abs(drop[above]).max() < 1e-3
    assert np.median(drop[core]) == pytest.approx(2 * 0.6 * head.skull_thickness_mm, rel=0.25)


def test_scan_conversion_keeps_positions() -> None:
    """A reflector at a known place in millimetres shows up at that pixel."""
    params = drawn(4)
    grid = plain_grid(params)
    x, y = grid.position_mm
    for at in ((0.0, 0.0), (6.0, -4.0), (-8.0, 7.0)):
        spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2).astype(np.float32)
        image = scan_convert(spot, grid, size=256).astype(float)
        rows, columns = np.mgrid[:256, :256] * image / image.sum()
        spacing = params.view.width_mm / 256
        assert (columns.sum() - 127.5) * spacing == pytest.approx(at[0], abs=0.1)
        assert (rows.sum() - 127.5) * spacing == pytest.approx(at[1], abs=0.1)


def test_source_images_depend_on_seed_number_and_size_alone() -> None:
    few = list(open_source(count=3, seed=5, size=48).images())
    more = list(open_source(count=6, seed=5, size=48).images())
    for one, other in zip(few, more, strict=False):
        assert one.name == other.name
        assert np.array_equal(one.pixels, other.pixels)
        assert one.extra == other.extra
    different = next(open_source(count=1, seed=6, size=48).images())
    assert not np.array_equal(different.pixels, few[0].pixels)


def test_process_pool_gives_the_same_images_in_the_same_order() -> None:
    source = open_source(count=45, seed=2, size=32, workers=2)
    pooled = list(source.images())
    alone = list(open_source(count=45, seed=2, size=32, workers=1).images())
    assert [image.name for image in pooled] == [f"phantom-{k:05d}" for k in range(45)]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(pooled, alone, strict=True))


def test_reading_only_the_first_pooled_images_ends_cleanly() -> None:
    images = open_source(count=500, seed=2, size=32, workers=2).images()
    assert next(images).name == "phantom-00000"
    images.close()  # type: ignore[attr-defined]


def test_source_says_what_it_is() -> None:
    source = open_source(count=2, seed=1, size=64)
    assert source.name == "phantom-ultrasound"
    assert source.synthetic
    assert source.count == 2
    assert len(source.licences) == 1
    assert source.licences[0].licence == "Apache-2.0"
    assert source.digest == open_source(count=2, seed=1, size=64).digest
    others = [(3, 1, 64), (2, 2, 64), (2, 1, 65)]
    digests = {open_source(count=c, seed=s, size=z).digest for c, s, z in others}
    assert len(digests | {source.digest}) == 4
    image = next(source.images())
    assert image.pixels.shape == (64, 64)
    assert image.mask is not None
    assert image.ellipse is not None
    assert image.pixel_spacing_mm is not None
    assert image.gestational_age_weeks is not None
    assert 16 <= image.gestational_age_weeks <= 36
    stated = float(image.extra["biparietal_diameter_mm"])
    assert stated == pytest.approx(
        2 * image.ellipse.semi_minor_px * image.pixel_spacing_mm[0], abs=1e-3
    )
    assert {"head_circumference_mm", "occipitofrontal_diameter_mm"} <= set(image.extra)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: open_source(count=0, seed=0, size=64), "--n 0"),
        (lambda: open_source(count=1, seed=0, size=8), "size 8"),
        (lambda: open_source(count=1, seed=0, size=64, age_range_weeks=(10, 20)), "14 to 40"),
        (lambda: open_source(count=1, seed=0, size=64, age_range_weeks=(30, 20)), "low to high"),
        (lambda: simulate(drawn(0), size=15), "size 15"),
    ],
)
def test_impossible_requests_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


def test_grey_levels_are_near_those_of_hc18(hc18_folder: object) -> None:
    """Mean, share of black and median lit grey of 40 phantoms lie near 40 real images'."""
    from pathlib import Path

    from PIL import Image

    folder = Path(str(hc18_folder)) / "training_set"
    real = []
    for path in sorted(folder.glob("*_HC.png"))[::25]:
        picture = np.asarray(Image.open(path).convert("L").resize((64, 43), Image.Resampling.BOX))
        real.append(picture.astype(float))
    made = [simulate(drawn(k), size=64).pixels[11:53].astype(float) for k in range(40)]
    assert len(real) >= 30
    levels = [
        (
            np.mean([image.mean() for image in images]),
            np.mean([(image < 4).mean() for image in images]),
            np.median(np.concatenate([image[image >= 4] for image in images])),
            np.mean([np.abs(np.diff(image, axis=0)).mean() for image in images]),
        )
        for images in (real, made)
    ]
    (mean_r, black_r, lit_r, edge_r), (mean_m, black_m, lit_m, edge_m) = levels
    assert mean_m == pytest.approx(mean_r, rel=0.2)
    assert black_m == pytest.approx(black_r, abs=0.1)
    assert lit_m == pytest.approx(lit_r, rel=0.25)
    assert edge_m == pytest.approx(edge_r, rel=0.25)
