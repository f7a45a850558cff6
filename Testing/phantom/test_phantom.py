"""The phantom is an abdomen: sides, contacts, volumes, attenuation; and it is the same at every spacing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import read_volume
from AttentionUNetSegLib.phantom import Phantom, make_phantom, write_phantom
from AttentionUNetSegLib.phantom.tissues import PHASES, Label
from scipy import ndimage

SEEDS = (0, 1, 2)
SPACING_MM = (2.0, 2.0, 2.5)


@cache
def phantom_of(seed: int, phase: str | None = None, spacing_mm: tuple = SPACING_MM) -> Phantom:
    return make_phantom(seed, spacing_mm, phase)


def labels_of(phantom: Phantom) -> np.ndarray:
    return sitk.GetArrayFromImage(phantom.labels)


def centroids(phantom: Phantom) -> dict[Label, np.ndarray]:
    """Centre of mass of each organ in LPS mm."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(phantom.labels)
    return {Label(value): np.array(statistics.GetCentroid(value)) for value in statistics.GetLabels()}


def volumes_ml(phantom: Phantom) -> dict[Label, float]:
    counts = np.bincount(labels_of(phantom).ravel(), minlength=len(Label))
    return {label: counts[label] * np.prod(phantom.ct.GetSpacing()) / 1000 for label in Label}


@pytest.mark.parametrize("seed", SEEDS)
def test_organs_lie_on_their_sides(seed):
    at = centroids(phantom_of(seed))
    assert set(at) == set(Label) - {Label.BACKGROUND}
    left_of = {label: at[label][0] for label in at}
    for right, left in (
        (Label.LIVER, Label.SPLEEN),
        (Label.RIGHT_KIDNEY, Label.LEFT_KIDNEY),
        (Label.VENA_CAVA, Label.AORTA),
        (Label.DUODENUM, Label.PANCREAS),
        (Label.GALLBLADDER, Label.STOMACH),
    ):
        assert left_of[right] < left_of[left] - 10, f"{right.name} is not right of {left.name}"
    # In LPS, y grows to the back and z to the head.
    assert at[Label.STOMACH][1] < at[Label.PANCREAS][1] < at[Label.AORTA][1] < at[Label.SPINE][1]
    assert at[Label.RIGHT_KIDNEY][2] < at[Label.LEFT_KIDNEY][2] < at[Label.LUNGS][2]
    assert at[Label.BOWEL][2] < at[Label.PANCREAS][2] < at[Label.HEART][2]


@pytest.mark.parametrize("seed", SEEDS)
def test_pancreas_touches_its_neighbours(seed):
    phantom = phantom_of(seed)
    labels = labels_of(phantom)
    nearby = ndimage.binary_dilation(labels == Label.PANCREAS)
    for neighbour in (Label.DUODENUM, Label.PORTAL_VEINS, Label.STOMACH, Label.SPLEEN):
        assert np.count_nonzero(nearby & (labels == neighbour)) >= 5, neighbour.name
    # Head inside the duodenal loop on the right, tail at the spleen, splenic vein along the back of the body.
    i = np.nonzero(labels == Label.PANCREAS)[2]
    x = phantom.labels.GetOrigin()[0] + i * SPACING_MM[0]
    assert x.min() < -25 and x.max() > 55
    veins = labels == Label.PORTAL_VEINS
    body = (labels == Label.PANCREAS) & (np.arange(labels.shape[2]) > np.median(i))
    columns = body.any(axis=1) & (veins & (np.arange(labels.shape[2]) > np.median(i))).any(axis=1)
    assert columns.sum() > 10
    gland_depth = (
        np.where(body, np.arange(labels.shape[1])[:, None], 0).sum(axis=1)[columns] / body.sum(axis=1)[columns]
    )
    vein_depth = (
        np.where(veins, np.arange(labels.shape[1])[:, None], 0).sum(axis=1)[columns] / veins.sum(axis=1)[columns]
    )
    assert np.mean(vein_depth > gland_depth) > 0.9


@pytest.mark.parametrize("seed", range(10))
def test_pancreas_is_one_piece_of_realistic_volume(seed):
    phantom = phantom_of(seed) if seed in SEEDS else make_phantom(seed, (3, 3, 3))
    mask = sitk.GetArrayFromImage(phantom.pancreas)
    pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    assert np.bincount(pieces.ravel())[1:].max() >= 0.995 * mask.sum()
    assert 45 <= volumes_ml(phantom)[Label.PANCREAS] <= 130


