"""The result: its volume, the threshold while it is dragged, and what is laid over the CT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import slicer
from scipy import ndimage

from ..contracts import THRESHOLDS
from ..scene import ResultNodes, arrange_slice_views, delete_result, show_attention, start_of
from ..scene.segment import segment_id_of
from ..scene.strokes import segment_on_ct
from ..scene.surface import has_surface, make_surface
from ..scene.surface_in_parts import CLOSED_SURFACE
from ..session.editing import ResultEditor
from .workspace import LatestOnly, Workspace

# Colour tables that slicer-core has, and that read well on a grey image.
_COLORS = {
    "Inferno": "vtkMRMLColorTableNodeFileInferno.txt",
    "Iron": "vtkMRMLColorTableNodeIron",
    "Ocean": "vtkMRMLColorTableNodeOcean",
    "Rainbow": "vtkMRMLColorTableNodeRainbow",
    "Warm": "vtkMRMLColorTableNodeWarm1",
    "Grey": "vtkMRMLColorTableNodeGrey",
}
_FILL_OPACITY = 0.15
_SPREAD = "spread"
_SURFACE_REST_SECONDS = 0.3
# What an overlay says, in one sentence.
_NOTES = {
    "off": "",
    "probability": "How sure the network is that a voxel is pancreas, from 0 to 1, with your corrections.",
    _SPREAD: "How far eight passes over slightly changed copies differ (standard deviation): high is doubtful.",
    "mask": "The segmentation that this began with: 0.5 at its border, 0 and 1 from 3 mm on, with your corrections.",
    "attention": "How much the gate lets through to the decoder, from 0 to 1. It is no probability of pancreas.",
}
CONTOURS = {
    "Orange": (0.976, 0.706, 0.435),
    "Cyan": (0.25, 0.9, 1.0),
    "Green": (0.35, 1.0, 0.4),
    "Magenta": (1.0, 0.45, 1.0),
    "White": (1.0, 1.0, 1.0),
}


class ShownResult:
    """Shows the newest result and follows its controls.

    State: `has_result`, `volume_ml`, `model_threshold`, `threshold`, `thresholds` (its range), `keep_largest`,
    `smoothing_mm`; `overlays` (choices), `overlay` ("off", "probability", "spread", "1", "2", ...), `overlay_opacity`,
    `overlay_color`,
    `overlay_colors` (choices), `overlay_ramp` (CSS), `overlay_top` (what the ramp ends with);
    `attention_levels`; `has_spread`; `show_segment`; `segment_name`; `started_from` (what the result began with, ""
    where that is the network); `has_own_grid` (whether that lay on a grid of its own).
    """

    def __init__(self, workspace: Workspace, on_change: Callable[[], None]) -> None:
        self._workspace = workspace
        self._on_change = on_change
        self._apply_settings = LatestOnly(workspace, self._set_threshold)
        self._apply_overlay = LatestOnly(workspace, self._show_overlay)
        workspace.server.state.update(
            {
                "has_result": False,
                "volume_ml": None,
                "threshold": 0.5,
                "model_threshold": 0.5,
                "thresholds": THRESHOLDS,
                "keep_largest": False,
                "smoothing_mm": 0.0,
                "overlays": _overlays([], False),
                "attention_levels": [],
                "has_spread": False,
                "segment_name": "Pancreas",
                "started_from": "",
                "has_own_grid": False,
                "overlay_top": "1",
                "overlay": "off",
                "overlay_opacity": 0.5,
                "overlay_color": "Inferno",
                "overlay_colors": list(_COLORS),
                "overlay_ramp": "",
                "overlay_note": "",
                "show_segment": True,
                "parts_note": "",
                "contours": list(CONTOURS),
                "contour": next(iter(CONTOURS)),
                "contour_width": 2,
                "contour_fill": _FILL_OPACITY,
                "surface_opacity": 1.0,
            }
        )
        self._surface_timer: asyncio.TimerHandle | None = None
        self._apply_look = LatestOnly(workspace, self._show_look)
        state = workspace.server.state
        state.change("threshold", "keep_largest", "smoothing_mm")(self._apply_settings)
        state.change("overlay", "overlay_opacity", "overlay_color")(self._apply_overlay)
        state.change("contour", "contour_width", "contour_fill", "surface_opacity")(self._apply_look)
        state.change("show_segment")(lambda **values: self._show_segment())
        self._show_ramp()

    def forget(self) -> None:
        """Show that there is no result: another CT was opened."""
        self._workspace.show(
            has_result=False,
            volume_ml=None,
            overlay="off",
            overlays=_overlays([], False),
            attention_levels=[],
            has_spread=False,
            segment_name="Pancreas",
            started_from="",
            has_own_grid=False,
        )

    def take(self, nodes: ResultNodes, model_threshold: float) -> None:
        """Show a new result, or one that was loaded, in place of the one before; its model's own threshold is known."""
        workspace = self._workspace
        earlier, workspace.result, workspace.editor = workspace.result, None, None
        if earlier is not None and earlier.segmentation is not nodes.segmentation:
            delete_result(earlier)
        workspace.result = nodes
        workspace.editor = editor = ResultEditor(nodes)
        arrange_slice_views(nodes)
        make_surface(nodes)
        workspace.views.look_at_surface()
        levels, has_spread = list(nodes.gates), nodes.spread is not None
        if not has_spread and workspace.server.state.overlay == _SPREAD:
            workspace.show(overlay="off")
        threshold, keep_largest, smoothing_mm = editor.settings
        workspace.show(
            has_result=True,
            threshold=threshold,  # as it is: one with more digits than are shown is another threshold when rounded
            model_threshold=model_threshold,
            keep_largest=keep_largest,
            smoothing_mm=smoothing_mm,
            overlays=_overlays(levels, has_spread),
            attention_levels=levels,
            has_spread=has_spread,
            show_segment=True,
            segment_name=nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes)).GetName(),
            started_from=_start_text(nodes),
            has_own_grid=nodes.source is not None,
        )
        self.show_volume()
        self._show_look()
        self._show_overlay()

    def show_volume(self) -> None:
        """Show the segment's volume as it is now, and why it has more parts than was asked for."""
        editor, note = self._workspace.require_editor(), ""
        if editor.settings[1] and editor.is_corrected:
            parts = count_parts(editor.nodes)
            if parts > 1:
                note = f"{parts} parts: the largest, and those with your clicks or strokes in them."
        self._workspace.show(volume_ml=round(editor.volume_ml, 2), parts_note=note)
        self._on_change()

    def _set_threshold(self) -> None:
        state, editor = self._workspace.server.state, self._workspace.editor
        wanted = (float(state.threshold), bool(state.keep_largest), float(state.smoothing_mm))
        if editor is None or wanted == tuple(editor.settings):
            return
        with self.surface_later():
            editor.set_threshold(*wanted)
        self.show_volume()

    @contextmanager
    def surface_later(self) -> Iterator[None]:
        """Leave the surface as it is while the segment changes, and make it anew when that has come to rest.

        It is most of what a step of the threshold costs, and the slices do not need it.
        """
        nodes, editor = self._workspace.require_result(), self._workspace.slicer_app.segmentation_editor
        segmentation = nodes.segmentation.GetSegmentation()
        segment = segmentation.GetSegment(segment_id_of(nodes))
        surface = segment.GetRepresentation(CLOSED_SURFACE)
        editor.show_3d(False)  # as long as it shows surfaces it makes one whenever the node changes and has none
        segmentation.RemoveRepresentation(CLOSED_SURFACE)
        try:
            yield
        finally:
            if surface is not None:
                segment.AddRepresentation(CLOSED_SURFACE, surface)
                editor.show_3d(True)
            if self._surface_timer is not None:
                self._surface_timer.cancel()
            self._surface_timer = asyncio.get_running_loop().call_later(_SURFACE_REST_SECONDS, self._make_surface)

    def _make_surface(self) -> None:
        """Make the surface that belongs to the segment now, where it is not there yet."""
        if self._surface_timer is None:
            return
        self._surface_timer.cancel()
        self._surface_timer = None
        nodes = self._workspace.result
        if nodes is not None:
            editor, views = self._workspace.slicer_app.segmentation_editor, self._workspace.views
            with views.drawing_only(views.three_d):
                editor.show_3d(False)
                make_surface(nodes)
                if has_surface(nodes):
                    editor.show_3d(True)

    def _show_overlay(self) -> None:
        state, nodes = self._workspace.server.state, self._workspace.result
        self._show_ramp()
        if nodes is None:
            return
        level: Any = None if state.overlay == "off" else state.overlay
        if level not in (None, "probability", _SPREAD):
            level = int(level)
        # Attention covers the whole CT: where it is low it darkens, and leaves no holes that white bone shows through.
        lowest = 0.0 if isinstance(level, int) else None
        colors = self._color_node()
        show_attention(nodes, level, float(state.overlay_opacity), colors, lowest)
        self._workspace.views.show_scale(None if level is None else colors, 0.5 if level == _SPREAD else 1.0)
        self._show_look()
        self._workspace.views.draw_slices()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Give the segment its own colour and its newest surface while the scene is written, whatever is on show."""
        self._paint_segment(self._workspace.server.state.contour)
        self._make_surface()
        try:
            yield
        finally:
            self._show_look()

    def _paint_segment(self, contour: str) -> None:
        nodes = self._workspace.require_result()
        segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
        if tuple(round(c, 3) for c in segment.GetColor()) != CONTOURS[contour]:
            segment.SetColor(*CONTOURS[contour])

    def _show_look(self) -> None:
        """Show the segment as a clear outline with a faint fill, so that the CT below stays readable."""
        nodes, state = self._workspace.result, self._workspace.server.state
        if nodes is None:
            return
        display = nodes.segmentation.GetDisplayNode()
        display.SetOpacity2DFill(float(state.contour_fill))
        display.SetOpacity2DOutline(1.0)
        display.SetSliceIntersectionThickness(int(state.contour_width))
        display.SetOpacity3D(float(state.surface_opacity))
        # Orange on Inferno's orange would not be seen.
        is_hidden = state.overlay != "off" and state.contour == "Orange"
        self._paint_segment("Cyan" if is_hidden else state.contour)

    def _show_segment(self) -> None:
        if self._workspace.result is not None:
            self._workspace.result.segmentation.SetDisplayVisibility(bool(self._workspace.server.state.show_segment))

    def _color_node(self) -> slicer.vtkMRMLColorNode | None:
        return self._workspace.scene.GetNodeByID(_COLORS.get(self._workspace.server.state.overlay_color, ""))

    def _show_ramp(self) -> None:
        """Write the colour table as a CSS gradient, for the legend."""
        node = self._color_node()
        if node is None:
            return
        stops = []
        for index in range(0, 256, 15):
            color = [0.0] * 4
            node.GetColor(index * (node.GetNumberOfColors() - 1) // 255, color)
            stops.append("rgb({:.0f},{:.0f},{:.0f})".format(*(255 * channel for channel in color[:3])))
        # The spread's scale ends at 0.5: a standard deviation of values in 0..1 is never more.
        top = "0.5" if self._workspace.server.state.overlay == _SPREAD else "1"
        overlay = self._workspace.server.state.overlay
        nodes = self._workspace.result
        is_mask = overlay == "probability" and nodes is not None and (start_of(nodes) or {}).get("kind") == "mask"
        note = _NOTES["mask"] if is_mask else _NOTES.get(overlay, _NOTES["attention"])
        ramp = f"linear-gradient(to right, {', '.join(stops)})"
        self._workspace.show(overlay_ramp=ramp, overlay_top=top, overlay_note=note)


def _overlays(levels: list[int], has_spread: bool) -> list[dict[str, str]]:
    gates = [{"value": str(level), "title": f"Attention, gate {level}"} for level in levels]
    if levels and levels[0] == 1:
        gates[0]["title"] += " (finest)"
    if len(gates) > 1:
        gates[-1]["title"] += " (coarsest)"
    spread = [{"value": _SPREAD, "title": "Spread (standard deviation)"}] if has_spread else []
    return [{"value": "off", "title": "None"}, {"value": "probability", "title": "Probability"}, *spread, *gates]


def _start_text(nodes: ResultNodes) -> str:
    start = start_of(nodes)
    return "" if start is None else f"Started from {start['segment']} ({start['kind']}) of {start['name']}"


def count_parts(nodes: ResultNodes) -> int:
    """Return how many parts the segment has; voxels that share a face, an edge or a corner belong together."""
    return int(ndimage.label(segment_on_ct(nodes).values, ndimage.generate_binary_structure(3, 3))[1])
