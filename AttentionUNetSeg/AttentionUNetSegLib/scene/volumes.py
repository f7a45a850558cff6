"""Volumes in and out of the scene, and the window a CT is seen in.

Voxels and geometry cross unchanged, parent transforms stay out of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDataArray
from vtkmodules.vtkCommonDataModel import vtkImageData

from ..errors import BadInput
from ..imaging import PHANTOM_KEY, Volume, raw_nrrd_slabs, write_image
from .geometry import grid_of_matrix, ijk_to_ras_of_image, ijk_to_ras_of_node, set_image_geometry
from .provenance import PREFIX

ABDOMEN_WINDOW_LEVEL_HU = (400.0, 40.0)
PHANTOM_ATTRIBUTE = f"{PREFIX}phantom"


def add_volume(scene: slicer.vtkMRMLScene, volume: Volume) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a CT to the scene, displayed with the abdomen window (W 400, L 40 HU).

    Voxels are copied once. 64-bit integers, which MRML cannot display, become int16 or int32, or double where
    they do not fit. A phantom carries the attribute "AttentionUNetSeg.phantom" = "1".

    Raises
    ------
    BadInput : the image is not a three-dimensional volume with one value per voxel.
    """
    if volume.image.GetDimension() != 3 or volume.image.GetNumberOfComponentsPerPixel() != 1:
        raise BadInput(
            f"{volume.name} is not a three-dimensional volume with one value per voxel.",
            "Open the CT series itself, not a colour or time series.",
        )
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(volume.name))
    if volume.is_phantom:
        node.SetAttribute(PHANTOM_ATTRIBUTE, "1")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    # Before there are voxels: for a window of its own MRML would look at each of them, half a second for a large CT.
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*ABDOMEN_WINDOW_LEVEL_HU)
    set_voxels(node, volume.image)
    return node


