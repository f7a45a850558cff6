"""The page of the overview picture: six slices in two rows, patient directions, a colour bar and a line of text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
BACKGROUND = (18, 18, 20)
TEXT = (235, 235, 235)
QUIET_TEXT = (165, 165, 170)
DIRECTION_TEXT = (255, 226, 120)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Panel:
    """One drawn slice: its title, RGB pixels (rows, columns, 3) and the letters at its left, right, top and bottom."""

    title: str
    pixels: np.ndarray
    letters: tuple[str, str, str, str]


@dataclass(frozen=True)
class ColorBar:
    """What the overlay's colours mean: a title, the colours of 0 to 1 (n, 3; 0..1), the lowest value shown."""

    title: str
    colors: np.ndarray
    lowest: float


def panel_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height in pixels of each of the six slices on a page of `size`."""
    width, height = size
    return (width - 4 * GAP) // 3, (height - _footer_height(size) - 3 * GAP) // 2


def compose(panels: list[Panel], heading: str, details: str, bar: ColorBar, size: tuple[int, int]) -> Image.Image:
    """Return the page: the first three panels above the other three, then heading and details beside the colour bar."""
    page = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(page)
    width, height = panel_size(size)
    font_size = max(11, height // 24)
    for index, panel in enumerate(panels):
        left = GAP + (index % 3) * (width + GAP)
        top = GAP + (index // 3) * (height + GAP)
        page.paste(Image.fromarray(panel.pixels), (left, top))
        _letter_panel(draw, panel, (left, top, left + width, top + height), font_size)
    _write_footer(page, draw, heading, details, bar)
    return page


def _letter_panel(draw: ImageDraw.ImageDraw, panel: Panel, box: tuple[int, int, int, int], font_size: int) -> None:
    left, top, right, bottom = box
    pad = font_size // 2
    font = ImageFont.load_default(font_size)
    places = (
        (left + pad, (top + bottom) // 2, "lm"),
        (right - pad, (top + bottom) // 2, "rm"),
        ((left + right) // 2, top + pad, "mt"),
        ((left + right) // 2, bottom - pad, "mb"),
    )
    for letter, (x, y, anchor) in zip(panel.letters, places, strict=True):
        _text(draw, (x, y), letter, font, DIRECTION_TEXT, anchor)
    _text(draw, (left + pad, top + pad), panel.title, font, TEXT, "lt")


def _write_footer(page: Image.Image, draw: ImageDraw.ImageDraw, heading: str, details: str, bar: ColorBar) -> None:
    width, height = page.size
    footer = _footer_height(page.size)
    top = height - footer
    pad = footer // 6
    large, small = ImageFont.load_default(round(footer * 0.30)), ImageFont.load_default(round(footer * 0.20))
    bar_width = width // 4
    left = width - bar_width - 3 * pad
    room = left - 6 * pad
    _text(draw, (3 * pad, top + pad), _fitted(draw, heading, large, room), large, TEXT, "lt")
    _text(draw, (3 * pad, height - pad), _fitted(draw, details, small, room), small, QUIET_TEXT, "lb")
    _text(draw, (left, top + pad), bar.title, small, TEXT, "lt")
    colors = (bar.colors * 255).round().astype(np.uint8)[None]
    bar_top, bar_height = top + round(footer * 0.40), round(footer * 0.22)
    page.paste(Image.fromarray(colors).resize((bar_width, bar_height)), (left, bar_top))
    hidden = left + round(bar.lowest * bar_width)
    draw.rectangle((left, bar_top, hidden, bar_top + bar_height - 1), fill=(45, 45, 48))
    for value, anchor in ((0.0, "lb"), (bar.lowest, "mb"), (1.0, "rb")):
        _text(draw, (left + round(value * bar_width), height - pad), f"{value:.1f}", small, QUIET_TEXT, anchor)


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: Font, room: int) -> str:
    """Return the text, cut with an ellipsis where it is wider than `room` pixels."""
    if draw.textlength(text, font) <= room:
        return text
    while text and draw.textlength(f"{text}…", font) > room:
        text = text[:-1]
    return f"{text}…"


def _text(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    font: Font,
    fill: tuple[int, int, int],
    anchor: str,
) -> None:
    draw.text(place, text, font=font, fill=fill, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def _footer_height(size: tuple[int, int]) -> int:
    return max(44, size[1] // 12)
