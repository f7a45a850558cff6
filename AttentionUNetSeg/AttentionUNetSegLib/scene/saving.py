"""Scenes and segmentations as files: written beside their place, then renamed; the scene in memory stays as it is.

Scene bundles (.mrb) open again: no node name can break the names of their files, and what was written is read back.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import SimpleITK as sitk
import slicer

from ..errors import BadInput, CannotWrite, InternalError
from ..imaging.plain_name import is_plain, plainly_named, plainly_written, printable
from ..temporary_folder import prefix_of
from .bundle import compress_and_pack, write_folder
from .geometry import ijk_to_ras_of_node, set_image_geometry
from .results import ResultNodes
from .volumes import voxels_of_node


def save_scene(scene: slicer.vtkMRMLScene, path: Path | str) -> None:
    """Write the whole scene as a .mrb bundle, with every volume compressed.

    The bundle is read again and compared with the scene before it takes its place.

    Raises
    ------
    BadInput : the name does not end with .mrb, or the folder does not exist.
    CannotWrite : the bundle could not be written, or does not hold what the scene does.
    """
    with saved_scene(scene, path):
        pass


@contextmanager
def saved_scene(
    scene: slicer.vtkMRMLScene, path: Path | str, nodes: ResultNodes | None = None, segmentation: Path | None = None
) -> Iterator[None]:
    """Do as `save_scene`; the block runs while the bundle is compressed, and then read again, in a thread.

    The block may look at the scene but not change it. The file takes its place after the block. Where a result's
    `nodes` are given, the file that `save_segmentation` would write lies at `segmentation` when the block begins: the
    bundle holds the same one, and writing it again would take half a second.
    """
    path = Path(path)
    with _beside(path, ".mrb") as partial, tempfile.TemporaryDirectory(dir=partial.parent) as place:
        folder = Path(place) / partial.stem
        url, root = scene.GetURL(), scene.GetRootDirectory()
        with file_names_for_bundle(scene) as stored:
            try:
                with _same_current_folder(), _can_be_written(path):
                    to_compress = write_folder(scene, stored, folder)
                if nodes is not None and segmentation is not None:
                    _copy_segmentation(nodes, folder, segmentation)
            finally:
                scene.SetURL(url)
                scene.SetRootDirectory(root)
            with ThreadPoolExecutor(1, "bundle") as thread:  # zlib and SimpleITK let others run meanwhile
                finished = thread.submit(_pack, folder, to_compress, partial, stored, path)
                yield
                finished.result()


def _copy_segmentation(nodes: ResultNodes, folder: Path, path: Path) -> None:
    """Do as `save_segmentation`, with the file of a bundle's folder where that is of the same kind."""
    file = folder / "Data" / nodes.segmentation.GetStorageNode().GetFileName()
    if not file.name.endswith(".seg.nrrd"):  # the scene was opened from files that somebody else wrote
        save_segmentation(nodes, path)
        return
    with _beside(path, ".seg.nrrd") as partial, _can_be_written(path):
        shutil.copyfile(file, partial)


def _pack(
    folder: Path, to_compress: list[Path], partial: Path, stored: list[slicer.vtkMRMLStorableNode], path: Path
) -> None:
    with _can_be_written(path):
        compress_and_pack(folder, to_compress, partial)
    require_same_bundle(partial, stored)


@contextmanager
def _can_be_written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"The scene could not be written to {path}."
        raise CannotWrite(message, "Check free space and permissions.") from error


def load_scene(scene: slicer.vtkMRMLScene, path: Path | str) -> None:
    """Add everything in a .mrb bundle to the scene.

    Raises
    ------
    BadInput : there is no such file, or it is no bundle or a damaged one.
    """
    with _same_current_folder(), plainly_named(Path(path), (".mrb",)) as plain:
        is_read = plain.is_file() and scene.ReadFromMRB(str(plain))
    if not is_read:
        raise BadInput(f"The scene {printable(str(path))} cannot be read.")


def save_segmentation(nodes: ResultNodes, path: Path | str) -> None:
    """Write the segmentation as .seg.nrrd on the CT's grid, with terminology, colour and DICOM algorithm tags.

    The voxels keep the CT's own geometry; the parent transform is left out, as for `export_volume`.

    Raises
    ------
    BadInput : the name does not end with .seg.nrrd, or the folder does not exist.
    CannotWrite : the file could not be written.
    """
    path = Path(path)
    with _beside(path, ".seg.nrrd") as partial:
        storage = slicer.vtkMRMLSegmentationStorageNode()  # not in the scene: the node's own file name is not ours
        storage.SetFileName(str(partial))
        storage.UseCompressionOn()
        if not storage.WriteData(nodes.segmentation):
            raise CannotWrite(f"The segmentation could not be written to {path}.", "Check free space and permissions.")


@contextmanager
def _same_current_folder() -> Iterator[None]:
    """Come back to the current folder: MRML leaves it for a bundle, and stays away when that is damaged."""
    folder = os.getcwd()
    try:
        yield
    finally:
        os.chdir(folder)


