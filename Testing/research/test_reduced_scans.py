"""Scans that are small enough to take along hold what the large ones did, at the same place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.training.datasets import open_datasets
from AttentionUNetSegLib.training.labelled_scan import LabelledScan, LoadedScan

from research.reduced_scans import write_reduced_scans


def ball(centre: tuple[float, float, float], radius: float, image: sitk.Image) -> sitk.Image:
    k, j, i = np.indices(image.GetSize()[::-1])
    places = np.stack((i, j, k), axis=-1) * np.array(image.GetSpacing()) + np.array(image.GetOrigin())
    mask = sitk.GetImageFromArray((np.linalg.norm(places - centre, axis=-1) < radius).astype(np.uint8))
    mask.CopyInformation(image)
    return mask


@pytest.fixture(scope="module")
def scan() -> LabelledScan:
    ct = sitk.Image(240, 200, 40, sitk.sitkInt16)
    ct.SetSpacing((0.8, 0.8, 4.0))
    ct.SetOrigin((-100.0, -50.0, 300.0))
    body = ball((-5, 30, 380), 70, ct)
    ct = sitk.Cast(sitk.Cast(body, sitk.sitkInt16) * 1040 - 1000, sitk.sitkInt16)
    pancreas, liver = ball((0, 25, 380), 18, ct), ball((-35, 30, 380), 22, ct)
    loaded = LoadedScan(ct, {"pancreas": pancreas, "liver": liver}, ball((20, 25, 380), 10, ct))
    return LabelledScan("set/one", "somebody", lambda: loaded, "a model", 0.5, "CC BY 4.0", "whoever made it")


@pytest.mark.parametrize("turned", ["LPS", "RAI"])
def test_what_is_where_stays_and_so_does_what_is_known_of_it(scan, turned, tmp_path):
    large = scan.load()
    turned_scan = LabelledScan(
        scan.name, scan.patient,
        lambda: LoadedScan(
            sitk.DICOMOrient(large.ct, turned),
            {name: sitk.DICOMOrient(mask, turned) for name, mask in large.structures.items()},
            sitk.DICOMOrient(large.ignore, turned),
        ),
        scan.labels_by, scan.weight, scan.licence, scan.attribution,
    )  # fmt: skip
    (small,) = open_datasets([f"table:{write_reduced_scans([turned_scan], tmp_path)}"])
    for name in ("patient", "labels_by", "weight", "licence", "attribution"):
        assert getattr(small, name) == getattr(scan, name)
    loaded = small.load()
    np.testing.assert_allclose(loaded.ct.GetSpacing(), (1.5, 1.5, 4.0))
    assert loaded.ct.GetPixelID() == sitk.sitkInt16
    assert loaded.ct.GetNumberOfPixels() < 0.4 * large.ct.GetNumberOfPixels()
    pairs = [(loaded.structures[name], large.structures[name]) for name in ("pancreas", "liver")]
    for mask, before in (*pairs, (loaded.ignore, large.ignore)):
        again = sitk.Resample(mask, before, sitk.Transform(), sitk.sitkNearestNeighbor)
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(before, again)
        assert overlap.GetDiceCoefficient(1) > 0.9
    middle = loaded.ct.TransformPhysicalPointToIndex((0.0, 25.0, 380.0))
    assert loaded.ct[middle] == 40


def test_only_the_surroundings_of_the_pancreas_are_kept_where_that_is_wanted(scan, tmp_path):
    large = scan.load()
    bright = sitk.Cast(large.structures["pancreas"], sitk.sitkInt16) * 60 + large.ct
    brighter = replace(scan, load=lambda: LoadedScan(bright, large.structures, large.ignore))
    (small,) = open_datasets([f"table:{write_reduced_scans([brighter], tmp_path, 2.0, 12.0, 8, compress=False)}"])
    loaded = small.load()
    ball_and_margin = np.array([(2 * (18 + 12)) / spacing for spacing in (2.0, 2.0, 4.0)])
    assert np.abs(np.array(loaded.ct.GetSize()) - ball_and_margin).max() <= 3
    middle = loaded.ct.TransformPhysicalPointToIndex((0.0, 25.0, 380.0))
    assert np.abs(np.array(middle) - np.array(loaded.ct.GetSize()) / 2).max() <= 2
    assert loaded.ct[middle] == 104  # 100, in steps of 8
