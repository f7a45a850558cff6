"""Speed, memory, correction and models, measured: ``python -m research.benchmarks.NAME`` in the repository."""

from __future__ import annotations

import sys
from pathlib import Path

# The phantom model and networks with random weights, which measurements share with the tests.
TESTING = Path(__file__).resolve().parents[2] / "Testing"
if str(TESTING) not in sys.path:
    sys.path.insert(0, str(TESTING))
