"""Cross-validation: every patient is validated on once, whatever else the scans are."""

from __future__ import annotations

import dataclasses

import pytest
from AttentionUNetSegLib.cli import main
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.training.trainer import patients_of_fold

from .conftest import tiny_run


def test_every_patient_comes_once_and_scans_of_one_stay_together(scans):
    many = [
        dataclasses.replace(scans[0], name=f"set/{patient}-{scan}", patient=f"patient {patient}")
        for patient in range(13)
        for scan in range(1 + patient % 3)
    ]
    folds = [patients_of_fold(many, 5, fold) for fold in range(5)]
    assert sorted(patient for fold in folds for patient in fold) == sorted({scan.patient for scan in many})
    assert {len(fold) for fold in folds} == {2, 3}
    assert folds[0] != tuple(sorted({scan.patient for scan in many}))[:3]  # data sets are sorted by hospital, often
    assert patients_of_fold(many[::-1], 5, 2) == folds[2]


@pytest.mark.parametrize(("folds", "fold", "words"), [(5, 5, "no fold 5 of 5"), (1, 0, "no fold"), (40, 0, "divided")])
def test_a_fold_that_cannot_be_is_refused(scans, folds, fold, words):
    with pytest.raises(BadInput, match=words):
        patients_of_fold(scans, folds, fold)


def test_one_option_without_the_other_costs_a_sentence(table, tmp_path, capfd):
    assert main(["train", *tiny_run(table, tmp_path / "model", folds=3)]) == 2
    assert "--folds and --fold belong together" in capfd.readouterr().err
