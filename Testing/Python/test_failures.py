"""What goes wrong on people's computers: each ends in a sentence, and the next run works."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import unittest

import slicer
from panel_case import (
    INTERPRETER_VARIABLE,
    PanelTestCase,
    interpreter_script,
    is_alive,
    process_until,
    real_python,
)


@unittest.skipUnless(os.name == "posix", "the programs that stand in for a Python are shell scripts")
class FailuresTest(PanelTestCase):
    """Every test brings its own interpreter, so each starts a worker of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.logic.close()
        self.select(self.add_phantom())

    def tearDown(self) -> None:
        self.logic.close()
        super().tearDown()

    def use_interpreter(self, lines: str = "") -> None:
        """Run the worker with a program that runs `lines` first."""
        self.set_environment(INTERPRETER_VARIABLE, str(interpreter_script(self.folder, lines)))

    def fail(self, *words: str) -> None:
        """The run fails with a message with these words, and can be retried."""
        self.click(self.ui.segmentButton)
        self.wait_for_runs()
        self.assertEqual(self.logic.results(), [])
        self.assert_message(self.panel.selection.volume.GetName(), *words)
        self.assertFalse(self.ui.retryButton.isHidden())

    def fail_and_recover(self, *words: str) -> None:
        """The same, and Retry with the usual interpreter brings the result."""
        self.fail(*words)
        self.set_environment(INTERPRETER_VARIABLE, self._environment[INTERPRETER_VARIABLE])
        self.click(self.ui.retryButton)
        self.wait_for_runs()
        self.assertEqual(len(self.logic.results()), 1, self.ui.messageLabel.text)
        errors = [each.text for each in self.panel.messages.notices if each.is_error and each.folder is None]
        self.assertEqual(errors, [], "it is over")

    def worker_pid(self) -> int:
        path = self.folder / "pid"
        process_until(path.is_file, "the start of the worker", 30.0)
        return int(path.read_text())

    def test_the_interpreter_is_missing(self) -> None:
        self.set_environment(INTERPRETER_VARIABLE, str(self.folder / "nowhere" / "python"))
        self.fail_and_recover("could not be started", "nowhere")

    def test_the_interpreter_has_no_torch(self) -> None:
        (self.folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
        self.use_interpreter(f'export PYTHONPATH="{self.folder}:$PYTHONPATH"')
        self.fail("PyTorch")

    def test_the_interpreter_ends_at_once(self) -> None:
        self.use_interpreter('echo "a licence is missing" >&2; exit 3')
        self.click(self.ui.segmentButton)
        self.wait_for_runs()
        self.assertFalse(self.ui.detailsButton.isHidden())
        self.click(self.ui.detailsButton)
        self.assertFalse(self.ui.advancedCollapsibleButton.collapsed)
        self.assertIn("a licence is missing", self.ui.logText.plainText)
        self.ui.advancedCollapsibleButton.collapsed = True
        self.fail_and_recover("3")

    def test_memory_runs_out(self) -> None:
        worker = self.folder / "worker_without_memory.py"
        worker.write_text(
            "import runpy\n"
            "import AttentionUNetSegLib.inference as inference\n"
            "def refuse(*arguments, **options):\n"
            "    raise MemoryError('out of memory')\n"
            "inference.Segmenter.segment = refuse\n"
            "runpy.run_module('AttentionUNetSegLib.worker', run_name='__main__')\n"
        )
        self.use_interpreter(f'exec "{real_python()}" "{worker}"')
        self.fail("memory")

    def test_the_worker_is_killed(self) -> None:
        self.use_interpreter()
        self.add_slow_model()
        self.click(self.ui.segmentButton)
        self.wait_for_progress()
        os.kill(self.worker_pid(), signal.SIGKILL)
        self.wait_for_runs()
        self.assert_message("ended unexpectedly", "SIGKILL")
        self.assertFalse(self.ui.retryButton.isHidden())
        self.use_phantom_model()
        other = self.add_phantom(seed=4, name="other")
        failed = self.panel.selection.volume
        self.select(other)
        self.click(self.ui.retryButton)
        (run,) = self.logic.unfinishedRuns()
        self.assertIs(run.volume_node, failed, "Retry runs what failed, not what is chosen now")
        self.assertEqual(run.request.model.id, "slow-phantom")
        self.logic.cancel(run.job)
        self.wait_for_runs()

    def test_a_kept_folder_stays_within_reach(self) -> None:
        import os.path

        worker = self.folder / "worker_with_a_fault.py"
        worker.write_text(
            "import runpy\n"
            "import AttentionUNetSegLib.inference as inference\n"
            "def fail(*arguments, **options):\n"
            "    raise ZeroDivisionError('nobody foresaw this')\n"
            "inference.Segmenter.segment = fail\n"
            "runpy.run_module('AttentionUNetSegLib.worker', run_name='__main__')\n"
        )
        self.use_interpreter(f'exec "{real_python()}" "{worker}"')
        self.click(self.ui.segmentButton)
        self.wait_for_runs()
        (notice,) = [each for each in self.panel.messages.notices if each.folder is not None]
        self.assertTrue(os.path.isdir(notice.folder))
        self.set_environment(INTERPRETER_VARIABLE, self._environment[INTERPRETER_VARIABLE])
        self.click(self.ui.retryButton)
        self.wait_for_runs()
        self.assertEqual(len(self.logic.results()), 1, self.ui.messageLabel.text)
        self.assertIn(notice, self.panel.messages.notices, "nobody has dealt with the folder yet")
        self.ui.advancedCollapsibleButton.collapsed = False  # where later sessions find it, without any notice
        self.assertIn(str(notice.folder), self.ui.keptFoldersValueLabel.text)
        self.assertTrue(self.ui.deleteKeptFoldersButton.enabled)
        self.ui.advancedCollapsibleButton.collapsed = True
        while self.ui.folderButton.isHidden():
            self.click(self.ui.nextMessageButton)
        self.click(self.ui.deleteFolderButton)
        self.assertFalse(os.path.isdir(notice.folder))
        self.assertNotIn(notice, self.panel.messages.notices)
        self.assertNotIn(str(notice.folder), self.ui.keptFoldersValueLabel.text)

    def test_there_is_no_place_for_temporary_files(self) -> None:
        tempfile.tempdir = str(self.folder / "missing")
        self.click(self.ui.segmentButton)
        self.wait_for_runs()
        self.assertEqual(self.logic.results(), [])
        self.assert_message("cannot be written")

    def test_the_worker_ends_with_the_module(self) -> None:
        self.use_interpreter()
        self.add_slow_model()
        self.click(self.ui.segmentButton)
        self.wait_for_progress()
        pid = self.worker_pid()
        self.assertTrue(is_alive(pid))
        self.logic.close()
        end = time.monotonic() + 60.0
        while is_alive(pid) and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.01)
        self.assertFalse(is_alive(pid), "the worker outlived the module")
        self.assertEqual(self.logic.unfinishedRuns(), ())

    def test_a_cold_worker_where_it_is_not_kept(self) -> None:
        self.use_interpreter()
        self.click(self.ui.keepWorkerWarmCheckBox)
        try:
            self.click(self.ui.segmentButton)
            pid = self.worker_pid()
            self.wait_for_runs()
            process_until(lambda: not is_alive(pid), "the end of the worker", 15.0)
            self.assertEqual(len(self.logic.results()), 1)
        finally:
            self.click(self.ui.keepWorkerWarmCheckBox)
