"""Stomach, small bowel and colon of the phantom: tubes with a wall, contents and gas that rises to the front.

Same frame as `anatomy`: LPS mm, origin at the neck of the pancreas; the patient lies on the back, so gas
gathers at small y.
"""

from __future__ import annotations

import numpy as np

from .anatomy import Frame, Layer, Trunk
from .shapes import Cut, Deformed, HalfSpace, Solid, Tube, Waves
from .tissues import Label


def stomach(frame: Frame, trunk: Trunk, pancreas: Solid) -> list[Layer]:
    """Fundus below the left dome, body lying against the front of `pancreas`, antrum to the pylorus; a gas level."""
    full = frame.rng.uniform(0.82, 1.12)
    knots = (
        (52, 22, 78, 22),
        (62, 2, 66, 31),
        (60, -28, 44, 30),
        (46, -50, 22, 24),
        (20, -56, 6, 19),
        (-6, -50, 2, 15),
        (-27, -42, 5, 10),
    )
    sac = frame.tube(*((x, y, z, r * (full if r > 12 else 1)) for x, y, z, r in knots), spread_mm=3)
    within = (Deformed(trunk.cavity, -3.0),)
    without = (Deformed(trunk.lungs, 2.5), Deformed(pancreas, 0.5))
    ripple = (frame.waves(60, 1.5), frame.waves(16, 0.5))
    return _hollow(
        frame,
        sac,
        ripple,
        Label.STOMACH,
        wall_mm=4.0,
        wall="stomach_wall",
        contents="stomach_contents",
        gas_share=frame.rng.uniform(0.15, 0.5),
        within=within,
        without=without,
    )


def bowel(frame: Frame, trunk: Trunk) -> list[Layer]:
    """Loops of jejunum and ileum, then the colon: ascending, both flexures, transverse, descending."""
    rng = frame.rng
    within = (Deformed(trunk.cavity, -3.0),)
    layers: list[Layer] = []
    for _ in range(rng.integers(24, 34)):
        middle = np.array((10, -40, -72)) + rng.uniform(-1, 1, 3) * (72, 34, 42)
        if rng.random() < 0.3:
            middle = np.array((68, -30, -12)) + rng.normal(0, 1, 3) * (14, 10, 12)
        heading = rng.normal(size=3)
        points = [middle]
        for _ in range(3):
            heading = heading + rng.normal(0, 0.9, 3)
            points.append(points[-1] + 22 * heading / np.linalg.norm(heading))
        radius = rng.uniform(8, 13)
        loop = Tube(frame.points(*points), frame.scale * radius * rng.uniform(0.85, 1.1, 4))
        layers += _hollow(
            frame,
            loop,
            (frame.waves(14, 0.7),),
            Label.BOWEL,
            wall_mm=2.5,
            wall="bowel_wall",
            contents="bowel_contents",
            gas_share=rng.choice((0.0, 0.0, 0.0, 0.4)),
            within=within,
        )
    right = frame.tube(
        (-98, -8, -120, 20),
        (-96, 0, -75, 21),
        (-88, -22, -46, 19),
        (-62, -60, -48, 17),
        (-20, -76, -58, 16),
        (15, -78, -52, 16),
        (48, -70, -34, 16),
        spread_mm=5,
    )
    left = frame.tube(
        (48, -70, -34, 16),
        (82, -42, -6, 16),
        (98, -6, 14, 16),
        (99, 24, -10, 14),
        (98, 30, -60, 13),
        (95, 26, -125, 13),
        spread_mm=4,
    )
    haustra = (frame.waves(34, 1.6), frame.waves(80, 1.2))
    for part in (right, left):
        layers += _hollow(
            frame,
            part,
            haustra,
            Label.COLON,
            wall_mm=2.5,
            wall="bowel_wall",
            contents="stool",
            gas_share=rng.uniform(0.1, 0.6),
            within=within,
        )
    return layers


def _hollow(
    frame: Frame,
    tube: Tube,
    ripple: tuple[Waves, ...],
    label: Label,
    *,
    wall_mm: float,
    wall: str,
    contents: str,
    gas_share: float,
    within: tuple[Solid, ...] = (),
    without: tuple[Solid, ...] = (),
) -> list[Layer]:
    """A thin coat of fat, the wall, the contents and, in front of a level, gas in `gas_share` of the height."""
    outside = Cut(Deformed(tube, waves=ripple), within=within, without=without)
    lumen = Cut(
        Deformed(tube.with_radii(offset_mm=-wall_mm, least_mm=1.5), waves=ripple),
        within=tuple(Deformed(solid, -wall_mm) for solid in within),
        without=tuple(Deformed(solid, wall_mm) for solid in without),
    )
    layers = [
        Layer(Deformed(outside, 1.5), "fat", Label.FAT),
        Layer(outside, wall, label),
        Layer(lumen, contents, label),
    ]
    if gas_share:
        # The level is one plane, as in a person lying on the back.
        front, back = (limits[1] for limits in tube.bounds())
        gas = Cut(lumen, within=(HalfSpace(1, front + gas_share * (back - front)),))
        layers.append(Layer(gas, "gas", label))
    return layers
