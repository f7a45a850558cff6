"""What the page offers to save, written when it is asked for and sent as a file."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from aiohttp import web

from ..dicom_out import missing_library, write_result_objects
from ..errors import AttentionUNetSegError, BadInput, InternalError, file_refused
from ..imaging import write_image
from ..measure import Measurements
from ..scene import ResultNodes, save_scene, save_segmentation, segment_on_source_grid, start_of
from ..scene.dicom_identity import dicom_origin
from ..scene.strokes import segment_on_ct
from ..scene.surface import write_surface
from ..scene.volumes import image_of_node
from .gland_numbers import GlandNumbers, write_numbers
from .result_report import report_of, write_csv, write_json
from .workspace import Workspace


class Downloads:
    """The route `download/<what>`.

    That is segment, nifti, own_grid, seg (DICOM), dicom (SEG and SR, zipped), stl, obj, json, csv (the report),
    numbers_json, numbers_csv (the measurements), probability, spread, attention_<level>, scene.

    Parameters
    ----------
    workspace : whose result is saved.
    saving : makes the context that the scene is written in.
    numbers : measures the result.

    State: `saving`, a sentence while a file is being written, else ""; `can_save_seg`, whether the CT was DICOM.
    """

    def __init__(
        self, workspace: Workspace, saving: Callable[[], AbstractContextManager[None]], numbers: GlandNumbers
    ) -> None:
        self._workspace = workspace
        self._numbers = numbers
        self._saving = saving
        self._lock = asyncio.Lock()
        workspace.server.state.update({"saving": "", "can_save_seg": False})

    async def send(self, request: web.Request) -> web.StreamResponse:
        """GET download/<what>: the file, or 409 and the sentence why there is none (which the page also shows)."""
        try:
            async with self._lock:
                folder = Path(tempfile.mkdtemp(dir=self._workspace.folder))
                try:
                    return await self._answer(request, await self._write(request.match_info["what"], folder))
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
                    self._workspace.show(saving="")
        except ConnectionError:  # the browser wants it no more
            raise
        except AttentionUNetSegError as error:
            hint, message = error.hint, error.message
        except OSError as error:
            refused = file_refused(error)
            hint, message = refused.hint, f"The file was not saved. {refused.message}"
        self._workspace.notice("error", hint, message)
        return web.Response(status=409, text=f"{message} {hint}\n")

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
        stem = _file_stem(self._workspace.require_result().volume.GetName())
        self._workspace.show(saving="Writing the file")
        await self._workspace.breathe()
        result = self._workspace.require_result()  # that of now: another one may have come in the meantime
        path = folder / f"{stem}_{_NAMES.get(what, what + '.nrrd')}"
        if what == "segment":
            with self._saving():
                save_segmentation(result, path)
        elif what == "scene":
            with self._saving():
                save_scene(self._workspace.scene, path)
            self._workspace.show(unsaved=False)
        elif what == "nifti":
            await asyncio.to_thread(write_image, _segment_image(result), path)
        elif what == "own_grid":
            image = segment_on_source_grid(result)
            if image is None:
                raise BadInput("This result lies on the CT's own voxels.", "Save the segment.")
            await asyncio.to_thread(write_image, image, path)
        elif what == "seg":
            await asyncio.to_thread(self._object_writer(), path)
        elif what == "dicom":
            write = self._object_writer()
            await asyncio.to_thread(write, path, await self._numbers.current())
        elif what in ("numbers_json", "numbers_csv"):
            measured = await self._numbers.current()
            report = report_of(self._workspace)
            about = {key: report[key] for key in ("program", "created", "input", "model", "start", "note")}
            write_numbers(measured, {**about, "segment": self._workspace.server.state.segment_name}, path)
        elif what in ("stl", "obj"):
            with self._saving():
                write_surface(result, path)
        elif what in ("json", "csv"):
            report = report_of(self._workspace)
            (write_json if what == "json" else write_csv)(report, path)
        else:
            node, values = self._volume(what)
            if node is result.corrected and self._workspace.require_editor().is_corrected:
                path = folder / f"{stem}_probability_corrected.nrrd"
            # A copy of the voxels: compressing them needs neither the scene nor this thread.
            image = image_of_node(node)
            image.SetMetaData("AttentionUNetSeg_values", values)
            await asyncio.to_thread(write_image, image, path)
        return path

    def _object_writer(self) -> Callable[..., None]:
        """Read everything of the scene that DICOM objects need, and return what writes them without the scene.

        That takes a path; and measurements, where it shall be a .zip of the SEG and an SR that refers to it.
        """
        workspace = self._workspace
        if not workspace.dicom_files:
            raise BadInput("A DICOM SEG refers to the DICOM files of its CT.", "Open the CT as a DICOM folder.")
        if missing := missing_library():
            raise BadInput(missing)
        result, files = workspace.require_result(), workspace.dicom_files
        origin, image = dicom_origin(result), _segment_image(result)
        threshold, stem = workspace.require_editor().settings[0], _file_stem(result.volume.GetName())

        def write(path: Path, measured: Measurements | None = None) -> None:
            objects = write_result_objects(
                path.parent, stem, image, None, files, origin.model, threshold, measured or (),
                semiautomatic=origin.is_semiautomatic, label=origin.label,
            )  # fmt: skip
            if measured is None:
                objects["dicom_seg"].rename(path)
                return
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
                for each in objects.values():
                    bundle.write(each, each.name)

        return write

    def _volume(self, what: str) -> tuple[slicer.vtkMRMLScalarVolumeNode, str]:
        """Return what is shown, corrections included, and what its values mean."""
        result = self._workspace.require_result()
        if what == "probability":
            is_mask = (start_of(result) or {}).get("kind") == "mask"
            return result.field, _MASK_VALUES if is_mask else "probability of the segment = value / 255"
        if what == "spread" and result.spread is not None:
            return result.spread, "standard deviation of the probability = value / 510"
        level = what.removeprefix("attention_")
        if level.isdigit() and int(level) in result.gates:
            return result.gates[int(level)], "attention coefficient = value / 255"
        raise InternalError(f"There is nothing called {what!r} to save.")


_MASK_VALUES = "value / 255: 0.5 at the border of the mask that it started from, 0 and 1 from 3 mm on"

_NAMES = {
    "segment": "pancreas.seg.nrrd",
    "scene": "scene.mrb",
    "nifti": "pancreas.nii.gz",
    "own_grid": "own_grid.nrrd",
    "seg": "pancreas_seg.dcm",
    "dicom": "pancreas_dicom.zip",
    "numbers_json": "measurements.json",
    "numbers_csv": "measurements.csv",
    "stl": "pancreas.stl",
    "obj": "pancreas.obj",
    "json": "report.json",
    "csv": "report.csv",
}


def _file_stem(name: str) -> str:
    """Return a name of a volume as the beginning of a file name: letters, digits, dots, dashes, underscores."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "ct"


def _segment_image(nodes: ResultNodes) -> sitk.Image:
    """Return a uint8 image (0 or 1, LPS) that has the CT's size, spacing, origin and direction."""
    ct = image_of_node(nodes.volume)
    mask = np.zeros(ct.GetSize()[::-1], np.uint8)
    segment = segment_on_ct(nodes)
    mask[segment.box] = segment.values
    image = sitk.GetImageFromArray(mask)
    image.CopyInformation(ct)
    return image
