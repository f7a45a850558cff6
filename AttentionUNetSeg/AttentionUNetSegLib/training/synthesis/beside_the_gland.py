"""What lies against the gland and is taken for it: the portal vein above the head, the splenic hilum, jejunum.

Label maps of eight organs know none of it, and bent surroundings seldom lie where it would be. A network that was
trained without saw soft tissue against the gland and called it gland, most of all without contrast medium, where blood,
unfilled bowel and pancreas have the same HU. Courses and widths: H. Gray, Anatomy of the Human Body (portal vein 8 cm
long, from behind the neck of the pancreas up and to the right into the porta hepatis, 10 to 15 mm wide; jejunum 2 to
3 cm wide, from the left of the second lumbar vertebra).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .mesenteric_vessels import draw_tube
from .parts import Part

# How often each is drawn; else what the label map shows of it stays all there is.
PORTAL_VEIN_SHARE, HILUM_SHARE, JEJUNUM_SHARE = 0.75, 0.75, 0.6
FEWEST_VOXELS = 100


def add_neighbours(rng: np.random.Generator, parts: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Draw some of them, each by its own share. Changes `parts` (K, J, I; K towards the head, I to the left)."""
    pancreas = np.argwhere(parts == Part.PANCREAS)
    chosen = rng.random(3) < (PORTAL_VEIN_SHARE, HILUM_SHARE, JEJUNUM_SHARE)
    if len(pancreas) < FEWEST_VOXELS:
        return
    spacing = np.array(spacing_mm)
    if chosen[0]:
        _portal_vein(rng, parts, pancreas, spacing)
    if chosen[1]:
        _splenic_hilum(rng, parts, pancreas, spacing)
    if chosen[2]:
        _jejunum(rng, parts, pancreas, spacing)


def _portal_vein(rng: np.random.Generator, parts: np.ndarray, pancreas: np.ndarray, spacing: np.ndarray) -> None:
    """From behind the neck into the liver, with the hepatic artery and a node or two in front of it."""
    neck = pancreas[np.abs(pancreas[:, 2] - np.quantile(pancreas[:, 2], rng.uniform(0.25, 0.45))) <= 1]
    liver = np.argwhere(parts == Part.LIVER)
    if not len(neck) or not len(liver):
        return
    start = np.array([np.quantile(neck[:, 0], 0.6), neck[:, 1].max(), np.median(neck[:, 2])]) * spacing
    start[1] += rng.uniform(-2, 4)
    aim = start + [rng.uniform(30, 60), rng.uniform(-8, 8), -rng.uniform(20, 50)]
    gaps = np.linalg.norm(liver * spacing - aim, axis=1)
    if gaps.min() > 45:
        return
    end = liver[gaps.argmin()] * spacing
    course = _wavy(rng, start, end + 0.3 * (end - start), 4.0)
    radius = rng.uniform(4.5, 8.0)
    draw_tube(parts, course, radius, spacing, Part.PORTAL_VEIN)
    in_front = np.array([0.0, -radius - rng.uniform(1, 4), rng.uniform(0, 6)])
    draw_tube(parts, course + in_front, rng.uniform(1.5, 3.0), spacing, Part.ARTERY)
    for _ in range(int(rng.integers(0, 3))):
        place = course[rng.integers(len(course))] + rng.normal(0, 9, 3)
        draw_tube(parts, place[None], rng.uniform(3, 6), spacing, Part.SOFT_TISSUE)


def _splenic_hilum(rng: np.random.Generator, parts: np.ndarray, pancreas: np.ndarray, spacing: np.ndarray) -> None:
    """Branches of vein and artery from the tail to the spleen."""
    spleen = np.argwhere(parts == Part.SPLEEN)
    tail = pancreas[pancreas[:, 2] >= np.quantile(pancreas[:, 2], 0.97)].mean(axis=0) * spacing
    if not len(spleen):
        return
    gaps = np.linalg.norm(spleen * spacing - tail, axis=1)
    near = spleen[gaps < gaps.min() + 40] * spacing
    if gaps.min() > 80:
        return
    for _ in range(int(rng.integers(3, 8))):
        start = tail + rng.normal(0, 7, 3)
        course = _wavy(rng, start, near[rng.integers(len(near))], 5.0)
        part = Part.ARTERY if rng.random() < 0.3 else Part.PORTAL_VEIN
        draw_tube(parts, course, rng.uniform(1.5, 4.0), spacing, part)


def _jejunum(rng: np.random.Generator, parts: np.ndarray, pancreas: np.ndarray, spacing: np.ndarray) -> None:
    """Loops that touch body and tail from below and in front."""
    body = pancreas[pancreas[:, 2] >= np.quantile(pancreas[:, 2], 0.45)] * spacing
    for _ in range(int(rng.integers(1, 5))):
        radius = rng.uniform(8, 15)
        towards = np.array([-rng.uniform(0, 1), -rng.uniform(0, 1), rng.normal(0, 0.6)])
        towards /= max(float(np.linalg.norm(towards)), 1e-6)
        # The surface in that direction: the voxel of the body that lies furthest that way, seen from one of its own.
        here = body[rng.integers(len(body))]
        beside = body[np.linalg.norm(body - here, axis=1) < 18]
        start = beside[(beside @ towards).argmax()] + towards * (radius + rng.uniform(0, 4))
        away = towards + rng.normal(0, 0.8, 3)
        end = start + away / max(float(np.linalg.norm(away)), 1e-6) * rng.uniform(40, 90)
        draw_tube(parts, _wavy(rng, start, end, 14.0), radius, spacing, Part.SMALL_BOWEL)


def _wavy(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, amount_mm: float) -> np.ndarray:
    """A course (n, 3) in mm from start to end, about 1 mm a step, that strays from the line between them."""
    count = max(8, int(np.linalg.norm(end - start)))
    steps = np.linspace(0, 1, count)[:, None]
    stray = gaussian_filter1d(rng.standard_normal((count, 3)), max(2.0, count / 6), axis=0, mode="nearest")
    stray *= amount_mm / max(float(stray.std()), 1e-6) * np.sin(np.pi * steps)
    return start + (end - start) * steps + stray
