"""Cross-validation: which patients one of K runs does not train on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import BadInput
from ..labelled_scan import LabelledScan

# One division for everybody, whatever the run's own seed: runs of the same data and number of folds fit together.
DIVISION_SEED = 12345


def patients_of_fold(scans: Sequence[LabelledScan], folds: int, fold: int) -> tuple[str, ...]:
    """The patients to validate on in one of the runs; over all runs, each patient comes once.

    Patients are divided, not scans, so that no scan of a patient is trained on while another one judges. The division
    depends on the patients' names and the number of folds only.

    Parameters
    ----------
    scans : all that there are.
    folds : how many runs there are; 2 or more.
    fold : which one this is, 0 to folds - 1.

    Raises
    ------
    BadInput : there is no such fold, or there are fewer patients than folds.
    """
    patients = sorted({scan.patient for scan in scans})
    if folds < 2 or not 0 <= fold < folds:
        raise BadInput(f"There is no fold {fold} of {folds}.", "Folds are counted from 0, and there are 2 or more.")
    if len(patients) < folds:
        raise BadInput(f"{len(patients)} patients cannot be divided into {folds} folds.", "Use fewer --folds.")
    shuffled = np.random.default_rng(DIVISION_SEED).permutation(len(patients))
    return tuple(sorted(patients[number] for number in shuffled[fold::folds]))
