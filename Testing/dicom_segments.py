"""A DICOM SEG of several binary segments, which may overlap, for the tests that read one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid


def dicom_segments(path: Path, masks: Mapping[str, sitk.Image]) -> Path:
    """Write masks on one grid by their names, numbered from 1; frames without a voxel are left out."""
    grid = next(iter(masks.values()))
    size, spacing, direction = grid.GetSize(), grid.GetSpacing(), np.reshape(grid.GetDirection(), (3, 3))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SegmentationStorage, generate_uid()
    seg = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    seg.SOPClassUID, seg.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    seg.Modality, seg.SegmentationType = "SEG", "BINARY"
    seg.Rows, seg.Columns = size[1], size[0]
    seg.BitsAllocated = seg.BitsStored = seg.SamplesPerPixel = 1
    seg.HighBit = seg.PixelRepresentation = 0
    seg.PhotometricInterpretation = "MONOCHROME2"
    seg.SegmentSequence = [
        _item(SegmentNumber=n, SegmentLabel=name, SegmentAlgorithmType="MANUAL") for n, name in enumerate(masks, 1)
    ]
    seg.SharedFunctionalGroupsSequence = [
        _item(
            PlaneOrientationSequence=[_item(ImageOrientationPatient=[*direction[:, 0], *direction[:, 1]])],
            PixelMeasuresSequence=[
                _item(PixelSpacing=[spacing[1], spacing[0]], SpacingBetweenSlices=spacing[2], SliceThickness=spacing[2])
            ],
        )
    ]
    frames, pixels = [], []
    for number, mask in enumerate(masks.values(), 1):
        for k, voxels in enumerate(sitk.GetArrayFromImage(mask) != 0):
            if not voxels.any():
                continue
            place = [f"{x:.6g}" for x in mask.TransformIndexToPhysicalPoint((0, 0, k))]
            frames.append(
                _item(
                    PlanePositionSequence=[_item(ImagePositionPatient=place)],
                    SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=number)],
                )
            )
            pixels.append(voxels.ravel())
    seg.NumberOfFrames, seg.PerFrameFunctionalGroupsSequence = len(frames), frames
    packed = np.packbits(np.concatenate(pixels), bitorder="little").tobytes()
    seg.PixelData = packed + b"\0" * (len(packed) % 2)
    seg.save_as(path)
    return path


def _item(**attributes: object) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made
