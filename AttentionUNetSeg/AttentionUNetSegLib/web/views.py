"""The four views of the page: axial, coronal and sagittal slices and the surface in 3D, all real Slicer views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import slicer
from trame_server import Server
from trame_slicer.core import SlicerApp
from trame_slicer.views import (
    AbstractView,
    IViewFactory,
    SliceView,
    ThreeDView,
    ViewLayoutDefinition,
    ViewType,
)

from .pane_protocol import REMOVE_CLICK, PaneProtocol
from .scale_bar import ScaleBar
from .streaming import Turns, ViewStream, ViewWindow

# The names that Slicer itself gives these views: a scene saved here opens there with the same pictures.
SLICE_VIEWS = ("Red", "Green", "Yellow")
THREE_D_VIEW = "ThreeD"
TITLES = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal", "ThreeD": "3D"}

_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
_BACKGROUND = "#000000"

# What came of an event of the mouse: whether the view shall not hear of it, and what its page is told.
PointerListener = Callable[[SliceView, dict[str, Any]], tuple[bool, dict[str, Any] | None]]


@dataclass
class _Pane:
    view: AbstractView
    window: ViewWindow
    stream: ViewStream


class FourViews:
    """Makes the views, keeps each slice view's slider and letters in the page's state.

    State: `<view>_offset` (mm, two ways) and `<view>_pane` (a dict: left, right, top, bottom, position, min, max,
    step) for each of `SLICE_VIEWS`.

    Parameters
    ----------
    server : the trame server.
    slicer_app : the scene's application.
    on_pointer : called with a slice view and every event of the mouse in it (see `PaneProtocol`) but those of the
        wheel; returns whether to keep it from the view, and what to tell the page under whose mouse it happened. A
        release that nobody told of comes as `is_cancelled`.
    on_cancel : called when what is held will not be let go of.
    """

    def __init__(
        self, server: Server, slicer_app: SlicerApp, on_pointer: PointerListener, on_cancel: Callable[[], None]
    ) -> None:
        self._server = server
        self._on_pointer = on_pointer
        self._fitted: dict[str, tuple[float, float]] = {}
        self._on_cancel = on_cancel
        # The buttons that are held: in which view, and the last that was heard of them.
        self._held: dict[str, tuple[str, dict[str, Any]]] = {}
        self.protocol = PaneProtocol(self._take_pointer, self.step, self.go_to_end, self._take_cancel)
        factory = _Factory(self.protocol, self._resizing)
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
        self._bars = {name: ScaleBar(view) for name, view in self.slices.items()}
        self._show_cube()
        server.state.slices_in_3d = False
        server.state.change("slices_in_3d")(lambda **state: self._show_slices_in_3d())

    def show_volume(self, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show a CT in all slice views, whole and centred."""
        self._volume = volume
        for name, view in self.slices.items():
            view.set_background_volume_id(volume.GetID())
            view.set_foreground_volume_id(None)
            view.set_ruler(slicer.vtkMRMLAbstractViewNode.RulerTypeThin)
            view.reset_view()
            self._fitted[name] = self._field_of_view(view)
            self._publish(name, view)
        self.three_d.reset_view()
        self._show_cube()
        self._show_slices_in_3d()

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

    def show_scale(self, colors: slicer.vtkMRMLColorNode | None, top: float = 1.0) -> None:
        """Show in every slice view what the colours of the overlay stand for, from 0 to `top`; None: no overlay."""
        for bar in self._bars.values():
            bar.show(colors, top)

    def _show_cube(self) -> None:
        # A scene that is opened or cleared brings the view's node back as it was made.
        self.three_d.set_orientation_marker(
            slicer.vtkMRMLAbstractViewNode.OrientationMarkerTypeCube,
            slicer.vtkMRMLAbstractViewNode.OrientationMarkerSizeMedium,
        )

    def _show_slices_in_3d(self) -> None:
        is_shown = bool(self._server.state.slices_in_3d) and self._volume is not None
        for view in self.slices.values():
            view.set_visible_in_3d(is_shown)
        self.three_d.schedule_render()

    def draw_slices(self) -> None:
        """Draw the slices again: Slicer's views do not notice when the opacity of a layer alone changes."""
        for view in self.slices.values():
            view.schedule_render()

    async def close(self) -> None:
        """Stop drawing."""
        for pane in self._factory.panes():
            await pane.stream.close()

    # --- Mouse and size ---

    def let_go(self) -> None:
        """End what the mouse is doing: where its buttons went up nobody tells, or it shall not go on."""
        held, self._held = self._held, {}
        for button, (name, event) in held.items():
            self._take_pointer(name, {**event, "type": f"{button}Release", "buttons": 0, "is_cancelled": True})

    def pass_on(self, view: SliceView, event: dict[str, Any]) -> None:
        """Let a slice view itself hear of an event of the mouse, now."""
        name = next(name for name, each in self.slices.items() if each is view)
        self._factory.window(name).interact(event)

    def _take_cancel(self) -> None:
        self.let_go()
        self._on_cancel()

    def _remember_buttons(self, name: str, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "MouseMove" and not event["buttons"]:
            self.let_go()  # somewhere else they went up
        elif kind == "MouseMove":
            self._held = {key: (where, event if where == name else last) for key, (where, last) in self._held.items()}
        elif kind.endswith("Press"):
            self._held[kind.removesuffix("Press")] = name, event
        elif kind.endswith("Release"):
            self._held.pop(kind.removesuffix("Release"), None)

    def _take_pointer(self, name: str, event: dict[str, Any]) -> dict[str, Any] | None:
        self._remember_buttons(name, event)
        if name == THREE_D_VIEW:
            if event["type"] == "MouseWheel":
                self.three_d.zoom(0.1 * event["ticks"])
                self.three_d.schedule_render()
            elif event["type"] != REMOVE_CLICK:
                self._factory.window(name).interact(event)
            return None
        view = self.slices[name]
        if event["type"] == "MouseWheel":
            self.step(name, event["ticks"])
            return None
        is_kept, values = self._on_pointer(view, event)
        if not is_kept:
            self._factory.window(name).interact(event)
        return values

    def step(self, name: str, slices: int) -> None:
        """Move a view by a number of slices, within the CT; the 3D view has none."""
        view = self.slices.get(name)
        if view is None:
            return
        lowest, highest = view.get_slice_range()
        step = view.get_slice_step()
        self._move(view, min(max(view.get_slice_value() + slices * step, lowest), highest))

    def go_to_end(self, name: str, last: bool) -> None:
        """Show a view's first or last slice."""
        if name in self.slices:
            self._move(self.slices[name], self.slices[name].get_slice_range()[int(last)])

    def _move(self, view: SliceView, offset: float) -> None:
        with self.drawing_only(view):
            view.set_slice_value(offset)

    @contextmanager
    def drawing_only(self, view: AbstractView) -> Iterator[None]:
        """Keep the other slices from being drawn again, by a change that they show nothing of.

        Where a slice lies is drawn into the others by the page, and surfaces are in the 3D view alone.
        """
        others = [other for other in self.slices.values() if other is not view]
        before = [other.is_render_blocked for other in others]
        try:
            for other in others:
                other._is_render_blocked = True  # set_render_blocked would draw it at the end
            yield
        finally:
            for other, was_blocked in zip(others, before, strict=True):
                other._is_render_blocked = was_blocked

    @contextmanager
    def _resizing(self, name: str) -> Iterator[None]:
        """Show the same as before in a window of another size: all of the CT, or what a person zoomed to."""
        view = self.slices.get(name) if self._volume is not None else None
        was_fitted = view is not None and self._fitted.get(name) == self._field_of_view(view)
        yield
        if was_fitted:
            self._fit(name)

    def _fit(self, name: str) -> None:
        """Fit the CT into a view, at the slice that it shows."""
        view = self.slices.get(name) if self._volume is not None else None
        if view is not None:
            offset = view.get_slice_value()
            view.fit_view_to_content()
            view.set_slice_value(offset)
            self._fitted[name] = self._field_of_view(view)

    def _field_of_view(self, view: SliceView) -> tuple[float, float]:
        return tuple(round(side, 3) for side in view.get_view_node().GetFieldOfView()[:2])

    # --- State ---

    def _connect_slider(self, name: str, view: SliceView) -> None:
        self._publish(name, view)
        view.modified.connect(lambda changed: self._publish(name, changed))

        @self._server.state.change(f"{name}_offset")
        def move(**state: Any) -> None:
            offset = float(state[f"{name}_offset"])
            if abs(offset - view.get_slice_value()) > 1e-3:
                self._move(view, offset)

    def _publish(self, name: str, view: SliceView) -> None:
        """Write the view's slice, letters and range into the page's state."""
        node = view.get_view_node()
        matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        normal = max(range(3), key=lambda axis: abs(matrix[axis, 2]))
        along = matrix[normal, 3]
        lowest, highest = view.get_slice_range()
        step = view.get_slice_step()
        count = max(1, round((highest - lowest) / step) + 1)
        number = min(max(round((view.get_slice_value() - lowest) / step) + 1, 1), count)
        with self._server.state as state:
            state[f"{name}_offset"] = round(view.get_slice_value(), 3)
            state[f"{name}_pane"] = {
                "right": _letter(matrix[:3, 0]),
                "left": _letter(-matrix[:3, 0]),
                "top": _letter(matrix[:3, 1]),
                "bottom": _letter(-matrix[:3, 1]),
                "spoken": f"slice {number} of {count}",
                "number": number,
                "count": count,
                "position": f"{_LETTERS[normal][int(along >= 0)]} {abs(along):.1f} mm",
                "min": round(lowest, 3),
                "max": round(highest, 3),
                "step": round(step, 3),
            }


def _letter(direction: Any) -> str:
    axis = max(range(3), key=lambda each: abs(direction[each]))
    return _LETTERS[axis][int(direction[axis] > 0)]


class _Factory(IViewFactory):
    """Makes a Slicer view and its stream of pictures."""

    def __init__(self, protocol: PaneProtocol, resizing: Callable[[str], AbstractContextManager[None]]) -> None:
        super().__init__()
        self._protocol = protocol
        self._resizing = resizing
        self._turns = Turns()

    def panes(self) -> list[_Pane]:
        return list(self._views.values())

    def window(self, name: str) -> ViewWindow:
        return self._protocol.window(name)

    def can_create_view(self, view: ViewLayoutDefinition) -> bool:
        return isinstance(view.view_type, ViewType)

    def _get_slicer_view(self, view: _Pane) -> AbstractView:
        return view.view

    def _create_view(
        self,
        definition: ViewLayoutDefinition,
        scene: slicer.vtkMRMLScene,
        app_logic: slicer.vtkMRMLApplicationLogic,
    ) -> _Pane:
        name = definition.singleton_tag
        is_slice = definition.view_type is ViewType.SLICE_VIEW
        view = (SliceView if is_slice else ThreeDView)(scene=scene, app_logic=app_logic, name=name)
        # Without a GPU every sample is paid for; the surface alone profits from smoother edges.
        view.render_window().SetMultiSamples(0 if is_slice else 4)
        view.renderer().SetUseDepthPeeling(False)
        if is_slice:
            view.set_background_color_from_string(_BACKGROUND)
        view.set_view_properties(definition.properties)
        window = ViewWindow(view, resizing=lambda: self._resizing(name))
        # The surface is what takes longest, and slices are what people correct in.
        stream = ViewStream(
            window, lambda content, meta: self._protocol.send(name, content, meta), self._turns, rank=int(not is_slice)
        )
        view.set_scheduled_render(stream)
        self._protocol.add(name, window, stream)
        return _Pane(view, window, stream)
