"""What is left of a command of `attention-unet-seg` once it has ended."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict:
        """All of stdout, which with --json has to be one JSON object."""
        return json.loads(self.stdout)
