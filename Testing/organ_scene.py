"""A CT of one organ in fat, of which a result found only a part; what people paint in it, and what the segment is."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer
from AttentionUNetSegLib.scene import import_result
from AttentionUNetSegLib.scene.strokes import segment_on_ct
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonMath import vtkMatrix4x4

SIZE_KJI = (30, 60, 70)
SPACING = (1.5, 1.4, 2.0)
ORGAN = (slice(8, 24), slice(20, 44), slice(10, 60))
KNOWN = (slice(8, 24), slice(20, 44), slice(10, 30))  # the part that the network found
IN_TAIL = (16, 32, 46)
IN_KNOWN = (16, 32, 18)


def organ_ct() -> sitk.Image:
    """An oblique CT of one organ of 100 HU in fat."""
    voxels = np.full(SIZE_KJI, -90, np.int16)
    voxels[ORGAN] = 100
    voxels += np.random.default_rng(0).integers(-8, 9, SIZE_KJI).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING)
    c, s = np.cos(0.2), np.sin(0.2)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    image.SetOrigin((-40.0, 30.5, 200.0))
    return image


def new_result(scene, volume_node, ct, folder, box=None):
    field = np.zeros(SIZE_KJI, np.uint8)
    field[KNOWN] = 240
    image = sitk.GetImageFromArray(field[KNOWN])
    image.SetSpacing(ct.GetSpacing())
    image.SetDirection(ct.GetDirection())
    image.SetOrigin(ct.TransformIndexToPhysicalPoint([part.start for part in KNOWN[::-1]]))
    sitk.WriteImage(image, str(folder / "probability.nrrd"))
    return import_result(scene, volume_node, {"threshold": 0.5}, folder, box=box)


def ras_of(ct: sitk.Image, voxel_kji) -> tuple[float, float, float]:
    x, y, z = ct.TransformContinuousIndexToPhysicalPoint([float(n) for n in voxel_kji[::-1]])
    return -x, -y, z


def mask(nodes) -> np.ndarray:
    return segment_on_ct(nodes).on(tuple(slice(0, n) for n in SIZE_KJI)) != 0


def paint(nodes, box, value: int) -> None:
    """Paint (1) or erase (0) as the Segment Editor does: into the segment's own labelmap."""
    painted = mask(nodes)
    painted[box] = value
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(*[bound for n in SIZE_KJI[::-1] for bound in (0, n - 1)])
    to_ras = vtkMatrix4x4()
    nodes.volume.GetIJKToRASMatrix(to_ras)
    labelmap.SetImageToWorldMatrix(to_ras)
    labelmap.GetPointData().SetScalars(numpy_to_vtk(painted.astype(np.uint8).ravel(), deep=True))
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
        labelmap,
        nodes.segmentation,
        nodes.segmentation.GetSegmentation().GetNthSegmentID(0),
        slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE,
    )
