"""Slicer's way to a DICOM SEG: another Python writes it, and its sentences come back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib.errors import BadInput, ProcessDied
from AttentionUNetSegLib.worker.dicom_process import DicomSegRequest, read_answer, write_dicom_seg_apart
from dicom_slice import dicom_slice
from known_segment import on_whole_grid, probability_on
from pydicom.uid import generate_uid

highdicom = pytest.importorskip("highdicom", reason="DICOM objects need the extra dicom")
MODEL = {"id": "m", "name": "Model", "version": "1.0.0", "sha256": "ab" * 32}


@pytest.fixture
def request_for(tmp_path):
    """A function that makes the request for a probability on a small series; keywords replace its fields."""
    folder = tmp_path / "ct ü"
    folder.mkdir()
    uid = generate_uid()
    files = [str(dicom_slice(folder / f"{k}", (0, 0, 3 * k), uid)) for k in range(10)]
    ct = sitk.Image([16, 12, 10], sitk.sitkInt16)
    ct.SetSpacing([1.5, 2, 3])
    field = probability_on(ct)
    sitk.WriteImage(field, str(tmp_path / "probability.nrrd"))

    def make(**fields) -> DicomSegRequest:
        given = {"path": str(tmp_path / "ü.dcm"), "segment": str(tmp_path / "probability.nrrd"), "dicom_files": files}
        return DicomSegRequest(**{**given, "model": MODEL, "fractional": True, **fields})

    make.truth = on_whole_grid(field, ct)
    return make


def test_another_process_writes_the_voxels(request_for, tmp_path):
    path = write_dicom_seg_apart(request_for(semiautomatic=True), tmp_path / "request.json", sys.executable)
    assert path == str(tmp_path / "ü.dcm") and not (tmp_path / "request.json").exists()
    seg = highdicom.seg.segread(path)
    heights = [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in seg.PerFrameFunctionalGroupsSequence]
    assert sorted(heights) == [9, 12, 15, 18, 21]
    np.testing.assert_array_equal(seg.pixel_array[np.argsort(heights)], request_for.truth[3:8])
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_what_it_refuses_is_raised_here_with_its_sentence(request_for, tmp_path):
    for fields in ({"dicom_files": []}, {"segment": str(tmp_path / "nothing.nrrd")}):
        with pytest.raises(BadInput, match="not read from DICOM|cannot be read"):
            write_dicom_seg_apart(request_for(**fields), tmp_path / "request.json", sys.executable)
    assert not Path(tmp_path, "ü.dcm").exists()


def test_a_process_that_dies_is_told():
    with pytest.raises(ProcessDied, match="without an answer: Segmentation fault"):
        read_answer("", "some log\nSegmentation fault\n")
