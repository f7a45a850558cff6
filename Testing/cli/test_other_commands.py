"""phantom, models, worker, --version, and the Python API that the README shows."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from AttentionUNetSegLib import __version__
from AttentionUNetSegLib.imaging import read_volume
from AttentionUNetSegLib.worker.protocol import PROTOCOL_VERSION


def test_version_and_help(command_line):
    assert command_line("--version").stdout == f"attention-unet-seg {__version__}\n"
    for words in (["--help"], ["segment", "--help"], ["models", "--help"], ["models", "add", "--help"]):
        outcome = command_line(*words)
        assert outcome.code == 0 and outcome.stdout.startswith("usage: attention-unet-seg")


@pytest.mark.parametrize(("name", "label"), [("p.nii.gz", "p_label.nii.gz"), ("a.b.nrrd", "a.b_label.nrrd")])
def test_phantom_writes_a_marked_ct_and_its_label(name, label, in_process, tmp_path):
    path = tmp_path / "new" / name
    words = ("phantom", path, "--seed", 5, "--spacing", "8,8,9", "--phase", "non_contrast")
    outcome = in_process(*words, "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.answer["phantom"] == str(path) and outcome.answer["phase"] == "non_contrast"
    volume = read_volume(path)
    assert volume.is_phantom and volume.image.GetSpacing() == pytest.approx((8, 8, 9))
    labels = sitk.ReadImage(str(path.with_name(label)))
    assert labels.GetSize() == volume.image.GetSize()
    assert np.count_nonzero(sitk.GetArrayViewFromImage(labels)) > 100
    assert in_process(*words).code == 0, "a phantom may be replaced by another"


def test_phantom_into_a_folder(in_process, tmp_path):
    assert in_process("phantom", tmp_path / "demo", "--spacing", "8,8,8").code == 0
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["phantom.nrrd", "phantom_label.nrrd"]


def test_phantom_spares_what_is_no_phantom(in_process, tmp_path):
    patient = tmp_path / "ct.nrrd"
    sitk.WriteImage(sitk.Image(20, 20, 20, sitk.sitkInt16), str(patient))
    before = patient.read_bytes()
    words = ("phantom", patient, "--spacing", "8,8,8")
    outcome = in_process(*words)
    assert outcome.code == 2 and "no phantom" in outcome.stderr and outcome.stderr.count("\n") == 1
    assert patient.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]
    assert in_process(*words, "--force").code == 0
    assert read_volume(patient).is_phantom


@pytest.mark.parametrize(
    "words",
    [["--spacing", "1,2"], ["--spacing", "0,1,1"], ["--spacing", "a,b,c"], ["--phase", "lunar"], ["--seed", "-1"]],
)
def test_phantom_with_wrong_options(words, in_process, tmp_path):
    outcome = in_process("phantom", tmp_path / "p.nrrd", *words)
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []
    assert in_process("phantom", tmp_path / "p.docx").code == 2


def test_models_are_added_listed_described_verified_and_removed(
    command_line, in_process, tiny_model_package, tmp_path, monkeypatch
):
    models = tmp_path / "models"
    archive = shutil.make_archive(str(tmp_path / "tiny"), "zip", tiny_model_package.folder)
    added = command_line("models", "add", archive, "--json", ATTENTIONUNETSEG_MODELS=str(models))
    assert added.code == 0, added.stderr
    assert added.answer["id"] == "tiny-random"

    monkeypatch.setenv("ATTENTIONUNETSEG_MODELS", str(models))
    listed = in_process("models", "list", "--json").answer
    assert "tiny-random" in [model["id"] for model in listed["models"]] and listed["broken"] == []
    assert listed["default"] in [model["id"] for model in listed["models"]]
    assert "tiny-random" in in_process("models", "list").stdout
    card = in_process("models", "info", "tiny-random")
    assert "Random weights" in card.stdout and "Licence" in card.stdout
    manifest = in_process("models", "info", "tiny-random", "--json").answer
    assert manifest["weights"]["sha256"] == tiny_model_package.weights_sha256

    assert in_process("models", "verify").code == 0
    weights = models / "tiny-random" / "weights.pt"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert in_process("models", "verify", "tiny-random").code == 3

    removed = in_process("models", "remove", "tiny-random")
    assert removed.code == 0 and not weights.exists()
    assert in_process("models", "remove", "tiny-random").code == 2
    assert in_process("models", "info", "tiny-random").code == 3
    assert in_process("models", "add", tmp_path / "nothing.zip").code == 2


@pytest.mark.parametrize("kind", ["other objects", "TorchScript", "incomplete"])
def test_a_model_that_could_not_run_is_refused_at_once(kind, in_process, tiny_model_package, tmp_path, monkeypatch):
    import torch

    monkeypatch.setenv("ATTENTIONUNETSEG_MODELS", str(tmp_path / "models"))
    folder = tmp_path / "bad"
    shutil.copytree(tiny_model_package.folder, folder)
    weights, manifest = folder / "weights.pt", json.loads((folder / "model.json").read_text())
    if kind == "TorchScript":
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), weights)
    elif kind == "other objects":
        torch.save({"weights": tmp_path}, weights)
    else:
        state = torch.load(weights, weights_only=True)
        del state[next(iter(state))]
        torch.save(state, weights)
    manifest["weights"]["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(manifest))
    outcome = in_process("models", "add", folder)
    assert outcome.code == 3
    assert ("lack" if kind == "incomplete" else "cannot be read") in outcome.stderr
    assert not list((tmp_path / "models").glob("*"))


def test_worker_speaks_the_protocol(environment):
    hello = json.dumps({"type": "hello", "version": PROTOCOL_VERSION}) + "\n"
    with subprocess.Popen(
        [sys.executable, "-m", "AttentionUNetSegLib.cli", "worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        process.stdin.write(hello)
        process.stdin.flush()
        ready = json.loads(process.stdout.readline())
        assert ready["type"] == "ready" and ready["version"] == PROTOCOL_VERSION
        process.stdin.close()
        assert process.wait(timeout=120) == 0


def test_the_examples_of_the_python_api_run_as_they_stand(
    phantom_file, tiny_model_package, tmp_path, segmented, environment, monkeypatch, capsys
):
    document = (Path(__file__).resolve().parents[2] / "Documentation" / "python.md").read_text(encoding="utf-8")
    first, second, in_slicer = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    assert "slicer.util" in in_slicer, "it runs in Slicer only: Testing/Python"
    monkeypatch.setenv("ATTENTIONUNETSEG_MODELS", str(tmp_path / "models"))
    shutil.copytree(tiny_model_package.folder, tmp_path / "models" / "tiny-random")
    monkeypatch.chdir(tmp_path)
    shutil.copy(phantom_file, "ct.nii.gz")
    names: dict[str, object] = {}
    exec(first.replace('Segmenter("pancreas-ct")', 'Segmenter("tiny-random", "cpu")'), names)
    said = capsys.readouterr().out
    assert "'Pancreas': " in said
    ours, theirs = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        for path in ("probability.nrrd", segmented.file("probability.nrrd"))
    )
    np.testing.assert_array_equal(ours, theirs)  # of the command line
    exec(second, names)
    assert (
        len(list(Path().glob("attention_*.nrrd"))) == 2 and sitk.ReadImage("spread.nrrd").GetSize() == ours.shape[::-1]
    )


def test_a_script_names_an_installed_model_and_loads_torch_only_then():
    program = (
        "import sys, AttentionUNetSegLib as library\n"
        "from AttentionUNetSegLib import read_volume, write_image\n"
        "assert 'torch' not in sys.modules and 'Segmenter' in dir(library)\n"
        "from AttentionUNetSegLib import Segmenter\n"
        "from AttentionUNetSegLib.errors import BadModel\n"
        "print(Segmenter('pancreas-ct', 'cpu').package.id)\n"
        "try: Segmenter('nothing')\n"
        "except BadModel as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pancreas-ct\nNo model 'nothing' is installed. Installed: ")
