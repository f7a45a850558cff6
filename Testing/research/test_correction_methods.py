"""The baselines of the correction benchmark lose nothing to the grid that they work on."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.correction import Seed
from scipy import ndimage

from research.benchmarks import correction_methods
from research.benchmarks.correction_blocks import Blocks
from research.benchmarks.correction_robot import dice
from research.benchmarks.correction_scenarios import Case

# Two or three voxels make a block along some axes, and no side is a whole number of blocks.
SPACINGS = [(2.0, 1.0, 1.0), (2.5, 0.7, 0.7), (1.0, 0.8, 0.8)]


def thin_organ(spacing) -> Case:
    """A bent cord, 12 to 20 mm thick, that a CT without noise shows as brightly as can be."""
    shape = [int(mm / size) + 1 for mm, size in zip((60, 70, 110), spacing, strict=True)]
    k, j, i = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    along = np.clip((i - 15) / 80, 0, 1)
    middle_k, middle_j = 30 + 10 * np.sin(3 * along), 35 + 12 * np.cos(4 * along)
    apart = np.sqrt((k - middle_k) ** 2 + (j - middle_j) ** 2 + (i - (15 + 80 * along)) ** 2)
    truth = apart < 6 + 4 * (1 - along)
    return Case("cord", np.where(truth, 100, -100).astype(np.int16), truth, spacing, np.zeros(shape, bool))


def clicks_all_along(case: Case) -> list[Seed]:
    """In its middle: the balls that count as seeds must not reach out of it."""
    inside = np.argwhere(ndimage.distance_transform_edt(case.truth, sampling=case.spacing) > 4)
    return [Seed(n, tuple(int(v) for v in voxel), True) for n, voxel in enumerate(inside[:: len(inside) // 15])]


def always_right(ct, markers, spacing):
    return ct > 0


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_method_that_is_always_right_loses_nothing_to_the_grid(spacing):
    case = thin_organ(spacing)
    nothing = np.zeros(case.truth.shape, np.uint8)
    correct = correction_methods._seeded(case, nothing, 30.0, always_right)
    assert dice(correct(clicks_all_along(case)), case.truth) > 0.99


@pytest.mark.parametrize("name", ["grow cut", "random walker", "graph cut"])
def test_the_baselines_find_what_nobody_can_miss(name):
    """Noise and likeness are what they are measured with; here there is neither."""
    if name == "grow cut":
        pytest.importorskip("slicer", reason="grow cut is Slicer's: pip install 'attention-unet-seg[standalone]'")
    case = thin_organ(SPACINGS[1])
    half = np.where(np.arange(case.truth.shape[2]) < case.truth.shape[2] // 2, 255, 0) * case.truth
    correct = correction_methods.METHODS[name](case, half.astype(np.uint8), 15.0)
    assert dice(correct(clicks_all_along(case)), case.truth) > 0.98


def test_the_prior_is_kept_to_the_voxel_where_the_walker_changes_nothing():
    case = thin_organ(SPACINGS[1])
    correct = correction_methods.random_walker_with_prior(case, case.truth * np.uint8(255), 15.0)
    assert dice(correct(clicks_all_along(case)[:3]), case.truth) > 0.99


def test_blocks_lie_on_their_voxels():
    blocks = Blocks((4, 9, 12), (2.0, 0.7, 1.0))
    assert blocks.step == (1, 3, 2) and blocks.shape == (4, 3, 6) and blocks.spacing == pytest.approx((2.0, 2.1, 2.0))
    k, j, i = np.indices((4, 9, 12)).astype(float)
    everything = tuple(slice(0, n) for n in (4, 9, 12))
    inside = (slice(None), slice(1, -1), slice(1, -1))  # beyond the outermost centres the value stays as it is
    for ramp in (k, j, i):
        assert np.allclose(blocks.interpolated(blocks.means(ramp), everything)[inside], ramp[inside], atol=1e-4)
    assert blocks.millimetres((1, 4, 0))[1, 1, 0] == pytest.approx(0.5)
