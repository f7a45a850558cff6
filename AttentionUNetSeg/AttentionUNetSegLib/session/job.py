"""One segmentation between the scene and the worker: its volume, its state, its private folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import INPUT_FILE, run_options_of
from ..errors import BadInput, InternalError
from ..models import ModelPackage
from ..temporary_folder import make_folder
from ..worker import job_folder, protocol
from .events import SegmentRequest, State

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene

# Around a region the network sees this much more of the patient: without its surroundings it finds no organ.
CONTEXT_MM = 64.0


@dataclass
class Job:
    """What the session knows of a job. `scene` is where the volume was when the job was queued."""

    id: str
    volume_node: vtkMRMLScalarVolumeNode
    scene: vtkMRMLScene | None
    request: SegmentRequest
    state: State = State.QUEUED
    is_submitted: bool = False
    has_worker: bool = False  # one that was ready: before, no worker can have failed at the job
    labels: list[dict[str, Any]] = field(default_factory=list)
    parts: Generator[Any, None, Any] | None = None  # what is left of the export, or of the import, under way
    export_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    box: list[tuple[int, int]] | None = None  # what the request's region holds, see `scene.geometry`
    _folder: Path | None = None
    _message: protocol.Segment | None = None
    _geometry: tuple[float, ...] = ()
    _array: tuple[str, int] | None = None
    _exported: list[tuple[int, int]] | None = None  # the box that was; None: the whole CT

    @property
    def folder(self) -> Path:
        """The private folder that `export` makes; raises InternalError before."""
        if self._folder is None:
            raise InternalError(f"The job {self.id} has no folder yet.")
        return self._folder

    @property
    def message(self) -> protocol.Segment:
        """What the worker is asked for; raises InternalError before `export` has ended."""
        if self._message is None:
            raise InternalError(f"The job {self.id} has not been exported.")
        return self._message

    def export(self, package: ModelPackage) -> Generator[float, None, None]:
        """Write the volume and the request into a new folder that nobody else can read; `message` is the request then.

        Yields the fraction of the volume that is written after each part of it, so that an event loop can go on. Where
        the volume changed since the last part, all of it is written anew, at once.

        Raises
        ------
        AttentionUNetSegError : the volume has gone, holds nothing to segment, or cannot be written.
        OSError : there is no place for the folder.
        """
        from ..scene.geometry import box_of_region, widened

        self.require_volume()
        self.labels = package.labels
        self._folder = make_folder("job")
        if self.request.region is not None:
            self.box = box_of_region(self.volume_node, self.request.region)
            self._exported = widened(self.box, self.volume_node, CONTEXT_MM)
        started = time.monotonic()
        with closing(self._parts()) as parts:
            for fraction in parts:
                yield fraction
                self.require_volume()
                if (self._geometry, self._array) != (_geometry(self.volume_node), _state_of_voxels(self.volume_node)):
                    parts.close()  # what is written so far would be of another volume than the rest
                    for _part in self._parts():
                        pass
        self.export_seconds = time.monotonic() - started
        self._message = protocol.Segment(
            job=self.id,
            folder=str(self.folder),
            model=str(package.folder),
            **run_options_of(self.request, is_part=self.request.is_part or self.box is not None),
        )
        job_folder.write_job(self.folder, self._message)

    def _parts(self) -> Generator[float, None, None]:
        from ..scene import export_in_parts

        self._geometry, self._array = _geometry(self.volume_node), _state_of_voxels(self.volume_node)
        yield from export_in_parts(self.volume_node, self.folder / INPUT_FILE, box=self._exported)

    def require_volume(self) -> None:
        """Raise BadInput if somebody removed the volume, or closed the scene, since the job was queued."""
        if self.scene is None or self.volume_node.GetScene() is not self.scene:
            raise BadInput("The volume was removed from the scene before its segmentation had ended.")

    def require_unmoved_volume(self) -> None:
        """Raise BadInput if the volume has gone, or its voxels lie elsewhere than when they were exported."""
        self.require_volume()
        if _geometry(self.volume_node) != self._geometry:
            raise BadInput("The volume was moved or resampled while it was being segmented.", "Segment it again.")

    @property
    def has_other_voxels(self) -> bool:
        """Whether the volume shows other values than when it was exported: it was edited, or a sequence went on."""
        if self._array == _state_of_voxels(self.volume_node) or self._folder is None:
            return False
        # Only now: of a large CT that nobody touched, looking at every voxel would hold up the front end.
        import SimpleITK as sitk
        import slicer

        voxels = slicer.util.arrayFromVolume(self.volume_node)
        if self._exported is not None:
            voxels = voxels[tuple(slice(first, end) for first, end in reversed(self._exported))]
        try:
            image = sitk.ReadImage(str(self.folder / INPUT_FILE))
        except RuntimeError:
            return True
        exported = sitk.GetArrayViewFromImage(image)
        return exported.shape != voxels.shape or not (exported == voxels).all()

    @property
    def is_replayable(self) -> bool:
        """Whether a worker had the job, and the folder holds everything that a replay needs."""
        return self.has_worker and self._folder is not None and (self._folder / job_folder.JOB_FILE).is_file()

    def delete_folder(self) -> None:
        """Delete the job folder, if there is one."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _state_of_voxels(volume_node: vtkMRMLScalarVolumeNode) -> tuple[str, int] | None:
    from ..scene.volumes import state_of_voxels

    return state_of_voxels(volume_node)


def _geometry(volume_node: vtkMRMLScalarVolumeNode) -> tuple[float, ...]:
    """Everything that says where the node's voxels lie below its parent transform."""
    from ..scene.geometry import ijk_to_ras_of_node

    image = volume_node.GetImageData()
    return (*(image.GetDimensions() if image else ()), *ijk_to_ras_of_node(volume_node).ravel())
