"""Measurements of glands whose numbers are known; and that a wrong measurement would be noticed."""

from __future__ import annotations

import importlib
import json
from itertools import permutations

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.measure import PARTS, Measurements, centre_line, measure, part_map, smooth_shape
from bent_gland import IDENTITY, BentGland, constant_ct
from scipy import ndimage
from scipy.spatial.transform import Rotation

TUBE = BentGland()
OBLIQUE = Rotation.from_euler("zyx", (25, -15, 35), degrees=True).as_matrix()
SAGITTAL = IDENTITY[:, list(list(permutations(range(3)))[3])]
GRIDS = {
    "1 mm": ((1.0, 1.0, 1.0), IDENTITY),
    "flipped": ((1.0, 1.0, 1.0), np.diag([-1.0, 1.0, -1.0])),
    "sagittal, thick slices": ((0.8, 2.5, 1.0), SAGITTAL),
    "oblique": ((1.0, 1.0, 1.0), OBLIQUE),
    "axial, thick slices": ((0.8, 0.8, 2.5), IDENTITY),
}


def measured(gland: BentGland, grid: str = "1 mm") -> Measurements:
    mask = gland.mask(*GRIDS[grid])
    return measure(mask, constant_ct(mask))


def check(found: Measurements, gland: BentGland, volume: float = 0.01) -> None:
    """What has to hold of a tube of even thickness, on any grid."""
    assert found["volume"].value == pytest.approx(gland.volume() / 1000, rel=volume)
    assert found["length"].value == pytest.approx(gland.length, rel=0.05)
    assert found["thickness"].value == pytest.approx(2 * gland.radius, rel=0.05)
    assert found["surface"].value == pytest.approx(gland.surface, rel=0.05)
    ball = np.pi ** (1 / 3) * (6 * gland.volume()) ** (2 / 3) / gland.surface
    assert found["sphericity"].value == pytest.approx(ball, rel=0.05)
    line = found.centre_line
    off = gland.distance(line.points_lps) + gland.at(np.zeros(len(line.points_lps)))  # from the arc
    within = (line.distance_mm > gland.radius) & (line.distance_mm < line.length_mm - gland.radius)
    assert off[within].max() < 0.15 * gland.radius
    assert line.points_lps[0, 0] < line.points_lps[-1, 0], "the head is on the patient's right"
    sum_of_parts = sum(found[f"{part}_volume"].value for part in ("head", "body", "tail"))
    assert sum_of_parts == pytest.approx(found["volume"].value, rel=1e-3)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_tube_measures_what_it_was_made_with_on_every_grid(grid: str) -> None:
    found = measured(TUBE, grid)
    check(found, TUBE)
    assert all(each.low is None and each.high is None for each in found), "a mask says nothing of its own doubt"


def test_a_thin_gland_with_a_tight_bend_is_measured_too() -> None:
    thin = BentGland(bend=30.0, angle=2.8, radius=5.0)
    check(measured(thin), thin, volume=0.02)  # ten voxels across: counting them comes no closer


def test_mutants_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("AttentionUNetSegLib.measure.measure")
    grid = "axial, thick slices"
    mutants = {
        "spacing along I, J, K": (
            module, "smooth_shape", lambda mask, spacing: smooth_shape.smooth_shape(mask, spacing[::-1])
        ),
        "a line that ends before the surface": (centre_line, "_to_the_surface", lambda line, shape: line),
        "radius for diameter": (module, "thickness_along", lambda *of: 0.5 * centre_line.thickness_along(*of)),
        "a surface of voxel faces": (
            smooth_shape, "_weights",
            lambda at, n, step, sigma: (np.abs(at[:, None] - step * np.arange(n)) <= step / 2).astype("f"),
        ),
    }  # fmt: skip
    check(measured(TUBE, grid), TUBE)
    for name, (where, function, wrong) in mutants.items():
        with monkeypatch.context() as patch:
            patch.setattr(where, function, wrong)
            with pytest.raises(AssertionError):
                check(measured(TUBE, grid), TUBE)
                pytest.fail(f"{name} went unnoticed")


