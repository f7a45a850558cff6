"""Where the organs of the phantom lie: a random adult abdomen, by seed, as solids in painting order.

Frame: LPS in mm before the pose: x to the patient's left, y to the back, z to the head; the origin lies in the
midline at the neck of the pancreas (level of L1/L2). Positions, sizes and relations follow any atlas of sectional
anatomy (e.g. Standring, Gray's Anatomy, 42nd ed., ch. 59-69): liver right, spleen and stomach left, aorta left of the
midline in front of the spine, inferior vena cava right of it, head of the pancreas in the duodenal loop, neck in front
of the portal confluence, body arching over the aorta behind the stomach, tail at the splenic hilum.

A later layer covers an earlier one, so contact between organs needs no fitting: solids overlap, the later one wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import Cut, Deformed, Ellipsoid, HalfSpace, Solid, Tube, Union, Waves
from .tissues import Label


@dataclass(frozen=True)
class Layer:
    """One solid to paint. `tissue` names an entry of `tissues.TISSUES`; `label` is what the voxels become."""

    solid: Solid
    tissue: str
    label: Label


class Frame:
    """Places points of the anatomical frame in the scanner: scale, small rotation, shift. Also draws random numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.scale = rng.uniform(0.93, 1.06)
        pitch, roll, yaw = np.deg2rad(rng.normal(0, (2.0, 1.5, 3.5)))
        self.rotation = _rotation(0, pitch) @ _rotation(1, roll) @ _rotation(2, yaw)
        self.shift = rng.uniform((-7, -6, -8), (7, 6, 8))

    def points(self, *points: tuple[float, float, float] | np.ndarray, spread_mm: float = 0.0) -> np.ndarray:
        """Anatomical points (n, 3) in scanner coordinates, each moved at random by about `spread_mm`."""
        moved = np.asarray(points, float) + self.rng.normal(0, spread_mm or 1e-9, (len(points), 3))
        return self.scale * moved @ self.rotation.T + self.shift

    def tube(
        self,
        *knots: tuple[float, float, float, float],
        spread_mm: float = 0.0,
        stretch: tuple[float, float, float] = (1, 1, 1),
    ) -> Tube:
        """A tube through knots (x, y, z, radius)."""
        points = self.points(*(knot[:3] for knot in knots), spread_mm=spread_mm)
        return Tube(points, self.scale * np.array([knot[3] for knot in knots], float), stretch)

    def ellipsoid(
        self,
        centre: tuple[float, float, float],
        radii: tuple[float, float, float],
        *,
        spread_mm: float = 0.0,
        vary: float = 0.06,
        turn: tuple[float, float, float] = (0, 0, 0),
        squareness: float = 0.0,
    ) -> Ellipsoid:
        """An ellipsoid whose radii vary by about the fraction `vary`; `turn` is in degrees about x, y, z."""
        own = np.eye(3)
        for axis, degrees in enumerate(turn):
            own = _rotation(axis, np.deg2rad(degrees)) @ own
        scaled = self.scale * np.asarray(radii, float) * (1 + np.clip(self.rng.normal(0, vary or 1e-9, 3), -0.2, 0.2))
        return Ellipsoid(self.points(centre, spread_mm=spread_mm)[0], scaled, self.rotation @ own, squareness)

    def waves(self, wavelength_mm: float, amplitude_mm: float, count: int = 5) -> Waves:
        """A random ripple."""
        return Waves.random(self.rng, wavelength_mm, amplitude_mm, count)


@dataclass(frozen=True)
class Trunk:
    """The walls that the organs must respect."""

    skin: Solid
    muscle: Solid
    cavity: Solid
    lungs: Solid
    layers: tuple[Layer, ...]


