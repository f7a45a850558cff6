"""What a worker is started with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from AttentionUNetSegLib.worker.transport import worker_command


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


PARENT = """
import subprocess, sys
from AttentionUNetSegLib.worker.protocol import Segment, encode
from AttentionUNetSegLib.worker.transport import worker_command

child = (
    "import os, sys; from AttentionUNetSegLib.worker.protocol import decode; "
    "print(os.path.isdir(decode(sys.stdin.buffer.readline()).folder)); print(chr(228), file=sys.stderr)"
)
command = worker_command()
run = subprocess.run(
    [command.arguments[0], "-c", child],
    input=encode(Segment("1", sys.argv[1], "/model")), env=command.environment, cwd=command.folder, capture_output=True,
)
print(sys.getfilesystemencoding(), run.stdout.decode().strip(), ascii(run.stderr.decode("utf-8")))
"""


def test_a_home_folder_with_umlauts_is_the_same_folder_in_a_worker_of_a_latin_1_locale(tmp_path):
    """The protocol's paths are text: parent and child must make the same bytes of it."""
    if shutil.which("localedef") is None:
        pytest.skip("there is no localedef to make a Latin-1 locale with")
    made = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(tmp_path / "de_DE.ISO-8859-1")]
    if subprocess.run(made, capture_output=True).returncode:
        pytest.skip("the sources of a Latin-1 locale are not installed")
    home = os.fsencode(tmp_path) + b"/m\xfcller"
    os.mkdir(home)
    latin = {"LOCPATH": str(tmp_path), "LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"}
    run = subprocess.run(
        [sys.executable, "-c", PARENT, home],
        env=worker_command().environment | latin,
        capture_output=True,
        check=True,
    )
    assert run.stdout.decode().strip() == r"iso8859-1 True '\xe4\n'"
