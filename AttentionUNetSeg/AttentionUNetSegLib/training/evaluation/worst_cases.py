"""Keeps the pictures of the worst cases while an evaluation runs, and of no others."""

from __future__ import annotations

import re
from pathlib import Path

from .evaluation import MeasuredCase
from .overlay import draw_case, write_png
from .report import number
from .summary import measure_name


class WorstCases:
    """The pictures of the cases with the lowest Dice, as files.

    Parameters
    ----------
    folder : where the pictures are written.
    count : how many are kept at most.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._kept: list[tuple[float, str, Path]] = []
        self._drawn = 0

    def offer(self, measured: MeasuredCase) -> None:
        """Draw the case if it is one of the worst so far."""
        metrics = measured.result.metrics
        badness = metrics.dice if metrics.dice is not None else 2.0  # both empty: nothing is wrong
        if not self._count or (len(self._kept) == self._count and badness >= self._kept[-1][0]):
            return
        name = measured.result.name
        title = f"{name}   {measure_name('Dice', measured.result.labels_by)} {number(metrics.dice)}"
        title += f"   HD95 {number(metrics.hd95_mm, 1)} mm   {metrics.predicted_ml:.1f} mL"
        title += f" (labelled {metrics.labelled_ml:.1f})"
        self._drawn += 1
        path = self._folder / f"drawn_{self._drawn}.png"
        write_png(draw_case(measured.scan.ct, measured.case, title), path)
        self._kept.append((badness, name, path))
        self._kept.sort(key=lambda entry: entry[:2])
        for *_, dropped in self._kept[self._count :]:
            dropped.unlink()
        del self._kept[self._count :]

    def names(self) -> dict[str, str]:
        """Give the files their final names, the worst first, and return them by case."""
        files = {}
        for place, (_, name, path) in enumerate(self._kept, start=1):
            file = f"worst_{place}_{_as_file_name(name)}.png"
            path.rename(self._folder / file)
            files[name] = file
        return files


def _as_file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
