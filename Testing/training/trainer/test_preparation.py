"""Scans on the model's grid, and the cache."""

from __future__ import annotations

import os

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import body_box, to_model_grid
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.labelled_scan import LabelledScan
from AttentionUNetSegLib.training.trainer import is_prepared
from AttentionUNetSegLib.training.trainer.preparation import BoxedMask, StoredArray, prepare_cases, prepared

from .conftest import SPACING_MM, make_scan


def whole(mask: BoxedMask, shape: tuple[int, ...]) -> np.ndarray:
    return mask.window(np.zeros(3, int), np.array(shape))


def test_a_case_is_what_inference_would_see():
    scan = make_scan(0).load()
    case = prepared("0", scan, 10.0)
    coarse = to_model_grid(scan.ct, (10.0,) * 3)
    assert np.abs(case.hu - sitk.GetArrayViewFromImage(coarse)[body_box(coarse)]).max() <= 0.5


def test_masks_are_fractions_with_the_label_s_volume():
    scan = make_scan(0).load()
    case = prepared("0", scan, 5.0)
    fractions = whole(case.masks["pancreas"], case.hu.shape)
    truth = np.count_nonzero(sitk.GetArrayViewFromImage(scan.structures["pancreas"])) * SPACING_MM**3
    assert fractions.sum() / 255 * 5**3 == pytest.approx(truth, rel=0.03)
    assert np.count_nonzero((fractions > 30) & (fractions < 225)) > 20
    assert (fractions[tuple(case.places["pancreas"].T)] >= 128).all() and len(case.places["pancreas"]) <= 512


def test_absent_is_not_unknown():
    scan = make_scan(0).load()
    empty = sitk.Cast(scan.structures["liver"] * 0, sitk.sitkUInt8)
    case = prepared("0", type(scan)(scan.ct, {"pancreas": scan.structures["pancreas"], "spleen": empty}), SPACING_MM)
    assert set(case.masks) == {"pancreas", "spleen"} and len(case.places["spleen"]) == 0
    assert not whole(case.masks["spleen"], case.hu.shape).any()


def test_voxels_on_disk_are_read_in_parts(tmp_path):
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    np.save(tmp_path / "a.npy", array)
    stored = StoredArray(tmp_path / "a.npy", array.shape)
    assert np.array_equal(stored, array)
    assert np.array_equal(stored[1:3, 0:2, 4:5], array[1:3, 0:2, 4:5])


def test_a_window_of_a_mask_is_that_of_the_whole():
    rng = np.random.default_rng(0)
    mask = BoxedMask((3, 4, 5), rng.integers(1, 255, (4, 5, 6), dtype=np.uint8))
    full = whole(mask, (12, 13, 14))
    for _ in range(50):
        low = rng.integers(0, 10, 3)
        high = low + rng.integers(1, 4, 3)
        window = tuple(slice(a, b) for a, b in zip(low, np.minimum(high, full.shape), strict=True))
        assert np.array_equal(mask.window(low, np.minimum(high, full.shape)), full[window])


def test_the_cache_spares_loading_until_a_file_changes(table, tmp_path):
    scans = open_datasets([f"table:{table}"])
    assert not any(is_prepared(scan, SPACING_MM, tmp_path) for scan in scans)
    told: list[tuple[int, int, str]] = []
    first = prepare_cases(scans, SPACING_MM, tmp_path, 2, lambda *progress: told.append(progress))
    assert [done for done, _, _ in told] == [1, 2, 3] and told[0][2] == scans[0].name
    assert all(is_prepared(scan, SPACING_MM, tmp_path) for scan in scans)
    assert not is_prepared(scans[0], 2 * SPACING_MM, tmp_path)
    again = prepare_cases(scans, SPACING_MM, tmp_path)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.hu, other.hu) and one.masks.keys() == other.masks.keys()
        assert np.array_equal(whole(one.masks["liver"], one.hu.shape), whole(other.masks["liver"], one.hu.shape))
    status = (table / "ct0.nrrd").stat()
    os.utime(table / "ct0.nrrd", ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert [is_prepared(scan, SPACING_MM, tmp_path) for scan in scans] == [False, True, True]


def test_a_damaged_entry_is_made_anew_and_nothing_half_written_stays(tmp_path):
    scans = [make_scan(0)]
    (whole_case,) = prepare_cases(scans, SPACING_MM, tmp_path)
    entries = sorted(tmp_path.iterdir())
    assert [entry.suffix for entry in entries] == [".npy", ".npz"]
    voxels = np.asarray(whole_case.hu)
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:60])
        (again,) = prepare_cases(scans, SPACING_MM, tmp_path)
        assert np.array_equal(again.hu, voxels) and sorted(tmp_path.iterdir()) == entries


def test_the_ignore_mask_survives_the_cache(tmp_path):
    ignore = np.zeros((28, 28, 28), np.uint8)
    ignore[:9] = 1
    for _ in range(2):
        (case,) = prepare_cases([make_scan(0, ignore=ignore)], SPACING_MM, tmp_path)
        assert whole(case.ignore, case.hu.shape)[:8].all() and "ignore" not in case.masks


def test_a_scan_that_cannot_be_read_is_named(tmp_path):
    def load():
        raise BadInput("The file is gone.", "Bring it back.")

    with pytest.raises(BadInput, match="The file is gone"):
        prepare_cases([LabelledScan("set/broken", "p", load)], SPACING_MM, tmp_path)
