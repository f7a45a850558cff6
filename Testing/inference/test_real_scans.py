"""Every real scan goes through the pipeline, and its results lie on its own voxels. Skipped where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from AttentionUNetSegLib.imaging import list_dicom_series, read_volume
from AttentionUNetSegLib.inference import Segmenter

CASES = (
    "acrin_flt_001",
    "acrin_nsclc_042",
    "cptac_c3l00189",
    "crlm_1006",
    "pancreas_cb_001",
    "totalsegmentator_example",
)


@pytest.fixture(scope="module")
def segmenter(tiny_model_package):
    return Segmenter(tiny_model_package, "cpu")


def require_aligned(result, volume):
    """The probability's box lies on the scan's voxels and within them; attention lies within the scan's space."""
    image = volume.image
    first = np.array(image.TransformPhysicalPointToContinuousIndex(result.probability.GetOrigin()))
    assert np.abs(first - np.rint(first)).max() < 1e-4
    assert (np.rint(first) >= 0).all()
    assert (np.rint(first) + result.probability.GetSize() <= image.GetSize()).all()
    assert np.allclose(result.probability.GetDirection(), image.GetDirection(), atol=1e-9)
    assert np.allclose(result.probability.GetSpacing(), image.GetSpacing())
    finest = result.attention[0]
    middle = finest.TransformContinuousIndexToPhysicalPoint((np.array(finest.GetSize()) - 1) / 2)
    inside = np.array(image.TransformPhysicalPointToContinuousIndex(middle))
    assert (inside > 0).all() and (inside < np.array(image.GetSize()) - 1).all()
    assert any("DO NOT USE" in warning for warning in result.warnings)


@pytest.mark.parametrize("case", CASES)
def test_a_real_ct(segmenter, shared_data, case):
    volume = read_volume(shared_data / "ct" / case / "ct.nii.gz")
    require_aligned(segmenter.segment(volume), volume)


@pytest.mark.parametrize("case", ["acrin_flt_001", "cptac_c3l00189"])
def test_every_series_of_a_real_dicom_folder(segmenter, shared_data, case):
    folder = shared_data / "dicom" / case
    series = list_dicom_series(folder)
    assert len(series) == {"acrin_flt_001": 2, "cptac_c3l00189": 1}[case]
    for one in series:
        volume = read_volume(folder, one.uid)
        require_aligned(segmenter.segment(volume), volume)
