"""A patch of a part map as HU, in tensors on the training device: every step sees a CT that nobody has seen before.

After Billot et al. 2023, "SynthSeg" (Medical Image Analysis 86): label maps painted with random intensities teach shape
and surroundings instead of one scanner's contrast. Here intensities are those of abdominal CT most of the time, because
they do tell gland from fat and contrast medium; and what real CTs have that label maps do not know is drawn too: bowel
with its contents in layers, unfilled bowel against the gland, thin people, a gland as bright as the liver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .generator import PHASE_SHARES
from .parts import ATTENUATION, HOLLOW, Part, draw_attenuation

LOOPS_MM = 25.0  # how far from the gland unfilled bowel is drawn


@dataclass(frozen=True)
class Oddities:
    """How often each is drawn, 0..1.

    Attributes
    ----------
    bright_gland : a gland as bright as the liver, or brighter.
    isodense_blood : veins as bright as the gland.
    thin : people without fat between their organs.
    unfilled_bowel : loops of bowel without contents in the fat about the gland, as bright as it.
    fatty_gland : fat between the gland's lobules.
    oral_contrast : contrast medium in stomach and bowel.
    """

    bright_gland: float = 0.25
    isodense_blood: float = 0.2
    thin: float = 0.3
    unfilled_bowel: float = 0.4
    fatty_gland: float = 0.5
    oral_contrast: float = 0.6


def paint_patch(
    parts: Tensor, spacing_mm: float, rng: np.random.Generator, generator: torch.Generator, odd: Oddities | None = None
) -> tuple[Tensor, Tensor]:
    """Paint one patch.

    Parameters
    ----------
    parts : int64 (K, J, I) of `Part`, axes along S, P, L.
    spacing_mm : isotropic.
    rng : for the few numbers; `generator`, on the tensor's device, for fields.
    odd : how often what is rare is drawn.

    Returns
    -------
    parts : as painted: thin people and loops of bowel change fat, never the gland.
    hu : float32 (K, J, I).
    """
    odd = odd or Oddities()
    painter = _Painter(spacing_mm, rng, generator, parts.device)
    if rng.random() < odd.thin:
        parts = painter.thinned(parts)
    if rng.random() < odd.unfilled_bowel:
        parts = painter.with_loops(parts)
    attenuation = draw_attenuation(rng, str(rng.choice(list(PHASE_SHARES), p=list(PHASE_SHARES.values()))))
    _make_alike(attenuation, rng, odd)
    hu = painter.table(attenuation)[parts]
    hu = painter.organs(parts, hu, attenuation)
    for part in HOLLOW:
        hu = painter.filled(parts == part, hu, attenuation[part], rng.random() < odd.oral_contrast)
    if rng.random() < odd.fatty_gland:
        hu = painter.lobulated(parts == Part.PANCREAS, hu, attenuation)
    return parts, painter.textured(parts, hu)


def _make_alike(attenuation: dict[Part, float], rng: np.random.Generator, odd: Oddities) -> None:
    """The cases in which brightness does not tell the gland from its neighbours."""
    if rng.random() < odd.bright_gland:
        attenuation[Part.PANCREAS] = attenuation[Part.LIVER] + float(rng.uniform(-5, 35))
    if rng.random() < odd.isodense_blood:
        for part in (Part.PORTAL_VEIN, Part.VENA_CAVA):
            attenuation[part] = attenuation[Part.PANCREAS] + float(rng.normal(0, 8))
    if rng.random() < odd.isodense_blood:
        for part in (Part.DUODENUM, Part.SMALL_BOWEL):
            attenuation[part] = attenuation[Part.PANCREAS] + float(rng.normal(0, 10))


@dataclass
class _Painter:
    spacing_mm: float
    rng: np.random.Generator
    generator: torch.Generator
    device: torch.device

    def field(self, shape: Sequence[int], scale_mm: float) -> Tensor:
        """Smooth random field, mean 0, variance about 1, correlated over about `scale_mm`."""
        step = max(1.0, scale_mm / 2 / self.spacing_mm)
        coarse = [max(2, int(np.ceil(n / step)) + 1) for n in shape] if step > 1 else list(shape)
        noise = torch.randn(coarse, generator=self.generator, device=self.device)
        if step > 1:
            noise = F.interpolate(noise[None, None], size=list(shape), mode="trilinear", align_corners=True)[0, 0]
        return noise / noise.std().clamp_min(1e-6)

    def table(self, values: dict[Part, float]) -> Tensor:
        """One value a part, to be indexed by parts."""
        table = torch.zeros(256, device=self.device)
        for part in Part:
            table[int(part)] = values[part]
        return table

    def thinned(self, parts: Tensor) -> Tensor:
        """Organs grow into the fat between them by 1 to 3 voxels until they touch; each by its own rank."""
        ranks = torch.tensor(self.rng.permutation(256) + 1.0, device=self.device, dtype=torch.float32)
        no_growth = torch.tensor([int(Part.AIR), int(Part.FAT), int(Part.SKIN), int(Part.PANCREAS)], device=self.device)
        ranks[no_growth] = 0
        by_rank = torch.zeros(258, dtype=torch.long, device=self.device)
        by_rank[ranks.long()] = torch.arange(256, device=self.device)
        for _ in range(int(self.rng.integers(1, 4))):
            largest = _largest_near(ranks[parts], 1).long()
            parts = torch.where((parts == Part.FAT) & (largest > 0), by_rank[largest], parts)
        return parts

    def with_loops(self, parts: Tensor) -> Tensor:
        """Fat near the gland turned into bowel here and there."""
        near = _largest_near((parts == Part.PANCREAS).float(), round(LOOPS_MM / self.spacing_mm)) > 0
        loops = self.field(parts.shape, self.rng.uniform(20, 40)) > self.rng.uniform(0.3, 1.5)
        return torch.where(near & loops & (parts == Part.FAT), int(Part.SMALL_BOWEL), parts)

    def organs(self, parts: Tensor, hu: Tensor, attenuation: dict[Part, float]) -> Tensor:
        """Cortex of bones and kidneys, vessels of liver and mesentery."""
        rng = self.rng
        bone = parts == Part.BONE
        hu = hu + (bone & ~_eroded(bone)) * float(rng.uniform(80, 420))
        kidney = (parts == Part.LEFT_KIDNEY) | (parts == Part.RIGHT_KIDNEY)
        washed_out = float(max(0.0, attenuation[Part.LEFT_KIDNEY] - 35) * rng.uniform(0, 0.5))
        sinus_hu = float(rng.choice((attenuation[Part.FAT], 10.0, 250.0), p=(0.5, 0.4, 0.1)))
        box = _box_of(kidney)
        if box is not None:
            medulla = _eroded(_eroded(kidney[box]))
            sinus = _eroded(_eroded(medulla))
            hu[box] = torch.where(sinus, sinus_hu, hu[box] - medulla * washed_out)
        blood, share = attenuation[Part.PORTAL_VEIN], float(rng.uniform(0.5, 1.0))
        for part, scale, width in ((Part.LIVER, 22.0, 0.16), (Part.FAT, rng.uniform(14, 26), rng.uniform(0.1, 0.3))):
            curves = self.field(parts.shape, scale) ** 2 + self.field(parts.shape, scale) ** 2 < width**2
            hu = torch.where(curves & (parts == part), hu + share * (blood - hu), hu)
        return hu

    def filled(self, mask: Tensor, hu: Tensor, wall_hu: float, may_hold_contrast: bool) -> Tensor:
        """Contents of one hollow organ: collapsed here, filled there, heavy below and gas on top."""
        box = _box_of(mask)
        if box is None:
            return hu
        whole, mask, hu = hu, mask[box], hu[box]
        rng, shape = self.rng, mask.shape
        lumen = _eroded(mask)
        if self.spacing_mm < 2.2 and rng.random() < 0.6:
            lumen = _eroded(lumen)
        water, food = float(rng.normal(12, 12)), float(rng.normal(40, 25))
        # Dilute contrast medium is as bright as a vessel; dense barium as bone.
        contrast = float(np.exp(rng.uniform(np.log(110), np.log(1100))))
        heavy = contrast if may_hold_contrast else (water, food)[int(rng.integers(2))]
        light = (water, food, heavy)[int(rng.integers(3))]
        # The table's height: what is heavy lies towards the back (high J), gas towards the front; about 3 cm at a time.
        height = torch.arange(shape[1], device=self.device, dtype=torch.float32)[None, :, None] * self.spacing_mm
        height = height + self.field(shape, 35.0) * 14.0
        inside = height.expand(shape)[lumen]
        if not len(inside):
            return whole
        level, top = torch.quantile(inside[:: max(1, len(inside) // 5000)], torch.tensor(
            [float(rng.uniform(0, 0.8)), float(rng.uniform(0.05, 0.5))], device=self.device)).tolist()  # fmt: skip
        contents = torch.where(height > level, heavy, light) + self.field(shape, 6.0) * float(rng.uniform(0, 40))
        collapsed = self.field(shape, 45.0) > float(rng.uniform(-1.0, 2.5))
        hu = torch.where(lumen & ~collapsed, contents, hu)
        if rng.random() < 0.6:
            hu = torch.where(lumen & ~collapsed & (height < top), float(rng.normal(-950, 20)), hu)
        whole[box] = hu
        return whole

    def lobulated(self, gland: Tensor, hu: Tensor, attenuation: dict[Part, float]) -> Tensor:
        """Clefts of fat through the gland, more of them towards its surface."""
        box = _box_of(gland)
        if box is None:
            return hu
        rng, whole, gland, hu = self.rng, hu, gland[box], hu[box]
        fatty = float(rng.beta(1.2, 3.0))
        clefts = self.field(gland.shape, float(rng.uniform(5, 10))).abs() < 0.5 * fatty
        clefts |= ~_eroded(gland) & (self.field(gland.shape, 6.0) > 2.0 - 2.2 * fatty)
        share = float(rng.uniform(0.3, 0.9))
        whole[box] = torch.where(gland & clefts, hu + share * (attenuation[Part.FAT] - hu), hu)
        return whole

    def textured(self, parts: Tensor, hu: Tensor) -> Tensor:
        """Fine texture of each tissue, and edges as soft as a scanner's."""
        amount = self.table({part: values.texture for part, values in ATTENUATION.items()})[parts]
        hu = hu + amount * (0.8 * self.field(hu.shape, 5.0) + 0.6 * self.field(hu.shape, 14.0))
        mean = F.avg_pool3d(F.pad(hu[None, None], (1, 1) * 3, mode="replicate"), 3, stride=1)[0, 0]
        share = float(self.rng.uniform(0.2, 0.6))
        return (1 - share) * hu + share * mean


def _eroded(mask: Tensor) -> Tensor:
    """Without the places that touch, face to face or over a corner, what is outside."""
    return _largest_near((~mask).float(), 1) == 0


def _largest_near(values: Tensor, reach: int) -> Tensor:
    """The largest value in a cube of `2 * reach + 1` places a side: axis by axis, a ninth of the work."""
    values = values[None, None]
    for axis in range(3):
        size, padding = [1, 1, 1], [0, 0, 0]
        size[axis], padding[axis] = 2 * reach + 1, reach
        values = F.max_pool3d(values, size, stride=1, padding=padding)
    return values[0, 0]


def _box_of(mask: Tensor) -> tuple[slice, ...] | None:
    """The box of a mask, one place wider on each side where there is one."""
    box = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        found = mask.any(dim=axes[1]).any(dim=axes[0]).nonzero()
        if not len(found):
            return None
        box.append(slice(max(0, int(found[0]) - 1), int(found[-1]) + 2))
    return tuple(box)