def test_head_body_and_tail_are_divided_at_the_neck_and_halfway_behind_it() -> None:
    def radius(along: np.ndarray) -> np.ndarray:
        head = 13.0 - 6.0 / (1 + np.exp(-(along - 35.0) / 4.0))  # 13 mm, and behind it
        return head + 3.0 / (1 + np.exp(-(along - 60.0) / 5.0)) - 0.02 * along  # a neck of 6 mm, a body of 8, tapering

    gland = BentGland(bend=55.0, angle=2.3, radius=radius)
    found = measured(gland)
    line = found.centre_line
    along = np.linspace(20, 70, 200)
    neck = along[gland.at(along).argmin()]
    assert line.neck_mm - gland.at(np.zeros(1))[0] == pytest.approx(neck, abs=5.0)
    assert found.notes == ()
    tail = 0.5 * (neck + gland.arc + gland.at(np.array([gland.arc]))[0])
    for part, truth in (
        ("head", gland.volume(0.0, neck)),
        ("body", gland.volume(neck, tail)),
        ("tail", gland.volume(tail)),
    ):
        assert found[f"{part}_volume"].value == pytest.approx(truth / 1000, rel=0.12), part
    assert found["head_volume"].value == pytest.approx(gland.volume(0.0, neck) / 1000, rel=0.06)
    mask = gland.mask(*GRIDS["1 mm"])
    drawn = sitk.GetArrayFromImage(part_map(mask, line))
    assert np.array_equal(drawn > 0, sitk.GetArrayViewFromImage(mask) > 0)
    for label, part in enumerate(PARTS, start=1):  # one mm³ a voxel
        assert np.count_nonzero(drawn == label) / 1000 == pytest.approx(found[f"{part}_volume"].value, rel=0.02), part
    assert np.argwhere(drawn == 1)[:, 2].max() < np.argwhere(drawn == 3)[:, 2].max(), "the tail is on the left"
    assert found["head_thickness"].value > 1.5 * found["tail_thickness"].value
    place, direction = line.place_lps(line.neck_mm)
    assert abs(gland.distance(place[None])[0] + gland.at(np.array([neck]))[0]) < 2.0, "near the arc"
    assert direction[0] > 0.5, "to the patient's left"


def test_a_tube_without_a_neck_is_divided_at_a_stated_place_and_says_so() -> None:
    found = measured(TUBE)
    assert found.centre_line.neck_mm == pytest.approx(0.4 * found.centre_line.length_mm)
    assert any("No neck" in note for note in found.notes)


def test_ranges_are_those_of_the_probability() -> None:
    """The probability falls by 0.1 in a millimetre: 0.3 lies 2 mm outside of one half, and 0.7 2 mm inside."""
    field = TUBE.field()
    probability = sitk.Cast(sitk.Clamp(0.5 - field * 0.1, sitk.sitkFloat32, 0, 1) * 255.0 + 0.5, sitk.sitkUInt8)
    ct = constant_ct(TUBE.mask())
    found = measure(probability, ct, 0.5)
    for quantity in found:
        assert quantity.low <= quantity.value <= quantity.high, quantity
    assert found["volume"].low == pytest.approx(BentGland(radius=7.0).volume() / 1000, rel=0.03)
    assert found["volume"].high == pytest.approx(BentGland(radius=11.0).volume() / 1000, rel=0.03)
    assert found["thickness"].low == pytest.approx(14.0, rel=0.06)
    assert found["thickness"].high == pytest.approx(22.0, rel=0.06)
    at_a_fifth = measure(probability, ct, 0.2)
    assert at_a_fifth["volume"].value == at_a_fifth["volume"].high > found["volume"].high
    as_float = measure(sitk.Cast(probability, sitk.sitkFloat32) / 255.0, ct, 0.5)
    assert as_float["volume"] == found["volume"]


def test_attenuation_is_that_of_the_voxels_inside() -> None:
    mask = TUBE.mask()
    inside = sitk.GetArrayFromImage(mask) != 0
    hu = np.full(inside.shape, -100, np.int16)
    values = np.random.default_rng(1).integers(-20, 150, np.count_nonzero(inside)).astype(np.int16)
    hu[inside] = values
    ct = sitk.GetImageFromArray(hu)
    ct.CopyInformation(mask)
    found = measure(mask, ct)
    for key, truth in {
        "hu_mean": values.mean(), "hu_sd": values.std(), "hu_p05": np.percentile(values, 5),
        "hu_p50": np.median(values), "hu_p95": np.percentile(values, 95),
    }.items():  # fmt: skip
        assert found[key].value == pytest.approx(truth, rel=1e-3), key
    assert found["fat"].value == 0.0, "fat around the gland is none of it"


