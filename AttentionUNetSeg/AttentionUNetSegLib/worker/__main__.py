"""`python -m AttentionUNetSegLib.worker`: the worker process. It speaks the worker protocol on stdin and stdout."""

from __future__ import annotations

import os
import signal
import sys

from ..standard_streams import take_standard_streams


def main() -> int:
    """Serve requests until stdin ends or `shutdown` comes; return the exit code."""
    protocol_input, protocol_output = take_standard_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the front end's: it cancels through the protocol

    from .server import Server

    return Server(protocol_input, protocol_output).run()


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to save, and torch takes a second to be torn down
