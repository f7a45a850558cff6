"""`python -m AttentionUNetSegLib.measure FOLDER`: measure what `apart.write_masks` wrote there.

The answer is one JSON object on stdout, `Measurements.as_json` or {"error": a sentence}; the process ends when its
stdin does.
"""

from __future__ import annotations

import json
import sys

from ..errors import AttentionUNetSegError
from ..standard_streams import end_with_input


def main(arguments: list[str]) -> int:
    """Measure; return the exit code, 0 where it was done."""
    end_with_input()
    from . import measure_masks
    from .apart import read_masks

    try:
        answer = measure_masks(*read_masks(arguments[0])).as_json()
    except AttentionUNetSegError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
