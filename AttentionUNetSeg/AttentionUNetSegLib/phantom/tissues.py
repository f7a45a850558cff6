"""Labels, attenuation and texture of the phantom's tissues.

Sources of the unenhanced values (HU): M. Prokop, Spiral and Multislice Computed Tomography of the Body, Thieme 2003,
ch. 1 (lung, fat, kidney 20..40, spleen 35..55, liver 45..65, blood 45..65, bone); R. Lamba et al., AJR 2014;203:1013
(nine abdominal soft tissues on unenhanced CT, and how far scanners differ: the reason for the generous `vary`);
Int J Legal Med 2019;133:1861 (normal liver 58 +- 9); P. Pickhardt et al., Ann Intern Med 2013;158:588 (trabecular bone
of L1: about 160 +- 40). Portal venous phase: liver about 50 HU above unenhanced is the accepted aim of an adequate
scan (R. Baron, AJR 1994;163:323); pancreas, portal and superior mesenteric vein: N. McNulty et al., Radiology
2001;220:97; the rest are values commonly met in routine scans at 70 s. They are typical figures, not measurements of
ours. Fatty replacement mottles the pancreas: C. Herzog, Pancreas, radiologykey.com/22-pancreas.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np

Phase = Literal["non_contrast", "portal_venous"]
PHASES: tuple[Phase, ...] = ("non_contrast", "portal_venous")


class Label(IntEnum):
    """Values of the phantom's label map."""

    BACKGROUND = 0
    PANCREAS = 1
    DUODENUM = 2
    STOMACH = 3
    LIVER = 4
    SPLEEN = 5
    RIGHT_KIDNEY = 6
    LEFT_KIDNEY = 7
    AORTA = 8
    VENA_CAVA = 9
    PORTAL_VEINS = 10  # portal, superior mesenteric and splenic vein
    ARTERIES = 11  # celiac, splenic, common hepatic, superior mesenteric, renal
    BOWEL = 12
    COLON = 13
    GALLBLADDER = 14
    ADRENALS = 15
    SPINE = 16
    RIBS = 17
    LUNGS = 18
    HEART = 19
    MUSCLE = 20
    FAT = 21
    SKIN = 22


@dataclass(frozen=True)
class Tissue:
    """Mean HU per phase, and how it varies.

    `vary` is the standard deviation (HU) between phantoms; `fine` and `coarse` are those of the texture within one
    phantom, at a scale of about 3 and 12 mm.
    """

    non_contrast: float
    portal_venous: float
    vary: float = 3.0
    fine: float = 2.0
    coarse: float = 2.0


TISSUES: dict[str, Tissue] = {
    "air": Tissue(-1000, -1000, 0, 0, 0),
    "gas": Tissue(-960, -960, 5, 5, 5),
    "couch": Tissue(-180, -180, 40, 5, 5),
    "lung": Tissue(-840, -830, 20, 45, 25),
    "fat": Tissue(-104, -102, 4, 6, 5),
    "skin": Tissue(15, 25, 8, 5, 5),
    "muscle": Tissue(54, 64, 4, 9, 6),
    "cortical_bone": Tissue(620, 620, 80, 40, 40),
    "trabecular_bone": Tissue(160, 175, 30, 30, 15),
    "disc": Tissue(80, 88, 8, 5, 5),
    "spinal_fluid": Tissue(22, 26, 4, 4, 3),
    "liver": Tissue(57, 108, 8, 3, 3),
    "spleen": Tissue(46, 118, 6, 3, 3),
    "kidney": Tissue(31, 175, 6, 5, 8),
    "urine": Tissue(6, 20, 4, 1, 1),
    "adrenal": Tissue(25, 65, 5, 3, 2),
    "bile": Tissue(9, 10, 4, 1, 1),
    "pancreas": Tissue(39, 92, 7, 9, 6),
    "pancreatic_duct": Tissue(12, 25, 4, 1, 1),
    "stomach_wall": Tissue(40, 72, 6, 5, 4),
    "stomach_contents": Tissue(14, 14, 10, 5, 10),
    "bowel_wall": Tissue(40, 82, 8, 6, 6),
    "bowel_contents": Tissue(18, 20, 10, 8, 10),
    "stool": Tissue(25, 25, 15, 45, 25),
    "blood_arterial": Tissue(42, 150, 12, 2, 2),
    "blood_venous": Tissue(42, 132, 12, 3, 5),
    "blood_portal": Tissue(42, 165, 14, 2, 2),
    "calcification": Tissue(500, 500, 80, 20, 20),
}


def draw_attenuation(rng: np.random.Generator, phase: Phase) -> dict[str, float]:
    """One mean HU per tissue for one phantom.

    Vessels and organs of one phantom share part of their deviation, because dose and timing of the contrast medium
    act on all of them.
    """
    shared = rng.normal(0, 0.08) if phase == "portal_venous" else 0.0
    drawn = {}
    for name, tissue in TISSUES.items():
        base = tissue.non_contrast
        gain = (tissue.portal_venous - base) * (1 + shared) if phase == "portal_venous" else 0.0
        drawn[name] = base + gain + tissue.vary * float(np.clip(rng.normal(), -2, 2))
    # Blood is one fluid: unenhanced it looks the same in every vessel, up to haematocrit.
    if phase == "non_contrast":
        drawn["blood_venous"] = drawn["blood_portal"] = drawn["blood_arterial"]
    return drawn
