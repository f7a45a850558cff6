"""What `Reload and Test` checks inside Slicer: the whole way once, on a phantom."""

from __future__ import annotations

import unittest
from typing import Any

from .interpreter import has_torch


def segment_phantom(test: unittest.TestCase, logic: Any) -> None:
    """Segment a phantom, then move the threshold: a lower one never makes the segment smaller. Closes `logic`.

    Skips the test where PyTorch is not installed.

    Parameters
    ----------
    logic : a fresh `AttentionUNetSegLogic`.
    """
    try:
        if not has_torch():
            test.skipTest("PyTorch is not installed, and tests install nothing.")
        segmentation = logic.segmentPancreas(logic.makePhantom(), waitForCompletion=True)
        # How much a model finds in a phantom is the model's own business; most were made for patients.
        before = logic.setThreshold(segmentation, 0.5)
        test.assertGreaterEqual(logic.setThreshold(segmentation, 0.2), before)
        test.assertEqual(logic.volumeMl(segmentation), logic.setThreshold(segmentation, 0.2))
    finally:
        logic.close()
