"""A scene in which the last version that could refined a result with the network, as that version's own code wrote it.

Commit c92181c, 2026-11-28: a CT of 12 x 16 x 20 voxels (K, J, I) with an organ of which a result found a half, an Add
click at (6, 8, 11), `Session.refine` with the phantom-only model, a Remove click at (4, 6, 4), `save_scene`.
refined_scene.json holds the bundle's files (Latin-1 in JSON, compressed) and what that version itself made of them
after loading: hashes of the segment, the shown probability and the attention, and how many voxels the segment had after
every further step: undo, undo, redo twice, a third click at (8, 11, 15), the threshold 0.3.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIZE_KJI = (12, 16, 20)
SPACING, ORIGIN = (3.0, 3.0, 4.0), (-20.0, 10.0, 100.0)  # LPS


@dataclass(frozen=True)
class RefinedScene:
    """`loaded` : hashes by what they are of. `voxels` : of the segment, by the step."""

    path: Path
    loaded: dict[str, str]
    voxels: dict[str, int]

    @staticmethod
    def ras_of(k: int, j: int, i: int) -> tuple[float, float, float]:
        x, y, z = (origin + n * step for origin, n, step in zip(ORIGIN, (i, j, k), SPACING, strict=True))
        return -x, -y, z


def refined_scene(path: Path) -> RefinedScene:
    """Write the scene as a .mrb."""
    kept = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    files = json.loads(zlib.decompress(base64.b64decode("".join(kept["scene"]))))
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content.encode("latin-1"))
    return RefinedScene(path, kept["loaded"], kept["voxels"])


def hash_of(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]
