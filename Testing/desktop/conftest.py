"""The double's fixtures for the tests of the desktop module."""

from __future__ import annotations

import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
if str(TESTING) not in sys.path:
    sys.path.insert(0, str(TESTING))

from desktop_double.fixtures import module, slicer_app  # noqa: E402, F401
