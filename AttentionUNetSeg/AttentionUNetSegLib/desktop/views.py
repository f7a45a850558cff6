"""What the views show: the selected result over its CT, by default no other, and its surface in 3D."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..errors import AttentionUNetSegError
from ..scene import ResultNodes, center_slices, show_also_others, show_ct, show_only
from ..scene.showing import hide_all, look_at_result
from ..scene.surface import is_surface_wished, surface_in_parts
from ..scene.volumes import PRESETS, set_window, set_window_unless_chosen, window_name
from .delayed_call import DelayedCall
from .messages import Messages
from .parameters import Selection

if TYPE_CHECKING:
    from ..session.editing import ResultEditor

# The surface costs more than the segment, so it comes back when mouse and keys have rested for so long.
_REST_MILLISECONDS = 300


class Views(VTKObservationMixin):
    """Keeps the views at the selected result, or at the selected CT where there is none.

    Parameters
    ----------
    is_ct : returns whether nothing speaks against the selected volume being a CT.
    """

    def __init__(self, ui: Any, selection: Selection, messages: Messages, is_ct: Callable[[], bool]) -> None:
        VTKObservationMixin.__init__(self)
        self._ui, self._selection, self._messages, self._is_ct = ui, selection, messages, is_ct
        self._is_filling = False
        self._window = DelayedCall(0, self._show_window)
        self.is_next_new = False
        ui.showOnlyThisCheckBox.toggled.connect(self._on_only_this)
        ui.windowComboBox.addItem(_("As it is"))
        for name, (width, level) in PRESETS.items():
            ui.windowComboBox.addItem(f"{name} ({width:.0f} / {level:.0f})")
        ui.windowComboBox.connect("currentIndexChanged(int)", self._on_window)

    def show(self, editor: ResultEditor | None, is_new: bool) -> None:
        """Show a result over its CT, or the selected CT alone; nothing where neither is there."""
        volume = self._selection.volume
        with self._messages.errors(is_action=False):
            if editor is not None:
                set_window_unless_chosen(editor.nodes.volume)
                show_result(editor.nodes, self._ui.showOnlyThisCheckBox.checked, is_new or self.is_next_new)
            elif volume is not None and volume.GetImageData() is not None:
                if self._is_ct():
                    set_window_unless_chosen(volume)
                show_volume(volume)
        self.follow_window()

    def look(self) -> None:
        """Turn the camera to the surface that has just been made, unless the person has moved it."""
        if self._selection.editor is not None:
            look_at_result(self._selection.editor.nodes)

    def follow_window(self) -> None:
        """Show which window the CT is in, now and whenever somebody changes it in the views."""
        self.removeObservers()
        display = self._selection.volume.GetDisplayNode() if self._selection.volume is not None else None
        if display is not None:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._on_display)
        self._show_window()

    def close(self) -> None:
        """Observe nothing any more."""
        self._window.drop()
        self.removeObservers()

    def _on_display(self, _display: object, _event: object) -> None:
        self._window.request()

    def _show_window(self) -> None:
        volume = self._selection.volume
        name = window_name(volume) if volume is not None else None
        self._is_filling = True
        self._ui.windowComboBox.enabled = volume is not None
        self._ui.windowComboBox.setCurrentIndex(0 if name is None else 1 + list(PRESETS).index(name))
        self._is_filling = False

    def _on_only_this(self, _checked: bool) -> None:
        if self._selection.editor is not None:
            self.show(self._selection.editor, is_new=False)

    def _on_window(self, index: int) -> None:
        volume = self._selection.volume
        if not self._is_filling and index > 0 and volume is not None:
            set_window(volume, list(PRESETS)[index - 1])


class SurfaceAtRest:
    """Makes a result's 3D surface when the person has come to rest, and leaves it out while the result changes.

    Making it takes far longer than the segment itself, so it is made in parts, between which Qt's event loop goes on.

    Parameters
    ----------
    on_first : called when the surface of a new result was made.
    """

    def __init__(self, logic: Any, selection: Selection, on_first: Callable[[], None]) -> None:
        self._logic, self._selection, self._on_first = logic, selection, on_first
        self._is_first = False
        self._left_out_of: Any = None  # the segmentation node
        self._making: dict[Any, tuple[Iterator[None], bool]] = {}  # by the node: what is left to do, and `_is_first`
        self._rest = DelayedCall(_REST_MILLISECONDS, self.begin)
        self._next = DelayedCall(0, self._go_on)

    def leave_out(self) -> None:
        """Take the selected result's surface away, if it has one; call it before every change."""
        editor, result = self._selection.editor, self._selection.result
        if editor is None:
            return
        if self._left_out_of is not None and self._left_out_of is not result:
            self.begin()
        begun, is_first = self._making.pop(result, (None, False))
        self._is_first = self._is_first or is_first
        if begun is not None or is_surface_wished(editor.nodes):  # one that is not even begun is not yet wished for
            self._logic.showSurface(result, False)
            self._left_out_of = result
        self._rest.drop()
        self._rest.request()

    def make_later(self) -> None:
        """Make the surface of the selected result, which is new."""
        self.begin()
        self._left_out_of, self._is_first = self._selection.result, True
        self._rest.request()

    def make(self) -> None:
        """Begin to make the surface of the selected result."""
        self.begin()
        self._left_out_of = self._selection.result
        self.begin()

    def begin(self) -> None:
        """Begin to make the surface that was left out; also that of a result that is no longer the selected one."""
        self._rest.drop()
        result, self._left_out_of = self._left_out_of, None
        is_first, self._is_first = self._is_first, False
        editor = self._logic.editor(result) if result is not None else None
        if editor is not None:
            self._making[result] = (surface_in_parts(editor.nodes), is_first)
            self._next.request()

    def finish(self) -> None:
        """Make everything now that was left out: there will be no event loop."""
        self.begin()
        while self._making:
            self._go_on()
        self._next.drop()

    def forget(self) -> None:
        """Leave it as it is: the person decides about it now, or the scene closes."""
        self._rest.drop()
        self._next.drop()
        self._making.clear()
        self._left_out_of, self._is_first = None, False

    def _go_on(self) -> None:
        """Do the next part."""
        if not self._making:
            return
        result, (parts, is_first) = next(iter(self._making.items()))
        with suppress(StopIteration, AttentionUNetSegError):  # its segment was removed: any change says so
            if result.GetScene() is not None:
                next(parts)
                self._next.request()
                return
        self._making.pop(result, None)
        if is_first and result is self._selection.result:
            self._on_first()
        if self._making:
            self._next.request()


def show_result(nodes: ResultNodes, only_this: bool, is_new: bool = False) -> None:
    """Show a result over its own CT in all slice views; center them where they showed another CT, or for a new one."""
    before = {node.GetID(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", nodes.scene)}
    changed = {node.GetID() for node in show_ct(nodes.scene, nodes.volume)}
    (show_only if only_this else show_also_others)(nodes)
    _fit([node for key, node in before.items() if key in changed])
    center_slices(nodes, [node for key, node in before.items() if is_new or key in changed])
    look_at_result(nodes)


def show_volume(volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show a CT that has no result selected: nothing of any result lies over it."""
    hide_all(volume_node.GetScene())
    _fit(show_ct(volume_node.GetScene(), volume_node))


def _fit(slice_nodes: list[slicer.vtkMRMLSliceNode]) -> None:
    """Let slice views that show another CT than before show the whole of it."""
    application = slicer.app.applicationLogic()
    for node in slice_nodes:
        logic = application.GetSliceLogic(node)
        if logic is not None:  # a view that is in the scene, and in no window
            logic.FitSliceToBackground()
