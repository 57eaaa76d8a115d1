"""Distinct label windows against a dictionary of windows cut out one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fetalsynth.generators.spade.label_windows import OUTSIDE, LabelWindows, distinct_windows


def cut_out(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All windows (N, H, W, 5, 5)."""
    padded = np.pad(labels, ((0, 0), (2, 2), (2, 2)), constant_values=OUTSIDE)
    return np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))


def check(labels: NDArray[np.uint8], found: LabelWindows, planes: NDArray[np.int64]) -> None:
    wanted = cut_out(labels)
    np.testing.assert_array_equal(found.windows.numpy()[found.index.numpy()], wanted)
    at = np.broadcast_to(planes[:, None, None], labels.shape)
    np.testing.assert_array_equal(found.planes.numpy()[found.index.numpy()], at)
    windows = wanted.reshape(-1, 25)
    distinct = {
        (int(plane), window.tobytes()) for plane, window in zip(at.ravel(), windows, strict=True)
    }
    assert len(found.windows) == len(found.planes) == len(distinct)


@given(
    labels=hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([0, 1, 2, 7, 254]),
        fill=st.just(np.uint8(0)),
    ),
    several=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_window_once_and_every_pixel_in_its_own(
    labels: NDArray[np.uint8], several: bool
) -> None:
    planes = np.arange(len(labels), dtype=np.int64) % 2 * several
    found = distinct_windows(torch.from_numpy(labels), planes=torch.from_numpy(planes))
    check(labels, found, planes)


@pytest.mark.parametrize("labels", [2, 8, 100, 255])
def test_keys_of_many_labels_do_not_run_over(labels: int) -> None:
    rng = np.random.default_rng(labels)
    stack = rng.integers(0, labels, (2, 40, 30), dtype=np.uint8)
    stack[1, 3:9] = stack[0, 3:9]  # windows that differ in their last rows only
    check(stack, distinct_windows(torch.from_numpy(stack)), np.zeros(2, np.int64))


def test_slices_of_one_label_have_the_windows_of_their_border() -> None:
    labels = torch.full((3, 12, 10), 4, dtype=torch.uint8)
    assert len(distinct_windows(labels).windows) == 25


def test_order_of_windows_does_not_depend_on_where_they_stand() -> None:
    rng = np.random.default_rng(0)
    stack = torch.from_numpy(rng.integers(0, 3, (4, 12, 12), dtype=np.uint8))
    there, back = distinct_windows(stack), distinct_windows(stack.flip(0))
    assert torch.equal(there.windows, back.windows)
    assert torch.equal(there.index, back.index.flip(0))
