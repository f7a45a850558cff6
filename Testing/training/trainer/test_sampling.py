"""Patches: labels stay on what they label, nothing is mirrored unasked, and the same seed draws the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.training.trainer.augmentation import Augmentation, draw_spatial
from AttentionUNetSegLib.training.trainer.loss import PatchBatch
from AttentionUNetSegLib.training.trainer.preparation import BoxedMask, PreparedCase, prepared
from AttentionUNetSegLib.training.trainer.sampling import BatchStream, PatchSampler, TrainingCase, case_probabilities

from .conftest import SPACING_MM, make_scan

STRUCTURES = ("pancreas", "liver", "spleen")
DEFAULT = Augmentation()
WINDOW = (-160.0, 240.0)
NONE = Augmentation(0, organ_probability=0, contrast=(1, 1), shift_hu=0, low_resolution=0, blur=0, noise=0, gamma=0,
                    window_hu=0)  # fmt: skip


def sampler_of(cases: list[TrainingCase], patch=(16, 16, 16), augmentation=DEFAULT, seed=0, shares=None):
    return PatchSampler(cases, STRUCTURES, patch, WINDOW, shares or {}, augmentation, seed, torch.device("cpu"))


@pytest.fixture(scope="module")
def cases() -> list[TrainingCase]:
    return [TrainingCase(prepared(f"{seed}", make_scan(seed).load(), SPACING_MM), "balls") for seed in range(2)]


@pytest.mark.parametrize("flip", [False, True])
def test_a_deformed_ball_stays_under_its_label(cases, flip):
    augmentation = replace(NONE, spatial=1, elastic=1, elastic_voxels=1.5, flip_left_right=flip)
    sampler, seen = sampler_of(cases, augmentation=augmentation), 0
    for step in range(12):
        patch = sampler.patch_at(step, 0)
        inside, outside = patch.target[0, 0] > 0.95, patch.target[0, :2].sum(dim=0) < 0.01
        if inside.any():
            seen += 1
            assert patch.image[0, 0][inside].min() > (160 - 40 + 160) / 400  # 160 HU, less a soft edge
            assert patch.image[0, 0][outside].max() < (30 + 35 + 160) / 400  # 30 HU and its noise
    assert seen >= 6


def test_nothing_is_mirrored_unless_asked_for():
    rng = np.random.default_rng(0)
    drawn = [np.linalg.det(draw_spatial(rng, Augmentation(), (16, 16, 16)).matrix) for _ in range(200)]
    assert min(drawn) > 0
    flipping = Augmentation(flip_left_right=True)
    mirrored = [np.linalg.det(draw_spatial(rng, flipping, (16, 16, 16)).matrix) < 0 for _ in range(200)]
    assert 60 < sum(mirrored) < 140


@pytest.mark.parametrize("elastic", [0, 1])
def test_the_extent_holds_every_place_that_is_sampled(elastic):
    rng = np.random.default_rng(elastic)
    for _ in range(20):
        drawn = draw_spatial(rng, Augmentation(spatial=1, elastic=elastic, elastic_voxels=2.0), (12, 16, 20))
        centre = rng.uniform(-5, 50, 3)
        grid = drawn.grid(centre, torch.device("cpu")).numpy().reshape(-1, 3)
        low, high = drawn.extent(centre)
        assert (grid.min(axis=0) >= low - 1e-3).all() and (grid.max(axis=0) <= high + 1e-3).all()
        if not elastic:  # the corners of a turned box touch it
            np.testing.assert_allclose(grid.min(axis=0), low, atol=1e-3)
            np.testing.assert_allclose(grid.max(axis=0), high, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_patches_made_beside_the_steps_on_a_gpu_are_those_made_in_turn(cases):
    sampler = PatchSampler(cases, STRUCTURES, (16, 16, 16), WINDOW, {}, DEFAULT, 0, torch.device("cuda"))
    with BatchStream(sampler, range(2), 0, workers=3) as ahead:
        for step in range(6):
            made = next(ahead)
            torch.testing.assert_close(made.image, sampler.batch(step, range(2)).image)


def test_a_rotation_never_leads_out_of_its_limits():
    rng = np.random.default_rng(0)
    for _ in range(100):
        matrix = draw_spatial(rng, Augmentation(spatial=1), (16, 16, 16)).matrix
        assert np.linalg.svd(matrix)[1].min() > 0.7 and np.linalg.svd(matrix)[1].max() < 1.4
        angle = np.degrees(np.arccos(np.clip(matrix.diagonal() / np.linalg.norm(matrix, axis=0), -1, 1)))
        assert angle.max() < 3**0.5 * 15


def test_without_augmentation_a_patch_is_a_part_of_the_field(cases):
    case = cases[0].case
    patch = sampler_of(cases[:1], augmentation=NONE).patch_at(3, 0)
    wanted = torch.from_numpy(((case.hu.astype(np.float32) + 160) / 400).clip(0, 1))
    windows = wanted.unfold(0, 16, 1).unfold(1, 16, 1).unfold(2, 16, 1).reshape(-1, 16, 16, 16)
    assert (windows - patch.image[0, 0]).abs().amax(dim=(1, 2, 3)).min() < 1e-4


def test_beyond_the_field_there_is_air_and_no_structure(cases):
    patch = sampler_of(cases, (64, 64, 64), NONE).patch_at(0, 0)
    assert patch.image.shape == (1, 1, 64, 64, 64)
    border = torch.ones(64, 64, 64, dtype=torch.bool)
    border[10:-10, 10:-10, 10:-10] = False
    assert (patch.image[0, 0][border] == 0).all() and (patch.target[0, :, border] == 0).all()


def test_unknown_structures_and_uncertain_places_are_marked():
    ignore = np.zeros((28, 28, 28), np.uint8)
    ignore[:14] = 1
    scan = make_scan(0, structures=("pancreas",), ignore=ignore, labels_by="other network", weight=0.5)
    case = TrainingCase.of(scan, prepared(scan.name, scan.load(), SPACING_MM), 0.1)
    patch = sampler_of([case], (28, 28, 28), NONE).patch_at(0, 0)
    assert patch.known.tolist() == [[1, 0, 0]]
    assert patch.weight.tolist() == [0.5] and patch.smoothing.tolist() == [pytest.approx(0.1)]
    middle = patch.certain[0, 0, :, 8:20, 8:20]
    assert (middle[:13] == 0).all() and (middle[15:] == 1).all()


def test_manual_and_synthetic_labels_are_not_smoothed():
    for labels_by in ("manual", "synthetic"):
        scan = make_scan(0, labels_by=labels_by)
        assert TrainingCase.of(scan, prepared("0", scan.load(), SPACING_MM), 0.1).smoothing == 0


def test_most_patches_hold_pancreas_even_where_it_is_a_small_part_of_the_field():
    side = 80
    fractions = np.full((3, 3, 3), 255, np.uint8)
    mask = BoxedMask((70, 70, 5), fractions)
    places = np.argwhere(fractions) + np.array(mask.start)
    case = PreparedCase("far", np.zeros((side,) * 3, np.int16), {"pancreas": mask}, None, {"pancreas": places})
    sampler = sampler_of([TrainingCase(case, "far")], augmentation=NONE)
    held = sum(bool((sampler.patch_at(step, 0).target[0, 0] > 0.5).any()) for step in range(60))
    assert 36 <= held < 60


def test_the_same_seed_draws_the_same_and_another_another(cases):
    first, again, other = (sampler_of(cases, seed=seed).batch(5, [0, 1]) for seed in (1, 1, 2))
    for name in PatchBatch.__dataclass_fields__:
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.image, other.image)
    assert not torch.equal(first.image[0], first.image[1])


@pytest.mark.parametrize("workers", [1, 2])
def test_patches_made_ahead_are_those_made_in_turn(cases, workers):
    sampler = sampler_of(cases)
    with BatchStream(sampler, [0, 1], 3, workers) as batches:
        ahead = [next(batches).image for _ in range(4)]
    for number, image in enumerate(ahead):
        assert torch.equal(image, sampler.batch(3 + number, [0, 1]).image)


def test_shares_divide_the_patches_among_data_sets():
    names = ["real"] * 2 + ["synthetic"] * 6 + ["more"] * 2
    assert case_probabilities(names, {}).tolist() == pytest.approx([0.1] * 10)
    assert case_probabilities(names, {"real": 0.5}).tolist() == pytest.approx([0.25] * 2 + [0.5 / 8] * 8)
    assert case_probabilities(["real", "synthetic"], {"real": 0.3, "synthetic": 0.3}).tolist() == [0.5, 0.5]


def test_intensities_vary_within_the_window(cases):
    sampler = sampler_of(cases)
    means = []
    for step in range(20):
        patch = sampler.patch_at(step, 0)
        assert torch.isfinite(patch.image).all() and patch.image.min() >= 0 and patch.image.max() <= 1
        assert patch.target.min() >= 0 and patch.target.max() <= 1
        if (patch.target[0, 0] > 0.95).any():
            means.append(float(patch.image[0, 0][patch.target[0, 0] > 0.95].mean()))
    assert np.std(means) > 0.03
