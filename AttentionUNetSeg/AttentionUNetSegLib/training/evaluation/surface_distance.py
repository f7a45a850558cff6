"""HD95 and normalised surface Dice of two masks.

The surfaces are MONAI's; the distances between them come from a k-d tree over the surfaces, not from a distance map
over the box: a single island far from the organ makes that box as large as the CT, at some 50 bytes a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

_SLAB = 32  # slices whose surface elements are made at a time


def hausdorff_95_mm(first: np.ndarray, second: np.ndarray, spacing_mm: Sequence[float]) -> float | None:
    """95th percentile Hausdorff distance in mm, the larger of both directions; None where a mask is empty.

    The same as MONAI's `compute_hausdorff_distance(percentile=95, spacing=...)`: distances between the centres of
    voxels that have a face neighbour outside.

    Parameters
    ----------
    first, second : bool, the same shape.
    spacing_mm : voxel size along each axis.
    """
    if not first.any() or not second.any():
        return None
    surfaces = [np.argwhere(mask & ~binary_erosion(mask)) * np.asarray(spacing_mm, float) for mask in (first, second)]
    there, back = _distances(*surfaces)
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def normalised_surface_dice(
    first: np.ndarray, second: np.ndarray, spacing_mm: Sequence[float], tolerance_mm: float
) -> float | None:
    """The part of both surfaces, by area, that lies within the tolerance of the other one; None where both are empty.

    The same as MONAI's `compute_surface_dice(use_subvoxels=True)`: S. Nikolov et al., Clinically applicable
    segmentation of head and neck anatomy for radiotherapy, J Med Internet Res 2021;23:e26151 (surface elements between
    the voxels, weighted by area, so that anisotropic spacing does no harm).

    Parameters
    ----------
    first, second : bool, the same shape.
    spacing_mm : voxel size along each axis.
    tolerance_mm : accepted distance.
    """
    if not first.any() and not second.any():
        return None
    if not first.any() or not second.any():
        return 0.0
    (points, areas), (other_points, other_areas) = _surface_elements(first, second, spacing_mm)
    there, back = _distances(points, other_points)
    close = areas[there <= tolerance_mm].sum() + other_areas[back <= tolerance_mm].sum()
    return float(close / (areas.sum() + other_areas.sum()))


def _distances(points: np.ndarray, other_points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each point to the nearest one of the others, and back."""
    return cKDTree(other_points).query(points)[0], cKDTree(points).query(other_points)[0]


def _surface_elements(
    first: np.ndarray, second: np.ndarray, spacing_mm: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Position (N, 3) in mm and area (N,) in mm² of every surface element of either mask."""
    import torch  # these two cost seconds, and only here
    from monai.metrics.utils import get_mask_edges

    # A mask that reaches the border has its surface there. Elements lie between slices: slabs share one slice.
    first, second = np.pad(first, 1), np.pad(second, 1)
    found: tuple[list[Any], list[Any]] = ([], [])
    for k in range(0, len(first) - 1, _SLAB):
        slabs = [torch.from_numpy(mask[k : k + _SLAB + 1]) for mask in (first, second)]
        *edges, first_areas, second_areas = get_mask_edges(*slabs, crop=False, spacing=tuple(spacing_mm))
        for edge, area, elements in zip(edges, (first_areas, second_areas), found, strict=True):
            hits = np.asarray(edge, bool)
            elements.append(((np.argwhere(hits) + (k, 0, 0)) * np.asarray(spacing_mm, float), np.asarray(area)[hits]))
    return [
        (np.concatenate([points for points, _ in elements]), np.concatenate([areas for _, areas in elements]))
        for elements in found
    ]
