"""Draws the module's icon: a pancreas in its segment colour under rings of attention. Run it from anywhere.

    python Resources/Icons/draw_icon.py

Writes AttentionUNetSeg/Resources/Icons/AttentionUNetSeg.png, 128 x 128 pixels, RGBA.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

SIZE = 128
OVERSAMPLING = 4
ICON = Path(__file__).resolve().parents[2] / "AttentionUNetSeg" / "Resources" / "Icons" / "AttentionUNetSeg.png"

BACKGROUND = (38, 44, 60)
PANCREAS = (249, 180, 111)
ATTENTION = (229, 80, 52)

# Centre line of the gland from head to tail, in pixels of the icon, and its half width there.
LINE = np.array([(30, 84), (33, 70), (43, 61), (57, 59), (70, 54), (82, 45), (98, 36)], dtype=float)
HALF_WIDTH = np.array([14, 16, 12, 8.5, 9.5, 9, 5.5])
FOCUS = np.array([57.0, 60.0])


def main() -> None:
    """Write the icon."""
    n = SIZE * OVERSAMPLING
    axis = (np.arange(n) + 0.5) / OVERSAMPLING
    points = np.stack(np.meshgrid(axis, axis), axis=-1)  # (row, column, xy)
    image = np.zeros((n, n, 4))
    paint(image, rounded_square(points), BACKGROUND, 1.0)
    paint(image, gland(points), PANCREAS, 1.0)
    distance = np.linalg.norm(points - FOCUS, axis=-1)
    paint(image, distance < 12, ATTENTION, 0.85)
    for radius, opacity in ((22, 0.75), (33, 0.5), (44, 0.3)):
        paint(image, np.abs(distance - radius) < 2, ATTENTION, opacity)
    image[~rounded_square(points)] = 0.0
    small = image.reshape(SIZE, OVERSAMPLING, SIZE, OVERSAMPLING, 4).mean(axis=(1, 3))
    ICON.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(np.round(small).astype(np.uint8), isVector=True), str(ICON))


def paint(image: np.ndarray, where: np.ndarray, color: tuple[int, int, int], opacity: float) -> None:
    """Lay a colour over part of the image."""
    image[where, :3] += opacity * (np.array(color) - image[where, :3])
    image[where, 3] = 255.0


def rounded_square(points: np.ndarray) -> np.ndarray:
    """The whole icon but its corners."""
    radius, half = 22.0, SIZE / 2.0
    outside = np.maximum(np.abs(points - half) - (half - radius), 0.0)
    return np.linalg.norm(outside, axis=-1) <= radius


def gland(points: np.ndarray) -> np.ndarray:
    """The pancreas: discs of changing size along a smooth line."""
    knots = np.linspace(0, len(LINE) - 1, 160)
    x, y, r = (np.interp(knots, np.arange(len(LINE)), values) for values in (LINE[:, 0], LINE[:, 1], HALF_WIDTH))
    inside = np.zeros(points.shape[:2], dtype=bool)
    for center_x, center_y, radius in zip(smooth(x), smooth(y), smooth(r), strict=True):
        inside |= (points[..., 0] - center_x) ** 2 + (points[..., 1] - center_y) ** 2 < radius**2
    return inside


def smooth(values: np.ndarray) -> np.ndarray:
    """Round off the corners of the line."""
    kernel = np.hanning(31)
    return np.convolve(np.pad(values, 15, mode="edge"), kernel / kernel.sum(), mode="valid")


if __name__ == "__main__":
    main()
