"""The four views of the page: axial, coronal and sagittal slices and the surface in 3D, all real Slicer views."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
from trame_client.widgets.html import Div
from trame_rca.utils import RcaViewAdapter
from trame_rca.widgets.rca import RemoteControlledArea
from trame_server import Server
from trame_slicer.core import SlicerApp
from trame_slicer.views import (
    AbstractView,
    IViewFactory,
    SliceView,
    ThreeDView,
    ViewLayout,
    ViewLayoutDefinition,
    ViewType,
)

from .streaming import ViewStream, ViewWindow

# The names that Slicer itself gives these views: a scene saved here opens there with the same pictures.
SLICE_VIEWS = ("Red", "Green", "Yellow")
THREE_D_VIEW = "ThreeD"
TITLES = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal", "ThreeD": "3D"}

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
_BACKGROUND = "#000000"

PointerListener = Callable[[SliceView, dict[str, Any]], bool]


@dataclass
class _Pane:
    view: AbstractView
    template: ViewLayout
    adapter: RcaViewAdapter
    stream: ViewStream


class FourViews:
    """Makes the views, keeps each slice view's slider and letters in the page's state.

    State: `<view>_offset` (mm, two ways) and `<view>_pane` (a dict: left, right, top, bottom, position, min, max,
    step) for each of `SLICE_VIEWS`.

    Parameters
    ----------
    server : the trame server.
    slicer_app : the scene's application.
    on_pointer : called with a slice view and every event of the mouse in it; returns True to keep it from the view.
    """

    def __init__(self, server: Server, slicer_app: SlicerApp, on_pointer: PointerListener) -> None:
        self._server = server
        factory = _Factory(server, on_pointer, self._fit)
        slicer_app.view_manager.register_factory(factory)
        definitions = (
            ViewLayoutDefinition.axial_view(),
            ViewLayoutDefinition.coronal_view(),
            ViewLayoutDefinition.sagittal_view(),
            ViewLayoutDefinition.threed_view(background_color=("#050607", "#1b2026")),
        )
        views = [slicer_app.view_manager.create_view(definition) for definition in definitions]
        slicer_app.view_manager.set_current_view_ids([*SLICE_VIEWS, THREE_D_VIEW])
        self._factory = factory
        self._volume: slicer.vtkMRMLScalarVolumeNode | None = None
        self.slices: dict[str, SliceView] = dict(zip(SLICE_VIEWS, views, strict=False))
        self.three_d: ThreeDView = views[-1]
        for name, view in self.slices.items():
            self._connect_slider(name, view)
        self.three_d.set_orientation_marker(
            slicer.vtkMRMLAbstractViewNode.OrientationMarkerTypeCube,
            slicer.vtkMRMLAbstractViewNode.OrientationMarkerSizeMedium,
        )

    def show_volume(self, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show a CT in all slice views, whole and centred."""
        self._volume = volume
        for name, view in self.slices.items():
            view.set_background_volume_id(volume.GetID())
            view.set_foreground_volume_id(None)
            view.set_ruler(slicer.vtkMRMLAbstractViewNode.RulerTypeThin)
            view.reset_view()
            self._publish(name, view)
        self.three_d.reset_view()

    def reset(self) -> None:
        """Show everything again, whole, without moving to other slices."""
        for name in self.slices:
            self._fit(name)
        self.look_at_surface()

    def look_at_surface(self) -> None:
        """Turn the 3D view's camera to what it shows, from the front."""
        self.three_d.fit_view_to_content()
        self.three_d.zoom(0.08)
        self.three_d.schedule_render()

    def jump_to(self, position: tuple[float, float, float], but: SliceView | None = None) -> None:
        """Move the slices (but one) through a position (world RAS, mm)."""
        for view in self.slices.values():
            if view is not but:
                view.get_view_node().JumpSliceByOffsetting(*position)

    def position_at(self, view: SliceView, event: dict[str, Any]) -> tuple[float, float, float]:
        """Return where a mouse event in a slice view lies in the world (RAS, mm)."""
        return view.get_view_node().GetXYToRAS().MultiplyPoint((event["x"], event["y"], 0.0, 1.0))[:3]

    def draw_slices(self) -> None:
        """Draw the slices again: Slicer's views do not notice when the opacity of a layer alone changes."""
        for view in self.slices.values():
            view.schedule_render()

    async def close(self) -> None:
        """Stop drawing."""
        for pane in self._factory.panes():
            await pane.stream.close()

    def _fit(self, name: str) -> None:
        """Fit the CT into a view, at the slice that it shows."""
        view = self.slices.get(name) if self._volume is not None else None
        if view is not None:
            offset = view.get_slice_value()
            view.fit_view_to_content()
            view.set_slice_value(offset)

    def _connect_slider(self, name: str, view: SliceView) -> None:
        self._publish(name, view)
        view.modified.connect(lambda changed: self._publish(name, changed))

        @self._server.state.change(f"{name}_offset")
        def move(**state: Any) -> None:
            offset = float(state[f"{name}_offset"])
            if abs(offset - view.get_slice_value()) > 1e-3:
                view.set_slice_value(offset)

    def _publish(self, name: str, view: SliceView) -> None:
        """Write the view's slice, letters and range into the page's state."""
        node = view.get_view_node()
        matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        normal = max(range(3), key=lambda axis: abs(matrix[axis, 2]))
        along = matrix[normal, 3]
        lowest, highest = view.get_slice_range()
        with self._server.state as state:
            state[f"{name}_offset"] = round(view.get_slice_value(), 3)
            state[f"{name}_pane"] = {
                "right": _letter(matrix[:3, 0]),
                "left": _letter(-matrix[:3, 0]),
                "top": _letter(matrix[:3, 1]),
                "bottom": _letter(-matrix[:3, 1]),
                "position": f"{_LETTERS[normal][int(along >= 0)]} {abs(along):.1f} mm",
                "min": round(lowest, 3),
                "max": round(highest, 3),
                "step": round(view.get_slice_step(), 3),
            }


