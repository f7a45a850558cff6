"""Random diffeomorphic deformations: another person with the same topology."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, map_coordinates

CONTROL_MM = 8.0
_SQUARINGS = 5


def random_deformation(
    rng: np.random.Generator, grid: sitk.Image, centre: np.ndarray, source_centre: np.ndarray
) -> sitk.Transform:
    """Map from points of `grid` to points of a source: pose, size and shape at random.

    A rotation of up to about 12 degrees, a scale of 0.8 to 1.25 that differs a little from axis to axis, and a
    stationary velocity field of two wavelengths, integrated by scaling and squaring (V. Arsigny et al., MICCAI 2006),
    which keeps neighbours neighbours.

    Parameters
    ----------
    grid : the voxels that will be asked for; only its geometry counts (identity direction).
    centre, source_centre : (x, y, z) in mm; the first maps to about the second.
    """
    affine = sitk.AffineTransform(3)
    size = rng.uniform(0.82, 1.22)
    scales = size * np.exp(rng.normal(0, 0.06, 3))
    angles = np.radians(np.clip(rng.normal(0, 5, 3), -13, 13))
    rotation = sitk.Euler3DTransform((0.0, 0.0, 0.0), *angles.tolist())
    matrix = np.array(rotation.GetMatrix()).reshape(3, 3) @ np.diag(1 / scales)
    affine.SetMatrix(matrix.ravel().tolist())
    affine.SetTranslation((np.asarray(source_centre) - matrix @ np.asarray(centre)).tolist())
    field = _displacement(rng, grid)
    return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(field)])


def _displacement(rng: np.random.Generator, grid: sitk.Image) -> sitk.Image:
    extent = np.array(grid.GetSize()) * np.array(grid.GetSpacing())
    size = np.ceil(extent / CONTROL_MM).astype(int) + 2
    shape = (3, *size[::-1])
    velocity = np.zeros(shape)
    # Long waves move organs, short ones bend them; root mean squares in mm per axis.
    for wave_mm, strength in ((55.0, rng.uniform(2.0, 7.0)), (22.0, rng.uniform(0.6, 2.6))):
        noise = rng.standard_normal(shape)
        smooth = np.stack([gaussian_filter(axis, wave_mm / CONTROL_MM / 2, mode="reflect") for axis in noise])
        velocity += smooth * (strength / smooth.std())
    moved = velocity / CONTROL_MM / 2**_SQUARINGS
    places = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in shape[1:]), indexing="ij"))
    for _ in range(_SQUARINGS):
        # Component order is x, y, z; the array's axes are z, y, x.
        at = places + moved[::-1]
        moved = moved + np.stack([map_coordinates(axis, at, order=1, mode="nearest") for axis in moved])
    image = sitk.GetImageFromArray(np.moveaxis(moved * CONTROL_MM, 0, -1).astype(np.float64), isVector=True)
    image.SetSpacing((CONTROL_MM,) * 3)
    image.SetOrigin((np.array(grid.GetOrigin()) - CONTROL_MM / 2).tolist())
    return image
