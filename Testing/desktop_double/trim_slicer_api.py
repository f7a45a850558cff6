"""Write `slicer_api.json`: what the double needs of a list of attribute names seen in a running Slicer.

    python Testing/desktop_double/trim_slicer_api.py ../shared/slicer_api.json [qt.QDial ...]

Kept are the classes that are there already, and those that are named. A class is kept whole, with every name it offers:
the double refuses what is missing, so nothing may be left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TRIMMED = Path(__file__).with_name("slicer_api.json")


def main(full_list: Path, more: list[str]) -> None:
    """Write the kept part of `full_list`, and the classes `more`, beside this file."""
    everything = json.loads(full_list.read_text(encoding="utf-8"))
    kept = {name: everything[name] for name in (*json.loads(TRIMMED.read_text(encoding="utf-8")), *more)}
    TRIMMED.write_text(_lines(kept), encoding="utf-8")


def _lines(kept: dict[str, object]) -> str:
    """Return JSON with one line a class, so that a change of the list reads well in a diff."""
    classes = (f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept))
    return "{\n" + ",\n".join(classes) + "\n}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
