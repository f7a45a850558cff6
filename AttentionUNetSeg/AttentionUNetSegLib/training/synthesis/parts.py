"""What a synthetic CT is made of: the parts of the body, and the HU each takes in each contrast phase.

Sources (HU). Unenhanced: M. Prokop, Spiral and Multislice Computed Tomography of the Body, Thieme 2003, ch. 1;
R. Lamba et al., AJR 2014;203:1013 (nine abdominal soft tissues); P. Pickhardt et al., Ann Intern Med 2013;158:588
(trabecular bone). Pancreatic (late arterial) and portal venous phase of pancreas, liver, portal and mesenteric veins,
aorta: N. McNulty et al., Radiology 2001;220:97; M. Kondo et al., Radiology 2007;243:140 (pancreas about 110 and 90,
aorta about 300 and 160). Portal venous liver about 50 HU above unenhanced: R. Baron, AJR 1994;163:323. Kidney, spleen,
vena cava and the delayed phase: values commonly met in routine scans (3 to 5 minutes for the delayed phase). Positive
oral contrast medium 150 to 500 HU: as met in routine scans. They are typical figures, not measurements of ours; the
standard deviations are wide on purpose (B. Billot et al., SynthSeg, MedIA 2023: a network that saw more than what is
plausible copes with what it never saw).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ...imaging import bounding_box


class Part(IntEnum):
    """Values of a part map."""

    AIR = 0
    FAT = 1  # also whatever lies unlabelled between organs
    SKIN = 2
    MUSCLE = 3
    BONE = 4
    LUNG = 5
    LIVER = 6
    SPLEEN = 7
    LEFT_KIDNEY = 8
    RIGHT_KIDNEY = 9
    PANCREAS = 10
    DUODENUM = 11
    STOMACH = 12
    SMALL_BOWEL = 13
    COLON = 14
    GALLBLADDER = 15
    ADRENAL = 16
    AORTA = 17
    VENA_CAVA = 18
    PORTAL_VEIN = 19  # portal, splenic and superior mesenteric vein
    ARTERY = 20
    OESOPHAGUS = 21
    HEART = 22
    BLADDER = 23
    SPINAL_CANAL = 24
    SOFT_TISSUE = 25


HOLLOW = (Part.DUODENUM, Part.STOMACH, Part.SMALL_BOWEL, Part.COLON)
ORGANS = (
    Part.LIVER, Part.SPLEEN, Part.LEFT_KIDNEY, Part.PANCREAS, Part.DUODENUM, Part.STOMACH, Part.GALLBLADDER,
    Part.OESOPHAGUS,
)  # fmt: skip

PHASES = ("non_contrast", "pancreatic", "portal_venous", "delayed")


@dataclass(frozen=True)
class Attenuation:
    """Mean HU in each of `PHASES`, the deviation between patients, and that of the fine texture within one."""

    by_phase: tuple[float, float, float, float]
    vary: float
    texture: float


ATTENUATION: dict[Part, Attenuation] = {
    Part.AIR: Attenuation((-1000,) * 4, 0, 0),
    Part.FAT: Attenuation((-104, -103, -102, -102), 7, 8),
    Part.SKIN: Attenuation((10, 20, 25, 25), 15, 8),
    Part.MUSCLE: Attenuation((52, 58, 62, 64), 8, 10),
    Part.BONE: Attenuation((170, 180, 185, 185), 50, 35),
    Part.LUNG: Attenuation((-830, -825, -820, -820), 40, 45),
    Part.LIVER: Attenuation((56, 72, 108, 92), 13, 6),
    Part.SPLEEN: Attenuation((46, 125, 118, 95), 12, 6),
    Part.LEFT_KIDNEY: Attenuation((31, 150, 175, 150), 20, 8),
    Part.RIGHT_KIDNEY: Attenuation((31, 150, 175, 150), 20, 8),
    Part.PANCREAS: Attenuation((38, 108, 92, 72), 14, 10),
    Part.DUODENUM: Attenuation((38, 80, 80, 68), 15, 9),
    Part.STOMACH: Attenuation((38, 72, 75, 65), 14, 8),
    Part.SMALL_BOWEL: Attenuation((38, 85, 85, 68), 16, 9),
    Part.COLON: Attenuation((36, 60, 68, 62), 12, 9),
    Part.GALLBLADDER: Attenuation((9, 10, 11, 14), 8, 3),
    Part.ADRENAL: Attenuation((22, 65, 65, 50), 12, 6),
    Part.AORTA: Attenuation((42, 300, 160, 115), 25, 4),
    Part.VENA_CAVA: Attenuation((42, 90, 130, 112), 22, 8),
    Part.PORTAL_VEIN: Attenuation((42, 135, 168, 115), 22, 5),
    Part.ARTERY: Attenuation((42, 280, 155, 112), 25, 5),
    Part.OESOPHAGUS: Attenuation((35, 55, 62, 58), 10, 8),
    Part.HEART: Attenuation((42, 200, 140, 108), 20, 6),
    Part.BLADDER: Attenuation((6, 8, 12, 90), 10, 3),
    Part.SPINAL_CANAL: Attenuation((28, 30, 32, 32), 6, 5),
    Part.SOFT_TISSUE: Attenuation((40, 55, 65, 65), 12, 9),
}
_ENHANCED_BLOOD = (Part.AORTA, Part.VENA_CAVA, Part.PORTAL_VEIN, Part.ARTERY, Part.HEART)
_KEPT_WHEN_IMPLAUSIBLE = (Part.AIR, Part.LUNG, Part.FAT)


def draw_attenuation(rng: np.random.Generator, phase: str) -> dict[Part, float]:
    """One mean HU per part for one patient.

    Parameters
    ----------
    phase : one of `PHASES`, or "implausible": every soft tissue takes any value of -20..220 HU, so that shape and
        surroundings are all that is left to go by.
    """
    if phase == "implausible":
        drawn = {part: float(rng.uniform(-20, 220)) for part in ATTENUATION}
        for part in _KEPT_WHEN_IMPLAUSIBLE:
            drawn[part] = ATTENUATION[part].by_phase[0] + float(rng.normal(0, ATTENUATION[part].vary))
        drawn[Part.BONE] = float(rng.uniform(120, 400))
        return drawn
    column = PHASES.index(phase)
    # Between two phases as often as in one: timing differs from scanner to scanner and from heart to heart.
    neighbour = int(np.clip(column + rng.choice((-1, 1)), 1, len(PHASES) - 1)) if column else 0
    mixture = rng.uniform(0, 0.5) if column else 0.0
    dose = float(np.clip(rng.normal(1.0, 0.15), 0.6, 1.4))  # contrast medium per body weight
    drawn = {}
    for part, values in ATTENUATION.items():
        mean = (1 - mixture) * values.by_phase[column] + mixture * values.by_phase[neighbour]
        enhanced = (mean - values.by_phase[0]) * dose
        drawn[part] = values.by_phase[0] + enhanced + values.vary * float(np.clip(rng.normal(), -2.2, 2.2))
    drawn[Part.RIGHT_KIDNEY] = drawn[Part.LEFT_KIDNEY] + float(rng.normal(0, 4))
    if phase == "non_contrast":  # blood is one fluid
        blood = drawn[Part.AORTA] = float(rng.normal(42, 5))
        for part in _ENHANCED_BLOOD:
            drawn[part] = blood
    return drawn


def box_about(
    mask: np.ndarray, margin_mm: float, spacing_mm: tuple[float, float, float]
) -> tuple[slice, slice, slice] | None:
    """The box (KJI) of a mask and `margin_mm` about it, within the array; None where the mask is empty.

    Parameters
    ----------
    spacing_mm : along K, J, I.
    """
    box = bounding_box(mask)
    if box is None:
        return None
    margins = [int(margin_mm / length) + 1 for length in spacing_mm]
    k, j, i = (slice(max(0, side.start - more), side.stop + more) for side, more in zip(box, margins, strict=True))
    return k, j, i
