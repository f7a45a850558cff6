"""The measurements of a result: the table node that shows them, and the centre line that they were made along."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkStringArray

from ..errors import BadInput
from ..imaging import Geometry
from ..in_parts import done_at_once
from ..measure import RANGE, CentreLine, Masks, Measurements, box_with_surroundings, measure_masks
from ..measure.apart import write_masks_in_parts
from . import provenance
from .fields import Box, CroppedField, image_of_field, joined_box
from .geometry import ct_grid, grid_of_matrix
from .measurement_age import STATE, are_old, note_age, state_of_segment
from .results import CENTRE_LINE_REFERENCE, MEASUREMENTS_REFERENCE, ResultNodes, file_in_folder_of
from .starting import start_of
from .threshold import mask_of_field, settings_of

TABLE = "measurements"
COLUMNS = "Quantity", "Value", "Lowest", "Highest", "Unit"


def measure_result(nodes: ResultNodes) -> Measurements:
    """Measure the segment as threshold, clicks, strokes and cleaning make it, parent transforms left out.

    The range of a number is that of the thresholds 0.3 to 0.7, cleaned alike. A result that started from a mask has
    none: its field tells of distances and not of doubt. What somebody painted in Segment Editor counts from when it
    has been absorbed (`ResultEditor.absorb_strokes`).

    Raises
    ------
    BadInput : the nodes were changed so that they no longer belong together, or hold no voxels.
    """
    return measure_masks(*masks_of_result(nodes))


def masks_of_result(nodes: ResultNodes) -> tuple[Masks, sitk.Image]:
    """Return what `measure_masks` takes: copies of the masks, and of the CT about them; raises as `measure_result`."""
    masks, around = done_at_once(_masks_in_parts(nodes))
    return masks, _image_on(around, _voxels_of(nodes)[around], ct_grid(nodes))


def write_measured_in_parts(nodes: ResultNodes, folder: Path) -> Iterator[None]:
    """Write `masks_of_result` for another process (`measure.apart`), and yield after each part of it.

    For an event loop that shall go on meanwhile. Nothing of the result and its CT may change before the end.
    """
    masks, around = yield from _masks_in_parts(nodes)
    yield
    hu = _voxels_of(nodes)[around]
    corner = _image_on(around, hu[:1, :1, :1], ct_grid(nodes))
    yield from write_masks_in_parts(masks, hu, corner.GetOrigin(), folder)


def _masks_in_parts(nodes: ResultNodes) -> Generator[None, None, tuple[Masks, Box]]:
    """Return the masks, and the box of the CT's voxels about them; yield after each mask."""
    threshold, keep_largest, smoothing_mm = settings_of(nodes)
    start = start_of(nodes)
    levels = () if start is not None and start["kind"] == "mask" else RANGE
    fields = []
    for level in (threshold, *levels):
        fields.append(mask_of_field(nodes, level, keep_largest, smoothing_mm))
        yield
    box = joined_box(*(field.box for field in fields))
    middle, *others = ((field.values if field.box == box else field.on(box)).view(bool) for field in fields)
    matrix, voxels = ct_grid(nodes), _voxels_of(nodes)
    place = Geometry.of(_image_on(box, middle.view(np.uint8), matrix))
    around = box_with_surroundings(grid_of_matrix(matrix, voxels.shape[::-1]), box)
    return Masks(middle, tuple(others), place, threshold, levels or None), around


def measurement_table(
    nodes: ResultNodes, measurements: Measurements | None = None, state: str | None = None
) -> slicer.vtkMRMLTableNode:
    """Write measurements (default: measured now) into the result's table node and return it.

    One row a quantity, with the columns of `COLUMNS`; what cannot be measured is NaN. The node is made where there is
    none, beside the result's other nodes, and saved with the scene. Its description holds the notes. `state` is what
    `state_of_segment` was when they were measured (default: now); the table's name says when they are old.

    Raises
    ------
    BadInput : as `measure_result`.
    """
    measurements = measure_result(nodes) if measurements is None else measurements
    table = nodes.measurements
    if table is None:
        name = nodes.scene.GenerateUniqueName(f"{nodes.segmentation.GetName()} measurements")
        table = nodes.scene.AddNewNodeByClass("vtkMRMLTableNode", name)
        table.SetUseColumnTitleAsColumnHeader(True)
        provenance.stamp(table, TABLE, {"result": nodes.result_id})
        nodes.segmentation.SetNodeReferenceID(MEASUREMENTS_REFERENCE, table.GetID())
        file_in_folder_of(nodes.segmentation, table)
    modifying = table.StartModify()
    table.RemoveAllColumns()
    for title, values in zip(COLUMNS, zip(*measurements.as_rows(), strict=True), strict=True):
        column = table.AddColumn(_column(values))
        column.SetName(title)
        table.SetColumnTitle(title, title)
    table.SetDescription(" ".join(measurements.sentences))
    provenance.write(table, "threshold", repr(measurements.threshold))
    line = measurements.centre_line
    provenance.write(table, LINE, "" if line is None else json.dumps(line.as_json(), separators=(",", ":")))
    provenance.write(table, STATE, state_of_segment(nodes) if state is None else state)
    table.Modified()
    table.EndModify(modifying)
    note_age(nodes)
    return table


