"""The recipe of pancreas-ct 0.7.0: who is left out where, what is averaged, which constants come from which folds."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from AttentionUNetSegLib.errors import BadInput
from AttentionUNetSegLib.models import Catalogue, write_package
from AttentionUNetSegLib.network import build_network
from AttentionUNetSegLib.training.evaluation.cropped_case import CroppedCase
from AttentionUNetSegLib.training.trainer import TrainingConfiguration
from AttentionUNetSegLib.training.trainer.checkpoint import initial_weights, load_what_fits
from random_model import write_random_model

from research import pancreas_ct_cross_validation, pancreas_ct_gates
from research.pancreas_ct_card import limitations
from research.pancreas_ct_cross_validation import (
    EIGHT_PASSES,
    VERSION,
    VERSIONS,
    Held,
    _held,
    against,
    announced,
    best_limit,
    best_threshold,
    doubt,
    leave_one_fold_out,
    summary,
)
from research.pancreas_ct_gates import start_of
from research.pancreas_ct_manual import (
    SAME_PATIENTS,
    averaged_package,
    mean_of_stages,
    mean_weights,
    read_folds,
    stage_folder,
)


def held(patient: str, fold: int, inside: int, outside: int, sure: float, agreement: float | None = None) -> Held:
    """A gland whose voxels got the probability `inside`, in a field that got `outside` (0..255)."""
    label = np.zeros((8, 8, 8), bool)
    label[2:6, 2:6, 2:6] = True
    probability = np.where(label, inside, outside).astype(np.uint8)
    case = CroppedCase(probability, probability >= 128, label, (2.0, 2.0, 2.0), (0, 0, 0), None, probability >= 128)
    each = Held(patient, fold, case, {"expected_dice": sure, "whole_ml": 60.0})
    return Held(patient, fold, case, {**each.measured, "dice": each.dice_at(0.5)})


def test_every_patient_is_left_out_once_with_the_shape_that_is_its_own():
    folds = read_folds()
    patients = [patient for fold in folds for patient in fold]
    assert len(patients) == len(set(patients)) == 49 + 5 and len(folds) == 5
    assert sum(patient.startswith("nih_") for patient in patients) == 49
    assert set(SAME_PATIENTS.values()) <= set(patients)


def test_the_mean_of_weights_is_the_mean_and_counters_stay(tmp_path):
    paths = []
    for number in (1.0, 3.0):
        state = {"module.a": torch.full((2,), number), "module.count": torch.tensor(7), "n_averaged": torch.tensor(9)}
        paths.append(tmp_path / f"{number}.pt")
        torch.save({"averaged": state}, paths[-1])
    mean = mean_weights(paths)
    assert mean["a"].tolist() == [2.0, 2.0] and int(mean["count"]) == 7


def test_the_ends_of_two_stages_are_averaged_into_one_package(tmp_path):
    packages = [write_random_model(tmp_path / name, (2, 3), 2.5, name, in_half=True) for name in ("one", "two")]
    one = torch.load(packages[0].weights_path, weights_only=True)
    other = {name: tensor + 2 if tensor.is_floating_point() else tensor for name, tensor in one.items()}
    torch.save(other, tmp_path / "other.pt")
    other_package = write_package(tmp_path / "two", packages[1].manifest, tmp_path / "other.pt")
    averaged = averaged_package([packages[0], other_package], tmp_path / "averaged")
    weights = torch.load(averaged.weights_path, weights_only=True)
    assert averaged.id == "two" and {tensor.dtype for tensor in weights.values()} == {t.dtype for t in one.values()}
    for name, tensor in one.items():
        expected = (tensor.float() + other[name].float()) / 2
        torch.testing.assert_close(weights[name].float(), expected, rtol=1e-3, atol=2e-3)


def test_stages_are_counted_from_one_and_one_alone_is_itself(tmp_path):
    for number in (1, 2):
        folder = stage_folder(tmp_path, "fold_0", number)
        folder.mkdir(parents=True)
        write_random_model(folder / "model", (2, 3), 2.5, f"model-{number}", in_half=True)
    assert [mean_of_stages(tmp_path, "fold_0", (number,)).id for number in (1, 2)] == ["model-1", "model-2"]
    both = mean_of_stages(tmp_path, "fold_0", (1, 2))
    assert both.id == "model-2" and both.folder.name == "mean_of_1_2"
    with pytest.raises(BadInput, match="Stage 3 of fold_0 is not finished"):
        mean_of_stages(tmp_path, "fold_0", (2, 3))
    with pytest.raises(BadInput, match="No stage of fold_1 is finished"):
        mean_of_stages(tmp_path, "fold_1", (1,))


def test_gates_of_another_kind_begin_anew_and_all_else_as_before(tmp_path):
    before = write_random_model(tmp_path / "before", (2, 3, 4), 2.5)
    additive = TrainingConfiguration(tmp_path, tmp_path, tmp_path, features=(2, 3, 4), start_from=before.folder)
    assert start_of(additive, tmp_path / "none.pt") == before.folder
    grid = replace(additive, gate="grid")
    network = build_network(grid.network)
    load_what_fits(network, initial_weights(start_of(grid, tmp_path / "start.pt")))
    own, given = network.state_dict(), initial_weights(before.folder)
    shared = [name for name in own if name in given and not name.startswith(("gates.", "head."))]
    assert len(shared) > 20 and all(torch.equal(own[name], given[name]) for name in shared)
    with pytest.raises(BadInput, match="do not fit: gates"):
        load_what_fits(network, given)


def test_gates_compared_before_are_kept_and_others_are_added(tmp_path, monkeypatch):
    """Nothing is trained here: what a training would give is told; all else is the command's own."""
    trained = []

    def rows(package, work, fold):
        trained.append(package)
        return [{"patient": f"patient_{fold}", "dice": 0.5 + 0.1 * fold, "gates": [{"auc": 0.9}]}]

    monkeypatch.setattr(pancreas_ct_gates, "_trained", lambda options, *which: which)
    monkeypatch.setattr(pancreas_ct_gates, "_measured", rows)

    def compare(*arguments):
        common = ["--work", tmp_path / "work", "--start-from", tmp_path, "--out", tmp_path / "gates"]
        pancreas_ct_gates.main([str(each) for each in (*common, *arguments)])
        return json.loads((tmp_path / "gates.json").read_text())["variants"]

    compare("--variants", "none", "--folds", 0, "--seeds", 0)
    both = compare("--variants", "none", "additive", "--folds", 0, 1, "--seeds", 0)
    assert trained == [("none", 0, 0), ("none", 1, 0), ("additive", 0, 0), ("additive", 1, 0)]
    assert both["none"]["n"] == both["additive"]["n"] == 2 and both["none"]["mean_dice"] == 0.55
    assert both["none"]["dice_minus_shipped"] == 0.0
    monkeypatch.setattr(pancreas_ct_gates, "FOLD", (replace(pancreas_ct_gates.FOLD[0], steps=7),))
    with pytest.raises(SystemExit, match="7"):
        compare("--variants", "none", "--folds", 2, "--seeds", 0)
    assert len(trained) == 4


