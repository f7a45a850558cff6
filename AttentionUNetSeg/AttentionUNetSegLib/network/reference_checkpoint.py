"""Weights of the widely used PyTorch class ``AttU_Net`` for our `AttentionUNet`, in 2D and 3D.

That class names its layers ``Conv1..Conv5.conv.{0,1,3,4}`` (encoder), ``Up5..Up2.up.{1,2}`` (upsampling),
``Att5..Att2.{W_g,W_x,psi}.{0,1}`` (gates), ``Up_conv5..Up_conv2.conv.{0,1,3,4}`` (decoder) and ``Conv_1x1``.
Its number at the end counts encoder levels from 1 (finest); a decoder layer carries the number of the coarser
level it comes from, so ``Att2`` is our gate 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from ..errors import BadModel
from .attention_unet import AttentionUNet

_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[int, str], str]], ...] = (
    (re.compile(r"Conv(\d+)\.conv\.(\d+)\.(.+)"), lambda n, rest: f"encoder.{n - 1}.{rest}"),
    (re.compile(r"Up(\d+)\.up\.(\d+)\.(.+)"), lambda n, rest: f"upsampling.{n - 2}.{rest}"),
    (re.compile(r"Att(\d+)\.(W_g|W_x|psi)\.(.+)"), lambda n, rest: f"gates.{n - 2}.{rest}"),
    (re.compile(r"Up_conv(\d+)\.conv\.(\d+)\.(.+)"), lambda n, rest: f"decoder.{n - 2}.{rest}"),
)


def load_reference_state_dict(model: AttentionUNet, state_dict: Mapping[str, Tensor]) -> None:
    """Load a state dict that has the names of the class ``AttU_Net`` into `model`, in place.

    Parameters
    ----------
    model : AttentionUNet
        Additive gates, batch norm, the channels and spatial dimensions of the checkpoint.
    state_dict : Mapping[str, Tensor]
        Tensors by name; a ``module.`` prefix (data-parallel training) is taken off.

    Raises
    ------
    BadModel
        A name is unknown or missing, or a shape differs; the sentence names it. `model` is unchanged then.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        ours = _our_name(name.removeprefix("module."))
        if ours is None:
            raise BadModel(f"The checkpoint holds {name!r}, which is no layer of AttU_Net.")
        renamed[ours] = tensor
    expected = model.state_dict()
    for name, tensor in expected.items():
        if name not in renamed:
            # Checkpoints written before PyTorch 0.4.1 do not count the batches that a norm layer has seen.
            if name.endswith("num_batches_tracked"):
                renamed[name] = tensor
                continue
            raise BadModel(f"The checkpoint has no weights for {name!r} of the network.")
        if renamed[name].shape != tensor.shape:
            raise BadModel(
                f"{name!r} has shape {tuple(renamed[name].shape)} in the checkpoint "
                f"but {tuple(tensor.shape)} in the network."
            )
    superfluous = sorted(set(renamed) - set(expected))
    if superfluous:
        raise BadModel(f"The checkpoint holds weights that the network has no place for: {superfluous[0]!r}.")
    model.load_state_dict(renamed)


def _our_name(name: str) -> str | None:
    if name.startswith("Conv_1x1."):
        return "head." + name.removeprefix("Conv_1x1.")
    for pattern, ours in _PATTERNS:
        match = pattern.fullmatch(name)
        if match:
            level, *rest = match.groups()
            return ours(int(level), ".".join(rest))
    return None
