"""Test-time augmentation: the network looks several times, and what it says differently is its spread.

After Wang et al. 2019, "Aleatoric uncertainty estimation with test-time augmentation" (Neurocomputing 338): the passes
sample what differs between two scans of one patient and must not matter, here where the voxel grid lies and how the
scanner is calibrated. Nothing is mirrored: head, tail, liver and spleen have their sides, and a mirrored patient is no
patient. For the pancreas there is no axis along which anatomy allows a flip.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# A standard deviation of values in 0..1 is at most 0.5: this scale uses the whole range of uint8.
SPREAD_SCALE = 2 * 255


@dataclass(frozen=True)
class Pass:
    """One look at the field.

    Attributes
    ----------
    shift : tuple[int, int, int]
        The field begins this many voxels earlier along K, J, I; other pooling windows then see each place.
    hu : float
        Added to the CT's values before the intensity window.
    """

    shift: tuple[int, int, int] = (0, 0, 0)
    hu: float = 0.0


# Along each axis every place in a block of 8 voxels (three poolings) comes once. 10 HU is more than the calibration of
# a scanner may be off (4 HU for water), and about what differs between tube voltages in unenhanced soft tissue.
PASSES = (
    Pass(),
    Pass((1, 1, 1)),
    Pass((3, 2, 7), 10.0),
    Pass((2, 3, 3), -10.0),
    Pass((4, 5, 6)),
    Pass((5, 4, 2), 10.0),
    Pass((6, 7, 5), -10.0),
    Pass((7, 6, 4)),
)


def mean_and_spread(
    probabilities: Iterable[np.ndarray], with_spread: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Voxel-wise mean and standard deviation of the passes, two arrays in memory however many passes there are.

    Parameters
    ----------
    probabilities : Iterable[np.ndarray]
        One or more float32 arrays of one shape; the first is overwritten.
    with_spread : bool
        Whether the standard deviation is wanted; the mean is the same, bit for bit, without it.

    Returns
    -------
    mean, and the standard deviation over the passes (of these passes, not an estimate for others: 0 to 0.5), None after
    a single pass and where it is not wanted. Welford's update (Technometrics 1962): rounding loses no small spreads.
    """
    looks = iter(probabilities)
    mean = next(looks)
    squares: np.ndarray | None = None
    count = 1
    for count, probability in enumerate(looks, start=2):
        difference = probability - mean
        mean += difference / count
        if with_spread:
            squares = np.zeros_like(mean) if squares is None else squares
            squares += difference * (probability - mean)
    if squares is None:
        return mean, None
    return mean, np.sqrt(np.maximum(squares / count, 0.0, out=squares), out=squares)