def test_a_network_of_fewer_levels_takes_over_the_finest():
    def network(features):
        return build_network({
            "architecture": "AttentionUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1, "gate": "additive",
            "features": features, "norm": "batch", "deep_supervision": True,
        })  # fmt: skip

    whole, less = network([2, 3, 4, 5]), network([2, 3, 4])
    assert load_what_fits(less, whole.state_dict()) == []
    assert all(torch.equal(whole.state_dict()[name], tensor) for name, tensor in less.state_dict().items())


def test_a_threshold_is_chosen_on_the_other_folds():
    low = [held("a", 0, 100, 0, 0.9), held("b", 0, 100, 0, 0.9)]  # found from 0.39 down
    high = [held("c", 1, 255, 180, 0.9)]  # right above 0.7
    assert best_threshold(low) == 0.3 and best_threshold(high) > 0.7
    chosen = leave_one_fold_out([*low, *high], best_threshold)
    assert chosen[0] > 0.7 and chosen[1] == 0.3
    assert summary(low, 0.3)["dice"]["mean"] == 1 and summary(low, 0.5)["below_0.5"] == 2
    assert [each.dice_at(0.3) for each in low] == [each.at(0.3).dice for each in low]


def test_what_is_announced_is_counted_among_poor_and_good_results():
    good, unsure, poor = held("a", 0, 255, 0, 0.9), held("b", 0, 255, 0, 0.6), held("c", 0, 0, 255, 0.6)
    assert announced([good, unsure, poor], {0: 0.7}) == {"poor": [1, 1], "weak": [0, 0], "others": [1, 2]}
    told = doubt([good, held("c", 0, 0, 255, 0.6)])
    assert told["expected_dice"]["area_under_curve_0.6"] == told["expected_dice"]["area_under_curve_0.7"] == 1.0
    assert doubt([unsure, held("c", 0, 0, 255, 0.7)])["expected_dice"]["area_under_curve_0.7"] == 0.0
    assert best_limit([good, poor]) == 0.9, "of the good results, the poor do not count"


def test_what_was_measured_is_not_measured_again_unless_the_weights_changed(tmp_path, monkeypatch):
    runs = []

    def measured(package, *_):
        runs.append(package.weights_sha256)
        return iter([held("a", 0, 255, 0, 0.9)])

    monkeypatch.setattr(pancreas_ct_cross_validation, "_measured", measured)
    first = SimpleNamespace(weights_sha256="1")
    got = [_held(first, EIGHT_PASSES, [], 0, tmp_path, None) for _ in range(2)]
    assert runs == ["1"] and got[0][0].measured == got[1][0].measured
    _held(SimpleNamespace(weights_sha256="2"), EIGHT_PASSES, [], 0, tmp_path, None)
    assert runs == ["1", "2"]


def test_the_bundled_card_tells_what_was_measured_and_what_was_not():
    package = Catalogue().get("pancreas-ct")
    dice = next(entry for entry in package.manifest["performance"] if entry["metric"] == "Dice")
    assert package.manifest["version"] == VERSION and dice["n"] == 49
    assert package.passes == VERSIONS[VERSION].passes and package.second_look is not None
    assert package.quality_limits.mean_probability is None
    assert "measured on none of them" in package.manifest["limitations"]
    assert {"nih_pancreas", "negative", "painted"} <= {entry["name"] for entry in package.manifest["training"]["data"]}
    assert json.dumps(package.manifest)


def test_two_models_are_compared_patient_by_patient():
    better = [held(name, 0, 255, 0, 0.9) for name in "abcdef"]
    worse = [held(name, 0, 255, 130, 0.9) for name in "fedcba"]
    row = against(better, worse)
    assert (row["n"], row["higher_in"]) == (6, 6) and row["mean_difference"] > 0.3 and row["wilcoxon_p"] < 0.05
    assert against(worse, better)["mean_difference"] == -row["mean_difference"]


def test_a_number_that_was_not_measured_is_not_in_the_limitations():
    with pytest.raises(KeyError):
        limitations({}, {"models": {}})
