"""The reliability diagram as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw, ImageFont

COLORS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167))
_SIDE = 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 70, 40, 20, 60
_LINE = 20


def draw_reliability(diagrams: Mapping[str, Mapping[str, Any]]) -> Image.Image:
    """Draw one line per diagram: observed part over mean predicted probability, and the diagonal that is ideal.

    Parameters
    ----------
    diagrams : result of `calibration.reliability` by name. The size of a mark tells the voxels of its bin.
    """
    height = _TOP + _SIDE + _BOTTOM + _LINE * len(diagrams)
    page = Image.new("RGB", (_LEFT + _SIDE + _RIGHT, height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    _draw_axes(draw, font)
    for number, (name, diagram) in enumerate(diagrams.items()):
        color = COLORS[number % len(COLORS)]
        rows = [row for row in diagram["bins"] if row["voxels"]]
        points = [_at(row["mean_predicted"], row["observed"]) for row in rows]
        if len(points) > 1:
            draw.line(points, fill=color, width=2)
        for (x, y), row in zip(points, rows, strict=True):
            radius = 3 + 7 * (row["voxels"] / diagram["voxels"]) ** 0.5
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=2)
        error = diagram["expected_calibration_error"]
        text = f"{name}: expected calibration error " + ("not defined" if error is None else f"{error:.3f}")
        draw.text((_LEFT, _TOP + _SIDE + _BOTTOM + _LINE * number - 6), text, fill=color, font=font)
    return page


def _draw_axes(draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    draw.rectangle((*_at(0, 1), *_at(1, 0)), outline=(120, 120, 120))
    draw.line((*_at(0, 0), *_at(1, 1)), fill=(190, 190, 190), width=1)
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        (x, bottom), (left, y) = _at(tick, 0), _at(0, tick)
        draw.line((x, bottom, x, bottom + 5), fill=(120, 120, 120))
        draw.line((left - 5, y, left, y), fill=(120, 120, 120))
        draw.text((x, bottom + 8), f"{tick:g}", fill="black", font=font, anchor="ma")
        draw.text((left - 9, y), f"{tick:g}", fill="black", font=font, anchor="rm")
    draw.text((_LEFT + _SIDE / 2, _TOP + _SIDE + 28), "mean predicted probability", "black", font, anchor="ma")
    draw.text((_LEFT, 12), "observed part that is labelled, within 10 mm of label or segment", "black", font)


def _at(x: float, y: float) -> tuple[float, float]:
    return _LEFT + x * _SIDE, _TOP + (1 - y) * _SIDE
