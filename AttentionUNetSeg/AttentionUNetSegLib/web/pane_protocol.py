"""What a page and the server say to each other about the views: sizes, pictures, mouse and keys.

Several pages may look at one view. It has one size at a time, that of the page in which a mouse is over it; every
place that a page names is a fraction of the picture which that page shows, so that clicks land where they were made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from wslink import register as export_rpc
from wslink.websocket import LinkProtocol

from .streaming import ViewStream, ViewWindow

_PICTURE_TOPIC = "attentionunetseg.picture"
_LONGEST_TRAIL = 500
_BUTTONS = ("Left", "Middle", "Right")
# Of a key, but it means a place: the click there shall go.
REMOVE_CLICK = "RemoveClick"
# Nobody will say when the buttons go up that are held.
_CANCEL = "Cancel"
POINTER_EVENTS = frozenset(
    {"MouseMove", "MouseWheel", REMOVE_CLICK}
    | {f"{name}Button{what}" for name in _BUTTONS for what in ("Press", "Release")}
)
MODIFIERS = {"shift": "shiftKey", "ctrl": "controlKey", "alt": "altKey"}

Pointer = Callable[[str, dict[str, Any]], Any]


class PaneProtocol(LinkProtocol):
    """The calls of `static/panes.js`, and the topic that pictures are sent on.

    Parameters
    ----------
    on_pointer : takes a view's name and an event: `type`, `x`, `y` (pixels of the view now, from the lower left),
        `shiftKey`, `controlKey`, `altKey`, `ticks` of a wheel, `ras` (world, mm; of the picture that the person saw;
        None in 3D), `mm_per_pixel` of that picture, `buttons` (0 where none is held). What it returns goes to the page
        that sent the event.
    on_step, on_end : move a view by a number of slices, and to its last slice (or first).
    on_cancel : called when what is held will not be let go of: the system took the mouse away, or a page has gone.
    """

    def __init__(
        self,
        on_pointer: Pointer,
        on_step: Callable[[str, int], None],
        on_end: Callable[[str, bool], None],
        on_cancel: Callable[[], None],
    ) -> None:
        super().__init__()
        self._on_cancel = on_cancel
        self._on_step = on_step
        self._on_end = on_end
        self._on_pointer = on_pointer
        self._panes: dict[str, tuple[ViewWindow, ViewStream]] = {}
        self._sizes: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, name: str, window: ViewWindow, stream: ViewStream) -> None:
        """Let pages see a view."""
        self._panes[name] = (window, stream)

    def window(self, name: str) -> ViewWindow:
        """Return a view's window."""
        return self._panes[name][0]

    def send(self, name: str, content: bytes, meta: dict[str, Any]) -> None:
        """Send a picture of a view to all pages."""
        self.publish(_PICTURE_TOPIC, {"name": name, "meta": meta, "content": content})

    def onClose(self, client_id: str) -> None:  # noqa: N802 (wslink's name)
        """Called by wslink with every page that goes."""
        self._on_cancel()

    @export_rpc("attentionunetseg.size")
    def take_size(self, client: str, name: str, width: float, height: float) -> None:
        """A pane of a page has this size, in pixels of the screen; at the start and whenever it changes."""
        if name in self._panes and _is_number(width) and _is_number(height) and min(width, height) >= 1:
            self._sizes[client, name] = (int(width), int(height))
            window, stream = self._panes[name]
            window.resize(*self._sizes[client, name])
            stream.schedule_render()

    @export_rpc("attentionunetseg.shown")
    def take_shown(self, name: str, number: int) -> None:
        """A page shows the picture of this number."""
        if name in self._panes and _is_number(number):
            self._panes[name][1].acknowledge(int(number))

    @export_rpc("attentionunetseg.step")
    def take_step(self, name: str, slices: int) -> None:
        """A key moves a view by a number of slices."""
        if name in self._panes and _is_number(slices):
            self._on_step(name, int(slices))

    @export_rpc("attentionunetseg.end")
    def take_end(self, name: str, last: bool) -> None:
        """A key shows a view's first or last slice."""
        if name in self._panes:
            self._on_end(name, bool(last))

    @export_rpc("attentionunetseg.pointer")
    def take_pointer(self, client: str, name: str, event: dict[str, Any]) -> Any:
        """Mouse or wheel did something over a picture: `type`, `picture` (its number), `left`, `top` (fractions).

        A move may bring `trail`, the places that the mouse was at since the last one that was sent.
        """
        if isinstance(event, dict) and event.get("type") == _CANCEL:
            self._on_cancel()
            return None
        if name not in self._panes or not isinstance(event, dict) or event.get("type") not in POINTER_EVENTS:
            return None
        trail = event.pop("trail", None)
        for place in trail[-_LONGEST_TRAIL:] if isinstance(trail, list) else ():
            if isinstance(place, dict):
                self._take_place(client, name, {**event, **place})
        return self._take_place(client, name, event)

    def _take_place(self, client: str, name: str, event: dict[str, Any]) -> Any:
        if not (_is_number(event.get("left")) and _is_number(event.get("top"))):
            return None
        window, stream = self._panes[name]
        geometry = stream.geometry(event.get("picture", 0))
        if geometry is None:
            return None  # a picture that is long gone: nobody means a place in it
        left, top = float(event["left"]), float(event["top"])
        size = self._sizes.get((client, name))
        if size is not None and event["type"] == "MouseMove" and not event.get("buttons"):
            window.resize(*size)  # another page may have changed it
        width, height = window.size
        matrix = geometry.xy_to_ras
        return self._on_pointer(
            name,
            {
                "type": event["type"],
                "x": math.floor(left * width),
                "y": math.floor((1.0 - top) * height),
                "ticks": int(event.get("ticks", 0)),
                "buttons": int(event.get("buttons", 0)),
                "ras": geometry.position(left, top),
                "mm_per_pixel": None if matrix is None else math.hypot(*(float(n) for n in matrix[:3, 0])),
                **{key: int(bool(event.get(sent))) for sent, key in MODIFIERS.items()},
            },
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