def test_fat_between_lobules_counts_and_fat_around_the_gland_does_not() -> None:
    field = sitk.GetArrayFromImage(TUBE.field())
    z, _, x = np.indices(field.shape)
    cleft = (x % 14 < 4) & (field < 0)  # 4 of every 14 mm across the gland, open to its outside
    mask = sitk.GetImageFromArray(((field < 0) & ~cleft).astype(np.uint8))
    whole = sitk.GetImageFromArray((field < 0).astype(np.uint8))
    ct = constant_ct(mask)
    share = 100 * np.count_nonzero(cleft) / np.count_nonzero(field < 0)
    assert 0.55 * share < measure(whole, ct)["fat"].value <= 1.1 * share, "drawn over the fat"
    solid = measure(whole, constant_ct(whole))
    assert solid["fat"].value == 0.0
    half = cleft & (z > z.max() // 2)
    around = sitk.GetImageFromArray(((field < 0) & ~half).astype(np.uint8))
    share = 100 * np.count_nonzero(half) / np.count_nonzero(field < 0)
    assert 0.4 * share < measure(around, constant_ct(around))["fat"].value <= 1.1 * share, "drawn around it"


def test_a_box_of_the_voxels_gives_the_same_numbers_as_all_of_them() -> None:
    mask = TUBE.mask(*GRIDS["oblique"])
    padded = sitk.ConstantPad(mask, (9, 4, 11), (3, 8, 2))
    ct = constant_ct(padded)
    assert measure(padded, ct).as_json() == measure(mask, ct).as_json()


def test_what_does_not_fit_is_refused() -> None:
    mask = TUBE.mask()
    ct = constant_ct(mask)
    moved = sitk.Image(mask)
    moved.SetOrigin([value + 0.4 for value in mask.GetOrigin()])
    with pytest.raises(BadInput, match="voxels of the CT"):
        measure(moved, ct)
    with pytest.raises(BadInput, match="voxels of the CT"):
        measure(mask, ct[3:])
    for threshold in (0.0, 1.2):
        with pytest.raises(BadInput, match="threshold"):
            measure(mask, ct, threshold)


def test_an_empty_a_tiny_and_a_torn_segment_say_what_they_are() -> None:
    mask = TUBE.mask()
    empty = measure(mask * 0, constant_ct(mask))
    assert empty["volume"].value == 0.0 and empty["length"].value is None and empty["hu_mean"].value is None
    assert "empty" in empty.notes[0] and empty.centre_line is None
    json.dumps(empty.as_json(), allow_nan=False)

    array = np.zeros((20, 20, 20), np.uint8)
    array[8:11, 8:11, 8:11] = 1
    few = sitk.GetImageFromArray(array)
    tiny = measure(few, constant_ct(few))
    assert tiny["volume"].value == pytest.approx(0.027) and tiny["hu_mean"].value == 40.0
    assert tiny["length"].value is None and "too small" in tiny.notes[0]

    torn = sitk.GetArrayFromImage(mask)
    torn[:, :, torn.shape[2] // 2 - 4 : torn.shape[2] // 2 + 14] = 0
    parts = sitk.GetImageFromArray(torn)
    parts.CopyInformation(mask)
    found = measure(parts, constant_ct(parts))
    assert any("2 separate parts" in note for note in found.notes)
    assert found["volume"].value == pytest.approx(np.count_nonzero(torn) / 1000, rel=1e-3)
    assert found["length"].value < 0.6 * TUBE.length
    largest = measure(parts, constant_ct(parts), keep_largest=True)
    assert largest["volume"].value < 0.7 * found["volume"].value and not any("parts:" in note for note in largest.notes)


def test_a_segment_as_large_as_the_abdomen_takes_no_more_samples_than_a_gland() -> None:
    """Random weights, or a scan that the network does not know, give such a segment: it must not take minutes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((60, 120, 120)), 2)
    mask = noise > -0.1 * noise.std()
    shape = smooth_shape.smooth_shape(mask, np.array([5.0, 2.5, 2.5]))
    assert np.count_nonzero(mask) * 31.25 > 10e6, "10 litres"
    assert len(shape.points) < 1.5 * smooth_shape.SAMPLES
    thin = smooth_shape.smooth_shape(sitk.GetArrayFromImage(TUBE.mask()) != 0, np.ones(3))
    assert len(thin.points) == pytest.approx(smooth_shape.SAMPLES, rel=0.1)


def test_rows_columns_and_json_tell_the_same() -> None:
    probability = sitk.Cast(TUBE.mask() * 204, sitk.sitkUInt8)
    found = measure(probability, constant_ct(probability), 0.5)
    rows, columns, fields = found.as_rows(), found.as_columns(), found.as_json()
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    assert len(rows) == len(fields["quantities"]) == len(columns) / 3
    for (name, value, low, high, _unit), (key, entry) in zip(rows, fields["quantities"].items(), strict=True):
        assert (name, value, low, high) == tuple(entry[each] for each in ("name", "value", "low", "high"))
        assert columns[key] == value and columns[f"{key}_low"] == low and columns[f"{key}_high"] == high
        assert low == value == high, "the probability is 0.8 wherever it is not 0"
    assert ("Volume", found["volume"].value, found["volume"].low, found["volume"].high, "mL") == rows[0]
    assert fields["range_of_thresholds"] == [0.3, 0.7]
    profile = fields["centre_line"]
    assert len(profile["points"]) == len(profile["thickness_mm"]) == len(profile["distance_mm"])