@pytest.mark.parametrize("seed", SEEDS)
def test_organ_volumes_are_those_of_adults(seed):
    volumes = volumes_ml(phantom_of(seed))
    for label, low, high in (
        (Label.LIVER, 700, 2000),
        (Label.SPLEEN, 60, 350),
        (Label.LEFT_KIDNEY, 80, 250),
        (Label.RIGHT_KIDNEY, 80, 250),
        (Label.STOMACH, 120, 700),
        (Label.GALLBLADDER, 8, 60),
    ):
        assert low < volumes[label] < high, label.name


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize(
    ("phase", "ranges"),
    [
        (
            "non_contrast",
            {"PANCREAS": (20, 55), "LIVER": (35, 80), "SPLEEN": (30, 65), "LEFT_KIDNEY": (15, 50), "AORTA": (15, 75)},
        ),
        (
            "portal_venous",
            {
                "PANCREAS": (60, 120),
                "LIVER": (75, 140),
                "SPLEEN": (85, 150),
                "LEFT_KIDNEY": (110, 210),
                "AORTA": (105, 195),
            },
        ),
    ],
)
def test_attenuation_follows_the_phase(seed, phase, ranges):
    phantom = phantom_of(seed, phase, (2.5, 2.5, 3.0))
    hu, labels = sitk.GetArrayFromImage(phantom.ct), labels_of(phantom)
    assert phantom.phase == phase and hu.dtype == np.int16
    for name, (low, high) in {**ranges, "FAT": (-125, -80), "MUSCLE": (35, 85), "LUNGS": (-920, -700)}.items():
        assert low < np.median(hu[labels == Label[name]]) < high, name
    inside = ndimage.binary_erosion(labels == Label.SPINE, iterations=2)
    assert 90 < np.median(hu[inside]) < 350
    assert hu[0, 0, 0] < -900
    stomach = hu[labels == Label.STOMACH]
    assert np.mean(stomach < -700) > 0.02, "no air in the stomach"


def test_phase_changes_attenuation_only():
    plain, enhanced = (phantom_of(1, phase, (2.5, 2.5, 3.0)) for phase in PHASES)
    np.testing.assert_array_equal(labels_of(plain), labels_of(enhanced))


def test_a_seed_determines_every_voxel_and_another_seed_another_abdomen():
    first, again, other = (make_phantom(seed, (4, 4, 4)) for seed in (5, 5, 6))
    assert first.phase == again.phase
    for name in ("ct", "labels"):
        np.testing.assert_array_equal(*(sitk.GetArrayFromImage(getattr(p, name)) for p in (first, again)))
    assert np.mean(labels_of(first) != labels_of(other)) > 0.05


def test_anatomy_does_not_depend_on_spacing():
    extent_mm = (261, 210, 150)
    fine, coarse = (make_phantom(0, (spacing,) * 3, extent_mm=extent_mm) for spacing in (1.5, 3.0))
    assert fine.phase == coarse.phase
    volumes = volumes_ml(fine), volumes_ml(coarse)
    for label in (Label.PANCREAS, Label.LIVER, Label.SPLEEN, Label.LEFT_KIDNEY, Label.AORTA, Label.DUODENUM):
        assert volumes[1][label] == pytest.approx(volumes[0][label], rel=0.05), label.name
    places = centroids(fine), centroids(coarse)
    assert np.linalg.norm(places[0][Label.PANCREAS] - places[1][Label.PANCREAS]) < 0.5
    on_fine = sitk.Resample(coarse.pancreas, fine.ct, sitk.Transform(), sitk.sitkNearestNeighbor)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(on_fine, fine.pancreas)
    assert overlap.GetDiceCoefficient() > 0.9


def test_a_smaller_field_of_view_is_a_window_on_the_same_body():
    whole = make_phantom(2, (3, 3, 3), extent_mm=(351, 285, 219))
    part = make_phantom(2, (3, 3, 3), extent_mm=(207, 189, 123))
    window = sitk.Resample(whole.labels, part.labels, sitk.Transform(), sitk.sitkNearestNeighbor)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(window), labels_of(part))


@pytest.mark.parametrize("suffix", (".nrrd", ".mha", ".nii.gz"))
def test_written_phantoms_carry_the_mark(tmp_path, suffix):
    phantom = phantom_of(4, None, (5, 5, 5))
    path, label_path = tmp_path / f"ct{suffix}", tmp_path / f"labels{suffix}"
    write_phantom(phantom, path, label_path)
    volume = read_volume(path)
    assert volume.is_phantom
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.image), sitk.GetArrayFromImage(phantom.ct))
    np.testing.assert_allclose(volume.image.GetOrigin(), phantom.ct.GetOrigin(), atol=1e-3)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(label_path))), labels_of(phantom))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted((path.name, label_path.name))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"seed": -1}, "negative"),
        ({"seed": 0, "phase": "arterial"}, "arterial"),
        ({"seed": 0, "spacing_mm": (0.0, 1, 1)}, "spacing"),
        ({"seed": 0, "spacing_mm": (9, 9, 9), "extent_mm": (30, 300, 200)}, "8 voxels"),
    ],
)
def test_impossible_phantoms_are_refused_with_a_sentence(arguments, word):
    with pytest.raises(BadInput, match=word):
        make_phantom(**arguments)
