"""From a part map to HU: enhancement, vessels, gut contents, fat between lobules, masses, texture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from .parts import ATTENUATION, HOLLOW, Part, box_about
from .random_fields import smooth_field, thin_curves


class Painter:
    """Paints one part map.

    Attributes
    ----------
    parts : uint8 (K, J, I) of `Part`; painting may turn fat into pancreas (a mass bulges).
    hu : float32 (K, J, I).
    """

    def __init__(
        self,
        rng: np.random.Generator,
        parts: np.ndarray,
        spacing_mm: tuple[float, float, float],
        attenuation: dict[Part, float],
    ) -> None:
        """`spacing_mm` runs along K, J, I."""
        self.rng, self.parts, self.spacing, self.attenuation = rng, parts, spacing_mm, attenuation
        self.hu = np.empty(parts.shape, np.float32)
        self._mass: tuple[Any, ...] | None = None

    def paint(self, inside: np.ndarray) -> np.ndarray:
        """Fill and return `hu`; `inside` is the mask of the abdominal cavity, where mesenteric vessels run."""
        rng = self.rng
        if rng.random() < 0.25:
            self._grow_mass()
        self.hu[:] = self._lookup(lambda part: self.attenuation[part])[self.parts]
        self._bones()
        self._kidneys()
        self._vessels(Part.LIVER, self.parts == Part.LIVER, 22.0, 0.16)
        self._vessels(Part.FAT, (self.parts == Part.FAT) & inside, rng.uniform(14, 26), rng.uniform(0.12, 0.3))
        for part in HOLLOW:
            self._fill(part)
        self._pancreas()
        self._texture()
        if rng.random() < 0.35:
            self._strand_fat(inside)
        if rng.random() < 0.06:
            self._stent()
        return self.hu

    def _lookup(self, value_of: Callable[[Part], float]) -> np.ndarray:
        table = np.zeros(256, np.float32)
        for part in Part:
            table[part] = value_of(part)
        return table

    def _field(self, scale_mm: float, shape: tuple[Any, ...] | None = None) -> np.ndarray:
        return smooth_field(self.rng, shape or self.parts.shape, self.spacing, scale_mm)

    def _box(self, mask: np.ndarray, margin_mm: float = 6.0) -> tuple[slice, ...] | None:
        return box_about(mask, margin_mm, self.spacing)

    def _bones(self) -> None:
        box = self._box(self.parts == Part.BONE)
        if box is None:
            return
        depth = distance_transform_edt(self.parts[box] == Part.BONE, self.spacing)
        cortex = (depth > 0) & (depth <= 2.5)
        self.hu[box][cortex] = self.attenuation[Part.BONE] + self.rng.uniform(80, 420)

    def _kidneys(self) -> None:
        """The cortex enhances before the medulla; sinus fat and urine in the middle."""
        for part in (Part.LEFT_KIDNEY, Part.RIGHT_KIDNEY):
            box = self._box(self.parts == part)
            if box is None:
                continue
            depth = distance_transform_edt(self.parts[box] == part, self.spacing)
            enhanced = max(0.0, self.attenuation[part] - 35)
            medulla = depth > self.rng.uniform(5, 8)
            self.hu[box][medulla] -= enhanced * self.rng.uniform(0, 0.5)
            middle = depth > self.rng.uniform(11, 16)
            self.hu[box][middle] = self.rng.choice((self.attenuation[Part.FAT], 10.0, 250.0), p=(0.5, 0.4, 0.1))

    def _vessels(self, part: Part, where: np.ndarray, scale_mm: float, width: float) -> None:
        curves = thin_curves(self.rng, self.parts.shape, self.spacing, scale_mm, width) & where
        share = self.rng.uniform(0.6, 1.0)  # small vessels are blurred by partial volume
        blood = self.attenuation[Part.PORTAL_VEIN]  # the liver's, and the gut's in the mesentery
        self.hu[curves] += share * (blood - self.attenuation[part])

    def _fill(self, part: Part) -> None:
        """Wall, and contents segment by segment: collapsed, water, food, positive contrast medium, gas on top."""
        mask = self.parts == part
        box = self._box(mask)
        if box is None:
            return
        rng, mask = self.rng, mask[box]
        shape = mask.shape
        depth = distance_transform_edt(mask, self.spacing)
        mean_mm = rng.uniform(1.5, 4.5) if part is not Part.COLON else rng.uniform(1.0, 3.0)
        wall_mm = mean_mm * (1 + 0.35 * self._field(20.0, shape))
        lumen = mask & (depth > wall_mm)
        kinds = {"water": rng.normal(12, 12), "food": rng.normal(40, 25), "contrast": rng.uniform(120, 520)}
        if part is Part.COLON:
            kinds["food"] = rng.normal(10, 60)
        chances = (0.45, 0.35, 0.2)
        chosen = rng.choice(list(kinds), p=chances)
        other = rng.choice(list(kinds), p=chances)
        zones = self._field(rng.uniform(30, 70), shape)
        hu = np.where(zones > rng.normal(0, 0.7), kinds[chosen], kinds[other])
        if "food" in (chosen, other):
            hu = hu + self._field(5.0, shape) * rng.uniform(5, 60)
        collapsed = self._field(45.0, shape) > rng.uniform(-0.8, 2.5)
        view = self.hu[box]
        filled = lumen & ~collapsed
        view[filled] = hu[filled]
        if rng.random() < (0.85 if part is Part.COLON else 0.6):
            self._gas(view, lumen, rng.uniform(0.05, 0.6) if part is not Part.COLON else rng.uniform(0.2, 0.9))

    def _gas(self, view: np.ndarray, lumen: np.ndarray, share: float) -> None:
        """Gas rises: to the front (low J) of each stretch of gut about 3 cm wide."""
        rows = np.arange(lumen.shape[1], dtype=np.float32)[None, :, None] * np.float32(self.spacing[1])
        level = self._field(35.0, lumen.shape) * 18.0  # mm; where the surface of the liquid lies, in each stretch
        inside = np.broadcast_to(rows, lumen.shape)[lumen]
        if not len(inside):
            return
        gas = lumen & (rows + level < np.quantile(inside, share))
        view[gas] = self.rng.normal(-960, 15)

    def _pancreas(self) -> None:
        """Lobules with fat between them, more of it in the old; a duct."""
        mask = self.parts == Part.PANCREAS
        box = self._box(mask)
        if box is None:
            return
        rng, mask = self.rng, mask[box]
        view, shape = self.hu[box], mask.shape
        if rng.random() < 0.7:
            fatty = rng.beta(1.2, 3.5)
            clefts = np.abs(self._field(rng.uniform(5, 9), shape)) < 0.5 * fatty
            depth = distance_transform_edt(mask, self.spacing)
            clefts |= (depth < 2.5) & (self._field(6.0, shape) > 2.0 - 2.2 * fatty)
            share = rng.uniform(0.3, 0.9)
            view[mask & clefts] += share * (self.attenuation[Part.FAT] - self.attenuation[Part.PANCREAS])
        if rng.random() < 0.25:
            depth = distance_transform_edt(mask, self.spacing)
            duct = mask & (depth > 0.75 * depth.max() * np.clip(1 + 0.2 * self._field(12.0, shape), 0.7, 1.3))
            view[duct] = rng.normal(15, 8)

    def _grow_mass(self) -> None:
        """A round mass or cyst in the gland, which pushes into the fat around it and counts as pancreas."""
        places = np.argwhere(self.parts == Part.PANCREAS)
        if not len(places):
            return
        rng = self.rng
        centre = places[rng.integers(len(places))]
        radius = rng.uniform(5, 20)
        box = tuple(
            slice(max(0, int(c - 1.3 * radius / s)), int(c + 1.3 * radius / s) + 1)
            for c, s in zip(centre, self.spacing, strict=True)
        )
        axes = [np.arange(b.start, min(b.stop, n)) for b, n in zip(box, self.parts.shape, strict=True)]
        offsets = np.meshgrid(*((a - c) * s for a, c, s in zip(axes, centre, self.spacing, strict=True)), indexing="ij")
        distance = np.sqrt(sum(offset**2 for offset in offsets))
        view = self.parts[box]
        ball = distance < radius * (1 + 0.12 * self._field(10.0, view.shape))
        grown = ball & np.isin(view, (Part.FAT, Part.PANCREAS))
        view[grown] = Part.PANCREAS
        kind = rng.choice(("hypodense", "cyst", "hyperdense"), p=(0.65, 0.2, 0.15))
        offset = {"hypodense": -rng.uniform(10, 50), "cyst": -200.0, "hyperdense": rng.uniform(15, 60)}[kind]
        self._mass = (box, grown, kind, offset)

    def _texture(self) -> None:
        if self._mass is not None:
            box, grown, kind, offset = self._mass
            value = self.attenuation[Part.PANCREAS] + offset if kind != "cyst" else self.rng.normal(10, 8)
            self.hu[box][grown] = value
        amount = self._lookup(lambda part: ATTENUATION[part].texture)[self.parts]
        self.hu += amount * (0.8 * self._field(3.5) + 0.6 * self._field(14.0))

    def _strand_fat(self, inside: np.ndarray) -> None:
        """Oedema and inflammation about the pancreas: fat with streaks towards water."""
        pancreas = self.parts == Part.PANCREAS
        box = self._box(pancreas, 24.0)
        if box is None:
            return
        near = distance_transform_edt(~pancreas[box], self.spacing)
        fat = (self.parts[box] == Part.FAT) & inside[box]
        strength = np.exp(-near / self.rng.uniform(5, 14)) * np.clip(self._field(6.0, near.shape), 0, None)
        self.hu[box][fat] += (self.rng.uniform(20, 90) * strength)[fat]

    def _stent(self) -> None:
        """A metal or plastic biliary stent through the head of the gland, about upright."""
        places = np.argwhere(self.parts == Part.PANCREAS)
        if not len(places):
            return
        head = places[places[:, 2] < np.quantile(places[:, 2], 0.25)]  # towards the patient's right (L axis: low I)
        start = head[self.rng.integers(len(head))]
        direction = np.array([1.0, 0.15, -0.3]) + self.rng.normal(0, 0.15, 3)
        mask = np.zeros(self.parts.shape, bool)
        for step_mm in np.arange(-30, 45, 1.0):
            place = np.rint(start + direction * step_mm / np.array(self.spacing)).astype(int)
            if ((place >= 0) & (place < mask.shape)).all():
                mask[tuple(place)] = True
        if self.rng.random() < 0.5:
            mask = binary_dilation(mask)
        self.hu[mask] = self.rng.uniform(300, 2500)
