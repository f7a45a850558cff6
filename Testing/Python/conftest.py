"""Lets pytest run the in-Slicer self-tests on the double of Testing/desktop_double, so that CI executes them too.

Slicer does not read this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from desktop_double.fixtures import check_nothing_unseen, slicer_session  # noqa: E402, F401


@pytest.fixture(autouse=True)
def running_slicer(slicer_session):  # noqa: F811
    """Every test runs in one Slicer per file, as `run_all.py` runs all in one."""
    yield slicer_session
    check_nothing_unseen()
