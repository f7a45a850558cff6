"""The guess of the contrast phase: phantoms of known HU, on any grid; and that what is not clear stays unknown."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.imaging import Geometry, image_on_grid
from AttentionUNetSegLib.measure import PHASES, Masks, Measurements, box_with_surroundings, measure, measure_masks
from bent_gland import IDENTITY, BentGland
from scipy.spatial.transform import Rotation

NON_CONTRAST, ARTERIAL, PORTAL_VENOUS, UNKNOWN = PHASES
GLAND = BentGland(bend=55.0, angle=2.2)
OBLIQUE = Rotation.from_euler("zyx", (10, -8, 6), degrees=True).as_matrix()


def trunk(
    gland_hu: float,
    aorta_hu: tuple[float, float],
    bowel_hu: float = 30.0,
    spacing: tuple[float, float, float] = (1.5, 1.5, 3.0),
    axes: np.ndarray = IDENTITY,
) -> tuple[sitk.Image, sitk.Image]:
    """A CT (HU, with noise) and its gland: fat, spine, aorta (`aorta_hu` below and above), muscle, a loop of bowel."""
    size = np.ceil(np.array([220.0, 200.0, 120.0]) / spacing).astype(int)
    i, j, k = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(size, spacing, strict=True)], indexing="ij"
    )
    x, y, z = np.moveaxis(np.stack([i, j, k], axis=-1) @ axes.T, -1, 0)
    y = y - 20.0
    hu = np.full(x.shape, -100.0)
    spine = np.maximum(np.abs(x) / 22, np.abs(y - 5) / 16)
    hu[np.abs(np.abs(x) - 38) + np.abs(y - 10) < 16] = 55  # psoas
    hu[spine < 1] = 220
    hu[(spine < 1) & (spine > 0.85)] = 500
    hu[(np.abs(x) < 14) & (np.abs(y - 32) < 10)] = 350  # the arch
    hu[np.hypot(x, y - 30) < 8] = 20  # and the canal
    below, above = aorta_hu
    aorta = np.hypot(x - 8, y + 27) < 10
    hu[aorta] = (below + (above - below) * (z + 60) / 120)[aorta]
    hu[np.hypot(x - 75, y + 25) < 15] = bowel_hu
    inside = GLAND.distance(np.stack([x, y + 10, z], axis=-1)) < 0
    hu[inside] = gland_hu
    hu += np.random.default_rng(0).normal(0, 12, hu.shape)
    grid = Geometry(hu.shape, spacing, (10.0, -30.0, 200.0), tuple(axes.ravel()))
    ct, mask = (image_on_grid(each.transpose(2, 1, 0), grid) for each in (hu.astype(np.int16), inside.astype(np.uint8)))
    return ct, mask


@pytest.mark.parametrize(
    ("gland", "aorta", "expected"),
    [
        (40, (40, 40), NON_CONTRAST),
        (95, (150, 150), PORTAL_VENOUS),
        (105, (320, 320), ARTERIAL),
        (70, (200, 310), ARTERIAL),  # the bolus arrives
        (100, (230, 230), UNKNOWN),  # late arterial or early portal venous
        (70, (95, 95), UNKNOWN),  # late, or a small dose
        (90, (40, 40), UNKNOWN),  # a gland that has taken up contrast medium, and blood that has not
    ],
)
def test_the_aorta_and_the_gland_tell_the_phase(gland, aorta, expected):
    ct, mask = trunk(gland, aorta)
    phase = measure(mask, ct).phase
    assert phase.guess == expected, phase
    assert f"gland {gland} HU" in phase.grounds and "median" in phase.grounds, "beside its mean in the measurements"
    if np.mean(aorta) >= 110:
        assert phase.aorta_hu == pytest.approx(np.mean(aorta), abs=8)


@pytest.mark.parametrize("axes", [np.diag([-1.0, -1.0, 1.0]), IDENTITY[:, [1, 2, 0]], OBLIQUE])
def test_the_axes_of_the_voxels_make_no_difference(axes):
    ct, mask = trunk(95, (150, 150), spacing=(2.0, 2.0, 2.0), axes=axes)
    phase = measure(mask, ct).phase
    assert (phase.guess, phase.aorta_hu) == (PORTAL_VENOUS, pytest.approx(150, abs=5))


def test_bowel_that_was_filled_is_no_vessel():
    """Contrast medium that was drunk: it is no aorta, and hides none."""
    ct, mask = trunk(40, (40, 40), bowel_hu=300)
    assert measure(mask, ct).phase.guess != ARTERIAL
    ct, mask = trunk(95, (150, 150), bowel_hu=300)
    assert measure(mask, ct).phase.guess == PORTAL_VENOUS


def test_a_ct_that_ends_with_the_gland_leaves_the_phase_unknown_and_a_box_about_it_is_enough():
    ct, mask = trunk(95, (150, 150))
    inside = sitk.GetArrayFromImage(mask) > 0
    whole = measure(mask, ct)
    box = tuple(slice(int(where.min()), int(where.max()) + 1) for where in np.nonzero(inside))
    around = box_with_surroundings(Geometry.of(ct), box)
    assert all(a.start <= b.start and b.stop <= a.stop for a, b in zip(around, box, strict=True))
    for part, expected in ((box, UNKNOWN), (around, PORTAL_VENOUS)):
        k, j, i = part
        found = measure_masks(Masks(inside[box], (), Geometry.of(_cut(mask, box))), ct[i, j, k])
        assert found.phase.guess == expected
    assert found.phase == whole.phase
    assert "spine" in measure_masks(Masks(inside[box], (), Geometry.of(_cut(mask, box))), _cut(ct, box)).phase.grounds


def test_the_guess_is_said_to_be_one_and_is_kept_as_json():
    ct, mask = trunk(95, (150, 150))
    found = measure(mask, ct)
    assert (
        found.sentences[0].startswith("Contrast phase, a guess: portal venous (medians: aorta 1")
        and found.notes == found.sentences[1:]
    )
    kept = found.as_json()
    assert Measurements.of_json(kept).phase == found.phase
    del kept["contrast_phase"]  # as an earlier version wrote it
    assert Measurements.of_json(kept).sentences == found.notes
    assert measure(mask * 0, ct).phase.guess == UNKNOWN


def _cut(image: sitk.Image, box: tuple[slice, slice, slice]) -> sitk.Image:
    k, j, i = box
    return image[i, j, k]
