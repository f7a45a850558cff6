"""Supervised attention: a loss that asks the gates to look at the pancreas and its surroundings.

Oktay et al. 2018 let the coefficients find their own way (section 3); deep supervision was to keep them meaningful at
every scale (section 4.1). Left alone, the finest gate of our networks lights up liver, kidneys and fat. After L. Li et
al. 2018, "Tell Me Where to Look" (CVPR), the map itself is a target here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .loss import PatchBatch

# The finest gates, which people look at; coarser ones may look wherever it helps.
SUPERVISED_GATES = 2
# What lies this near belongs to what has to be looked at: the border is told by what is beyond it.
SURROUNDINGS_VOXELS = 4


def attention_loss(coefficients: Sequence[Tensor], batch: PatchBatch) -> Tensor:
    """Cross-entropy of the coefficients of the two finest gates against the gland and its surroundings.

    Places inside and outside weigh the same together, however few there are inside. A patch whose pancreas is unknown
    does not count, nor do places where its label says nothing.

    Parameters
    ----------
    coefficients : of every gate, (N, 1, *grid) in 0..1, finest first, each on the patch's grid halved some times.
    batch : whose first structure is the pancreas.
    """
    pancreas = (batch.target[:, :1] >= 0.5).float()
    wanted = _grown(pancreas)
    counts = batch.certain[:, :1] * batch.known[:, :1, None, None, None]
    losses = [_balanced(alpha.float(), wanted, counts) for alpha in coefficients[:SUPERVISED_GATES]]
    return torch.stack(losses).mean()


def _grown(mask: Tensor) -> Tensor:
    """With everything within the surroundings; axis by axis, a fraction of the work of one cube."""
    for axis in range(3):
        size, padding = [1, 1, 1], [0, 0, 0]
        size[axis], padding[axis] = 2 * SURROUNDINGS_VOXELS + 1, SURROUNDINGS_VOXELS
        mask = F.max_pool3d(mask, size, stride=1, padding=padding)
    return mask


def _balanced(alpha: Tensor, wanted: Tensor, counts: Tensor) -> Tensor:
    factor = round(wanted.shape[-1] / alpha.shape[-1])
    if factor > 1:
        wanted = F.max_pool3d(wanted, factor, ceil_mode=True)
        counts = -F.max_pool3d(-counts, factor, ceil_mode=True)  # all of the place has to count
    alpha = alpha.clamp(1e-4, 1 - 1e-4)
    inside, outside = counts * wanted, counts * (1 - wanted)
    missed = -(inside * alpha.log()).sum() / inside.sum().clamp_min(1)
    strayed = -(outside * (1 - alpha).log()).sum() / outside.sum().clamp_min(1)
    return 0.5 * (missed + strayed)
