"""`python -m AttentionUNetSegLib.measure FOLDER`: measure what `apart.write_masks` wrote there.

The answer is one JSON object on stdout, `Measurements.as_json` or {"error": a sentence}; the process ends when its
stdin does.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from ..errors import AttentionUNetSegError


def main(arguments: list[str]) -> int:
    """Measure; return the exit code, 0 where it was done."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    from . import measure_masks
    from .apart import read_masks

    try:
        answer = measure_masks(*read_masks(arguments[0])).as_json()
    except AttentionUNetSegError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
    return int("error" in answer)


def _end_with_stdin() -> None:
    """Nobody waits any more."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