def read_table(table: slicer.vtkMRMLTableNode) -> list[tuple[str, float | None, float | None, float | None, str]]:
    """Return the rows of a result's table, as `Measurements.as_rows` gave them; None for what was not measured."""
    values = table.GetTable()
    columns = [values.GetColumnByName(title) for title in COLUMNS]
    rows = [[column.GetValue(n) for column in columns] for n in range(values.GetNumberOfRows()) if all(columns)]
    return [(name, *(None if each != each else each for each in numbers), unit) for name, *numbers, unit in rows]


def _column(values: tuple[Any, ...]) -> vtkStringArray | vtkDoubleArray:
    if isinstance(values[0], str):
        words = vtkStringArray()
        for value in values:
            words.InsertNextValue(value)
        return words
    numbers = vtkDoubleArray()
    for value in values:
        numbers.InsertNextValue(float("nan") if value is None else value)
    return numbers


def _image_on(box: Box, values: np.ndarray, matrix: np.ndarray) -> sitk.Image:
    return image_of_field(CroppedField.of(box, values), matrix)


def _voxels_of(nodes: ResultNodes) -> np.ndarray:
    """The CT's voxels (KJI), not a copy."""
    data = nodes.volume.GetImageData()
    scalars = data.GetPointData().GetScalars() if data else None
    if scalars is None:
        raise BadInput(f"The volume {nodes.volume.GetName()} holds no voxels.", "Load the CT again.")
    return vtk_to_numpy(scalars).reshape(data.GetDimensions()[::-1])


LINE = "centre_line"
COLOR = (0.1, 1.0, 1.0)
EVERY_MM = 10.0


def show_centre_line(nodes: ResultNodes, is_shown: bool) -> slicer.vtkMRMLMarkupsCurveNode | None:
    """Draw the centre line of the result's measurements, or take it away; return its node.

    None where it is not wished for, was not measured, or is of another segment than that of now.
    """
    table, node = nodes.measurements, nodes.centre_line
    kept = provenance.read(table, LINE) if table is not None else None
    if not is_shown or not kept or are_old(nodes):
        if node is not None:
            nodes.scene.RemoveNode(node)
        return None
    if node is None:
        node = _new_curve(nodes)
    if provenance.read(node, LINE) != kept:
        _draw(node, CentreLine.of_json(json.loads(kept)))
        provenance.write(node, LINE, kept)
    return node


def _new_curve(nodes: ResultNodes) -> slicer.vtkMRMLMarkupsCurveNode:
    name = nodes.scene.GenerateUniqueName(f"{nodes.segmentation.GetName()} centre line")
    node = nodes.scene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", name)
    node.SetAndObserveTransformNodeID(nodes.probability.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    for set_color in (display.SetSelectedColor, display.SetColor):
        set_color(*COLOR)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetGlyphScale(1.0)
    provenance.stamp(node, LINE, {"result": nodes.result_id})
    nodes.segmentation.SetNodeReferenceID(CENTRE_LINE_REFERENCE, node.GetID())
    file_in_folder_of(nodes.segmentation, node)
    return node


def _draw(node: slicer.vtkMRMLMarkupsCurveNode, line: CentreLine) -> None:
    """Put points along the line into the curve: its ends, one every so often, and where the parts meet."""
    names = {line.neck_mm: "head | body", line.tail_mm: "body | tail"}
    along = np.linspace(0.0, line.length_mm, max(2, round(line.length_mm / EVERY_MM) + 1))
    modifying = node.StartModify()
    node.SetLocked(False)
    node.RemoveAllControlPoints()
    for distance in sorted({*along.tolist(), *names}):
        place, _direction = line.place_lps(distance)
        n = node.AddControlPoint(-float(place[0]), -float(place[1]), float(place[2]))
        node.SetNthControlPointLabel(n, names.get(distance, ""))
    node.SetLocked(True)
    node.EndModify(modifying)
