"""What is resampled on the device is what the host resamples, on every grid a CT may have; the device is a CPU here."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from AttentionUNetSegLib.imaging import image_on_grid, probability_to_input_grid, to_model_grid
from AttentionUNetSegLib.imaging.geometry import Geometry
from AttentionUNetSegLib.inference import device_grids
from AttentionUNetSegLib.inference.device import cpu_device
from AttentionUNetSegLib.inference.device_grids import DeviceGrids
from scipy import ndimage


def turned(degrees):
    a = np.radians(degrees)
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])


# Axes in the patient, one column each: as usual, flipped, sagittal slices, a little oblique, more than the 10 degrees
# beyond which the model's grid is another.
DIRECTIONS = {
    "axial": np.eye(3),
    "flipped": np.diag([-1.0, -1.0, 1.0]),
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "oblique": turned(6),
    "turned": turned(25),
}


@pytest.fixture(params=DIRECTIONS)
def ct(request):
    noise = np.random.default_rng(0).standard_normal((23, 50, 61))
    hu = 4000 * ndimage.gaussian_filter(noise, (1, 2, 2)) - 200
    direction = tuple(DIRECTIONS[request.param].ravel())
    grid = Geometry((61, 50, 23), (0.8, 0.9, 2.5), (-20.0, 31.0, 7.0), direction)
    return image_on_grid(np.rint(hu).astype(np.int16), grid)


@pytest.fixture(params=["in one piece", "slab by slab"])
def grids(request, monkeypatch):
    if request.param == "slab by slab":
        monkeypatch.setattr(device_grids, "SLAB_VOXELS", 7 * 61 * 50)
    return DeviceGrids(cpu_device())


@pytest.mark.parametrize("kind", [sitk.sitkInt16, sitk.sitkUInt16, sitk.sitkFloat64])
def test_the_model_grid_is_the_hosts(ct, grids, kind):
    ct = sitk.Cast(ct + 1100 if kind == sitk.sitkUInt16 else ct, kind)
    host, device = to_model_grid(ct, (2.0, 2.0, 2.0)), to_model_grid(ct, (2.0, 2.0, 2.0), grids.resampled)
    assert Geometry.of(host) == Geometry.of(device)
    expected, got = sitk.GetArrayFromImage(host), sitk.GetArrayFromImage(device)
    assert expected.std() > 50 and np.abs(expected - got).max() < 0.01
    assert np.abs(expected - np.roll(got, 1, -1)).mean() > 5  # as a shift by a voxel would be


def test_the_way_back_is_the_hosts(ct, grids):
    coarse = to_model_grid(ct, (2.0, 2.0, 2.0))
    smooth = ndimage.gaussian_filter(sitk.GetArrayFromImage(coarse), 1)
    probability = 1 / (1 + np.exp(-(smooth + 200) / 20))
    probability[:2] = 0.0  # so that the box is smaller than the scan
    field = image_on_grid(probability.astype(np.float32), coarse)
    host = probability_to_input_grid(field, ct)
    device = probability_to_input_grid(field, ct, interpolated=grids.interpolated)
    assert Geometry.of(host) == Geometry.of(device)
    expected, got = (sitk.GetArrayFromImage(image).astype(int) for image in (host, device))
    assert expected.std() > 30 and np.abs(expected - got).max() <= 1 and (expected != got).mean() < 1e-3


def test_beyond_the_field_there_is_nothing_and_its_edge_goes_on_for_half_a_voxel(grids):
    field = image_on_grid(
        np.ones((4, 4, 4), np.float32), Geometry((4, 4, 4), (2.0,) * 3, (0.0,) * 3, (1, 0, 0, 0, 1, 0, 0, 0, 1))
    )
    fine = Geometry((12, 12, 12), (1.0,) * 3, (-3.0,) * 3, (1, 0, 0, 0, 1, 0, 0, 0, 1))
    values = grids.interpolated(field, fine, np.zeros(3, int), np.array([12, 12, 12]))
    assert np.flatnonzero(values[6, 6]).tolist() == [2, 3, 4, 5, 6, 7, 8, 9] and values.max() == 255


def test_what_the_device_has_no_memory_for_the_host_does(ct):
    class Full(DeviceGrids):
        def _there(self, array):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    full = Full(dataclasses.replace(cpu_device(), name="a full device"))
    host, device = to_model_grid(ct, (2.0, 2.0, 2.0)), to_model_grid(ct, (2.0, 2.0, 2.0), full.resampled)
    assert np.array_equal(sitk.GetArrayFromImage(host), sitk.GetArrayFromImage(device))
