"""The pancreas of the phantom and what touches it: duodenal loop, portal, mesenteric and splenic veins, arteries.

Same frame as `anatomy`: LPS mm, origin at the neck of the pancreas. The gland is a tapered, curved tube (neck,
body, tail) blended with the head and its uncinate process; the splenic vein runs behind body and tail, the superior
mesenteric vein behind the neck between it and the uncinate process, the duodenum around the head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .anatomy import Frame, Layer
from .shapes import Deformed, Ellipsoid, Solid, Tube, Union, Waves
from .tissues import Label

# Adult pancreas on CT, 20 to 60 years: 72.4 +- 25.8 mL (Y. Saisho et al., Clin Anat 2007;20:933). The vessels that are
# painted over it take a few mL of this.
VOLUME_RANGE_ML = (52.0, 115.0)


@dataclass(frozen=True)
class Gland:
    """The pancreas as a solid, the course of its main part (neck to tail) and everything painted with it."""

    solid: Solid
    course: Tube
    before: tuple[Layer, ...]  # coat of fat, duodenum
    layers: tuple[Layer, ...]  # pancreas, duct, veins, arteries


def gland(frame: Frame) -> Gland:
    """Draw pancreas, duodenum and the vessels around them."""
    rng = frame.rng
    rise, swing, head_drop = rng.uniform(12, 36), rng.normal(0, 4), rng.uniform(-4, 4)
    course = frame.tube(
        (-16, -16, -5, 11),
        (-2, -25, 1, 8.5),
        (16, -27 + 0.4 * swing, 4 + 0.15 * rise, 9.5),
        (36, -20 + swing, 6 + 0.45 * rise, 10),
        (56, -6 + swing, 6 + 0.75 * rise, 9.5),
        (80, 20, 6 + rise, 7.5),
        spread_mm=1.5,
        stretch=(1, 1, 1.35),
    )
    head = frame.ellipsoid((-29, -8, -16 + head_drop), (14.5, 14, 26), spread_mm=1.5, vary=0.08, turn=(0, 6, 0))
    uncinate = frame.tube((-26, -2, -26, 9), (-15, 3, -29, 7), (-5, 4, -30, 4.5), spread_mm=1)
    lobules = (frame.waves(13, 0.9, 8), frame.waves(40, 0.7))
    target = 1000 * rng.uniform(*VOLUME_RANGE_ML)
    solid, course = _of_volume(target, course, head, uncinate, lobules)
    gap = Deformed(solid, 1.0, (frame.waves(30, 1.6),))
    duct = Tube(course.points[:-1], np.full(len(course.points) - 1, 1.2 * frame.scale))
    return Gland(
        solid,
        course,
        before=(Layer(gap, "fat", Label.FAT), *_duodenum(frame)),
        layers=(
            Layer(solid, "pancreas", Label.PANCREAS),
            Layer(duct, "pancreatic_duct", Label.PANCREAS),
            *_veins(frame, course),
            *_arteries(frame, course),
        ),
    )


def _of_volume(
    target_mm3: float, course: Tube, head: Ellipsoid, uncinate: Tube, lobules: tuple[Waves, ...]
) -> tuple[Solid, Tube]:
    """The gland, thickened or thinned until it holds `target_mm3`, and its course.

    Measured on a fixed 2 mm grid, so that it does not depend on the spacing of the image.
    """
    factor = 1.0
    for _ in range(4):
        parts = (course.with_radii(factor), replace(head, radii=head.radii * factor), uncinate.with_radii(factor))
        solid = Deformed(Union(parts, blend_mm=6.0), waves=lobules)
        lower, upper = solid.bounds()
        axes = [np.arange(low, high, 2.0) for low, high in zip(lower, upper, strict=True)]
        volume = 8.0 * np.count_nonzero(solid.distance(*axes) < 0)
        factor = float(np.clip(factor * (target_mm3 / volume) ** 0.45, 0.75, 1.4))
    return solid, parts[0]


def _duodenum(frame: Frame) -> list[Layer]:
    """Bulb, descending part lateral to the head, horizontal part below it, ascending part left of the aorta.

    The horizontal part passes between aorta and superior mesenteric artery. Some fluid, a bubble of gas in the bulb.
    """
    loop = frame.tube(
        (-27, -42, 5, 10),
        (-42, -34, 9, 12),
        (-51, -16, -2, 12),
        (-53, -6, -20, 12),
        (-50, -2, -40, 12.5),
        (-34, -2, -55, 11.5),
        (-10, -4, -59, 10),
        (14, -4, -56, 10.5),
        (28, -4, -42, 11),
        (34, -14, -24, 11),
        (44, -30, -18, 11),
        spread_mm=2,
    )
    loop = loop.with_radii(frame.rng.uniform(0.88, 1.12))
    ripple = (frame.waves(14, 0.7), frame.waves(40, 0.8))
    lumen = Deformed(loop.with_radii(0.8, offset_mm=-2.2), waves=(*ripple, frame.waves(22, 1.2)))
    bubble = frame.ellipsoid((-45, -30, 8), (7, 4, 6), spread_mm=3, vary=0.2)
    return [
        Layer(Deformed(loop, waves=ripple), "bowel_wall", Label.DUODENUM),
        Layer(lumen, "bowel_contents", Label.DUODENUM),
        Layer(bubble, "gas", Label.DUODENUM),
    ]


def great_vessels(frame: Frame) -> list[Layer]:
    """Aorta left of the midline with some calcified plaque, inferior vena cava right of it."""
    rng = frame.rng
    aorta = frame.tube(
        (6, 24, 170, 12),
        (9, 22, 90, 11.5),
        (11, 20, 40, 10.5),
        (11, 20, 0, 10),
        (9, 20, -50, 9.5),
        (5, 22, -140, 9),
        spread_mm=1,
    )
    cava = frame.tube(
        (-20, 6, 170, 12),
        (-20, 12, 95, 13),
        (-20, 16, 50, 11.5),
        (-18, 20, 10, 10.5),
        (-15, 24, -50, 10.5),
        (-12, 28, -140, 10),
        spread_mm=1.5,
        stretch=(1.15, 0.9, 1),
    )
    layers = [Layer(cava, "blood_venous", Label.VENA_CAVA), Layer(aorta, "blood_arterial", Label.AORTA)]
    for _ in range(rng.integers(0, 6)):
        z, angle = rng.uniform(-80, 80), rng.uniform(0, 2 * np.pi)
        plaque = frame.ellipsoid((11 + 9 * np.cos(angle), 20 + 9 * np.sin(angle), z), (2.2, 2.2, 4), vary=0.2)
        layers.append(Layer(plaque, "calcification", Label.AORTA))
    return layers


def _veins(frame: Frame, course: Tube) -> list[Layer]:
    """Superior mesenteric vein up behind the neck, splenic vein along the back of body and tail, portal vein."""
    tangents = np.gradient(course.points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    backwards = frame.rotation @ (0, 1, 0)
    backwards = backwards - (tangents @ backwards)[:, None] * tangents
    backwards /= np.linalg.norm(backwards, axis=1, keepdims=True)
    depth = frame.rng.uniform(0.9, 1.15, len(course.points))[:, None] * course.radii[:, None]
    behind = course.points + depth * backwards
    confluence = frame.points((-8, -7, 1))[0]
    hilum = frame.points((88, 26, 6 + (course.points[-1, 2] - frame.shift[2]) / frame.scale))[0]
    radius = frame.scale * frame.rng.uniform(3.6, 4.8)
    splenic = Tube(np.vstack([confluence, behind[2:], hilum]), np.array([1.15, 1, 1, 0.95, 0.85, 0.7]) * radius)
    mesenteric = frame.tube(
        (-8, -7, 1, 6), (-7, -9, -18, 5.8), (-7, -17, -36, 5.5), (-4, -24, -62, 5), (-2, -32, -95, 4), spread_mm=1
    )
    mesenteric = replace(mesenteric, points=np.vstack([confluence, mesenteric.points[1:]]))
    portal = frame.tube((-8, -7, 1, 7), (-16, -6, 16, 6.8), (-26, -8, 30, 6.5), (-34, -8, 40, 6), spread_mm=1)
    portal = replace(portal, points=np.vstack([confluence, portal.points[1:]]))
    return [Layer(Union((splenic, mesenteric, portal), blend_mm=3), "blood_portal", Label.PORTAL_VEINS)]


def _arteries(frame: Frame, course: Tube) -> list[Layer]:
    """Celiac trunk with common hepatic and (tortuous) splenic artery, superior mesenteric artery."""
    up = frame.rotation @ (0, 0.5, 0.87)
    along = (
        course.points[2:] + (1.25 * course.radii[2:, None]) * up + frame.rng.normal(0, 3, (len(course.points) - 2, 3))
    )
    trunk = frame.points((10, 14, 28), (8, 0, 30))
    splenic = Tube(np.vstack([trunk[1:], along]), np.array([3, 2.8, 2.7, 2.5, 2.2]) * frame.scale)
    celiac = Tube(np.vstack([trunk[:1], (trunk[:1] + trunk[1:]) / 2, trunk[1:]]), np.full(3, 3.6 * frame.scale))
    hepatic = frame.tube((8, 0, 30, 2.8), (-6, -8, 26, 2.6), (-20, -14, 26, 2.4), (-32, -14, 38, 2), spread_mm=1)
    mesenteric = frame.tube(
        (10, 14, 14, 3.8),
        (9, 3, 8, 3.6),
        (8, -4, -8, 3.5),
        (7, -12, -36, 3.3),
        (5, -22, -66, 3),
        (4, -30, -96, 2.4),
        spread_mm=0.8,
    )
    coat = Deformed(mesenteric, 2.5)
    return [
        Layer(coat, "fat", Label.FAT),
        *(Layer(solid, "blood_arterial", Label.ARTERIES) for solid in (celiac, hepatic, splenic, mesenteric)),
    ]
