"""A DICOM SEG written by another Python, for a process that has no highdicom itself: Slicer's.

The segment (or the probability) lies as an image file in a folder of the caller's, such as a .seg.nrrd. An application
with an event loop starts `dicom_seg_command` in its own way (QProcess) and gives what came back to `read_answer`; a
script calls `write_dicom_seg_apart`, which waits. In Slicer the source files of a volume node are
`[slicer.dicomDatabase.fileForInstance(uid) for uid in node.GetAttribute("DICOM.instanceUIDs").split()]`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import AttentionUNetSegError, BadInput, CannotWrite, InternalError, ProcessDied
from .transport import WorkerCommand, worker_command


@dataclass(frozen=True)
class DicomSegRequest:
    """What to write.

    Attributes
    ----------
    path : the DICOM file to write.
    segment : image file with the mask or, with `fractional`, the probability (0..255 or 0..1).
    dicom_files : the files of the CT that was segmented.
    model : "id", "name", "version", "sha256", as in `SegmentResult.model`.
    fractional, semiautomatic, threshold : as for `dicom_out.write_dicom_seg`.
    label : an entry of the model manifest's "labels"; empty for the pancreas.
    report, masks : also write measurements as DICOM SR there, of what `measure.apart.write_masks` put into this folder.
    ct : grid of the CT that the segment lies on ("size", "spacing", "origin", "direction"; LPS, mm): refuse files whose
        slices lie elsewhere. None: do not ask.
    """

    path: str
    segment: str
    dicom_files: Sequence[str]
    model: Mapping[str, str]
    fractional: bool = False
    semiautomatic: bool = False
    threshold: float | None = None
    label: Mapping[str, Any] | None = None
    report: str | None = None
    masks: str | None = None
    ct: Mapping[str, Any] | None = None

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the request where the other process reads it."""
        fields = {**self.__dict__, "dicom_files": [os.fspath(each) for each in self.dicom_files]}
        Path(file).write_text(json.dumps(fields), encoding="utf-8")


def dicom_seg_command(
    request_file: str | os.PathLike[str],
    python: str | os.PathLike[str] | None = None,
    inherited: Mapping[str, str] | None = None,
) -> WorkerCommand:
    """Return how to start the process; `python` and `inherited` as for `worker_command`. Its stdin has to stay open."""
    command = worker_command(python, inherited)
    program = command.arguments[0]
    return replace(command, arguments=(program, "-m", "AttentionUNetSegLib.dicom_out", os.path.abspath(request_file)))


def read_answer(stdout: str, stderr: str = "") -> str:
    """Return the path that was written; with a report, its path in a second line.

    Raises
    ------
    AttentionUNetSegError : what the process raised; a ProcessDied where it ended without an answer.
    """
    try:
        answer = json.loads(stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        said = stderr.strip().splitlines()
        raise ProcessDied(
            f"The process that writes DICOM ended without an answer{': ' + said[-1] if said else ''}."
        ) from None
    if "error" not in answer:
        written: str = answer["written"]
        return written
    error = answer["error"]
    kind = {"bad_input": BadInput, "cannot_write": CannotWrite, "internal": InternalError}.get(
        error["code"], AttentionUNetSegError
    )
    raise kind(error["message"], error["hint"])


def write_dicom_seg_apart(
    request: DicomSegRequest,
    request_file: str | os.PathLike[str],
    python: str | os.PathLike[str] | None = None,
    inherited: Mapping[str, str] | None = None,
) -> str:
    """Write a DICOM SEG with another Python, wait for it, and return the path.

    Parameters
    ----------
    request_file : where to put the request; it is deleted afterwards.

    Raises
    ------
    AttentionUNetSegError : as `read_answer`; BadInput where that Python has no highdicom.
    """
    request.save(request_file)
    try:
        command = dicom_seg_command(request_file, python, inherited)
        with subprocess.Popen(
            command.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=command.environment, cwd=command.folder, text=True, encoding="utf-8",
        ) as process:  # fmt: skip
            assert process.stdout and process.stderr  # both are pipes, and one that is full must not stop the other
            with ThreadPoolExecutor(1) as beside:
                errors = beside.submit(process.stderr.read)
                stdout = process.stdout.read()
                stderr = errors.result()
    finally:
        Path(request_file).unlink(missing_ok=True)
    return read_answer(stdout, stderr)
