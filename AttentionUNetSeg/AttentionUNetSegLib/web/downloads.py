"""What the page offers to save, written when it is asked for and sent as a file."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import slicer
from aiohttp import web

from ..dicom_out import ModelIdentity, missing_library, write_dicom_seg
from ..errors import AttentionUNetSegError, BadInput, InternalError
from ..imaging import write_image
from ..scene import save_scene, save_segmentation
from ..scene.provenance import read
from ..scene.surface_file import write_surface
from ..scene.volumes import image_of_node
from .desk import Desk
from .result_report import report_of, write_csv, write_json
from .segment_image import segment_image


class Downloads:
    """The route `download/<what>`.

    That is segment, nifti, seg (DICOM), stl, obj, json, csv, probability, spread, attention_<level>, scene.

    Parameters
    ----------
    desk : whose result is saved.
    saving : makes the context that the scene is written in.

    State: `saving`, a sentence while a file is being written, else ""; `can_save_seg`, whether the CT was DICOM.
    """

    def __init__(self, desk: Desk, saving: Callable[[], AbstractContextManager[None]]) -> None:
        self._desk = desk
        self._saving = saving
        self._lock = asyncio.Lock()
        desk.server.state.update({"saving": "", "can_save_seg": False})

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
        result = self._desk.result
        path = folder / f"{stem}_{_NAMES.get(what, what + '.nrrd')}"
        if what == "segment":
            with self._saving():
                save_segmentation(result, path)
        elif what == "scene":
            with self._saving():
                save_scene(self._desk.scene, path)
            self._desk.show(unsaved=False)
        elif what == "nifti":
            await asyncio.to_thread(write_image, segment_image(result), path)
        elif what == "seg":
            await asyncio.to_thread(self._seg_writer(), path)
        elif what in ("stl", "obj"):
            with self._saving():
                write_surface(result, path)
        elif what in ("json", "csv"):
            report = report_of(self._desk)
            (write_json if what == "json" else write_csv)(report, path)
        else:
            node, values = self._volume(what)
            if node is result.corrected and self._is_corrected():
                path = folder / f"{stem}_probability_corrected.nrrd"
            # A copy of the voxels: compressing them needs neither the scene nor this thread.
            image = image_of_node(node)
            image.SetMetaData("AttentionUNetSeg_values", values)
            await asyncio.to_thread(write_image, image, path)
        return path

    def _is_corrected(self) -> bool:
        """Whether there are corrections now; the volume of some that were undone stays in the scene."""
        return bool(self._desk.editor.clicks) or self._desk.result.strokes is not None

    def _seg_writer(self) -> Callable[[Path], None]:
        """Read everything of the scene that a DICOM SEG needs, and return what writes it without the scene."""
        desk = self._desk
        if not desk.dicom_files:
            raise BadInput("A DICOM SEG refers to the DICOM files of its CT.", "Open the CT as a DICOM folder.")
        if missing := missing_library():
            raise BadInput(missing)
        segmentation = desk.result.segmentation
        keys = ("id", "name", "version", "sha256")
        model = ModelIdentity.of({key: read(segmentation, f"model.{key}") for key in keys})
        image, files, threshold = segment_image(desk.result), desk.dicom_files, desk.editor.settings[0]
        hand = self._is_corrected()
        return lambda path: write_dicom_seg(path, image, files, model, semiautomatic=hand, threshold=threshold)

    def _volume(self, what: str) -> tuple[slicer.vtkMRMLScalarVolumeNode, str]:
        """Return what is shown, corrections included, and what its values mean."""
        result = self._desk.result
        if what == "probability":
            return result.field, "probability of pancreas = value / 255"
        if what == "spread" and result.spread is not None:
            return result.spread, "standard deviation of the probability = value / 510"
        level = what.removeprefix("attention_")
        if level.isdigit() and int(level) in result.gates:
            return result.gates[int(level)], "attention coefficient = value / 255"
        raise InternalError(f"There is nothing called {what!r} to save.")


_NAMES = {
    "segment": "pancreas.seg.nrrd",
    "scene": "scene.mrb",
    "nifti": "pancreas.nii.gz",
    "seg": "pancreas_seg.dcm",
    "stl": "pancreas.stl",
    "obj": "pancreas.obj",
    "json": "report.json",
    "csv": "report.csv",
}


def _file_stem(name: str) -> str:
    """Return a name of a volume as the beginning of a file name: letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "ct"
