"""The parts of the page, put together."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import trame_slicer.module
from trame_server import Server

from ..errors import BadModel
from ..models import Catalogue
from ..scene import ResultNodes, open_standalone_scene, settings_of
from ..scene.provenance import read
from ..session import ResultReady
from .autosave import Autosave
from .comparison_contour import ComparisonContour
from .correction_tools import CorrectionTools
from .ct_opener import CTOpener
from .downloads import Downloads
from .gland_numbers import GlandNumbers
from .page import build_page
from .questions import Questions
from .segmentation_import import SegmentationImport
from .segmentation_run import SegmentationRun
from .shown_result import ShownResult
from .uploads import Uploads
from .views import FourViews
from .walls import Walls
from .window_level import WindowLevel
from .workspace import Workspace

_STATIC = Path(__file__).with_name("static")
_ASSETS = {
    "serve": {"page": str(_STATIC)},
    "scripts": [f"page/{name}.js" for name in ("panes", "page", "keys", "lines", "sketch")],
    "styles": ["page/page.css"],
}


class Application:
    """One person's tool in a page: a scene, a session with its worker, and the page that shows them.

    Must be made, used and closed on a running asyncio loop.

    Parameters
    ----------
    server : the trame server, not started yet.
    folder : private and temporary, for everything that is uploaded or to be downloaded.
    upload_limit_mb : the largest upload.
    catalogue : where the models are; default: those bundled and those of the user.
    model : id of the model to begin with; None: the catalogue's default.
    """

    def __init__(
        self,
        server: Server,
        folder: Path,
        upload_limit_mb: int,
        catalogue: Catalogue | None = None,
        model: str | None = None,
    ) -> None:
        self._catalogue = catalogue = catalogue or Catalogue()
        server.enable_module(trame_slicer.module)
        server.enable_module(_ASSETS)
        slicer_app, _scene = open_standalone_scene()
        self.workspace = Workspace(server, slicer_app, folder)
        self._questions = Questions(self.workspace)
        self._autosave = Autosave(self.workspace)
        self._tools = CorrectionTools(
            self.workspace,
            self._questions,
            on_change=self._take_change,
            changing=lambda: self._shown_result.surface_later(),
        )
        self.workspace.views = FourViews(
            server, slicer_app, self._tools.on_pointer, on_cancel=lambda: self._comparison.hold(False)
        )
        self._numbers = GlandNumbers(self.workspace)
        self._shown_result = ShownResult(self.workspace, on_change=self._note_change)
        self._comparison = ComparisonContour(self.workspace)
        self._window = WindowLevel(self.workspace)
        self._run = SegmentationRun(self.workspace, catalogue, self._questions, self._take_result, model)
        self._opener = CTOpener(
            self.workspace,
            self._questions,
            upload_limit_mb,
            on_opened=self._start_anew,
            may_open=lambda: not self._run.is_at_work,
        )
        self._walls = Walls(self.workspace, self._tools.change)
        self._import = SegmentationImport(self.workspace, self._questions, self._opener, self._walls, self._take_start)
        server.controller.add("open_kept")(self._begin_with_kept)
        server.controller.add("discard_kept")(self._autosave.discard)
        self.uploads = Uploads(
            folder,
            upload_limit_mb,
            self._opener.open_upload,
            self._opener.open_files,
            self._import.take_file,
            on_end=lambda: self.workspace.show(upload_fraction=0),
        )
        self.downloads = Downloads(self.workspace, self._shown_result.saving, self._numbers)
        build_page(server, upload_limit_mb)
        self._pump = asyncio.get_running_loop().create_task(self._run.pump())

    def start(self, path: Path | None, series: str | None) -> None:
        """Start the worker, so that it loads torch while the person still looks, and open what was named."""
        self._run.start_worker()
        self._autosave.offer()
        if path is not None:
            self._opener.open_path(path, series)

    async def close(self) -> None:
        """End the worker and everything that runs in the background."""
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self._autosave.close()
        self._run.close()
        await self.workspace.close()

    def _take_result(self, event: ResultReady) -> None:
        self._take_nodes(event.result.nodes, event.result.threshold)

    def _take_start(self, nodes: ResultNodes) -> None:
        self._take_nodes(nodes, settings_of(nodes)[0])

    def _take_nodes(self, nodes: ResultNodes, threshold: float) -> None:
        """Make a new result the one that the page shows and corrects; `threshold` is the one to come back to."""
        self._autosave.begin_anew()
        self._show_result(nodes, threshold)
        self.workspace.show(unsaved=False)

    def _show_result(self, nodes: ResultNodes, threshold: float) -> None:
        self._numbers.forget()
        self._shown_result.take(nodes, threshold)
        self._tools.take_result()
        self._comparison.begin()
        self._walls.publish()
        self._import.publish()

    def _take_change(self) -> None:
        self._shown_result.show_volume()

    def _note_change(self) -> None:
        self._numbers.compare()
        self._autosave.note_change()

    def _start_anew(self) -> None:
        self._autosave.begin_anew()
        self._window.begin()
        self._numbers.forget()
        self._shown_result.forget()
        self._comparison.forget()
        self._tools.forget()
        self._import.forget_offered()
        self._walls.publish()
        self._import.publish()
        self.workspace.show(unsaved=False)

    def _begin_with_kept(self) -> None:
        if self.workspace.volume is None and self._opener.is_idle():
            self._opener.run(self._open_kept())

    async def _open_kept(self) -> None:
        """Go on with what an earlier server left."""
        self.workspace.show(opening="Opening the kept session")
        await self.workspace.breathe()
        try:
            volume = self._autosave.open()
            if volume is None:
                self.workspace.notice("warning", "", "The kept session cannot be read any more.")
                return
            self._opener.show_volume(volume)
            self._window.begin()
            self._show_result(self.workspace.require_result(), self._model_threshold())
            self.workspace.show(unsaved=self.workspace.require_editor().is_corrected)
        finally:
            self.workspace.show(opening="")

    def _model_threshold(self) -> float:
        """The threshold of the model that made the result; where it is no longer installed, the present one."""
        segmentation = self.workspace.require_result().segmentation
        with suppress(BadModel):
            model = read(segmentation, "model.id")
            if model is not None:
                return self._catalogue.get(model).threshold
        return float(read(segmentation, "threshold") or 0.5)
