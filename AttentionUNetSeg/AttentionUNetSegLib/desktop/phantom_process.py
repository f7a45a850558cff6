"""The process that makes the sample phantom: `python -m AttentionUNetSegLib.desktop.phantom_process PATH SEED X,Y,Z`.

It needs numpy, scipy and SimpleITK, which Slicer's Python has, and ends when its stdin does.
"""

from __future__ import annotations

import os
import sys
import threading


def main(arguments: list[str]) -> None:
    """Write the phantom of this seed and spacing (mm) to the path."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    from ..phantom import make_phantom, write_phantom

    path, seed, spacing = arguments
    x, y, z = (float(part) for part in spacing.split(","))
    write_phantom(make_phantom(int(seed), (x, y, z)), path)


def _end_with_stdin() -> None:
    """Nobody waits any more; PythonSlicer, which may stand between, cannot pass a kill on."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