def _letter(direction: Any) -> str:
    axis = max(range(3), key=lambda each: abs(direction[each]))
    return _LETTERS[axis][int(direction[axis] > 0)]


class _Factory(IViewFactory):
    """Makes a Slicer view, its stream of pictures and the template that shows them in the page."""

    def __init__(self, server: Server, on_pointer: PointerListener, on_resize: Callable[[str], None]) -> None:
        super().__init__()
        self._server = server
        self._on_pointer = on_pointer
        self._on_resize = on_resize

    def panes(self) -> list[_Pane]:
        return list(self._views.values())

    def can_create_view(self, view: ViewLayoutDefinition) -> bool:
        return isinstance(view.view_type, ViewType)

    def _get_slicer_view(self, view: _Pane) -> AbstractView:
        return view.view

    def _create_view(self, definition: ViewLayoutDefinition, scene, app_logic) -> _Pane:
        name = definition.singleton_tag
        is_slice = definition.view_type is ViewType.SLICE_VIEW
        view = (SliceView if is_slice else ThreeDView)(scene=scene, app_logic=app_logic, name=name)
        # Without a GPU every sample is paid for; the surface alone profits from smoother edges.
        view.render_window().SetMultiSamples(0 if is_slice else 4)
        view.renderer().SetUseDepthPeeling(False)
        if is_slice:
            view.set_background_color_from_string(_BACKGROUND)
        view.set_view_properties(definition.properties)
        window = ViewWindow(
            view,
            on_event=(lambda event: self._on_pointer(view, event)) if is_slice else (lambda event: False),
            on_resize=lambda: self._on_resize(name),
        )
        stream = ViewStream(window)
        with ViewLayout(self._server, template_name=name) as template, Div(classes="pane-picture"):
            RemoteControlledArea(
                name=name, display="image", send_mouse_move=True, event_throttle_ms=15, classes="pane-picture"
            )
        adapter = RcaViewAdapter(window, name, scheduler=stream, do_schedule_render_on_interaction=False)
        view.set_scheduled_render(stream)
        asyncio.get_running_loop().create_task(self._register(adapter))
        return _Pane(view, template, adapter, stream)

    async def _register(self, adapter: RcaViewAdapter) -> None:
        await self._server.ready  # the protocol that takes it exists from then on
        self._server.root_server.controller.rc_area_register(adapter)
