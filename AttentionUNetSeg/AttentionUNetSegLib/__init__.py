"""AttentionUNetSeg: pancreas segmentation on CT with 3D Attention U-Net, for 3D Slicer, the command line and a browser.

Importing the package imports nothing else: every room (network, imaging, inference, models, worker, scene, ...)
is imported by whoever needs it, so that Slicer's own process never loads torch.
"""

__version__ = "0.1.0"
