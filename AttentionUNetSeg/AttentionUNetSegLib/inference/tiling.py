"""Overlapping tiles: where they lie, and how much each place of a tile counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

Shape = tuple[int, int, int]


def padded_shape(shape: Sequence[int], stride: int) -> Shape:
    """`shape` (K, J, I) with each length rounded up to a multiple of `stride`."""
    k, j, i = (_rounded_up(length, stride) for length in shape)
    return k, j, i


def _rounded_up(length: float, stride: int) -> int:
    return int(-(-length // stride)) * stride


def tile_shape(shape: Sequence[int], stride: int, fits: Callable[[Shape], bool]) -> Shape:
    """The largest tile that `fits`, made from the whole padded field by halving its longest side again and again.

    Parameters
    ----------
    shape : Sequence[int]
        (K, J, I) of the field.
    stride : int
        Every length of a tile is a multiple of it and, if tiled, at least four of it.
    fits : Callable[[Shape], bool]
        Whether a tile of a shape fits into memory. The smallest tile is returned even if it does not.
    """
    tile = list(padded_shape(shape, stride))
    while not fits((tile[0], tile[1], tile[2])):
        longest = max(range(3), key=lambda axis: tile[axis])
        if tile[longest] <= 4 * stride:
            break
        # Half of the side and half of an overlap, so that two tiles still cover what one did.
        tile[longest] = max(4 * stride, _rounded_up(tile[longest] * 0.55, stride))
    return tile[0], tile[1], tile[2]


def smallest_tile(tile: Sequence[int], stride: int) -> bool:
    """Whether `tile_shape` cannot make this tile any smaller."""
    return max(tile) <= 4 * stride


def tile_starts(length: int, tile: int, stride: int, overlap: float) -> list[int]:
    """Starts of the tiles along one axis of a padded field, multiples of `stride`, evenly spread.

    Multiples of the stride keep the pooling windows of every tile where those of the whole field are: without
    that, tiled and whole predictions differ everywhere, not only near the tiles' edges.
    """
    if tile >= length:
        return [0]
    step = max(int(tile * (1 - overlap)) // stride * stride, stride)
    count = -(-(length - tile) // step) + 1
    last = length - tile
    return sorted({round(last * index / (count - 1) / stride) * stride for index in range(count)})


def tiles(shape: Sequence[int], tile: Sequence[int], stride: int, overlap: float = 0.5) -> list[Shape]:
    """First corners (K, J, I) of all tiles of a padded field."""
    k, j, i = (tile_starts(length, side, stride, overlap) for length, side in zip(shape, tile, strict=True))
    return list(itertools.product(k, j, i))


def importance_map(tile: Sequence[int], sigma_scale: float = 0.125) -> np.ndarray:
    """Gaussian importance map of a tile: 1 in the middle, falling to the edges, never 0.

    Parameters
    ----------
    tile : Sequence[int]
        (K, J, I).
    sigma_scale : float
        Standard deviation as a part of the side; 1/8 as in nnU-Net (Isensee et al., Nature Methods 2021).

    Returns
    -------
    array (K, J, I), float32.
    """
    profiles = []
    for side in tile:
        places = np.arange(side) - (side - 1) / 2
        profiles.append(np.exp(-0.5 * (places / (side * sigma_scale)) ** 2))
    product = profiles[0][:, None, None] * profiles[1][None, :, None] * profiles[2][None, None, :]
    return np.maximum(product, 1e-6).astype(np.float32)
