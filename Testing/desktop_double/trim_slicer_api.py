"""Write `slicer_api.json`: what the double needs of a list of attribute names seen in a running Slicer.

    python Testing/desktop_double/trim_slicer_api.py ../shared/slicer_api.json

A class is kept whole, with every name it offers: the double refuses what is missing, so nothing may be left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TRIMMED = Path(__file__).with_name("slicer_api.json")

KEPT = [
    "qt.QObject",
    "qt.QWidget",
    "qt.QAction",
    "qt.QApplication",
    "qt.QButtonGroup",
    "qt.QByteArray",
    "qt.QCheckBox",
    "qt.QColor",
    "qt.QComboBox",
    "qt.QDesktopServices",
    "qt.QDoubleSpinBox",
    "qt.QElapsedTimer",
    "qt.QFileDialog",
    "qt.QFormLayout",
    "qt.QFrame",
    "qt.QGridLayout",
    "qt.QHBoxLayout",
    "qt.QIcon",
    "qt.QKeySequence",
    "qt.QLabel",
    "qt.QLineEdit",
    "qt.QMenu",
    "qt.QMessageBox",
    "qt.QPlainTextEdit",
    "qt.QProcess",
    "qt.QProcessEnvironment",
    "qt.QProgressBar",
    "qt.QPushButton",
    "qt.QSettings",
    "qt.QShortcut",
    "qt.QSignalBlocker",
    "qt.QSize",
    "qt.QSlider",
    "qt.QStandardPaths",
    "qt.QTimer",
    "qt.QToolButton",
    "qt.QUrl",
    "qt.QVBoxLayout",
    "ctk.ctkCheckablePushButton",
    "ctk.ctkCollapsibleButton",
    "ctk.ctkCollapsibleGroupBox",
    "ctk.ctkComboBox",
    "ctk.ctkDoubleSpinBox",
    "ctk.ctkFittedTextBrowser",
    "ctk.ctkMenuButton",
    "ctk.ctkMessageBox",
    "ctk.ctkPathLineEdit",
    "ctk.ctkSliderWidget",
    "slicer.app",
    "slicer.app.applicationLogic()",
    "slicer.app.moduleManager()",
    "slicer.packaging",
    "slicer.parameterNodeWrapper",
    "slicer.util",
    "slicer.qSlicerIOManager",
    "slicer.qSlicerLayoutManager",
    "slicer.qMRMLSliceWidget",
    "slicer.qMRMLThreeDWidget",
    "slicer.qSlicerModuleManager",
    "slicer.qMRMLColorTableComboBox",
    "slicer.qMRMLNodeComboBox",
    "slicer.qMRMLSegmentEditorWidget",
    "slicer.qMRMLSegmentationShow3DButton",
    "slicer.qMRMLSliderWidget",
    "slicer.qMRMLWidget",
    "slicer.qSlicerWidget",
    "slicer.qSlicerMarkupsPlaceWidget",
]


def main(full_list: Path) -> None:
    """Write the kept part of `full_list` beside this file."""
    everything = json.loads(full_list.read_text(encoding="utf-8"))
    kept = {"about": everything["about"], **{name: everything[name] for name in sorted(KEPT)}}
    TRIMMED.write_text(_lines(kept), encoding="utf-8")


def _lines(kept: dict[str, object]) -> str:
    """Return JSON with one line a class, so that a change of the list reads well in a diff."""
    classes = (f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept))
    return "{\n" + ",\n".join(classes) + "\n}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
