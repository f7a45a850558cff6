"""The overview picture of a result: six slices and their legend on one page, drawn without a window.

`rendering` is where it begins; `planes` says where to cut, `picture_scene` draws the slices in a scene of their own,
`page` puts them together, and `offscreen` finds out whether this computer can draw at all.
"""

from .offscreen import RenderingUnavailable
from .rendering import render_overview

__all__ = ["RenderingUnavailable", "render_overview"]
