"""Measuring in a process of its own gives the numbers of measuring here."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.imaging import Geometry
from AttentionUNetSegLib.measure import Masks, Measurements, measure_masks
from AttentionUNetSegLib.measure.apart import read_masks, write_masks


def bent() -> tuple[Masks, sitk.Image]:
    """A bent tube at two thresholds on an oblique grid, in a CT of noise."""
    z, y, x = np.mgrid[:20, :24, :60]
    middle, wide = (np.hypot(z - 10, y - 12 - 5 * np.sin(x / 15.0)) < radius for radius in (5, 6))
    inside = (x > 5) & (x < 55)
    hu = np.random.default_rng(1).normal(80, 10, z.shape).astype(np.int16)
    ct = sitk.GetImageFromArray(hu)
    ct.SetSpacing((1.5, 1.25, 2.0))
    ct.SetOrigin((-20.0, 7.5, 300.0))
    ct.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.2, -0.1, 0.3).GetMatrix())
    return Masks(middle & inside, (wide & inside, middle & inside), Geometry.of(ct), 0.5, (0.3, 0.7)), ct


def test_another_process_measures_the_same(tmp_path):
    masks, ct = bent()
    ct = sitk.ConstantPad(ct, (9, 4, 3), (2, 8, 5), -100)  # what lies around the gland goes along
    write_masks(masks, ct, tmp_path)
    command = [sys.executable, "-m", "AttentionUNetSegLib.measure", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        answer = process.stdout.read()  # its stdin stays open meanwhile: it ends with that
    expected = measure_masks(masks, ct)
    found = Measurements.of_json(json.loads(answer))
    assert found.as_rows() == expected.as_rows() and found.sentences == expected.sentences
    assert (found.threshold, found.range_of_thresholds) == (0.5, (0.3, 0.7))
    np.testing.assert_allclose(found.centre_line.points_lps, expected.centre_line.points_lps, atol=0.051)


def test_a_folder_with_nothing_to_measure_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nothing to measure"):
        read_masks(tmp_path)
