"""Scenes and segmentations as files: written beside their place, then renamed; the scene in memory stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import slicer

from ..errors import BadInput, InternalError
from ..imaging.plain_name import is_plain, plainly_named, plainly_written, printable
from .bundle import file_names_for_bundle, require_same_bundle
from .results import ResultNodes


def save_scene(scene: slicer.vtkMRMLScene, path: Path | str) -> None:
    """Write the whole scene as a .mrb bundle, with every volume compressed.

    The bundle is read again and compared with the scene before it takes its place.

    Raises
    ------
    BadInput : the name does not end with .mrb, or the folder does not exist.
    InternalError : the bundle could not be written, or does not hold what the scene does.
    """
    path = Path(path)
    with _beside(path, ".mrb") as partial:
        url, root = scene.GetURL(), scene.GetRootDirectory()
        with file_names_for_bundle(scene) as stored:
            try:
                with _same_current_folder():
                    written = scene.WriteToMRB(str(partial)) and partial.is_file()
            finally:
                scene.SetURL(url)
                scene.SetRootDirectory(root)
            if written:
                require_same_bundle(partial, stored)
        if not written:
            raise InternalError(f"The scene could not be written to {path}.", "Check free space and permissions.")


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
    InternalError : the file could not be written.
    """
    path = Path(path)
    with _beside(path, ".seg.nrrd") as partial:
        storage = slicer.vtkMRMLSegmentationStorageNode()  # not in the scene: the node's own file name is not ours
        storage.SetFileName(str(partial))
        storage.UseCompressionOn()
        if not storage.WriteData(nodes.segmentation):
            raise InternalError(
                f"The segmentation could not be written to {path}.", "Check free space and permissions."
            )


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
