"""The house rules that a machine can check: what lies where, how long, how named, and what is declared."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from longest_first import LONGEST_FIRST

ROOT = Path(__file__).resolve().parents[2]
MODULE_FOLDER = ROOT / "AttentionUNetSeg"
LIBRARY = MODULE_FOLDER / "AttentionUNetSegLib"
BUNDLED_MODELS = MODULE_FOLDER / "Resources" / "Models"

TOP_LEVEL = {
    "AttentionUNetSeg", "Resources", "Testing", "CMakeLists.txt", "README.md", "LICENSE.txt", "pyproject.toml",
    "Makefile", "AttentionUNetSeg.json", ".ci", ".gitignore", "Documentation", "CONTRIBUTING.md", "CHANGELOG.md",
    "CITATION.cff", ".github", ".pre-commit-config.yaml", "setup.py", "research",
}  # fmt: skip
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
LONGEST_FILE = 600
SMALL_FILE = 60
OWN_COMMAND = "each command of the command line has its arguments in a file"
OWN_METHOD = "a method with a source of its own, tested by itself"
OWN_WIDGET = "a part of the page of its own"
SMALL_FOR_A_REASON = {
    "cli/cohort_arguments.py": OWN_COMMAND,
    "cli/evaluate_arguments.py": OWN_COMMAND,
    "cli/synthesize_arguments.py": OWN_COMMAND,
    "correction/neighbouring_clicks.py": OWN_METHOD,
    "imaging/nifti_labels.py": OWN_METHOD,
    "inference/islands.py": OWN_METHOD,
    "measure/attenuation.py": OWN_METHOD,
    "measure/gland_parts.py": OWN_METHOD,
    "scene/overview/planes.py": OWN_METHOD,
    "scene/overview/within_body.py": OWN_METHOD,
    "session/ct_frame.py": OWN_METHOD,
    "training/evaluation/calibration_drawing.py": OWN_METHOD,
    "training/evaluation/worst_cases.py": OWN_METHOD,
    "training/synthesis/deformation.py": OWN_METHOD,
    "training/trainer/best_weights.py": OWN_METHOD,
    "training/trainer/presets.py": "what a person chooses by name; documents point at it",
    "training/trainer/shallow_convolutions.py": OWN_METHOD,
    "web/scale_bar.py": OWN_WIDGET,
}

TEXTS = {
    path: path.read_text(encoding="utf-8")
    for folder in (MODULE_FOLDER, ROOT / "Testing", ROOT / "research")
    for path in sorted(folder.rglob("*.py"))
}
LIBRARY_TEXTS = {path: text for path, text in TEXTS.items() if path.is_relative_to(LIBRARY)}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked_files() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("this copy of the project is not a git checkout, so its tracked files are unknown")
    return [name for name in listing.stdout.split("\0") if name]


def test_the_top_level_holds_only_what_belongs_there():
    assert {name.split("/")[0] for name in tracked_files()} <= TOP_LEVEL


def test_nothing_large_is_committed_but_released_weights():
    large = [name for name in tracked_files() if (ROOT / name).is_file() and (ROOT / name).stat().st_size > 2**20]
    packages = r"(AttentionUNetSeg/Resources/Models|Testing/model_packages)"
    weights = [name for name in large if re.fullmatch(rf"{packages}/[^/]+/weights\.pt", name)]
    assert large == weights
    assert all((ROOT / name).stat().st_size <= 13 * 2**20 for name in weights)


def test_every_target_the_readme_names_is_in_the_makefile():
    named = set(re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_every_module_that_a_document_or_a_model_card_runs_exists():
    cards = [*BUNDLED_MODELS.rglob("model.json"), *(ROOT / "Testing").rglob("model.json")]
    named = {
        (relative(path), module)
        for path in [
            *ROOT.glob("*.md"),
            *(ROOT / "Documentation").glob("*.md"),
            ROOT / "research" / "README.md",
            *cards,
        ]
        for module in re.findall(
            r"python -m ((?:research|AttentionUNetSegLib)[\w.]*)", path.read_text(encoding="utf-8")
        )
        if not module.endswith(".NAME")
    }
    assert len(named) > 15
    missing = []
    for name, module in sorted(named):
        file = (ROOT if module.startswith("research") else MODULE_FOLDER) / module.replace(".", "/")
        if not (file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()):
            missing.append((name, module))
    assert missing == []


def test_the_files_of_tests_that_are_run_first_exist():
    assert [name for name in LONGEST_FIRST if not (ROOT / "Testing" / name).is_file()] == []


def test_library_files_are_short():
    lengths = {relative(path): len(text.splitlines()) for path, text in LIBRARY_TEXTS.items()}
    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_a_small_module_with_one_importer_has_a_reason():
    """What few lines do for one other file belongs into that file, unless it is an idea of its own."""
    small = {
        path.relative_to(LIBRARY).as_posix()
        for path, importers in importers_of_modules().items()
        if len(LIBRARY_TEXTS[path].splitlines()) < SMALL_FILE
        and path.name not in ("__init__.py", "__main__.py")
        and len(importers) == 1
        and not any(importer == path.parent / "__init__.py" for importer in importers)  # the package's own face
    }
    assert small - set(SMALL_FOR_A_REASON) == set()


def importers_of_modules() -> dict[Path, set[Path]]:
    """Which files of the library import each of its files."""
    found: dict[Path, set[Path]] = {path: set() for path in LIBRARY_TEXTS}
    for path, text in LIBRARY_TEXTS.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.level:
                place = [*path.parents][node.level - 1].joinpath(*(node.module or "").split("."))
                for file in (place, *(place / name.name for name in node.names)):
                    if file.with_suffix(".py") in found:
                        found[file.with_suffix(".py")].add(path)
    return found


@pytest.mark.parametrize("package", ["correction", "imaging", "inference", "models", "phantom"])
def test_public_functions_say_what_their_parameters_are(package: str):
    """Of two and more parameters, each with its type where numpydoc looks for it."""
    exported = {
        name.name
        for node in ast.walk(ast.parse(LIBRARY_TEXTS[LIBRARY / package / "__init__.py"]))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    unsaid = []
    for path in sorted((LIBRARY / package).glob("*.py")):
        for function in ast.walk(ast.parse(LIBRARY_TEXTS[path])):
            if not (isinstance(function, ast.FunctionDef) and function.name in exported):
                continue
            parameters = [*function.args.args, *function.args.kwonlyargs]
            said = "\n" + (ast.get_docstring(function) or "") + "\n"
            unsaid += [
                f"{relative(path)}: {function.name}, {each.arg} : {ast.unparse(each.annotation)}"
                for each in parameters
                if len(parameters) > 1
                and not re.search(rf"\n(\w+, )*{each.arg}(, \w+)* : {re.escape(ast.unparse(each.annotation))}\n", said)
            ]
    assert unsaid == []


def test_library_files_are_well_named():
    def words(path: Path) -> set[str]:
        return {word for part in path.relative_to(LIBRARY).with_suffix("").parts for word in part.lower().split("_")}

    assert [relative(path) for path in LIBRARY_TEXTS if words(path) & FORBIDDEN_NAMES] == []


def test_the_library_does_not_know_the_development_data():
    knowing = [
        relative(path) for path, text in LIBRARY_TEXTS.items() if "../shared" in text or "ATTENTIONUNETSEG_DATA" in text
    ]
    assert knowing == []


def test_cmake_lists_every_python_file_and_resource():
    text = (MODULE_FOLDER / "CMakeLists.txt").read_text(encoding="utf-8").replace("${MODULE_NAME}", "AttentionUNetSeg")
    listed = {
        name: set(re.search(rf"set\({name}\n(.*?)\)", text, re.DOTALL).group(1).split())
        for name in ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES")
    }
    scripts = {path.relative_to(MODULE_FOLDER).as_posix() for path in MODULE_FOLDER.rglob("*.py")}
    resources = {
        path.relative_to(MODULE_FOLDER).as_posix()
        for path in [*(MODULE_FOLDER / "Resources").rglob("*"), *LIBRARY.rglob("*.json")]
        if path.is_file() and not path.name.startswith(".")
    }
    assert listed["MODULE_PYTHON_SCRIPTS"] == scripts
    assert listed["MODULE_PYTHON_RESOURCES"] == resources


def test_a_wheel_holds_every_package_and_nothing_of_research(monkeypatch):
    """What setup.py finds: a package without `__init__.py` would be left out, a wrong folder would add others."""
    found = []
    monkeypatch.setattr("setuptools.setup", lambda packages: found.extend(packages))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    folders = {path.parent for path in LIBRARY.rglob("*.py")}
    assert set(found) == {".".join(folder.relative_to(MODULE_FOLDER).parts) for folder in folders} | {
        "AttentionUNetSegLib.bundled_models"
    }


def test_slicers_process_never_loads_torch_and_the_worker_starts_before_what_takes_long():
    """Import rules are checked statically elsewhere; this is what the interpreter really does."""
    program = (
        "import sys\n"
        "import AttentionUNetSegLib.cli.arguments, AttentionUNetSegLib.cli.segment\n"  # the worker starts after these
        "print(sorted({'SimpleITK', 'scipy', 'slicer'} & set(sys.modules)))\n"
        "import AttentionUNetSegLib.imaging, AttentionUNetSegLib.models, AttentionUNetSegLib.scene\n"
        "import AttentionUNetSegLib.session, AttentionUNetSegLib.worker.client\n"
        "print(sorted({'torch', 'monai', 'qt', 'typer', 'pydicom'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().splitlines()[-2:] == ["[]", "[]"]


def test_files_are_written_for_python_3_10_and_no_array_view_outlives_its_image():
    """A view of an image that nothing else holds reads freed memory: garbage at best, a crash now and then.

    Two rules in one test, because parsing every file is what takes the time.
    """
    faults = []
    for path, text in TEXTS.items():
        try:
            tree = ast.parse(text, filename=relative(path), feature_version=(3, 10))
        except SyntaxError as error:
            faults.append(f"{relative(path)}, line {error.lineno}: not Python 3.10: {error.msg}")
            continue
        if "GetArrayViewFromImage" in text:
            faults += [f"{relative(path)}, line {line}: give the image a name first" for line in dangling_views(tree)]
    assert faults == []


def dangling_views(tree: ast.AST) -> list[int]:
    """Lines where a view is taken of an image that has no name."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "GetArrayViewFromImage":
            image = node.args[0]
            while isinstance(image, ast.Attribute | ast.Subscript):
                image = image.value
            if not isinstance(image, ast.Name):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    ("line", "faults"),
    [("sitk.GetArrayViewFromImage(image)", []), ("sitk.GetArrayViewFromImage(read(path))", [1]),
     ("sitk.GetArrayViewFromImage(result.probability)", []), ("sitk.GetArrayViewFromImage(run().probability)", [1])],
)  # fmt: skip
def test_a_view_that_dangles_is_seen(line: str, faults: list[int]):
    assert dangling_views(ast.parse(line)) == faults