def trunk(frame: Frame) -> Trunk:
    """Body outline (skin, subcutaneous fat), muscular wall, cavity filled with fat, lung bases, heart, couch."""
    rng = frame.rng
    fat_mm = rng.uniform(8, 24)
    cavity = frame.ellipsoid((0, -8, 0), (120, 84, np.inf), vary=0.025, squareness=0.45)
    muscle = frame.ellipsoid((0, -1, 0), (134, 99, np.inf), vary=0.0, squareness=0.35)
    muscle = Ellipsoid(muscle.centre, np.maximum(muscle.radii, cavity.radii + 9), muscle.axes, muscle.squareness)
    outline = Ellipsoid(
        muscle.centre + (0, -0.15 * fat_mm, 0),
        muscle.radii + np.array([1.0, 0.85, 1.0]) * fat_mm,
        muscle.axes,
        muscle.squareness,
    )
    skin = Deformed(outline, waves=(frame.waves(190, 1.6, 4),))
    wall = Deformed(muscle, waves=(frame.waves(120, 1.0, 4),))
    inner = Deformed(cavity, waves=(frame.waves(150, 1.0, 4),))
    domes = Union(
        (
            frame.ellipsoid((-58, -8, 5), (82, 92, 100), vary=0.04, spread_mm=4),
            frame.ellipsoid((62, -4, 5), (78, 88, 90), vary=0.04, spread_mm=4),
            frame.ellipsoid((0, 20, 5), (40, 70, 95), vary=0.03),
        ),
        blend_mm=12,
    )
    mediastinum = frame.ellipsoid((2, 38, 90), (30, 36, 90), vary=0.05)
    # The recess behind the liver reaches lower than the one in front: a plane that falls to the back, written as the
    # surface of a very large ball.
    recess = Ellipsoid(
        frame.points((0, 80, rng.uniform(2, 20)))[0] + 4000 * np.array((0, 0.42, 0.91)), np.full(3, 4000.0)
    )
    lungs = Cut(
        Deformed(cavity, -2.0), within=(Deformed(recess, waves=(frame.waves(80, 5.0),)),), without=(domes, mediastinum)
    )
    heart = frame.ellipsoid((18, -40, 122), (64, 50, 36), spread_mm=4)
    couch_y = frame.shift[1] + frame.scale * 1 + outline.radii[1] + 6
    couch = Cut(HalfSpace(1, couch_y, above=True), within=(HalfSpace(1, couch_y + 5),))
    layers = (
        Layer(couch, "couch", Label.BACKGROUND),
        Layer(skin, "skin", Label.SKIN),
        Layer(Deformed(skin, -2.0), "fat", Label.FAT),
        Layer(wall, "muscle", Label.MUSCLE),
        Layer(inner, "fat", Label.FAT),
        Layer(lungs, "lung", Label.LUNGS),
        Layer(Cut(heart, within=(inner,)), "blood_venous", Label.HEART),
    )
    return Trunk(skin, wall, inner, lungs, layers)


