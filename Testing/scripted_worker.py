"""A process that greets like a worker and then does what a test says: for answers that a real worker never gives."""

from __future__ import annotations

import dataclasses
import sys

from AttentionUNetSegLib.worker.protocol import PROTOCOL_VERSION
from AttentionUNetSegLib.worker.transport import WorkerCommand, worker_command

# What a test's code may call.
GREETING = f"""
import json, os, sys, time
def say(**fields): print(json.dumps(fields), flush=True)
def hear(): return json.loads(sys.stdin.readline() or sys.exit(0))
def ready(version={PROTOCOL_VERSION}):
    assert hear()["type"] == "hello"
    say(type="ready", version=version, pid=os.getpid(), python="3", torch="2", devices=[], seconds=0.1)
def progress(job): say(type="progress", job=job, fraction=0.5, stage="Network", elapsed=1.0)
def fail(job): say(type="error", job=job, code="bad_input", message="No.", hint="", detail="")
"""


def script_command(code: str) -> WorkerCommand:
    """The command of a process that runs this Python code in place of the worker."""
    return dataclasses.replace(worker_command(), arguments=(sys.executable, "-c", code))
