"""Pictures of the panel and of the whole window, section by section, with a result that was corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from panel_case import MODULE, process_for, process_until, use_phantom_model

SECTIONS = ("input", "result", "attention", "correction", "measurements", "start", "advanced")


def take(folder: Path) -> list[Path]:
    """Segment a phantom and write a picture for each section; return their paths. Needs a main window."""
    folder.mkdir(parents=True, exist_ok=True)
    slicer.mrmlScene.Clear(False)
    slicer.util.selectModule(MODULE)
    widget = slicer.util.getModuleWidget(MODULE)
    ui = widget.ui
    written = [_write(widget, folder / "0-empty.png")]
    use_phantom_model(widget)
    ui.loadPhantomButton.click()
    process_until(lambda: ui.segmentButton.enabled, "the phantom")
    process_for(1.0)
    ui.segmentButton.click()
    process_until(lambda: any(run.fraction > 0 for run in widget.logic.unfinishedRuns()), "progress")
    written.append(_write(widget, folder / "1-running.png"))
    process_until(lambda: not widget.logic.unfinishedRuns(), "the result")
    _open_only(ui, ("input", "result"))
    written += [_write(widget, folder / "2-result.png"), _write_window(folder / "2-result-window.png")]
    _open_only(ui, ("attention",))
    ui.overlayComboBox.setCurrentIndex(2)
    written += [_write(widget, folder / "3-attention.png"), _write_window(folder / "3-attention-window.png")]
    ui.overlayComboBox.setCurrentIndex(0)
    _open_only(ui, ("correction",))
    _correct(widget)
    written += [_write(widget, folder / "4-correction.png"), _write_window(folder / "4-correction-window.png")]
    _open_only(ui, ("measurements", "start"))
    ui.measureButton.click()
    process_until(lambda: ui.showTableButton.enabled, "the measurements")
    written.append(_write(widget, folder / "5-measurements.png"))
    _open_only(ui, ("advanced",))
    written.append(_write(widget, folder / "6-advanced.png"))
    return written


def _open_only(ui: object, sections: tuple[str, ...]) -> None:
    for name in SECTIONS:
        getattr(ui, f"{name}CollapsibleButton").collapsed = name not in sections


def _correct(widget: object) -> None:
    """Remove tissue at the middle of the segment."""
    segmentation = widget.logic.results()[-1]
    bounds = np.zeros(6)
    segmentation.GetRASBounds(bounds)
    widget.logic.addClick(segmentation, tuple(bounds.reshape(3, 2).mean(axis=1)), False)
    widget.panel.correction.update()


def _write(widget: object, path: Path) -> Path:
    """Write the panel."""
    process_for(_pause())
    widget.ui.AttentionUNetSeg.grab().save(str(path))
    return path


def _write_window(path: Path) -> Path:
    """Write the main window, with its rendered views."""
    slicer.util.forceRenderAllViews()
    process_for(_pause())
    slicer.util.mainWindow().grab().save(str(path))
    return path


def _pause() -> float:
    """Return how long (seconds) Slicer is given to draw; the double draws nothing."""
    return 0.0 if "desktop double" in slicer.app.applicationVersion else 0.5
