"""Keys for what hands do most: tools, undo, threshold, overlay, hide. They work while the panel is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import qt
import slicer

if TYPE_CHECKING:
    from .panel import Panel


class Keys:
    """Shortcuts of the main window. With Shift, where a letter alone may be one of the views' or a text's own."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.shortcuts: list = []
        window = slicer.util.mainWindow()
        if window is None:
            return
        ui = panel.ui
        for keys, function in (
            ("Shift+A", lambda: _click(ui.addClickButton)),
            ("Shift+R", lambda: _click(ui.removeClickButton)),
            ("Ctrl+Z", lambda: _click(ui.undoButton)),
            ("Ctrl+Y", lambda: _click(ui.redoButton)),
            ("Shift+D", lambda: _next(ui.toolComboBox)),
            ("Shift+Up", lambda: _step(ui.thresholdSlider, 1)),
            ("Shift+Down", lambda: _step(ui.thresholdSlider, -1)),
            ("Shift+T", lambda: self._open(ui.resultCollapsibleButton, ui.thresholdSlider)),
            ("Shift+O", panel.attention.next_overlay),
            ("Shift+H", panel.result_section.toggle_visibility),
        ):
            self.shortcuts.append(_shortcut(window, keys, function))
        self.enable(False)

    def enable(self, is_enabled: bool) -> None:
        """Let the keys work, or give them back to other modules."""
        for shortcut in self.shortcuts:
            shortcut.enabled = is_enabled

    def close(self) -> None:
        """Take the keys away for good."""
        for shortcut in self.shortcuts:
            shortcut.enabled = False
            shortcut.setParent(None)
        self.shortcuts.clear()

    def _open(self, section: object, widget: object) -> None:
        section.collapsed = False
        widget.setFocus()


def _shortcut(window: object, keys: str, function: Callable[[], None]) -> object:
    shortcut = qt.QShortcut(window)
    shortcut.setKey(qt.QKeySequence(keys))
    shortcut.activated.connect(function)
    shortcut.activatedAmbiguously.connect(function)  # where Slicer's own menu has the key too
    return shortcut


def _click(button: object) -> None:
    if button.enabled:
        button.click()


def _next(choice: object) -> None:
    if choice.enabled:
        choice.setCurrentIndex((choice.currentIndex + 1) % choice.count)


def _step(slider: object, steps: int) -> None:
    if slider.enabled:
        slider.value = slider.value + steps * slider.singleStep  # which keeps to its range
