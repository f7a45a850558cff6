"""Scene bundles (.mrb) that open again: file names that no node name can break, and what was written read back.

MRML names the files in a bundle after their nodes and writes these names into its XML without escaping them: a single
"&" in a series description makes a bundle that nothing can open.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import SimpleITK as sitk
import slicer

from ..errors import InternalError
from ..temporary_folder import prefix_of
from .volumes import image_of_node

_LONGEST_NAME = 60
_HINT = "Nothing was written. Please report it."


@contextmanager
def file_names_for_bundle(scene: slicer.vtkMRMLScene) -> Iterator[list[slicer.vtkMRMLStorableNode]]:
    """Give every node that is saved to a file of its own a plain file name meanwhile, and yield these nodes."""
    added, changed, stored, taken = [], [], [], set()
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
    expected = image_of_node(node)
    try:
        found = sitk.ReadImage(str(path))
    except RuntimeError:
        raise ValueError(f"the voxels of {node.GetName()} cannot be read") from None
    path.unlink()
    same = np.array_equal(sitk.GetArrayViewFromImage(found), sitk.GetArrayViewFromImage(expected)) and np.allclose(
        [*found.GetOrigin(), *found.GetSpacing(), *found.GetDirection()],
        [*expected.GetOrigin(), *expected.GetSpacing(), *expected.GetDirection()],
        atol=1e-3,
    )
    if not same:
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
