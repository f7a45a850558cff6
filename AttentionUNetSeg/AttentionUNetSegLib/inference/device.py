"""Which processor computes, in which precision and memory layout."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import UnavailableDevice

DEVICE_CHOICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True)
class ComputeDevice:
    """A processor with the settings that suit it.

    Attributes
    ----------
    device : torch.device
        torch device.
    dtype : torch.dtype
        Precision of the convolutions; normalization is folded, and logits are computed, in float32.
    memory_format : torch.memory_format
        Layout of 5D tensors.
    transposed_upsampling : bool
        Whether the processor has a 3D transposed convolution (MPS has none in older versions).
    name : str
        For people, e.g. "NVIDIA H200".
    """

    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format
    transposed_upsampling: bool
    name: str

    @property
    def kind(self) -> str:
        """Kind of processor: cuda, mps or cpu."""
        return self.device.type


def available_devices() -> list[str]:
    """Device kinds of this machine, best first; "cpu" is always the last."""
    devices = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def choose_device(requested: str = "auto") -> ComputeDevice:
    """The device to compute on.

    Parameters
    ----------
    requested : str
        "auto" (the best there is), "cpu", "mps", "cuda", or one of several GPUs, e.g. "cuda:1".

    Raises
    ------
    UnavailableDevice
        The requested device does not exist here; the sentence lists those that do.
    """
    present = available_devices()
    kind, _, index = requested.partition(":")
    if requested == "auto":
        kind = present[0]
    elif kind not in DEVICE_CHOICES or (index and not (kind == "cuda" and index.isdigit())):
        raise UnavailableDevice(f'"{requested}" is no compute device.', f"Choose one of: auto, {', '.join(present)}.")
    if kind not in present or (index and int(index) >= torch.cuda.device_count()):
        raise UnavailableDevice(
            f'The device "{requested}" is not available on this machine.',
            f'Available: {", ".join(present)}; "auto" takes the best of them.',
        )
    if kind == "cuda":
        device = torch.device("cuda", int(index or 0))
        # Devices before compute capability 8.0 only emulate bfloat16.
        dtype = torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
        return ComputeDevice(device, dtype, torch.channels_last_3d, True, torch.cuda.get_device_name(device))
    if kind == "mps":
        return ComputeDevice(torch.device("mps"), torch.float32, torch.contiguous_format, False, "Apple GPU")
    return cpu_device()


@contextmanager
def repeatable() -> Iterator[None]:
    """While the block runs, the same input gives the same bits on the same device, and float32 is float32.

    A CPU does so by itself, with the same number of threads. cuDNN would else choose algorithms by a race between them
    (where `benchmark` was switched on, as training does) or take some that add in no fixed sequence, and compute
    float32 convolutions with 10 bits of mantissa (TF32). What cannot be promised: the same bits on another kind of
    device, with another version of torch, cuDNN or oneDNN, or where so much less memory is free that tiles differ.
    """
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def cpu_device() -> ComputeDevice:
    """The CPU: bfloat16 where it has instructions for it (about twice as fast there), else float32."""
    dtype = torch.bfloat16 if _cpu_computes_bfloat16() else torch.float32
    return ComputeDevice(torch.device("cpu"), dtype, torch.channels_last_3d, True, _cpu_name())


def _cpu_computes_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; emulated it would be slower than float32."""
    flags = _cpuinfo("flags").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine() or "CPU"


def _cpuinfo(key: str) -> str:
    """A value of Linux' /proc/cpuinfo, empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
