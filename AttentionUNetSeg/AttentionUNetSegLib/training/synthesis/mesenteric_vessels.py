"""The superior mesenteric artery and vein, which label maps leave out: the pancreas' neighbours."""

from __future__ import annotations

import numpy as np

from .parts import Part


def add_mesenteric_vessels(rng: np.random.Generator, parts: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Draw both into the fat of `parts` (K, J, I; K towards the head); organs stay as they are.

    The artery leaves the front of the aorta behind the neck of the pancreas and runs forwards and down; the vein comes
    up on its right (low I) and joins the portal vein (H. Gray, Anatomy; diameters 6 to 9 and 8 to 13 mm).
    """
    pancreas = np.argwhere(parts == Part.PANCREAS)
    aorta = parts == Part.AORTA
    if not len(pancreas) or not aorta.any():
        return
    spacing = np.array(spacing_mm)
    slice_of_origin = int(pancreas[:, 0].mean() + rng.uniform(0, 12) / spacing[0])
    slice_of_origin = min(max(slice_of_origin, 0), parts.shape[0] - 1)
    section = np.argwhere(aorta[slice_of_origin])
    if not len(section):
        return
    front = np.array([slice_of_origin, section[:, 0].min(), section[:, 1].mean()]) * spacing
    length = rng.uniform(70, 130)
    steps = np.linspace(0, 1, 60)[:, None]
    forwards, sideways = rng.uniform(14, 28), rng.normal(0, 5)
    bend = 1 - np.exp(-steps * 6)
    artery = front + np.hstack([-length * steps, -forwards * bend, sideways * steps])
    vein_offset = np.array([0.0, rng.uniform(-5, 2), -rng.uniform(10, 16)])
    vein = artery[8:] + vein_offset
    portal = np.argwhere(parts == Part.PORTAL_VEIN)
    if len(portal):
        near = portal * spacing
        junction = near[np.argmin(np.linalg.norm(near - vein[0], axis=1))]
        vein = np.vstack([junction + (vein[0] - junction) * np.linspace(0, 1, 25)[:, None], vein])
    _draw(parts, artery, rng.uniform(3.0, 4.5), spacing, Part.ARTERY)
    _draw(parts, vein, rng.uniform(4.0, 6.5), spacing, Part.PORTAL_VEIN)


def _draw(parts: np.ndarray, course: np.ndarray, radius_mm: float, spacing: np.ndarray, part: Part) -> None:
    reach = np.ceil(radius_mm / spacing).astype(int)
    ball = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    ball = ball[np.linalg.norm(ball * spacing, axis=1) <= radius_mm]
    places = (np.rint(course / spacing).astype(int)[:, None] + ball).reshape(-1, 3)
    places = places[((places >= 0) & (places < parts.shape)).all(axis=1)]
    places = np.unique(places, axis=0)
    drawn = tuple(places.T)
    free = np.isin(parts[drawn], (Part.FAT, Part.SMALL_BOWEL, Part.SOFT_TISSUE))
    parts[tuple(places[free].T)] = part
