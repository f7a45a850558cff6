"""Window and level of the CT: presets, numbers, and what a drag in a slice makes of them."""

from __future__ import annotations

import slicer

from .workspace import Workspace

PRESETS = {
    "Abdomen 400 / 40": (400.0, 40.0),
    "Pancreas 250 / 70": (250.0, 70.0),
    "Liver 150 / 60": (150.0, 60.0),
    "Lung 1500 / −600": (1500.0, -600.0),
    "Bone 1800 / 400": (1800.0, 400.0),
}
_NARROWEST, _WIDEST, _FARTHEST = 1.0, 10000.0, 10000.0


class WindowLevel:
    """Window and level of the workspace's CT.

    State: `window` (the name of the preset, or "Own" where a drag or numbers made it) and `windows` (choices);
    `window_width` and `window_center` (HU, two ways).
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._observed: tuple[slicer.vtkMRMLScalarVolumeDisplayNode, int] | None = None
        first = next(iter(PRESETS))
        workspace.server.state.update(
            {
                "window": first,
                "windows": [*PRESETS, "Own"],
                "window_width": PRESETS[first][0],
                "window_center": PRESETS[first][1],
            }
        )
        workspace.server.state.change("window")(lambda **state: self._take_preset())
        workspace.server.state.change("window_width", "window_center")(lambda **state: self._take_numbers())
        workspace.server.controller.add("reset_window")(self.reset)

    def begin(self) -> None:
        """Show the workspace's new CT in the window that is chosen."""
        if self._observed is not None:
            self._observed[0].RemoveObserver(self._observed[1])
        display = self._workspace.require_volume().GetDisplayNode()
        state = self._workspace.server.state
        display.AutoWindowLevelOff()
        display.SetWindowLevel(float(state.window_width), float(state.window_center))
        self._observed = display, display.AddObserver("ModifiedEvent", lambda *_: self._publish())

    def reset(self) -> None:
        """Go back to the first preset."""
        self._set(*next(iter(PRESETS.values())))
        self._publish()

    def _take_preset(self) -> None:
        window = PRESETS.get(self._workspace.server.state.window)
        if window is not None:
            self._set(*window)

    def _take_numbers(self) -> None:
        state = self._workspace.server.state
        try:
            width, center = float(state.window_width), float(state.window_center)
        except (TypeError, ValueError):  # while a number is being typed
            return
        if _NARROWEST <= width <= _WIDEST and abs(center) <= _FARTHEST:
            self._set(width, center)

    def _set(self, width: float, center: float) -> None:
        if self._workspace.volume is not None:
            display = self._workspace.volume.GetDisplayNode()
            if (round(display.GetWindow()), round(display.GetLevel())) != (round(width), round(center)):
                display.SetWindowLevel(width, center)

    def _publish(self) -> None:
        if self._workspace.volume is None:
            return
        display = self._workspace.volume.GetDisplayNode()
        now = (float(round(display.GetWindow())), float(round(display.GetLevel())))
        name = next((name for name, window in PRESETS.items() if window == now), "Own")
        self._workspace.show(window=name, window_width=now[0], window_center=now[1])
