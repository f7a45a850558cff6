"""Clicks as markups: two point lists per result, and where their points lie on the CT's voxels.

Every control point's description holds its order number, so that the later of two clicks still wins after saving and
loading. Positions are kept in the result's own frame (below the parent transform of its probability, which is the CT's
when the result is made): the clicks move with the result, and keep their voxel of the CT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import slicer
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform

from ..contracts import Click, Position
from ..errors import BadInput
from . import provenance
from .geometry import ct_grid
from .results import ADD_CLICKS_REFERENCE, REMOVE_CLICKS_REFERENCE, ResultNodes, file_in_folder_of

ADD_CLICKS, REMOVE_CLICKS = "clicks_add", "clicks_remove"
ADD_COLOR, REMOVE_COLOR = (0.25, 0.85, 0.35), (0.95, 0.25, 0.25)


def read_clicks(nodes: ResultNodes) -> tuple[Click, ...]:
    """Return the placed points of both lists, sorted by order; points still being placed are left out.

    Points without an order number, and copies that repeat one, get the next ones.
    """
    found: list[Click] = []
    unnumbered: list[Click] = []
    seen: set[int] = set()
    for positive, node in ((True, nodes.add_clicks), (False, nodes.remove_clicks)):
        if node is None:
            continue
        for n in range(node.GetNumberOfControlPoints()):
            if node.GetNthControlPointPositionStatus(n) != node.PositionDefined:
                continue
            right, anterior, superior = node.GetNthControlPointPositionWorld(n)  # a vector that cannot be hashed
            ras = _to_frame_of(nodes.probability, (right, anterior, superior))
            order = _order_of(node.GetNthControlPointDescription(n))
            (unnumbered if order in seen or order == 0 else found).append(Click(order, ras, positive))
            seen.add(order)
    following = max(seen, default=0) + 1
    found += [replace(click, order=following + n) for n, click in enumerate(unnumbered)]
    return tuple(sorted(found, key=lambda click: click.order))


def write_clicks(nodes: ResultNodes, clicks: tuple[Click, ...]) -> None:
    """Make the two lists hold exactly these clicks. Lists that hold them already are not touched."""
    for positive in (True, False):
        wanted = [click for click in clicks if click.positive == positive]
        node = nodes.add_clicks if positive else nodes.remove_clicks
        if node is None:
            node = _add_list(nodes, positive)
        _fill(node, nodes, wanted)


def require_click_lists(nodes: ResultNodes) -> None:
    """Make the two (empty) point lists if they do not exist, for front ends in which people place points."""
    for positive, node in ((True, nodes.add_clicks), (False, nodes.remove_clicks)):
        if node is None:
            _add_list(nodes, positive)


def placed(nodes: ResultNodes, position_ras_world: Position) -> Position:
    """Return a world RAS position in the result's own frame, through any parent transform.

    Raises
    ------
    BadInput : the position is no position.
    """
    position = [float(value) for value in position_ras_world]
    if len(position) != 3 or not np.all(np.isfinite(position)):
        raise BadInput(f"A click needs three coordinates in mm, not {position_ras_world}.")
    right, anterior, superior = position
    return _to_frame_of(nodes.probability, (right, anterior, superior))


def world_position(nodes: ResultNodes, click: Click) -> Position:
    """Return a click's world RAS position in mm, the result's parent transforms applied."""
    return _to_world(nodes, click.ras)


def world_position_of_voxel(nodes: ResultNodes, ijk: Sequence[float]) -> Position:
    """Return the world RAS position in mm of a voxel (i, j, k) of the CT."""
    return _to_world(nodes, tuple((ct_grid(nodes) @ [*ijk, 1.0])[:3].tolist()))


def voxel_of(nodes: ResultNodes, click: Click) -> tuple[int, int, int]:
    """Return the voxel (k, j, i) of the CT that holds a click.

    Raises
    ------
    BadInput : the click lies outside the CT; the sentence names both.
    """
    matrix = ct_grid(nodes)
    ijk = np.linalg.solve(matrix, [*click.ras, 1.0])[:3]
    voxel = np.floor(ijk + 0.5)
    size = nodes.volume.GetImageData().GetDimensions()
    # A position on the outer face belongs to the volume, whatever the last digit says.
    if np.any(ijk < -0.5 - 1e-6) or np.any(ijk > np.array(size) - 0.5 + 1e-6):
        where = ", ".join(f"{value:.1f}" for value in world_position(nodes, click))
        raise BadInput(
            f"The {click.kind} click at ({where}) mm RAS lies outside the volume {nodes.volume.GetName()}.",
            "Click inside the CT.",
        )
    i, j, k = (int(n) for n in np.clip(voxel, 0, np.array(size) - 1))
    return k, j, i


def _to_world(nodes: ResultNodes, ras: Position) -> Position:
    parent = nodes.probability.GetParentTransformNode()
    if parent is None:
        return ras
    transform = vtkGeneralTransform()
    parent.GetTransformToWorld(transform)
    return transform.TransformPoint(ras)


def _to_frame_of(volume_node: slicer.vtkMRMLScalarVolumeNode, position: Position) -> Position:
    parent = volume_node.GetParentTransformNode()
    if parent is None:
        return position
    transform = vtkGeneralTransform()
    parent.GetTransformFromWorld(transform)
    return transform.TransformPoint(position)


def _order_of(description: str) -> int:
    return int(description) if description.isascii() and description.isdigit() else 0


def _add_list(nodes: ResultNodes, positive: bool) -> slicer.vtkMRMLMarkupsFiducialNode:
    kind = "add" if positive else "remove"
    scene = nodes.scene
    name = scene.GenerateUniqueName(f"{nodes.volume.GetName()} {kind}")
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.SetAndObserveTransformNodeID(nodes.probability.GetTransformNodeID())
    node.SetControlPointLabelFormat("+%d" if positive else "-%d")
    node.CreateDefaultDisplayNodes()
    color = ADD_COLOR if positive else REMOVE_COLOR
    display = node.GetDisplayNode()
    display.SetSelectedColor(*color)
    display.SetColor(*color)
    role = ADD_CLICKS if positive else REMOVE_CLICKS
    provenance.stamp(node, role, {"result": nodes.result_id})
    nodes.segmentation.SetNodeReferenceID(ADD_CLICKS_REFERENCE if positive else REMOVE_CLICKS_REFERENCE, node.GetID())
    file_in_folder_of(nodes.segmentation, node)
    return node


def _fill(node: slicer.vtkMRMLMarkupsFiducialNode, nodes: ResultNodes, clicks: list[Click]) -> None:
    present = {
        n: Click(
            _order_of(node.GetNthControlPointDescription(n)),
            _to_frame_of(nodes.probability, node.GetNthControlPointPositionWorld(n)),
            clicks[0].positive if clicks else True,
        )
        for n in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(n) == node.PositionDefined
    }
    missing = [click for click in clicks if not any(click.is_same(other) for other in present.values())]
    surplus = [n for n, other in present.items() if not any(click.is_same(other) for click in clicks)]
    if not missing and not surplus:
        return
    modifying = node.StartModify()
    # A click that was moved or numbered keeps its control point, so that a person can go on dragging it.
    for click in list(missing):
        kept = next((n for n in surplus if present[n].order in (click.order, 0)), None)
        if kept is not None:
            surplus.remove(kept)
            missing.remove(click)
            _set_point(node, kept, nodes, click)
    for n in sorted(surplus, reverse=True):
        node.RemoveNthControlPoint(n)
    for click in missing:
        _set_point(node, node.AddControlPoint(0.0, 0.0, 0.0), nodes, click)
    node.EndModify(modifying)


def _set_point(node: slicer.vtkMRMLMarkupsFiducialNode, n: int, nodes: ResultNodes, click: Click) -> None:
    node.SetNthControlPointPositionWorld(n, *world_position(nodes, click))
    node.SetNthControlPointDescription(n, str(click.order))
    node.SetNthControlPointLabel(n, f"{'+' if click.positive else '-'}{click.order}")  # the same after undo and redo