def add_image(scene: slicer.vtkMRMLScene, image: sitk.Image, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a SimpleITK image (LPS) as a scalar volume node with a grey display node; `name` is taken as it is."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    set_voxels(node, image)
    node.CreateDefaultDisplayNodes()
    return node


def set_voxels(node: slicer.vtkMRMLScalarVolumeNode, image: sitk.Image) -> None:
    """Give a node the voxels and the geometry of an image (LPS); observers are told once."""
    voxels_of_image(image).give_to(node)


@dataclass(frozen=True)
class Voxels:
    """What a volume node will hold, made before there is one: values, shape (K, J, I), and IJK to RAS (4x4)."""

    scalars: vtkDataArray
    shape: tuple[int, ...]
    ijk_to_ras: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """The values as an array (KJI), no copy."""
        return vtk_to_numpy(self.scalars).reshape(self.shape)

    def give_to(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Give them to a node, which takes no copy; observers are told once."""
        set_scalars(node, self.scalars, self.shape, self.ijk_to_ras)


def voxels_of_image(image: sitk.Image) -> Voxels:
    """Return a copy of an image's voxels, and where they are in RAS."""
    return voxels_of_array(_storable(sitk.GetArrayViewFromImage(image)), ijk_to_ras_of_image(image))


def voxels_of_array(array: np.ndarray, ijk_to_ras: np.ndarray) -> Voxels:
    """Return a copy of an array (KJI) at a place in RAS."""
    return Voxels(numpy_to_vtk(array.ravel(), deep=True), array.shape, ijk_to_ras)


def set_array(node: slicer.vtkMRMLScalarVolumeNode, array: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    """Give a node a copy of an array (KJI) as its voxels, and its place; observers are told once."""
    voxels_of_array(array, ijk_to_ras).give_to(node)


def set_scalars(
    node: slicer.vtkMRMLScalarVolumeNode, scalars: vtkDataArray, shape: tuple[int, ...], ijk_to_ras: np.ndarray
) -> None:
    """Give a node the scalars themselves as its voxels (`shape` along K, J, I), and its place; tell observers once."""
    data = vtkImageData()
    data.SetDimensions(*shape[::-1])
    data.GetPointData().SetScalars(scalars)
    modifying = node.StartModify()
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    node.SetAndObserveImageData(data)
    node.EndModify(modifying)


def export_volume(
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    path: Path | str,
    compress: bool = False,
    box: list[tuple[int, int]] | None = None,
) -> None:
    """Write the node's voxels with the node's own IJK to RAS geometry; parent transforms are left out on purpose.

    A phantom's mark goes into the file. The file is written beside its place and then renamed. Not compressed
    by default: the background process reads it once, and compressing a large CT takes longer than that. Where a
    `box` is given (see `geometry`), only its voxels are written.

    Raises
    ------
    BadInput : the node holds no voxels or several values per voxel; the ending or the folder of `path` is not
        usable.
    CannotWrite : the file could not be written.
    """
    for _part in export_in_parts(volume_node, path, compress, box):
        pass


def export_in_parts(
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    path: Path | str,
    compress: bool = False,
    box: list[tuple[int, int]] | None = None,
) -> Iterator[float]:
    """Do as `export_volume`, and yield the fraction that is written after each part, a few milliseconds apart.

    Only a .nrrd that is not compressed has parts. The voxels may not change meanwhile. The file is there when the
    iterator has ended; of one that is closed earlier nothing is left.
    """
    path = Path(path)
    meta_data = {PHANTOM_KEY: "1"} if volume_node.GetAttribute(PHANTOM_ATTRIBUTE) == "1" else {}
    if not compress and path.suffix.lower() == ".nrrd" and path.parent.is_dir():
        voxels = voxels_of_node(volume_node)
        matrix = ijk_to_ras_of_node(volume_node)
        if box is not None:
            voxels = voxels[tuple(slice(first, end) for first, end in reversed(box))]
            matrix[:3, 3] += matrix[:3, :3] @ np.array([first for first, _ in box], dtype=float)
        yield from raw_nrrd_slabs(voxels, grid_of_matrix(matrix, voxels.shape[::-1]), path, meta_data)
        return
    image = image_of_node(volume_node)
    if box is not None:
        image = image[tuple(slice(first, end) for first, end in box)]
    for key, value in meta_data.items():
        image.SetMetaData(key, value)
    write_image(image, path, compress)
    yield 1.0


def image_of_node(volume_node: slicer.vtkMRMLScalarVolumeNode) -> sitk.Image:
    """Return a copy of the node's voxels and own geometry (parent transform ignored) as a SimpleITK image in LPS.

    Raises
    ------
    BadInput : the node holds no voxels, or more than one value per voxel.
    """
    image = sitk.GetImageFromArray(voxels_of_node(volume_node))
    set_image_geometry(image, ijk_to_ras_of_node(volume_node))
    return image


def state_of_voxels(volume_node: slicer.vtkMRMLScalarVolumeNode) -> tuple[str, int] | None:
    """Return what changes when the node's voxels do, without a look at them; None where it has none."""
    image = volume_node.GetImageData()
    scalars = image.GetPointData().GetScalars() if image else None
    return (scalars.GetAddressAsString(""), scalars.GetMTime()) if scalars else None


def voxels_of_node(volume_node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Return the node's voxels (KJI), no copy; raises as `image_of_node`."""
    data = volume_node.GetImageData()
    scalars = data.GetPointData().GetScalars() if data else None
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        raise BadInput(f"The volume {volume_node.GetName()} holds no voxels.", "Load the CT again.")
    if scalars.GetNumberOfComponents() != 1:
        raise BadInput(f"The volume {volume_node.GetName()} has several values per voxel.", "Choose a CT volume.")
    return vtk_to_numpy(scalars).reshape(data.GetDimensions()[::-1])


def _storable(array: np.ndarray) -> np.ndarray:
    """Return the array in a type that MRML displays: 64-bit integers become narrower, or else double."""
    if array.dtype not in (np.int64, np.uint64):
        return array
    lowest, highest = int(array.min()), int(array.max())
    for dtype in (np.int16, np.int32):
        if np.iinfo(dtype).min <= lowest and highest <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array.astype(np.float64)


# Width and level in Hounsfield units, as radiology uses them.
PRESETS = {
    "Abdomen": (400.0, 40.0),
    "Pancreas": (250.0, 60.0),
    "Liver": (150.0, 90.0),
    "Vessels": (600.0, 170.0),
    "Bone": (1800.0, 400.0),
    "Lung": (1500.0, -600.0),
}


def set_window(volume_node: slicer.vtkMRMLScalarVolumeNode, name: str) -> None:
    """Show a CT in one of the windows of `PRESETS`."""
    display = _display_of(volume_node)
    modifying = display.StartModify()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*PRESETS[name])
    display.EndModify(modifying)


def set_window_unless_chosen(volume_node: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Show a CT in the abdomen's window where Slicer found one by itself; return whether it was changed.

    A window from DICOM or from a person's hand is not automatic, and stays.
    """
    if not _display_of(volume_node).GetAutoWindowLevel():
        return False
    set_window(volume_node, "Abdomen")
    return True


def window_name(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """Return which of `PRESETS` a CT is shown in; None for any other."""
    display = volume_node.GetDisplayNode()
    if display is None or display.GetAutoWindowLevel():
        return None
    shown = display.GetWindow(), display.GetLevel()
    return next((name for name, window in PRESETS.items() if window == shown), None)


def _display_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLScalarVolumeDisplayNode:
    volume_node.CreateDefaultDisplayNodes()
    return volume_node.GetDisplayNode()
