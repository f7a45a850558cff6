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
from .comparing import Comparing
from .desk import Desk
from .downloads import Downloads
from .gland_numbers import GlandNumbers
from .keeping import Keeping
from .opening import Opening
from .page import build_page
from .questions import Questions
from .segmenting import Segmenting
from .shown_result import ShownResult
from .starting import Starting
from .tools import Tools
from .uploads import Uploads
from .views import FourViews
from .walls import Walls
from .window_level import WindowLevel

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
        self.desk = Desk(server, slicer_app, folder)
        self._questions = Questions(self.desk)
        self._keeping = Keeping(self.desk)
        self._tools = Tools(
            self.desk,
            self._questions,
            on_change=self._take_change,
            changing=lambda: self._shown_result.surface_later(),
        )
        self.desk.views = FourViews(server, slicer_app, self._tools.on_pointer)
        self._numbers = GlandNumbers(self.desk)
        self._shown_result = ShownResult(self.desk, on_change=self._note_change)
        self._comparing = Comparing(self.desk)
        self._window = WindowLevel(self.desk)
        self._segmenting = Segmenting(self.desk, catalogue, self._questions, self._take_result, model)
        self._opening = Opening(
            self.desk,
            self._questions,
            upload_limit_mb,
            on_opened=self._start_anew,
            may_open=lambda: not self._segmenting.is_at_work,
        )
        self._walls = Walls(self.desk, self._tools.change)
        self._starting = Starting(self.desk, self._questions, self._opening, self._walls, self._take_start)
        server.controller.add("open_kept")(self._begin_with_kept)
        server.controller.add("discard_kept")(self._keeping.discard)
        self.uploads = Uploads(
            folder,
            upload_limit_mb,
            self._opening.open_upload,
            self._opening.open_files,
            self._starting.take_file,
        )
        self.downloads = Downloads(self.desk, self._shown_result.saving, self._numbers)
        build_page(server, upload_limit_mb)
        self._pump = asyncio.get_running_loop().create_task(self._segmenting.pump())

    def start(self, path: Path | None, series: str | None) -> None:
        """Start the worker, so that it loads torch while the person still looks, and open what was named."""
        self._segmenting.start_worker()
        self._keeping.offer()
        if path is not None:
            self._opening.open_path(path, series)

    async def close(self) -> None:
        """End the worker and everything that runs in the background."""
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self._keeping.close()
        self._segmenting.close()
        await self.desk.close()

    def _take_result(self, event: ResultReady) -> None:
        self._take_nodes(event.result.nodes, event.result.threshold)

    def _take_start(self, nodes: ResultNodes) -> None:
        self._take_nodes(nodes, settings_of(nodes)[0])

    def _take_nodes(self, nodes: ResultNodes, threshold: float) -> None:
        """Make a new result the one that the page shows and corrects; `threshold` is the one to come back to."""
        self._keeping.begin_anew()
        self._show_result(nodes, threshold)
        self.desk.show(unsaved=False)

    def _show_result(self, nodes: ResultNodes, threshold: float) -> None:
        self._numbers.forget()
        self._shown_result.take(nodes, threshold)
        self._tools.take_result()
        self._comparing.begin()
        self._walls.publish()
        self._starting.publish()

    def _take_change(self) -> None:
        self._shown_result.show_volume()

    def _note_change(self) -> None:
        self._numbers.compare()
        self._keeping.note_change()

    def _start_anew(self) -> None:
        self._keeping.begin_anew()
        self._window.begin()
        self._numbers.forget()
        self._shown_result.forget()
        self._comparing.forget()
        self._tools.forget()
        self._starting.forget_offered()
        self._walls.publish()
        self._starting.publish()
        self.desk.show(unsaved=False)

    def _begin_with_kept(self) -> None:
        self.desk.start(self._open_kept())

    async def _open_kept(self) -> None:
        """Go on with what an earlier server left."""
        if self.desk.volume is not None or self.desk.server.state.opening:
            return
        self.desk.show(opening="Opening the kept session")
        await self.desk.breathe()
        try:
            volume = self._keeping.open()
            if volume is None:
                self.desk.notice("warning", "", "The kept session cannot be read any more.")
                return
            self._opening.show_volume(volume)
            self._window.begin()
            self._show_result(self.desk.result, self._model_threshold())
            self.desk.show(unsaved=self.desk.editor.is_corrected)
        finally:
            self.desk.show(opening="")

    def _model_threshold(self) -> float:
        """The threshold of the model that made the desk's result; where it is no longer installed, the present one."""
        with suppress(BadModel):
            model = read(self.desk.result.segmentation, "model.id")
            if model is not None:
                return self._catalogue.get(model).threshold
        return float(read(self.desk.result.segmentation, "threshold") or 0.5)
