"""Which patients of the data sets are evaluated."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import BadInput
from ..labelled_scan import LabelledScan

_MOST_NAMED = 5


def choose_patients(
    scans: Sequence[LabelledScan], only: Sequence[str] = (), leave_out: Sequence[str] = ()
) -> list[LabelledScan]:
    """Return the scans of the patients in `only` (all where it is empty) that are not in `leave_out`.

    Raises
    ------
    BadInput : a patient that is not there, one in both lists, or nothing is left.
    """
    patients = list(dict.fromkeys(scan.patient for scan in scans))
    for patient in [*only, *leave_out]:
        if patient not in patients:
            named = ", ".join(patients[:_MOST_NAMED]) + (", ..." if len(patients) > _MOST_NAMED else "")
            raise BadInput(f"There is no patient `{patient}` in the data sets.", f"There are {named or 'none'}.")
    both = sorted(set(only) & set(leave_out))
    if both:
        raise BadInput(f"The patient {both[0]} is both in --only and in --leave-out.")
    chosen = [scan for scan in scans if (not only or scan.patient in only) and scan.patient not in leave_out]
    if not chosen:
        raise BadInput("There are no scans to evaluate.", "Name data sets with scans, or leave out fewer patients.")
    return chosen
