"""The scene of a run and the files that are made of it: segmentation, scene file, picture."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput, InternalError
from .outputs import OutputFolder
from .terminal import Terminal

if TYPE_CHECKING:
    import slicer
    from trame_slicer.core import SlicerApp

    from ..measure import Measurements
    from ..scene import ResultNodes


def open_scene(terminal: Terminal) -> tuple[SlicerApp, slicer.vtkMRMLScene]:
    """Open an empty scene; raises InternalError where Slicer's libraries are not installed."""
    try:
        with terminal.interrupts.deferred():
            from ..scene import open_standalone_scene

            opened = open_standalone_scene()
        return opened
    except ModuleNotFoundError as error:
        raise InternalError(
            f"Slicer's libraries are missing in this Python (there is no module {error.name}).",
            "Install them with pip install 'attention-unet-seg[standalone]'.",
        ) from error
    except ImportError as error:
        raise InternalError(f"Slicer's libraries cannot be loaded ({str(error).rstrip('.')}).") from error


def save(scene: slicer.vtkMRMLScene, nodes: ResultNodes, destination: OutputFolder, with_scene: bool) -> ExitStack:
    """Write the segmentation and, on request, the scene, with its slice views on the segment.

    Closing what is returned waits until the scene's file, which a thread reads again meanwhile, is known to hold the
    scene; the scene must not be changed before that.
    """
    from ..scene import arrange_slice_views, save_segmentation, saved_scene

    save_segmentation(nodes, destination.file("pancreas.seg.nrrd"))
    saved = ExitStack()
    if with_scene:
        arrange_slice_views(nodes)
        saved.enter_context(saved_scene(scene, destination.file("scene.mrb")))
    return saved


def begin_drawing() -> None:
    """Find out beside other work whether this machine can draw: half a second that `draw` need not wait for then."""
    from ..scene.overview.offscreen import begin_to_find_out

    begin_to_find_out()


def draw(nodes: ResultNodes, path: Path, terminal: Terminal, warn: Callable[[str], None]) -> None:
    """Draw the overview; a machine that cannot draw gets a warning instead, and everything else all the same."""
    from ..scene import RenderingUnavailable, render_overview

    try:
        render_overview(nodes, path)
    except (RenderingUnavailable, BadInput) as error:
        if not terminal.interrupts.came:  # Ctrl-C ends the attempt too
            warn(str(error))


def measure(nodes: ResultNodes, destination: OutputFolder, with_csv: bool) -> Measurements:
    """Measure the result, put the table into its scene and, on request, write it as a CSV file."""
    from ..scene import measure_result, measurement_table

    measurements = measure_result(nodes)
    measurement_table(nodes, measurements)
    if with_csv:
        with open(destination.file("measurements.csv"), "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("quantity", "name", "value", "lowest", "highest", "unit"))
            for each in measurements:
                table.writerow((each.key, each.name, each.value, each.low, each.high, each.printed_unit))
    return measurements


def save_parts(destination: OutputFolder, measurements: Measurements) -> None:
    """Write head, body and tail of the segmentation that lies in `destination`, where they could be told apart."""
    from ..cohort.part_segments import write_parts
    from ..imaging import read_written

    if measurements.centre_line is not None:
        mask = read_written(destination.file("pancreas.seg.nrrd"))
        for key in mask.GetMetaDataKeys():  # those of its own segment
            mask.EraseMetaData(key)
        write_parts(mask, measurements.centre_line, destination.file("parts.seg.nrrd"))
