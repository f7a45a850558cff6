"""Convolutions over fewer slices than their kernel has: in float32 on a CPU, because bfloat16 learns nothing there."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class ShallowConvolutionsInFloat32(TorchFunctionMode):
    """Context: a 3D convolution over fewer slices (first spatial axis) than its kernel has is computed in float32.

    On a CPU, torch 2.13 returns the weight's gradient of a bfloat16 convolution of kernel 3 over two slices wrong:
    two of three slices of the kernel get what lay in memory, now and then infinity. The coarsest level of a patch of 32
    slices is that deep. There is so little to compute there that float32 costs nothing.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for each of its functions."""
        function: Any = torch.conv3d  # its own type would be too narrow below
        if func is not function or args[0].shape[2] >= args[1].shape[2]:
            return func(*args, **(kwargs or {}))
        exact = [each.float() if isinstance(each, torch.Tensor) else each for each in args]
        with torch.autocast(args[0].device.type, enabled=False):
            return func(*exact, **(kwargs or {}))
