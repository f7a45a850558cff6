"""Fields of view that are cut and mirrored, HU that are lost, part maps among the cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.imaging import HUWindow
from AttentionUNetSegLib.training.synthesis.part_map import GRID_MM, PartMap
from AttentionUNetSegLib.training.synthesis.parts import Part
from AttentionUNetSegLib.training.trainer.augmentation import mirrored
from AttentionUNetSegLib.training.trainer.contrast import vary_intensities
from AttentionUNetSegLib.training.trainer.preparation import BoxedMask, PreparedCase
from AttentionUNetSegLib.training.trainer.sampling import PatchSampler, TrainingCase

from .test_sampling import NONE, WINDOW

STRUCTURES = ("pancreas", "liver")
CPU = torch.device("cpu")


def ramp_case(ignored: slice | None = None) -> TrainingCase:
    """HU that tell where they come from: 100 K + 10 J + I, and a gland in the middle."""
    k, j, i = np.indices((12, 12, 12))
    gland = np.zeros((12, 12, 12), np.uint8)
    gland[4:8, 4:8, 4:8] = 255
    ignore = np.zeros_like(gland)
    if ignored:
        ignore[ignored] = 255
    places = {"pancreas": np.argwhere(gland).astype(np.int16)}
    masks = {"pancreas": BoxedMask((0, 0, 0), gland)}
    hu = (100 * k + 10 * j + i).astype(np.int16)
    return TrainingCase(PreparedCase("ramp", hu, masks, BoxedMask((0, 0, 0), ignore), places), "ramps")


def sampler(cases, patch, **changes) -> PatchSampler:
    return PatchSampler(cases, STRUCTURES, patch, (0.0, 2000.0), {}, replace(NONE, **changes), 0, CPU, 2.5)


def test_coordinates_are_folded_back_at_the_mirror():
    grid = torch.tensor([[-3.0, 0, 0], [0, 0, 0], [5, 0, 0], [6, 0, 0], [30, 0, 0]])
    folded, inside, far = mirrored(grid, torch.zeros(3), torch.tensor([5.0, 9, 9]), 16)
    assert folded[:, 0].tolist() == [3, 0, 5, 4, 0]
    assert inside.tolist() == [False, True, True, False, False] and far.tolist() == [False] * 4 + [True]


def test_beyond_the_field_lies_its_mirror_image_which_counts_for_nothing():
    patch = sampler([ramp_case()], (24, 12, 12), cut=1e-9).patch_at(0, 0)
    image, certain = patch.image[0, 0] * 2000, patch.certain[0, 0]
    inside = certain.flatten(1).any(dim=1).nonzero().ravel()
    assert len(inside) == 12 and certain[inside].all()
    first, last = int(inside[0]), int(inside[-1])
    assert image[first - 1].sub(image[first + 1]).abs().max() < 0.1
    assert image[last + 1].sub(image[last - 1]).abs().max() < 0.1


def test_a_cut_field_still_shows_where_it_was_cut():
    shares = []
    for step in range(12):
        patch = sampler([ramp_case()], (12, 12, 12), cut=1.0).patch_at(step, 0)
        shares.append(float(patch.certain[0, 0].mean()))
        known = patch.certain[0, 0] > 0
        k, j, i = torch.meshgrid(*[torch.arange(12.0)] * 3, indexing="ij")
        assert (patch.image[0, 0] * 2000 - (100 * k + 10 * j + i))[known].abs().max() < 0.1
    assert min(shares) < 0.9 and max(shares) <= 1


def test_slices_that_were_not_contoured_do_not_count():
    patch = sampler([ramp_case(slice(0, 5))], (12, 12, 12), cut=1e-9).patch_at(0, 0)
    assert patch.certain[0, 0, :5].sum() == 0 and patch.certain[0, 0, 5:].all()
    assert patch.certain[0, 1].all(), "another structure's label is not the pancreas's"


@pytest.mark.parametrize(("hu", "wanted"), [(-700.0, -100.0), (-20.0, -100.0), (100.0, 100.0), (900.0, 255.0)])
def test_lost_hu_look_as_in_the_slices_that_lost_them(hu, wanted):
    window = HUWindow(-200, 1000)
    volume = torch.full((4, 4, 4), hu)
    got = vary_intensities(volume, torch.zeros(1, 4, 4, 4), window, replace(NONE, clip=1.0), np.random.default_rng(0),
                           torch.Generator())  # fmt: skip
    assert float(got.mean()) == pytest.approx((wanted + 200) / 1200, abs=1e-4)


def test_a_part_map_is_painted_at_the_patchs_voxel_size():
    parts = np.full((40, 40, 40), int(Part.FAT), np.uint8)
    parts[10:30, 10:30, 10:30] = int(Part.PANCREAS)
    case = PartMap("cube", parts, {"pancreas": np.argwhere(parts == Part.PANCREAS)[::50].astype(np.int16)})
    batch = PatchSampler([TrainingCase(case, "painted")], STRUCTURES, (32, 32, 32), WINDOW, {}, NONE, 0, CPU, 2.5)
    patch = batch.patch_at(0, 0)
    side = float((patch.target[0, 0] * patch.certain[0, 0]).sum()) ** (1 / 3) * 2.5
    assert side == pytest.approx(20 * GRID_MM, rel=0.05)
    assert patch.known.tolist() == [[1, 1]] and patch.target[0, 1].sum() == 0
    assert not torch.equal(batch.patch_at(1, 0).image, patch.image)
