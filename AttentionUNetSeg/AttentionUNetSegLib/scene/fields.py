"""Fields of a CT as volumes: probability, corrected probability, spread, attention, on a box of the CT's voxels.

They are uint8 and 0 outside their box. The Inferno colour table is here too, for scenes without Slicer's colour files.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import slicer

from ..errors import BadInput
from ..imaging import bounding_box
from .geometry import note_place, offset_on_ct, set_image_geometry
from .results import ResultNodes
from .volumes import Voxels, set_array, voxels_of_image

# The fraction of 1 that the display hides: below it a gate passes next to nothing, and the CT shall stay visible.
LOWEST_SHOWN = 0.2
# Of the spread's scale: a standard deviation of 0.05.
LOWEST_SPREAD_SHOWN = 0.1
# They stay in the processor's cache.
_VOXELS_AT_A_TIME = 500_000


def add_field(
    scene: slicer.vtkMRMLScene,
    voxels: Voxels,
    name: str,
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    lowest_shown: float = LOWEST_SHOWN,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a uint8 field (0..255) of a CT: under its transform, in Inferno, transparent below a fraction of 255."""
    node = _add(scene, voxels, name, volume_node, lowest_shown)
    note_place(node, volume_node)
    return node


def add_field_of_result(
    nodes: ResultNodes, image: sitk.Image, name: str, grid: np.ndarray
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a field to a result that is in the scene: where the result is, which may have been moved since.

    `grid` is the CT's IJK to RAS matrix in the result's frame (`ct_voxels.ct_grid`), on which the image lies.
    """
    node = _add(nodes.scene, voxels_of_image(image), name, nodes.probability, LOWEST_SHOWN)
    note_place(node, nodes.volume, grid)
    return node


def _add(
    scene: slicer.vtkMRMLScene,
    voxels: Voxels,
    name: str,
    beside: slicer.vtkMRMLScalarVolumeNode,
    lowest_shown: float,
) -> slicer.vtkMRMLScalarVolumeNode:
    # A display looks at every voxel that there is when it is made, and nobody needs what it finds.
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    set_array(node, np.zeros((1, 1, 1), np.uint8), voxels.ijk_to_ras)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(beside.GetTransformNodeID())
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(inferno_color_node(scene).GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, 255.0)
    display.AutoThresholdOff()
    display.SetThreshold(round(lowest_shown * 255), 255)
    display.ApplyThresholdOn()
    voxels.give_to(node)
    return node


Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class CroppedField:
    """Values on a box of the CT's voxels, 0 everywhere else.

    start : index (k, j, i) of the first value on the CT's grid.
    values : uint8, KJI.
    """

    start: tuple[int, int, int]
    values: np.ndarray

    @classmethod
    def of(cls, box: Box, values: np.ndarray) -> CroppedField:
        """Return the field that has these values on a box of the CT's grid."""
        return cls(first_voxel(box), values)

    @property
    def box(self) -> Box:
        """The field's place on the CT's grid."""
        k, j, i = (slice(s, s + n) for s, n in zip(self.start, self.values.shape, strict=True))
        return k, j, i

    def moved(self, voxels: tuple[int, int, int]) -> CroppedField:
        """Return the same values so many voxels (i, j, k) further on."""
        k, j, i = (first + shift for first, shift in zip(self.start, voxels[::-1], strict=True))
        return CroppedField((k, j, i), self.values)

    def cut(self, box: Box) -> CroppedField:
        """Return the same field on another box of the CT's grid (a copy), where it is 0 beyond this one."""
        return CroppedField.of(box, self.on(box))

    def tight(self) -> CroppedField:
        """Return the same field on the smallest box that holds all that is not 0; this one where nothing is."""
        box = tight_box(self.values, self.start)
        return self if box is None else self.cut(box)

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


def first_voxel(box: Box) -> tuple[int, int, int]:
    """Return the index (k, j, i) of a box's first voxel."""
    k, j, i = box
    return k.start, j.start, i.start


def joined_box(*boxes: Box) -> Box:
    """Return the smallest box that holds all the boxes."""
    k, j, i = (
        slice(min(part.start for part in parts), max(part.stop for part in parts)) for parts in zip(*boxes, strict=True)
    )
    return k, j, i


def tight_box(mask: np.ndarray, start: tuple[int, int, int] = (0, 0, 0)) -> Box | None:
    """Return the smallest box, counted from `start`, that holds everything non-zero; None where there is nothing."""
    box = bounding_box(mask)
    if box is None:
        return None
    k, j, i = (slice(s + part.start, s + part.stop) for s, part in zip(start, box, strict=True))
    return k, j, i


def box_of_at_least(values: np.ndarray, lowest: int) -> Box | None:
    """Return `tight_box(values >= lowest)`; a field may be as large as the CT, and its mask is not made for it."""
    slices = np.zeros(len(values), bool)
    plane = np.zeros(values.shape[1:], bool)
    step = max(1, _VOXELS_AT_A_TIME // max(1, plane.size))
    for first in range(0, len(values), step):
        hits = values[first : first + step] >= lowest
        slices[first : first + step] = hits.any(axis=(1, 2))
        if slices[first : first + step].any():
            plane |= hits.any(axis=0)
    found = [np.flatnonzero(line) for line in (slices, plane.any(axis=1), plane.any(axis=0))]
    if not len(found[0]):
        return None
    k, j, i = (slice(int(line[0]), int(line[-1]) + 1) for line in found)
    return k, j, i


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
    return CroppedField((0, 0, 0), values).moved(offset)


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
    set_image_geometry(image, place_of_field(field.start, grid))
    return image


def place_of_field(start: tuple[int, int, int], grid: np.ndarray) -> np.ndarray:
    """Return the IJK to RAS matrix of a field that begins at voxel `start` (k, j, i) of a CT's grid."""
    matrix = grid.copy()
    matrix[:3, 3] += matrix[:3, :3] @ np.array(start[::-1], dtype=float)
    return matrix


INFERNO_NODE_ID = "vtkMRMLColorTableNodeFileInferno.txt"

# Every fifth of the 256 entries of "inferno" by N. J. Smith and S. van der Walt (CC0), linear in between: no
# channel is further than 1.2 of 255 from the original.
_INFERNO_CONTROL_POINTS = """
    000004 02020c 050417 0a0722 10092d 160b39 1e0c45 260c51 2f0a5b 380962 400a67 490b6a 510e6c
    59106e 61136e 69166e 71196e 781c6d 801f6c 88226a 902568 982766 a02a63 a82e5f b0315b b73557
    bf3952 c63d4d cc4248 d34743 d94d3d df5337 e45a31 e9612b ed6925 f1711f f47918 f78212 f98b0b
    fa9407 fb9d07 fca60c fcb014 fbba1f fac42a f8cd37 f6d746 f4e156 f2ea69 f2f27d f5f992 fcffa4
"""


def inferno_color_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorNode:
    """Return the scene's Inferno colour node.

    Desktop Slicer always has it. slicer-core comes without Slicer's colour files, so there it is made under
    the same node ID, and a scene saved here finds Slicer's own table when it is opened there.
    """
    node = scene.GetNodeByID(INFERNO_NODE_ID)
    if node is not None:
        return node
    node = scene.AddNewNodeByClassWithID("vtkMRMLColorTableNode", "Inferno", INFERNO_NODE_ID)
    # The rest of the node's ID, as in Slicer's colour logic: the node outlives the clearing of the scene.
    node.SetSingletonTag("FileInferno.txt")
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    for index, (red, green, blue) in enumerate(inferno_table()):
        node.SetColor(index, str(index), red, green, blue, 1.0)
    node.SetAttribute("Category", "2D Visualization")
    node.SetSaveWithScene(False)
    return node


def inferno_table() -> np.ndarray:
    """Return the 256 Inferno colours as red, green and blue in 0..1, shape (256, 3)."""
    points = np.array([list(bytes.fromhex(color)) for color in _INFERNO_CONTROL_POINTS.split()]) / 255.0
    positions = np.linspace(0, 255, len(points))
    return np.stack([np.interp(np.arange(256), positions, channel) for channel in points.T], axis=1)
