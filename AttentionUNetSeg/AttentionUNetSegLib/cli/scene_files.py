"""The scene of a run and the files that are made of it: segmentation, scene file, picture."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
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


LARGE_CT_BYTES = 16_000_000
# In steps: a CT that is refused waits for one of them only.
_LIBRARIES = ("slicer", "vtk", "AttentionUNetSegLib.scene", "trame_slicer.core.slicer_app")


@contextmanager
def libraries_loading(path: Path) -> Iterator[None]:
    """Load Slicer's libraries in a thread while the block reads a large CT: that takes about as long as they do.

    What is missing of them, `open_scene` says. Where the block fails, the rest is not loaded.
    """
    if _bytes_of(path) < LARGE_CT_BYTES:
        yield
        return
    is_over = threading.Event()

    def load() -> None:
        for name in _LIBRARIES:
            if is_over.is_set():
                return
            try:
                import_module(name)
            except ImportError:
                return

    thread = threading.Thread(target=load, name="libraries")
    thread.start()
    try:
        yield
    except BaseException:
        is_over.set()
        raise
    finally:
        thread.join()


def _bytes_of(path: Path) -> int:
    """How large a file is, or all files of a folder."""
    try:
        if path.is_dir():
            return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return path.stat().st_size
    except OSError:
        return 0


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

    saved, segmentation = ExitStack(), destination.file("pancreas.seg.nrrd")
    if with_scene:
        arrange_slice_views(nodes)
        saved.enter_context(saved_scene(scene, destination.file("scene.mrb"), nodes, segmentation))
    else:
        save_segmentation(nodes, segmentation)
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
