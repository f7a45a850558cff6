"""What a benchmark ran on, and where its numbers go."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def description() -> dict[str, str]:
    """Date, processor, cores, memory and versions of what matters for speed."""
    from AttentionUNetSegLib.inference import choose_device

    versions = {}
    for name in ("torch", "numpy", "scipy", "SimpleITK", "monai", "slicer-core", "trame-slicer", "attention-unet-seg"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.date.today().isoformat(),
        "processor": choose_device("cpu").name,
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **versions,
    }


def write_results(name: str, results: object) -> Path:
    """Write results with the machine's description to ``results/<name>.json`` and return the path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": description(), "results": results}, indent=2) + "\n", encoding="utf-8")
    return path
