"""AttentionUNetSeg: pancreas segmentation on CT with 3D Attention U-Net, for 3D Slicer, the command line and a browser.

``from AttentionUNetSegLib import Segmenter, read_volume, write_image`` is what a script needs; each comes when it is
asked for. Importing the package imports nothing else: every package in it (network, imaging, inference, models, worker,
scene, ...) is imported by whoever needs it, so that Slicer's own process never loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .imaging import Volume, read_volume, write_image
    from .inference import Segmenter, SegmentOptions

__version__ = "0.1.0"

__all__ = ["SegmentOptions", "Segmenter", "Volume", "__version__", "read_volume", "write_image"]

_COMES_FROM = {
    "SegmentOptions": ".inference",
    "Segmenter": ".inference",
    "Volume": ".imaging",
    "read_volume": ".imaging",
    "write_image": ".imaging",
}


def __getattr__(name: str) -> Any:
    if name in _COMES_FROM:
        return getattr(import_module(_COMES_FROM[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_COMES_FROM})
