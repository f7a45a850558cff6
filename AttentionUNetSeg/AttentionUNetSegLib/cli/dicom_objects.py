"""--dicom-seg, --fractional and --store: the results as DICOM objects, and these in a PACS."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import PROBABILITY_FILE
from ..errors import AttentionUNetSegError, BadInput
from ..whole_file import whole_file
from .outputs import OutputFolder

if TYPE_CHECKING:
    from ..measure import Measurements
    from ..scene import ResultNodes


def add_dicom_options(command: ArgumentParser) -> None:
    """Add the options to a command."""
    command.add_argument(
        "--dicom-seg", action="store_true", help="also write the segment as DICOM SEG and its measurements as DICOM SR"
    )
    command.add_argument("--fractional", action="store_true", help="also write a DICOM SEG that keeps the probability")
    command.add_argument("--store", metavar="URL", help="send the DICOM objects to this PACS (DICOMweb)")


def wants_dicom(options: Namespace) -> bool:
    """Tell whether any of the options was given."""
    return bool(options.dicom_seg or options.fractional or options.store)


def check_dicom(options: Namespace) -> None:
    """Find out before any work what would make the objects impossible; raises BadInput."""
    if not wants_dicom(options):
        return
    from ..dicom_out import check_server, missing_library

    if missing := missing_library():
        raise BadInput(missing)
    if options.store:
        check_server(options.store)


def require_dicom_files(dicom_files: Sequence[Path], name: str) -> None:
    """Refuse a CT that no DICOM object could refer to; raises BadInput."""
    if not dicom_files:
        raise BadInput(
            f"{name} is no DICOM series, so there is nothing that a DICOM SEG could refer to.",
            "Give the DICOM folder, or leave out --dicom-seg, --fractional and --store.",
        )


def write_objects(
    options: Namespace,
    destination: OutputFolder,
    nodes: ResultNodes,
    dicom_files: Sequence[Path],
    threshold: float,
    measurements: Measurements,
) -> None:
    """Write the objects of the segmentation and the probability that lie in `destination` already.

    What the scene says of the result in `nodes`, the objects say too: models and starts need not be of the pancreas.
    """
    from ..dicom_out import write_result_objects
    from ..imaging import read_written
    from ..scene.dicom_identity import dicom_origin

    origin = dicom_origin(nodes)
    write_result_objects(
        destination.folder,
        destination.stem,
        read_written(destination.file("pancreas.seg.nrrd")),
        read_written(destination.file(PROBABILITY_FILE)) if options.fractional else None,
        dicom_files,
        origin.model,
        threshold,
        measurements,
        semiautomatic=origin.is_semiautomatic,
        label=origin.label,
    )


def store_objects(url: str, outputs: OutputFolder, report: dict[str, Any]) -> None:
    """Send the objects that lie in `outputs` to a PACS and write into the report where they are.

    Raises
    ------
    BadInput : the PACS refuses; the results stay where they are, and the report says so too.
    """
    from ..dicom_out import store
    from ..dicom_out.result_objects import MEASUREMENTS, PROBABILITY, SEGMENT
    from .report import write_report

    files = [outputs.file(name) for name in (SEGMENT, PROBABILITY, MEASUREMENTS) if outputs.file(name).is_file()]
    stored: dict[str, Any] = {"url": url, "files": [file.name for file in files], "error": None}
    report["stored"] = stored
    try:
        store(url, files)
    except AttentionUNetSegError as error:
        stored["error"] = str(error)
        raise type(error)(f"The results are in {outputs.folder}, but {error.message}", error.hint) from error
    finally:
        with whole_file(outputs.file("report.json")) as beside:
            write_report(report, beside)
