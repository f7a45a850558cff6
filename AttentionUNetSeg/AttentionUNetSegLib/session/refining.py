"""`Refining`: the network's second thoughts on a result, one at a time, on the worker that is warm anyway."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AttentionUNetSegError, BadInput, BadModel, Cancelled, InternalError
from ..models import Catalogue, ModelPackage
from ..temporary_folder import make_folder
from ..worker import job_folder, protocol
from ..worker.client import WorkerClient
from .events import Event, Progressed, Refined, RefinementFailed

if TYPE_CHECKING:
    from ..scene import PlacedClick
    from .editing import ResultEditor

# The worker takes less than this around what the clicks may change, so that it sees the same on a part of the CT.
CONTEXT_MM = 40.0


@dataclass
class _Job:
    """A refinement at work: of which editor, and for which clicks."""

    id: str
    editor: ResultEditor
    clicks: tuple[PlacedClick, ...]
    reach_mm: float
    folder: Path = field(default_factory=lambda: make_folder("job"))


class Refining:
    """Starts refinements, brings them into the scene, and forgets those that came too late.

    Parameters
    ----------
    client : the session's; refinements queue behind its segmentations.
    catalogue : where the model of a result is looked up.
    tell : takes the events.
    keep : takes every job's outcome, for `Session.wait`.
    """

    def __init__(
        self,
        client: WorkerClient,
        catalogue: Catalogue,
        tell: Callable[[Event], None],
        keep: Callable[[str, Refined | AttentionUNetSegError], None],
    ) -> None:
        self._client, self._catalogue, self._tell, self._keep = client, catalogue, tell, keep
        self._job: _Job | None = None

    @property
    def job(self) -> str | None:
        """The id of the refinement at work."""
        return self._job.id if self._job else None

    def start(self, editor: ResultEditor, model: ModelPackage | None = None, device: str = "auto") -> str:
        """Start a refinement for the editor's present clicks in place of the one at work; return its job id.

        Raises
        ------
        BadInput : there are no clicks, or the result is no longer in the scene.
        BadModel : the model that made the result is not installed, or has changed.
        InternalError : the job folder cannot be written.
        """
        from ..scene import read_clicks

        clicks = read_clicks(editor.nodes)
        if not clicks:
            raise BadInput("There is no click to refine with.", "Add or remove tissue with a click first.")
        package = model or self._package(editor)
        self.cancel()
        job = _Job(uuid.uuid4().hex[:12], editor, clicks, editor.reach_mm)
        try:
            message = _export(job, package, device)
            self._job = job
            self._client.submit(message)
        except BaseException as error:
            self._job = None
            shutil.rmtree(job.folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise InternalError(f"The job folder cannot be written ({error}).") from error
            raise
        return job.id

    def cancel(self) -> None:
        """Stop the refinement at work. The result stays as it is."""
        job = self._job
        if job is not None:
            self._end(job, Cancelled())
            self._client.cancel(job.id)

    def take(self, event: protocol.Event) -> bool:
        """Take an event of the worker; return whether it was about the refinement at work."""
        job = self._job
        if job is None or getattr(event, "job", None) != job.id:
            return False
        if isinstance(event, protocol.Progress):
            self._tell(Progressed(job.id, event.fraction, event.stage, event.elapsed))
        elif isinstance(event, protocol.Result):
            self._take_result(job, event)
        elif isinstance(event, protocol.Error):
            self._end(job, event.exception())
        return True

    # --- helpers ---

    def _take_result(self, job: _Job, event: protocol.Result) -> None:
        from ..scene import import_refinement

        try:
            files = event.files
            refinement = import_refinement(
                job.editor.nodes, job.folder, files.probability, files.attention, job.clicks, job.reach_mm
            )
            is_applied = job.editor.take_refinement(refinement)
        except AttentionUNetSegError as error:
            self._end(job, error)
        except Exception as error:  # whatever MRML refuses
            self._end(job, InternalError(f"The refinement could not be brought into the scene ({error})."))
        else:
            self._end(job, Refined(job.id, job.editor.nodes, is_applied))

    def _end(self, job: _Job, outcome: Refined | AttentionUNetSegError) -> None:
        self._job = None
        shutil.rmtree(job.folder, ignore_errors=True)
        self._keep(job.id, outcome)
        self._tell(outcome if isinstance(outcome, Refined) else RefinementFailed(job.id, outcome))

    def _package(self, editor: ResultEditor) -> ModelPackage:
        """Return the model that made the result."""
        from ..scene.provenance import read

        segmentation = editor.nodes.segmentation
        name, wanted = read(segmentation, "model.id"), read(segmentation, "model.sha256")
        if name is None:
            raise BadModel("The result does not say which model made it, so the network cannot refine it.")
        package = self._catalogue.get(name)
        if wanted is not None and package.weights_sha256 != wanted:
            raise BadModel(
                f'The installed model "{name}" is not the one that made this result.', "Segment the CT again."
            )
        return package


def _export(job: _Job, package: ModelPackage, device: str) -> protocol.Correct:
    """Write the part of the scene that the worker needs into the job's folder; return the request."""
    from ..correction import FURTHEST
    from ..scene import export_for_refinement, joined_box, voxel_of

    nodes = job.editor.nodes
    spacing = nodes.volume.GetSpacing()[::-1]
    sizes = nodes.volume.GetImageData().GetDimensions()[::-1]
    margins = [int((FURTHEST * job.reach_mm + CONTEXT_MM) / s) + 2 for s in spacing]
    box = joined_box(
        *(
            tuple(
                slice(max(0, n - margin), min(size, n + margin + 1))
                for n, margin, size in zip(voxel_of(nodes, click), margins, sizes, strict=True)
            )
            for click in job.clicks
        )
    )
    names = export_for_refinement(nodes, box, job.folder)
    message = protocol.Correct(
        job=job.id,
        folder=str(job.folder),
        clicks=tuple(
            protocol.Click((-click.ras[0], -click.ras[1], click.ras[2]), click.positive) for click in job.clicks
        ),
        attention=tuple(names),
        model=str(package.folder),
        device=device,
        reach_mm=job.reach_mm,
    )
    job_folder.write_job(job.folder, message)
    return message
