"""What every model package that is trained here has in common: one label, the pancreas, and weights in float16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..models import SegmentLabel

_LABEL = SegmentLabel()
PANCREAS: dict[str, Any] = {
    "value": 1,
    "channel": 0,
    "name": _LABEL.name,
    "code": {"scheme": _LABEL.scheme, "value": _LABEL.code, "meaning": _LABEL.meaning},
    "color": list(_LABEL.color),
}


def packaged_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict as a package holds it: without the heads of deep supervision, on the CPU, in float16."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous().clone()
        for name, tensor in state.items()
        if not name.startswith("deep_supervision_heads.")
    }
