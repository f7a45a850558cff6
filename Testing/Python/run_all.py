"""Runs all self-tests in a real Slicer, prints a line for each and a summary, and ends Slicer with 0 or 1.

    Slicer --testing --no-main-window --python-script Testing/Python/run_all.py
    Slicer --testing --python-script Testing/Python/run_all.py               with the main window
    ... run_all.py Correcting test_cancel                                    only tests with one of these in their name

With the main window and ATTENTIONUNETSEG_SCREENSHOTS=<folder>, a picture of every section is written there.
ATTENTIONUNETSEG_PYTHON names the Python (with PyTorch) for the worker; the default is Slicer's own. Nothing is
downloaded or installed. The module is loaded from this repository where no installed one is found.

Registering a scripted module executes Python in `__main__` that ends with `del sys, os`, so nothing of this file may be
used after that: all of it is in `self_test_run`.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    folder = os.path.dirname(os.path.abspath(__file__))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import self_test_run

    self_test_run.run_and_exit()
