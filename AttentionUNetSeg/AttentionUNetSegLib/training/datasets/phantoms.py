"""Layout `phantom`: computer-made scans from their seeds, as in "phantom:200000-200009". Nothing is read from disk."""

from __future__ import annotations

import re
from pathlib import Path

import SimpleITK as sitk

from ...errors import BadInput
from ...imaging import PHANTOM_KEY
from ...phantom import make_phantom
from ...phantom.tissues import PHASES, Label
from ..labelled_scan import LabelledScan, LoadedScan

# Slice distances of clinical protocols, from thin to thick, in turn.
SPACINGS_MM = ((0.8, 0.8, 2.0), (0.9, 0.9, 2.5), (0.8, 0.8, 5.0), (1.0, 1.0, 3.0), (0.9, 0.9, 4.0))
MOST_PHANTOMS = 100_000
# A phantom's portal veins reach further than the structure of `STRUCTURES` does, so they are not given.
PHANTOM_STRUCTURES = {
    "pancreas": Label.PANCREAS,
    "duodenum": Label.DUODENUM,
    "stomach": Label.STOMACH,
    "spleen": Label.SPLEEN,
    "left_kidney": Label.LEFT_KIDNEY,
    "liver": Label.LIVER,
    "gallbladder": Label.GALLBLADDER,
}


def open_phantoms(path: Path, prefix: str) -> list[LabelledScan]:
    """Return the phantoms of the seeds in `path`, "200000-200009" or "3,5,8" or both; drawn when they are loaded.

    The seed alone decides a phantom's spacing and phase, whichever others are asked for.

    Raises
    ------
    BadInput : these are no seeds.
    """
    return [_scan(seed, f"{prefix}/{seed}") for seed in _seeds(str(path))]


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first >= MOST_PHANTOMS:
            raise BadInput(f"`{text}` are no phantom seeds.", "Give them as in phantom:200000-200009 or phantom:3,5,8.")
        seeds += range(first, last + 1)
    if len(set(seeds)) != len(seeds):
        raise BadInput(f"In `phantom:{text}` a seed is given twice.")
    return seeds


def _scan(seed: int, name: str) -> LabelledScan:
    return LabelledScan(
        name=name,
        patient=f"phantom {seed}",
        load=lambda: _load(seed),
        labels_by="synthetic",
        licence="Apache-2.0",
        attribution="The AttentionUNetSeg authors",
    )


def _load(seed: int) -> LoadedScan:
    phantom = make_phantom(seed, SPACINGS_MM[seed % len(SPACINGS_MM)], PHASES[seed % len(PHASES)])
    phantom.ct.SetMetaData(PHANTOM_KEY, "1")
    structures = {
        name: sitk.Cast(sitk.Equal(phantom.labels, int(value)), sitk.sitkUInt8)
        for name, value in PHANTOM_STRUCTURES.items()
    }
    return LoadedScan(phantom.ct, structures)
