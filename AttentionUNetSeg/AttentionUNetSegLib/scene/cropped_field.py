"""A uint8 field on a part of the CT's voxels: how the probability, its corrected twin and the strokes are stored."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import slicer

from ..errors import BadInput
from ..imaging import bounding_box
from .ct_voxels import offset_on_ct
from .geometry import set_image_geometry

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class CroppedField:
    """Values on a box of the CT's voxels, 0 everywhere else.

    start : index (k, j, i) of the first value on the CT's grid.
    values : uint8, KJI.
    """

    start: tuple[int, int, int]
    values: np.ndarray

    @property
    def box(self) -> Box:
        """The field's place on the CT's grid."""
        return tuple(slice(s, s + n) for s, n in zip(self.start, self.values.shape, strict=True))

    def on(self, box: Box) -> np.ndarray:
        """Return the values (a copy) on another box of the CT's grid, 0 where this field has none."""
        placed = np.zeros([part.stop - part.start for part in box], np.uint8)
        common = [
            slice(max(a.start, b.start), max(a.start, b.start, min(a.stop, b.stop)))
            for a, b in zip(self.box, box, strict=True)
        ]
        here = tuple(slice(c.start - s, c.stop - s) for c, s in zip(common, self.start, strict=True))
        there = tuple(slice(c.start - b.start, c.stop - b.start) for c, b in zip(common, box, strict=True))
        placed[there] = self.values[here]
        return placed


def joined_box(*boxes: Box) -> Box:
    """Return the smallest box that holds all the boxes."""
    return tuple(
        slice(min(part.start for part in parts), max(part.stop for part in parts)) for parts in zip(*boxes, strict=True)
    )


def tight_box(mask: np.ndarray, start: tuple[int, int, int] = (0, 0, 0)) -> Box | None:
    """Return the smallest box, counted from `start`, that holds everything non-zero; None where there is nothing."""
    box = bounding_box(mask)
    return box and tuple(slice(s + part.start, s + part.stop) for s, part in zip(start, box, strict=True))


def digest(mask: CroppedField) -> str:
    """Return what identifies a mask's voxels on the CT, however large the box is that holds them."""
    box = tight_box(mask.values, mask.start)
    if box is None:
        return "empty"
    inside = np.packbits(mask.on(box) != 0)
    return f"{box[0].start},{box[1].start},{box[2].start}:{zlib.crc32(inside.tobytes()):08x}"


def read_field(node: slicer.vtkMRMLScalarVolumeNode, volume_node: slicer.vtkMRMLScalarVolumeNode) -> CroppedField:
    """Return a node's values on the CT's voxels, wherever the two lie in the world by now.

    Raises
    ------
    BadInput : the node holds no uint8 voxels, or does not lie on the CT's voxels.
    """
    values = read_values(node)
    offset = offset_on_ct(node, volume_node)
    if offset is None:
        raise BadInput(
            f"{node.GetName()} and {volume_node.GetName()} no longer lie on the same voxels: one of them was resampled "
            "or cropped.",
            "Segment the CT again.",
        )
    return CroppedField(offset[::-1], values)


def read_values(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Return a node's own uint8 voxels (not a copy), KJI; raises BadInput where it holds none."""
    if node.GetImageData() is None:
        raise BadInput(f"{node.GetName()} holds no voxels.", "Segment the CT again.")
    values = slicer.util.arrayFromVolume(node)
    if values.dtype != np.uint8:
        raise BadInput(f"{node.GetName()} no longer holds values of 0 to 255.", "Segment the CT again.")
    return values


def image_of_field(field: CroppedField, grid: np.ndarray) -> sitk.Image:
    """Return the field as an image (LPS) on a CT's voxels; `grid` is the CT's IJK to RAS matrix (see `ct_voxels`)."""
    image = sitk.GetImageFromArray(field.values)
    matrix = grid.copy()
    matrix[:3, 3] += matrix[:3, :3] @ np.array(field.start[::-1], dtype=float)
    set_image_geometry(image, matrix)
    return image
