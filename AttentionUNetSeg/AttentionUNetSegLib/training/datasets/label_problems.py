"""What is wrong with labels, found before a training starts and not in its middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from os import cpu_count

import numpy as np
import SimpleITK as sitk

from ...errors import BadInput
from ..labelled_scan import LabelledScan, LoadedScan

# An adult's pancreas measures about 40 to 170 mL; atrophy and tumours reach further (MSD Task07: 22 to 868 mL).
PLAUSIBLE_ML = (10.0, 250.0)
# Each holds one CT with its masks, up to 2 GB for 512 x 512 x 1000 voxels. Reading files leaves Python's lock alone.
MOST_THREADS = 4


@dataclass(frozen=True)
class LabelProblem:
    """Something about one scan that a person should know before training.

    Attributes
    ----------
    scan : the `LabelledScan`'s name.
    message : one sentence.
    prevents_training : the scan cannot be used at all (unreadable, another grid, unexplained values); otherwise it is a
        doubt (no pancreas, an implausible volume), which may be right.
    """

    scan: str
    message: str
    prevents_training: bool

    def __str__(self) -> str:
        return self.message if self.message.startswith(f"{self.scan}:") else f"{self.scan}: {self.message}"


def label_problems(
    scans: Sequence[LabelledScan], progress: Callable[[int, int], None] | None = None
) -> list[LabelProblem]:
    """Load every scan once and return what is wrong, in the order of the scans; a few scans are in memory at a time.

    Parameters
    ----------
    scans : of any number of data sets.
    progress : called from this thread after each scan with how many are done, and how many there are.
    """
    found: dict[int, list[LabelProblem]] = {}
    with ThreadPoolExecutor(min(MOST_THREADS, cpu_count() or 1)) as threads:
        waiting = {threads.submit(_problems_of, scan): index for index, scan in enumerate(scans)}
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                found[waiting[future]] = future.result()
                if progress is not None:
                    progress(done, len(scans))
        except BaseException:
            # Ctrl-C, or a progress bar that failed: do not read hundreds of scans to the end first.
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return [problem for index in range(len(scans)) for problem in found[index]]


def _problems_of(scan: LabelledScan) -> list[LabelProblem]:
    try:
        loaded = scan.load()
    except BadInput as error:
        return [LabelProblem(scan.name, str(error), prevents_training=True)]
    except (OSError, RuntimeError, MemoryError) as error:
        reason = str(error).strip().splitlines()
        return [LabelProblem(scan.name, f"It cannot be read ({reason[-1] if reason else error!r}).", True)]
    return [LabelProblem(scan.name, message, prevents_training=False) for message in _doubts(loaded)]


def _doubts(loaded: LoadedScan) -> Iterator[str]:
    pancreas = loaded.structures.get("pancreas")
    if not loaded.structures:
        yield "Nothing is annotated in it."
    if pancreas is None:
        return
    voxels = np.count_nonzero(sitk.GetArrayViewFromImage(pancreas))
    if voxels == 0:
        yield "Its pancreas label is empty."
    elif loaded.ignore is None:
        volume = voxels * float(np.prod(pancreas.GetSpacing())) / 1000
        if not PLAUSIBLE_ML[0] <= volume <= PLAUSIBLE_ML[1]:
            lowest, highest = PLAUSIBLE_ML
            yield f"Its pancreas label measures {volume:.1f} mL, outside {lowest:.0f} to {highest:.0f} mL."
