"""The networks: 2D and 3D Attention U-Net (Oktay et al. 2018) and the plain U-Net to compare it with."""

from .attention_gate import AdditiveAttentionGate, GridAttentionGate
from .attention_unet import AttentionUNet, UNet
from .configuration import build_network
from .reference_checkpoint import load_reference_state_dict

__all__ = [
    "AdditiveAttentionGate",
    "AttentionUNet",
    "GridAttentionGate",
    "UNet",
    "build_network",
    "load_reference_state_dict",
]
