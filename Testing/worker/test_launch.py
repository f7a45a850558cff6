"""What a worker is started with."""

from __future__ import annotations

import os
import subprocess
import sys

from AttentionUNetSegLib.worker.launch import worker_command


def test_the_child_finds_this_very_package_and_nothing_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONINSPECT", "1")
    command = worker_command()
    code = "import AttentionUNetSegLib, json, sys; print(AttentionUNetSegLib.__file__, sys.flags.utf8_mode)"
    child = subprocess.run(
        [command.arguments[0], "-c", code],
        env=command.environment,
        cwd=command.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    import AttentionUNetSegLib

    assert child.stdout.split() == [AttentionUNetSegLib.__file__, "1"]


def test_another_interpreter_gets_the_package_on_its_path_before_what_was_there(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    command = worker_command("/opt/Slicer/bin/PythonSlicer")
    assert command.arguments == ("/opt/Slicer/bin/PythonSlicer", "-m", "AttentionUNetSegLib.worker")
    first, second = command.environment["PYTHONPATH"].split(os.pathsep)
    assert os.path.isfile(os.path.join(first, "AttentionUNetSegLib", "__init__.py"))
    assert second == "/somewhere"


def test_importing_the_client_loads_nothing_but_the_standard_library():
    command = worker_command()
    code = (
        "import sys; before = set(sys.modules); import AttentionUNetSegLib.worker.job_folder; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - sys.stdlib_module_names))"
    )
    child = subprocess.run(
        [sys.executable, "-S", "-c", code], env={**command.environment, "PYTHONPATH": os.path.dirname(command.folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert child.stdout.strip() == "['AttentionUNetSegLib']"


def test_another_interpreter_starts_from_the_environment_it_is_given(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/Slicer/lib")
    monkeypatch.setenv("PYTHONHOME", "/opt/Slicer/lib/Python")
    environment = worker_command("/opt/conda/bin/python", inherited={"PATH": "/usr/bin"}).environment
    assert environment["PATH"] == "/usr/bin"
    assert not {"LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONNOUSERSITE"} & set(environment)
    assert "AttentionUNetSeg" in environment["PYTHONPATH"]
