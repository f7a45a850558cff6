"""The vessels that touch the pancreas: the splenic vein, the superior mesenteric artery and vein.

Label maps leave them out or, where one person's vessels were bent to another's organs, end them at the gland.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter1d

from .parts import Part, box_about


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
    draw_tube(parts, artery, rng.uniform(3.0, 4.5), spacing, Part.ARTERY)
    draw_tube(parts, vein, rng.uniform(4.0, 6.5), spacing, Part.PORTAL_VEIN)


def add_splenic_vein(rng: np.random.Generator, parts: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Draw the splenic vein along the back of body and tail, in a groove of the gland, up to the portal vein.

    It is 5 to 10 mm wide (H. Gray, Anatomy), takes in what it covers of the gland, and where it is missing, networks
    count it as pancreas. Changes `parts` (K, J, I).
    """
    pancreas = np.argwhere(parts == Part.PANCREAS)
    if len(pancreas) < 100:
        return
    spacing = np.array(spacing_mm)
    columns = np.arange(int(np.quantile(pancreas[:, 2], 0.4)), int(pancreas[:, 2].max()) + 1)
    grooves = []
    for column in columns:
        section = pancreas[pancreas[:, 2] == column]
        if len(section) >= 4:
            grooves.append((np.quantile(section[:, 0], 0.6), np.quantile(section[:, 1], 0.92), column))
    if len(grooves) < 8:
        return
    course = gaussian_filter1d(np.array(grooves, dtype=float), 4, axis=0, mode="nearest") * spacing
    radius = rng.uniform(2.5, 4.6)
    course[:, 1] += radius * rng.uniform(0.0, 0.9)
    portal = np.argwhere(parts == Part.PORTAL_VEIN) * spacing
    if len(portal):
        gaps = np.linalg.norm(portal - course[0], axis=1)
        if gaps.min() < 40:
            joined = course[0] + (portal[gaps.argmin()] - course[0]) * np.linspace(0, 1, 20)[:, None]
            course = np.vstack([joined[::-1], course])
    dense = np.repeat(course, 3, axis=0)
    draw_tube(
        parts, gaussian_filter1d(dense, 3, axis=0, mode="nearest"), radius, spacing, Part.PORTAL_VEIN, (Part.PANCREAS,)
    )


def widen_veins(rng: np.random.Generator, parts: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Let the portal, splenic and superior mesenteric vein grow by 1 to 5 mm into fat and bowel.

    The superior mesenteric vein is up to 20 mm wide and more where the portal pressure is high. Changes `parts`.
    """
    veins = parts == Part.PORTAL_VEIN
    more_mm = rng.uniform(1.0, 5.0)
    box = box_about(veins, more_mm, spacing_mm)
    if box is None:
        return
    view = parts[box]
    near = distance_transform_edt(~veins[box], spacing_mm) <= more_mm
    view[near & np.isin(view, (Part.FAT, Part.SMALL_BOWEL, Part.SOFT_TISSUE))] = Part.PORTAL_VEIN


def draw_tube(
    parts: np.ndarray,
    course: np.ndarray,
    radius_mm: float,
    spacing: np.ndarray,
    part: Part,
    also_over: tuple[Part, ...] = (),
) -> None:
    """Draw a tube into what is free of `parts`: fat, small bowel, and soft tissue that is no organ. Changes `parts`.

    Parameters
    ----------
    course : points (n, 3) along K, J, I in mm, closer to each other than the radius.
    spacing : along K, J, I in mm.
    also_over : parts that it takes the place of, too.
    """
    reach = np.ceil(radius_mm / spacing).astype(int)
    ball = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    ball = ball[np.linalg.norm(ball * spacing, axis=1) <= radius_mm]
    places = (np.rint(course / spacing).astype(int)[:, None] + ball).reshape(-1, 3)
    places = places[((places >= 0) & (places < parts.shape)).all(axis=1)]
    places = np.unique(places, axis=0)
    drawn = tuple(places.T)
    free = np.isin(parts[drawn], (Part.FAT, Part.SMALL_BOWEL, Part.SOFT_TISSUE, *also_over))
    parts[tuple(places[free].T)] = part