def skeleton(frame: Frame, trunk_: Trunk) -> list[Layer]:
    """Psoas and back muscles, crura, vertebrae with discs and spinal canal, ribs."""
    rng = frame.rng
    layers = []
    for side in (-1, 1):
        psoas = frame.tube(
            (side * 24, 44, 15, 5),
            (side * 33, 47, -25, 12),
            (side * 40, 44, -75, 18),
            (side * 46, 38, -150, 22),
            spread_mm=1.5,
        )
        back = frame.ellipsoid((side * 31, 82, 0), (29, 17, np.inf), vary=0.05)
        crus = frame.tube((side * 16, 22, 70, 4.5), (side * 17, 25, 30, 4.5), (side * 14, 28, -10, 4), spread_mm=1)
        quadratus = frame.ellipsoid((side * 60, 68, -70), (20, 9, 60), vary=0.05)
        layers += [
            Layer(Deformed(solid, waves=(frame.waves(45, 0.8),)), "muscle", Label.MUSCLE)
            for solid in (quadratus, psoas, Cut(back, within=(trunk_.muscle,)), crus)
        ]
        layers += _ribs(frame, side, trunk_)
    height, start = rng.uniform(33, 38), rng.uniform(-18, 18)
    spine = frame.ellipsoid((0, 48, 0), (21, 16.5, np.inf), vary=0.04, squareness=0.3)
    layers.append(Layer(spine, "disc", Label.SPINE))
    for index in range(-6, 7):
        z = start + index * height
        body = Cut(
            Ellipsoid(spine.centre, spine.radii + 1.0, spine.axes, 0.3),
            within=(frame.ellipsoid((0, 48, z), (60, 60, 0.40 * height), vary=0, squareness=1.0),),
        )
        arch = Union(
            (
                frame.tube((0, 74, z - 3, 3.5), (0, 86, z - 8, 3.5), (0, 97, z - 13, 4.5), stretch=(0.8, 1, 2.0)),
                frame.tube(
                    (-15, 58, z, 4.5), (-15, 68, z - 3, 5), (0, 76, z - 6, 4), (15, 68, z - 3, 5), (15, 58, z, 4.5)
                ),
                frame.tube((-16, 64, z - 2, 4.5), (-36, 70, z, 3)),
                frame.tube((16, 64, z - 2, 4.5), (36, 70, z, 3)),
            )
        )
        layers += [
            Layer(Union((body, arch)), "cortical_bone", Label.SPINE),
            Layer(Deformed(body, -1.8), "trabecular_bone", Label.SPINE),
            Layer(Deformed(arch, -1.8), "trabecular_bone", Label.SPINE),
        ]
    canal = frame.ellipsoid((0, 70, 0), (10, 7.5, np.inf), vary=0.04)
    return [*layers, Layer(canal, "spinal_fluid", Label.SPINE)]


def _ribs(frame: Frame, side: int, trunk_: Trunk) -> list[Layer]:
    """Ribs 7 to 12 of one side: arcs in the wall that fall from the spine to the front; the lowest end early."""
    layers = []
    tilt = frame.rng.uniform(0.9, 1.15)
    for z, end_degrees in ((-2, 70), (20, 95), (42, 125), (66, 140), (91, 150), (117, 155)):
        angles = np.deg2rad(np.linspace(16, end_degrees, 8))
        knots = [
            (side * 127 * np.sin(a) ** 0.85, -2 + 91 * np.cos(a), z - tilt * 46 * (1 - np.cos(a)), 4.2) for a in angles
        ]
        rib = frame.tube(*knots, spread_mm=0.4, stretch=(1, 1, 1.4))
        layers += [
            Layer(rib, "cortical_bone", Label.RIBS),
            Layer(rib.with_radii(offset_mm=-1.6), "trabecular_bone", Label.RIBS),
        ]
    return layers


