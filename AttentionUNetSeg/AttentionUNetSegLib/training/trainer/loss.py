"""The loss over partly annotated structures: soft Dice plus cross-entropy, with deep supervision.

Not MONAI's `DiceCELoss` or `MaskedDiceLoss`: their mask is one per patch, for all channels. Here each patch has its
own set of annotated structures, a case weight and label smoothing, and the pancreas channel alone has places that do
not count; and the sums behind Dice have to be those of the whole batch, also where it is spread over processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Reduction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PatchBatch:
    """What the network sees and what it should say.

    Attributes
    ----------
    image : float32 (N, 1, K, J, I), window applied, 0..1.
    target : float32 (N, C, K, J, I), the part of each voxel that is the structure, 0..1.
    certain : float32 (N, 1 or C, K, J, I), 1 where the label counts and 0 where it says nothing: of the pancreas alone
        (one channel), or of each structure (all channels).
    known : float32 (N, C), 1 where the case's structure was annotated.
    weight : float32 (N,), how much the case counts.
    smoothing : float32 (N,), label smoothing of the case.
    """

    image: Tensor
    target: Tensor
    certain: Tensor
    known: Tensor
    weight: Tensor
    smoothing: Tensor

    @classmethod
    def fully_labelled(cls, image: Tensor, target: Tensor) -> PatchBatch:
        """Patches of cases whose every label is known, everywhere, and counts the same."""
        cases, channels = target.shape[:2]
        return cls(
            image, target, torch.ones_like(target[:, :1]), target.new_ones(cases, channels), target.new_ones(cases),
            target.new_zeros(cases),
        )  # fmt: skip


class PartialAnnotationLoss(torch.nn.Module):
    """Soft Dice (F. Milletari et al., 3DV 2016, eq. 2) plus binary cross-entropy per structure, over all levels.

    Level ``l`` counts ``1 / 2**l``; its target is the mean over the ``2**l`` voxels a side that each place covers.
    A structure that a case does not annotate gets no gradient from that case, nor does the pancreas where it is not
    `certain`. Dice is over the whole batch: of the sums, not the mean of the patches' own, which would punish a patch
    without pancreas for one voxel.

    Parameters
    ----------
    channel_weights : one per structure.
    reduction : adds up a tensor over all processes, with gradients; identity for a single process.
    """

    channel_weights: Tensor

    def __init__(self, channel_weights: Sequence[float], reduction: Reduction = lambda sums: sums) -> None:
        super().__init__()
        self.register_buffer("channel_weights", torch.tensor(channel_weights, dtype=torch.float32))
        self.reduction = reduction

    def forward(self, logits: Tensor | Sequence[Tensor], batch: PatchBatch) -> Tensor:
        """Scalar loss of `logits`, finest level first, each (N, C, K, J, I) on its grid."""
        levels = (logits,) if isinstance(logits, Tensor) else tuple(logits)
        sums = torch.stack([_sums(level, predicted.float(), batch) for level, predicted in enumerate(levels)])
        overlap, sizes, entropy, counted = self.reduction(sums).unbind(dim=1)  # each (levels, C)
        is_known = (counted > 0).float() * self.channel_weights
        per_channel = 1 - (2 * overlap + 1) / (sizes + 1) + entropy / counted.clamp_min(1e-6)
        per_level = (per_channel * is_known).sum(dim=1) / is_known.sum(dim=1).clamp_min(1e-6)
        level_weights = 0.5 ** torch.arange(len(levels), device=sums.device)
        return (per_level * level_weights).sum() / level_weights.sum()


def _sums(level: int, logits: Tensor, batch: PatchBatch) -> Tensor:
    """Overlap, sizes, cross-entropy and the number of places that count, over the patches: (4, C)."""
    target, counts = batch.target, _counting(batch)
    if level:
        # The mean over the voxels that count, not over all: else an ignored half would pull the target to 0.
        shares = F.avg_pool3d(counts, 2**level, ceil_mode=True)
        target = F.avg_pool3d(target * counts, 2**level, ceil_mode=True) / shares.clamp_min(1e-6)
        counts = shares
    cases = (batch.known * batch.weight[:, None])[..., None, None, None]
    weights = counts * cases
    probability = torch.sigmoid(logits)
    space = (0, 2, 3, 4)
    overlap = (weights * probability * target).sum(space)
    sizes = (weights * (probability**2 + target**2)).sum(space)
    smoothing = batch.smoothing[:, None, None, None, None]
    smoothed = target * (1 - smoothing) + 0.5 * smoothing
    entropy = (weights * F.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")).sum(space)
    return torch.stack((overlap, sizes, entropy, weights.sum(space)))


def _counting(batch: PatchBatch) -> Tensor:
    """1 where a channel's label counts (N, C, K, J, I): what `certain` says, everywhere for channels it lacks."""
    counts = torch.ones_like(batch.target)
    counts[:, : batch.certain.shape[1]] = batch.certain
    return counts