@contextmanager
def _beside(path: Path, ending: str) -> Iterator[Path]:
    """Yield a place of the same name in a hidden folder beside `path`; a file found there afterwards becomes `path`.

    The name stays because MRML writes it into the bundle.
    """
    if not path.name.endswith(ending):
        raise BadInput(f"{path.name} cannot be written: its name does not end with {ending}.")
    if not path.parent.is_dir():
        raise BadInput(f"{path.name} cannot be written: there is no folder {path.parent}.")
    with tempfile.TemporaryDirectory(prefix=".attentionunetseg-", dir=path.parent) as folder:
        partial = Path(folder).resolve() / path.name
        if not is_plain(partial):
            with plainly_written(partial) as plain:
                yield plain
        else:
            yield partial
        os.replace(partial, path)


_LONGEST_NAME = 60
_HINT = "Nothing was written. Please report it."


@contextmanager
def file_names_for_bundle(scene: slicer.vtkMRMLScene) -> Iterator[list[slicer.vtkMRMLStorableNode]]:
    """Give every node that is saved to a file of its own a plain file name meanwhile, and yield these nodes."""
    added, changed, stored = [], [], []
    taken: set[str] = set()
    try:
        for node in _storable(scene):
            storage = node.GetStorageNode()
            if storage is None:
                if not node.AddDefaultStorageNode() or node.GetStorageNode() is None:
                    continue
                storage = node.GetStorageNode()
                storage.UseCompressionOn()
                added.append((node, storage))
            else:
                changed.append((storage, storage.GetFileName()))
            storage.SetFileName(_plain(node.GetName(), storage.GetDefaultWriteFileExtension(), taken))
            stored.append(node)
        yield stored
    finally:
        for node, storage in added:
            node.SetAndObserveStorageNodeID(None)
            scene.RemoveNode(storage)
        for storage, name in changed:
            storage.SetFileName(name)


def require_same_bundle(path: Path, stored: list[slicer.vtkMRMLStorableNode]) -> None:
    """Raise InternalError unless the bundle is well-formed and holds every node's file, volumes voxel by voxel."""
    try:
        with zipfile.ZipFile(path) as bundle, tempfile.TemporaryDirectory(prefix=prefix_of("scene")) as folder:
            damaged = bundle.testzip()
            scene_file = next(name for name in bundle.namelist() if name.endswith(".mrml"))
            elements = {each.get("id"): each for each in ElementTree.fromstring(bundle.read(scene_file)).iter()}
            if damaged:
                raise ValueError(f"{damaged} is damaged")
            for node in stored:
                element = elements.get(node.GetID())
                if element is None or element.get("name") != node.GetName():
                    raise ValueError(f"{node.GetName()} is missing")
                name = unquote(elements[node.GetStorageNode().GetID()].get("fileName") or "")
                member = f"{scene_file.rpartition('/')[0]}/{name}"
                if member not in bundle.namelist():
                    raise ValueError(f"the file of {node.GetName()} is missing")
                if node.IsA("vtkMRMLScalarVolumeNode"):
                    _require_same_volume(Path(bundle.extract(member, folder)), node)
    except (zipfile.BadZipFile, zlib.error, ElementTree.ParseError, StopIteration, LookupError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise InternalError(f"The scene was not saved: read again, it is not the same ({reason}).", _HINT) from error


def _require_same_volume(path: Path, node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Compare slice by slice and without copies: a CT may take half a gigabyte."""
    place = sitk.Image(1, 1, 1, sitk.sitkUInt8)
    set_image_geometry(place, ijk_to_ras_of_node(node))
    try:
        found = sitk.ReadImage(str(path))
    except RuntimeError:
        raise ValueError(f"the voxels of {node.GetName()} cannot be read") from None
    path.unlink()
    read, expected = sitk.GetArrayViewFromImage(found), voxels_of_node(node)
    same = read.shape == expected.shape and all(map(np.array_equal, read, expected))
    if not same or not np.allclose(
        [*found.GetOrigin(), *found.GetSpacing(), *found.GetDirection()],
        [*place.GetOrigin(), *place.GetSpacing(), *place.GetDirection()],
        atol=1e-3,
    ):
        raise ValueError(f"{node.GetName()} holds other voxels")


def _storable(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLStorableNode]:
    nodes = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    return [
        node
        for node in nodes
        if node.IsA("vtkMRMLStorableNode") and node.GetSaveWithScene() and not _is_empty_volume(node)
    ]


def _is_empty_volume(node: slicer.vtkMRMLNode) -> bool:
    return node.IsA("vtkMRMLVolumeNode") and node.GetImageData() is None


def _plain(name: str, extension: str, taken: set[str]) -> str:
    """Return a file name of letters, digits, dots, hyphens and underscores that is not taken yet."""
    stem = re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:_LONGEST_NAME].strip("._") or "node"
    number, unique = 2, stem
    while unique.lower() in taken:
        unique, number = f"{stem}_{number}", number + 1
    taken.add(unique.lower())
    return f"{unique}.{extension}"
