"""Keeps stdin and stdout for the protocol alone, whatever libraries print or read."""

from __future__ import annotations

import os
import sys


def take_standard_streams() -> tuple[int, int]:
    """Return private file descriptors of stdin and stdout, and put harmless ones in their places.

    From then on descriptor 1 leads to stderr, so that a `print` in Python or a `printf` in a C library becomes a log
    line, and descriptor 0 reads nothing, so that no library and no child process can take a request away. Call it
    before anything else is imported.
    """
    protocol_input, protocol_output = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(protocol_input, os.O_BINARY)
        msvcrt.setmode(protocol_output, os.O_BINARY)
    return protocol_input, protocol_output
