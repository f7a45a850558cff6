"""One picture of a result: three planes through the pancreas with its contour, and the same planes with attention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BadInput
from ...whole_file import whole_file
from .. import provenance
from ..results import ResultNodes
from ..segment import segment_id_of, segment_volume_ml
from .offscreen import require_offscreen_rendering
from .planes import choose_planes

if TYPE_CHECKING:
    from .page import ColorBar
    from .picture_scene import PictureScene


PLANES = ("Axial", "Coronal", "Sagittal")
OVERLAY_OPACITY = 0.6
SMALLEST = (600, 340)


def render_overview(nodes: ResultNodes, path: Path | str, size: tuple[int, int] = (1800, 1000)) -> None:
    """Write a PNG of the result: axial, coronal and sagittal with the contour, below them the same with attention.

    The planes are those that cut the largest area of the segment, in the abdomen window (W 400, L 40 HU), all
    at one scale that shows the whole body. Attention outside of the body is not drawn. A network without gates has
    its probability shown instead of attention; a hidden segment has no contour. Drawn by Slicer's own slice views,
    off screen, in a scene of their own: the caller's scene, its views and its display settings are not touched.

    Parameters
    ----------
    size : width and height of the picture in pixels, at least 600 x 340.

    Raises
    ------
    RenderingUnavailable : this machine cannot draw without a display; the message names the package to
        install.
    BadInput : the picture is too small, the folder does not exist, or the segment was removed.
    CannotWrite : the file could not be written.
    """
    path = Path(path)
    if size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
        raise BadInput(f"A picture of {size[0]} x {size[1]} pixels is too small: 600 x 340 is the least.")
    if not path.parent.is_dir():
        raise BadInput(f"{path.name} cannot be written: there is no folder {path.parent}.")
    require_offscreen_rendering()
    # Only here: desktop Slicer has neither trame_slicer nor PIL.
    from .page import Panel, compose, panel_size
    from .picture_scene import open_picture_scene

    overlay = nodes.attention[0] if nodes.attention else nodes.probability
    planes = choose_planes(nodes, panel_size(size))
    panels = []
    has_attention = bool(nodes.attention)
    with open_picture_scene(nodes, overlay, panel_size(size), within_body=has_attention) as picture:
        bar = _color_bar(picture, "Attention of the finest gate, in the body" if has_attention else "Probability")
        for opacity in (0.0, OVERLAY_OPACITY):
            for plane in PLANES:
                pixels = picture.draw(plane, planes.middle[plane], planes.mm_per_pixel, opacity)
                title = f"{plane}, {bar.title.split()[0].lower()}" if opacity else plane
                panels.append(Panel(title, pixels, _letters(picture)))
    page = compose(panels, _heading(nodes), _details(nodes), bar, size)
    with whole_file(path) as beside:
        page.save(beside, format="PNG")


def _heading(nodes: ResultNodes) -> str:
    volume_ml = segment_volume_ml(nodes)
    found = f"{volume_ml:.1f} mL" if volume_ml else "nothing found"
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id_of(nodes))
    threshold = float(provenance.read(nodes.segmentation, "threshold") or "nan")
    return f"{segment.GetName()}: {found} at threshold {threshold:.2f}"


def _details(nodes: ResultNodes) -> str:
    model = [provenance.read(nodes.segmentation, key) for key in ("model.name", "model.version")]
    date = (provenance.read(nodes.segmentation, "date") or "")[:10]
    return "   |   ".join(part for part in (nodes.volume.GetName(), " ".join(filter(None, model)), date) if part)


def _letters(picture: PictureScene) -> tuple[str, str, str, str]:
    """Return the patient directions at the left, right, top and bottom of the plane that was drawn last."""
    right, up = picture.directions()
    return _direction(-right), _direction(right), _direction(up), _direction(-up)


def _direction(ras: np.ndarray) -> str:
    axis = int(np.abs(ras).argmax())
    return "RAS"[axis] if ras[axis] > 0 else "LPI"[axis]


def _color_bar(picture: PictureScene, title: str) -> ColorBar:
    from .page import ColorBar

    colors, lowest = picture.overlay_colors()
    return ColorBar(title, colors, lowest)
