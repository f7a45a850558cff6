"""Loss for segmentation with soft targets and deep supervision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


class DeeplySupervisedDiceAndCrossEntropy(torch.nn.Module):
    """Soft Dice (F. Milletari et al., 3DV 2016, eq. 2) plus binary cross-entropy, over all decoder levels.

    Level ``l`` counts ``1 / 2**l``; its target is the mean over the ``2**l`` voxels a side that each place covers.
    """

    def forward(self, logits: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Scalar loss of `logits` (finest level first, each (N, C, K, J, I) on its grid) for `target` in 0..1."""
        levels = (logits,) if isinstance(logits, Tensor) else tuple(logits)
        total, weight_sum = target.new_zeros(()), 0.0
        for level, predicted in enumerate(levels):
            coarse = F.avg_pool3d(target, 2**level, ceil_mode=True) if level else target
            weight = 0.5**level
            total = total + weight * dice_and_cross_entropy(predicted.float(), coarse)
            weight_sum += weight
        return total / weight_sum


def dice_and_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """One minus soft Dice (over the whole batch, per channel) plus mean binary cross-entropy."""
    probability = torch.sigmoid(logits)
    dimensions = (0, *range(2, logits.ndim))
    overlap = (probability * target).sum(dimensions)
    sizes = (probability**2).sum(dimensions) + (target**2).sum(dimensions)
    dice = (2 * overlap + 1) / (sizes + 1)
    return (1 - dice).mean() + F.binary_cross_entropy_with_logits(logits, target)
