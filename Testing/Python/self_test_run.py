"""What `run_all.py` does. In a module of its own: loading a scripted module into Slicer empties the script's names."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import time
import traceback
import unittest
from pathlib import Path

import slicer

HERE = Path(__file__).resolve().parent
SCRIPT = "run_all.py"
MODULE_FILE = HERE.parents[1] / "AttentionUNetSeg" / "AttentionUNetSeg.py"
SCREENSHOTS_VARIABLE = "ATTENTIONUNETSEG_SCREENSHOTS"
LIMIT_SECONDS = 3600  # whatever hangs ends with a traceback, not with a machine that waits for ever


def main(names: list[str]) -> int:
    """Run the tests whose name contains one of `names` (all if there are none); return the exit code."""
    for folder in (HERE, MODULE_FILE.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    if not hasattr(slicer.modules, MODULE_FILE.stem.lower()):
        load_module()
    loader = unittest.TestLoader()
    if names:
        loader.testNamePatterns = [f"*{name}*" for name in names]
    suite = loader.discover(str(HERE), pattern="test_*.py", top_level_dir=str(HERE))
    result = Report()
    result.startTestRun()
    suite.run(result)
    result.stopTestRun()
    code = 0 if result.wasSuccessful() and result.testsRun else 1
    folder = os.environ.get(SCREENSHOTS_VARIABLE)
    if folder and slicer.util.mainWindow() is not None:
        import screenshots

        try:
            for path in screenshots.take(Path(folder)):
                print(f"wrote {path}")
        except Exception:
            traceback.print_exc()
            code = 1
    return code


def chosen_names() -> list[str]:
    """Return the words after the script's name; the rest of the line, if Slicer leaves it there, is Slicer's own."""
    words = sys.argv[1:]
    for index, word in enumerate(sys.argv):
        if Path(word).name == SCRIPT:
            words = sys.argv[index + 1 :]
    return [word for word in words if not word.startswith("-")]


def load_module() -> None:
    """Load the module from this repository into the running Slicer."""
    import qt

    factory = slicer.app.moduleManager().factoryManager()
    factory.registerModule(qt.QFileInfo(str(MODULE_FILE)))
    factory.loadModules([MODULE_FILE.stem])
    if not hasattr(slicer.modules, MODULE_FILE.stem.lower()):
        raise RuntimeError(f"Slicer cannot load {MODULE_FILE}.")


def run_and_exit() -> None:
    """Run what the command line names and end Slicer with the code."""
    with contextlib.suppress(Exception):  # a Slicer without a console has no stderr to write to
        faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True, file=sys.__stderr__)
    exit_code = 1
    try:
        exit_code = main(chosen_names())
    except BaseException:
        traceback.print_exc()
    finally:
        slicer.util.exit(exit_code)


class Report(unittest.TestResult):
    """Prints each test as it ends: whatever happens later, it has been said."""

    def startTestRun(self) -> None:
        self._begun = time.monotonic()
        print(f"Slicer {slicer.app.applicationVersion}, Python {sys.version.split()[0]}", flush=True)

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._test_begun = time.monotonic()

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._say("passed ", test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._say("skipped", test, reason)

    def addFailure(self, test: unittest.TestCase, err: tuple) -> None:
        super().addFailure(test, err)
        self._say("FAILED ", test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: tuple) -> None:
        super().addError(test, err)
        self._say("ERROR  ", test, self.errors[-1][1])

    def stopTestRun(self) -> None:
        failed = [str(test) for test, _ in self.failures + self.errors]
        print(
            f"\n{self.testsRun} tests in {time.monotonic() - self._begun:.0f} s: "
            f"{self.testsRun - len(failed) - len(self.skipped)} passed, {len(self.skipped)} skipped, "
            f"{len(failed)} failed"
        )
        for name in failed:
            print(f"  {name}")
        sys.stdout.flush()

    def _say(self, outcome: str, test: unittest.TestCase, why: str = "") -> None:
        seconds = time.monotonic() - getattr(self, "_test_begun", time.monotonic())
        print(f"{outcome} {seconds:6.1f} s  {test.id()}" + (f"\n{why}" if why else ""), flush=True)
