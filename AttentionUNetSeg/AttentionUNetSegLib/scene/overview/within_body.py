"""Attention where the patient is: what gates pass in the air around a body, or in the table, tells nobody anything."""

from __future__ import annotations

import numpy as np
import slicer
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData

from ...imaging import body_mask
from ..geometry import ijk_to_ras_of_node

# Fine enough for the skin in a picture of the whole body, coarse enough to take a fraction of a second.
_SEARCH_MM = 3.0


def voxels_within_body(
    overlay: slicer.vtkMRMLScalarVolumeNode, ct: slicer.vtkMRMLScalarVolumeNode
) -> vtkImageData | None:
    """Return a volume's voxels with 0 outside of the body that a CT shows; None where it shows none.

    Both lie under one parent transform; their own grids may differ.
    """
    to_ras = ijk_to_ras_of_node(ct)
    step = [max(1, round(_SEARCH_MM / spacing)) for spacing in ct.GetSpacing()]
    coarse = slicer.util.arrayFromVolume(ct)[:: step[2], :: step[1], :: step[0]]
    along_body = 2 - int(np.abs(to_ras[2, :3] / np.linalg.norm(to_ras[:3, :3], axis=0)).argmax())
    body = body_mask(coarse, along_body)
    if not body.any():
        return None
    voxels = slicer.util.arrayFromVolume(overlay)
    # From the overlay's IJK to the coarse IJK, then with both in the order of arrays.
    to_coarse = np.diag([*(1.0 / n for n in step), 1.0]) @ np.linalg.inv(to_ras) @ ijk_to_ras_of_node(overlay)
    inside = ndimage.affine_transform(
        body.astype(np.float32), to_coarse[:3, :3][::-1, ::-1], to_coarse[:3, 3][::-1], voxels.shape, order=1,
        mode="nearest",
    )  # fmt: skip
    kept = np.where(inside >= 0.5, voxels, np.zeros((), voxels.dtype))
    image = vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(kept.ravel(), deep=True))
    return image
