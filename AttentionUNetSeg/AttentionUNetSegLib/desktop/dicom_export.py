"""A result as DICOM SEG and SR, written by a process of its own; highdicom, which that needs, only after a question."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..errors import AttentionUNetSegError, BadInput
from ..imaging import write_image
from ..scene import ResultNodes, settings_of, write_measured_in_parts
from ..scene.dicom_identity import dicom_identity
from ..worker.dicom_process import DicomSegRequest, dicom_seg_command, read_answer
from ..worker.transport import ProcessExit
from .filled_folder import FilledFolder
from .interpreter import install_after_asking, interpreter_command, other_interpreter, slicer_python
from .processes import AnsweringProcess

LIBRARIES = ("highdicom", "dicomweb_client")


class DicomExport:
    """One export. Nothing that exists is written over.

    Parameters
    ----------
    nodes : the result.
    files : those of the CT's series.
    folder : where to write.
    is_fractional : write the probability, as a FRACTIONAL segmentation without a report, rather than the segment.
    on_end : called once with the paths that were written, or with what went wrong; never after `cancel`.
    """

    def __init__(
        self,
        nodes: ResultNodes,
        files: list[str],
        folder: str,
        is_fractional: bool,
        on_end: Callable[[AttentionUNetSegError | list[str]], None],
    ) -> None:
        self.nodes = nodes
        self._files, self._target, self._on_end = files, Path(folder), on_end
        self._is_fractional = is_fractional
        self._filling: FilledFolder | None = None
        self._running: AnsweringProcess | None = None

    def start(self) -> None:
        """Ask for what is missing, and start the process. Never call it but from a person's click.

        Raises
        ------
        Cancelled : the person declined an installation.
        BadInput : the result cannot be exported.
        CannotWrite : there is no place for temporary files, or a library cannot be installed.
        """
        self._python, self._environment = _python_with_libraries()
        self._filling = FilledFolder(self.nodes, "dicom", "exported", self._write, self._export, self._on_end)
        self._filling.start()

    def _write(self, folder: Path) -> Iterator[None]:
        yield from write_measured_in_parts(self.nodes, folder)
        stem = re.sub(r"[^\w.-]+", "_", self.nodes.segmentation.GetName()).strip("._") or "segment"
        kinds = ("probability", "sr") if self._is_fractional else ("seg", "sr")
        segment, report = (_free(self._target, f"{stem}_{kind}.dcm") for kind in kinds)
        identity = dicom_identity(self.nodes, self._is_fractional)
        yield
        origin, threshold = identity.origin, settings_of(self.nodes)[0]
        write_image(identity.image, folder / "segment.nrrd", compress=False)
        DicomSegRequest(
            path=str(segment), segment=str(folder / "segment.nrrd"), dicom_files=self._files,
            model=origin.model, label=origin.label.as_manifest(), semiautomatic=origin.is_semiautomatic,
            fractional=self._is_fractional, threshold=None if self._is_fractional else threshold,
            report=None if self._is_fractional else str(report), masks=str(folder), ct=identity.ct,
        ).save(folder / "request.json")  # fmt: skip

    def _export(self, used: Path) -> None:
        command = dicom_seg_command(used / "request.json", self._python, self._environment)
        self._running = AnsweringProcess(command, self._take, used)
        self._running.start()

    def cancel(self) -> None:
        """Stop, and call nobody."""
        self._on_end = lambda outcome: None
        if self._filling is not None:
            self._filling.cancel()
        if self._running is not None:
            self._running.cancel()

    def _take(self, exit: ProcessExit, said: str, last_words: str) -> None:
        outcome: AttentionUNetSegError | list[str]
        try:
            outcome = read_answer(said, last_words or exit.describe()).splitlines()
        except AttentionUNetSegError as error:
            outcome = error
        self._on_end(outcome)


def _free(folder: Path, name: str) -> Path:
    """Return a path in the folder at which nothing exists: the name itself, or with a number."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{Path(name).stem}-{number}.dcm"
    return path


def require_dicom_files(volume_node: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    """Return the files of the series that Slicer loaded a CT from.

    Raises
    ------
    BadInput : it was not loaded from DICOM, or files of it are no longer in Slicer's DICOM database.
    """
    uids = (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not uids:
        raise BadInput(
            f"{volume_node.GetName()} was not loaded from DICOM, so there is no series that a DICOM object could "
            "refer to.",
            "Import the series in Slicer's DICOM module and load it from there.",
        )
    database = slicer.app.dicomDatabase()
    files = [str(database.fileForInstance(uid) or "") for uid in uids] if database is not None else [""] * len(uids)
    gone = sum(not each or not Path(each).is_file() for each in files)
    if gone:
        raise BadInput(
            f"{gone} of the {len(uids)} files that {volume_node.GetName()} was loaded from are no longer in Slicer's "
            "DICOM database.",
            "Import the series again.",
        )
    return files


def highdicom_question() -> str:
    """What the person is asked before anything is downloaded."""
    return _(
        "DICOM objects are written with highdicom, which this Slicer does not bring.\n\n"
        "highdicom and dicomweb-client would now be downloaded and installed into Slicer's Python: some 10 MB, once. "
        "Slicer does not respond meanwhile.\n\n"
        "Your images stay on this computer. Install them now?"
    )


def _python_with_libraries() -> tuple[str, dict[str, str] | None]:
    """Return the Python that writes DICOM, and its environment (None: Slicer's own)."""
    if _has_libraries():
        return slicer_python(), None
    if other_interpreter():  # it says itself what it lacks
        command = interpreter_command()
        return command.arguments[0], command.environment
    install_after_asking(
        "highdicom",
        highdicom_question(),
        lambda: slicer.util.pip_install("highdicom dicomweb-client"),
        _has_libraries,
        _("highdicom was not installed, so nothing was exported."),
    )
    return slicer_python(), None


def _has_libraries() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in LIBRARIES)
