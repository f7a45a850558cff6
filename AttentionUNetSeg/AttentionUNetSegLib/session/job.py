"""One segmentation between the scene and the worker: its volume, its state, its private folder."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import INPUT_FILE, ResultFiles, run_options_of
from ..errors import BadInput
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
    folder: Path | None = None
    labels: list[dict[str, Any]] = field(default_factory=list)
    files: ResultFiles | None = None
    export_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    box: list[tuple[int, int]] | None = None  # what the request's region holds, see `scene.region`
    _geometry: tuple[float, ...] = ()
    _array: tuple[str, int] | None = None
    _exported: list[tuple[int, int]] | None = None  # the box that was; None: the whole CT

    def export(self, package: ModelPackage) -> protocol.Segment:
        """Write the volume and the request into a new folder that nobody else can read; return the request.

        Raises
        ------
        AttentionUNetSegError : the volume has gone, holds nothing to segment, or cannot be written.
        OSError : there is no place for the folder.
        """
        from ..scene import export_volume
        from ..scene.region import box_of_region, widened

        self.require_volume()
        self.labels = package.labels
        self.folder = make_folder("job")
        started = time.monotonic()
        exported = None
        if self.request.region is not None:
            self.box = box_of_region(self.volume_node, self.request.region)
            exported = widened(self.box, self.volume_node, CONTEXT_MM)
        export_volume(self.volume_node, self.folder / INPUT_FILE, box=exported)
        self._geometry = _geometry(self.volume_node)
        self._array = _array_of(self.volume_node)
        self._exported = exported
        self.export_seconds = time.monotonic() - started
        message = protocol.Segment(
            job=self.id,
            folder=str(self.folder),
            model=str(package.folder),
            **run_options_of(self.request, is_part=self.request.is_part or self.box is not None),
        )
        job_folder.write_job(self.folder, message)
        return message

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
        if self._array == _array_of(self.volume_node) or self.folder is None:
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
        return self.has_worker and self.folder is not None and (self.folder / job_folder.JOB_FILE).is_file()

    def delete_folder(self) -> None:
        """Delete the job folder, if there is one."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _array_of(volume_node: vtkMRMLScalarVolumeNode) -> tuple[str, int]:
    scalars = volume_node.GetImageData().GetPointData().GetScalars()
    return scalars.GetAddressAsString(""), scalars.GetMTime()


def _geometry(volume_node: vtkMRMLScalarVolumeNode) -> tuple[float, ...]:
    """Everything that says where the node's voxels lie below its parent transform."""
    from ..scene.geometry import ijk_to_ras_of_node

    image = volume_node.GetImageData()
    return (*(image.GetDimensions() if image else ()), *ijk_to_ras_of_node(volume_node).ravel())
