"""What the page offers to save, written when it is asked for and sent as a file."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from pathlib import Path

import slicer
from aiohttp import web

from ..errors import AttentionUNetSegError, BadInput, InternalError
from ..imaging import write_image
from ..scene import save_scene, save_segmentation
from ..scene.volumes import image_of_node
from .desk import Desk


class Downloads:
    """The route `download/<what>`: segment, probability, spread, attention_<level>, scene.

    State: `saving`, a sentence while a file is being written, else "".
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = asyncio.Lock()
        desk.server.state.saving = ""

    async def send(self, request: web.Request) -> web.StreamResponse:
        """GET download/<what>: the file, or 409 and the sentence why there is none (which the page also shows)."""
        try:
            async with self._lock:
                folder = Path(tempfile.mkdtemp(dir=self._desk.folder))
                try:
                    return await self._answer(request, await self._write(request.match_info["what"], folder))
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
                    self._desk.show(saving="")
        except AttentionUNetSegError as error:
            self._desk.notice("error", error.hint, error.message)
            return web.Response(status=409, text=f"{error}\n")

    async def _answer(self, request: web.Request, path: Path) -> web.StreamResponse:
        """Send a file whole: its folder is deleted when this returns."""
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"
        response.content_length = path.stat().st_size
        response.headers["Content-Disposition"] = f'attachment; filename="{path.name}"'
        await response.prepare(request)
        with open(path, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, 1 << 20):
                await response.write(chunk)
        await response.write_eof()
        return response

    async def _write(self, what: str, folder: Path) -> Path:
        if self._desk.result is None:
            raise BadInput("There is no result to save yet.", "Segment the CT first.")
        stem = _file_stem(self._desk.result.volume.GetName())
        self._desk.show(saving="Writing the file")
        await self._desk.breathe()
        if what == "segment":
            path = folder / f"{stem}_pancreas.seg.nrrd"
            save_segmentation(self._desk.result, path)
        elif what == "scene":
            path = folder / f"{stem}_scene.mrb"
            save_scene(self._desk.scene, path)
            self._desk.show(unsaved=False)
        else:
            path = folder / f"{stem}_{what}.nrrd"
            # A copy of the voxels: compressing them needs neither the scene nor this thread.
            await asyncio.to_thread(write_image, image_of_node(self._volume(what)), path)
        return path

    def _volume(self, what: str) -> slicer.vtkMRMLScalarVolumeNode:
        attention = {f"attention_{level}": node for level, node in enumerate(self._desk.result.attention, start=1)}
        result = self._desk.result
        volumes = {"probability": result.probability, "spread": result.spread, **attention}
        if volumes.get(what) is None:
            raise InternalError(f"There is nothing called {what!r} to save.")
        return volumes[what]


def _file_stem(name: str) -> str:
    """Return a name of a volume as the beginning of a file name: letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "ct"
