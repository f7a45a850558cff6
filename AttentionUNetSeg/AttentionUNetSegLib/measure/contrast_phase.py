"""In which phase after the contrast medium a CT was taken: a guess from the HU of the aorta and of the gland.

The models know the pancreas alone, so the aorta is found by its geometry (`aorta`), and vessels beside the gland are
not told apart. Ranges, for usual doses at 120 kV:

Without contrast medium blood has the HU of its haemoglobin: the aorta 38 HU on average ("Enhancement of anemia
detection by correlating computed tomography findings of abdominal aorta and inferior vena cava with laboratory
investigations", 151 patients), the pancreas about 40 HU (R. Lamba et al., AJR 2014;203:1013).
In late arterial phase the aorta has 290 to 360 HU (Radiopaedia, "Late arterial phase"), the coeliac artery 254 +- 41 HU
at 35 s (Y. Kim et al., J Korean Radiol Soc 2000;42:959).
In portal venous phase, 70 s after the injection, 150 HU are common (see `phantom.tissues`); of 49 patients of
NIH Pancreas-CT, all called portal venous, those whose aorta is found have 102 to 254 HU.

The ranges of the last two meet. So between 200 and 260 HU nothing is guessed, nor from 75 to 110 HU, where late phases
lie; later phases than the portal venous one are not told from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..imaging import Geometry
from .aorta import find_aorta, spine_of
from .surroundings import Surroundings, surroundings

NON_CONTRAST, ARTERIAL, PORTAL_VENOUS, UNKNOWN = "non-contrast", "arterial or pancreatic", "portal venous", "unknown"
PHASES = NON_CONTRAST, ARTERIAL, PORTAL_VENOUS, UNKNOWN

# The aorta's HU. While the bolus arrives it falls along the aorta, so that its brightest tenth counts for arterial.
PORTAL_VENOUS_HU = 110.0, 200.0
ARTERIAL_HU = 260.0
# Without contrast medium: the gland's median, and 97 % of what lies within about 10 mm of it, veins included.
UNENHANCED_GLAND_HU, UNENHANCED_VESSELS_HU = 60.0, 75.0
_BESIDE = 97.0


@dataclass(frozen=True)
class ContrastPhase:
    """A guess.

    Attributes
    ----------
    guess : one of `PHASES`.
    grounds : what it was guessed from, or why it could not be, for people; without a full stop.
    aorta_hu : median of the aorta; None where it was not found, as without contrast medium.
    """

    guess: str
    grounds: str
    aorta_hu: float | None = None

    @property
    def sentence(self) -> str:
        """The guess and its grounds."""
        return f"Contrast phase, a guess: {self.guess} ({self.grounds})."

    def as_json(self) -> dict[str, object]:
        """The guess as JSON."""
        return {"guess": self.guess, "grounds": self.grounds, "aorta_hu": self.aorta_hu}

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> ContrastPhase:
        """Take over what `as_json` gave."""
        return cls(kept["guess"], kept["grounds"], kept["aorta_hu"])


def guess_phase(ct: sitk.Image, mask: np.ndarray, grid: Geometry, gland: float | None) -> ContrastPhase:
    """Guess the contrast phase of a CT.

    Parameters
    ----------
    ct : HU, with what lies around the gland (see `surroundings.box_with_surroundings`): a CT that ends with the gland
        leaves it unknown.
    mask : the gland, boolean (KJI).
    grid : where its voxels lie.
    gland : median HU within it; None where it is empty.
    """
    if gland is None:
        return ContrastPhase(UNKNOWN, "there is no gland to look beside")
    around = surroundings(ct, mask, grid)
    beside = _beside_hu(around)
    spine = spine_of(around)
    if spine is None:
        return ContrastPhase(UNKNOWN, f"no spine found behind the gland; median of the gland {gland:.0f} HU")
    aorta = find_aorta(around, spine)
    if aorta is None:
        told = (
            f"no bright aorta in front of the spine; median of the gland {gland:.0f} HU, vessels beside it at most "
            f"{beside:.0f} HU"
        )
        plain = gland <= UNENHANCED_GLAND_HU and beside <= UNENHANCED_VESSELS_HU
        return ContrastPhase(NON_CONTRAST if plain else UNKNOWN, told)
    median, brightest = float(np.median(aorta)), float(np.percentile(aorta, 90))
    told = f"medians: aorta {median:.0f} HU, gland {gland:.0f} HU; brightest tenth of the aorta from {brightest:.0f} HU"
    guess = UNKNOWN
    if brightest >= ARTERIAL_HU:
        guess = ARTERIAL
    elif PORTAL_VENOUS_HU[0] <= median and brightest <= PORTAL_VENOUS_HU[1]:
        guess = PORTAL_VENOUS
    return ContrastPhase(guess, told, round(median))


def _beside_hu(around: Surroundings) -> float:
    """HU below which 97 % lie of what is beside the gland, 3 to 11 mm from it; single bright voxels are smoothed."""
    near, far = (ndimage.maximum_filter(around.gland, size) for size in ((3, 3, 3), (7, 11, 11)))
    smooth = ndimage.median_filter(around.hu, (1, 3, 3))
    return float(np.percentile(smooth[far & ~near], _BESIDE))
