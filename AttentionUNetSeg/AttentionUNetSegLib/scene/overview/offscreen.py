"""Whether this machine can draw without a display, asked in another process because VTK crashes where it cannot."""

from __future__ import annotations

import functools
import subprocess
import sys
from importlib.util import find_spec

from ...errors import AttentionUNetSegError

_PROBE = """
from vtkmodules.vtkRenderingCore import vtkRenderWindow
import vtkmodules.vtkRenderingOpenGL2
window = vtkRenderWindow()
window.SetOffScreenRendering(True)
window.SetSize(8, 8)
window.Render()
raise SystemExit(0 if window.SupportsOpenGL() else 1)
"""
_LONGEST_SECONDS = 60.0


class RenderingUnavailable(AttentionUNetSegError):
    """No OpenGL library here draws without a display; everything but pictures works."""


def require_offscreen_rendering() -> None:
    """Raise RenderingUnavailable, naming the package to install, where the picture cannot be drawn.

    Takes about half a second the first time.
    """
    # First, because in desktop Slicer, which has no trame_slicer, sys.executable is Slicer itself.
    if find_spec("trame_slicer") is None:
        raise RenderingUnavailable(
            "The picture cannot be drawn: the Python package trame-slicer is not installed.",
            "Install it with: pip install 'attention-unet-seg[standalone]'.",
        )
    if not _can_render():
        hint = (
            "Install them, on Debian and Ubuntu with: apt-get install libegl1 libgl1-mesa-dri libx11-6."
            if sys.platform.startswith("linux")
            else "Run it in a session with a display and an OpenGL driver."
        )
        raise RenderingUnavailable("The picture cannot be drawn: OpenGL libraries (EGL) are missing here.", hint)


def begin_to_find_out() -> None:
    """Ask now, so that `require_offscreen_rendering` waits less for the answer later."""
    if find_spec("trame_slicer") is not None:
        _probe()


@functools.cache
def _probe() -> subprocess.Popen[bytes] | None:
    nowhere = subprocess.DEVNULL
    try:
        return subprocess.Popen([sys.executable, "-c", _PROBE], stdin=nowhere, stdout=nowhere, stderr=nowhere)
    except OSError:
        return None


@functools.cache
def _can_render() -> bool:
    probe = _probe()
    if probe is None:
        return False
    try:
        return probe.wait(_LONGEST_SECONDS) == 0
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.wait()
        return False
