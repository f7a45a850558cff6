"""Which result and which CT the views show: the selected one, and by default no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from ..scene.camera import look_at_result
from ..scene.windowing import PRESETS, set_window, set_window_unless_chosen, window_name
from .views import show_result, show_volume

if TYPE_CHECKING:
    from ..session.editing import ResultEditor
    from .panel import Panel


class ShownResult:
    """Keeps the views at the selected result, or at the selected CT where there is none."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._is_filling = False
        self.is_next_new = False
        ui = self._ui
        ui.showOnlyThisCheckBox.toggled.connect(self._on_only_this)
        ui.windowComboBox.addItem(_("As it is"))
        for name, (width, level) in PRESETS.items():
            ui.windowComboBox.addItem(f"{name} ({width:.0f} / {level:.0f})")
        ui.windowComboBox.connect("currentIndexChanged(int)", self._on_window)

    def show(self, editor: ResultEditor | None, is_new: bool) -> None:
        """Show a result over its CT, or the selected CT alone; nothing where neither is there."""
        volume = self._panel.input.volume
        with self._panel.errors(is_action=False):
            if editor is not None:
                set_window_unless_chosen(editor.nodes.volume)
                show_result(editor.nodes, self._ui.showOnlyThisCheckBox.checked, is_new or self.is_next_new)
            elif volume is not None and volume.GetImageData() is not None:
                if self._panel.input.is_ct:
                    set_window_unless_chosen(volume)
                show_volume(volume)
        self.follow_window()

    def look(self) -> None:
        """Turn the camera to the surface that has just been made, unless the person has moved it."""
        if self._panel.editor is not None:
            look_at_result(self._panel.editor.nodes)

    def follow_window(self) -> None:
        """Show which window the CT is in."""
        volume = self._panel.input.volume
        name = window_name(volume) if volume is not None else None
        self._is_filling = True
        self._ui.windowComboBox.enabled = volume is not None
        self._ui.windowComboBox.setCurrentIndex(0 if name is None else 1 + list(PRESETS).index(name))
        self._is_filling = False

    def _on_only_this(self, _checked: bool) -> None:
        if self._panel.editor is not None:
            self.show(self._panel.editor, is_new=False)

    def _on_window(self, index: int) -> None:
        volume = self._panel.input.volume
        if not self._is_filling and index > 0 and volume is not None:
            set_window(volume, list(PRESETS)[index - 1])