def solid_organs(frame: Frame, trunk_: Trunk) -> list[Layer]:
    """Liver with its vessels, gallbladder, spleen, kidneys, adrenals."""
    rng = frame.rng
    within = Deformed(trunk_.cavity, -3.0)
    lobes = Union(
        (
            frame.ellipsoid((-66, 2, 42), (52, 70, 66), spread_mm=4, squareness=0.3),
            frame.ellipsoid((-58, -28, 20), (46, 50, 58), spread_mm=4),
            frame.ellipsoid((-4, -48, 62), (68, 32, 30), spread_mm=5, turn=(0, -8, 0)),
            frame.ellipsoid((-24, 0, 52), (20, 24, 28), spread_mm=2),
        ),
        blend_mm=14,
    )
    liver = Cut(
        Deformed(lobes, waves=(frame.waves(70, 2.5),)), within=(within,), without=(Deformed(trunk_.lungs, 2.0),)
    )
    portal = [
        ((-28, -8, 34, 6), (-50, -6, 46, 5), (-80, 6, 48, 3.5), (-100, 18, 44, 2)),
        ((-40, -8, 42, 4.5), (-28, -38, 58, 3.5), (-2, -50, 64, 2)),
        ((-55, -6, 46, 3.5), (-78, -34, 36, 2.5), (-92, -46, 22, 1.6)),
        ((-62, 0, 46, 3.5), (-76, 28, 24, 2.6), (-84, 40, 4, 1.6)),
    ]
    hepatic = [
        ((-22, 18, 80, 5), (-56, 10, 74, 4), (-92, 0, 56, 2)),
        ((-20, 14, 82, 4.5), (-36, -24, 70, 3), (-50, -48, 44, 1.8)),
        ((-18, 12, 84, 4), (2, -36, 74, 3), (18, -52, 66, 1.8)),
    ]
    vessels = [
        Layer(Cut(frame.tube(*knots, spread_mm=2), within=(liver,)), "blood_portal", Label.LIVER)
        for knots in portal + hepatic
    ]
    gallbladder = frame.tube((-52, -52, -2, 9), (-55, -60, -18, 13), (-57, -66, -32, 12), spread_mm=2.5)
    hilum = frame.ellipsoid((64, 16, 42), (17, 26, 28), spread_mm=2)
    spleen = Cut(
        Deformed(
            frame.ellipsoid((90, 32, 44), (38, 52, 56), spread_mm=4, vary=0.1, turn=(12, 14, -22)),
            waves=(frame.waves(55, 1.8),),
        ),
        within=(within,),
        without=(hilum, Deformed(trunk_.lungs, 2.0)),
    )
    layers = [
        Layer(liver, "liver", Label.LIVER),
        *vessels,
        Layer(gallbladder, "bile", Label.GALLBLADDER),
        Layer(Deformed(spleen, 2.0), "fat", Label.FAT),
        Layer(spleen, "spleen", Label.SPLEEN),
    ]
    for side, z, label in ((1, 8, Label.LEFT_KIDNEY), (-1, -12, Label.RIGHT_KIDNEY)):
        layers += _kidney(frame, side, z + rng.normal(0, 4), label)
    for side, x, z in ((-1, -28, 36), (1, 32, 38)):
        limb = Union(
            (
                frame.tube((x, 22, z + 6, 2.6), (x + side * 6, 34, z, 2.4), stretch=(1, 1, 2.5)),
                frame.tube((x, 22, z + 4, 2.6), (x + side * 1, 38, z - 4, 2.2), stretch=(1, 1, 2.5)),
            )
        )
        layers.append(Layer(limb, "adrenal", Label.ADRENALS))
    return layers


def _kidney(frame: Frame, side: int, z: float, label: Label) -> list[Layer]:
    """Kidney with perirenal fat, sinus fat and pelvis; upper pole nearer to the spine than the lower one."""
    turn = (-8, side * 12, side * 22)
    kidney = frame.ellipsoid((side * 58, 46, z), (25, 29, 54), spread_mm=2, turn=turn)
    sinus = frame.ellipsoid((side * 44, 41, z), (17, 10, 23), vary=0.1, turn=turn)
    shape = Cut(
        Deformed(kidney, waves=(frame.waves(30, 0.8),)), without=(Deformed(sinus, waves=(frame.waves(14, 1.5),)),)
    )
    fat = Ellipsoid(kidney.centre, kidney.radii + frame.rng.uniform(4, 9), kidney.axes)
    pelvis = frame.tube((side * 52, 43, z, 3.5), (side * 40, 38, z - 5, 4), (side * 34, 38, z - 22, 2.5), spread_mm=1)
    vein = frame.tube(
        (side * 48, 38, z + 3, 4),
        (side * 32, 26, z + 6, 4.5),
        (side * 4 - 10, 12 + 8 * (side < 0), z + 8, 4.5),
        spread_mm=1,
    )
    artery = frame.tube((side * 46, 42, z + 6, 2.6), (side * 26, 33, z + 10, 3), (10, 22, 10, 3))
    return [
        Layer(fat, "fat", Label.FAT),
        Layer(shape, "kidney", label),
        Layer(pelvis, "urine", label),
        Layer(artery, "blood_arterial", Label.ARTERIES),
        Layer(vein, "blood_venous", Label.VENA_CAVA),
    ]


def _rotation(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix
